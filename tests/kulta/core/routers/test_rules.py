"""Rules of ours in a user's route: beside the user's, found again, taken out without a trace."""

import copy
import json
from typing import Any

import pytest

from fleet.api import names
from fleet.api.experiment import CookieMatch
from fleet.kulta.core.routers import rules
from fleet.kulta.core.routers.base import Backends, Branch, Header
from fleet.kulta.core.routers.gatewayapi import GatewayRouter
from fleet.kulta.core.tactics import branches
from tests import gen

ROUTER = GatewayRouter()
A, B, C = "checkout", "checkout-b", "checkout-c"
BY_HEADER = Header(name="X-Variant", value="B")
BY_COOKIE = branches.cookie(CookieMatch(name="ab", value="B"))
SHOP = {"path": {"type": "PathPrefix", "value": "/shop"}}
ROOT = {"path": {"type": "PathPrefix", "value": "/"}}


def branch(*matches: tuple[Header, ...], name: str = "variant-b", service: str = B) -> Branch:
    return Branch(name=name, service=service, matches=matches)


def backends(*branches: Branch, rollout: str = gen.NAME, stable: str = A) -> Backends:
    found = branches or (branch((BY_HEADER,)),)
    return Backends(rollout=rollout, stable=stable, canary=B, branches=found)


def rule(*matches: dict[str, Any], service: str = A, **more: Any) -> dict[str, Any]:
    return {"matches": list(matches or [ROOT]), "backendRefs": [gen.backend(service, 1)], **more}


def shop(*rules: dict[str, Any]) -> dict[str, Any]:
    return gen.route(rules=list(rules or [rule()]))


def written(route: dict[str, Any], parts: Backends | None = None, weight: int = 100) -> Any:
    """Step by step, each taken by the gateway at once, until nothing is left to be done."""
    changed = ROUTER.weighted(route, parts or backends(), weight)
    assert changed is not None
    while (more := ROUTER.weighted(changed, parts or backends(), weight)) is not None:
        changed = more
    return dict(changed)


def known(route: Any) -> list[tuple[str, list[Any]]]:
    """Our names for our rules, and whom each rule of the route leads to."""
    kept = json.loads(route["metadata"]["annotations"][names.MANAGED_RULES])
    return [item["name"] for item in kept[gen.NAME]], [
        [ref["name"] for ref in item["backendRefs"]] for item in route["spec"]["rules"]
    ]


def restored(route: Any, parts: Backends | None = None) -> Any:
    """Step by step, each taken by the gateway at once."""
    changed = last = ROUTER.restored(route, parts or backends())
    while last is not None:
        changed, last = last, ROUTER.restored(last, parts or backends())
    return None if changed is None else dict(changed)


def defaulted(route: Any) -> Any:
    """As a server stores it."""
    changed = copy.deepcopy(route)
    for item in changed["spec"]["rules"]:
        item.setdefault("matches", [copy.deepcopy(ROOT)])
        for match in item["matches"]:
            match.setdefault("path", dict(ROOT["path"]))
        for ref in item["backendRefs"]:
            ref.setdefault("weight", 1)
            ref.setdefault("something", "new")
    return changed


@pytest.mark.parametrize(
    ("headers", "names_", "leads"),
    [
        pytest.param([(BY_HEADER,)], ["variant-b"], [[B], [A]], id="[T9] a header"),
        pytest.param([(BY_COOKIE,)], ["variant-b-cookie"], [[B], [A]], id="[T10] a cookie"),
        pytest.param(
            [(BY_HEADER,), (BY_COOKIE,)],
            ["variant-b", "variant-b-cookie"],
            [[B], [B], [A]],
            id="[T11] both",
        ),
    ],
)
def test_rules_stand_before_the_users(headers: Any, names_: list[str], leads: Any) -> None:
    route = written(shop(), backends(branch(*headers)))
    assert known(route) == (names_, leads)
    assert route["spec"]["rules"][-1] == rule()


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        pytest.param(BY_HEADER, "Exact", id="[T9] exactly this value"),
        pytest.param(
            Header(name="X-Variant", value="beta.*", type="RegularExpression"),
            "RegularExpression",
            id="[T12] a regular expression",
        ),
        pytest.param(BY_COOKIE, "RegularExpression", id="[T10] a cookie anywhere in its header"),
    ],
)
def test_match_says_what_was_asked_for(header: Header, kind: str) -> None:
    (match,) = written(shop(), backends(branch((header,))))["spec"]["rules"][0]["matches"]
    assert match == {
        **ROOT,
        "headers": [{"type": kind, "name": header.name, "value": header.value}],
    }


