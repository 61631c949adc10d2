"""Stories of Services and routes: what is missing, what somebody changes, how it is given back."""

import copy
from typing import Any

import pytest

from fleet.api import names
from fleet.api.rollout import Phase
from fleet.kulta.core import actions as act
from tests import gen
from tests.kulta.world import World, canary_world
from tests.stories.test_engine_canary import running

BUSY_RULES = [
    {
        "name": "api",
        "matches": [{"path": {"type": "PathPrefix", "value": "/api"}}],
        "filters": [
            {
                "type": "RequestHeaderModifier",
                "requestHeaderModifier": {"set": [{"name": "x-team", "value": "shop"}]},
            }
        ],
        "timeouts": {"request": "10s"},
        "backendRefs": [
            gen.backend(gen.STABLE, 100, filters=[{"type": "ResponseHeaderModifier"}]),
            gen.backend(gen.CANARY, 0, namespace=gen.NAMESPACE),
            gen.backend("fallback", 3),
        ],
    },
    {"matches": [{"path": {"value": "/other"}}], "backendRefs": [gen.backend("other", 7)]},
    {"matches": [{"headers": [{"name": "x-canary"}]}], "backendRefs": [gen.backend(gen.CANARY, 1)]},
]


def without_weights(route: dict[str, Any]) -> dict[str, Any]:
    """A route's spec without the two weights that are ours."""
    spec = copy.deepcopy(route["spec"])
    for rule in spec["rules"][:1]:
        for ref in rule["backendRefs"][:2]:
            ref.pop("weight", None)
    return spec


def test_only_the_two_weights_change() -> None:
    """[T13] [T14] [T15] [RP-04] [RP-08] [RP-10] [RP-12] All but two weights stay."""
    world = running(30, (70, None), routed=True)
    world.routes[gen.ROUTE]["spec"]["rules"] = copy.deepcopy(BUSY_RULES)
    world.routes[gen.ROUTE]["metadata"]["annotations"] = {"owner": "shop"}
    before = without_weights(world.routes[gen.ROUTE])
    world.image("shop:v2")
    world.run(10)
    assert world.weights == [30, 70]
    assert without_weights(world.routes[gen.ROUTE]) == before
    world.annotate("promote")
    world.settle()
    assert world.split() == (100, 0)
    assert without_weights(world.routes[gen.ROUTE]) == before
    assert world.routes[gen.ROUTE]["metadata"]["annotations"]["owner"] == "shop"


def test_only_the_rules_that_hold_both_services_are_edited() -> None:
    """[RP-09] Whoever wants one rule left alone names one Service there."""
    world = running((30, None), 100, routed=True)
    both = {"backendRefs": [gen.backend(gen.STABLE, 100), gen.backend(gen.CANARY, 0)]}
    apart = {"matches": [{"path": {"value": "/admin"}}], "backendRefs": [gen.backend(gen.STABLE)]}
    world.routes[gen.ROUTE]["spec"]["rules"] = [copy.deepcopy(both), copy.deepcopy(apart)]
    world.image("shop:v2")
    world.run(10)
    rules = world.routes[gen.ROUTE]["spec"]["rules"]
    assert [ref["weight"] for ref in rules[0]["backendRefs"]] == [70, 30]
    assert rules[1] == apart
    world.annotate("promote")
    world.settle()
    assert world.routes[gen.ROUTE]["spec"]["rules"] == [both, apart]


def test_engine_that_starts_again_and_again_adds_no_rule() -> None:
    """[RP-06] Killed before and after each action of every step: the same rules, the same refs."""
    world = running((20, "5s"), (50, "5s"), 100, routed=True)
    world.routes[gen.ROUTE]["spec"]["rules"] = copy.deepcopy(BUSY_RULES)
    before = without_weights(world.routes[gen.ROUTE])
    seen: list[dict[str, Any]] = []

    def watch(small: World) -> None:
        seen.append(without_weights(small.routes[gen.ROUTE]))

    world.image("shop:v2")
    world.cut, world.after_each = True, watch
    world.settle()
    assert world.status.phase is Phase.COMPLETED
    assert world.weights == [20, 50, 100, 0]
    assert len(world.actions(act.WriteRoute)) == 4
    assert all(item == before for item in seen)


