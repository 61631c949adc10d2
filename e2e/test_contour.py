"""One table of HTTPRoutes, good and bad, before two judges: Contour, which we did not write, and
the local gateway. Both must say the same of each and answer the same.

Other conditions than Accepted and ResolvedRefs, and the words of all, are each one's own business.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from e2e.court import JUDGE, OURS, PARENTS, Court
from e2e.ground.waiting import until
from e2e.routes import API, backend, paths, rule, send
from fleet.kulta.core.routers.gatewayapi import GatewayRouter

Manifest = dict[str, Any]
PLACE, LENDER = "rows", "lender"
OFTEN = 6
"""Requests by which it is seen that an answer stays what it is."""
HELD = ("True", "Accepted")
RESOLVED = ("True", "ResolvedRefs")
NOT_FOUND = ("False", "BackendNotFound")
GONE = {"": (404, "")}


def lost(reason: str) -> tuple[str, str]:
    return ("False", reason)


def matching(**match: Any) -> Manifest:
    return rule(backend("v2"), matches=[match])


@dataclass(frozen=True, kw_only=True)
class Row:
    """A route: its rules, what else of its spec, what its parent references add; what both say of
    it, and the status and version that a path (with its headers) is answered with."""

    rules: tuple[Manifest, ...] = (rule(backend("v1")),)
    spec: Mapping[str, Any] = field(default_factory=dict)
    parent: Mapping[str, Any] = field(default_factory=dict)
    accepted: tuple[str, str] = HELD
    resolved: tuple[str, str] = RESOLVED
    is_whole: bool = True
    """Contour serves all of its rules: an engine that has weights in them goes on."""
    answers: Mapping[str, tuple[int, str]] = field(default_factory=lambda: {"": (200, "v1")})
    headers: Mapping[str, str] = field(default_factory=dict)
    host: str = ""


def hosted(name: str) -> dict[str, Any]:
    return {"spec": {"hostnames": [name]}, "host": name}


def extension() -> Manifest:
    reference = {"group": "example.com", "kind": "Filter", "name": "any"}
    return {"type": "ExtensionRef", "extensionRef": reference}


def stamped(value: str) -> Manifest:
    header = {"name": "X-Version", "value": value}
    return {"type": "ResponseHeaderModifier", "responseHeaderModifier": {"set": [header]}}


def rewritten(path: Manifest) -> Manifest:
    return {"type": "URLRewrite", "urlRewrite": {"path": path}}


def mirrored(service: str) -> Manifest:
    reference = {"name": service, "port": 80}
    return {"type": "RequestMirror", "requestMirror": {"backendRef": reference}}


REGEX = "RegularExpression"
ROWS: Mapping[str, Row] = {
    "a Service": Row(),
    "no hostname of its own within a listener's": Row(
        spec={"hostnames": []}, parent={"sectionName": "hosted"}, answers=GONE
    ),
    "no such Service": Row(
        rules=(rule(backend("none")),), resolved=NOT_FOUND, answers={"": (500, "")}
    ),
    "no such port": Row(
        rules=(rule(backend("v1", port=81)),), resolved=NOT_FOUND, answers={"": (500, "")}
    ),
    "one Service of two is missing": Row(
        rules=(rule(backend("v1", 10), backend("none", 90)),), resolved=NOT_FOUND
    ),
    "no ready pod": Row(rules=(rule(backend("empty")),), answers={"": (503, "")}),
    "no weight at all": Row(rules=(rule(backend("v1", 0)),), answers={"": (500, "")}),
    "all weight on one": Row(rules=(rule(backend("v1", 100), backend("v2", 0)),)),
    "no back-end": Row(rules=({},), resolved=lost("Degraded"), answers=GONE),
    "a kind that is no Service": Row(
        rules=(rule(backend("v1", group="example.com", kind="Bucket")),),
        resolved=lost("InvalidKind"),
        answers={"": (500, "")},
    ),
    "a foreign namespace without a grant": Row(
        rules=(rule(backend("private", namespace=LENDER)),),
        resolved=lost("RefNotPermitted"),
        answers={"": (500, "")},
    ),
    "a foreign namespace with a grant": Row(
        rules=(rule(backend("public", namespace=LENDER)),), answers={"": (200, "lent")}
    ),
    "a foreign namespace that there is not": Row(
        rules=(rule(backend("v1", namespace="nowhere")),),
        resolved=lost("RefNotPermitted"),
        answers={"": (500, "")},
    ),
    "an unknown filter": Row(
        rules=(rule(backend("v1"), filters=[extension()]),), accepted=lost("UnsupportedValue")
    ),
    "an unknown filter of a back-end": Row(
        rules=(rule(backend("v1", filters=[mirrored("v2")])),), accepted=lost("UnsupportedValue")
    ),
    "a header's expression that is none": Row(
        rules=(matching(headers=[{"name": "x", "value": "(", "type": REGEX}]), rule(backend("v1"))),
        accepted=lost("UnsupportedValue"),
    ),
    "a path's expression that is none": Row(
        rules=(rule(backend("v1"), matches=paths("/(", kind=REGEX)),), answers=GONE
    ),
    "no such listener": Row(
        parent={"sectionName": "no"}, accepted=lost("NoMatchingParent"), answers=GONE
    ),
    "no such port of a listener": Row(
        parent={"port": 88}, accepted=lost("NoMatchingParent"), answers=GONE
    ),
    "a listener and a port that do not go together": Row(
        parent={"sectionName": "http", "port": 81}, accepted=lost("NoMatchingParent"), answers=GONE
    ),
    "a listener for another namespace": Row(
        parent={"sectionName": "same"}, accepted=lost("NotAllowedByListeners"), answers=GONE
    ),
    "a bad reference where no listener takes it": Row(
        rules=(rule(backend("none")),),
        parent={"sectionName": "same"},
        accepted=lost("NotAllowedByListeners"),
        resolved=NOT_FOUND,
        answers=GONE,
    ),
    "a hostname that the listener excludes": Row(
        parent={"sectionName": "hosted"},
        accepted=lost("NoMatchingListenerHostname"),
        answers=GONE,
    ),
    "a hostname that another listener has": Row(
        parent={"sectionName": "http"},
        accepted=lost("NoMatchingListenerHostname"),
        answers=GONE,
        **hosted("only.example.com"),
    ),
    "a wildcard": Row(spec={"hostnames": ["*.wild.example.com"]}, host="a.wild.example.com"),
    "a wildcard, two labels": Row(
        spec={"hostnames": ["*.deep.example.com"]}, host="a.b.deep.example.com"
    ),
    "a wildcard, none": Row(
        spec={"hostnames": ["*.bare.example.com"]}, host="bare.example.com", answers=GONE
    ),
    "clash, the first": Row(**hosted("clash.example.com")),
    "clash, the second": Row(
        rules=(rule(backend("v2")),),
        accepted=lost("RuleMatchConflict"),
        **hosted("clash.example.com"),
    ),
    "clash, the third in part": Row(
        rules=(rule(backend("v2")), rule(backend("v2"), matches=paths("/own"))),
        is_whole=False,
        answers={"": (200, "v1"), "/own": (200, "v2")},
        **hosted("clash.example.com"),
    ),
    "paths": Row(
        rules=(
            rule(backend("v2"), matches=paths("/exact", kind="Exact")),
            rule(backend("v2"), matches=paths("/pre/fix", "/slash/")),
            rule(backend("v2"), matches=paths("/r[0-9]+", kind=REGEX)),
            rule(backend("v1")),
        ),
        answers={
            "/exact": (200, "v2"),
            "/exact/more": (200, "v1"),
            "/pre/fix/more": (200, "v2"),
            "/pre/fixed": (200, "v1"),
            "/slash": (200, "v2"),
            "/r42": (200, "v2"),
            "/r42/more": (200, "v1"),
        },
    ),
    "a parameter": Row(
        rules=(matching(queryParams=[{"name": "arm", "value": "b"}]), rule(backend("v1"))),
        answers={"/?arm=b": (200, "v2"), "/?arm=bb": (200, "v1"), "/?leg=b": (200, "v1")},
    ),
    "a header that is there": Row(
        rules=(matching(headers=[{"name": "X-Beta", "value": "yes"}]), rule(backend("v1"))),
        headers={"x-beta": "yes"},
        answers={"": (200, "v2")},
    ),
    "a header with another value": Row(
        rules=(matching(headers=[{"name": "X-Beta", "value": "yes"}]), rule(backend("v1"))),
        headers={"x-beta": "yes!"},
    ),
    "two headers before one, wherever they stand": Row(
        rules=(
            rule(backend("v1"), matches=[{"headers": [{"name": "a", "value": "1"}]}]),
            matching(headers=[{"name": "a", "value": "1"}, {"name": "b", "value": "2"}]),
        ),
        headers={"a": "1", "b": "2"},
        answers={"": (200, "v2")},
    ),
    "a cookie among others": Row(
        rules=(
            matching(headers=[{"name": "Cookie", "value": "(.*; *)?arm=b(;.*)?", "type": REGEX}]),
            rule(backend("v1")),
        ),
        headers={"cookie": "theme=dark; arm=b; x=y"},
        answers={"": (200, "v2")},
    ),
    "a filter of a back-end": Row(
        rules=(rule(backend("v1", filters=[stamped("stamped")])),), answers={"": (200, "stamped")}
    ),
    "a filter of a rule": Row(
        rules=(rule(backend("v1"), filters=[stamped("stamped")]),), answers={"": (200, "stamped")}
    ),
    "a redirect": Row(
        rules=(
            {
                "filters": [
                    {"type": "RequestRedirect", "requestRedirect": {"hostname": "x.example.com"}}
                ]
            },
        ),
        answers={"/a/b": (302, "")},
    ),
    "a prefix that is replaced": Row(
        rules=(
            rule(
                backend("v1"),
                matches=paths("/old"),
                filters=[rewritten({"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"})],
            ),
        ),
        answers={"/old/metrics": (200, "v1"), "/older": (404, "")},
    ),
    "a path that is replaced": Row(
        rules=(
            rule(
                backend("v1"),
                filters=[rewritten({"type": "ReplaceFullPath", "replaceFullPath": "/metrics"})],
            ),
        ),
        answers={"/any": (200, "v1")},
    ),
    "a mirror": Row(rules=(rule(backend("v1"), filters=[mirrored("v2")]),)),
    "a mirror that is not there": Row(
        rules=(rule(backend("v1"), filters=[mirrored("none")]),), resolved=NOT_FOUND
    ),
}
"""By what is in question; applied in this order."""
KEPT = ("content-type", "location")
"""Headers that must be alike."""


class Table:
    """All routes at once, each with a hostname of its own unless it says another."""

    def __init__(self, court: Court) -> None:
        self.court = court
        self.path = f"{API}/namespaces/{PLACE}/httproutes"
        self.numbers = {name: number for number, name in enumerate(ROWS)}
        for name in (PLACE, LENDER):
            court.plane.add_namespace(name)
        court.plane.apply(
            *(_pod(PLACE, version) for version in ("v1", "v2")),
            _pod(LENDER, "lent"),
            *(_service(PLACE, name) for name in ("v1", "v2", "empty")),
            *(_service(LENDER, name, "lent") for name in ("public", "private")),
            _grant("public"),
        )
        for name, row in ROWS.items():
            code, answer = court.plane.call("POST", self.path, self.manifest(name, row))
            assert code == 201, answer

    def host(self, name: str) -> str:
        return ROWS[name].host or f"row-{self.numbers[name]}.example.com"

    def manifest(self, name: str, row: Row) -> Manifest:
        spec = {
            "parentRefs": [parent | dict(row.parent) for parent in PARENTS],
            "hostnames": [self.host(name)],
            "rules": list(row.rules),
        }
        return {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": {"name": f"row-{self.numbers[name]:02}", "namespace": PLACE},
            "spec": spec | dict(row.spec),
        }

    def settled(self, name: str) -> Manifest:
        """The route, once both have spoken of it."""
        path = f"{self.path}/row-{self.numbers[name]:02}"

        def asked() -> Manifest | None:
            found: Manifest = self.court.plane.call("GET", path)[1]
            return found if self.court.is_settled(found) else None

        return until(asked, f"both speak of {name!r}", within=20)

    def wait(self, judge: str, name: str, path: str, expected: tuple[int, str]) -> None:
        """Until it is answered so: an Envoy takes a route a moment after it is spoken of."""
        try:
            until(lambda: self.ask(judge, name, path)[:2] == expected, "answer", within=10)
        except TimeoutError:
            found = self.ask(judge, name, path)
            pytest.fail(f"{judge} answers {path!r} of {name!r} with {found}, not {expected}")

    def ask(self, judge: str, name: str, path: str) -> tuple[int, str, dict[str, str]]:
        """Status, version and the headers that must be alike."""
        url, headers = self.court.urls[judge], dict(ROWS[name].headers)
        answer = send(None, self.host(name), path or "/", url=url, headers=headers)
        kept = {key: answer.headers[key] for key in KEPT if key in answer.headers}
        return (answer.status, answer.version, kept)


def _pod(namespace: str, version: str) -> Manifest:
    probe = {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1}
    container = {"name": "app", "image": f"sample:{version}", "readinessProbe": probe}
    spec = {"containers": [container], "terminationGracePeriodSeconds": 2}
    return _object("v1", "Pod", namespace, version, spec, version)


def _service(namespace: str, name: str, version: str = "") -> Manifest:
    ports = [{"port": 80, "targetPort": 8080}]
    spec = {"selector": {"version": version or name}, "ports": ports}
    return _object("v1", "Service", namespace, name, spec)


def _grant(service: str) -> Manifest:
    """For the table's routes, to that Service of the lender."""
    group = "gateway.networking.k8s.io"
    spec = {
        "from": [{"group": group, "kind": "HTTPRoute", "namespace": PLACE}],
        "to": [{"group": "", "kind": "Service", "name": service}],
    }
    return _object(f"{group}/v1beta1", "ReferenceGrant", LENDER, service, spec)


