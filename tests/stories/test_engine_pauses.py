"""Stories of pauses: those of a step, timed or until a person ends them."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from fleet.api.rollout import Phase
from tests import gen
from tests.kulta.ab import ab_world
from tests.kulta.world import World
from tests.stories.test_engine_canary import running


class TestPauses:
    """Timed and manual pauses."""

    def test_step_with_a_pause_is_paused_once_reached(self) -> None:
        """[C22] Phase Paused with a start time, and still so three seconds later."""
        world = running((20, "1m"), 100)
        world.image("shop:v2")
        world.run(2)
        assert world.status.phase is Phase.PAUSED
        assert world.status.pause_start_time is not None
        assert world.condition("Paused") == ("True", "StepPaused")
        world.run(3)
        assert world.status.phase is Phase.PAUSED

    @pytest.mark.parametrize(
        ("seconds", "index"),
        [
            pytest.param(9, 0, id="[C9] [C10] not before it is over"),
            pytest.param(10, 1, id="[C8] [C10] at the second when it is over"),
        ],
    )
    def test_timed_pause_ends_by_itself(self, seconds: int, index: int) -> None:
        world = running((20, "10s"), (100, None))
        world.image("shop:v2")
        world.run(2)
        world.run(seconds)
        assert world.status.current_step_index == index

    @pytest.mark.parametrize(
        ("duration", "seconds", "left"),
        [
            pytest.param("10s", 9, 1, id="[Q4] nine of ten seconds are over: exactly then"),
            pytest.param(None, 60, None, id="[Q6] without an end: when somebody ends it"),
        ],
    )
    def test_next_look_is_when_something_is_due(
        self, duration: str | None, seconds: int, left: int | None
    ) -> None:
        world = running((20, duration), (100, None))
        world.image("shop:v2")
        world.run(5)
        began = world.status.pause_start_time
        world.now = began + timedelta(seconds=seconds)
        world.tick()
        due = None if left is None else world.now + timedelta(seconds=left)
        assert world.plans[-1].wake_at == due

    def test_without_a_pause_nobody_looks_again_by_the_clock(self) -> None:
        """[Q5] Completed, and at rest."""
        world = running(20, 100)
        world.tick()
        assert world.plans[-1].wake_at is None

    def test_pause_that_is_overdue_is_left_at_once(self) -> None:
        """[Q7] Fifteen seconds of ten."""
        world = running((20, "10s"), (100, None))
        world.image("shop:v2")
        world.run(5)
        world.now = world.status.pause_start_time + timedelta(seconds=15)
        world.tick()
        assert world.status.current_step_index == 1

    def test_pause_without_a_start_begins_anew(self) -> None:
        """[C7] Paused, but nobody knows since when: the whole pause from the next look on."""
        world = running((20, "5m"), 100)
        world.image("shop:v2")
        world.run(240)
        world.status = world.status.model_copy(update={"pause_start_time": None})
        assert world.run(299).state == (Phase.PAUSED, 0, 20)
        assert world.run(1).state[:2] == (Phase.PROGRESSING, 1)
        assert world.settle().status.phase is Phase.COMPLETED

    @pytest.mark.parametrize(
        "paused", [pytest.param(False, id="while it waits"), pytest.param(True, id="while held")]
    )
    def test_pause_that_comes_while_its_step_is_in_force_begins_then(self, paused: bool) -> None:
        world = running(20, 100, analysis=gen.analysis())
        world.answer = lambda text: None
        world.image("shop:v2")
        world.run(60)
        world.manifest["spec"]["strategy"]["canary"]["steps"][0]["pause"] = {"duration": "10m"}
        world.manifest["spec"]["paused"] = paused
        world.update()
        world.run(60)
        world.manifest["spec"]["paused"] = False
        world.update()
        world.answer = lambda text: 0.5
        assert world.run(530).state == (Phase.PAUSED, 0, 20)
        assert world.run(15).state == (Phase.PROGRESSING, 1, 100)

    def test_deadline_counts_from_each_step(self) -> None:
        """[C5] The start of progress is that of the step, not of the rollout."""
        world = running(20, 50, 100, startup=30.0)
        world.image("shop:v2")
        world.tick()
        first = world.status.progress_started_at
        world.run(31)
        assert world.status.current_step_index == 1
        assert world.status.progress_started_at > first

    def test_pauses_of_ten_seconds_follow_each_other(self) -> None:
        """[C21] 20 %, then 50 %, then all and Completed."""
        world = running((20, "10s"), (50, "10s"), 100, startup=0.001)
        world.image("shop:v2")
        assert world.run(5).status.current_weight == 20
        assert world.run(10).status.current_weight == 50
        assert world.run(10).state == (Phase.COMPLETED, 3, 100)

    @pytest.mark.parametrize(
        "value",
        [
            pytest.param(None, id="[C11] without an annotation it lasts"),
            pytest.param("false", id="[C13] false does not promote"),
            pytest.param("yes", id="[C13] yes does not promote"),
            pytest.param("True", id="[C13] only exactly true promotes"),
        ],
    )
    def test_pause_without_duration_waits_for_a_person(self, value: str | None) -> None:
        world = running((20, None), 100)
        world.image("shop:v2")
        world.run(3)
        if value is not None:
            world.annotate("promote", value)
        world.run(86_000)
        assert world.state == (Phase.PAUSED, 0, 20)

    def test_promotion_by_annotation_ends_a_pause(self) -> None:
        """[C12] [C14] [C15] The next pause has its own clock; a step without one has none."""
        world = running((20, None), (50, None), 100)
        world.image("shop:v2")
        world.run(5)
        first = world.status.pause_start_time
        world.annotate("promote")
        world.run(5)
        assert world.state == (Phase.PAUSED, 1, 50)
        assert world.status.pause_start_time not in (None, first)
        world.annotate("promote")
        world.tick()
        assert world.status.pause_start_time is None

    def test_one_annotation_promotes_one_step(self) -> None:
        """[C20] Exactly one step, the annotation is gone, a second one completes."""
        world = running((20, None), (50, None), 100)
        world.image("shop:v2")
        world.run(5)
        world.annotate("promote")
        world.run(60)
        assert world.state == (Phase.PAUSED, 1, 50)
        assert world.annotations == {}
        assert world.status.handled == {}
        world.annotate("promote")
        assert world.settle().status.phase is Phase.COMPLETED


@pytest.mark.parametrize(
    ("made", "reached"),
    [
        pytest.param(lambda: running((50, None), routed=True, replicas=0), "Paused", id="a canary"),
        pytest.param(lambda: running((50, None), replicas=0), "Paused", id="without a route"),
        pytest.param(lambda: ab_world(replicas=0).settle(), "Experimenting", id="an experiment"),
    ],
)
def test_held_without_pods_the_old_revision_grows_and_the_new_one_is_tried(
    made: Callable[[], World], reached: str
) -> None:
    """Without pods there is nothing to try; with a hold there may be some before it ends."""
    world = made()
    world.update(hold={"reason": "halted"})
    world.image("shop:v2")
    world.run(5)
    assert world.condition("Paused") == ("True", "Held")
    world.update(replicas=2)
    world.run(5)
    assert (world.ready("shop:v1"), world.size("shop:v2")) == (2, 0)
    world.update(hold=None)
    world.run(10)
    assert world.status.phase == reached
    assert world.status.current_step_index == 0
    assert world.ready("shop:v1") > 0
