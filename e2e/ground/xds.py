"""Envoy's configuration as JSON: listeners, routes, clusters, endpoints of a routing Table; pure.

`gateway` puts the World in, `envoy` writes what comes out. Clusters are named
`<namespace>/<service>/<port>`, so Envoy's counters are readable per Service. Shares without a
backend fall to the others, and to 500 when there are none; a backend without ready endpoints gives
Envoy's own 503.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from e2e.ground.routing import Backend, Manifest, Rule, Table, World

Resource = dict[str, Any]

ENVOY = "type.googleapis.com/envoy"
LISTENER = f"{ENVOY}.config.listener.v3.Listener"
ROUTES = f"{ENVOY}.config.route.v3.RouteConfiguration"
CLUSTER = f"{ENVOY}.config.cluster.v3.Cluster"
ENDPOINTS = f"{ENVOY}.config.endpoint.v3.ClusterLoadAssignment"
MANAGER = f"{ENVOY}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
ROUTER = f"{ENVOY}.extensions.filters.http.router.v3.Router"
TIMEOUT = "15s"
HEADER_ACTIONS = {"set": "OVERWRITE_IF_EXISTS_OR_ADD", "add": "APPEND_IF_EXISTS_OR_ADD"}


def watched(path: str) -> Resource:
    """A configuration source that Envoy reads again whenever a file is renamed to `path`."""
    return {"path_config_source": {"path": path}, "resource_api_version": "V3"}


def listener(host: str, port: int, routes: str, source: str) -> Resource:
    """An HTTP listener whose routes are those named `routes` in the file `source`."""
    manager = {
        "@type": MANAGER,
        "stat_prefix": routes,
        "strip_any_host_port": True,
        "server_header_transformation": "PASS_THROUGH",
        "rds": {"route_config_name": routes, "config_source": watched(source)},
        "http_filters": [{"name": "router", "typed_config": {"@type": ROUTER}}],
    }
    return {
        "@type": LISTENER,
        "name": routes,
        "address": _address(host, port),
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }


def cluster(backend: Backend, source: str) -> Resource:
    """A Service's port, with its endpoints in the file `source`."""
    return {
        "@type": CLUSTER,
        "name": backend.name,
        "type": "EDS",
        "connect_timeout": "10s",
        "eds_cluster_config": {"eds_config": watched(source)},
    }


def endpoints(world: World, backend: Backend, served: Callable[[str], str]) -> Resource:
    """The ready addresses of a Service's port, as its EndpointSlices have them, translated by
    `served`."""
    found = sorted(set(_ready(world, backend)))
    rows = [{"endpoint": {"address": _address(served(ip), port)}} for ip, port in found]
    return {
        "@type": ENDPOINTS,
        "cluster_name": backend.name,
        "endpoints": [{"lb_endpoints": rows}],
    }


def _ready(world: World, backend: Backend) -> Iterable[tuple[str, int]]:
    service = world.services.get((backend.namespace, backend.service), {"spec": {}})
    name = next(
        (p.get("name", "") for p in service["spec"].get("ports", ()) if p["port"] == backend.port),
        None,
    )
    for (namespace, _), piece in world.slices.items():
        labels = piece["metadata"].get("labels") or {}
        if (namespace, labels.get("kubernetes.io/service-name")) != (
            backend.namespace,
            backend.service,
        ):
            continue
        numbers = [p["port"] for p in piece.get("ports") or () if (p.get("name") or "") == name]
        for endpoint in piece.get("endpoints") or ():
            if (endpoint.get("conditions") or {}).get("ready", True):
                yield from ((ip, port) for ip in endpoint["addresses"] for port in numbers)


def routes(name: str, hosts: Mapping[str, list[Rule]]) -> Resource:
    """The route configuration of one port: a virtual host per hostname."""
    return {
        "@type": ROUTES,
        "name": name,
        "virtual_hosts": [
            {"name": host, "domains": [host], "routes": [_route(rule) for rule in rules]}
            for host, rules in sorted(hosts.items())
        ],
    }


def names(table: Table) -> dict[int, str]:
    """The route configuration's name of each Gateway port."""
    return {port: f"port-{port}" for port in sorted(table.ports)}


