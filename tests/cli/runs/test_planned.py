"""What `fleet plan` says is what the hub does; and what it says of those who are left out."""

import json
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from fleet.cli.runs import inputs, planned, simulation
from fleet.cli.tables import Tone
from fleet.hub.core.actions import CreateRun
from fleet.hub.core.application import decision
from tests.cli.rollouts.test_pictures import on_paper
from tests.cli.runs import scenes
from tests.cli.runs.scenes import Scene
from tests.conftest import NOON, Golden
from tests.hub import gen, world
from tests.hub.world import World
from tests.shell import fleet

FOLDER = Path(__file__).parents[2] / "golden" / "runs"
FILE = """
apiVersion: fleet.kulta.io/v1alpha1
kind: MemberCluster
metadata: {name: %s, namespace: shop, labels: {ring: %s}}
spec: {kubeconfig: {secretRef: {name: x}}, allowedNamespaces: [checkout]}
"""
EXAMPLES = Path(__file__).parents[3] / "examples" / "demo"


def first() -> World:
    return scenes.new({"soak": "15m"}, {"approval": {}})


def more_replicas() -> World:
    """Only replicas differ: no soak, no approval."""
    here = scenes.until(scenes.new({"soak": "1m"}), scenes.RunPhase.SUCCEEDED)
    workload = here.application.spec.workload.model_copy(update={"replicas": 9})
    spec = here.application.spec.model_copy(update={"workload": workload})
    here.application = here.application.model_copy(update={"spec": spec})
    return here


def joined() -> World:
    here = scenes.succeeded()
    here.members["d"] = gen.member("d", ring="rest")
    return here


DUE = [
    pytest.param(first, id="the first run"),
    pytest.param(scenes.unseen, id="a new revision"),
    pytest.param(more_replicas, id="replicas alone"),
    pytest.param(joined, id="a member that joined"),
]


@pytest.mark.parametrize("scene", DUE)
def test_what_is_planned_is_what_the_hub_makes(scene: Scene) -> None:
    here = scene()
    found = scenes.known(here)
    due = inputs.due(found)
    (made,) = (
        action
        for action in decision.decide(here.application, found.observed, NOON).actions
        if isinstance(action, CreateRun)
    )
    assert due.occasion is not None
    assert (made.name, made.spec.plan) == (f"checkout-{due.number}", due.plan)
    assert (made.spec.trigger, made.spec.revision) == (
        due.occasion.trigger,
        due.proposal.revision,
    )


def test_nothing_is_due_where_the_newest_run_serves() -> None:
    found = scenes.known(scenes.succeeded())
    due = inputs.due(found)
    assert due.occasion is None
    text = on_paper(planned.lines(found, due, None, None), None)
    assert "nothing would begin: checkout-1 delivers this already (Succeeded)" in text


def unequal() -> World:
    """One away, one of another fleet, one of no wave; the last run took its time."""
    here = world.lose(scenes.unseen(), "b")
    here.members["x"] = gen.member("x", tier="test")
    here.members["z"] = gen.member("z", ring="none")
    policy = here.application.spec.delivery_policy.manifest()
    policy["waves"][1] = {"name": "rest", "clusters": ["b", "c"], "maxConcurrency": 2}
    policy |= {"unmatchedClusters": "Ignore", "limits": {"minInterval": "1m"}}
    policy.pop("strategy")
    return world.deliver(here, "shop:v2", **policy)


@pytest.mark.parametrize(
    ("name", "scene", "width"),
    [
        pytest.param("plan-first", first, 120, id="the first run"),
        pytest.param("plan-unequal", unequal, 80, id="some who do not go with the others"),
    ],
)
def test_a_plan_is_as_it_was_read(
    golden: Golden, name: str, scene: Scene, width: int | None
) -> None:
    found = scenes.known(scene())
    due = inputs.due(found)
    text = on_paper(planned.lines(found, due, simulation.first(found, due, NOON), width), width)
    golden.check(FOLDER / f"{name}.txt", scenes.lasting(text, revision=due.proposal.revision))