def test_every_rule_of_the_control_gets_its_own() -> None:
    """[T20] [RP-03] [RP-09] [RP-14] Path by path; rules that lead elsewhere get none."""
    other = rule(SHOP, service="other")
    route = written(shop(rule(SHOP), other, rule()))
    assert known(route)[1] == [[B], [A], ["other"], [B], [A]]
    paths = [item["matches"][0]["path"]["value"] for item in route["spec"]["rules"]]
    assert paths == ["/shop", "/shop", "/shop", "/", "/"]


def test_clone_has_all_that_its_rule_has() -> None:
    """[RP-10] Filters of rule and reference, time-outs, everything."""
    source = rule(
        SHOP,
        filters=[{"type": "URLRewrite"}],
        timeouts={"request": "5s"},
        sessionPersistence={"type": "Cookie"},
    )
    source["backendRefs"] = [gen.backend(A, 7, port=8080, filters=[{"type": "X"}])]
    source["backendRefs"] += [gen.backend("legacy", 3)]
    clone, user = written(shop(source))["spec"]["rules"]
    assert user == source
    assert clone.pop("backendRefs") == [
        {**gen.backend(B, 100, port=8080), "filters": [{"type": "X"}]}
    ]
    assert clone.pop("matches")[0]["path"] == SHOP["path"]
    assert clone == {key: source[key] for key in ("filters", "timeouts", "sessionPersistence")}


def test_names_are_written_where_the_user_writes_names() -> None:
    """A server whose rules have no names would refuse them; where they have, each is unique."""
    named = [rule(SHOP, name="variant-b"), rule(name="rest")]
    route = written(shop(*named))
    assert [item["name"] for item in route["spec"]["rules"]] == [
        "variant-b-2",
        "variant-b",
        "variant-b-3",
        "rest",
    ]
    assert "name" not in written(shop())["spec"]["rules"][0]


def test_what_is_there_is_not_written_again() -> None:
    """[RP-01] [RP-02] [RP-06] Whatever a server fills in, and however often one starts anew."""
    route = written(shop(rule(SHOP), rule()))
    assert ROUTER.weighted(route, backends(), 100) is None
    assert ROUTER.weighted(defaulted(route), backends(), 100) is None
    assert ROUTER.weight(route, backends()) == 100


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"timeouts": {"request": "1s"}}, id="the user's rule has a time-out now"),
        pytest.param({"matches": [SHOP]}, id="another path"),
        pytest.param({"backendRefs": [gen.backend(A, 1, port=81)]}, id="another port"),
    ],
)
def test_clones_follow_their_rule(change: dict[str, Any]) -> None:
    route = written(shop())
    route["spec"]["rules"][1] |= change
    changed = written(route)
    assert len(changed["spec"]["rules"]) == 2
    assert changed["spec"]["rules"] == written(shop({**rule(), **change}))["spec"]["rules"]
    lost = {**changed["spec"]["rules"][0], "timeouts": {"request": "9s"}}
    changed["spec"]["rules"][0] = lost
    assert written(changed)["spec"]["rules"][0] != lost, "what somebody added is taken away"


def test_another_wish_replaces_the_one_before() -> None:
    """[RP-04] [RP-07] The same header with another value, and nothing of the old one stays."""
    route = written(shop())
    after = backends(branch((Header(name="X-Variant", value="beta"),)))
    changed = written(route, after)
    assert known(changed)[1] == [[B], [A]]
    (match,) = changed["spec"]["rules"][0]["matches"]
    assert [item["value"] for item in match["headers"]] == ["beta"]


def test_route_is_given_back_as_it_was() -> None:
    """[T20] [RP-12] Rules, order, annotations of others."""
    original = shop(rule(SHOP), rule(service="other"), rule())
    original["metadata"]["annotations"] = {"note": "kept"}
    for route in (written(copy.deepcopy(original)), defaulted(written(copy.deepcopy(original)))):
        back = restored(route)
        assert back["metadata"]["annotations"] == {"note": "kept"}
        assert [len(item["matches"]) for item in back["spec"]["rules"]] == [1, 1, 1]
        assert known_leads(back) == [[A], ["other"], [A]]
    assert restored(written(copy.deepcopy(original))) == {**original}
    assert restored(original) is None
    assert ROUTER.weighted(original, backends(), 0) is None


