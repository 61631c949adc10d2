"""Stories of several routes: all have the weight before it goes on, and all give it back."""

import copy
from typing import Any

import pytest

from fleet.api import names
from fleet.api.rollout import Phase
from fleet.kulta.core import actions as act
from tests import gen
from tests.kulta.world import World, canary_world, furnish
from tests.stories.test_engine_canary import running

SHOP = {"shop": "yes"}
ALL = {
    "httpRoute": gen.ROUTE,
    "httpRoutes": [{"name": "internal"}],
    "grpcRoutes": [{"name": "rpc"}],
}
LABELLED = {"httpRouteSelector": {"matchLabels": SHOP}}


def routed_by(gateway: dict[str, Any], *weights: Any, **more: Any) -> World:
    """A world with three routes, whose first revision is complete."""
    steps = weights or ((20, None), 100)
    world = canary_world(*steps, routed=True, **more)
    world.manifest["spec"]["strategy"]["canary"]["trafficRouting"] = {"gatewayAPI": gateway}
    world.routes["internal"] = gen.route(name="internal")
    world.routes["rpc"] = gen.route(kind="GRPCRoute", name="rpc")
    for name in (gen.ROUTE, "internal"):
        world.routes[name]["metadata"]["labels"] = dict(SHOP)
    world.settle()
    assert world.status.phase is Phase.COMPLETED
    world.log.clear()
    return world


def splits(world: World) -> list[int]:
    """What each route gives to the new revision."""
    return [world.split(name)[1] for name in (gen.ROUTE, "internal", "rpc")]


def test_all_routes_have_the_weight_and_give_it_back() -> None:
    world = routed_by(ALL)
    before = copy.deepcopy({key: item["spec"] for key, item in world.routes.items()})
    world.image("shop:v2")
    world.run(10)
    assert splits(world) == [20, 20, 20]
    assert world.status.phase is Phase.PAUSED
    world.annotate("promote")
    world.settle()
    assert world.status.phase is Phase.COMPLETED
    assert {key: item["spec"] for key, item in world.routes.items()} == before
    world.manifest["metadata"]["deletionTimestamp"] = "2026-11-20T13:00:00Z"
    world.run(1)
    notes = [item["metadata"].get("annotations", {}) for item in world.routes.values()]
    assert not any(names.ORIGINAL_WEIGHTS in item for item in notes)


@pytest.mark.parametrize("deaf", [gen.ROUTE, "internal", "rpc"])
def test_one_gateway_that_does_not_answer_holds_the_step(deaf: str) -> None:
    world = routed_by(ALL, 20, 100)
    world.deaf = {deaf}
    world.image("shop:v2")
    world.run(120)
    assert world.state == (Phase.PROGRESSING, 0, 20)
    assert world.status.reached_step_index is None
    assert world.condition("TrafficReady") == ("False", "RoutePending")
    assert deaf in world.detail("TrafficReady")
    world.deaf = set()
    assert world.settle().status.phase is Phase.COMPLETED


def test_gateway_that_leaves_rules_out_holds_the_step() -> None:
    """Which ones nobody can see: they may be those with the weights."""
    world = running(20, 100, routed=True)
    world.gateway = False
    world.image("shop:v2")
    world.run(10)
    (report,) = world.routes[gen.ROUTE]["status"]["parents"]
    generation = world.routes[gen.ROUTE]["metadata"]["generation"]
    left_out = {"type": "PartiallyInvalid", "status": "True", "observedGeneration": generation}
    taken = gen.report(report["parentRef"], generation)
    taken["conditions"].append({**left_out, "reason": "RuleMatchPartiallyConflict"})
    world.routes[gen.ROUTE]["status"]["parents"] = [taken]
    world.run(120)
    assert world.state == (Phase.PROGRESSING, 0, 20)
    assert world.condition("TrafficReady") == ("False", "RouteNotAccepted")
    assert "PartiallyInvalid is True, RuleMatchPartiallyConflict" in world.status.message
    world.gateway = True
    assert world.settle().status.phase is Phase.COMPLETED


@pytest.mark.parametrize(
    ("lost", "field"), [("internal", "httpRoutes"), ("rpc", "grpcRoutes")], ids=["HTTP", "GRPC"]
)
def test_no_route_is_weighted_while_one_is_missing(lost: str, field: str) -> None:
    world = routed_by(ALL, 20, 100)
    kept = world.routes.pop(lost)
    world.image("shop:v2")
    world.run(60)
    assert world.actions(act.WriteRoute) == []
    assert world.condition("TrafficReady") == ("False", "RouteNotFound")
    said = world.detail("TrafficReady")
    assert f"{kept['kind']} {lost} does not exist" in said
    assert f"trafficRouting.gatewayAPI.{field}" in said
    world.routes[lost] = kept
    assert world.settle().status.phase is Phase.COMPLETED