def test_weights_at_rest_are_those_of_the_manifest() -> None:
    """[RP-01] A tool that compares sees drift only while a rollout is on its way."""
    world = canary_world((50, None), 100, routed=True)
    spec = copy.deepcopy(world.routes[gen.ROUTE]["spec"])
    world.settle()
    assert world.routes[gen.ROUTE]["spec"] == spec
    world.image("shop:v2")
    world.run(5)
    assert world.routes[gen.ROUTE]["spec"] != spec
    world.annotate("promote")
    world.settle()
    assert world.routes[gen.ROUTE]["spec"] == spec


@pytest.mark.parametrize(
    ("missing", "reason"),
    [
        pytest.param("route", "RouteNotFound", id="[T16] the route is missing"),
        pytest.param("service", "ServiceNotFound", id="a Service is missing"),
        pytest.param("rule", "RouteWithoutServices", id="no rule has both Services"),
    ],
)
def test_what_is_missing_holds_the_step_until_it_is_there(missing: str, reason: str) -> None:
    world = running(20, 100, routed=True)
    routes, services = copy.deepcopy(world.routes), dict(world.services)
    world.strict = False
    if missing == "route":
        world.routes = {}
    elif missing == "service":
        del world.services[gen.CANARY]
    else:
        del world.routes[gen.ROUTE]["spec"]["rules"][0]["backendRefs"][1]
    world.image("shop:v2")
    world.run(120)
    assert world.state == (Phase.PROGRESSING, 0, 20)
    assert world.status.reached_step_index is None
    assert world.condition("TrafficReady") == ("False", reason)
    assert [item.reason for item in world.actions(act.Emit)].count(reason) == 1
    world.routes, world.services = routes, services
    world.settle()
    assert world.status.phase is Phase.COMPLETED
    assert world.condition("TrafficReady") == ("True", "TrafficReady")


def test_first_revision_waits_for_its_route_too() -> None:
    world = canary_world(20, 100, routed=True)
    routes, world.routes = world.routes, {}
    world.run(10)
    assert world.status.phase is Phase.PROGRESSING
    assert world.ready("shop:v1") == 4
    assert world.condition("TrafficReady") == ("False", "RouteNotFound")
    assert "does not exist" in world.status.message
    world.routes = {gen.ROUTE: {**routes[gen.ROUTE], "status": {"parents": []}}}
    world.gateway = False
    world.run(1)
    assert world.condition("Progressing") == ("True", "NewRevision"), "it tells no more of it"
    assert "does not exist" not in world.status.message
    world.gateway = True
    assert world.run(5).status.phase is Phase.COMPLETED


def test_gateway_that_does_not_answer_holds_the_step() -> None:
    world = running(20, 100, routed=True)
    world.gateway = False
    world.image("shop:v2")
    world.run(120)
    assert world.state == (Phase.PROGRESSING, 0, 20)
    assert world.condition("TrafficReady") == ("False", "RoutePending")
    assert len(world.actions(act.WriteRoute)) == 1
    world.gateway = True
    assert world.settle().status.phase is Phase.COMPLETED


def test_without_a_router_missing_services_are_no_error() -> None:
    world = running(20, 100)
    assert world.condition("TrafficReady") == ("True", "TrafficReady")
    assert names.ROLLOUT_FINALIZER not in world.manifest["metadata"].get("finalizers", [])
    assert world.actions(act.SetFinalizer) == []


def test_services_without_a_router_follow_the_revisions() -> None:
    """Existing Services are managed; the stable one is switched before the last old pod goes."""
    world = canary_world((50, None), 100)
    world.services = {
        gen.STABLE: gen.service(gen.STABLE, "stable"),
        gen.CANARY: gen.service(gen.CANARY, "canary"),
    }
    world.settle()
    old, new = gen.revision("shop:v1"), gen.revision("shop:v2")
    assert world.behind(gen.STABLE) == world.behind(gen.CANARY) == {old}
    world.image("shop:v2")
    world.run(10)
    assert (world.behind(gen.STABLE), world.behind(gen.CANARY)) == ({old}, {new})
    world.annotate("promote")
    seen = []
    for _ in range(200):
        world.run(0.1)
        seen.append(len(world.behind(gen.STABLE)))
    assert set(seen) == {1}
    world.settle()
    assert world.status.phase is Phase.COMPLETED
    assert world.behind(gen.STABLE) == {new}
    assert (world.size("shop:v1"), world.size("shop:v2")) == (0, 4)


