"""Which request can act on which state, and what a person is told instead."""

from collections.abc import Callable

import pytest

from fleet.api import names
from fleet.cli.rollouts import asking
from fleet.hub.core.run import requests as hub
from fleet.kulta.core.gates import requests
from tests import gen
from tests.cli.rollouts import scenes
from tests.kulta.world import World, canary_world
from tests.test_commands import options, understood


def paused_by_request() -> World:
    world = scenes.paused(None)
    world.annotations["kulta.io/pause"] = "true"
    world.run(5)
    return world


def held_by_hub() -> World:
    world = scenes.paused(None)
    world.update(hold={"reason": "another cluster failed"})
    world.run(5)
    return world


def undecided() -> World:
    metric = {"name": "error-rate", "thresholdRange": {"max": 1}, "threshold": 5}
    world = canary_world(20, 100, analysis=gen.analysis(metric), answer=lambda text: 3.0).settle()
    world.image("shop:v2")
    return world.run(5)


def settled() -> World:
    return scenes.completed(120)


ACTS = [
    pytest.param("promote", scenes.paused, id="a pause is ended"),
    pytest.param("promote", scenes.previewed, id="a preview is promoted"),
    pytest.param("promote", scenes.broken, id="a step that is not reached yet waits for it"),
    pytest.param("promote-full", scenes.paused, id="everything is left out"),
    pytest.param("promote-full", scenes.experiment, id="B is promoted unproved"),
    pytest.param("conclude-experiment", scenes.experiment, id="an experiment is ended"),
    pytest.param("abort", scenes.paused, id="a canary is taken back"),
    pytest.param("retry", scenes.failed, id="what failed is tried again"),
    pytest.param("pause", scenes.paused, id="a rollout is paused"),
    pytest.param("resume", paused_by_request, id="and goes on"),
    pytest.param("resume", undecided, id="what was neither good nor bad is judged anew"),
]


@pytest.mark.parametrize(("verb", "scene"), ACTS)
def test_a_request_that_can_act_is_not_refused(verb: str, scene: Callable[[], World]) -> None:
    assert asking.refusal(scenes.seen(scene), verb) is None


REFUSED = [
    pytest.param("promote", settled, "nothing to promote: revision 2", id="nothing is on its way"),
    pytest.param("promote", scenes.failed, "fleet rollout retry checkout", id="it was taken back"),
    pytest.param("promote", scenes.experiment, "fleet rollout conclude checkout", id="no winner"),
    pytest.param("promote", scenes.held, '"paused":false', id="spec.paused goes before"),
    pytest.param("promote", held_by_hub, "another cluster failed", id="the hub holds it"),
    pytest.param("conclude-experiment", scenes.paused, "no experiment", id="no experiment"),
    pytest.param("abort", settled, "fleet rollout undo checkout", id="too late to abort"),
    pytest.param("abort", scenes.failed, "already", id="aborted already"),
    pytest.param("retry", settled, "nothing to retry", id="nothing has failed"),
    pytest.param("retry", scenes.paused, "has not failed", id="not failed yet"),
    pytest.param("pause", settled, "nothing to pause", id="nothing to pause"),
    pytest.param("pause", paused_by_request, "fleet rollout resume", id="paused already"),
    pytest.param("resume", scenes.paused, "fleet rollout promote", id="a pause of its own"),
    pytest.param("resume", scenes.held, '"paused":false', id="paused in the spec"),
    pytest.param("resume", settled, "nobody has paused it", id="nothing is paused"),
]


@pytest.mark.parametrize(("verb", "scene", "words"), REFUSED)
def test_a_request_that_cannot_act_says_what_to_do_instead(
    verb: str, scene: Callable[[], World], words: str
) -> None:
    said = asking.refusal(scenes.seen(scene), verb)
    assert said is not None
    assert words in said


