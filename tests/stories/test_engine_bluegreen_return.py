"""Stories of blue-green after the promotion, and of what it needs and does not find.

While the old pods stay, the way back is short; later it is a rollout like any other.
"""

from typing import Any

import pytest

from fleet.api.rollout import Phase
from fleet.kulta.core import actions as act
from tests import gen
from tests.kulta.world import World, blue_green_world
from tests.stories.test_engine_bluegreen import V1, V2, previewing, running, ways
from tests.stories.test_engine_bluegreen_rollback import cutting_over, writes_of_traffic


def promoted(**keywords: Any) -> World:
    """shop:v2 serves; the pods of shop:v1 are still there."""
    world = previewing(**keywords)
    world.annotate("promote")
    world.run(5)
    assert (world.status.phase, world.ready("shop:v1")) == (Phase.COMPLETED, 4)
    world.log.clear()
    return world


class TestTheWayBack:
    """While the old pods stay it is short."""

    @pytest.mark.parametrize("verb", ["rollback", "abort"])
    @ways
    def test_request_brings_the_old_revision_back_at_once(self, routed: bool, verb: str) -> None:
        """Failed, and not tried again; the pods that had the traffic go later."""
        world = promoted(routed=routed)
        world.annotate(verb)
        world.run(0)
        assert world.status.phase is Phase.FAILED
        assert (world.status.stable_pod_hash, world.status.failed_pod_hash) == (V1, V2)
        assert world.behind(gen.ACTIVE) == {V1}
        assert world.roles("shop:v1") == {"active"}
        assert world.size("shop:v2") == 4
        world.settle()
        assert (world.ready("shop:v1"), world.size("shop:v2")) == (4, 0)
        assert world.actions(act.CreateReplicaSet) == []
        world.run(3_600)
        assert world.behind(gen.ACTIVE) == world.behind(gen.PREVIEW) == {V1}

    @ways
    def test_template_brings_the_old_revision_back_without_gate_and_analysis(
        self, routed: bool
    ) -> None:
        world = promoted(routed=routed, analysis=gen.analysis(warmupDuration="5m"))
        world.asked.clear()
        world.image("shop:v1")
        world.run(0)
        assert world.status.phase is Phase.COMPLETED
        assert world.behind(gen.ACTIVE) == {V1}
        assert world.asked == []
        reasons = [(item.action, item.reason) for item in world.status.decisions][-2:]
        assert reasons == [("Rollback", "ManualRollback"), ("Complete", "StepCompleted")]

    def test_there_and_back_and_there_again(self) -> None:
        world = promoted(routed=True)
        for image, revision in (("shop:v1", V1), ("shop:v2", V2), ("shop:v1", V1)):
            world.image(image)
            world.run(5)
            assert world.status.phase is Phase.COMPLETED
            assert world.behind(gen.ACTIVE) == {revision}

    def test_later_it_is_a_rollout_like_any_other(self) -> None:
        world = promoted()
        world.run(60)
        world.annotate("rollback")
        world.run(1)
        assert world.status.phase is Phase.COMPLETED
        assert any(item.reason == "NothingToDo" for item in world.actions(act.Emit))
        world.image("shop:v1")
        world.run(5)
        assert world.status.phase is Phase.PREVIEW

    def test_another_revision_ends_it(self) -> None:
        """The old pods make room: never more than twice as many."""
        world = promoted()
        world.image("shop:v3")
        world.run(5)
        assert world.status.phase is Phase.PREVIEW
        assert (world.size("shop:v1"), world.size("shop:v2"), world.size("shop:v3")) == (0, 4, 4)
        world.annotate("rollback")
        world.run(5)
        assert world.status.stable_pod_hash == V2

    def test_scaled_meanwhile_the_old_pods_are_never_more_than_the_new(self) -> None:
        world = promoted()
        world.update(replicas=2)
        world.run(5)
        assert (world.size("shop:v1"), world.size("shop:v2")) == (2, 2)


class TestTrouble:
    """Something that it needs is missing."""

    @pytest.mark.parametrize("name", [gen.ACTIVE, gen.PREVIEW])
    def test_service_that_is_missing_is_told_and_awaited(self, name: str) -> None:
        world = running()
        lost = world.services.pop(name)
        world.image("shop:v2")
        world.run(60)
        assert world.status.phase is Phase.PROGRESSING
        assert world.condition("TrafficReady") == ("False", "ServiceNotFound")
        assert name in world.detail("TrafficReady")
        world.services[name] = lost
        world.run(5)
        assert world.status.phase is Phase.PREVIEW

    def test_first_revision_waits_for_its_services(self) -> None:
        world = blue_green_world()
        services, world.services = world.services, {}
        world.run(60)
        assert world.condition("TrafficReady") == ("False", "ServiceNotFound")
        world.services = services
        assert world.settle().status.phase is Phase.COMPLETED

    def test_stable_revision_in_need_keeps_nobody_from_being_previewed(self) -> None:
        world = running()
        world.broken = {V1}
        world.strict = False
        world.run(5)
        world.image("shop:v2")
        world.run(10)
        assert world.status.phase is Phase.PREVIEW
        assert world.condition("Available") == ("False", "Unavailable"), "a preview serves nobody"
        world.annotate("promote")
        world.run(10)
        assert world.status.phase is Phase.COMPLETED
        assert world.condition("Available") == ("True", "Available")
        assert world.behind(gen.ACTIVE) == {V2}

    def test_stable_revision_in_need_takes_no_traffic_back(self) -> None:
        world = cutting_over(routed=True)
        world.broken = {V1}
        world.strict = False
        world._world()
        world.image("shop:v3")
        world.run(60)
        assert world.behind(gen.ACTIVE) == {V2}
        assert "too few ready pods" in world.status.message
        world.broken = set()
        world.run(10)
        assert (world.status.phase, world.behind(gen.ACTIVE)) == (Phase.PREVIEW, {V1})

    def test_selector_that_somebody_puts_back_is_contested(self) -> None:
        world = previewing()
        for _ in range(5):
            world.undo(gen.ACTIVE)
            world.run(1)
        assert world.condition("Degraded") == ("True", "SelectorContested")

    def test_route_that_is_lost_in_a_preview_is_awaited_without_a_deadline(self) -> None:
        world = previewing(routed=True, progressDeadlineSeconds=60)
        lost, world.routes = world.routes, {}
        world.annotate("promote")
        world.run(3_600)
        assert world.status.phase is Phase.PREVIEW
        assert world.condition("TrafficReady") == ("False", "RouteNotFound")
        world.routes = lost
        world.run(5)
        assert world.status.phase is Phase.COMPLETED

    def test_weights_that_somebody_changes_in_a_preview_are_contested(self) -> None:
        world = previewing(routed=True)
        world.strict = False
        for _ in range(5):
            refs = world.routes[gen.ROUTE]["spec"]["rules"][0]["backendRefs"]
            refs[0]["weight"], refs[1]["weight"] = 50, 50
            world.run(1)
        assert world.condition("Degraded") == ("True", "WeightsContested")
        world.annotate("resume")
        world.run(1)
        assert world.split() == (100, 0)

    def test_lost_status_costs_a_preview_and_no_traffic(self) -> None:
        world = previewing(routed=True)
        world.status = type(world.status)()
        world.log.clear()
        world.run(5)
        assert world.status.phase is Phase.PREVIEW
        assert world.status.stable_pod_hash == V1
        assert writes_of_traffic(world) == []
