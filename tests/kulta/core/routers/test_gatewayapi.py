"""The Gateway API router: two weights and nothing else, taken by every gateway, given back."""

import copy
import json
from dataclasses import replace
from typing import Any

import pytest

from fleet.api import names
from fleet.kulta.core.routers import Backends
from fleet.kulta.core.routers.gatewayapi import GatewayRouter
from tests import gen

ROUTER = GatewayRouter()
BACKENDS = Backends(rollout=gen.NAME, stable=gen.STABLE, canary=gen.CANARY)
BROKEN = '{"checkout": {"stable": "checkout", "weights": %s}}'
OTHER = {"name": "internal", "namespace": "gateways"}


def weighted(route: dict[str, Any], weight: int) -> dict[str, Any]:
    changed = ROUTER.weighted(route, BACKENDS, weight)
    assert changed is not None
    return dict(changed)


def refs(route: Any, rule: int = 0) -> list[dict[str, Any]]:
    return route["spec"]["rules"][rule]["backendRefs"]


@pytest.mark.parametrize(
    ("before", "weight", "after"),
    [
        pytest.param((100, 0), 20, (80, 20), id="[T1] 20 of [20, 50, 100]"),
        pytest.param((80, 20), 50, (50, 50), id="[T2] 50 of [20, 50]"),
        pytest.param((1, 1), 0, (100, 0), id="[T3] nothing has begun"),
        pytest.param((80, 20), 100, (0, 100), id="[T4] 100 of [20, 100]"),
        pytest.param((50, 50), 0, (100, 0), id="[T21] taken back"),
        pytest.param((None, None), 20, (80, 20), id="weights that were left out"),
    ],
)
def test_weights(before: Any, weight: int, after: tuple[int, int]) -> None:
    found = refs(weighted(gen.route(*before), weight))
    assert (found[0]["weight"], found[1]["weight"]) == after


@pytest.mark.parametrize("port", [80, 8080], ids=["[T5] port 80", "[T6] port 8080"])
def test_references_keep_port_kind_and_group(port: int) -> None:
    rules = [{"backendRefs": [gen.backend(n, 1, port=port) for n in (gen.STABLE, gen.CANARY)]}]
    assert refs(weighted(gen.route(rules=rules), 20)) == [
        {"group": "", "kind": "Service", "name": gen.STABLE, "port": port, "weight": 80},
        {"group": "", "kind": "Service", "name": gen.CANARY, "port": port, "weight": 20},
    ]


def test_right_weights_are_not_written_again() -> None:
    """[T18] [RP-02] No difference, no write; nothing that the server fills in is touched."""
    assert ROUTER.weighted(gen.route(80, 20), BACKENDS, 20) is None


def test_everything_else_stays() -> None:
    """[T14] [T15] [RP-08] [RP-10] [RP-12] Matches, filters, time-outs, rules, back-ends, notes."""
    route = gen.route()
    rule = {
        "matches": [{"path": {"type": "PathPrefix", "value": "/api"}}],
        "filters": [{"type": "RequestHeaderModifier"}],
        "timeouts": {"request": "5s"},
        "backendRefs": [
            gen.backend("mirror", 5),
            gen.backend(gen.CANARY, 0, filters=[{"type": "URLRewrite"}]),
            gen.backend(gen.STABLE, 100, namespace=gen.NAMESPACE),
        ],
    }
    route["spec"]["rules"] = [rule, {"backendRefs": [gen.backend("unrelated", 1)]}]
    route["metadata"]["annotations"] = {"note": "kept"}
    changed = weighted(copy.deepcopy(route), 30)
    assert changed["metadata"]["annotations"]["note"] == "kept"
    back = ROUTER.restored(changed, BACKENDS)
    assert back is not None
    assert (back["spec"], back["metadata"]["annotations"]) == (route["spec"], {"note": "kept"})
    for ref in refs(changed)[1:]:
        ref["weight"] = 0 if ref["name"] == gen.CANARY else 100
    assert changed["spec"] == route["spec"]


def test_rule_for_one_of_them_alone_is_left_alone() -> None:
    """[RP-04] A header rule that sends everything to the canary keeps its weight."""
    route = gen.route()
    route["spec"]["rules"].append({"backendRefs": [gen.backend(gen.CANARY, 1)]})
    assert refs(weighted(route, 30), 1) == [gen.backend(gen.CANARY, 1)]


def test_every_rule_with_both_is_weighted() -> None:
    """[RP-14] Not only the first rule."""
    pair = [gen.backend(gen.STABLE, 1), gen.backend(gen.CANARY, 0)]
    rules = [{"backendRefs": [gen.backend("other")]}, {"backendRefs": pair}, {"backendRefs": pair}]
    changed = weighted(gen.route(rules=copy.deepcopy(rules)), 30)
    assert [refs(changed, index)[1]["weight"] for index in (1, 2)] == [30, 30]
    assert refs(changed, 0) == [gen.backend("other")]


