"""The local gateway's statuses: who is taken, why not, and what is written when."""

import time
from typing import Any

import pytest

from e2e.ground import hostnames, xds
from e2e.ground.site import Site
from e2e.ground.waiting import until
from e2e.routes import API, GATEWAY, Routes, backend, conditions, rule, send

Manifest = dict[str, Any]


@pytest.fixture(scope="module")
def routes(site: Site) -> Routes:
    """A namespace with a Service."""
    made = Routes(site, "statuses")
    made.add_service("v1")
    return made


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
    narrow = routes.manifest(
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
    path = f"{routes.path}/mixed"
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
    plane.kubectl("-n", routes.namespace, "annotate", "httproute/quiet", "note=1")
    plane.kubectl("-n", routes.namespace, "annotate", "service/v1", f"note={time.monotonic()}")
    time.sleep(0.5)
    writes = plane.audit.read(since=mark, user="local-gateway", writes=True)
    assert [(one.name, one.subresource) for one in writes if one.name == "quiet"] == [
        ("quiet", "status")
    ]
    # The Gateway counts its routes; nothing else of it changes.
    assert {one.name for one in writes} <= {"quiet", "public"}


@pytest.mark.parametrize(
    ("own", "listener", "expected"),
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
    own: list[str], listener: str | None, expected: list[str]
) -> None:
    assert hostnames.intersect(own, listener) == expected


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