def known_leads(route: Any) -> list[list[str]]:
    return [[ref["name"] for ref in item["backendRefs"]] for item in route["spec"]["rules"]]


def test_weight_of_zero_takes_them_out() -> None:
    """[RP-05] Before there is nobody left to answer."""
    route = written(written(shop()), weight=0)
    assert route["spec"] == shop()["spec"]
    assert ROUTER.weight(route, backends()) == 0


def test_users_rule_for_the_arm_stays() -> None:
    """A preview that the user made, word for word like ours: it is not ours."""
    own = written(shop())["spec"]["rules"][0]
    route = shop(own, rule())
    changed = written(copy.deepcopy(route))
    assert known(changed)[1] == [[B], [B], [A]]
    assert restored(changed)["spec"] == route["spec"]


def test_broken_note_leaves_nothing_twice() -> None:
    """[RP-06] Somebody mangled the annotation: what equals a rule of ours is one of ours."""
    route = written(shop())
    route["metadata"]["annotations"][names.MANAGED_RULES] = "[1, 2"
    assert known(written(copy.deepcopy(route)))[1] == [[B], [A]]
    back = restored(route)
    assert back["spec"] == shop()["spec"]
    assert names.MANAGED_RULES not in back["metadata"]["annotations"]


def test_two_rollouts_share_a_route() -> None:
    cart = Backends(
        rollout="cart",
        stable="cart",
        canary="cart-b",
        branches=(branch((BY_HEADER,), service="cart-b"),),
    )
    original = shop(rule(SHOP), rule(service="cart"))
    both = written(written(copy.deepcopy(original)), cart)
    assert known_leads(both) == [[B], [A], ["cart-b"], ["cart"]]
    assert set(ROUTER.kept(both)) == {gen.NAME, "cart"}
    mine = restored(both)
    assert known_leads(mine) == [[A], ["cart-b"], ["cart"]]
    assert restored(mine, cart)["spec"] == original["spec"]


def test_several_arms_have_rules_of_their_own() -> None:
    other = branch((Header(name="X-Variant", value="C"),), name="variant-c", service=C)
    parts = backends(branch((BY_HEADER,), (BY_COOKIE,)), other)
    route = written(shop(), parts)
    assert known(route) == (
        ["variant-b", "variant-b-cookie", "variant-c"],
        [[B], [B], [C], [A]],
    )


@pytest.mark.parametrize(
    ("others", "port"),
    [
        pytest.param([], 80, id="the one that there is"),
        pytest.param([], 8080, id="the one that there is, whatever its port"),
        pytest.param([{"port": 8080}], 80, id="of two, the one with our port"),
        pytest.param([{"kind": "Bucket"}], 80, id="what is no Service does not count"),
        pytest.param([{"group": "x.example.com"}], 80, id="nor what is of another group"),
        pytest.param([{"name": "other"}], 80, id="nor another Service"),
        pytest.param([{}], None, id="none, where two have our port"),
        pytest.param([{"kind": ""}], None, id="no kind means a Service"),
        pytest.param([{"port": 81}, {"port": 82}], 80, id="of three, the one with our port"),
    ],
)
def test_the_reference_that_rules_of_ours_stand_in_for(
    others: list[dict[str, Any]], port: int | None
) -> None:
    first = {**gen.backend(A, 1), "port": port or 80}
    rest = [{**gen.backend(A, 1), "port": 80, **item} for item in others]
    found = rules.reference({"backendRefs": [*rest, first]}, backends())
    assert found == (None if port is None else first)


def test_weights_of_another_strategy_are_given_back_first() -> None:
    refs = [gen.backend(A, 60), gen.backend("checkout-canary", 40)]
    original = gen.route(rules=[{"matches": [ROOT], "backendRefs": refs}])
    canary = Backends(rollout=gen.NAME, stable=A, canary="checkout-canary")
    weighted = ROUTER.weighted(copy.deepcopy(original), canary, 20)
    route = written(dict(weighted or {}))
    assert names.ORIGINAL_WEIGHTS not in route["metadata"]["annotations"]
    assert route["spec"]["rules"][1] == original["spec"]["rules"][0]
    back = written(route, canary, 20)
    assert back["spec"] == dict(weighted or {})["spec"]
    assert names.MANAGED_RULES not in back["metadata"]["annotations"]