def test_what_fails_loses_all_routes_before_its_pods_though_one_is_gone() -> None:
    """The checker sees to it that no route leads to a Service without ready pods."""
    world = routed_by(ALL)
    world.image("shop:v2")
    world.run(10)
    del world.routes["internal"]
    world.annotate("rollback")
    world.settle()
    assert world.status.phase is Phase.FAILED
    assert (world.split()[1], world.split("rpc")[1]) == (0, 0)
    assert world.size("shop:v2") == 0


def test_a_revision_that_loses_its_pods_loses_all_routes_though_one_is_gone() -> None:
    world = routed_by(ALL)
    world.image("shop:v2")
    world.run(10)
    del world.routes["internal"]
    world.strict = False  # the pods are gone before anybody can look
    world.broken = {gen.revision("shop:v2")}
    world.run(1)
    assert (world.split()[1], world.split("rpc")[1]) == (0, 0)


def test_rules_are_named_and_the_others_left_alone() -> None:
    """[RP-09] Both rules hold both Services; one is asked for by its name."""
    world = routed_by({"httpRoute": gen.ROUTE})
    wish = {"gatewayAPI": {"httpRoutes": [{"name": gen.ROUTE, "rules": ["api"]}]}}
    world.update(strategy=gen.canary((20, None), 100, trafficRouting=wish))
    pair = world.routes[gen.ROUTE]["spec"]["rules"][0]["backendRefs"]
    rules = [{"name": key, "backendRefs": copy.deepcopy(pair)} for key in ("api", "admin")]
    world.routes[gen.ROUTE]["spec"]["rules"] = copy.deepcopy(rules)
    world.image("shop:v2")
    world.run(10)
    found = world.routes[gen.ROUTE]["spec"]["rules"]
    assert [ref["weight"] for ref in found[0]["backendRefs"]] == [80, 20]
    assert found[1] == rules[1]
    world.manifest["metadata"]["deletionTimestamp"] = "2026-11-20T13:00:00Z"
    world.run(1)
    assert world.routes[gen.ROUTE]["spec"]["rules"] == rules


def test_a_rule_that_is_not_there_is_named() -> None:
    world = routed_by({"httpRoute": gen.ROUTE})
    wish = {"gatewayAPI": {"httpRoutes": [{"name": gen.ROUTE, "rules": ["api"]}]}}
    world.update(strategy=gen.canary((20, None), 100, trafficRouting=wish))
    world.image("shop:v2")
    world.run(10)
    assert world.condition("TrafficReady") == ("False", "RouteWithoutServices")
    assert "no rule named api" in world.detail("TrafficReady")


class TestLabels:
    """Routes that are asked for by their labels."""

    def test_those_that_have_them_are_weighted(self) -> None:
        world = routed_by(LABELLED)
        world.image("shop:v2")
        world.run(10)
        assert splits(world) == [20, 20, 0]

    def test_a_route_that_gets_them_gets_the_weight_and_without_them_has_its_own(self) -> None:
        world = routed_by(LABELLED)
        world.image("shop:v2")
        world.run(10)
        world.routes["late"] = {
            **gen.route(90, 10, name="late"),
            "metadata": {**gen.route(name="late")["metadata"], "labels": dict(SHOP)},
        }
        world.run(10)
        assert world.split("late") == (80, 20)
        assert world.status.restores == 0, "it is nobody's doing"
        world.routes["late"]["metadata"]["labels"] = {}
        world.run(10)
        assert world.split("late") == (90, 10)
        assert world.split() == (80, 20)

    def test_labels_that_no_route_has_are_told(self) -> None:
        world = routed_by(LABELLED)
        for item in world.routes.values():
            item["metadata"]["labels"] = {}
        world.image("shop:v2")
        world.run(10)
        assert world.condition("TrafficReady") == ("False", "RouteNotFound")
        assert "has the labels shop=yes" in world.detail("TrafficReady")


def test_a_kind_that_the_cluster_does_not_know_is_a_condition() -> None:
    """[RP-15] It holds this Rollout and heals when the kind is there."""
    world = routed_by(ALL, 20, 100)
    rpc = world.routes.pop("rpc")
    world.unserved = {"GRPCRoute"}
    world.image("shop:v2")
    world.run(60)
    assert world.condition("TrafficReady") == ("False", "RouterNotInstalled")
    assert "does not know GRPCRoutes" in world.detail("TrafficReady")
    assert world.ready("shop:v1") == 4
    world.unserved, world.routes["rpc"] = set(), rpc
    assert world.settle().status.phase is Phase.COMPLETED


