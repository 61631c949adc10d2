"""The local gateway: what routes mean for requests, with real Envoy and pods of two versions.

Not covered: HTTPS listeners and GRPCRoute. A table of routes before an implementation that is not
ours is `test_contour`.
"""

import time
from collections import Counter
from typing import Any

import pytest

from e2e.ground.site import Site
from e2e.ground.waiting import until
from e2e.routes import Routes, backend, conditions, paths, rule, send

Manifest = dict[str, Any]


@pytest.fixture(scope="module")
def routes(site: Site) -> Routes:
    """Pods of v1 and v2 behind Services of these names, and a Service without pods."""
    made = Routes(site, "routes")
    for name in ("v1", "v2", "empty"):
        made.add_service(name)
    made.add_pods("v1", "v2")
    return made


def test_weights_are_shares_of_the_requests_and_envoy_counts_them(routes: Routes) -> None:
    before = routes.site.gateway.counters()
    routes.put("weighted", rule(backend("v1", 80), backend("v2", 20)))
    seen = Counter(send(routes.site).version for _ in range(500))
    assert seen["v2"] == pytest.approx(100, abs=40)
    assert seen["v1"] + seen["v2"] == 500
    after = routes.site.gateway.counters()
    for version in ("v1", "v2"):
        name = f"routes/{version}/80"
        assert after[name].completed - before[name].completed == seen[version]
        assert after[name].errors == before[name].errors


def test_accepted_means_that_envoy_uses_the_new_weights(routes: Routes) -> None:
    for version in ("v2", "v1") * 5:
        other = "v1" if version == "v2" else "v2"
        route = routes.put("weighted", rule(backend(version, 100), backend(other, 0)))
        assert conditions(route)["Accepted"] == ("True", "Accepted")
        assert {send(routes.site).version for _ in range(10)} == {version}
    routes.delete("weighted")


def test_a_changed_weight_is_live_soon(routes: Routes) -> None:
    routes.put("swift", rule(backend("v1", 100), backend("v2", 0)))
    spec = {"spec": {"rules": [rule(backend("v1", 0), backend("v2", 100))]}}
    routes.site.plane.call("PATCH", f"{routes.path}/swift", spec)
    begin = time.monotonic()
    until(lambda: send(routes.site).version == "v2", "v2 answers", within=5, every=0.005)
    # 20 ms on a quiet machine; the limit only says that nothing waits for a resync.
    assert time.monotonic() - begin < 10
    routes.delete("swift")


@pytest.mark.parametrize(
    ("reference", "reason", "words"),
    [
        pytest.param(
            backend("none"),
            "BackendNotFound",
            "Service routes/none not found",
            id="no such Service",
        ),
        pytest.param(
            backend("v2", port=81),
            "BackendNotFound",
            "Service routes/v2 has no port 81",
            id="no such port",
        ),
        pytest.param(
            backend("v2", group="example.com", kind="Bucket"),
            "InvalidKind",
            "backend kind example.com/Bucket is not supported",
            id="a kind that is no Service",
        ),
        pytest.param(
            backend("v2", namespace="elsewhere"),
            "RefNotPermitted",
            "no ReferenceGrant in namespace elsewhere permits Service elsewhere/v2",
            id="a foreign namespace without a grant",
        ),
    ],
)
def test_who_cannot_be_resolved_gets_no_request_and_alone_is_answered_by_500(
    routes: Routes, reference: Manifest, reason: str, words: str
) -> None:
    route = routes.put("broken", rule(backend("v1", 50), reference | {"weight": 50}))
    assert conditions(route) == {
        "Accepted": ("True", "Accepted"),
        "ResolvedRefs": ("False", reason),
    }
    assert route["status"]["parents"][0]["conditions"][1]["message"] == words
    assert {send(routes.site)[:2] for _ in range(60)} == {(200, "v1")}
    routes.put("broken", rule(reference))
    assert {send(routes.site)[:2] for _ in range(5)} == {(500, "")}
    repaired = routes.put("broken", rule(backend("v1")))
    assert conditions(repaired)["ResolvedRefs"] == ("True", "ResolvedRefs")
    routes.delete("broken")


def test_a_service_that_appears_heals_the_route_without_a_change_of_it(routes: Routes) -> None:
    plane = routes.site.plane
    route = routes.put("healing", rule(backend("late")))
    assert conditions(route)["ResolvedRefs"] == ("False", "BackendNotFound")
    assert send(routes.site).status == 500
    routes.add_service("late", version="v1")

    def healed() -> bool:
        return conditions(routes.get("healing"))["ResolvedRefs"][0] == "True"

    until(healed, "the references are resolved", within=10)
    until(lambda: send(routes.site).version == "v1", "it answers", within=5)
    plane.kubectl("-n", "routes", "delete", "service", "late")
    until(lambda: not healed(), "it is broken again", within=10)
    until(lambda: send(routes.site).status == 500, "it answers 500 again", within=5)
    routes.delete("healing")


