"""Stories of blue-green: preview, gate, cut-over, the old pods' last half minute.

What goes wrong on the way is told in `test_engine_bluegreen_rollback`.
"""

from datetime import timedelta
from typing import Any

import pytest

from fleet.api.rollout import Phase
from fleet.kulta.core import actions as act
from tests import gen
from tests.kulta.world import World, blue_green_world

V1, V2, V3 = (gen.revision(f"shop:v{number}") for number in (1, 2, 3))

ways = pytest.mark.parametrize("routed", [False, True], ids=["by Services", "by a route"])


def running(**keywords: Any) -> World:
    """shop:v1 serves; nothing has been done yet about shop:v2."""
    world = blue_green_world(**keywords).settle()
    assert world.status.phase is Phase.COMPLETED
    world.log.clear()
    world.writes.clear()
    world.weights.clear()
    return world


def previewing(**keywords: Any) -> World:
    """shop:v2 stands in its preview."""
    world = running(**keywords)
    world.image("shop:v2")
    world.run(3)
    assert world.status.phase is Phase.PREVIEW
    return world


def messages(world: World) -> list[str]:
    return [item.message for item in world.status.decisions]


class TestPreview:
    """Before the gate nothing touches what serves."""

    def test_first_revision_with_steps_is_previewed(self) -> None:
        """[B1] Five replicas: Preview without index and weight, and it says so."""
        world = blue_green_world(replicas=5, stepsOnFirstRollout=True)
        world.run(3)
        assert world.state == (Phase.PREVIEW, None, None)
        assert "the preview of revision" in world.status.message
        assert "is ready" in world.status.message
        assert world.behind(gen.ACTIVE) == world.behind(gen.PREVIEW) == {V1}

    @ways
    def test_first_revision_has_nothing_to_compare_with(self, routed: bool) -> None:
        world = blue_green_world(routed=routed).settle()
        assert world.state == (Phase.COMPLETED, None, None)
        assert world.roles("shop:v1") == {"active"}
        assert world.behind(gen.ACTIVE) == world.behind(gen.PREVIEW) == {V1}
        assert Phase.PREVIEW not in {item.phase for item in world.writes}

    @ways
    def test_preview_waits_for_a_person(self, routed: bool) -> None:
        """[B2] [B7] [B10] [H6] Two pods each, roles and Services apart, for as long as it takes."""
        world = previewing(replicas=2, routed=routed)
        world.run(3_600)
        assert world.status.phase is Phase.PREVIEW
        assert "awaiting promotion" in world.status.message
        assert world.condition("Progressing") == ("True", "AwaitingPromotion")
        assert (world.ready("shop:v1"), world.ready("shop:v2")) == (2, 2)
        assert (world.roles("shop:v1"), world.roles("shop:v2")) == ({"active"}, {"preview"})
        assert (world.behind(gen.ACTIVE), world.behind(gen.PREVIEW)) == ({V1}, {V2})
        assert world.weights == []

    def test_route_stays_at_the_active_service(self) -> None:
        """[B5] 100/0 while the preview stands."""
        world = previewing(routed=True)
        assert world.split() == (100, 0)
        assert world.actions(act.WriteRoute) == []

    def test_preview_is_said_only_when_every_pod_of_it_is_ready(self) -> None:
        world = running(startup=5.0)
        world.image("shop:v2")
        world.run(4)
        assert world.state == (Phase.PROGRESSING, None, None)
        assert world.condition("Progressing") == ("True", "PodsPending")
        world.run(2)
        assert world.status.phase is Phase.PREVIEW
        assert world.status.pause_start_time == world.status.step_start_time

    def test_a_start_that_is_lost_is_that_of_the_step(self) -> None:
        """The clock that is told of does not stand."""
        world = running(after=30)
        world.image("shop:v2")
        world.run(10)
        world.status = world.status.model_copy(update={"pause_start_time": None})
        assert world.run(10).status.phase is Phase.PREVIEW
        assert world.settle().status.phase is Phase.COMPLETED

    def test_preview_is_silent(self) -> None:
        """One message, one write: nothing flips while somebody thinks."""
        world = previewing()
        world.run(10)
        world.writes.clear()
        world.log.clear()
        world.run(7_200)
        assert (world.writes, world.log) == ([], [])

    @pytest.mark.parametrize("size", [6, 2], ids=["up", "down"])
    def test_scaled_in_preview_both_sides_follow(self, size: int) -> None:
        world = previewing(replicas=4, routed=True)
        world.update(replicas=size)
        world.run(1)
        world.annotate("promote")
        world.run(10)
        assert world.status.phase is Phase.COMPLETED
        assert (world.size("shop:v1"), world.ready("shop:v2")) == (size, size)

    def test_pods_that_come_while_it_stands_keep_the_gate_shut(self) -> None:
        world = previewing(replicas=2)
        known = set(world.pods)
        world.update(replicas=3)
        world.run(0)
        world.born |= dict.fromkeys(world.pods.keys() - known, world.now + timedelta(minutes=1))
        world.annotate("promote")
        world.run(30)
        assert world.status.phase is Phase.PREVIEW
        assert world.condition("Progressing") == ("True", "PodsPending")
        assert world.behind(gen.ACTIVE) == {V1}
        world.run(60)
        assert world.status.phase is Phase.COMPLETED

    def test_scaled_to_zero_there_is_nothing_to_preview(self) -> None:
        world = previewing()
        world.update(replicas=0)
        world.settle()
        assert world.status.phase is Phase.COMPLETED
        assert world.sets[V1].replicas == world.sets[V2].replicas == 0

    def test_scaled_to_zero_while_it_is_held_the_preview_comes_back(self) -> None:
        world = previewing()
        world.update(hold={"reason": "halted"})
        for size in (0, 2):
            world.update(replicas=size)
            world.run(5)
            assert world.status.phase is Phase.PREVIEW
            assert world.condition("Paused") == ("True", "Held")
            assert world.size("shop:v1") == world.size("shop:v2") == size
        assert world.behind(gen.ACTIVE) == {V1}