@pytest.mark.parametrize(
    ("why", "told"),
    [
        pytest.param("", ("True", "TrafficReady"), id="at first it waits in silence"),
        pytest.param("forbidden", ("False", "RoutePending"), id="then it says why"),
    ],
)
def test_routes_that_have_not_been_seen_yet_are_awaited(why: str, told: tuple[str, str]) -> None:
    world = routed_by(ALL, 20, 100)
    routes, world.routes = world.routes, {}
    world.unseen = {"HTTPRoute": why, "GRPCRoute": why}
    world.strict = False
    world.image("shop:v2")
    world.run(5)
    assert world.status.phase is Phase.PROGRESSING
    assert world.condition("TrafficReady") == told
    world.unseen, world.routes = {}, routes
    assert world.settle().status.phase is Phase.COMPLETED


@pytest.mark.parametrize(
    ("why", "unserved", "gone"),
    [
        pytest.param("", set(), False, id="not yet: it waits"),
        pytest.param("forbidden", set(), True, id="never: it goes"),
        pytest.param("", {"HTTPRoute", "GRPCRoute"}, True, id="there are none: it goes"),
    ],
)
def test_deletion_waits_for_routes_that_have_not_been_seen_yet(
    why: str, unserved: set[str], gone: bool
) -> None:
    world = routed_by(ALL, (20, None), 100)
    world.image("shop:v2")
    world.run(5)
    routes, world.routes = world.routes, {}
    world.unseen, world.unserved = {"HTTPRoute": why, "GRPCRoute": why}, unserved
    world.manifest["metadata"]["deletionTimestamp"] = "2026-11-20T13:00:00Z"
    world.strict = False
    world.run(1)
    assert world.gone == gone
    world.unseen, world.routes = {}, routes
    world.run(1)
    splits = {world.split(name) for name in routes}
    assert (world.gone, splits) == (True, {(80, 20) if gone else (100, 0)})


class TestExperiments:
    """Arms that are asked for by headers, over several routes."""

    def test_every_route_has_the_rules_before_it_begins(self) -> None:
        wish = {"gatewayAPI": {"httpRoute": gen.ROUTE, "grpcRoutes": [{"name": "rpc"}]}}
        match = {"header": {"name": "x-variant", "value": "b"}}
        strategy = gen.ab_testing(trafficRouting=wish, variantBMatch=match)
        world = World(gen.manifest(strategy=strategy))
        furnish(world, (gen.STABLE, "variant-a"), (gen.VARIANT, "variant-b"), routed=False)
        rules = [{"backendRefs": [gen.backend(gen.STABLE, 1)]}]
        for name, kind in ((gen.ROUTE, "HTTPRoute"), ("rpc", "GRPCRoute")):
            world.routes[name] = gen.route(kind=kind, name=name, rules=copy.deepcopy(rules))
        world.settle()
        world.deaf = {"rpc"}
        world.image("shop:v2")
        world.run(20)
        assert world.status.phase is Phase.PROGRESSING, "one gateway has not answered"
        world.deaf = set()
        world.run(10)
        assert world.status.phase is Phase.EXPERIMENTING
        assert {len(item["spec"]["rules"]) for item in world.routes.values()} == {2}
        world.annotate("rollback")
        world.settle()
        assert [item["spec"]["rules"] for item in world.routes.values()] == [rules, rules]


def test_an_experiment_on_a_grpc_route_asks_for_its_headers_alone() -> None:
    """A rule without matches takes every method; its clone asks for nothing but the header."""
    wish = {"gatewayAPI": {"grpcRoutes": [{"name": gen.ROUTE}]}}
    match = {"header": {"name": "x-variant", "value": "b"}}
    experiment = gen.ab_testing(trafficRouting=wish, variantBMatch=match)
    world = World(gen.manifest(strategy=experiment))
    furnish(world, (gen.STABLE, "variant-a"), (gen.VARIANT, "variant-b"), routed=False)
    rules = [{"backendRefs": [gen.backend(gen.STABLE, 1)]}]
    world.routes = {gen.ROUTE: gen.route(kind="GRPCRoute", rules=copy.deepcopy(rules))}
    world.settle()
    world.image("shop:v2")
    world.run(10)
    assert world.status.phase is Phase.EXPERIMENTING
    first, second = world.routes[gen.ROUTE]["spec"]["rules"]
    header = {"type": "Exact", "name": "x-variant", "value": "b"}
    assert first["matches"] == [{"headers": [header]}]
    assert first["backendRefs"][0]["name"] == gen.VARIANT
    assert second == rules[0]
    world.annotate("rollback")
    world.settle()
    assert world.routes[gen.ROUTE]["spec"]["rules"] == rules