def headers(*items: tuple[str, str, str]) -> dict[str, Any]:
    return {
        **ROOT,
        "headers": [dict(zip(("name", "type", "value"), x, strict=True)) for x in items],
    }


EXACT, REGEX = "Exact", "RegularExpression"


@pytest.mark.parametrize(
    ("asked", "wanted", "found"),
    [
        pytest.param(("Debug", EXACT, "1"), BY_HEADER, ["1", "B"], id="another header: both"),
        pytest.param(("x-variant", EXACT, "B"), BY_HEADER, ["B"], id="the same wish: once"),
        pytest.param(
            ("x-variant", REGEX, "[AB]"), BY_HEADER, ["B"], id="a pattern that the value fits"
        ),
        pytest.param(
            ("cookie", EXACT, "x=1; ab=B"), BY_COOKIE, ["x=1; ab=B"], id="a value that fits ours"
        ),
        pytest.param(("X-Variant", EXACT, "A"), BY_HEADER, None, id="another value: nobody"),
        pytest.param(("X-Variant", REGEX, "[CD]"), BY_HEADER, None, id="a pattern that refuses it"),
        pytest.param(("Cookie", REGEX, ".*x=1.*"), BY_COOKIE, "refused", id="two patterns"),
        pytest.param(("X-Variant", REGEX, "["), BY_HEADER, "refused", id="a broken pattern"),
        pytest.param(
            ("X-Variant", REGEX, "(a+)+$"),
            Header(name="X-Variant", value="a" * 60 + "!"),
            "refused",
            id="a pattern that would take for ever",
        ),
    ],
)
def test_one_header_is_asked_for_once(asked: Any, wanted: Header, found: Any) -> None:
    """[T20] A match has each header once, in upper or lower case."""
    route, parts = shop(rule(headers(asked))), backends(branch((wanted,)))
    misfit = ROUTER.misfit(route, parts)
    if not isinstance(found, list):
        assert misfit is not None
        assert misfit.reason == "RouteMatchesConflict"
        assert ("both ask for header" in misfit.message) is (found == "refused")
        return
    assert misfit is None
    (match,) = written(route, parts)["spec"]["rules"][0]["matches"]
    assert [item["value"] for item in match["headers"]] == found


MANY = [{"path": {"type": "Exact", "value": f"/{number}"}} for number in range(64)]


@pytest.mark.parametrize(
    ("rules", "matches", "said"),
    [
        pytest.param([rule()] * 8, 1, "", id="16 rules"),
        pytest.param([rule()] * 9, 1, "18 rules, and 16", id="18 rules"),
        pytest.param([rule(*MANY[:64])], 1, "", id="64 matches twice"),
        pytest.param([rule(*MANY[:33])], 2, "66 matches in one rule, and 64", id="66 in one rule"),
        pytest.param([rule(*MANY), rule()], 1, "130 matches, and 128", id="130 matches in all"),
        pytest.param(
            [rule(headers(*((f"H{n}", EXACT, "1") for n in range(16))))],
            1,
            "17 headers in one match, and 16",
            id="17 headers",
        ),
    ],
)
def test_limits_are_counted_first(rules: list[Any], matches: int, said: str) -> None:
    """[RP-16] 16 rules, 64 matches in each, 128 in all, 16 headers in each."""
    wanted = [(Header(name=f"X-{number}", value="1"),) for number in range(matches)]
    misfit = ROUTER.misfit(shop(*rules), backends(branch(*wanted)))
    assert bool(misfit) is bool(said)
    if misfit is not None:
        assert misfit.reason == "RouteFull"
        assert said in misfit.message


def test_route_without_the_control_is_named() -> None:
    found = ROUTER.problem(shop(rule(service="other")), backends())
    assert found is not None
    assert found.reason == "RouteWithoutServices"
    assert f"HTTPRoute {gen.ROUTE}" in found.message
    assert f"Service {A} " in found.message


def test_weights_have_no_branches_to_fit() -> None:
    plain = Backends(rollout=gen.NAME, stable=gen.STABLE, canary=gen.CANARY)
    assert ROUTER.misfit(gen.route(100, 0), plain) is None
