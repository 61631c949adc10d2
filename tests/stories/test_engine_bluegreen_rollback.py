"""Stories of blue-green that goes badly, or another way: taken back, superseded, withdrawn.

Before the gate only the preview goes; behind it the traffic comes back before the pods go.
"""

from typing import Any

import pytest

from fleet.api.rollout import Phase
from fleet.kulta.core import actions as act
from tests import gen
from tests.kulta import checker
from tests.kulta.world import World, blue_green_world
from tests.stories.test_engine_bluegreen import V1, V2, V3, previewing, running, ways
from tests.stories.test_engine_rollback import bad, unreachable


def cutting_over(**keywords: Any) -> World:
    """shop:v2 has passed the gate and has the traffic; the last look is still to come."""
    world = previewing(**keywords)
    world.annotate("promote")
    for _ in range(20):
        world.tick()
        world._world()
        if V2 in world.behind(gen.ACTIVE):
            break
    assert world.state[0] is Phase.PROGRESSING
    assert world.status.stable_pod_hash == V1
    return world


def writes_of_traffic(world: World) -> list[Any]:
    return world.actions(act.WriteRoute) + [
        item for item in world.actions(act.SelectService) if item.name == gen.ACTIVE
    ]


class TestBeforeTheGate:
    """What serves is never touched."""

    @ways
    def test_bad_metrics_end_the_preview(self, routed: bool) -> None:
        """[B13] [B14] Failed and never promoted, whoever asks; an hour later still so."""
        world = running(after=5, analysis=gen.analysis(), routed=routed)
        world.answer = bad()
        world.image("shop:v2")
        world.run(60)
        assert world.state == (Phase.FAILED, None, 0)
        assert world.status.decisions[-1].reason == "AnalysisFailed"
        assert (world.ready("shop:v1"), world.size("shop:v2")) == (4, 0)
        assert writes_of_traffic(world) == []
        assert world.behind(gen.PREVIEW) == {V1}
        world.annotate("promote")
        world.run(3_600)
        assert world.status.phase is Phase.FAILED
        assert world.annotations == {}
        assert world.behind(gen.ACTIVE) == {V1}

    def test_judging_needs_no_canary(self) -> None:
        """[B15] The queries are those of the preview's pods; no weight is ever asked of it."""
        world = running(after=5, analysis=gen.analysis(), routed=True)
        world.answer = bad()
        world.image("shop:v2")
        world.run(60)
        assert any(V2 in text for text in world.asked)
        assert world.weights == []

    @ways
    def test_preview_that_never_becomes_ready_times_out(self, routed: bool) -> None:
        """[B12] A request to promote changes nothing: no cut-over, Failed after the deadline."""
        world = running(routed=routed)
        world.broken = {V2}
        world.image("shop:v2")
        world.run(1)
        world.annotate("promote")
        world.run(590)
        assert world.status.phase is Phase.PROGRESSING
        world.run(20)
        assert world.status.phase is Phase.FAILED
        assert world.status.decisions[-1].reason == "Timeout"
        assert (world.ready("shop:v1"), world.size("shop:v2")) == (4, 0)
        assert writes_of_traffic(world) == []

    def test_time_in_a_complete_preview_does_not_count(self) -> None:
        world = previewing(progressDeadlineSeconds=30)
        world.run(20_000)
        world.annotate("promote")
        assert world.settle().status.phase is Phase.COMPLETED

    def test_preview_that_breaks_while_it_stands_times_out(self) -> None:
        """It would never be promoted, and nobody would be told."""
        world = previewing(progressDeadlineSeconds=60)
        world.run(300)
        world.broken = {V2}
        world.run(50)
        assert world.status.phase is Phase.PREVIEW
        assert world.condition("Progressing") == ("True", "PodsPending")
        world.run(20)
        assert world.status.phase is Phase.FAILED
        assert world.status.decisions[-1].reason == "Timeout"

    def test_pod_that_is_replaced_in_time_costs_nothing(self) -> None:
        world = previewing(progressDeadlineSeconds=60)
        for _ in range(5):
            world.broken = {V2}
            world.run(50)
            world.broken = set()
            world.run(50)
        assert world.status.phase is Phase.PREVIEW
        assert sum(item.action == "Pause" for item in world.status.decisions) == 1

    def test_deadline_holds_while_the_metrics_are_down(self) -> None:
        world = running(analysis=gen.analysis())
        world.answer = unreachable
        world.broken = {V2}
        world.image("shop:v2")
        world.run(602)
        assert world.status.decisions[-1].reason == "Timeout"

    def test_what_could_not_be_asked_is_told_only_as_long_as_somebody_asks(self) -> None:
        world = previewing(analysis=gen.analysis())
        world.answer = unreachable
        world.run(60)
        assert world.condition("MetricsAvailable") == ("False", "MetricsUnavailable")
        world.annotate("promote")
        assert world.settle().status.phase is Phase.COMPLETED
        assert world.condition("MetricsAvailable") == ("Unknown", "NoAnalysis")
        assert world.detail("MetricsAvailable") == ""

    @pytest.mark.parametrize("verb", ["abort", "rollback"])
    @ways
    def test_abort(self, routed: bool, verb: str) -> None:
        world = previewing(routed=routed)
        world.annotate(verb)
        world.run(1)
        assert world.status.phase is Phase.FAILED
        assert world.status.decisions[-1].reason == "ManualRollback"
        assert (world.ready("shop:v1"), world.size("shop:v2")) == (4, 0)
        assert writes_of_traffic(world) == []

    def test_retry_previews_again(self) -> None:
        world = previewing()
        world.annotate("abort")
        world.run(1)
        world.annotate("retry")
        world.run(5)
        assert world.status.phase is Phase.PREVIEW
        assert world.ready("shop:v2") == 4

    @ways
    def test_next_template_takes_the_place_of_the_preview(self, routed: bool) -> None:
        """Superseded: never three at once, and a gate and an analysis of its own."""
        world = previewing(routed=routed, analysis=gen.analysis())
        world.answer = lambda text: 0.5
        world.annotate("promote")
        world.image("shop:v3")
        world.run(60)
        assert world.status.phase is Phase.PREVIEW
        assert [item.reason for item in world.status.decisions if item.action == "Initialize"][
            -1
        ] == "Superseded"
        assert (world.size("shop:v1"), world.size("shop:v2"), world.size("shop:v3")) == (4, 0, 4)
        assert (world.behind(gen.ACTIVE), world.behind(gen.PREVIEW)) == ({V1}, {V3})
        assert world.annotations == {}

    @ways
    def test_template_withdrawn_is_complete_again(self, routed: bool) -> None:
        world = previewing(routed=routed)
        world.image("shop:v1")
        world.run(1)
        assert world.status.phase is Phase.COMPLETED
        assert (world.ready("shop:v1"), world.size("shop:v2")) == (4, 0)
        assert world.status.stable_pod_hash == V1
        assert writes_of_traffic(world) == []
        assert world.status.decisions[-2].action == "Rollback"

    def test_first_revision_superseded_in_its_preview_serves_until_the_next_is_ready(self) -> None:
        world = blue_green_world(stepsOnFirstRollout=True, routed=True)
        world.run(3)
        world.image("shop:v2")
        world.run(1)
        assert world.behind(gen.ACTIVE) == {V1}
        world.run(5)
        assert world.status.phase is Phase.PREVIEW
        assert world.behind(gen.ACTIVE) == {V2}
        assert world.size("shop:v1") == 0


