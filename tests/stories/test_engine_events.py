"""Stories of Events: each decision is told at least once, and a rollout at rest tells nothing."""

from collections import Counter

from fleet.api.rollout import Phase, RolloutStatus
from fleet.kulta.core import actions as act
from fleet.kulta.core.plan import plan
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
    assert any(isinstance(item, act.Emit) for item in decided.after)
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