def gated(gate: dict[str, object]) -> World:
    """With a gate before the first wave."""
    waves = [{**scenes.WAVE, "before": [gate]}, scenes.REST]
    return world.new("a", "b", "c", labels={"a": "canary"}, waves=waves)


FIRST = [
    pytest.param(first(), "a begins at once", id="the first wave"),
    pytest.param(
        world.new("a", "b", "c", maxConcurrency=2), "a, b begin at once", id="as slots reach"
    ),
    pytest.param(world.lose(first(), "a"), "b begins at once", id="who is away is put off"),
    pytest.param(
        world.lose(scenes.new(unavailableClusters={"policy": "Block"}), "a"),
        "nobody at once: a cannot be reached and blocks: connection refused; counts as failed at "
        "14:00:00Z",
        id="who is away blocks",
    ),
    pytest.param(
        gated({"approval": {}}),
        "nobody at once: wave canary waits for an approval: fleet approve checkout-1 --wave canary "
        "--plan DIGEST",
        id="an approval",
    ),
    pytest.param(
        gated({"schedule": {"cron": "0 3 * * *", "duration": "1h"}}),
        "nobody at once: wave canary waits for its window, which opens at Sat 2026-11-21 03:00Z",
        id="a window",
    ),
    pytest.param(
        scenes.new(paused=True),
        "nobody at once: paused by deliveryPolicy.paused; goes on with deliveryPolicy.paused: "
        "false",
        id="a pause",
    ),
]


@pytest.mark.parametrize(("here", "words"), FIRST)
def test_who_goes_first_is_what_the_planner_says(here: World, words: str) -> None:
    found = scenes.known(here)
    due = inputs.due(found)
    told = simulation.first(found, due, NOON)
    lines = on_paper(planned.lines(found, due, told, None), None).splitlines()
    (line,) = (line for line in lines if line.startswith("First "))
    said = re.sub(r"--plan [0-9a-f]{8}$", "--plan DIGEST", line.removeprefix("First").strip())
    assert said == words


def test_a_wave_that_selects_nobody_stands_out() -> None:
    """A typing error in its labels, most of the time."""
    typo = {**scenes.WAVE, "clusterSelector": {"matchLabels": {"rng": "canary"}}}
    here = world.new("a", "b", labels={"a": "canary"}, waves=[typo, scenes.REST])
    found = scenes.known(here)
    lines = planned.lines(found, inputs.due(found), None, None)
    (row,) = (line for line in lines if line.plain.startswith("canary "))
    assert row.plain.endswith("nobody")
    assert Tone.WAITING.style in [str(span.style) for span in row.spans]
    assert "Note       wave canary is empty and is passed at once" in on_paper(lines, None)


def test_a_run_that_went_through_no_pauses_says_nothing_of_the_next() -> None:
    here = scenes.succeeded()
    short = planned.estimate(scenes.known(here))
    assert short.source == "median of 3 clusters that it ran in last"
    steps = [{"setWeight": 20, "pause": {"duration": "1h"}}, {"setWeight": 100}]
    policy = here.application.spec.delivery_policy.manifest()
    policy["strategy"] = {"canary": {"steps": steps}}
    found = planned.estimate(scenes.known(world.deliver(here, "shop:v2", **policy)))
    assert found.seconds == 3_660.0
    assert found.source.endswith("nothing has run through them lately")


def test_pauses_that_were_gone_through_count_as_long_as_they_are_today() -> None:
    """Of 2 minutes it waited 90 s, of which 30 s were a hold: the same will take 60 s of pauses."""
    here = scenes.succeeded()
    steps = [{"setWeight": 20, "pause": {"duration": "1m"}}, {"setWeight": 100}]
    policy = here.application.spec.delivery_policy.manifest()
    policy["strategy"] = {"canary": {"steps": steps}}
    known = scenes.known(world.deliver(here, "shop:v2", **policy))
    items = []
    for item in known.observed.clusters:
        assert item.spec.want is not None
        assert item.spec.want.since is not None
        end = {"finished_at": item.spec.want.since + timedelta(minutes=2), "waited_seconds": 90.0}
        items.append(item.model_copy(update={"status": item.status.model_copy(update=end)}))
    found = planned.estimate(
        replace(known, observed=replace(known.observed, clusters=tuple(items)))
    )
    assert (found.seconds, found.source) == (90.0, "median of 3 clusters that it ran in last")