class TestBehindTheGate:
    """The traffic has begun to go over."""

    @ways
    def test_abort_brings_it_back_before_the_pods_go(self, routed: bool) -> None:
        world = cutting_over(routed=routed)
        world.annotate("abort")
        world.run(1)
        assert world.status.phase is Phase.FAILED
        assert world.behind(gen.ACTIVE) == {V1}
        assert world.size("shop:v2") == 4
        world.settle()
        assert (world.ready("shop:v1"), world.size("shop:v2")) == (4, 0)
        if routed:
            assert world.split() == (100, 0)

    def test_bad_metrics_bring_it_back(self) -> None:
        world = running(after=5, analysis=gen.analysis({"name": "error-rate", "threshold": 5}))
        world.answer = lambda text: 0.5
        world.image("shop:v2")
        world.run(6)
        world.sliced = False
        world.run(20)
        assert world.status.step == "promotion"
        world.answer = bad()
        world.run(60)
        assert world.status.phase is Phase.FAILED
        world.sliced = True
        world.settle()
        assert world.behind(gen.ACTIVE) == {V1}

    @ways
    def test_next_template_lets_the_stable_one_serve_first(self, routed: bool) -> None:
        world = cutting_over(routed=routed)
        world.image("shop:v3")
        world.run(5)
        assert world.status.phase is Phase.PREVIEW
        assert (world.behind(gen.ACTIVE), world.behind(gen.PREVIEW)) == ({V1}, {V3})
        assert world.size("shop:v2") == 0
        if routed:
            assert world.split() == (100, 0)

    @ways
    def test_template_withdrawn_brings_it_back(self, routed: bool) -> None:
        """The pods that had the traffic stay for the delay, as after a promotion."""
        world = cutting_over(routed=routed)
        world.image("shop:v1")
        world.run(1)
        assert world.status.phase is Phase.COMPLETED
        assert world.behind(gen.ACTIVE) == {V1}
        assert world.size("shop:v2") == 4
        world.settle()
        assert world.size("shop:v2") == 0

    def test_new_pods_that_are_all_lost_give_the_traffic_back(self) -> None:
        world = previewing(routed=True)
        world.gateway = False
        world.annotate("promote")
        world.run(1)
        assert world.split() == (0, 100)
        world.strict = False
        world.gateway, world.broken = True, {V2}
        world.run(5)
        assert world.split() == (100, 0)
        assert world.status.step == "promotion"
        world.broken = set()
        world.run(5)
        assert world.status.phase is Phase.COMPLETED

    @pytest.mark.parametrize("size", [6, 2], ids=["up", "down"])
    @ways
    def test_scaled_while_it_goes_over(self, routed: bool, size: int) -> None:
        world = cutting_over(routed=routed)
        world.update(replicas=size)
        world.settle()
        assert world.status.phase is Phase.COMPLETED
        assert (world.size("shop:v1"), world.ready("shop:v2")) == (0, size)


