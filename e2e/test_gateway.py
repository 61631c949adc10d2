"""The local gateway: what routes mean for requests, and what their statuses say, with real Envoy.

Requests go through Envoy to real pods of two versions. Not covered: HTTPS listeners, GRPCRoute,
URLRewrite (refused with UnsupportedValue). The same table of routes against an implementation that
is not ours is another suite's business.
"""

import time
import urllib.error
import urllib.request
from collections import Counter
from email.message import Message
from typing import Any, NamedTuple

import pytest

from e2e.ground import routing, xds
from e2e.ground.site import Site
from e2e.ground.waiting import until

Manifest = dict[str, Any]
API = "/apis/gateway.networking.k8s.io/v1"
SPACE = "routes"
HOST = "shop.example.com"
GATEWAY = {"name": "public", "namespace": "gateways"}


class Answer(NamedTuple):
    """Status, version (empty when no pod answered) and headers (names in small letters)."""

    status: int
    version: str
    headers: dict[str, str]


def send(site: Site, host: str = HOST, path: str = "/", **more: Any) -> Answer:
    """One request through the gateway; redirects are not followed."""
    headers = {"Host": host} | more.pop("headers", {})
    url = more.pop("url", site.gateway.url)
    request = urllib.request.Request(f"{url}{path}", headers=headers, **more)
    try:
        with urllib.request.build_opener(Still).open(request, timeout=10) as answer:
            answer.read()
            return _answer(answer.status, answer.headers)
    except urllib.error.HTTPError as error:
        with error:
            return _answer(error.code, error.headers)


def _answer(status: int, headers: Message) -> Answer:
    found = {name.lower(): value for name, value in headers.items()}
    return Answer(status, found.get("x-version", ""), found)


class Still(urllib.request.HTTPRedirectHandler):
    """Leaves redirects as answers."""

    def redirect_request(self, *_: object, **__: object) -> None:
        return None


def backend(name: str, weight: int = 1, **more: Any) -> Manifest:
    return {"name": name, "port": 80, "weight": weight} | more


def rule(*backends: Manifest, **more: Any) -> Manifest:
    return {"backendRefs": list(backends)} | more


