"""Stories of rollouts that go well: first revision, steps, pauses, promotion, what comes between.

Every story runs on the small world of `tests/kulta/world.py`, whose checker refuses weight without
ready pods and too many pods on every turn. What goes wrong is in `test_engine_rollback`.
"""

from dataclasses import replace
from typing import Any

import pytest

from fleet.api import names
from fleet.api.rollout import Phase
from fleet.kulta.core import actions as act
from tests import gen
from tests.kulta import hands
from tests.kulta.world import World, canary_world


def running(*weights: object, **keywords: object) -> World:
    """A world whose first revision, shop:v1, is complete."""
    world = canary_world(*weights, **keywords).settle()
    assert world.status.phase is Phase.COMPLETED
    world.log.clear()
    world.writes.clear()
    world.weights.clear()
    return world


def test_first_revision_goes_to_all_pods_without_steps() -> None:
    world = canary_world((20, None), 100, routed=True)
    world.run()
    assert world.state == (Phase.PROGRESSING, 2, 100)
    assert world.ready("shop:v1") == 0
    world.settle()
    assert world.state == (Phase.COMPLETED, 2, 100)
    assert world.status.stable_pod_hash == gen.revision("shop:v1")
    assert world.behind(gen.STABLE) == {gen.revision("shop:v1")}
    assert world.split() == (100, 0)
    assert len(world.writes) == 3


def test_first_revision_goes_through_steps_when_asked_to() -> None:
    """[C1] [C2] No status: step 0 at 20 %; its pause begins once the step is reached."""
    world = canary_world((20, "5m"), 50, stepsOnFirstRollout=True)
    world.tick()
    assert world.state == (Phase.PROGRESSING, 0, 20)
    assert "step 1 of 2" in world.status.message
    assert "20%" in world.status.message
    assert world.status.progress_started_at == world.now
    assert world.status.pause_start_time is None
    world.run(2.0)
    assert world.status.phase is Phase.PAUSED
    assert world.status.pause_start_time == world.status.step_start_time == world.now


def test_steps_without_pauses_follow_as_pods_become_ready() -> None:
    """[C3] [C4] [C17] Each step is entered with its own message; the last one promotes."""
    world = running(25, 50, 75)
    world.image("shop:v2")
    world.settle()
    seen = [
        (s.current_step_index, s.current_weight) for s in world.writes if s.phase != "Completed"
    ]
    assert seen == [(0, 25), (1, 50), (2, 75)]
    assert all(
        f"step {i + 1} of 3" in s.message and f"{w}%" in s.message
        for (i, w), s in zip(seen, world.writes, strict=False)
    )
    assert world.state == (Phase.COMPLETED, 3, 100)


@pytest.mark.parametrize(
    ("weights", "replicas"),
    [
        pytest.param((20, 100), 4, id="[C6] two steps end completed with weight 100"),
        pytest.param((10, 100), 3, id="[C16] ten percent, then all"),
        pytest.param((100,), 3, id="[C18] a single step of 100 percent"),
        pytest.param((25, 50, 75), 1, id="[C19] a single replica"),
        pytest.param((50,), 0, id="[S15] no replicas at all"),
    ],
)
@pytest.mark.parametrize("routed", [False, True], ids=["by numbers of pods", "by a route"])
def test_every_plan_of_steps_completes(
    weights: tuple[int, ...], replicas: int, routed: bool
) -> None:
    world = running(*weights, routed=routed, replicas=replicas)
    world.image("shop:v2")
    world.settle()
    assert world.state == (Phase.COMPLETED, len(weights), 100)
    assert (world.size("shop:v1"), world.size("shop:v2")) == (0, replicas)
    assert world.status.stable_pod_hash == gen.revision("shop:v2")


def test_the_bench_costs_twelve_requests() -> None:
    world = running(25, 50, 75, 100)
    world.image("shop:v2")
    world.settle()
    requests = [item for item in world.log if not isinstance(item, act.Emit | act.RelabelPod)]
    labels = [item for item in requests if isinstance(item, act.RelabelReplicaSet)]
    assert len(requests) - len(labels) + len(world.writes) == 12
    weights = [item.weight for item in world.status.decisions if item.action == "StepAdvance"]
    assert weights == [50, 75, 100]