class TestGate:
    """Who opens it."""

    @ways
    def test_person_promotes(self, routed: bool) -> None:
        """[B3] [B4] [B8] Completed, promoted; the request goes at once, the old pods later."""
        world = previewing(replicas=2, routed=routed)
        world.annotate("promote")
        world.run(1)
        assert world.state == (Phase.COMPLETED, None, None)
        assert "promoted" in world.status.message
        assert world.annotations == {}
        assert (world.size("shop:v1"), world.ready("shop:v2")) == (2, 2)
        world.settle()
        assert (world.size("shop:v1"), world.ready("shop:v2")) == (0, 2)
        assert world.roles("shop:v2") == {"active"}
        assert world.behind(gen.ACTIVE) == world.behind(gen.PREVIEW) == {V2}
        assert world.status.stable_pod_hash == V2
        world.run(600)
        assert world.status.phase is Phase.COMPLETED

    def test_clock_promotes(self) -> None:
        """[B9] Five seconds: still a preview after four, promoted after five."""
        world = running(after=5, startup=2.0)
        world.image("shop:v2")
        world.run(6)
        assert world.status.phase is Phase.PREVIEW
        assert "after 5 seconds" in world.status.message
        world.run(1)
        assert world.status.phase is Phase.COMPLETED
        assert [item.reason for item in world.status.decisions][-2] == "PauseDurationExpired"

    def test_seconds_without_permission_promote_nothing(self) -> None:
        """[B10] `autoPromotionEnabled: false` with seconds: still a preview after an hour."""
        world = previewing()
        body = gen.blue_green(autoPromotionEnabled=False, autoPromotionSeconds=300)
        world.update(strategy=body)
        world.run(3_600)
        assert world.status.phase is Phase.PREVIEW

    def test_permission_given_later_counts_from_readiness(self) -> None:
        world = previewing()
        world.run(100)
        world.update(strategy=gen.blue_green(after=60))
        world.run(1)
        assert world.status.phase is Phase.COMPLETED

    def test_second_change_has_its_own_gate(self) -> None:
        """[B11] Promoted once: the next image is previewed again, and what serves is untouched."""
        world = previewing(routed=True)
        world.annotate("promote")
        world.settle()
        world.image("shop:v3")
        world.run(60)
        assert world.status.phase is Phase.PREVIEW
        assert (world.behind(gen.ACTIVE), world.behind(gen.PREVIEW)) == ({V2}, {V3})
        assert world.split() == (100, 0)

    def test_request_that_came_early_waits_for_the_preview(self) -> None:
        world = running(startup=30.0)
        world.image("shop:v2")
        world.run(1)
        world.annotate("promote")
        world.run(20)
        assert world.behind(gen.ACTIVE) == {V1}
        world.run(20)
        assert world.status.phase is Phase.COMPLETED
        assert world.annotations == {}

    def test_promote_full_skips_gate_and_analysis(self) -> None:
        world = previewing(analysis=gen.analysis(warmupDuration="5m"))
        world.annotate("promote-full")
        world.settle()
        assert world.status.phase is Phase.COMPLETED
        assert any(item.reason == "ManualPromotion" for item in world.status.decisions)

    @pytest.mark.parametrize(
        ("wish", "reason"),
        [
            pytest.param({"paused": True}, "UserPaused", id="the user's pause"),
            pytest.param({"hold": {"reason": "halted", "sequence": 1}}, "Held", id="the hub's"),
        ],
    )
    def test_hold_keeps_it_shut_for_clock_and_person(
        self, wish: dict[str, Any], reason: str
    ) -> None:
        world = previewing(after=10, routed=True)
        world.update(**wish)
        world.annotate("promote")
        world.run(600)
        assert world.status.phase is Phase.PREVIEW
        assert world.condition("Paused") == ("True", reason)
        assert world.split() == (100, 0)
        for key in wish:
            del world.manifest["spec"][key]
        world.update()
        world.run(5)
        assert world.status.phase is Phase.COMPLETED

    def test_held_before_it_has_pods_it_does_not_begin(self) -> None:
        world = running()
        world.update(paused=True)
        world.image("shop:v2")
        world.run(60)
        assert world.status.phase is Phase.PAUSED
        assert world.size("shop:v2") == 0
        world.update(paused=False)
        world.run(3)
        assert world.status.phase is Phase.PREVIEW

    def test_pause_asked_for_ends_with_resume_or_promote(self) -> None:
        world = previewing(after=10)
        world.annotate("pause")
        world.run(60)
        assert world.condition("Paused") == ("True", "PauseRequested")
        world.annotate("resume")
        world.run(5)
        assert world.status.phase is Phase.COMPLETED


