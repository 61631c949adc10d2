"""Stories of stepping in: requests, pauses, holds, invalid specs, a lost status, a dying engine."""

from typing import Any

import pytest

from fleet.api.rollout import Phase, RolloutStatus
from fleet.kulta.core import actions as act
from tests import gen
from tests.kulta.world import World, canary_world
from tests.stories.test_engine_canary import running


def paused(**keywords: Any) -> World:
    """shop:v2 is paused at 20 % of three steps."""
    world = running((20, None), (50, None), 100, **keywords)
    world.image("shop:v2")
    return world.run(5)


class TestRequests:
    """Each is acted on exactly once."""

    def test_crash_between_status_and_annotation_promotes_once(self) -> None:
        """The status is written, the annotation is not removed: the next engine only removes it."""
        world = paused(replicas=1)
        world.annotate("promote")
        world.tick()
        assert world.state == (Phase.PAUSED, 1, 50)
        world.annotate("promote")
        world.restart()
        world.run(10)
        assert world.state == (Phase.PAUSED, 1, 50)
        assert world.annotations == {}

    def test_the_same_request_right_after_the_first_is_another_one(self) -> None:
        """It comes before the status has forgotten the first."""
        world = running((20, None), (50, None), (80, None), 100)
        world.image("shop:v2")
        world.run(5)
        world.annotate("promote")
        while world.annotations:
            world.tick()
        assert world.status.handled == {"promote": "true"}
        world.annotate("promote")
        world.run(60)
        assert world.state == (Phase.PAUSED, 2, 80)

    def test_crash_before_the_status_promotes_once(self) -> None:
        world = paused()
        before = world.status
        world.annotate("promote")
        world.tick()
        world.status = before
        world.annotate("promote")
        world.run(10)
        assert world.state == (Phase.PAUSED, 1, 50)

    def test_promote_full_skips_the_rest(self) -> None:
        world = paused()
        world.annotate("promote-full")
        world.settle()
        assert world.status.phase is Phase.COMPLETED
        assert world.size("shop:v2") == 4
        assert any(item.reason == "ManualPromotion" for item in world.status.decisions)

    @pytest.mark.parametrize("verb", ["promote", "promote-full", "pause", "rollback", "retry"])
    def test_requests_at_rest_do_nothing_and_do_not_wait(self, verb: str) -> None:
        """A left-over annotation would act on the next revision unseen."""
        world = running((20, None), 100)
        world.annotate(verb)
        world.run(10)
        assert world.annotations == {}
        assert world.status.phase is Phase.COMPLETED
        message = f"kulta.io/{verb} has nothing to act on in phase Completed"
        said = act.Emit(kind="Warning", reason="NothingToDo", message=message)
        assert said in world.actions(act.Emit)
        world.image("shop:v2")
        world.run(10)
        assert world.state == (Phase.PAUSED, 0, 20)

    def test_promote_waits_for_its_step(self) -> None:
        world = running((20, None), (50, None), 100, startup=60.0)
        world.image("shop:v2")
        world.run(1)
        world.annotate("promote")
        world.run(30)
        assert world.status.current_step_index == 0
        world.run(300)
        assert world.state == (Phase.PAUSED, 1, 50)

    def test_request_for_a_revision_that_is_given_up_goes_with_it(self) -> None:
        world = running((20, None), 100, startup=30.0)
        world.image("shop:v2")
        world.run(1)
        world.annotate("promote")
        world.image("shop:v3")
        world.run(100)
        assert world.state == (Phase.PAUSED, 0, 20)
        assert world.annotations == {}

    def test_pause_of_a_revision_that_is_given_up_goes_with_it(self) -> None:
        world = running((20, "10s"), 100)
        world.image("shop:v2")
        world.run(3)
        world.annotate("pause")
        world.run(60)
        assert world.status.pause_requested
        world.image("shop:v3")
        assert world.settle().status.phase is Phase.COMPLETED

    def test_retry_forgives_the_checks_that_failed(self) -> None:
        metric = {"name": "error-rate", "threshold": 5, "failureThreshold": 2}
        world = running((20, None), 100, analysis=gen.analysis(metric))
        world.answer = lambda text: 50.0
        world.image("shop:v2")
        world.run(60)
        assert world.status.phase is Phase.FAILED
        world.annotate("retry")
        world.run(10)
        assert world.status.phase is Phase.PAUSED
        assert world.status.analysis.metrics[0].failures == 1

    def test_pause_and_resume(self) -> None:
        world = running((20, "10s"), 100)
        world.image("shop:v2")
        world.run(3)
        world.annotate("pause")
        world.run(600)
        assert world.state == (Phase.PAUSED, 0, 20)
        assert world.condition("Paused") == ("True", "PauseRequested")
        world.annotate("resume")
        assert world.settle().status.phase is Phase.COMPLETED


