"""Stories of canaries that some get whatever the weight: by a header, or by a cookie."""

from dataclasses import replace
from typing import Any

import pytest

from fleet.api import names
from fleet.api.rollout import Phase
from tests import gen
from tests.kulta.world import World, canary_world
from tests.trees import clone

HEADER = {"name": "X-Team", "value": "checkout"}
COOKIE = {"cookieName": "version", "maxAge": 600}
STEPS = ((20, None), (50, None), 100)
SCALED = [{"setCanaryScale": {"replicas": 1}, "pause": {}}, {"setWeight": 20}]
"""A pod before the first weight."""
V2 = gen.revision("shop:v2")


def asking(*, kind: str = "HTTPRoute", **wish: Any) -> World:
    """A world whose first revision is complete; two of three rules hold both Services."""
    world = canary_world(*STEPS, routed=True)
    canary = world.manifest["spec"]["strategy"]["canary"]
    canary |= wish
    if kind == "GRPCRoute":
        canary["trafficRouting"] = {"gatewayAPI": {"grpcRoutes": [{"name": gen.ROUTE}]}}
    world.routes[gen.ROUTE] = gen.route(kind=kind)
    (rule,) = world.routes[gen.ROUTE]["spec"]["rules"]
    other = {**clone(rule), "matches": [gen.SHOP]}
    apart = {"backendRefs": [gen.backend(gen.STABLE, 1)], "matches": [gen.SHOP]}
    world.routes[gen.ROUTE]["spec"]["rules"] = [rule, other, apart]
    world.settle()
    assert world.status.phase is Phase.COMPLETED
    world.log.clear()
    return world


def rules(world: World) -> list[dict[str, Any]]:
    return list(world.routes[gen.ROUTE]["spec"]["rules"])


def asked(world: World) -> list[tuple[str, str]]:
    """Header and Service of each rule that leads to the new revision alone."""
    return [
        (match["headers"][-1]["name"], rule["backendRefs"][0]["name"])
        for rule in rules(world)
        if len(rule["backendRefs"]) == 1
        for match in rule.get("matches") or []
        if match.get("headers")
    ]


def given(world: World) -> list[str]:
    """Every `Set-Cookie` of the route."""
    return [
        header["value"]
        for rule in rules(world)
        for ref in rule["backendRefs"]
        for item in ref.get("filters") or []
        for header in item["responseHeaderModifier"]["add"]
    ]


def served(world: World) -> None:
    """Whom a rule of ours leads to has a ready pod."""
    if asked(world):
        assert world.addresses(world.services[gen.CANARY])


@pytest.mark.parametrize("kind", ["HTTPRoute", "GRPCRoute"])
def test_a_header_leads_to_the_new_revision_from_the_first_step_on(kind: str) -> None:
    """[RP-03] [RP-05] In every rule that holds both Services, from ready pods to the promotion."""
    world = asking(kind=kind, headerRoutes=[HEADER])
    before = clone(world.routes[gen.ROUTE]["spec"])
    world.after_each = served
    world.image("shop:v2")
    for weight in (20, 50):
        world.run(10)
        assert (world.status.phase, world.split()) == (Phase.PAUSED, (100 - weight, weight))
        assert asked(world) == [("X-Team", gen.CANARY)] * 2
        assert [len(rule["backendRefs"]) for rule in rules(world)] == [1, 2, 1, 2, 1]
        world.annotate("promote")
    world.settle()
    assert world.status.phase is Phase.COMPLETED
    assert world.routes[gen.ROUTE]["spec"] == before
    assert names.MANAGED_RULES not in world.routes[gen.ROUTE]["metadata"]["annotations"]


def test_a_header_needs_pods_and_no_weight() -> None:
    world = asking(headerRoutes=[HEADER], steps=SCALED)
    world.image("shop:v2")
    world.run(10)
    assert (world.split(), world.ready("shop:v2")) == ((100, 0), 1)
    assert asked(world) == [("X-Team", gen.CANARY)] * 2


def test_a_rollback_takes_headers_and_weights_in_one_write() -> None:
    world = asking(headerRoutes=[HEADER], sessionAffinity=COOKIE)
    world.image("shop:v2")
    world.run(10)
    seen: list[tuple[int, int, int]] = []
    world.after_each = lambda w: seen.append((w.split()[1], len(asked(w)), len(given(w))))
    world.annotate("rollback")
    world.settle()
    assert (world.status.phase, world.size("shop:v2")) == (Phase.FAILED, 0)
    assert set(seen) <= {(20, 4, 2), (0, 0, 0)}
    assert seen[-1] == (0, 0, 0)


