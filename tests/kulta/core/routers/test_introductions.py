"""Rules of ours come and go in steps: no Service gets requests that its gateway does not know."""

import copy
import json
from typing import Any

import pytest

from fleet.api import names
from fleet.kulta.core.routers.base import Backends, Beside, Branch, Header
from fleet.kulta.core.routers.gatewayapi import GatewayRouter
from tests import gen

ROUTER = GatewayRouter()
A, B, C = "checkout", "checkout-b", "checkout-c"
CLOSED, OPEN, REST = [(A, 100), (B, 0)], [(B, 100)], [(A, 1)]


def arm(letter: str, service: str) -> Branch:
    header = Header(name="X-Variant", value=letter)
    return Branch(name=f"variant-{letter.lower()}", service=service, matches=((header,),))


PARTS = Backends(rollout=gen.NAME, stable=A, canary=B, branches=(arm("B", B),))
BOTH = Backends(rollout=gen.NAME, stable=A, canary=B, branches=(arm("B", B), arm("C", C)))


def plain(*others: dict[str, Any]) -> dict[str, Any]:
    """A route to A, and more rules."""
    return gen.route(rules=[{"backendRefs": [gen.backend(A, 1)]}, *others])


def refs(route: Any) -> list[list[tuple[str, int]]]:
    rules = route["spec"]["rules"]
    return [[(ref["name"], ref["weight"]) for ref in rule["backendRefs"]] for rule in rules]


def step(route: Any, weight: int, parts: Backends = PARTS) -> Any:
    """One write, which no gateway has taken yet."""
    changed = ROUTER.weighted(route, parts, weight)
    if changed is None:
        return None
    found = copy.deepcopy(dict(changed))
    found["metadata"]["generation"] += 1
    return found


def taken(route: Any, accepted: str = "True") -> Any:
    """With the gateway's answer."""
    found, (parent,) = copy.deepcopy(route), route["spec"]["parentRefs"]
    report = gen.report(parent, found["metadata"]["generation"], accepted=accepted)
    return found | {"status": {"parents": [report]}}


def done(route: Any, weight: int, parts: Backends = PARTS) -> Any:
    """All steps, each taken at once."""
    while (changed := step(route, weight, parts)) is not None:
        route = taken(changed)
    return route


def test_a_rule_comes_closed_and_opens_when_the_gateway_has_it() -> None:
    closed = step(plain(), 100)
    assert refs(closed) == [CLOSED, REST]
    assert step(closed, 100) is None, "the gateway has not taken it"
    assert refs(step(taken(closed), 100)) == [OPEN, REST]


def test_a_rule_is_closed_and_goes_when_the_gateway_has_it() -> None:
    """[RP-05] And the route is as it was."""
    closed = step(done(plain(), 100), 0)
    assert refs(closed) == [CLOSED, REST]
    assert step(closed, 0) is None, "the gateway has not taken it"
    assert step(taken(closed), 0)["spec"] == plain()["spec"]


def test_what_turns_round_half_way_needs_not_go_to_the_end() -> None:
    closed = taken(step(plain(), 100))
    assert step(closed, 0)["spec"] == plain()["spec"]
    assert refs(step(taken(step(done(plain(), 100), 0)), 100)) == [OPEN, REST]


def test_a_gateway_that_refuses_rules_keeps_nobody_from_taking_them_out() -> None:
    """It might refuse the whole route for them."""
    closed = taken(step(plain(), 100), accepted="False")
    assert step(closed, 100) is None
    assert step(closed, 0)["spec"] == plain()["spec"]


def test_one_gateway_that_refuses_speaks_for_no_other() -> None:
    """Whichever comes first, the others may still lead to what is to go."""
    closed = step(done(plain(), 100), 0)
    parents = [{"name": "refuses"}, {"name": "slow"}]
    for order in (parents, parents[::-1]):
        route = copy.deepcopy(closed)
        route["spec"]["parentRefs"] = order
        generation = route["metadata"]["generation"]
        no = gen.report({"name": "refuses"}, generation, accepted="False")
        route["status"] = {"parents": [no]}
        assert step(route, 0) is None
        told = ROUTER.pending(route)
        assert told is not None
        assert told.reason == "RouteNotAccepted"
        yes = gen.report({"name": "slow"}, generation)
        route["status"] = {"parents": [no, yes]}
        assert refs(step(route, 0)) == [REST]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"port": 81}, id="another port"),
        pytest.param({"namespace": "elsewhere"}, id="another namespace"),
        pytest.param({"kind": "Bucket"}, id="another kind"),
        pytest.param({"group": "x.example.com"}, id="another group"),
    ],
)
def test_what_has_its_name_alone_is_not_the_service(other: dict[str, Any]) -> None:
    refs_ = [gen.backend(B, 1, **other)]
    matches = [{"path": {"type": "Exact", "value": "/preview"}}]
    route = plain({"backendRefs": refs_, "matches": matches})
    assert refs(step(route, 100))[0] == CLOSED
    assert refs(step(done(route, 100), 0))[0] == CLOSED