@pytest.mark.parametrize(
    ("verb", "scene"), [pytest.param(*row.values[:2], id=row.id) for row in REFUSED]
)
def test_the_engine_agrees_that_there_is_nothing_to_do(
    verb: str, scene: Callable[[], World]
) -> None:
    """What is refused here would change nothing there, either: a refusal hides nothing."""
    world = scene()
    before = (world.status.phase, world.status.current_step_index, world.status.stable_pod_hash)
    world.annotations[f"kulta.io/{verb}"] = "true"
    world.run(1)
    after = (world.status.phase, world.status.current_step_index, world.status.stable_pod_hash)
    assert after == before


def test_an_unseen_spec_is_not_judged() -> None:
    world = scenes.paused()
    world.manifest["metadata"]["generation"] += 1
    assert "is it running" in (asking.refusal(scenes.family(world), "promote") or "")


HUB = {"fleet.kulta.io/application": "checkout", "fleet.kulta.io/cluster": "eu-7"}


@pytest.mark.parametrize(
    ("verb", "instead"),
    [
        pytest.param(
            "abort",
            "ask there: fleet rollback checkout --cluster eu-7",
            id="back in that cluster",
        ),
        pytest.param(
            "undo", "ask there: fleet rollback checkout --cluster eu-7", id="an older revision"
        ),
        pytest.param("retry", "ask there: fleet retry checkout --cluster eu-7", id="once more"),
        pytest.param("pause", "ask there: fleet pause checkout", id="the whole run stops"),
        pytest.param("resume", "ask there: fleet resume checkout", id="and goes on"),
        pytest.param(
            "promote",
            "ask there: fleet promote checkout --cluster eu-7",
            id="the end of a pause in that cluster",
        ),
        pytest.param(
            "conclude-experiment",
            "ask there: fleet conclude checkout --cluster eu-7",
            id="and of an experiment",
        ),
        pytest.param(
            "promote-full",
            "a hub has no request for that; kubectl annotate rollout checkout "
            "kulta.io/promote-full=true asks the engine of this cluster alone",
            id="to leave out all checks is the engine's",
        ),
        pytest.param("restart", "change the template of Application checkout there", id="new pods"),
    ],
)
def test_what_a_hub_manages_is_asked_of_the_hub(verb: str, instead: str) -> None:
    world = scenes.paused(None)
    world.manifest["spec"]["dispatch"] = {"hub": "h", "sequence": 3}
    said = asking.managed(scenes.family(world, **HUB).rollout, verb) or ""
    who = "managed by a hub (Application checkout as cluster eu-7): "
    assert said.partition(who)[2] == instead


def test_a_pause_that_a_clock_ends_is_the_engines() -> None:
    """The hub would refuse, and send back here who asks for that."""
    world = scenes.paused("5m")
    world.manifest["spec"]["dispatch"] = {"hub": "h", "sequence": 3}
    said = asking.managed(scenes.family(world, **HUB).rollout, "promote") or ""
    assert said.endswith("kulta.io/promote=true asks the engine of this cluster alone")
    assert "fleet promote" not in said


def test_people_are_told_commands_that_there_are() -> None:
    for words in asking.HUB_COMMANDS.values():
        command, given = understood(words.replace("{", "").replace("}", ""))
        assert command.name in hub.VERBS
        assert {word for word in given if word.startswith("--")} <= options(command)
    assert {*asking.HUB_COMMANDS, *asking.ONLY_HERE} >= {*names.REQUESTS} - {"restart", "rollback"}


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({}, id="no hub"),
        pytest.param({"dispatch": {"hub": "h", "sequence": 3, "released": True}}, id="released"),
    ],
)
def test_what_no_hub_manages_is_for_everybody(spec: dict[str, object]) -> None:
    world = scenes.completed()
    world.manifest["spec"].update(spec)
    assert asking.managed(scenes.family(world, **HUB).rollout, "promote") is None


def test_every_request_of_the_engine_can_be_judged() -> None:
    """`rollback` is the older word for `abort`."""
    assert set(asking.CHECKS) == set(requests.ACTIONS) - {"rollback"}


def test_the_scenes_are_what_their_names_say() -> None:
    assert scenes.failed().status.failed_pod_hash == gen.revision("shop:v2")
    assert scenes.experiment().status.phase == "Experimenting"