class TestHolds:
    """`spec.paused` is the user's, `spec.hold` the hub's."""

    @pytest.mark.parametrize(
        ("wish", "reason"),
        [
            pytest.param({"paused": True}, "UserPaused", id="the user's pause"),
            pytest.param(
                {"hold": {"reason": "halted", "sequence": 1}}, "Held", id="the hub's hold"
            ),
        ],
    )
    def test_nothing_moves_until_it_is_lifted(self, wish: dict[str, Any], reason: str) -> None:
        world = running((20, "10s"), 100, routed=True)
        world.image("shop:v2")
        world.run(3)
        world.update(**wish)
        world.run(1_200)
        assert world.state == (Phase.PAUSED, 0, 20)
        assert world.condition("Paused") == ("True", reason)
        world.annotate("promote")
        world.run(60)
        assert world.status.current_step_index == 0
        for key in wish:
            del world.manifest["spec"][key]
        world.update()
        assert world.settle().status.phase is Phase.COMPLETED

    @pytest.mark.parametrize("verb", ["promote", "promote-full"])
    @pytest.mark.parametrize(
        "wish",
        [
            pytest.param({"paused": True}, id="the user's pause"),
            pytest.param({"hold": {"reason": "halted", "sequence": 1}}, id="the hub's hold"),
        ],
    )
    def test_no_request_goes_past_it(self, wish: dict[str, Any], verb: str) -> None:
        world = paused(routed=True)
        world.update(**wish)
        world.annotate(verb)
        world.run(600)
        assert world.state == (Phase.PAUSED, 0, 20)
        assert (world.split(), world.annotations) == ((80, 20), {f"kulta.io/{verb}": "true"})
        for key in wish:
            del world.manifest["spec"][key]
        world.update()
        world.run(60)
        phase = Phase.PAUSED if verb == "promote" else Phase.COMPLETED
        assert world.status.phase is phase
        assert world.annotations == {}

    @pytest.mark.parametrize("verb", ["promote", "promote-full"])
    def test_request_that_waits_for_it_goes_with_its_revision(self, verb: str) -> None:
        world = paused()
        world.update(paused=True)
        world.annotate(verb)
        world.run(10)
        world.image("shop:v3")
        world.run(10)
        world.update(paused=False)
        world.run(10)
        assert world.state == (Phase.PAUSED, 0, 20)
        assert world.annotations == {}

    def test_revision_that_has_not_begun_does_not_begin(self) -> None:
        world = running(20, 100, routed=True)
        world.update(paused=True)
        world.image("shop:v2")
        world.run(60)
        assert world.status.phase is Phase.PAUSED
        assert world.size("shop:v2") == 0
        assert world.split() == (100, 0)

    def test_first_revision_that_has_not_begun_does_not_begin(self) -> None:
        world = canary_world(20, 100)
        world.update(paused=True)
        world.run(60)
        assert world.sets == {}
        world.update(paused=False)
        assert world.settle().status.phase is Phase.COMPLETED

    def test_hold_in_the_middle_of_a_step_takes_no_more_traffic(self) -> None:
        world = running(20, 50, 100, routed=True, startup=30.0)
        world.image("shop:v2")
        world.run(31)
        world.update(hold={"reason": "halted", "sequence": 1})
        world.run(120)
        assert world.status.phase is Phase.PAUSED
        assert world.split() == (80, 20)

    def test_hold_at_a_step_keeps_its_pods(self) -> None:
        """Held at a step that is reached, while a pod of it is replaced."""
        world = running((50, "10s"), 100, routed=True)
        world.image("shop:v2")
        world.run(3)
        world.update(paused=True)
        lost = next(key for key, pod in world.pods.items() if pod.hash == gen.revision("shop:v2"))
        world.born[lost] = world.now
        world.run(1)
        assert world.condition("Paused") == ("True", "UserPaused")
        assert world.condition("Progressing") == ("True", "PodsPending")
        world.run(5)
        assert world.split() == (50, 50)

    def test_held_for_long_is_not_late(self) -> None:
        world = running(20, 100, startup=30.0, progressDeadlineSeconds=60)
        world.image("shop:v2")
        world.update(paused=True)
        world.run(3_600)
        world.update(paused=False)
        assert world.settle().status.phase is Phase.COMPLETED