def test_completion_moves_everything_to_the_new_revision() -> None:
    """[C28] New hash stable with all pods, canary set gone, weights 100/0."""
    world = running(50, 100, routed=True)
    world.image("shop:v2")
    world.settle()
    assert world.status.stable_pod_hash == gen.revision("shop:v2")
    assert (world.size("shop:v1"), world.size("shop:v2")) == (0, 4)
    assert world.split() == (100, 0)
    assert world.behind(gen.STABLE) == {gen.revision("shop:v2")}
    assert world.roles("shop:v2") == {"stable"}


def test_promotion_leaves_no_gap() -> None:
    """Weights go back when the stable Service has all the new pods; then roles change."""
    world = running(50, 100, routed=True)
    world.image("shop:v2")
    world.settle()
    log = [item for item in world.log if not isinstance(item, act.Emit)]
    switch = next(
        i
        for i, item in enumerate(log)
        if isinstance(item, act.SelectService) and item.name == gen.STABLE
    )
    after = [type(item).__name__ for item in log[switch:]]
    assert after[:3] == ["SelectService", "WriteRoute", "RelabelReplicaSet"]
    assert after[-1] == "ScaleReplicaSet"
    assert world.weights == [50, 100, 0]


@pytest.mark.parametrize("routed", [False, True], ids=["by numbers of pods", "by a route"])
def test_services_are_switched_only_when_all_steps_are_recorded(routed: bool) -> None:
    """Whoever carries on after a crash must not point the stable Service back."""
    world = running(50, 100, routed=routed)
    if not routed:
        world.services = {gen.STABLE: gen.service(gen.STABLE, "stable")}
        world.settle()
    world.image("shop:v2")
    world.tick()
    known = world.status
    while world.status.phase is not Phase.COMPLETED:
        world.tick()
        for item in world.plans[-1].actions:
            if isinstance(item, act.SelectService) and item.name == gen.STABLE:
                assert known.current_step_index == 2
        known = world.status
        if not world._world():
            world.now = world._next() or world.now


def test_weights_wait_for_the_addresses_of_the_new_pods() -> None:
    """Slices carry no generation: what they hold decides, not that the selector was written."""
    world = running((50, None), (100, None), routed=True)
    world.image("shop:v2")
    world.run(5)
    world.annotate("promote")
    world.run(5)
    assert world.split() == (0, 100)
    world.sliced = False
    world.annotate("promote")
    world.run(60)
    assert world.services[gen.STABLE].selector[names.HASH_LABEL] == gen.revision("shop:v2")
    assert world.split() == (0, 100)
    assert world.status.phase is Phase.PROGRESSING
    assert world.condition("TrafficReady") == ("False", "EndpointsPending")
    world.sliced = True
    world.run(5)
    assert world.split() == (100, 0)
    assert world.status.phase is Phase.COMPLETED


def test_old_pods_stay_for_the_scale_down_delay() -> None:
    world = running(100, routed=True, scaleDownDelay="1m")
    world.image("shop:v2")
    world.run(4)
    assert world.status.phase is Phase.COMPLETED
    assert world.size("shop:v1") == 4
    assert world.roles("shop:v1") == {"retired"}
    world.run(55)
    assert world.size("shop:v1") == 4
    world.run(5)
    assert world.size("shop:v1") == 0


def test_scale_up_comes_before_weights_and_those_before_scale_down() -> None:
    """[C35] Order of the calls of a step where the stable set shrinks."""
    world = running(50, 100, routed=True)
    world.update(strategy=gen.canary(50, 100, routed=True, dynamicStableScale=True))
    world.image("shop:v2")
    world.run(3)
    kinds = [
        (type(item).__name__, getattr(item, "name", ""))
        for item in world.log
        if isinstance(item, act.CreateReplicaSet | act.WriteRoute | act.ScaleReplicaSet)
    ]
    old = f"{gen.NAME}-{gen.revision('shop:v1')}"
    assert [kind for kind, _ in kinds[:3]] == ["CreateReplicaSet", "WriteRoute", "ScaleReplicaSet"]
    assert old in {name for _, name in kinds[2:4]}


