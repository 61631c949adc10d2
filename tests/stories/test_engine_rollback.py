"""Stories of rollouts that go badly: bad metrics, deadline, requests, a stable revision in need.

Traffic goes back first, then the pods; Failed is terminal until the template changes or somebody
asks for a retry.
"""

from datetime import timedelta

import pytest

from fleet.api.rollout import Phase
from tests import gen
from tests.kulta.world import Answer, World, blue_green_world, canary_world
from tests.stories.test_engine_canary import running


def bad(image: str = "shop:v2") -> Answer:
    """Answers: half of the requests of that revision fail."""
    return lambda text: 50.0 if gen.revision(image) in text else 0.5


def failing(*weights: object, **keywords: object) -> World:
    """shop:v2 is on its way and fails its analysis."""
    world = running(*weights, analysis=gen.analysis(), **keywords)
    world.answer = bad()
    world.image("shop:v2")
    return world


@pytest.mark.parametrize("routed", [False, True], ids=["by numbers of pods", "by a route"])
def test_bad_metrics_take_the_revision_back(routed: bool) -> None:
    """[C24] [T21] [M17] Failed, weight 0, 100/0, no canary pods; never above 20 %."""
    world = failing(20, 50, 100, routed=routed)
    world.run(120)
    assert world.state == (Phase.FAILED, 0, 0)
    assert (world.size("shop:v1"), world.size("shop:v2")) == (4, 0)
    assert world.status.failed_pod_hash == gen.revision("shop:v2")
    assert world.status.stable_pod_hash == gen.revision("shop:v1")
    assert max((item.weight or 0) for item in world.status.decisions[2:]) == 20
    if routed:
        assert world.weights == [20, 0]
        assert world.split() == (100, 0)
        assert world.behind(gen.STABLE) == {gen.revision("shop:v1")}


def test_failed_stays_failed() -> None:
    """[C25] Failed at 20 % with a pause of 5 minutes: still so ten minutes later, and silent."""
    world = failing((20, "5m"), 50, 100, routed=True)
    world.run(60)
    assert world.status.phase is Phase.FAILED
    world.writes.clear()
    world.log.clear()
    world.asked.clear()
    world.run(600)
    assert world.status.phase is Phase.FAILED
    assert world.split() == (100, 0)
    assert (world.writes, world.log, world.asked) == ([], [], [])


def test_traffic_goes_back_before_the_pods_go() -> None:
    world = failing((20, None), 100, routed=True)
    world.answer = lambda text: 0.0
    world.run(2)
    world.answer = bad()
    world.gateway = False
    world.run(60)
    assert world.status.phase is Phase.FAILED
    assert world.size("shop:v2") == 1
    assert world.condition("TrafficReady") == ("False", "RoutePending")
    world.gateway = True
    world.run(1)
    assert world.size("shop:v2") == 0


def test_new_template_after_a_failure_starts_at_step_zero() -> None:
    """[C26] A new rollout, judged anew."""
    world = failing((20, None), 100)
    world.run(60)
    assert world.status.phase is Phase.FAILED
    world.image("shop:v3")
    world.run(3)
    assert world.state == (Phase.PAUSED, 0, 20)
    assert world.status.failed_pod_hash == ""
    assert world.size("shop:v3") == 1


def test_failed_revision_is_tried_again_when_asked_for() -> None:
    world = failing(20, 100)
    world.run(60)
    world.answer = lambda text: 0.0
    world.annotate("retry")
    world.settle()
    assert world.status.phase is Phase.COMPLETED
    assert world.size("shop:v2") == 4
    assert world.annotations == {}


def test_failed_template_withdrawn_is_complete_again() -> None:
    world = failing(20, 100, routed=True)
    world.run(60)
    world.image("shop:v1")
    world.settle()
    assert world.status.phase is Phase.COMPLETED
    assert world.status.failed_pod_hash == ""
    assert world.status.stable_pod_hash == gen.revision("shop:v1")


