"""`workloadRef`: what stands in the way of taking the Deployment that is named, or loses it."""

from typing import Any

import pytest

from fleet.api.rollout import Phase
from fleet.kulta.core import actions as act
from tests import gen
from tests.kulta.migrating import NAME, Migrating, deployment, migrating


def unlabelled(world: Migrating) -> None:
    template = gen.template()
    template["metadata"]["labels"]["rollouts.kulta.io/type"] = "stable"
    world.workload = deployment(template=template)


def missing(world: Migrating) -> None:
    world.workload = None


def going(world: Migrating) -> None:
    world.workload = deployment(is_going=True)


def taken(world: Migrating) -> None:
    world.workload, world.holders = deployment(holder="other"), {"other"}


def hidden(world: Migrating) -> None:
    world.blind = "403"


OBSTACLES = [
    pytest.param(missing, "WorkloadNotFound", "web does not exist", id="it is not there"),
    pytest.param(going, "WorkloadNotFound", "web does not exist", id="it is being deleted"),
    pytest.param(taken, "WorkloadTaken", "Rollout other takes", id="another Rollout has it"),
    pytest.param(unlabelled, "WorkloadUnfit", "rollouts.kulta.io/type", id="it has our labels"),
    pytest.param(hidden, "WorkloadPending", "been seen yet: 403", id="it cannot be seen"),
]


@pytest.mark.parametrize("is_first", [True, False], ids=["at first", "later"])
@pytest.mark.parametrize(("obstacle", "reason", "said"), OBSTACLES)
def test_what_stands_in_the_way_is_told_and_heals_by_itself(
    obstacle: Any, reason: str, said: str, is_first: bool
) -> None:
    world = migrating()
    if not is_first:
        world.settle()
    before = world.workload
    obstacle(world)
    world.log.clear()
    world.settle()
    assert world.condition("WorkloadReady") == ("False", reason)
    assert said in world.detail("WorkloadReady")
    assert {type(item) for item in world.log} == {act.Emit}, "nothing is touched"
    world.workload, world.blind, world.holders = before, None, set()
    world.settle()
    assert (world.condition("WorkloadReady") or ("",))[0] == "True"
    assert (world.status.phase, world.ready("shop:v1")) == (Phase.COMPLETED, 4)


LOSSES = [
    pytest.param(missing, "WorkloadNotFound", id="is deleted"),
    pytest.param(taken, "WorkloadTaken", id="is another's"),
    pytest.param(hidden, "WorkloadPending", id="cannot be seen"),
]


@pytest.mark.parametrize(("loss", "reason"), LOSSES)
@pytest.mark.parametrize("way", ["bad numbers", "abort", "scaled", "promoted"])
def test_a_revision_on_its_way_goes_on_while_its_deployment(
    loss: Any, reason: str, way: str
) -> None:
    analysis = gen.analysis(interval="5s")
    world = migrating(gen.canary(20, (50, None), routed=True, analysis=analysis), routed=True)
    world.answer = lambda text: 1.0
    world.settle()
    world.redeploy("shop:v2")
    world.run(120)
    assert world.state == (Phase.PAUSED, 1, 50)
    selector, known = world.status.selector, world.workload
    loss(world)
    match way:
        case "bad numbers":
            world.answer = lambda text: 90.0
        case "abort":
            world.annotate("abort")
        case "scaled":
            world.update(replicas=8)
        case "promoted":
            world.annotate("promote")
    world.run(60)
    assert world.condition("WorkloadReady") == ("False", reason)
    assert world.status.selector == selector
    if way == "scaled":
        assert (world.state, world.ready("shop:v1")) == ((Phase.PAUSED, 1, 50), 8)
    elif way == "promoted":
        assert (world.status.phase, world.ready("shop:v2")) == (Phase.COMPLETED, 4)
        assert world.status.decisions[-1].image == "shop:v2"
    else:
        assert (world.status.phase, world.split(), world.ready("shop:v1")) == (
            Phase.FAILED,
            (100, 0),
            4,
        )
    phase = world.status.phase
    world.workload, world.blind, world.holders = known, None, set()
    world.run(30)
    assert (world.status.phase, world.condition("WorkloadReady")) == (
        phase,
        ("True", "WorkloadMigrated"),
    )


def test_a_deployment_that_is_not_named_any_more_is_let_go_though_the_other_is_not_there() -> None:
    world = migrating().settle()
    world.update(workloadRef={"name": "wbe"})
    world.settle()
    assert world.workload is not None
    held = (world.workload.replicas, world.workload.holder, world.workload.original)
    assert held == (0, "", 4)
    assert (world.condition("WorkloadReady"), world.ready("shop:v1")) == (
        ("False", "WorkloadNotFound"),
        4,
    )
    world.delete()
    world.settle()
    assert (world.gone, world.size_before) == (True, 4), "it serves again all the same"