class Routes:
    """Makes, changes and reads HTTPRoutes of one namespace."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def put(self, name: str, *rules: Manifest, **spec: Any) -> Manifest:
        """Make or change a route and wait until its status speaks of this generation."""
        spec = {"parentRefs": [GATEWAY], "hostnames": [HOST], "rules": list(rules)} | spec
        path = f"{API}/namespaces/{SPACE}/httproutes"
        body = _manifest("gateway.networking.k8s.io/v1", "HTTPRoute", name, spec)
        code, answer = self.site.plane.call("POST", path, body)
        if code == 409:
            code, answer = self.site.plane.call("PATCH", f"{path}/{name}", {"spec": spec})
        assert code in (200, 201), answer
        return self.settled(name)

    def settled(self, name: str) -> Manifest:
        def asked() -> Manifest | None:
            route = self.get(name)
            return route if _is_observed(route) else None

        return until(asked, f"the status of {name} is current", within=10, every=0.01)

    def get(self, name: str) -> Manifest:
        found: Manifest = self.call("GET", name)
        return found

    def delete(self, name: str) -> None:
        self.call("DELETE", name)

    def call(self, method: str, name: str) -> Any:
        path = f"{API}/namespaces/{SPACE}/httproutes/{name}"
        return self.site.plane.call(method, path)[1]


def _is_observed(route: Manifest) -> bool:
    parents = route.get("status", {}).get("parents", ())
    seen = [c["observedGeneration"] for p in parents for c in p["conditions"]]
    return bool(seen) and set(seen) == {route["metadata"]["generation"]}


def conditions(route: Manifest, parent: int = 0) -> dict[str, tuple[str, str]]:
    """Type → status and reason."""
    found = route["status"]["parents"][parent]["conditions"]
    return {c["type"]: (c["status"], c["reason"]) for c in found}


@pytest.fixture(scope="module")
def routes(site: Site) -> Routes:
    """A namespace with pods of v1 and v2 behind Services of these names, and one without pods."""
    site.plane.add_namespace(SPACE)
    manifests: list[Manifest] = []
    for version in ("v1", "v2", "empty"):
        service = {"selector": {"version": version}, "ports": [{"port": 80, "targetPort": 8080}]}
        manifests.append(_manifest("v1", "Service", version, service))
    for version in ("v1", "v2"):
        probe = {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1}
        pod = {"name": "app", "image": f"sample:{version}", "readinessProbe": probe}
        spec = {"containers": [pod], "terminationGracePeriodSeconds": 2}
        manifests.append(_manifest("v1", "Pod", version, spec, labels={"version": version}))
    site.plane.apply({"apiVersion": "v1", "kind": "List", "items": manifests})
    site.plane.kubectl("-n", SPACE, "wait", "--for=condition=Ready", "pod/v1", "pod/v2")
    made = Routes(site)
    made.put("warm", rule(backend("v1")), rule(backend("v2"), matches=_paths("/v2")))
    for path in ("/", "/v2"):
        until(lambda path=path: send(site, path=path).status == 200, path, within=10)  # type: ignore[misc]
    made.delete("warm")
    return made


def _manifest(version: str, kind: str, name: str, spec: Manifest, **metadata: Any) -> Manifest:
    metadata |= {"name": name, "namespace": SPACE}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}


def _paths(*values: str, kind: str = "PathPrefix") -> list[Manifest]:
    return [{"path": {"type": kind, "value": value}} for value in values]


def test_weights_are_shares_of_the_requests_and_envoy_counts_them(routes: Routes) -> None:
    before = routes.site.gateway.counters()
    routes.put("weighted", rule(backend("v1", 80), backend("v2", 20)))
    seen = Counter(send(routes.site).version for _ in range(500))
    assert seen["v2"] == pytest.approx(100, abs=40)
    assert seen["v1"] + seen["v2"] == 500
    after = routes.site.gateway.counters()
    for version in ("v1", "v2"):
        name = f"{SPACE}/{version}/80"
        assert after[name].completed - before[name].completed == seen[version]
        assert after[name].errors == 0


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
    path = f"{API}/namespaces/{SPACE}/httproutes/swift"
    routes.site.plane.call("PATCH", path, spec)
    begin = time.monotonic()
    until(lambda: send(routes.site).version == "v2", "v2 answers", within=5, every=0.005)
    # 20 ms on a quiet machine; the limit only says that nothing polls.
    assert time.monotonic() - begin < 1
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
def test_a_share_that_cannot_be_resolved_is_answered_by_500(
    routes: Routes, reference: Manifest, reason: str, words: str
) -> None:
    route = routes.put("broken", rule(backend("v1", 50), reference | {"weight": 50}))
    assert conditions(route) == {
        "Accepted": ("True", "Accepted"),
        "ResolvedRefs": ("False", reason),
    }
    assert route["status"]["parents"][0]["conditions"][1]["message"] == words
    seen = Counter(send(routes.site)[:2] for _ in range(60))
    assert set(seen) == {(200, "v1"), (500, "")}
    repaired = routes.put("broken", rule(backend("v1")))
    assert conditions(repaired)["ResolvedRefs"] == ("True", "ResolvedRefs")
    routes.delete("broken")


def test_a_service_that_appears_heals_the_route_without_a_change_of_it(routes: Routes) -> None:
    plane = routes.site.plane
    route = routes.put("healing", rule(backend("late")))
    assert conditions(route)["ResolvedRefs"] == ("False", "BackendNotFound")
    assert send(routes.site).status == 500
    service = {"selector": {"version": "v1"}, "ports": [{"port": 80, "targetPort": 8080}]}
    plane.apply(_manifest("v1", "Service", "late", service))

    def healed() -> bool:
        return conditions(routes.get("healing"))["ResolvedRefs"][0] == "True"

    until(healed, "the references are resolved", within=10)
    until(lambda: send(routes.site).version == "v1", "it answers", within=5)
    plane.kubectl("-n", SPACE, "delete", "service", "late")
    until(lambda: not healed(), "it is broken again", within=10)
    until(lambda: send(routes.site).status == 500, "it answers 500 again", within=5)
    routes.delete("healing")


def test_a_grant_permits_a_foreign_namespace(routes: Routes) -> None:
    plane = routes.site.plane
    plane.add_namespace("lender")
    service = _manifest("v1", "Service", "v1", {"ports": [{"port": 80}]})
    service["metadata"]["namespace"] = "lender"
    plane.apply(service)
    route = routes.put("borrowing", rule(backend("v1", namespace="lender")))
    assert conditions(route)["ResolvedRefs"] == ("False", "RefNotPermitted")
    source = {"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": SPACE}
    spec = {"from": [source], "to": [{"group": "", "kind": "Service"}]}
    grant = _manifest("gateway.networking.k8s.io/v1beta1", "ReferenceGrant", "to-routes", spec)
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
    rule(backend("v2"), matches=_paths("/exact", kind="Exact")),
    rule(backend("v2"), matches=_paths("/pre/fix", "/slash/")),
    rule(backend("v2"), matches=_paths("/r[0-9]+", kind="RegularExpression")),
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
    rules = rule(backend("v2"), matches=_paths("/special"))
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
        {"matches": _paths("/old"), "filters": [moved]},
        hostnames=["filter.example.com"],
    )
    answer = send(routes.site, "filter.example.com")
    assert (answer.headers["x-arm"], "x-pod" in answer.headers) == ("b", False)
    redirect = send(routes.site, "filter.example.com", "/old/page")
    assert redirect.status == 302
    assert "x.example.com" in redirect.headers["location"]


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        pytest.param(
            {"parentRefs": [GATEWAY | {"sectionName": "no"}]},
            "NoMatchingParent",
            id="no such listener",
        ),
        pytest.param(
            {"parentRefs": [GATEWAY | {"port": 81}]}, "NoMatchingParent", id="no such port"
        ),
        pytest.param(
            {"parentRefs": [{"name": "narrow", "namespace": "gateways", "sectionName": "same"}]},
            "NotAllowedByListeners",
            id="another namespace than the Gateway's",
        ),
        pytest.param(
            {"parentRefs": [{"name": "narrow", "namespace": "gateways", "sectionName": "hosted"}]},
            "NoMatchingListenerHostname",
            id="a hostname that the listener excludes",
        ),
        pytest.param(
            {
                "rules": [
                    rule(
                        backend("v1"),
                        filters=[
                            {"type": "URLRewrite", "urlRewrite": {"hostname": "x.example.com"}}
                        ],
                    )
                ]
            },
            "UnsupportedValue",
            id="a filter that is not served",
        ),
    ],
)
def test_a_route_that_is_not_taken_says_why_and_serves_nothing(
    routes: Routes, spec: Manifest, reason: str
) -> None:
    open_to_all = {"namespaces": {"from": "All"}}
    listeners = [
        {"name": "same", "protocol": "HTTP", "port": 8081},
        {"name": "hosted", "protocol": "HTTP", "port": 8082, "allowedRoutes": open_to_all}
        | {"hostname": "only.example.com"},
    ]
    narrow = _manifest(
        "gateway.networking.k8s.io/v1",
        "Gateway",
        "narrow",
        {"gatewayClassName": "local", "listeners": listeners},
    )
    narrow["metadata"]["namespace"] = "gateways"
    routes.site.plane.apply(narrow)
    until(lambda: _programmed(routes.site, "narrow"), "the Gateway is programmed", within=10)
    own = {"hostnames": ["refused.example.com"], "rules": [rule(backend("v1"))]}
    route = routes.put("refused", **(own | spec))
    assert conditions(route)["Accepted"] == ("False", reason)
    assert send(routes.site, "refused.example.com").status == 404


def _programmed(site: Site, name: str) -> bool:
    gateway = site.plane.call("GET", f"{API}/namespaces/gateways/gateways/{name}")[1]
    found = gateway.get("status", {}).get("conditions", ())
    return ("Programmed", "True", gateway["metadata"]["generation"]) in [
        (c["type"], c["status"], c.get("observedGeneration")) for c in found
    ]


def test_the_gateway_and_its_class_report_what_they_serve(routes: Routes) -> None:
    plane = routes.site.plane
    routes.put("counted", rule(backend("v1")), hostnames=["counted.example.com"])
    path = f"{API}/namespaces/gateways/gateways/public"
    status = plane.call("GET", path)[1]["status"]
    assert status["addresses"] == [{"type": "IPAddress", "value": routes.site.gateway.host}]
    found = {c["type"]: (c["status"], c["observedGeneration"]) for c in status["conditions"]}
    assert found == {"Accepted": ("True", 1), "Programmed": ("True", 1)}
    (listener,) = status["listeners"]
    assert listener["attachedRoutes"] >= 1
    accepted = plane.call("GET", f"{API}/gatewayclasses/local")[1]["status"]["conditions"]
    assert ("Accepted", "True") in [(c["type"], c["status"]) for c in accepted]


def test_entries_of_other_controllers_stay(routes: Routes) -> None:
    route = routes.put("mixed", rule(backend("v1")), hostnames=["mixed.example.com"])
    (ours,) = route["status"]["parents"]
    theirs = {"parentRef": GATEWAY | {"name": "theirs"}, "controllerName": "example.com/other"}
    body = {"status": {"parents": [ours, ours | theirs]}}
    path = f"{API}/namespaces/{SPACE}/httproutes/mixed"
    code, answer = routes.site.plane.call("PATCH", f"{path}/status", body)
    assert code == 200, answer
    spec = {"spec": {"hostnames": ["mixed.example.com", "more.example.com"]}}
    routes.site.plane.call("PATCH", path, spec)

    def ours_is_current() -> Manifest | None:
        parents = {p["controllerName"]: p for p in routes.get("mixed")["status"]["parents"]}
        ours = parents[routes.site.gateway.controller]
        return parents if ours["conditions"][0]["observedGeneration"] == 2 else None

    parents = until(ours_is_current, "our entry is current", within=10)
    assert parents["example.com/other"]["parentRef"]["name"] == "theirs"
    assert len(parents) == 2


def test_statuses_are_written_only_when_they_differ(routes: Routes) -> None:
    plane = routes.site.plane
    mark = plane.audit.mark()
    routes.put("quiet", rule(backend("v1")), hostnames=["quiet.example.com"])
    plane.kubectl("-n", SPACE, "annotate", "httproute/quiet", "note=1")
    plane.kubectl("-n", SPACE, "annotate", "service/v1", f"note={time.monotonic()}")
    time.sleep(0.5)
    writes = plane.audit.read(since=mark, user="local-gateway", writes=True)
    assert [(one.name, one.subresource) for one in writes if one.name == "quiet"] == [
        ("quiet", "status")
    ]
    # The Gateway counts its routes; nothing else of it changes.
    assert {one.name for one in writes} <= {"quiet", "public"}


@pytest.mark.parametrize(
    ("own", "listener", "hostnames"),
    [
        pytest.param([], None, ["*"], id="nobody names one"),
        pytest.param([], "a.example.com", ["a.example.com"], id="the listener's own"),
        pytest.param(["a.example.com"], None, ["a.example.com"], id="the route's own"),
        pytest.param(["a.example.com"], "*.example.com", ["a.example.com"], id="within a wildcard"),
        pytest.param(["*.example.com"], "a.example.com", ["a.example.com"], id="narrowed"),
        pytest.param(["a.example.com"], "b.example.com", [], id="disjoint"),
        pytest.param(["example.com"], "*.example.com", [], id="a wildcard needs a label"),
    ],
)
def test_hostnames_of_route_and_listener_intersect(
    own: list[str], listener: str | None, hostnames: list[str]
) -> None:
    assert routing.intersect(own, listener) == hostnames


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        pytest.param("10s", "10s", id="seconds"),
        pytest.param("500ms", "0.5s", id="milliseconds"),
        pytest.param("1m30s", "90s", id="two units"),
        pytest.param("1h", "3600s", id="hours"),
    ],
)
def test_durations_become_seconds(text: str, seconds: str) -> None:
    assert xds.duration(text) == seconds