@pytest.mark.parametrize("kind", ["HTTPRoute", "GRPCRoute"])
def test_a_cookie_keeps_who_got_it_once(kind: str) -> None:
    """[RP-13] Its value is the revision: nothing drifts, and none outlives its rollout."""
    world = asking(kind=kind, sessionAffinity=COOKIE)
    before = clone(world.routes[gen.ROUTE]["spec"])
    world.image("shop:v2")
    world.run(10)
    is_http = kind == "HTTPRoute"
    text = f"version={V2}; Path=/; Max-Age=600; HttpOnly"
    assert given(world) == ([text] * 2 if is_http else [])
    assert asked(world) == ([("Cookie", gen.CANARY)] * 2 if is_http else [])
    world.log.clear()
    world.run(300)
    assert world.log == [], "nothing is written again and again"
    world.image("shop:v3")
    world.run(10)
    assert set(given(world)) == ({text.replace(V2, gen.revision("shop:v3"))} if is_http else set())
    for _ in range(2):
        world.annotate("promote")
        world.run(10)
    world.settle()
    assert world.status.phase is Phase.COMPLETED
    assert world.routes[gen.ROUTE]["spec"] == before
    assert names.STICKY not in world.routes[gen.ROUTE]["metadata"]["annotations"]


def test_a_cookie_opens_nothing_that_is_closed() -> None:
    """At 0 % nobody gets in, whatever cookie is left from an earlier try."""
    world = asking(sessionAffinity=COOKIE, externalWeight=0, steps=[])
    world.image("shop:v2")
    world.run(10)
    assert (world.ready("shop:v2"), asked(world)) == (1, [])


def test_filters_of_others_stay_beside_ours() -> None:
    """[RP-10] Those of the reference to the canary Service."""
    own = {"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": ["x"]}}
    world = asking(sessionAffinity=COOKIE)
    world.image("shop:v2")
    world.run(10)
    ref = next(x for x in rules(world)[1]["backendRefs"] if x["name"] == gen.CANARY)
    ref["filters"].append(own)
    world.run(10)
    assert [item["type"] for item in ref["filters"]] != []
    assert [item for rule in rules(world) for item in _filters(rule) if item == own] == [own]
    world.annotate("rollback")
    world.settle()
    assert [item for rule in rules(world) for item in _filters(rule)] == [own]


def _filters(rule: dict[str, Any]) -> list[Any]:
    return [item for ref in rule["backendRefs"] for item in ref.get("filters") or []]


def test_a_filter_of_the_users_that_adds_headers_gets_ours_too() -> None:
    """Each kind of filter may stand there once."""
    world = asking(sessionAffinity=COOKIE)
    given_ = {"set": [{"name": "X-A", "value": "a"}], "add": [{"name": "X-B", "value": "b"}]}
    alone = {"set": [{"name": "X-A", "value": "a"}]}
    for rule, told in zip(rules(world), (given_, alone), strict=False):
        ref = next(x for x in rule["backendRefs"] if x["name"] == gen.CANARY)
        ref["filters"] = [{"type": "ResponseHeaderModifier", "responseHeaderModifier": told}]
    before = clone(world.routes[gen.ROUTE]["spec"])
    world.image("shop:v2")
    world.run(10)
    text = f"version={V2}; Path=/; Max-Age=600; HttpOnly"
    ours = {"name": "Set-Cookie", "value": text}
    weighed = [rule for rule in rules(world) if len(rule["backendRefs"]) > 1]
    assert [item["responseHeaderModifier"] for rule in weighed for item in _filters(rule)] == [
        {**given_, "add": [*given_["add"], ours]},
        {**alone, "add": [ours]},
    ]
    world.annotate("rollback")
    world.settle()
    assert world.routes[gen.ROUTE]["spec"] == before


def test_what_somebody_takes_out_is_put_back_and_told() -> None:
    world = asking(headerRoutes=[HEADER])
    world.image("shop:v2")
    world.run(10)
    world.routes[gen.ROUTE]["spec"]["rules"].pop(0)
    world.run(10)
    assert asked(world) == [("X-Team", gen.CANARY)] * 2
    assert world.status.restores == 1


def test_pods_that_are_lost_get_nobody_by_header() -> None:
    world = asking(headerRoutes=[HEADER], steps=SCALED)
    world.image("shop:v2")
    world.run(10)
    world.broken = {V2}
    world.run(1)
    assert asked(world) == []
    world.broken = set()
    world.run(10)
    assert len(asked(world)) == 2


def test_a_route_without_room_is_told_before_anything_is_written() -> None:
    """[RP-16] Sixteen rules are the most; ours would be two more."""
    world = asking(headerRoutes=[HEADER])
    route = world.routes[gen.ROUTE]["spec"]
    route["rules"] += [clone(route["rules"][-1]) for _ in range(12)]
    world.image("shop:v2")
    world.run(10)
    assert world.condition("TrafficReady") == ("False", "RouteFull")
    assert world.detail("TrafficReady").startswith(
        "with the canary HTTPRoute checkout would have 17 rules, and 16 is the most"
    )
    assert world.split() == (100, 0)


def test_an_engine_that_dies_at_every_write_adds_each_once() -> None:
    world = asking(headerRoutes=[HEADER], sessionAffinity=COOKIE)
    world.cut = True
    world.image("shop:v2")
    world.run(20)
    assert (len(asked(world)), len(given(world))) == (4, 2)