def test_a_hub_of_another_version_is_told() -> None:
    here = scenes.succeeded()
    found = replace(scenes.known(here), stored=here.application)
    assert inputs.foreign(found) == ""
    status = here.application.status.model_copy(update={"revision": "0123456789"})
    other = here.application.model_copy(update={"status": status})
    assert "revision 0123456789" in inputs.foreign(replace(found, stored=other))
    unseen = scenes.unseen().application
    assert inputs.foreign(replace(found, stored=unseen)) == ""


LENGTHS = [
    pytest.param({"clusters": ("a", "b", "c"), "max_concurrency": 2}, 0, 200, id="two rounds"),
    pytest.param({"clusters": ("a",), "soak_seconds": 60}, 0, 160, id="a soak"),
    pytest.param({"clusters": ("a", "b", "c"), "max_concurrency": 3}, 90, 280, id="an interval"),
    pytest.param({"clusters": (), "soak_seconds": 60}, 0, 0, id="an empty wave does not soak"),
]


@pytest.mark.parametrize(("wave", "interval", "seconds"), LENGTHS)
def test_a_wave_takes_so_long(wave: dict[str, object], interval: int, seconds: float) -> None:
    one = gen.wave("eu", *wave.pop("clusters"), **wave)  # type: ignore[misc]
    plan = gen.run(one, min_interval_seconds=interval).spec.plan
    assert planned.length(plan, one, 100.0) == seconds


def test_history_goes_before_a_guess() -> None:
    """Each took 40 s of the world's clock."""
    found = planned.estimate(scenes.known(scenes.succeeded()))
    assert (found.seconds, found.source) == (40.0, "median of 3 clusters that it ran in last")


def test_files_alone_are_enough(tmp_path: Path) -> None:
    members = tmp_path / "members.yaml"
    rings = {"alpha": "canary", "beta": "rest", "gamma": "rest"}
    members.write_text("---".join(FILE % each for each in rings.items()))
    given = (EXAMPLES / "application.yaml", EXAMPLES / "fleet.yaml", members)
    asked = ["plan", *(word for file in given for word in ("-f", str(file)))]
    done = fleet(*asked)
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(fleet(*asked, "-o", "json").stdout)["first"]
    assert told["clusters"] == ["alpha"]
    assert (told["phase"], told["reason"]) == ("Progressing", "WaitingForClusters")
    assert "checkout-1 would begin: SpecChanged" in done.stdout
    assert "production: 3 of 3 members go in 2 waves" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param((), "write APP, or -f FILE", id="nothing is named"),
        pytest.param(
            ("basket", "-f", str(EXAMPLES / "application.yaml")),
            "no Application basket in the files",
            id="another one is named",
        ),
        pytest.param(
            ("-f", str(EXAMPLES / "fleet.yaml")), "no Application in the files", id="there is none"
        ),
    ],
)
def test_what_is_missing_is_a_typing_error(words: tuple[str, ...], said: str) -> None:
    done = fleet("plan", *words)
    assert (done.returncode, said in done.stderr) == (2, True), done


@pytest.mark.parametrize(
    ("files", "said"),
    [
        pytest.param(["application.yaml"], "Fleet production", id="no Fleet"),
        pytest.param(["application.yaml", "fleet.yaml"], "its MemberClusters", id="no member"),
    ],
)
def test_without_a_hub_it_says_which_file_would_do(
    files: list[str], said: str, tmp_path: Path
) -> None:
    words = [word for name in files for word in ("-f", str(EXAMPLES / name))]
    done = fleet("plan", *words, "--kubeconfig", str(tmp_path / "none"))
    hint = f"with {said} among the files (-f) no hub is asked"
    assert (done.returncode, hint in done.stderr) == (2, True), done