def test_services_without_surge_get_the_last_pod_late() -> None:
    """No room for all new pods beside the old one: switch first, then the last pod moves."""
    world = canary_world((50, "5s"), 100, maxSurge="0", maxUnavailable="1")
    world.services = {
        gen.STABLE: gen.service(gen.STABLE, "stable"),
        gen.CANARY: gen.service(gen.CANARY, "canary"),
    }
    world.settle()
    world.image("shop:v2")
    world.settle()
    assert world.status.phase is Phase.COMPLETED
    assert (world.size("shop:v1"), world.ready("shop:v2")) == (0, 4)
    assert world.behind(gen.STABLE) == {gen.revision("shop:v2")}


class TestForeignHands:
    """Somebody else changes what we manage."""

    def test_undone_selector_is_put_back_three_times(self) -> None:
        world = running((50, None), 100, routed=True)
        world.image("shop:v2")
        world.run(5)
        world.log.clear()
        for _ in range(5):
            world.undo(gen.STABLE)
            world.run(1)
        events = [item.message for item in world.actions(act.Emit)]
        assert sum("put back" in item for item in events) == 3
        assert any("keeps undoing" in item for item in events)
        assert len(world.actions(act.SelectService)) == 3
        assert world.condition("Degraded") == ("True", "SelectorContested")
        assert world.condition("TrafficReady") == ("False", "SelectorContested")
        world.annotate("resume")
        world.run(1)
        assert world.condition("Degraded") is None
        assert world.behind(gen.STABLE) == {gen.revision("shop:v1")}

    def test_undone_weights_are_put_back_and_told(self) -> None:
        world = running((50, None), 100, routed=True)
        world.image("shop:v2")
        world.run(5)
        for ref, weight in zip(
            world.routes[gen.ROUTE]["spec"]["rules"][0]["backendRefs"], (100, 0), strict=True
        ):
            ref["weight"] = weight
        world.run(1)
        assert world.split() == (50, 50)
        assert any(item.reason == "WeightsContested" for item in world.actions(act.Emit))
        assert world.status.restores == 1

    def test_weights_undone_again_and_again_are_only_told(self) -> None:
        """Three times put back, then reported; the rollout stays where it is."""
        world = running((50, "1m"), 100, routed=True)
        world.image("shop:v2")
        world.run(5)
        for _ in range(4):
            refs = world.routes[gen.ROUTE]["spec"]["rules"][0]["backendRefs"]
            refs[0]["weight"], refs[1]["weight"] = 100, 0
            world.run(1)
        assert world.split() == (100, 0)
        assert world.condition("Degraded") == ("True", "WeightsContested")
        world.run(120)
        assert world.status.current_step_index == 0
        world.image("shop:v3")
        world.run(5)
        assert (world.split(), world.status.restores) == ((50, 50), 0), "another beginning"

    def test_selector_with_a_key_added_is_put_back(self) -> None:
        """What `kubectl apply` of the user's manifest does: it adds the role key again."""
        world = running(20, 100, routed=True)
        known = world.services[gen.STABLE]
        world.change(gen.STABLE, {**known.selector, names.TYPE_LABEL: "stable"})
        world.run(1)
        assert names.TYPE_LABEL not in world.services[gen.STABLE].selector

    def test_service_of_another_rollout_is_left_alone(self) -> None:
        world = canary_world(20, 100, routed=True)
        world.strict = False
        foreign = {**gen.APP, names.ROLLOUT_LABEL: "other", names.HASH_LABEL: "0123456789"}
        world.services[gen.STABLE] = gen.service(gen.STABLE, selector=foreign, original=gen.APP)
        world.run(30)
        assert world.services[gen.STABLE].selector == foreign
        assert world.condition("TrafficReady") == ("False", "ForeignObject")


