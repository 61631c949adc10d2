"""What every strategy must do, each property with each strategy."""

from typing import Any

import pytest

from fleet.api.rollout import Phase
from fleet.errors import UnexpectedState
from fleet.kulta.core import actions as act
from fleet.kulta.core import strategies
from fleet.kulta.core.feedback import validation
from tests import gen
from tests.kulta.world import World, furnish

WISHES: dict[str, dict[str, Any]] = {
    "canary": gen.canary(20, 100),
    "simple": {"simple": {}},
    "blueGreen": gen.blue_green(after=10),
    "abTesting": gen.ab_testing(maxDuration="1m"),
}
STEPS: dict[str, set[str]] = {
    "canary": {"1/2", "2/2"},
    "simple": {""},
    "blueGreen": {"preview", "promotion", ""},
    "abTesting": {"experiment", "promotion", ""},
}
UNFIT = gen.analysis({"name": "error-rate", "threshold": float("inf")})
FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "canary": (UNFIT, "metrics[0].threshold must be"),
    "simple": (UNFIT, "metrics[0].threshold must be"),
    "blueGreen": (UNFIT, "metrics[0].threshold must be"),
    "abTesting": (gen.ab_analysis(minDuration="9d"), "minDuration "),
}
"""An analysis that is wrong, and what is said of it."""

every = pytest.mark.parametrize("name", strategies.STRATEGIES)


def world_of(name: str, **spec: Any) -> World:
    world = World(gen.manifest(strategy=WISHES[name], **spec))
    if name == "blueGreen":
        furnish(world, (gen.ACTIVE, "active"), (gen.PREVIEW, "preview"), routed=False)
    if name == "abTesting":
        furnish(world, (gen.STABLE, "variant-a"), (gen.VARIANT, "variant-b"), routed=False)
    return world.settle()


def delivered(world: World, image: str = "shop:v2") -> World:
    """Another revision, with the one thing that only a person can do: promote a conclusion."""
    world.image(image)
    world.settle()
    if world.status.phase is Phase.CONCLUDED:
        world.annotate("promote")
    return world.settle()


def test_every_strategy_is_tried_here() -> None:
    assert WISHES.keys() == strategies.STRATEGIES.keys()


@every
def test_name_and_traits_agree(name: str) -> None:
    spec = gen.rollout(strategy=WISHES[name]).spec
    assert strategies.name(spec.strategy) == name
    assert strategies.select(spec.strategy).traits(spec).strategy == name


@every
@pytest.mark.parametrize("replicas", [0, 1, 5])
def test_revisions_complete(name: str, replicas: int) -> None:
    world = world_of(name, replicas=replicas)
    assert world.status.phase is Phase.COMPLETED
    delivered(world)
    assert world.status.phase is Phase.COMPLETED
    assert (world.size("shop:v1"), world.ready("shop:v2")) == (0, replicas)


@every
def test_revision_that_never_becomes_ready_is_taken_back(name: str) -> None:
    world = world_of(name)
    world.broken = {gen.revision("shop:v2")}
    world.image("shop:v2")
    world.settle()
    assert world.status.phase is Phase.FAILED
    assert (world.ready("shop:v1"), world.size("shop:v2")) == (4, 0)


@every
def test_rest_is_silent(name: str) -> None:
    world = world_of(name)
    world.log.clear()
    world.writes.clear()
    world.run(3_600)
    assert (world.log, world.writes) == ([], [])
    assert world.plans[-1].wake_at is None


@every
def test_status_tells_sizes_and_selector(name: str) -> None:
    world = world_of(name, fleetRevision="6f9c2d")
    status = world.status
    assert (status.replicas, status.ready_replicas, status.updated_replicas) == (4, 4, 4)
    assert status.selector == "app=checkout,rollouts.kulta.io/rollout=checkout"
    assert status.fleet_revision == "6f9c2d"
    assert status.current_pod_hash == status.stable_pod_hash == gen.revision("shop:v1")
    assert world.condition("Available") == ("True", "Available")


@every
def test_every_decision_is_an_event(name: str) -> None:
    world = delivered(world_of(name))
    events = [item.reason for item in world.actions(act.Emit)]
    assert events == [item.action for item in world.status.decisions]
    assert world.emitted == len(events)


def test_without_a_strategy_there_is_nothing_to_select() -> None:
    wish = gen.rollout(strategy={}).spec.strategy
    assert strategies.name(wish) == ""
    with pytest.raises(UnexpectedState):
        strategies.select(wish)


def test_simple_has_no_traffic() -> None:
    """[T7] Neither Services nor a route."""
    spec = gen.rollout(strategy=WISHES["simple"]).spec
    traits = strategies.select(spec.strategy).traits(spec)
    assert (traits.services, traits.is_routed) == ((), False)


@every
def test_status_says_strategy_and_step(name: str) -> None:
    """So that columns and the hub show them without knowing the strategy."""
    world = delivered(world_of(name))
    assert {item.strategy for item in world.writes} == {name}
    assert {item.step for item in world.writes} == STEPS[name]
    assert world.status.step == ("2/2" if name == "canary" else "")


@every
def test_problems_name_the_field_of_the_strategy(name: str) -> None:
    """Each strategy judges its own part; shared parts are judged alike."""
    analysis, said = FAULTS[name]
    rollout = gen.rollout(strategy={name: {**WISHES[name][name], "analysis": analysis}})
    (problem,) = validation.problems(rollout.spec)
    assert problem.startswith(f"spec.strategy.{name}.analysis.{said}")
