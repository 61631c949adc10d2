"""Stories of another strategy: chosen in mid-run, at rest, after a failure; every pair that exists.

The revision on its way begins anew by the rules of the new strategy. Whatever a client asks, the
Service behind it has a ready pod, although each strategy has Services and roles of its own.
"""

import itertools
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from fleet.api import names
from fleet.api.rollout import Phase
from fleet.kulta.core import strategies
from tests import gen
from tests.kulta.checker import Impossible
from tests.kulta.copies import fork
from tests.kulta.world import World, furnish

METRIC = {"name": "error-rate", "threshold": 5}
WISHES: dict[str, dict[str, Any]] = {
    "simple": {"simple": {"analysis": gen.analysis(METRIC, warmupDuration="20s")}},
    "canary": gen.canary((20, "10s"), (50, "10s"), 100),
    "canary by a route": gen.canary((20, "10s"), (50, "10s"), 100, routed=True),
    "blueGreen": gen.blue_green(after=20),
    "blueGreen by a route": gen.blue_green(after=20, routed=True),
    "abTesting": gen.ab_testing(routed=True, maxDuration="20s"),
}
SERVICES = (
    (gen.STABLE, "stable"),
    (gen.CANARY, "canary"),
    (gen.PREVIEW, "preview"),
    (gen.VARIANT, "variant-b"),
)
TURNS = 40
"""More turns of engine and world than the longest rollout here takes."""

pairs = pytest.mark.parametrize(
    ("before", "after"),
    [pair for pair in itertools.permutations(WISHES, 2)],
    ids=lambda name: name,
)


def world_of(wish: str) -> World:
    """shop:v1 serves; Services and route are there for any strategy, and a client asks."""
    return fork(_settled(wish))


@cache
def _settled(wish: str) -> World:
    world = World(gen.manifest(strategy=WISHES[wish]))
    world.answer = lambda text: 0.5
    furnish(world, *SERVICES, routed=True)
    refs = [gen.backend(gen.STABLE, 100), gen.backend(gen.CANARY, 0), gen.backend(gen.PREVIEW, 0)]
    world.routes[gen.ROUTE]["spec"]["rules"] = [{"backendRefs": refs}]
    world.settle()
    if wish == "simple":
        world.change(gen.STABLE, dict(gen.APP))
    world.after_each = check_served
    return world


def check_served(world: World) -> None:
    """Every back-end that gets requests has a ready pod."""
    rules = world.routes[gen.ROUTE]["spec"]["rules"]
    for ref in (ref for rule in rules for ref in rule["backendRefs"]):
        if ref["weight"] and not world.addresses(world.services[ref["name"]]):
            raise Impossible(f"{ref['weight']}% to Service {ref['name']}, which has no ready pod")


def turn(world: World, count: int) -> None:
    """So many turns; the clock moves on where nothing happens."""
    for _ in range(count):
        changed = world.tick()
        changed = world._world() or changed
        due = None if changed else world._next()
        world.now = max(due, world.now) if due else world.now


def settle(world: World) -> None:
    """To its end; whatever an experiment says, the new revision is promoted."""
    world.settle()
    if world.status.phase is Phase.CONCLUDED:
        world.annotate("promote")
        world.settle()


def moments(wish: str, step: int) -> Iterator[tuple[int, World]]:
    """A rollout of shop:v2 at every `step`-th turn, until it is complete."""
    for count, world in _moments(wish, step):
        yield count, fork(world)


@cache
def _moments(wish: str, step: int) -> tuple[tuple[int, World], ...]:
    world, found = world_of(wish), []
    world.image("shop:v2")
    for count in range(0, TURNS, step):
        found.append((count, fork(world)))
        turn(world, step)
        if world.status.phase in (Phase.COMPLETED, Phase.CONCLUDED):
            break
    return tuple(found)


def test_every_strategy_is_tried_here() -> None:
    assert {next(iter(wish)) for wish in WISHES.values()} == strategies.STRATEGIES.keys()


@pairs
def test_in_mid_run_the_revision_begins_anew_and_completes(before: str, after: str) -> None:
    """At every other turn of a rollout."""
    for count, world in moments(before, 2):
        world.update(strategy=WISHES[after])
        settle(world)
        assert world.status.phase is Phase.COMPLETED
        assert (world.size("shop:v1"), world.ready("shop:v2")) == (0, 4)
        assert world.status.strategy == next(iter(WISHES[after]))
        begun = [item.reason for item in world.status.decisions if item.action == "Initialize"]
        is_another = count and WISHES[before].keys() != WISHES[after].keys()
        assert begun[-1] == ("StrategyChanged" if is_another else "Initialization")


@pairs
def test_in_mid_run_a_bad_revision_is_taken_back_by_the_new_strategy(
    before: str, after: str
) -> None:
    for count, world in moments(before, 3):
        if not count:
            continue  # nothing is on its way yet that could be aborted
        world.update(strategy=WISHES[after])
        world.annotate("abort")
        settle(world)
        assert world.status.phase is Phase.FAILED
        assert (world.ready("shop:v1"), world.size("shop:v2")) == (4, 0)


@pairs
def test_at_rest_nothing_begins(before: str, after: str) -> None:
    world = world_of(before)
    world.update(strategy=WISHES[after])
    settle(world)
    assert world.status.phase is Phase.COMPLETED
    assert world.ready("shop:v1") == 4
    assert {item.reason for item in world.status.decisions} == {"Initialization"}
    world.image("shop:v2")
    settle(world)
    assert (world.size("shop:v1"), world.ready("shop:v2")) == (0, 4)


@pairs
def test_after_a_failure_the_stable_revision_serves_on(before: str, after: str) -> None:
    world = world_of(before)
    world.image("shop:v2")
    turn(world, 3)
    world.annotate("abort")
    settle(world)
    world.update(strategy=WISHES[after])
    settle(world)
    assert world.status.phase is Phase.FAILED
    assert (world.ready("shop:v1"), world.size("shop:v2")) == (4, 0)


@pairs
def test_deletion_gives_everything_back_whatever_came_before(before: str, after: str) -> None:
    world = world_of(before)
    world.image("shop:v2")
    turn(world, 8)
    world.update(strategy=WISHES[after])
    turn(world, 8)
    world.after_each = lambda small: None
    world.manifest["metadata"]["deletionTimestamp"] = "2026-11-20T13:00:00Z"
    world.run(1)
    assert all(item.original is None for item in world.services.values())
    assert names.ORIGINAL_WEIGHTS not in (
        world.routes[gen.ROUTE]["metadata"].get("annotations") or {}
    )
