"""Stories of what the status tells while pods come: which changes are worth a write."""

from datetime import timedelta

import pytest

from fleet.api.rollout import Phase
from fleet.kulta.core.feedback.throttle import THROTTLE
from tests import gen
from tests.kulta.world import World, canary_world


def upgrading(*weights: int, startup: float, replicas: int = 4, **keywords: object) -> World:
    """Its first revision, long complete, is about to be replaced; pods take `startup` seconds."""
    world = canary_world(*weights, replicas=replicas, **keywords).settle().wait(600)
    world.writes.clear()
    world.startup = startup
    world.image("shop:v2")
    return world


@pytest.mark.parametrize(
    ("startup", "writes"),
    [
        pytest.param(2, 4, id="at once"),
        pytest.param(15, 4, id="while another may be near"),
        pytest.param(25, 4, id="longer than counters wait between two steps"),
        pytest.param(40, 5, id="so long that the clock has to be told"),
    ],
)
def test_pods_of_the_last_steps_bring_their_counters_with_the_end(
    startup: float, writes: int
) -> None:
    """Between the third step and the end nothing changes that `kubectl get` shows."""
    world = upgrading(25, 50, 75, 100, startup=startup)
    shown = {(x.replicas, x.ready_replicas) for x in world.run(4 * startup - 1).writes}
    assert shown == {(5, 4)}
    assert world.settle().status.phase is Phase.COMPLETED
    assert len(world.writes) == writes


def test_pods_that_are_ready_one_by_one_are_counted_all_along() -> None:
    """What is shown is never older than the time for which counters are held back."""
    world = upgrading(100, startup=2, replicas=8, routed=True)
    world.able = {gen.revision("shop:v2"): 0}
    world.run(60)
    for count in range(1, 8):
        world.able[gen.revision("shop:v2")] = count
        world.run(THROTTLE.total_seconds())
        assert world.status.ready_replicas == 8 + count


def test_the_deadline_counts_from_progress_that_nobody_is_shown() -> None:
    """One more pod is ready, one less of the old is: the clock begins anew, soon enough."""
    world = upgrading(25, 50, 75, 100, startup=2, progressDeadlineSeconds=100)
    world.able = {gen.revision("shop:v2"): 3}
    world.run(90)
    assert world.status.phase is Phase.PROGRESSING
    status = world.status
    assert status.progress_started_at
    assert status.step_start_time
    late = status.progress_started_at - status.step_start_time - timedelta(seconds=world.startup)
    assert late <= THROTTLE
    world.run(60)
    assert world.status.decisions[-1].reason == "Timeout"


@pytest.mark.parametrize(
    ("deadline", "ready"),
    [
        pytest.param(600, 590, id="the deadline that everybody has"),
        pytest.param(100, 80, id="a short one"),
    ],
)
def test_progress_shortly_before_the_deadline_counts_before_it_is_over(
    deadline: int, ready: int
) -> None:
    """A pod is ready in time, and is not 22 seconds later, when nothing has been stored since."""
    world = upgrading(50, 100, startup=2, progressDeadlineSeconds=deadline)
    world.able = {gen.revision("shop:v2"): 0}
    world.run(ready)
    world.able[gen.revision("shop:v2")] = 1
    world.run(22)
    world.able[gen.revision("shop:v2")] = 0
    world.run(deadline - 30)
    assert world.status.phase is Phase.PROGRESSING
    world.run(60)
    assert world.status.phase is Phase.FAILED


def test_an_engine_that_begins_again_and_again_keeps_the_deadline() -> None:
    """What it holds back goes with each process."""
    world = upgrading(50, 100, startup=2, progressDeadlineSeconds=100)
    world.able = {gen.revision("shop:v2"): 0}
    for second in range(0, 300, 20):
        world.able = {gen.revision("shop:v2"): int(second >= 40)}
        world.run(20)
        world.restart()
    assert world.status.phase is Phase.FAILED
