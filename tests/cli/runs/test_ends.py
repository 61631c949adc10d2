"""When `watch` and `wait` are over, with which exit code, and what a file gets to read."""

import pytest

from fleet.cli.runs import watching
from fleet.cli.runs.asking import Wish
from fleet.cli.screen import Screen
from fleet.errors import UserError
from tests.cli.runs import scenes
from tests.cli.runs.scenes import Scene
from tests.hub import world

WATCHED = [
    pytest.param(scenes.succeeded, 0, id="it has succeeded"),
    pytest.param(scenes.halted, None, id="a halt is no end"),
    pytest.param(scenes.second, None, id="it is on its way"),
    pytest.param(scenes.unseen, None, id="the end of what was before"),
    pytest.param(scenes.queued, None, id="the end of what another revision waits for"),
    pytest.param(scenes.undone, None, id="the end of what is being undone"),
    pytest.param(scenes.announced, None, id="the end of what was before a run yet to be heard of"),
    pytest.param(scenes.joined, None, id="or before a run of the same revision"),
    pytest.param(scenes.refused, 1, id="what the hub does not accept"),
]


@pytest.mark.parametrize(("scene", "code"), WATCHED)
def test_a_watch_is_over(scene: Scene, code: int | None) -> None:
    assert watching.is_over(scenes.seen(scene())) == code


WAITED = [
    pytest.param("succeeded", scenes.succeeded, 0, id="done"),
    pytest.param("Succeeded", scenes.second, None, id="not yet, in any spelling"),
    pytest.param("succeeded", scenes.halted, 1, id="a halt waits for a person"),
    pytest.param("succeeded", scenes.unseen, None, id="the end of what was before"),
    pytest.param("succeeded", scenes.queued, None, id="another revision comes after that end"),
    pytest.param("succeeded", scenes.undone, None, id="another run undoes it"),
    pytest.param("succeeded", scenes.announced, None, id="another run begins"),
    pytest.param("succeeded", scenes.joined, None, id="a run for who has joined begins"),
    pytest.param("succeeded", scenes.queued_behind_a_halt, 1, id="behind a halt nothing comes"),
    pytest.param("succeeded", scenes.refused, 1, id="not accepted"),
    pytest.param("halted", scenes.halted, 0, id="a halt that was waited for"),
    pytest.param("halted", scenes.queued_behind_a_halt, None, id="that of the revision before"),
    pytest.param("halted", scenes.succeeded, 1, id="it will never halt"),
    pytest.param("halted", scenes.second, None, id="it may halt yet"),
    pytest.param("awaitingapproval", scenes.awaiting_approval, 0, id="an approval"),
    pytest.param("ended", scenes.succeeded, 0, id="any end"),
    pytest.param("ended", scenes.queued, None, id="but not of what another waits for"),
    pytest.param("ended", scenes.halted, None, id="a halt is no end"),
    pytest.param("rest", scenes.queued, None, id="no rest before the next"),
    pytest.param("rest", scenes.queued_behind_a_halt, 0, id="a halt that another waits for is"),
    pytest.param("rest", scenes.halted, 0, id="a halt is rest"),
    pytest.param("rest", scenes.awaiting_approval, 0, id="so is an approval"),
    pytest.param("rest", scenes.paused, 0, id="and a pause"),
    pytest.param("rest", scenes.pausing, 0, id="and one of clusters, which a person ends"),
    pytest.param("rest", scenes.soaking, None, id="a soak is none"),
    pytest.param("rest", scenes.succeeded, 0, id="an end is"),
]


@pytest.mark.parametrize(("condition", "scene", "code"), WAITED)
def test_waiting_is_over(condition: str, scene: Scene, code: int | None) -> None:
    assert watching.end_of(condition)(scenes.seen(scene())) == code


def test_a_condition_that_there_is_not_names_those_that_there_are() -> None:
    with pytest.raises(UserError, match="--for done: write one of ended, rest, planned"):
        watching.end_of("done")


def test_a_file_gets_a_line_for_every_change() -> None:
    """What was decided before is not told again; a new run is told from its beginning."""
    shown = watching.Shown(screen=Screen())
    here = scenes.awaiting_approval()

    def told() -> list[str]:
        lines = watching.changes(scenes.seen(here), shown)
        return [line.plain.partition("  ")[2] for line in lines]

    where = "checkout-1  AwaitingApproval  wave 1/2 canary  1/3 updated  wave canary is done and "
    (line,) = told()
    assert line.startswith(where)
    assert "fleet approve checkout-1 --wave canary --plan" in line
    assert told() == []
    here.runs["checkout-1"], _ = scenes.asked(here, Wish(verb="pause"))
    assert told() == [
        "Paused: paused by request",
        "Paused: paused by request: fleet resume checkout-1",
        "checkout-1  Paused  wave 1/2 canary  1/3 updated  "
        "paused by request: fleet resume checkout-1",
    ]
    here = world.tick(world.tick(scenes.delivered(here, "shop:v2")))
    assert told()[0] == "Planned: 3 clusters in 2 waves"


def test_a_cluster_that_fails_gets_a_line() -> None:
    shown = watching.Shown(screen=Screen())
    watching.changes(scenes.seen(scenes.second()), shown)
    lines = watching.changes(scenes.seen(scenes.halted()), shown)
    assert any(line.plain.endswith("a  Failed  error-rate 12.4 is not below 5") for line in lines)