def test_weights_of_a_failed_rollout_are_put_back_and_told() -> None:
    world = failing(20, 100, routed=True)
    world.run(60)
    for _ in range(5):
        refs = world.routes[gen.ROUTE]["spec"]["rules"][0]["backendRefs"]
        refs[0]["weight"], refs[1]["weight"] = 50, 50
        world.run(1)
    assert world.status.restores == 3
    assert world.condition("Degraded") == ("True", "WeightsContested")


@pytest.mark.parametrize("verb", ["rollback", "abort"])
@pytest.mark.parametrize("routed", [False, True], ids=["by numbers of pods", "by a route"])
def test_manual_rollback(verb: str, routed: bool) -> None:
    """[C38] Paused at 50 %: 100/0, canary 0, Failed with reason ManualRollback, request gone."""
    world = running((50, None), 100, routed=routed)
    world.image("shop:v2")
    world.run(5)
    world.annotate(verb)
    world.run(60)
    assert world.status.phase is Phase.FAILED
    assert world.status.decisions[-1].reason == "ManualRollback"
    assert world.status.last_decision_source == "Human"
    assert (world.size("shop:v1"), world.size("shop:v2")) == (4, 0)
    assert world.annotations == {}
    if routed:
        assert world.split() == (100, 0)


class TestDeadline:
    """The progress deadline."""

    def test_pods_that_never_become_ready_time_out(self) -> None:
        """[P8] Failed and taken back with reason Timeout, 601 seconds after the last progress."""
        world = running(20, 100, routed=True)
        world.broken = {gen.revision("shop:v2")}
        world.image("shop:v2")
        world.run(600)
        assert world.status.phase is Phase.PROGRESSING
        world.run(2)
        assert world.status.phase is Phase.FAILED
        assert world.status.decisions[-1].reason == "Timeout"
        assert world.condition("Progressing") == ("False", "Timeout")
        assert (world.size("shop:v1"), world.size("shop:v2")) == (4, 0)

    def test_pauses_do_not_count(self) -> None:
        """[P7] Pauses of 5 and 10 minutes and one without end never exceed 600 seconds."""
        world = running((20, "5m"), (50, "10m"), (80, None), 100, routed=True)
        world.image("shop:v2")
        world.run(20_000)
        assert world.state == (Phase.PAUSED, 2, 80)
        world.annotate("promote")
        world.settle()
        assert world.status.phase is Phase.COMPLETED

    def test_deadline_holds_while_the_metrics_are_down(self) -> None:
        """[P9] Prometheus down and pods that are not ready: the deadline is kept."""
        world = running(20, 100, analysis=gen.analysis())
        world.answer = unreachable
        world.broken = {gen.revision("shop:v2")}
        world.image("shop:v2")
        world.run(602)
        assert world.status.phase is Phase.FAILED
        assert world.status.decisions[-1].reason == "Timeout"

    @pytest.mark.parametrize("heals", [True, False], ids=["and heal", "for ever"])
    def test_pods_that_break_in_a_pause_cost_time_when_it_is_over(self, heals: bool) -> None:
        world = running((20, "5m"), 100, routed=True, progressDeadlineSeconds=60)
        world.strict = False
        world.image("shop:v2")
        world.run(5)
        world.broken = {gen.revision("shop:v2")}
        world.run(290)
        assert world.status.phase is Phase.PAUSED
        world.run(50)
        assert world.status.phase is Phase.PROGRESSING
        assert world.condition("Progressing") == ("True", "PodsPending")
        world.broken = set() if heals else world.broken
        world.run(60)
        assert world.status.phase is (Phase.COMPLETED if heals else Phase.FAILED)
        assert heals or world.status.decisions[-1].reason == "Timeout"

    def test_every_ready_pod_is_progress(self) -> None:
        world = running(100, replicas=8, maxSurge="1", progressDeadlineSeconds=30, startup=20.0)
        world.image("shop:v2")
        world.settle()
        assert world.status.phase is Phase.COMPLETED

    def test_flapping_pods_are_no_progress(self) -> None:
        """The best count so far must be exceeded; coming back to it is not enough."""
        world = running(50, 100, routed=True, progressDeadlineSeconds=60)
        world.image("shop:v2")
        world.tick()
        world._world()
        late, early = [key for key in world.pods if gen.revision("shop:v2") in key]
        world.born[late] = world.now + timedelta(hours=1)
        for _ in range(14):
            world.run(3)
            world.born[early] = world.now
            world.run(3)
        assert world.status.phase is Phase.FAILED
        assert world.status.decisions[-1].reason == "Timeout"

    def test_zero_is_no_deadline(self) -> None:
        world = running(20, 100, progressDeadlineSeconds=0)
        world.broken = {gen.revision("shop:v2")}
        world.image("shop:v2")
        world.run(80_000)
        assert world.status.phase is Phase.PROGRESSING

    def test_first_revision_that_times_out_keeps_its_pods(self) -> None:
        world = canary_world(20, 100, routed=True)
        world.broken = {gen.revision("shop:v1")}
        world.run(602)
        assert world.status.phase is Phase.FAILED
        assert world.size("shop:v1") == 4
        assert "no stable revision" in world.status.message
        world.image("shop:v2")
        world.settle()
        assert world.status.phase is Phase.COMPLETED
        assert (world.size("shop:v1"), world.size("shop:v2")) == (0, 4)