def _route(rule: Rule) -> Resource:
    headers = _headers(rule.filters)
    for one in rule.filters:
        if one["type"] == "RequestRedirect":
            return {"match": _match(rule.match), "redirect": _redirect(one["requestRedirect"])}
    weighted = [
        {"name": share.backend.name, "weight": share.weight, **_headers(share.filters)}
        for share in rule.shares
        if share.backend
    ]
    if not sum(share["weight"] for share in weighted):
        return {"match": _match(rule.match), "direct_response": {"status": 500}, **headers}
    action: Resource = {
        "weighted_clusters": {"clusters": weighted},
        "timeout": duration(rule.timeout) if rule.timeout else TIMEOUT,
        **_rewrite(rule),
    }
    if rule.mirrors:
        action["request_mirror_policies"] = [{"cluster": one.name} for one in rule.mirrors]
    return {"match": _match(rule.match), "route": action, **headers}


def duration(text: str) -> str:
    """A Gateway API duration (`1m30s`, `500ms`) in the seconds that Envoy takes."""
    units = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
    seconds, digits, unit = 0.0, "", ""
    for sign in f"{text}0":
        if sign.isdigit() and unit:
            seconds += int(digits) * units[unit]
            digits, unit = "", ""
        digits, unit = (digits + sign, unit) if sign.isdigit() else (digits, unit + sign)
    return f"{seconds:g}s"


def _match(match: Manifest) -> Resource:
    headers = [_value(one, "string_match") for one in match.get("headers") or ()]
    if method := match.get("method"):
        headers.append({"name": ":method", "string_match": {"exact": method}})
    parameters = [_value(one, "string_match") for one in match.get("queryParams") or ()]
    found: Resource = _path(match.get("path") or {})
    if headers:
        found["headers"] = headers
    if parameters:
        found["query_parameters"] = parameters
    return found


def _path(path: Manifest) -> Resource:
    value = path.get("value", "/")
    if path.get("type") == "Exact":
        return {"path": value}
    if path.get("type") == "RegularExpression":
        return {"safe_regex": {"regex": value}}
    if value == "/":
        return {"prefix": "/"}
    return {"path_separated_prefix": value.rstrip("/")}


def _value(one: Manifest, key: str) -> Resource:
    if one.get("type") == "RegularExpression":
        return {"name": one["name"], key: {"safe_regex": {"regex": one["value"]}}}
    return {"name": one["name"], key: {"exact": one["value"]}}


def _rewrite(rule: Rule) -> Resource:
    none: Manifest = {}
    spec = next((one["urlRewrite"] for one in rule.filters if one["type"] == "URLRewrite"), none)
    found: Resource = {}
    if "hostname" in spec:
        found["host_rewrite_literal"] = spec["hostname"]
    path = spec.get("path") or {}
    if path.get("type") == "ReplaceFullPath":
        found["regex_rewrite"] = _replaced("^/.*$", path["replaceFullPath"] or "/")
    elif path.get("replacePrefixMatch", "") in ("", "/") and path:
        # Envoy would leave the slash after the prefix, and one more.
        prefix = re.escape(rule.match["path"]["value"].rstrip("/"))
        found["regex_rewrite"] = _replaced(f"^{prefix}/*", "/")
    elif path:
        found["prefix_rewrite"] = path["replacePrefixMatch"]
    return found


def _replaced(regex: str, text: str) -> Resource:
    return {"pattern": {"regex": regex}, "substitution": text}


def _redirect(spec: Manifest) -> Resource:
    codes = {301: "MOVED_PERMANENTLY", 302: "FOUND"}
    found: Resource = {"response_code": codes[spec.get("statusCode", 302)]}
    if "scheme" in spec:
        found["scheme_redirect"] = spec["scheme"]
    if "hostname" in spec:
        found["host_redirect"] = spec["hostname"]
    if "port" in spec:
        found["port_redirect"] = spec["port"]
    path = spec.get("path") or {}
    if path.get("type") == "ReplaceFullPath":
        found["path_redirect"] = path["replaceFullPath"]
    elif path:
        found["prefix_rewrite"] = path["replacePrefixMatch"]
    return found


def _headers(filters: Iterable[Manifest]) -> Resource:
    """Header modifiers, in the form that routes and weighted clusters share."""
    found: Resource = {}
    for one in filters:
        for kind in ("request", "response"):
            spec = one.get(f"{kind}HeaderModifier") or {}
            for verb, action in HEADER_ACTIONS.items():
                for header in spec.get(verb) or ():
                    value = {"key": header["name"], "value": header["value"]}
                    row = {"header": value, "append_action": action}
                    found.setdefault(f"{kind}_headers_to_add", []).append(row)
            if spec.get("remove"):
                found.setdefault(f"{kind}_headers_to_remove", []).extend(spec["remove"])
    return found


def _address(host: str, port: int) -> Resource:
    return {"socket_address": {"address": host, "port_value": port}}
