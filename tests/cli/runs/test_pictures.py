"""What `get`, `describe` and `history` draw of a run, as golden text: the real planner's states.

Each is drawn at the widths that matter: 80 and 120 cells, and without an edge for files.
"""

from pathlib import Path

import pytest
from rich.text import Text

from fleet.api.fleetrollout import ClusterPhase, RunPhase, WavePhase
from fleet.cli.runs import picture, show, story, view
from fleet.cli.tables import Tone
from tests.cli.rollouts.test_pictures import on_paper
from tests.cli.runs import scenes
from tests.cli.runs.scenes import Scene
from tests.conftest import Golden
from tests.hub.world import World

FOLDER = Path(__file__).parents[2] / "golden" / "runs"


def described(here: World, width: int | None) -> list[Text]:
    found = scenes.seen(here)
    return [
        *picture.whole(found, here.now, width, wide=True),
        *story.plan(found.run, width),
        *story.past(found.run, width),
        Text(),
        *story.runs(list(here.runs.values())),
        Text(),
        *show.listed([(here.application.manifest(), here.run)], here.now, wide=True),
    ]


PICTURES = [
    pytest.param("halted", scenes.halted, 80, id="a halt"),
    pytest.param("approval", scenes.awaiting_approval, 80, id="a wave that waits for an approval"),
    pytest.param("soaking", scenes.soaking, 120, id="a soak that counts down"),
    pytest.param("second", scenes.second, 120, id="a run on its way"),
    pytest.param("rolling-back", scenes.rolling_back, 120, id="a way back"),
    pytest.param("lost", scenes.lost, 120, id="a member out of reach"),
    pytest.param("succeeded", scenes.succeeded, None, id="no width at all"),
]


@pytest.mark.parametrize(("name", "scene", "width"), PICTURES)
def test_a_picture_is_as_it_was_read(
    golden: Golden, name: str, scene: Scene, width: int | None
) -> None:
    here = scene()
    text = scenes.lasting(on_paper(described(here, width), width), *here.runs.values())
    golden.check(FOLDER / f"{name}.txt", text)


TOLD = [
    pytest.param(
        scenes.refused, "the Application is not accepted: NamespaceNotAllowed", id="not accepted"
    ),
    pytest.param(scenes.waiting, "resume/7 by jane, not answered yet", id="not answered"),
    pytest.param(scenes.unseen, "the hub has not looked at the present spec", id="not looked at"),
    pytest.param(
        scenes.put_aside, "an undo has put aside what the Application asks for", id="put aside"
    ),
]


@pytest.mark.parametrize(("scene", "words"), TOLD)
def test_what_is_between_the_wish_and_the_run_is_told(scene: Scene, words: str) -> None:
    here = scene()
    assert words in on_paper(picture.head(scenes.seen(here), here.now, None), None)


def test_a_live_weight_stands_beside_the_traffic() -> None:
    here = scenes.second()
    status = here.run.status.model_copy(update={"external_weight": 40})
    run = here.run.model_copy(update={"status": status})
    text = on_paper(picture.head(view.View(run=run, items={}), here.now, None), None)
    assert f"on revision {run.spec.revision}, externalWeight 40%" in text


def test_an_old_run_says_where_the_new_one_is() -> None:
    here = scenes.second()
    old = view.View(run=here.runs["checkout-1"], items={}, is_newest=False)
    text = on_paper(picture.head(old, here.now, 80), 80)
    assert "fleet get checkout shows the newest run" in text


def test_who_may_not_see_the_clusters_sees_the_run() -> None:
    here = scenes.halted()
    found = view.View(run=here.run, items={})
    text = on_paper(picture.whole(found, here.now, 80, wide=True), 80)
    assert "✘ a      canary  Failed" in text
    assert "error-rate 12.4 is not below 5" in text


def test_only_the_first_clusters_are_drawn_unless_all_are_asked_for() -> None:
    here = scenes.second()
    row = here.run.status.clusters[0]
    rows = tuple(row.model_copy(update={"name": f"eu-{number}"}) for number in range(30))
    status = here.run.status.model_copy(update={"clusters": rows, "clusters_omitted": 7})
    found = view.View(run=here.run.model_copy(update={"status": status}), items={})
    last = picture.clusters(found)[-1].plain
    assert last == "17 more clusters are not done: fleet get checkout-2 -o wide"
    assert len(picture.clusters(found, wide=True)) == 2 + 30 + 1


def test_an_application_without_a_run_is_listed_with_the_reason() -> None:
    here = scenes.refused()
    (_, row) = show.listed([(here.application.manifest(), None)], here.now)
    assert "? No run" in row.plain
    assert "elsewhere is not allowed in a, b, c" in row.plain


@pytest.mark.parametrize(
    ("phases", "tones"),
    [
        pytest.param(RunPhase, view.RUN, id="of a run"),
        pytest.param(ClusterPhase, view.CLUSTER, id="of a cluster"),
        pytest.param(WavePhase, view.WAVE, id="of a wave"),
    ],
)
def test_every_phase_has_a_mark(
    phases: type[RunPhase | ClusterPhase | WavePhase], tones: dict[object, Tone]
) -> None:
    assert {key for key in tones if key is not None} == set(phases)
    assert all(tone.mark for tone in tones.values())


PLACE = "step 2 of 3: 60% for revision 92125cf968"


@pytest.mark.parametrize(
    ("step", "message", "shown"),
    [
        pytest.param("2/3", f"{PLACE}: its pods are not ready yet", "its pods are not ready yet",
                     id="what columns say"),
        pytest.param("2/3", f"{PLACE}: its pods are not ready yet: 2 of 3 ImagePullBackOff (a:v2)",
                     "its pods are not ready yet: 2 of 3 ImagePullBackOff (a:v2)",
                     id="a cause with numbers of its own"),
        pytest.param("2/3", PLACE, PLACE, id="all there is"),
        pytest.param("", f"{PLACE}: paused", f"{PLACE}: paused", id="without these columns"),
        pytest.param("2/3", "error-rate: no data", "error-rate: no data", id="other words"),
    ],
)  # fmt: skip
def test_a_row_says_nothing_twice(step: str, message: str, shown: str) -> None:
    line = view.Line(
        name="a", wave="all", phase=ClusterPhase.PROGRESSING, step=step, weight=60, message=message
    )
    assert picture.beside(line) == shown