class TestAnalysis:
    """In the preview, and only there."""

    def test_clock_waits_for_the_analysis(self) -> None:
        """Judged from readiness on; promoted by what it says."""
        world = running(after=5, analysis=gen.analysis(warmupDuration="1m"), routed=True)
        world.answer = lambda text: 0.5
        world.image("shop:v2")
        world.run(50)
        assert world.status.phase is Phase.PREVIEW
        assert world.asked == []
        assert world.condition("Progressing") == ("True", "WarmingUp")
        world.run(30)
        assert world.status.phase is Phase.COMPLETED
        assert [item.reason for item in world.status.decisions][-2] == "AnalysisPassed"

    def test_person_need_not_wait_for_it(self) -> None:
        world = previewing(analysis=gen.analysis(warmupDuration="5m"))
        world.annotate("promote")
        world.run(3)
        assert world.status.phase is Phase.COMPLETED

    def test_series_by_role_are_those_of_the_preview(self) -> None:
        """The reference's label: `revision="preview"`."""
        metric = {"name": "error-rate", "threshold": 5, "source": "appRole"}
        world = previewing(analysis=gen.analysis(metric))
        assert all(
            'revision="preview"' in text or 'revision="active"' in text for text in world.asked
        )
        assert any('revision="preview"' in text for text in world.asked)

    def test_first_revision_is_not_judged(self) -> None:
        world = blue_green_world(analysis=gen.analysis()).settle()
        assert world.status.phase is Phase.COMPLETED
        assert world.asked == []