class TestDeletion:
    """What the user had is given back."""

    def test_deletion_in_the_middle_restores_everything(self) -> None:
        """[C37] Selectors and weights as they were, then the finalizer goes."""
        world = canary_world((50, None), 100, routed=True)
        selectors = {name: dict(item.selector) for name, item in world.services.items()}
        world.settle()
        world.image("shop:v2")
        world.run(5)
        assert world.split() == (50, 50)
        world.manifest["metadata"]["deletionTimestamp"] = "2026-11-20T13:00:00Z"
        world.run(1)
        assert world.gone
        assert world.split() == (100, 0)
        assert {name: item.selector for name, item in world.services.items()} == selectors
        assert all(item.original is None for item in world.services.values())
        assert names.ORIGINAL_WEIGHTS not in world.routes[gen.ROUTE]["metadata"]["annotations"]
        assert world.log[-1] == act.SetFinalizer(present=False)

    @pytest.mark.parametrize("route", [True, False], ids=["never weighted", "gone"])
    def test_deletion_writes_no_route_that_was_not_changed(self, route: bool) -> None:
        world = running(50, 100, routed=True)
        if not route:
            world.routes = {}
        world.manifest["metadata"]["deletionTimestamp"] = "2026-11-20T13:00:00Z"
        world.run(1)
        assert world.gone
        assert world.actions(act.WriteRoute) == []

    def test_deletion_without_traffic_does_nothing(self) -> None:
        world = running(20, 100)
        world.manifest["metadata"]["deletionTimestamp"] = "2026-11-20T13:00:00Z"
        world.run(1)
        assert world.log == []

    def test_strategy_that_names_no_services_gives_them_back(self) -> None:
        world = running(20, 100, routed=True)
        world.services = {name: gen.service(name) for name in (gen.STABLE, gen.CANARY)}
        world.run(60)
        world.update(strategy={"simple": {}})
        world.run(60)
        assert world.services[gen.STABLE].selector == gen.APP
        assert world.manifest["metadata"]["finalizers"] == []

    def test_service_whose_role_is_nobodys_now_selects_all_pods_until_the_end(self) -> None:
        """Its own selector asks for `stable`; pods of a simple strategy are `simple`."""
        world = running(20, 100, routed=True)
        world.update(strategy={"simple": {}})
        world.run(60)
        assert world.services[gen.STABLE].selector == {**gen.APP, names.ROLLOUT_LABEL: gen.NAME}
        assert world.behind(gen.STABLE) == {gen.revision("shop:v1")}
        world.manifest["metadata"]["deletionTimestamp"] = "2026-11-20T13:00:00Z"
        world.run(1)
        assert world.services[gen.STABLE].selector == {**gen.APP, names.TYPE_LABEL: "stable"}
        assert world.gone

    def test_whoever_puts_the_selector_of_such_a_service_back_has_it_back(self) -> None:
        world = running(20, 100, routed=True)
        world.update(strategy={"simple": {}})
        world.run(60)
        world.undo(gen.STABLE)
        world.run(60)
        assert world.services[gen.STABLE].selector == {**gen.APP, names.TYPE_LABEL: "stable"}
        assert world.services[gen.STABLE].original is None

    @pytest.mark.parametrize(
        "strategy",
        [
            pytest.param({"simple": {}}, id="a strategy without a route"),
            pytest.param(gen.canary((50, None), 100), id="without a router"),
            pytest.param(
                gen.canary(
                    (50, None), 100, trafficRouting={"gatewayAPI": {"httpRoute": "another"}}
                ),
                id="another route",
            ),
        ],
    )
    def test_route_that_is_named_no_more_is_given_back(self, strategy: dict[str, Any]) -> None:
        """In the middle of a rollout, at 50 %: its weights are as they were before us."""
        world = canary_world((50, None), 100, routed=True)
        world.routes[gen.ROUTE] = gen.route(90, 10)
        spec = copy.deepcopy(world.routes[gen.ROUTE]["spec"])
        world.settle()
        world.image("shop:v2")
        world.run(5)
        assert world.split() == (50, 50)
        world.strict = False
        other = gen.route(100, 0)
        other["metadata"]["name"] = "another"
        world.routes["another"] = other
        world.update(strategy=strategy)
        world.run(60)
        assert world.routes[gen.ROUTE]["spec"] == spec
        assert names.ORIGINAL_WEIGHTS not in world.routes[gen.ROUTE]["metadata"]["annotations"]
        is_routed = "another" in str(strategy)
        assert (names.ORIGINAL_WEIGHTS in str(world.routes["another"])) is is_routed