@pytest.mark.parametrize(
    "ref",
    [
        pytest.param({"namespace": "elsewhere"}, id="in another namespace"),
        pytest.param({"kind": "Deployment"}, id="of another kind"),
        pytest.param({"group": "example.com"}, id="of another group"),
    ],
)
def test_reference_to_something_else_of_that_name_is_not_ours(ref: dict[str, str]) -> None:
    rules = [{"backendRefs": [gen.backend(gen.STABLE, 1), gen.backend(gen.CANARY, 1, **ref)]}]
    problem = ROUTER.problem(gen.route(rules=rules), BACKENDS)
    assert problem is not None
    assert problem.reason == "RouteWithoutServices"


@pytest.mark.parametrize(
    ("port", "weights"),
    [
        pytest.param(80, [80, 20, 100, 0], id="the usual one"),
        pytest.param(9090, [100, 0, 80, 20], id="another"),
        pytest.param(443, None, id="one that is not there"),
    ],
)
def test_port_tells_references_to_one_service_apart(port: int, weights: list[int] | None) -> None:
    """[T6] Only where a rule has one Service several times."""
    pairs = [
        gen.backend(name, weight, port=item)
        for item in (80, 9090)
        for name, weight in ((gen.STABLE, 100), (gen.CANARY, 0))
    ]
    route, parts = gen.route(rules=[{"backendRefs": pairs}]), replace(BACKENDS, port=port)
    if weights is None:
        assert ROUTER.problem(route, parts) is not None
        return
    changed = ROUTER.weighted(route, parts, 20)
    assert [ref["weight"] for ref in refs(changed)] == weights
    restored = ROUTER.restored(changed or {}, parts)
    assert restored is not None
    assert restored["spec"] == route["spec"]


def test_rollouts_that_share_a_route_get_their_own_weights_back() -> None:
    other = Backends(rollout="cart", stable="cart", canary="cart-canary")
    mine = [gen.backend(gen.STABLE, 60), gen.backend(gen.CANARY, 40)]
    theirs = [gen.backend("cart", 7), gen.backend("cart-canary", 3)]
    original = gen.route(rules=[{"backendRefs": mine}, {"backendRefs": theirs}])
    changed = ROUTER.weighted(weighted(copy.deepcopy(original), 20), other, 50)
    assert changed is not None
    assert dict(ROUTER.kept(changed)) == {gen.NAME: BACKENDS, "cart": other}
    first = ROUTER.restored(changed, BACKENDS)
    assert first is not None
    assert [ref["weight"] for ref in (*refs(first), *refs(first, 1))] == [60, 40, 50, 50]
    assert dict(ROUTER.kept(first)) == {"cart": other}
    last = ROUTER.restored(first, other)
    assert last is not None
    assert last["spec"] == original["spec"]


def test_other_services_let_those_from_before_go() -> None:
    """The strategy names another canary Service in mid-rollout."""
    refs_ = [gen.backend(gen.STABLE, 9), gen.backend(gen.CANARY, 1), gen.backend("next", 0)]
    route = weighted(gen.route(rules=[{"backendRefs": refs_}]), 20)
    after = replace(BACKENDS, canary="next")
    changed = ROUTER.weighted(route, after, 30)
    assert changed is not None
    assert [ref["weight"] for ref in refs(changed)] == [70, 1, 30]
    assert dict(ROUTER.kept(changed)) == {gen.NAME: after}


def partly(generation: int, status: str = "True") -> dict[str, Any]:
    """Generation 2 is accepted; that rules of another, or of this one, are left out is said too."""
    found = gen.report({"name": "public"}, 2)
    said = {"type": "PartiallyInvalid", "status": status, "reason": "UnsupportedValue"}
    told = "rule 2 is another's: https://abc@example.com"
    conflict = {**said, "observedGeneration": generation, "message": told}
    return {**found, "conditions": [*found["conditions"], conflict]}


def test_what_a_gateway_says_of_rules_that_it_leaves_out_is_told() -> None:
    route = gen.route(generation=2)
    route["spec"]["parentRefs"] = [{"name": "public"}]
    route["status"]["parents"] = [partly(2)]
    wait = ROUTER.pending(route)
    assert wait is not None
    assert wait.message == (
        "gateway public leaves out rules of HTTPRoute checkout: PartiallyInvalid is True, "
        "UnsupportedValue: rule 2 is another's: https://…@example.com"
    )