def test_deletion_leaves_the_route_as_it_was() -> None:
    world = asking(headerRoutes=[HEADER], sessionAffinity=COOKIE)
    before = clone(world.routes[gen.ROUTE]["spec"])
    world.image("shop:v2")
    world.run(10)
    world.manifest["metadata"]["deletionTimestamp"] = "2026-11-20T13:00:00Z"
    world.run(1)
    assert world.gone
    assert world.routes[gen.ROUTE]["spec"] == before
    assert not world.routes[gen.ROUTE]["metadata"]["annotations"]


@pytest.mark.parametrize("note", ["x", "[]", '{"checkout": 7}'])
def test_a_broken_note_breaks_nothing(note: str) -> None:
    world = asking(sessionAffinity=COOKIE)
    world.image("shop:v2")
    world.run(10)
    world.routes[gen.ROUTE]["metadata"]["annotations"][names.STICKY] = note
    world.run(10)
    assert len(given(world)) == 2


def external(weight: int, *, routed: bool = True) -> World:
    """A world whose new revision has a weight from outside."""
    world = canary_world(routed=routed)
    wish = {"externalWeight": weight, "steps": []}
    world.manifest["spec"]["strategy"]["canary"] |= wish
    world.settle()
    world.image("shop:v2")
    world.run(10)
    return world


def give(world: World, weight: int) -> None:
    """Somebody moves it."""
    canary = {**world.manifest["spec"]["strategy"]["canary"], "externalWeight": weight}
    world.update(strategy={"canary": canary})
    world.run(10)


def test_a_weight_from_outside_goes_up_and_down() -> None:
    """Pods first, then traffic; both directions, told in the diary, and nothing is contested."""
    world = external(0)
    assert (world.state, world.ready("shop:v2")) == ((Phase.PAUSED, 0, 0), 1)
    for weight, pods in ((25, 1), (100, 4), (50, 2), (0, 1), (75, 3)):
        give(world, weight)
        assert (world.state, world.split()) == ((Phase.PAUSED, 0, weight), (100 - weight, weight))
        assert world.ready("shop:v2") == pods
    said = [(x.reason, x.weight) for x in world.status.decisions if x.reason == "WeightChanged"]
    assert said == [("WeightChanged", weight) for weight in (25, 100, 50, 0, 75)]
    assert world.status.restores == 0
    world.annotate("promote")
    world.settle()
    assert (world.status.phase, world.ready("shop:v2")) == (Phase.COMPLETED, 4)


def test_a_weight_from_outside_counts_pods_where_nobody_routes() -> None:
    world = external(25, routed=False)
    assert (world.ready("shop:v1"), world.ready("shop:v2")) == (3, 1)
    give(world, 50)
    assert (world.ready("shop:v1"), world.ready("shop:v2")) == (2, 2)


def test_a_weight_from_outside_moves_in_a_hold_too() -> None:
    """A hold stops steps; who gives the weight knows of it."""
    world = external(25)
    world.update(hold={"reason": "halted"})
    world.run(10)
    give(world, 50)
    assert (world.status.phase, world.split(), world.status.current_weight) == (
        Phase.PAUSED,
        (50, 50),
        50,
    )
    world.annotate("promote")
    world.run(10)
    assert world.split() == (50, 50)


def test_a_weight_whose_pods_do_not_come_up_is_taken_back() -> None:
    world = external(25)
    world.able = {V2: 1}
    give(world, 75)
    assert world.split() == (75, 25)
    world.settle()
    assert (world.status.phase, world.split()) == (Phase.FAILED, (100, 0))


def test_a_weight_that_is_edited_in_its_step_is_no_quarrel() -> None:
    world = asking()
    world.image("shop:v2")
    world.run(10)
    steps = [{"setWeight": 30, "pause": {}}, {"setWeight": 50, "pause": {}}, {"setWeight": 100}]
    canary = {**world.manifest["spec"]["strategy"]["canary"], "steps": steps}
    world.update(strategy={"canary": canary})
    world.run(10)
    assert (world.split(), world.status.current_weight, world.status.restores) == ((70, 30), 30, 0)


def test_headers_that_are_edited_in_their_step_are_no_quarrel() -> None:
    world = asking(headerRoutes=[HEADER])
    world.image("shop:v2")
    world.run(10)
    for number in range(4):
        edited = [{**HEADER, "value": f"team-{number}"}]
        canary = {**world.manifest["spec"]["strategy"]["canary"], "headerRoutes": edited}
        world.update(strategy={"canary": canary})
        world.run(10)
    assert "team-3" in str(rules(world))
    assert world.status.restores == 0


def test_pods_that_are_lost_and_come_back_are_no_quarrel() -> None:
    """We took the weight away, and nobody else."""
    world = asking()
    world.image("shop:v2")
    world.run(10)
    world.strict = False
    for _ in range(4):
        for key, pod in world.pods.items():
            if pod.hash == V2:
                world.pods[key] = replace(pod, ready=False)
                world.born[key] = world.now
        world.run(1)
        assert world.split() == (100, 0)
        world.run(10)
        assert (world.split(), world.status.restores) == ((80, 20), 0)