class TestCutOver:
    """From Preview to Completed, in the order that leaves no gap."""

    def test_route_goes_over_before_the_service_is_switched_and_back_after(self) -> None:
        """[B6] 0/100 while the active Service changes hands, 100/0 again when it has."""
        world = previewing(routed=True)
        world.log.clear()
        world.annotate("promote")
        world.settle()
        moves = [
            f"{item.name} → {item.selector['rollouts.kulta.io/hash']}"
            if isinstance(item, act.SelectService)
            else tuple(ref["weight"] for ref in item.manifest["spec"]["rules"][0]["backendRefs"])
            for item in world.log
            if isinstance(item, act.SelectService | act.WriteRoute)
        ]
        assert moves == [(0, 100), f"{gen.ACTIVE} → {V2}", (100, 0)]
        assert world.weights == [100, 0]

    def test_gate_is_written_down_before_traffic_moves(self) -> None:
        world = previewing(routed=True)
        world.annotate("promote")
        world.tick()
        assert world.state == (Phase.PROGRESSING, None, None)
        assert world.status.reached_step_index == 0
        assert world.split() == (100, 0)

    def test_gateway_that_does_not_answer_keeps_the_active_service(self) -> None:
        world = previewing(routed=True)
        world.gateway = False
        world.annotate("promote")
        world.run(60)
        assert world.behind(gen.ACTIVE) == {V1}
        assert world.condition("TrafficReady") == ("False", "RoutePending")
        assert world.status.step == "promotion"
        world.gateway = True
        world.run(5)
        assert world.status.phase is Phase.COMPLETED

    @ways
    def test_slices_that_lag_keep_both_sides(self, routed: bool) -> None:
        world = previewing(routed=routed)
        world.sliced = False
        world.annotate("promote")
        world.run(60)
        assert world.status.phase is Phase.PROGRESSING
        assert (world.ready("shop:v1"), world.ready("shop:v2")) == (4, 4)
        assert world.condition("TrafficReady") == ("False", "EndpointsPending")
        world.sliced = True
        world.run(5)
        assert world.status.phase is Phase.COMPLETED

    @ways
    def test_engine_that_dies_after_every_action_goes_the_same_way(self, routed: bool) -> None:
        world = previewing(routed=routed)
        world.annotate("promote")
        world.cut = True
        world.settle()
        assert world.status.phase is Phase.COMPLETED
        assert world.weights == ([100, 0] if routed else [])
        pointed = [
            item.selector["rollouts.kulta.io/hash"] for item in world.actions(act.SelectService)
        ]
        assert set(pointed[-1:]) == {V2}

    def test_old_pods_stay_for_the_delay(self) -> None:
        world = previewing(scaleDownDelay="2m")
        world.annotate("promote")
        world.run(115)
        assert (world.status.phase, world.size("shop:v1")) == (Phase.COMPLETED, 4)
        world.run(10)
        assert world.size("shop:v1") == 0
        assert world.status.previous_pod_hash == V1

    def test_no_delay_no_wait(self) -> None:
        world = previewing(scaleDownDelay="0s")
        world.annotate("promote")
        world.run(1)
        assert (world.status.phase, world.size("shop:v1")) == (Phase.COMPLETED, 0)
