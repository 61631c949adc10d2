"""Stories of Events: each decision is told at least once, and a rollout at rest tells nothing."""

from collections import Counter

import pytest

from fleet.api.rollout import Phase, RolloutStatus
from fleet.kulta.core import actions as act
from fleet.kulta.core.plan import plan
from fleet.kulta.core.record import decisions
from tests import gen
from tests.kulta.world import World
from tests.stories.test_engine_canary import running


def told(world: World) -> Counter[str]:
    """Messages of Events and how often each went out."""
    return Counter(item.message for item in world.actions(act.Emit))


def diary(world: World) -> list[str]:
    """What the Events of all decisions say."""
    return [f"{item.reason}: {item.message}" for item in world.status.decisions[1:]]


def test_each_decision_is_told_once_where_nobody_dies() -> None:
    world = running(20, 50, 100, routed=True)
    world.image("shop:v2")
    world.settle()
    assert told(world) == Counter(diary(world)[1:])


def test_decision_whose_event_was_lost_is_told_by_the_next_engine() -> None:
    """The status is written, the process dies before the Event goes out."""
    world = running((20, None), 100)
    world.image("shop:v2")
    decided = plan(world.rollout, world.observe(), world.now)
    assert [item.decision.action for item in decided.transitions] == ["Initialize"]
    for action in decided.actions:
        world._do(action)
    world.status = decided.status
    world.restart()
    world.log.clear()
    world.run(10)
    (begun,) = (item for item in world.status.decisions[1:] if item.action == "Initialize")
    assert told(world)[f"{begun.reason}: {begun.message}"] == 1


def test_what_went_out_rides_on_the_next_write_and_causes_none() -> None:
    world = running((20, None), 100)
    world.image("shop:v2")
    world.run(10)
    written, last = world.writes[-1], world.status.decisions[-1].sequence
    assert written.emitted == last - 1
    world.writes.clear()
    world.run(600)
    assert (world.writes, world.emitted) == ([], last)
    world.annotate("promote")
    world.tick()
    assert world.status.emitted == last


def test_engine_that_starts_tells_again_what_may_be_lost_and_then_rests() -> None:
    world = running(20, 100)
    world.image("shop:v2")
    world.settle()
    world.wait(600)
    world.restart()
    world.log.clear()
    world.writes.clear()
    world.run(600)
    assert set(told(world)) <= set(diary(world))
    assert set(told(world).values()) == {1}
    assert world.writes == []


def test_what_happened_an_hour_ago_is_not_told_again() -> None:
    world = running(20, 100)
    world.image("shop:v2")
    world.settle()
    world.wait(3_600)
    world.restart()
    world.log.clear()
    world.run(600)
    assert world.log == []


def test_lost_status_does_not_silence_the_next_decisions() -> None:
    """Their numbers begin anew, below what the process remembers."""
    world = running((20, None), 100)
    world.image("shop:v2")
    world.run(10)
    world.log.clear()
    world.status = RolloutStatus()
    world.run(30)
    assert world.status.phase is Phase.PAUSED
    assert len(told(world)) == len(world.status.decisions)


def test_numbers_of_pods_are_told_within_half_a_minute() -> None:
    """Though nothing else happens: one new pod is ready, the next never will be."""
    world = running(50, 100, routed=True, able={gen.revision("shop:v2"): 1})
    world.image("shop:v2")
    world.run(35)
    status = world.status
    assert (status.replicas, status.ready_replicas, status.updated_replicas) == (6, 5, 2)


def actions(world: World) -> list[tuple[str, str, str | None]]:
    """The diary since the first revision: action, reason, and the phase that it led to."""
    return [(item.action, item.reason, item.phase) for item in world.status.decisions[2:]]


def test_holds_that_come_and_go_are_in_the_diary() -> None:
    """A step's own pause is not told twice."""
    world = running((20, None), 100)
    world.image("shop:v2")
    world.tick()
    world.update(hold={"reason": "another cluster failed", "sequence": 1})
    world.run(30)
    world.update(hold=None)
    world.settle()
    assert actions(world) == [
        ("Initialize", "Initialization", "Progressing"),
        ("Pause", "Held", "Paused"),
        ("Resume", "NotPaused", "Progressing"),
        ("Pause", "StepCompleted", "Paused"),
    ]
    assert world.status.last_decision_source == ""


def test_a_person_who_pauses_is_the_source() -> None:
    world = running(20, 100)
    world.image("shop:v2")
    world.tick()
    world.annotate("pause")
    world.run(30)
    assert actions(world)[-1] == ("Pause", "PauseRequested", "Paused")
    assert world.status.last_decision_source == "Human"


def test_each_decision_says_of_which_revision_and_image_it_is() -> None:
    world = running((20, None), 100)
    for image in ("shop:v2", "shop:v3"):
        world.image(image)
        world.run(30)
    found = [(item.revision, item.image) for item in world.status.decisions[2:]]
    two, three = ((gen.revision(image), image) for image in ("shop:v2", "shop:v3"))
    assert found == [two, two, three, three]


def test_what_nobody_has_been_told_of_is_kept() -> None:
    """More than the usual 20, since an engine that starts must still be able to tell it."""
    world = running((20, None), 100)
    world.listening = False
    for number in range(2, 20):
        world.image(f"shop:v{number}")
        world.run(30)
    written = world.status.decisions[-1].sequence
    assert len(world.status.decisions) > 20
    assert world.status.decisions[0].sequence == world.status.emitted + 1
    world.restart()
    world.heard.clear()
    world.listening = True
    world.run(30)
    assert [item.decision.sequence for item in world.heard] == list(
        range(world.heard[0].decision.sequence, written + 1)
    )
    assert len(world.heard) == written - 2


@pytest.mark.parametrize(
    ("revisions", "listening", "kept"),
    [
        pytest.param(15, True, 20, id="what everybody knows: the last twenty"),
        pytest.param(60, False, decisions.MOST, id="what nobody knows: three times as many"),
    ],
)
def test_it_is_not_kept_for_ever(revisions: int, listening: bool, kept: int) -> None:
    world = running((20, None), 100)
    world.listening = listening
    for number in range(2, revisions):
        world.image(f"shop:v{number}")
        world.run(10)
    assert len(world.status.decisions) == kept


def test_a_rollout_on_its_way_out_still_tells_what_it_decided() -> None:
    """The engine died before it could; then somebody deleted the Rollout."""
    world = running((20, None), 100, routed=True)
    world.image("shop:v2")
    world.run(10)
    world.restart()
    world.heard.clear()
    world.manifest["metadata"]["deletionTimestamp"] = "2026-11-20T12:30:00Z"
    world.tick()
    assert [item.decision.action for item in world.heard] == ["Pause"]


def test_what_was_lost_a_day_ago_is_not_told_any_more() -> None:
    world = running(20, 100)
    world.image("shop:v2")
    world.settle()
    world.wait(23 * 3_600)
    world.restart()
    world.heard.clear()
    world.run(1)
    assert world.heard
    world.wait(3_600)
    world.restart()
    world.heard.clear()
    world.run(1)
    assert world.heard == []