class TestStableInNeed:
    """The stable revision has no ready pods when it is needed."""

    def test_traffic_stays_where_ready_pods_are(self) -> None:
        world = running((50, None), 100, routed=True)
        world.image("shop:v2")
        world.run(5)
        world.broken = {gen.revision("shop:v1")}
        world.strict = False
        world.run(1)
        world.annotate("rollback")
        world.run(60)
        assert world.status.phase is Phase.FAILED
        assert world.size("shop:v2") == 2
        assert world.split() == (50, 50)
        assert "stays where ready pods are" in world.detail("TrafficReady")
        assert world.condition("Available") == ("False", "Unavailable")
        world.broken = set()
        world.run(60)
        assert world.condition("Available") == ("True", "Available")
        assert world.split() == (100, 0)
        assert world.size("shop:v2") == 0

    def test_canary_that_loses_all_pods_loses_its_weight(self) -> None:
        world = running((50, None), 100, routed=True)
        world.image("shop:v2")
        world.run(5)
        world.broken = {gen.revision("shop:v2")}
        world.strict = False
        world.run(60)
        assert world.split() == (100, 0)
        assert world.status.phase is Phase.PAUSED
        world.broken = set()
        world.run(60)
        assert world.split() == (50, 50)

    def test_stable_grows_before_the_canary_goes(self) -> None:
        """Where pods divide the traffic, a rollback never leaves too few ready pods."""
        world = running((75, None), 100)
        world.image("shop:v2")
        world.run(10)
        assert (world.size("shop:v1"), world.size("shop:v2")) == (1, 3)
        world.annotate("rollback")
        world.tick()
        assert world.size("shop:v1") == 4
        assert world.size("shop:v2") == 3
        world.run(10)
        assert world.size("shop:v2") == 0

    def test_stable_takes_traffic_back_as_its_pods_become_ready(self) -> None:
        """dynamicStableScale: it has given up pods, so weights follow its ready pods."""
        world = running((75, None), 100, routed=True)
        world.update(strategy=gen.canary((75, None), 100, routed=True, dynamicStableScale=True))
        world.image("shop:v2")
        world.run(5)
        assert (world.size("shop:v1"), world.size("shop:v2")) == (1, 3)
        world.weights.clear()
        world.annotate("rollback")
        world.run(60)
        assert world.weights[-1] == 0
        assert (world.size("shop:v1"), world.size("shop:v2")) == (4, 0)

    def test_route_that_is_gone_does_not_keep_failed_pods(self) -> None:
        world = running((50, None), 100, routed=True)
        world.image("shop:v2")
        world.run(5)
        world.routes = {}
        world.annotate("rollback")
        world.run(30)
        assert world.size("shop:v2") == 0
        assert world.condition("TrafficReady") == ("False", "RouteNotFound")

    def test_stable_set_that_is_gone_leaves_the_pods_that_are_there(self) -> None:
        world = running((50, None), 100)
        world.image("shop:v2")
        world.run(5)
        del world.sets[gen.revision("shop:v1")]
        world.pods = {k: p for k, p in world.pods.items() if p.hash in world.sets}
        world.strict = False
        world.annotate("rollback")
        world.run(30)
        assert world.status.phase is Phase.FAILED
        assert world.ready("shop:v2") == 4

    @pytest.mark.parametrize("is_failed", [False, True], ids=["on its way", "when it failed"])
    def test_stable_set_that_is_gone_leaves_all_traffic_to_the_pods_behind_a_route(
        self, is_failed: bool
    ) -> None:
        """Until the template of the stable revision comes back, and its pods with it."""
        world = running((50, None), 100, routed=True)
        new, old = gen.revision("shop:v2"), gen.revision("shop:v1")
        world.image("shop:v2")
        world.run(5)
        if is_failed:
            world.annotate("rollback")
            world.run(60)
        world.strict = False
        del world.sets[old]
        world.pods = {key: pod for key, pod in world.pods.items() if pod.hash != old}
        world.run(60)
        assert world.status.phase is (Phase.FAILED if is_failed else Phase.PAUSED)
        assert (world.behind(gen.STABLE), world.behind(gen.CANARY)) == ({new}, {new})
        assert (world.split(), world.status.restores) == ((100, 0) if is_failed else (50, 50), 0)
        world.after_each = _nobody_is_lost
        world.image("shop:v1")
        world.run(60)
        assert (world.status.phase, world.split()) == (Phase.COMPLETED, (100, 0))
        assert (world.behind(gen.STABLE), world.ready("shop:v1")) == ({old}, 4)

    @pytest.mark.parametrize("routed", [False, True], ids=["by Services", "by a route"])
    def test_stable_set_that_is_gone_leaves_all_traffic_to_the_preview(self, routed: bool) -> None:
        """It is still for a person to promote it."""
        world = blue_green_world(routed=routed).settle()
        new, old = gen.revision("shop:v2"), gen.revision("shop:v1")
        world.image("shop:v2")
        world.run(30)
        world.strict = False
        del world.sets[old]
        world.pods = {key: pod for key, pod in world.pods.items() if pod.hash != old}
        world.run(60)
        assert (world.status.phase, world.status.stable_pod_hash) == (Phase.PREVIEW, old)
        assert (world.behind(gen.ACTIVE), world.ready("shop:v2")) == ({new}, 4)
        assert not routed or world.split() == (100, 0)
        world.annotate("promote")
        world.run(60)
        assert (world.status.phase, world.status.stable_pod_hash) == (Phase.COMPLETED, new)

    def test_stable_pods_that_lost_their_set_alone_keep_the_traffic(self) -> None:
        """`kubectl delete replicaset --cascade=orphan`."""
        world = running((50, None), 100, routed=True)
        world.image("shop:v2")
        world.run(5)
        world.strict = False
        del world.sets[gen.revision("shop:v1")]
        world.tick()
        assert world.behind(gen.STABLE) == {gen.revision("shop:v1")}

    def test_stable_without_ready_pods_by_numbers_is_told(self) -> None:
        world = running((50, None), 100)
        world.image("shop:v2")
        world.run(5)
        world.broken = {gen.revision("shop:v1")}
        world.strict = False
        world.run(1)
        world.annotate("rollback")
        world.run(30)
        assert world.condition("TrafficReady") == ("False", "PodsPending")
        assert world.ready("shop:v2") == 2


def _nobody_is_lost(world: World) -> None:
    shares = zip((gen.STABLE, gen.CANARY), world.split(), strict=True)
    assert all(world.behind(name) for name, share in shares if share)


def unreachable(text: str) -> float:
    raise ConnectionError("connection refused")