@pytest.mark.parametrize(
    ("reports", "reason"),
    [
        pytest.param([gen.report({"name": "public"}, 2)], None, id="taken"),
        pytest.param([], "RoutePending", id="no gateway has answered"),
        pytest.param([gen.report({"name": "public"}, 1)], "RoutePending", id="an older generation"),
        pytest.param(
            [gen.report({"name": "public"}, 2, accepted="False")],
            "RouteNotAccepted",
            id="not accepted",
        ),
        pytest.param(
            [gen.report({"name": "public"}, 2, resolved="False")],
            "RouteNotAccepted",
            id="a back-end is not resolved",
        ),
        pytest.param([partly(2)], "RouteNotAccepted", id="some of its rules are left out"),
        pytest.param([partly(1)], None, id="rules of an older generation were left out"),
        pytest.param([partly(2, "False")], None, id="it is said that no rule is left out"),
        pytest.param(
            [gen.report({"name": "public"}, 2), gen.report({"name": "gone"}, 1)],
            None,
            id="a parent that is not in the spec does not count",
        ),
        pytest.param(
            [
                gen.report({"name": "public"}, 2),
                gen.report({"name": "public"}, 2, accepted="False"),
            ],
            "RouteNotAccepted",
            id="two controllers, one of which says no",
        ),
    ],
)
def test_gateways_must_take_it(reports: list[Any], reason: str | None) -> None:
    route = gen.route(generation=2)
    route["spec"]["parentRefs"] = [{"name": "public", "group": "gateway.networking.k8s.io"}]
    route["status"]["parents"] = reports
    wait = ROUTER.pending(route)
    assert (wait.reason if wait else None) == reason


def test_every_parent_must_take_it() -> None:
    route = gen.route(generation=2)
    parents = route["spec"]["parentRefs"] = [{"name": "public"}, OTHER]
    route["status"]["parents"] = [gen.report(parents[0], 2)]
    wait = ROUTER.pending(route)
    assert wait is not None
    assert wait.reason == "RoutePending"
    route["status"]["parents"].append(gen.report(OTHER, 2))
    assert ROUTER.pending(route) is None


def test_sections_of_a_gateway_are_told_apart() -> None:
    route = gen.route()
    route["spec"]["parentRefs"] = [{"name": "public", "sectionName": "https"}]
    route["status"]["parents"] = [gen.report({"name": "public", "sectionName": "http"}, 1)]
    assert ROUTER.pending(route) is not None


@pytest.mark.parametrize(
    ("before", "percent"),
    [
        pytest.param((100, 0), 0, id="nothing"),
        pytest.param((80, 20), 20, id="a fifth"),
        pytest.param((2, 1), 34, id="another scale, rounded up"),
        pytest.param((0, 0), 0, id="no weight at all"),
        pytest.param((None, None), 50, id="left out means 1"),
    ],
)
def test_weight_in_percent(before: Any, percent: int) -> None:
    assert ROUTER.weight(gen.route(*before), BACKENDS) == percent


@pytest.mark.parametrize(
    "before", [(100, 0), (60, 40), (None, None)], ids=["usual", "odd", "left out"]
)
def test_route_is_given_back_as_it_was(before: Any) -> None:
    original = gen.route(*before)
    changed = weighted(weighted(copy.deepcopy(original), 20), 50)
    restored = ROUTER.restored(changed, BACKENDS)
    assert restored is not None
    assert restored["spec"] == original["spec"]
    assert names.ORIGINAL_WEIGHTS not in restored["metadata"]["annotations"]
    assert ROUTER.restored(original, BACKENDS) is None


def test_note_with_a_broken_port_still_has_its_weights() -> None:
    """Between what it divided is known from the spec."""
    changed = weighted(gen.route(60, 40), 20)
    note = json.loads(changed["metadata"]["annotations"][names.ORIGINAL_WEIGHTS])
    note[gen.NAME]["port"] = "http"
    changed["metadata"]["annotations"][names.ORIGINAL_WEIGHTS] = json.dumps(note)
    restored = ROUTER.restored(changed, BACKENDS)
    assert restored is not None
    assert [ref["weight"] for ref in refs(restored)] == [60, 40]


@pytest.mark.parametrize(
    "note",
    [
        "",
        "[[1,",
        "[[1, 2]]",
        *(BROKEN % text for text in ("[[1, 2], [3, 4]]", '[["x", 1]]', "[[-1, 2]]", "7")),
    ],
    ids=str,
)
def test_broken_note_gives_everything_to_stable(note: str) -> None:
    changed = weighted(gen.route(60, 40), 20)
    changed["metadata"]["annotations"][names.ORIGINAL_WEIGHTS] = note
    restored = ROUTER.restored(changed, BACKENDS)
    assert restored is not None
    assert [ref["weight"] for ref in refs(restored)] == [100, 0]