def nobody() -> World:
    """A Rollout of no pods was taken back while its slices stood still, and grows: the one pod that
    is ready is the bad revision's, which the preview still has."""
    world = blue_green_world(replicas=1, routed=True)
    world.settle()
    world.image("shop:v2")
    world.run(30)
    world.gateway = world.sliced = False
    world.run(10)
    world.update(replicas=0)
    world.run(30)
    world.annotate("rollback")
    world.run(30)
    assert world.status.phase is Phase.FAILED
    assert [pod.hash for pod in world.pods.values() if pod.ready] == [world.status.failed_pod_hash]
    world.update(replicas=2)
    return world


def test_a_bad_revision_gets_nothing_for_want_of_others() -> None:
    world = nobody()
    failed = world.status.failed_pod_hash
    for _ in range(60):
        assert checker.share(world, failed) == 0
        world.run(1)
    world.gateway = world.sliced = True
    world.settle()
    assert (world.ready("shop:v1"), world.size("shop:v2")) == (2, 0)
    assert world.behind(gen.ACTIVE) == {world.status.stable_pod_hash}


@pytest.mark.parametrize(
    "share",
    [
        pytest.param(None, id="nobody was taken back"),
        pytest.param(100, id="who was taken back had the traffic a moment ago"),
    ],
)
def test_search_forbids_to_leave_ready_pods_for_none(share: int | None) -> None:
    world = nobody()
    world.failed = {} if share is None else {world.status.failed_pod_hash: share}
    with pytest.raises(checker.Impossible, match="which has no ready pod"):
        checker.check(world)