def _object(
    version: str, kind: str, namespace: str, name: str, spec: Manifest, label: str = ""
) -> Manifest:
    metadata = {"name": name, "namespace": namespace, "labels": {"version": label}}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}


@pytest.fixture(scope="module")
def table(court: Court) -> Table:
    """All routes and what they lead to, or not."""
    made = Table(court)
    pods = (f"pod/{name}" for name in ("v1", "v2"))
    court.plane.kubectl("-n", PLACE, "wait", "--for=condition=Ready", *pods)
    court.plane.kubectl("-n", LENDER, "wait", "--for=condition=Ready", "pod/lent")
    return made


@pytest.mark.parametrize("name", ROWS)
def test_a_route_means_the_same_to_both(table: Table, name: str) -> None:
    row, route = ROWS[name], table.settled(name)
    reports = table.court.reports(route)
    said = {
        judge: [(one["status"], one["reason"]) for one in (x["Accepted"], x["ResolvedRefs"])]
        for judge, x in reports.items()
    }
    for path, expected in row.answers.items():
        for judge in (JUDGE, OURS):
            table.wait(judge, name, path, expected)
        answers = [table.ask(judge, name, path) for judge in (JUDGE, OURS) for _ in range(OFTEN)]
        assert all(answer == answers[0] for answer in answers), answers
        assert answers[0][:2] == expected
    assert said == {judge: [row.accepted, row.resolved] for judge in (JUDGE, OURS)}
    taken = row.is_whole and (row.accepted, row.resolved) == (HELD, RESOLVED)
    assert (GatewayRouter().pending(judged(route)) is None) == taken


def judged(route: Manifest) -> Manifest:
    """The same route as one that Contour alone shall serve."""
    parents = [one for one in route["spec"]["parentRefs"] if one["name"] == JUDGE]
    return {**route, "spec": {**route["spec"], "parentRefs": parents}}