def test_nothing_is_told_of_deployments_that_have_just_not_been_seen() -> None:
    world = migrating()
    world.blind = ""
    world.run(10)
    assert (world.log, world.writes) == ([], [])


@pytest.mark.parametrize("way", ["more replicas", "a smaller Deployment", "it keeps its pods"])
def test_a_deployment_of_many_is_not_replaced_by_the_one_pod_that_nobody_asked_for(
    way: str,
) -> None:
    world = migrating()
    del world.manifest["spec"]["replicas"]
    world.settle()
    assert (world.size_before, world.sets, world.condition("WorkloadReady")) == (
        4,
        {},
        ("False", "WorkloadUnfit"),
    )
    assert "write replicas: 4, or give the Deployment 1 first" in world.status.message
    match way:
        case "more replicas":
            world.update(replicas=4)
        case "a smaller Deployment":
            world.scale(1)
        case "it keeps its pods":
            world.update(workloadRef={"name": NAME, "scaleDown": "Never"})
    world.settle()
    sizes = {"more replicas": (4, 0), "a smaller Deployment": (1, 0), "it keeps its pods": (1, 4)}
    assert (world.ready("shop:v1"), world.size_before) == sizes[way]


def switched(strategy: dict[str, Any], **more: Any) -> Migrating:
    """The first revision has the stable Service already, and is not yet complete; another template
    comes, whose pods never become ready."""
    world = migrating(strategy, **more)
    while gen.revision() not in world.services[gen.STABLE].selector.values():
        assert world.tick() or world._next()
        world._world()
        world.now = world._next() or world.now
    world.broken = {gen.revision("shop:v2")}
    world.redeploy("shop:v2")
    return world


@pytest.mark.parametrize("routed", [False, True], ids=["by numbers of pods", "by a route"])
def test_a_service_goes_back_to_the_deployment_that_a_given_up_revision_had_it_from(
    routed: bool,
) -> None:
    """Nobody selects pods that go; when the next revision fails too, the Deployment serves."""
    world = switched(gen.canary(20, (50, "5s"), routed=routed), routed=routed)
    world.after_each = _served
    world.settle()
    assert (world.status.phase, world.status.stable_pod_hash) == (Phase.FAILED, "")
    assert (world.size_before, world.serving(), world.wished) == (4, 4, 0)
    assert world.services[gen.STABLE].original is None


def _served(world: Any) -> None:
    assert len(world.addresses(world.services[gen.STABLE])) >= 4


@pytest.mark.parametrize("routed", [False, True], ids=["by numbers of pods", "by a route"])
def test_a_given_up_revision_serves_until_the_slices_have_followed_the_service(
    routed: bool,
) -> None:
    """They still have only its pods when the Service asks for those of the Deployment again."""
    world = switched(gen.canary(20, (50, "5s"), routed=routed), routed=routed)
    world.after_each = _behind
    world.run(700)
    assert (world.status.phase, world.sliced, world.ready("shop:v1")) == (Phase.FAILED, False, 4)
    world.after_each = _served
    world.sliced = True
    world.settle()
    assert (world.size_before, world.serving(), world.wished) == (4, 4, 0)


def test_a_service_goes_back_to_the_deployment_before_the_steps_of_the_next_revision() -> None:
    """At once, and not only when that has failed."""
    canary = gen.canary(20, (50, "5s"), routed=True)
    world = switched(canary, routed=True, stepsOnFirstRollout=True)
    world.run(10)
    assert world.state == (Phase.PROGRESSING, 0, 20)
    assert world.services[gen.STABLE].original is None
    assert (world.serving(), world.split()) == (4, (100, 0))


def _behind(world: Any) -> None:
    """The controller of slices sleeps as soon as the Service is given back."""
    world.sliced = world.sliced and world.services[gen.STABLE].original is not None
    ours = {pod.uid for pod in world.pods.values() if pod.ready}
    assert world.sliced or len(world.slices[gen.STABLE] & ours) == 4


def test_a_deployment_that_was_held_before_anything_was_told_is_let_go() -> None:
    """The engine dies after its first writes; then the Rollout is deleted."""
    world = migrating()
    world.cut, world.survived = True, 2
    world.tick()
    world.cut = False
    assert (world.workload and world.workload.holder, world.status.workload_ref) == (gen.NAME, None)
    world.delete()
    world.settle()
    assert world.gone
    assert (world.workload.holder, world.workload.original) == ("", None)  # type: ignore[union-attr]
