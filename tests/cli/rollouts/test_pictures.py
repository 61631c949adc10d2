"""What `get`, `history` and `explain` draw, as golden text: the real engine's states, on paper.

Each state is drawn at the widths that matter: 80 and 120 cells, and without an edge for files.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from rich.text import Text

from fleet.cli.rollouts import chronicle, explain, forecast, show, watching
from fleet.cli.rollouts.family import Family
from fleet.cli.tables import Tone
from tests.cli.rollouts import scenes
from tests.conftest import Golden
from tests.kulta.world import World

FOLDER = Path(__file__).parents[2] / "golden" / "rollouts"


def drawn(world: World, family: Family, width: int | None, *, wide: bool = False) -> list[Text]:
    return [
        *show.picture(family, world.now, width, wide=wide),
        Text(),
        *chronicle.lines(family, world.now),
        Text(),
        *explain.lines(forecast.of(family, world.now), width),
    ]


def on_paper(lines: list[Text], width: int | None) -> str:
    """As a terminal of that width shows it."""
    shown = [line.copy() for line in lines]
    for line in shown:
        if width is not None:
            line.truncate(width, overflow="ellipsis")
    return "".join(f"{line.plain.rstrip()}\n" for line in shown)


PICTURES = [
    pytest.param("paused", scenes.paused, 80, id="a pause that ends by itself"),
    pytest.param("paused-wide", scenes.paused, 120, id="the same on more room"),
    pytest.param("waiting", lambda: scenes.paused(None), 80, id="a pause that waits for a person"),
    pytest.param("broken", scenes.broken, 80, id="pods that crash"),
    pytest.param("failed", scenes.failed, 80, id="taken back"),
    pytest.param("completed", scenes.completed, 80, id="old pods that are still there"),
    pytest.param("previewed", scenes.previewed, 80, id="a preview"),
    pytest.param("experiment", scenes.experiment, 100, id="an experiment"),
    pytest.param("restarting", scenes.restarting, 80, id="pods that are replaced"),
    pytest.param("migrated", scenes.migrated, 80, id="the template of a Deployment"),
    pytest.param("unmigrated", scenes.unmigrated, 80, id="a Deployment that there is not"),
    pytest.param("held", scenes.held, 80, id="paused by its user"),
    pytest.param("file", scenes.broken, None, id="no width at all"),
]


@pytest.mark.parametrize(("name", "scene", "width"), PICTURES)
def test_a_picture_is_as_it_was_read(
    golden: Golden, name: str, scene: Callable[[], World], width: int | None
) -> None:
    world = scene()
    lines = drawn(world, scenes.family(world), width, wide=name.endswith("wide"))
    golden.check(FOLDER / f"{name}.txt", on_paper(lines, width))


def test_nothing_is_wider_than_the_terminal() -> None:
    """Only names, images and tables of numbers may be cut; sentences are folded."""
    world = scenes.experiment()
    for line in show.picture(scenes.family(world), world.now, 80, wide=False):
        assert line.cell_len <= 80


def test_a_rollout_that_nobody_has_looked_at_is_drawn_too() -> None:
    world = scenes.completed()
    manifest = {**scenes.rollout(world), "status": {}}
    family = scenes.families.of(manifest, (), ())
    text = on_paper(drawn(world, family, 80), 80)
    assert "? Unseen" in text
    assert "the engine has not looked at the present spec yet" in text


@pytest.mark.parametrize(
    ("generation", "words"),
    [
        pytest.param(1, "✘ Stalled", id="of this spec"),
        pytest.param(0, "? Unseen", id="of one before"),
    ],
)
def test_a_first_revision_that_cannot_be_made_says_why(generation: int, words: str) -> None:
    """Its engine has tried: nobody is asked whether it runs."""
    world = scenes.completed()
    why = 'ReplicaSet.apps "shop" is invalid: spec.template.spec.containers: Required value'
    told = {"type": "Stalled", "status": "True", "reason": "InvalidSpec", "message": why}
    manifest = scenes.rollout(world)
    manifest["metadata"]["generation"] = 1
    manifest["status"] = {"conditions": [told | {"observedGeneration": generation}]}
    family = scenes.families.of(manifest, (), ())
    text = on_paper(drawn(world, family, 200), 200)
    assert words in text
    assert ("is it running?" in text) is (generation == 0)
    assert words.split()[1] in watching.summary(family)
    listed = show.line(family, world.now, everywhere=False, wide=False)
    assert listed["MESSAGE"] == (why if generation else "")


def test_only_labels_are_faint() -> None:
    """A style belongs to its words: the sentence beside a label is easy to read."""
    world = scenes.paused()
    found = show.picture(scenes.family(world), world.now, 80, wide=False)
    (line,) = (item for item in found if item.plain.startswith("Waits"))
    assert str(line.style) == ""
    assert [line.plain[x.start : x.end].strip() for x in line.spans if x.style == "dim"] == [
        "Waits"
    ]


def test_what_stands_in_the_way_is_told() -> None:
    world = scenes.completed()
    world.services.clear()
    world.run(60)
    text = on_paper(drawn(world, scenes.family(world), 80), 80)
    assert "TrafficReady is False: ServiceNotFound" in text


def test_hooks_that_a_step_names_are_foretold() -> None:
    world = scenes.paused()
    canary = world.manifest["spec"]["strategy"]["canary"]
    canary["steps"][1]["hooks"] = ["load"]
    world.update(hooks=[{"name": "load", "url": "http://load.ops:8080/run"}])
    text = on_paper(drawn(world, scenes.family(world), 80), 80)
    assert "hook load has to say yes" in text


def test_colours_are_never_the_only_sign() -> None:
    """Every mark is another character."""
    marks = [tone.mark for tone in Tone if tone.mark]
    assert len(set(marks)) == len(marks)