def test_return_to_the_stable_revision_cannot_fail() -> None:
    """There is nothing else to return to, however long its pods take."""
    world = paused(routed=True)
    world.broken = {gen.revision("shop:v1")}
    world.strict = False
    world.image("shop:v1")
    world.run(2_000)
    assert world.status.phase is Phase.PROGRESSING
    world.broken = set()
    assert world.settle().status.phase is Phase.COMPLETED


class TestInvalid:
    """A stored object becomes invalid."""

    def test_invalid_spec_is_said_and_changes_nothing(self) -> None:
        """[V25] Condition with the message, traffic untouched, gone once it is mended."""
        world = paused(routed=True)
        world.log.clear()
        good = world.manifest["spec"]["strategy"]
        world.update(strategy=gen.canary(50, 20, routed=True))
        world.run(60)
        assert world.condition("InvalidSpec") == ("True", "InvalidSpec")
        assert "steps[1].setWeight" in world.detail("InvalidSpec")
        assert [item.reason for item in world.log] == ["InvalidSpec"]
        assert world.split() == (80, 20)
        assert world.status.observed_generation == world.manifest["metadata"]["generation"] - 1
        assert len(world.writes[-1].conditions) == 6
        world.update(strategy=good)
        world.run(5)
        assert world.condition("InvalidSpec") is None
        assert world.state == (Phase.PAUSED, 0, 20)

    def test_invalid_from_the_beginning_has_no_phase(self) -> None:
        world = World(gen.manifest(strategy={}))
        world.run(5)
        assert world.status.phase is None
        assert world.condition("InvalidSpec") == ("True", "InvalidSpec")
        assert [item.reason for item in world.log] == ["InvalidSpec"]


class TestLostStatus:
    """The status is gone; the sets tell what is stable."""

    @pytest.mark.parametrize("routed", [False, True], ids=["by numbers of pods", "by a route"])
    def test_lost_in_the_middle_goes_through_the_steps_again(self, routed: bool) -> None:
        world = running((20, None), (50, None), 100, routed=routed)
        world.image("shop:v2")
        world.run(5)
        world.annotate("promote")
        world.run(5)
        world.status = RolloutStatus()
        world.run(30)
        assert world.state == (Phase.PAUSED, 0, 20)
        assert world.status.stable_pod_hash == gen.revision("shop:v1")

    def test_lost_and_held_stays_at_three_and_none(self) -> None:
        """[S8] No status, three replicas: 3/0 until something may move."""
        world = running(20, 100, replicas=3)
        world.update(paused=True)
        world.image("shop:v2")
        world.status = RolloutStatus()
        world.run(60)
        assert (world.size("shop:v1"), world.size("shop:v2")) == (3, 0)

    @pytest.mark.parametrize("routed", [False, True], ids=["by numbers of pods", "by a route"])
    def test_lost_at_rest_comes_to_rest(self, routed: bool) -> None:
        world = running(50, 100, routed=routed)
        world.image("shop:v2")
        world.settle()
        world.log.clear()
        world.status = RolloutStatus()
        world.settle()
        assert world.status.phase is Phase.COMPLETED
        assert world.status.stable_pod_hash == gen.revision("shop:v2")
        assert all(isinstance(item, act.Emit) for item in world.log)