def test_a_closed_rule_is_no_rule_of_the_users_with_both_services() -> None:
    """A canary for whom a header is enough: its owner takes it out of the rule, then deletes it."""
    beside = Beside(branches=(arm("B", B),))
    parts = Backends(rollout=gen.NAME, stable=A, canary=B, beside=beside)
    pair = [gen.backend(A, 90), gen.backend(B, 10)]
    route = done(gen.route(rules=[{"backendRefs": pair}]), 20, parts)
    assert refs(route) == [OPEN, [(A, 80), (B, 20)]]
    route["spec"]["rules"][1]["backendRefs"] = [gen.backend(A, 100)]
    assert ROUTER.problem(route, parts) is not None
    kept = ROUTER.kept(route)[gen.NAME]
    first = ROUTER.restored(route, kept)
    assert first is not None
    assert refs(first) == [CLOSED, [(A, 100)]]
    assert ROUTER.problem(first, parts) is not None
    last = ROUTER.restored(first, kept)
    assert last is not None
    assert refs(last) == [[(A, 100)]]
    assert ROUTER.restored(last, kept) is None


@pytest.mark.parametrize(
    "rule",
    [
        pytest.param({"backendRefs": [gen.backend(B, 1)]}, id="with requests of its own"),
        pytest.param({"backendRefs": [gen.backend(A, 1), gen.backend(B, 0)]}, id="with none"),
    ],
)
def test_a_service_that_the_user_names_is_known_already(rule: dict[str, Any]) -> None:
    other = rule | {"matches": [{"path": {"type": "Exact", "value": "/preview"}}]}
    opened = step(plain(other), 100)
    assert [ref for ref in refs(opened) if ref == OPEN] == [OPEN] * (len(refs(opened)) - 2)
    assert refs(opened)[0] == OPEN
    assert step(taken(opened), 0)["spec"] == plain(other)["spec"]


def test_an_arm_comes_and_goes_while_another_stays_open() -> None:
    one = done(plain(), 100)
    both = step(one, 100, BOTH)
    assert refs(both) == [OPEN, [(A, 100), (C, 0)], REST]
    both = step(taken(both), 100, BOTH)
    assert refs(both) == [OPEN, [(C, 100)], REST]
    assert refs(step(taken(both), 100)) == [OPEN, [(A, 100), (C, 0)], REST]
    assert refs(done(taken(both), 100)) == [OPEN, REST]


def test_rules_that_follow_their_user_stay_open() -> None:
    route = done(plain(), 100)
    route["spec"]["rules"][1]["timeouts"] = {"request": "5s"}
    changed = step(route, 100)
    assert (refs(changed)[0], changed["spec"]["rules"][0]["timeouts"]) == (OPEN, {"request": "5s"})


def test_a_step_of_ours_is_told_from_what_somebody_did() -> None:
    closed, opened = step(plain(), 100), done(plain(), 100)
    assert ROUTER.is_underway(closed, PARTS)
    assert not any(ROUTER.is_underway(item, PARTS) for item in (plain(), opened))


def test_a_broken_note_leaves_no_closed_rule_twice() -> None:
    """[RP-06] What equals a rule of ours, open or closed, is one."""
    closed = taken(step(plain(), 100))
    closed["metadata"]["annotations"][names.MANAGED_RULES] = "[1, 2"
    assert len(refs(step(closed, 100))) == 2
    assert refs(done(closed, 100)) == [OPEN, REST]
    assert done(closed, 0)["spec"] == plain()["spec"]


def test_a_rule_that_somebody_turned_elsewhere_goes_at_once() -> None:
    """Found by its name; no request of ours is there any more."""
    named = gen.route(rules=[{"name": "all", "backendRefs": [gen.backend(A, 1)]}])
    opened = done(copy.deepcopy(named), 100)
    opened["spec"]["rules"][0]["backendRefs"] = [gen.backend(C, 1)]
    assert step(opened, 0)["spec"] == named["spec"]


def test_it_closes_to_the_service_that_it_stood_in_for() -> None:
    """Whatever a strategy calls stable by then."""
    another = Backends(rollout=gen.NAME, stable=C, canary="checkout-d")
    assert refs(step(done(plain(), 100), 0, another)) == [CLOSED, REST]


def older(route: Any) -> Any:
    """As an engine wrote it that did not remember the stable Service."""
    found = copy.deepcopy(route)
    notes = found["metadata"]["annotations"]
    kept = json.loads(notes[names.MANAGED_RULES])
    for item in kept[gen.NAME]:
        del item["stable"]
    notes[names.MANAGED_RULES] = json.dumps(kept)
    return found


def test_rules_of_an_engine_before_this_one_are_left_as_they_are() -> None:
    route = older(done(plain(), 100))
    assert step(route, 100) is None
    assert refs(step(route, 0)) == [CLOSED, REST]


@pytest.mark.parametrize(
    ("remembers", "first"),
    [
        pytest.param(True, [CLOSED, REST], id="step by step"),
        pytest.param(False, [REST], id="at once, where the stable Service is not known any more"),
    ],
)
def test_a_route_is_given_back(remembers: bool, first: list[Any]) -> None:
    """By what the route says alone: the strategy may be another one by now."""
    opened = done(plain(), 100)
    route = opened if remembers else older(opened)
    parts = ROUTER.kept(route)[gen.NAME]
    back = ROUTER.restored(route, parts)
    assert back is not None
    assert refs(back) == first
    if remembers:
        last = ROUTER.restored(back, parts)
        assert last is not None
        assert last["spec"] == plain()["spec"]