def test_a_grant_permits_a_foreign_namespace(routes: Routes) -> None:
    plane = routes.site.plane
    plane.add_namespace("lender")
    service = routes.manifest("v1", "Service", "v1", {"ports": [{"port": 80}]})
    service["metadata"]["namespace"] = "lender"
    plane.apply(service)
    route = routes.put("borrowing", rule(backend("v1", namespace="lender")))
    assert conditions(route)["ResolvedRefs"] == ("False", "RefNotPermitted")
    source = {"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": "routes"}
    spec = {"from": [source], "to": [{"group": "", "kind": "Service"}]}
    grant = routes.manifest(
        "gateway.networking.k8s.io/v1beta1", "ReferenceGrant", "to-routes", spec
    )
    grant["metadata"]["namespace"] = "lender"
    plane.apply(grant)
    until(
        lambda: conditions(routes.get("borrowing"))["ResolvedRefs"][0] == "True",
        "the grant counts",
        within=10,
    )
    routes.delete("borrowing")


def test_a_service_without_ready_pods_gives_503(routes: Routes) -> None:
    route = routes.put("hollow", rule(backend("empty")))
    assert conditions(route)["ResolvedRefs"] == ("True", "ResolvedRefs")
    assert send(routes.site)[:2] == (503, "")
    routes.delete("hollow")


MATCHES = [
    rule(backend("v2"), matches=paths("/exact", kind="Exact")),
    rule(backend("v2"), matches=paths("/pre/fix", "/slash/")),
    rule(backend("v2"), matches=paths("/r[0-9]+", kind="RegularExpression")),
    rule(backend("v2"), matches=[{"headers": [{"name": "X-Beta", "value": "yes"}]}]),
    rule(backend("v2"), matches=[{"method": "POST"}]),
    rule(backend("v2"), matches=[{"queryParams": [{"name": "arm", "value": "b"}]}]),
    rule(backend("v1")),
]


@pytest.fixture(scope="module")
def matching(routes: Routes) -> Routes:
    routes.put("matching", *MATCHES, hostnames=["match.example.com"])
    return routes


@pytest.mark.parametrize(
    ("request_", "version"),
    [
        pytest.param({"path": "/exact"}, "v2", id="an exact path"),
        pytest.param({"path": "/exact/more"}, "v1", id="more than an exact path"),
        pytest.param({"path": "/pre/fix/more"}, "v2", id="below a prefix"),
        pytest.param({"path": "/pre/fixed"}, "v1", id="a prefix ends at a slash"),
        pytest.param({"path": "/slash"}, "v2", id="a prefix with a slash at its end"),
        pytest.param({"path": "/r42"}, "v2", id="a regular expression"),
        pytest.param({"headers": {"X-Beta": "yes"}}, "v2", id="a header"),
        pytest.param({"headers": {"X-Beta": "no"}}, "v1", id="a header of another value"),
        pytest.param({"method": "POST", "data": b"x"}, "v2", id="a method"),
        pytest.param({"path": "/?arm=b"}, "v2", id="a query parameter"),
        pytest.param({"path": "/?arm=a"}, "v1", id="a query parameter of another value"),
    ],
)
def test_a_request_meets_the_most_specific_match(
    matching: Routes, request_: Manifest, version: str
) -> None:
    assert send(matching.site, "match.example.com", **request_)[:2] == (200, version)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        pytest.param("a.wild.example.com", 200, id="a wildcard"),
        pytest.param("wild.example.com", 404, id="a wildcard needs a label"),
        pytest.param("fixed.example.com", 200, id="a second hostname"),
        pytest.param("fixed.example.com:8080", 200, id="the port does not count"),
        pytest.param("other.example.com", 404, id="a hostname of nobody"),
    ],
)
def test_hostnames_choose_the_route(routes: Routes, host: str, status: int) -> None:
    hostnames = ["*.wild.example.com", "fixed.example.com"]
    routes.put("hosted", rule(backend("v1")), hostnames=hostnames)
    assert send(routes.site, host).status == status


def test_routes_of_one_hostname_are_one_table(routes: Routes) -> None:
    routes.put("shared-a", rule(backend("v1")), hostnames=["both.example.com"])
    rules = rule(backend("v2"), matches=paths("/special"))
    routes.put("shared-b", rules, hostnames=["both.example.com"])
    assert send(routes.site, "both.example.com").version == "v1"
    assert send(routes.site, "both.example.com", "/special/offer").version == "v2"
    routes.delete("shared-b")
    until(
        lambda: send(routes.site, "both.example.com", "/special/offer").version == "v1",
        "the rest takes over",
        within=5,
    )


def test_filters_change_requests_and_answers(routes: Routes) -> None:
    stamp = {"type": "ResponseHeaderModifier", "responseHeaderModifier": {}}
    stamp["responseHeaderModifier"] = {
        "set": [{"name": "X-Arm", "value": "b"}],
        "remove": ["X-Pod"],
    }
    moved = {"type": "RequestRedirect", "requestRedirect": {"hostname": "x.example.com"}}
    routes.put(
        "filtered",
        rule(backend("v1", filters=[stamp])),
        {"matches": paths("/old"), "filters": [moved]},
        hostnames=["filter.example.com"],
    )
    answer = send(routes.site, "filter.example.com")
    assert (answer.headers["x-arm"], "x-pod" in answer.headers) == ("b", False)
    redirect = send(routes.site, "filter.example.com", "/old/page")
    assert redirect.status == 302
    assert "x.example.com" in redirect.headers["location"]