@pytest.mark.parametrize("routed", [False, True], ids=["by numbers of pods", "by a route"])
def test_engine_that_dies_anywhere_is_carried_on(routed: bool) -> None:
    """Every plan is cut off after every single action; the rollout ends the same."""
    world = running((20, "10s"), 50, 100, routed=routed)
    world.image("shop:v2")
    world.cut = True
    world.settle()
    world.cut = False
    world.settle()
    assert world.status.phase is Phase.COMPLETED
    assert (world.size("shop:v1"), world.size("shop:v2")) == (0, 4)
    assert len(world.actions(act.CreateReplicaSet)) == 1


def test_simple_rollout_replaces_pods_within_its_bounds() -> None:
    """[T8] No Service and no route is touched."""
    world = World(gen.manifest(strategy={"simple": {}}))
    world.routes = {gen.ROUTE: gen.route(100, 0)}
    world.services = {gen.STABLE: gen.service(gen.STABLE, "stable")}
    world.settle()
    assert world.state == (Phase.COMPLETED, None, None)
    assert world.roles("shop:v1") == {"simple"}
    world.image("shop:v2")
    world.settle()
    assert world.status.phase is Phase.COMPLETED
    assert (world.size("shop:v1"), world.size("shop:v2")) == (0, 4)
    touched = (act.SelectService, act.WriteRoute, act.SetFinalizer, act.RelabelReplicaSet)
    assert not [item for item in world.log if isinstance(item, touched)]


def test_simple_rollout_that_fails_its_analysis_is_restored() -> None:
    world = World(gen.manifest(strategy={"simple": {"analysis": gen.analysis()}}))
    world.settle()
    world.answer = lambda text: 80.0
    world.image("shop:v2")
    world.settle()
    assert world.status.phase is Phase.FAILED
    assert (world.size("shop:v1"), world.size("shop:v2")) == (4, 0)
    world.answer = lambda text: 0.1
    world.image("shop:v3")
    world.settle()
    assert world.status.phase is Phase.COMPLETED
    assert world.size("shop:v3") == 4


@pytest.mark.parametrize("verb", ["promote", "promote-full"])
def test_person_may_decide_for_the_analysis_of_a_simple_rollout(verb: str) -> None:
    world = World(gen.manifest(strategy={"simple": {"analysis": gen.analysis()}}))
    world.settle()
    world.image("shop:v2")
    world.run(60)
    assert world.status.phase is Phase.PROGRESSING
    assert world.condition("Progressing") == ("True", "SamplesInsufficient")
    world.annotate(verb)
    world.run(5)
    assert world.status.phase is Phase.COMPLETED
    assert world.status.decisions[-2].reason == "ManualPromotion"


def test_held_simple_rollout_replaces_no_more_pods() -> None:
    world = World(gen.manifest(strategy={"simple": {}}))
    world.settle()
    world.image("shop:v2")
    world.run(3)
    world.update(paused=True)
    world.run(1)
    sizes = (world.size("shop:v1"), world.size("shop:v2"))
    world.run(600)
    assert (world.size("shop:v1"), world.size("shop:v2")) == sizes
    assert world.status.phase is Phase.PAUSED
    world.update(paused=False)
    assert world.settle().status.phase is Phase.COMPLETED
