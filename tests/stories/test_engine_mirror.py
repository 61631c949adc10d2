"""Stories of mirrors: at a step of weight 0 the new revision gets copies of all requests."""

import copy
from typing import Any

import pytest

from fleet.api import names
from fleet.api.rollout import Phase
from fleet.kulta.core import actions as act
from tests import gen
from tests.kulta.world import World, canary_world

OWN = {"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": ["x"]}}
COPIES = {
    "type": "RequestMirror",
    "requestMirror": {
        "backendRef": {"group": "", "kind": "Service", "name": gen.CANARY, "port": 80}
    },
}
STEPS = ((0, None), (20, None), 100)


def mirroring(*, kind: str = "HTTPRoute", filters: int = 1, **more: Any) -> World:
    """A world whose first revision is complete; one of two rules holds both Services."""
    world = canary_world(*STEPS, routed=True, **more)
    world.manifest["spec"]["strategy"]["canary"]["mirror"] = True
    if kind == "GRPCRoute":
        wish = {"gatewayAPI": {"grpcRoutes": [{"name": gen.ROUTE}]}}
        world.manifest["spec"]["strategy"]["canary"]["trafficRouting"] = wish
    world.routes[gen.ROUTE] = gen.route(kind=kind)
    (rule,) = world.routes[gen.ROUTE]["spec"]["rules"]
    apart = {"backendRefs": [gen.backend(gen.STABLE, 1)], "matches": [gen.SHOP]}
    rule["filters"] = [copy.deepcopy(OWN) for _ in range(filters)]
    world.routes[gen.ROUTE]["spec"]["rules"] = [rule, apart]
    world.settle()
    assert world.status.phase is Phase.COMPLETED
    world.log.clear()
    return world


def filters(world: World) -> list[list[dict[str, Any]]]:
    """Those of each rule."""
    return [rule.get("filters", []) for rule in world.routes[gen.ROUTE]["spec"]["rules"]]


def served(world: World) -> None:
    """Whom copies are sent to has a ready pod."""
    if any(COPIES in item for item in filters(world)):
        assert world.addresses(world.services[gen.CANARY])


@pytest.mark.parametrize("kind", ["HTTPRoute", "GRPCRoute"])
def test_copies_come_before_the_first_percent(kind: str) -> None:
    """[RP-11] All its pods, a filter in the rules that hold both Services, and no weight."""
    world = mirroring(kind=kind)
    before = copy.deepcopy(world.routes[gen.ROUTE]["spec"])
    world.after_each = served
    world.image("shop:v2")
    world.run(10)
    assert (world.status.phase, world.split()) == (Phase.PAUSED, (100, 0))
    assert (world.ready("shop:v1"), world.ready("shop:v2")) == (4, 4)
    assert filters(world) == [[OWN, COPIES], []]
    world.annotate("promote")
    world.run(10)
    assert (world.status.phase, world.split()) == (Phase.PAUSED, (80, 20))
    assert filters(world) == [[OWN], []]
    assert world.ready("shop:v2") == 1
    world.annotate("promote")
    world.settle()
    assert world.status.phase is Phase.COMPLETED
    assert world.routes[gen.ROUTE]["spec"] == before
    assert names.MIRRORED not in world.routes[gen.ROUTE]["metadata"]["annotations"]


def test_a_rollback_ends_the_copies_before_the_pods() -> None:
    world = mirroring()
    world.image("shop:v2")
    world.run(10)
    world.after_each = served
    world.annotate("rollback")
    world.settle()
    assert (world.status.phase, world.size("shop:v2")) == (Phase.FAILED, 0)
    assert filters(world) == [[OWN], []]


def test_pods_that_are_lost_get_no_copies() -> None:
    world = mirroring()
    world.image("shop:v2")
    world.run(10)
    world.broken = {gen.revision("shop:v2")}
    world.run(1)
    assert filters(world) == [[OWN], []]
    world.broken = set()
    world.run(10)
    assert filters(world) == [[OWN, COPIES], []]


def test_a_filter_that_somebody_takes_out_is_put_back_and_told() -> None:
    world = mirroring()
    world.image("shop:v2")
    world.run(10)
    world.routes[gen.ROUTE]["spec"]["rules"][0]["filters"].pop()
    world.run(1)
    assert filters(world) == [[OWN, COPIES], []]
    assert world.status.restores == 1


def test_deletion_takes_our_filter_along() -> None:
    world = mirroring(filters=0)
    world.image("shop:v2")
    world.run(10)
    assert filters(world) == [[COPIES], []]
    world.manifest["metadata"]["deletionTimestamp"] = "2026-11-20T13:00:00Z"
    world.run(1)
    assert world.gone
    assert filters(world) == [[], []]
    assert not world.routes[gen.ROUTE]["metadata"]["annotations"]


def test_an_engine_that_dies_at_every_write_adds_one_filter() -> None:
    world = mirroring()
    world.cut = True
    world.image("shop:v2")
    world.run(20)
    assert filters(world) == [[OWN, COPIES], []]


def test_a_hold_keeps_the_copies() -> None:
    world = mirroring()
    world.image("shop:v2")
    world.run(10)
    world.update(hold={"reason": "halted"})
    world.annotate("promote")
    world.run(10)
    assert filters(world) == [[OWN, COPIES], []]
    assert world.ready("shop:v2") == 4


def test_without_it_a_step_of_nothing_has_no_pods() -> None:
    world = mirroring()
    world.update(strategy=gen.canary(*STEPS, routed=True))
    world.image("shop:v2")
    world.run(10)
    assert (world.size("shop:v2"), filters(world)) == (0, [[OWN], []])


def test_a_rule_that_is_full_of_filters_is_told() -> None:
    """[RP-16] Counted first: sixteen is the most."""
    world = mirroring(filters=16)
    world.image("shop:v2")
    world.run(10)
    assert world.condition("TrafficReady") == ("False", "RouteFull")
    assert world.actions(act.WriteRoute) == []


@pytest.mark.parametrize("note", ["x", "[]", '{"checkout": 7}'])
def test_a_broken_note_breaks_nothing(note: str) -> None:
    world = mirroring()
    world.image("shop:v2")
    world.run(10)
    world.routes[gen.ROUTE]["metadata"]["annotations"][names.MIRRORED] = note
    world.run(10)
    assert filters(world) == [[OWN, COPIES], []]
    world.annotate("promote")
    world.run(10)
    assert filters(world) == [[OWN], []]