def test_canary_that_is_not_ready_gets_no_weight() -> None:
    """[C23] No advance and no weight without ready pods."""
    world = running(20, 100, routed=True)
    world.broken = {gen.revision("shop:v2")}
    world.image("shop:v2")
    world.run(300)
    assert world.state == (Phase.PROGRESSING, 0, 20)
    assert world.weights == []
    assert world.split() == (100, 0)


def test_pods_that_cannot_be_made_say_why() -> None:
    """And it goes on by itself when they can: a quota, a policy, an account that is missing."""
    world = running(50, 100)
    new, why = gen.revision("shop:v2"), 'pods "checkout-" is forbidden: exceeded quota'
    world.broken = {new}
    world.image("shop:v2")
    world.run(5)
    assert world.status.message.endswith("its pods are not ready yet")
    world.sets[new] = replace(world.sets[new], failure=why)
    world.run(5)
    assert world.condition("Progressing") == ("True", "PodsPending")
    assert world.status.message.endswith(f"its pods are not ready yet: {why}")
    world.sets[new], world.broken = replace(world.sets[new], failure=""), set()
    assert world.settle().status.phase is Phase.COMPLETED


class TestRevisions:
    """What a changed template means, and when nothing is changed."""

    def test_template_changed_after_completion_starts_anew(self) -> None:
        """[C29] [H10] [H15] A new set with the new image; the stable one keeps its own."""
        world = running((50, None), 100)
        world.image("shop:v2")
        world.run(5)
        made = world.actions(act.CreateReplicaSet)[0].manifest
        assert made["spec"]["template"]["spec"]["containers"][0]["image"] == "shop:v2"
        assert set(world.sets) == {gen.revision("shop:v1"), gen.revision("shop:v2")}
        assert world.status.phase is Phase.PAUSED

    def test_same_image_again_changes_nothing(self) -> None:
        """[C30] The same template applied again."""
        world = running(50, 100)
        world.image("shop:v1")
        world.settle()
        assert world.status.phase is Phase.COMPLETED
        assert world.log == []

    def test_completed_rollout_is_silent(self) -> None:
        """[C27] No write at all after completion, one decision says so."""
        world = running(20, 50, 100)
        world.image("shop:v2")
        world.settle()
        world.writes.clear()
        world.log.clear()
        world.run(3_600)
        assert (world.writes, world.log) == ([], [])
        done = [item for item in world.status.decisions if item.action == "Complete"]
        assert len(done) == 2

    @pytest.mark.parametrize("routed", [False, True], ids=["by numbers of pods", "by a route"])
    def test_newer_revision_supersedes_from_step_zero(self, routed: bool) -> None:
        """[C31] At 50 % with B, C arrives: step 0, C runs, B is gone, stable untouched."""
        world = running(25, (50, None), 100, routed=routed)
        world.image("shop:v2")
        world.run(10)
        assert world.state == (Phase.PAUSED, 1, 50)
        world.weights.clear()
        world.startup = 30.0
        world.image("shop:v3")
        world.run(5)
        assert world.state == (Phase.PROGRESSING, 0, 25)
        assert world.status.decisions[-1].reason == "Superseded"
        if routed:
            assert world.weights == [0]
        world.run(40)
        world.run(40)
        assert (world.size("shop:v2"), world.size("shop:v3")) == (0, 2)
        assert world.status.stable_pod_hash == gen.revision("shop:v1")
        world.annotate("promote")
        world.settle()
        assert world.size("shop:v3") == 4

    @pytest.mark.parametrize("routed", [False, True], ids=["by numbers of pods", "by a route"])
    def test_template_of_the_stable_revision_gives_up(self, routed: bool) -> None:
        """[C32] At 50 %, back to the stable image: weights 100/0, canary 0, Completed."""
        world = running((50, None), 100, routed=routed)
        world.image("shop:v2")
        world.run(5)
        world.image("shop:v1")
        world.settle()
        assert world.status.phase is Phase.COMPLETED
        assert (world.size("shop:v1"), world.size("shop:v2")) == (4, 0)
        actions = [(item.action, item.reason) for item in world.status.decisions]
        assert actions[-2:] == [("Rollback", "ManualRollback"), ("Complete", "StepCompleted")]
        if routed:
            assert world.split() == (100, 0)

    def test_replicas_change_in_the_middle(self) -> None:
        """[C33] 3 → 5 at 50 %: both revisions are resized, the phase stays, it completes."""
        world = running((50, None), 100, replicas=3)
        world.image("shop:v2")
        world.run(5)
        assert (world.size("shop:v1"), world.size("shop:v2")) == (1, 2)
        world.update(replicas=5)
        world.run(10)
        assert (world.size("shop:v1"), world.size("shop:v2")) == (2, 3)
        assert world.status.phase is Phase.PAUSED
        world.annotate("promote")
        world.settle()
        assert world.size("shop:v2") == 5

    def test_three_steps_leave_decisions(self) -> None:
        """[C34] At least two, each with time and action."""
        world = running(20, 50, 100)
        world.image("shop:v2")
        world.settle()
        assert len(world.status.decisions) >= 4
        assert all(item.timestamp and item.action for item in world.status.decisions)
        numbers = [item.sequence for item in world.status.decisions]
        assert numbers == list(range(1, len(numbers) + 1))

    def test_steps_removed_below_the_index_change_nothing_when_completed(self) -> None:
        """[C36] Index 5 with one step left, phase Completed."""
        world = running(1, 2, 3, 4, 100)
        assert world.status.current_step_index == 5
        world.update(strategy=gen.canary(50))
        world.settle()
        assert world.state == (Phase.COMPLETED, 5, 100)

    def test_sets_that_somebody_scaled_are_corrected(self) -> None:
        """[H14] At once, as soon as it is seen."""
        world = running(50, 100)
        name = f"{gen.NAME}-{gen.revision('shop:v1')}"
        hands.act(world, act.ScaleReplicaSet(name=name, replicas=2, was=world.size("shop:v1")))
        world.run(3)
        assert world.size("shop:v1") == 4

    def test_sets_are_scaled_and_never_replaced(self) -> None:
        """[H9] 20 % then 50 % of 10: 8/2, then 5/5, with the same sets."""
        world = running((20, None), (50, None), 100, replicas=10)
        world.image("shop:v2")
        world.run(5)
        assert (world.size("shop:v1"), world.size("shop:v2")) == (8, 2)
        status = world.status
        assert (status.replicas, status.ready_replicas, status.updated_replicas) == (10, 10, 2)
        assert world.condition("Available") == ("True", "Available")
        before = {key: item.name for key, item in world.sets.items()}
        world.annotate("promote")
        world.run(10)
        assert (world.size("shop:v1"), world.size("shop:v2")) == (5, 5)
        assert {key: item.name for key, item in world.sets.items()} == before

    @pytest.mark.parametrize(
        ("own", "most", "least"),
        [
            pytest.param({}, 4, 3, id="those of the spec"),
            pytest.param({"maxSurge": 2, "maxUnavailable": 0}, 6, 4, id="those of the canary"),
            pytest.param({"maxSurge": "50%"}, 5, 3, id="one of each"),
        ],
    )
    def test_bounds_of_the_canary_count_first(
        self, own: dict[str, Any], most: int, least: int
    ) -> None:
        world = running((50, "5s"), 100, maxSurge="0", maxUnavailable="1")
        world.update(strategy=gen.canary((50, "5s"), 100, **own))
        pods: list[int] = []
        ready: list[int] = []

        def count(small: World) -> None:
            pods.append(sum(item.replicas for item in small.sets.values()))
            ready.append(sum(item.ready for item in small.pods.values()))

        world.run()
        world.after_each = count
        world.image("shop:v2")
        world.settle()
        assert world.status.phase is Phase.COMPLETED
        assert (max(pods), min(ready)) == (most, least)

    def test_history_is_limited(self) -> None:
        world = running(100, revisionHistoryLimit=2, scaleDownDelay="1s")
        for number in range(2, 7):
            world.image(f"shop:v{number}")
            world.settle()
            world.wait(10)
        assert len(world.sets) == 3
        assert gen.revision("shop:v6") in world.sets
        assert gen.revision("shop:v4") in world.sets
