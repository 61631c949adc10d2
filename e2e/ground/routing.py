"""What Gateways, HTTPRoutes and Services mean together: who may attach, where a request goes; pure.

`gateway` gives it the World as the API shows it and gets a Table (for `xds`) and Verdicts (for
`gatewaystatus`). It follows the Gateway API's rules for parents, hostnames, references and their
reasons, and Contour where these leave a choice or Contour departs from them (`test_contour` holds
the two side by side); HTTP listeners only.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from e2e.ground import hostnames

Manifest = Mapping[str, Any]
Key = tuple[str, str]
Objects = Mapping[Key, Manifest]

GROUP = "gateway.networking.k8s.io"
MODIFIERS = ("RequestHeaderModifier", "ResponseHeaderModifier")
"""The filters of a backendRef."""
FILTERS = (*MODIFIERS, "RequestRedirect", "RequestMirror", "URLRewrite")
"""The filters of a rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Everything that decides, by (namespace, name)."""

    classes: Objects
    gateways: Objects
    routes: Objects
    services: Objects
    slices: Objects
    grants: Objects
    namespaces: Objects


@dataclass(frozen=True, slots=True, order=True)
class Backend:
    """A port of a Service that exists and may be used."""

    namespace: str
    service: str
    port: int

    @property
    def name(self) -> str:
        """The name of its Envoy cluster."""
        return f"{self.namespace}/{self.service}/{self.port}"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something does not count: a reason of the Gateway API and a sentence."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One backendRef: None as backend = it cannot be resolved and the others get its share."""

    backend: Backend | None
    weight: int
    filters: tuple[Manifest, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One match of one rule, with where it leads; `order` puts the more specific first."""

    match: Manifest
    shares: tuple[Share, ...]
    filters: tuple[Manifest, ...]
    mirrors: tuple[Backend, ...]
    timeout: str | None
    order: tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one parent of one route is told; a refusal of None = True."""

    parent: Manifest
    accepted: Refusal | None
    resolved: Refusal | None


@dataclass(slots=True, kw_only=True)
class Table:
    """Gateway port → hostname → rules; verdicts by route; attached routes by listener."""

    ports: dict[int, dict[str, list[Rule]]] = field(default_factory=dict)
    verdicts: dict[Key, list[Verdict]] = field(default_factory=dict)
    attached: dict[tuple[Key, str], int] = field(default_factory=dict)

    @property
    def backends(self) -> set[Backend]:
        """All that some rule leads to."""
        rules = [rule for hosts in self.ports.values() for r in hosts.values() for rule in r]
        shares = {share.backend for rule in rules for share in rule.shares if share.backend}
        return shares | {mirror for rule in rules for mirror in rule.mirrors}


def is_ours(world: World, gateway: Manifest, controller: str) -> bool:
    """Whether the Gateway's class names our controller."""
    found = world.classes.get(("", gateway["spec"]["gatewayClassName"]))
    return found is not None and found["spec"]["controllerName"] == controller


def build(world: World, controller: str) -> Table:
    """Attach every route to the listeners that take it."""
    table = Table()
    for key, gateway in world.gateways.items():
        if is_ours(world, gateway, controller):
            for listener in http_listeners(gateway):
                table.ports.setdefault(listener["port"], {})
                table.attached[key, listener["name"]] = 0
    for key, route in sorted(world.routes.items(), key=lambda item: _age(item[1])):
        rules, resolved = _rules(world, route)
        for parent in route["spec"].get("parentRefs") or ():
            named = _gateway(world, route, parent)
            if named is None or not is_ours(world, named, controller):
                continue
            refusal: Refusal | None
            match _attach(world, route, parent, named):
                case Refusal() as refusal:
                    pass
                case places:
                    refusal = _enter(table, named, places, rules) or _unsupported(route)
            verdict = Verdict(parent=parent, accepted=refusal, resolved=resolved)
            table.verdicts.setdefault(key, []).append(verdict)
    for hosts in table.ports.values():
        for found in hosts.values():
            found.sort(key=lambda rule: rule.order)
    return table


def http_listeners(gateway: Manifest) -> list[Manifest]:
    """The listeners that this gateway serves."""
    return [one for one in gateway["spec"]["listeners"] if one["protocol"] == "HTTP"]


Places = list[tuple[Manifest, list[str]]]
"""Listeners with the hostnames under which a route appears there."""


def _enter(
    table: Table, gateway: Manifest, places: Places, rules: Sequence[Sequence[Rule]]
) -> Refusal | None:
    """Put each rule where it belongs, unless a match of it is an older one's there already."""
    entered = 0
    for listener, names in places:
        table.attached[_key(gateway), listener["name"]] += 1
        hosts = table.ports[listener["port"]]
        for rule in rules:
            taken = [known.match for name in names for known in hosts.get(name, ())]
            if any(one.match in taken for one in rule):
                continue
            entered += 1
            for hostname in names:
                hosts.setdefault(hostname, []).extend(rule)
    if entered or not rules:
        return None
    return Refusal("RuleMatchConflict", "other routes have all of its matches already")


def _gateway(world: World, route: Manifest, parent: Manifest) -> Manifest | None:
    if (parent.get("group", GROUP), parent.get("kind", "Gateway")) != (GROUP, "Gateway"):
        return None
    namespace = parent.get("namespace", route["metadata"]["namespace"])
    return world.gateways.get((namespace, parent["name"]))


def _attach(world: World, route: Manifest, parent: Manifest, gateway: Manifest) -> Places | Refusal:
    """The listeners that take the route, or why none does."""
    found = [
        listener
        for listener in http_listeners(gateway)
        if parent.get("sectionName", listener["name"]) == listener["name"]
        and parent.get("port", listener["port"]) == listener["port"]
    ]
    if not found:
        return Refusal("NoMatchingParent", "no HTTP listener of the Gateway has that name and port")
    allowed = [listener for listener in found if _allows(world, listener, gateway, route)]
    if not allowed:
        message = "allowedRoutes of the listener excludes this kind or namespace"
        return Refusal("NotAllowedByListeners", message)
    own = route["spec"].get("hostnames") or []
    rest = [one for one in http_listeners(gateway) if one not in allowed]
    others = [one["hostname"] for one in rest if one.get("hostname")]
    places = [(one, hostnames.intersect(own, one.get("hostname"), others)) for one in allowed]
    places = [(listener, found) for listener, found in places if found]
    if not places:
        message = "no hostname of the route fits the listener's hostname"
        return Refusal("NoMatchingListenerHostname", message)
    return places


def _allows(world: World, listener: Manifest, gateway: Manifest, route: Manifest) -> bool:
    allowed = listener.get("allowedRoutes") or {}
    kinds = [kind["kind"] for kind in allowed.get("kinds") or ()]
    if kinds and "HTTPRoute" not in kinds:
        return False
    rule = allowed.get("namespaces") or {}
    namespace = route["metadata"]["namespace"]
    if rule.get("from", "Same") == "Same":
        return bool(namespace == gateway["metadata"]["namespace"])
    if rule["from"] == "All":
        return True
    found = world.namespaces.get(("", namespace), {"metadata": {}})
    return rule["from"] == "Selector" and selects(
        rule.get("selector") or {}, found["metadata"].get("labels") or {}
    )


def selects(selector: Manifest, labels: Mapping[str, str]) -> bool:
    """Kubernetes' label selector."""
    if any(labels.get(k) != v for k, v in (selector.get("matchLabels") or {}).items()):
        return False
    for term in selector.get("matchExpressions") or ():
        key, values = term["key"], term.get("values") or ()
        holds = {
            "In": labels.get(key) in values,
            "NotIn": labels.get(key) not in values,
            "Exists": key in labels,
            "DoesNotExist": key not in labels,
        }
        if not holds[term["operator"]]:
            return False
    return True


def _rules(world: World, route: Manifest) -> tuple[list[list[Rule]], Refusal | None]:
    """The matches of each rule, and the last reason why a reference cannot be resolved."""
    rules: list[list[Rule]] = []
    refusals: list[Refusal] = []
    for index, spec in enumerate(route["spec"].get("rules") or ()):
        mirrors = [_resolved(world, route, one, refusals) for one in _mirrored(spec)]
        shares = _shares(world, route, spec, refusals)
        if not (shares or _redirects(spec)):
            refusals.append(Refusal("Degraded", "a rule has neither a back-end nor a redirect"))
            continue
        timeouts = spec.get("timeouts") or {}
        asked: Sequence[Manifest] = spec.get("matches") or ({},)
        matches = [match for match in asked if _is_readable(match)]
        rules.append(
            [
                Rule(
                    match=match,
                    shares=shares,
                    filters=tuple(spec.get("filters") or ()),
                    mirrors=tuple(backend for backend in mirrors if backend),
                    timeout=timeouts.get("backendRequest") or timeouts.get("request"),
                    order=(*_specificity(match), *_age(route), index, position),
                )
                for position, match in enumerate(matches)
            ]
        )
    if not refusals:
        return rules, None
    message = "; ".join(dict.fromkeys(refusal.message for refusal in refusals))
    return rules, Refusal(refusals[-1].reason, message)


def _shares(
    world: World, route: Manifest, spec: Manifest, refusals: list[Refusal]
) -> tuple[Share, ...]:
    return tuple(
        Share(
            backend=_resolved(world, route, reference, refusals),
            weight=reference.get("weight", 1),
            filters=tuple(reference.get("filters") or ()),
        )
        for reference in spec.get("backendRefs") or ()
    )


def _resolved(
    world: World, route: Manifest, reference: Manifest, refusals: list[Refusal]
) -> Backend | None:
    found = _resolve(world, route, reference)
    if isinstance(found, Backend):
        return found
    refusals.append(found)
    return None


def _redirects(spec: Manifest) -> bool:
    return any(one["type"] == "RequestRedirect" for one in spec.get("filters") or ())


def _mirrored(spec: Manifest) -> Iterator[Manifest]:
    for one in spec.get("filters") or ():
        if one["type"] == "RequestMirror":
            yield one["requestMirror"]["backendRef"]


def _resolve(world: World, route: Manifest, reference: Manifest) -> Backend | Refusal:
    """The Service's port that a reference means, or why it cannot be used."""
    group, kind = reference.get("group", ""), reference.get("kind", "Service")
    if (group, kind) != ("", "Service"):
        return Refusal("InvalidKind", f"backend kind {group or 'core'}/{kind} is not supported")
    own = route["metadata"]["namespace"]
    namespace, name, port = reference.get("namespace", own), reference["name"], reference["port"]
    if namespace != own and not _is_granted(world, own, namespace, name):
        message = f"no ReferenceGrant in namespace {namespace} permits Service {namespace}/{name}"
        return Refusal("RefNotPermitted", message)
    service = world.services.get((namespace, name))
    if service is None:
        return Refusal("BackendNotFound", f"Service {namespace}/{name} not found")
    if port not in [known["port"] for known in service["spec"].get("ports") or ()]:
        return Refusal("BackendNotFound", f"Service {namespace}/{name} has no port {port}")
    return Backend(namespace, name, port)


def _is_granted(world: World, source: str, target: str, name: str) -> bool:
    wanted = (GROUP, "HTTPRoute", source)
    for (namespace, _), grant in world.grants.items():
        froms = [(one["group"], one["kind"], one["namespace"]) for one in grant["spec"]["from"]]
        tos = [(one["group"], one["kind"], one.get("name", name)) for one in grant["spec"]["to"]]
        if namespace == target and wanted in froms and ("", "Service", name) in tos:
            return True
    return False


def _unsupported(route: Manifest) -> Refusal | None:
    """What this gateway cannot do; the rest of the route is served all the same."""
    for rule in route["spec"].get("rules") or ():
        own = [one["type"] for one in rule.get("filters") or ()]
        refs = rule.get("backendRefs") or ()
        theirs = [one["type"] for ref in refs for one in ref.get("filters") or ()]
        lost = {one for one in own if one not in FILTERS}
        if lost := lost | {one for one in theirs if one not in MODIFIERS}:
            message = f"not supported here: filter {', '.join(sorted(lost))}"
            return Refusal("UnsupportedValue", message)
        for match in rule.get("matches") or ():
            if not all(map(_is_regex, _named(match))):
                message = "a header or parameter is matched by no regular expression"
                return Refusal("UnsupportedValue", message)
    return None


def _named(match: Manifest) -> list[Manifest]:
    return [*(match.get("headers") or ()), *(match.get("queryParams") or ())]


def _is_readable(match: Manifest) -> bool:
    """Whether all its expressions are such; else it matches nothing, but others of its rule may."""
    return all(map(_is_regex, (match.get("path") or {}, *_named(match))))


def _is_regex(part: Manifest) -> bool:
    try:
        re.compile(part["value"] if part.get("type") == "RegularExpression" else "")
    except re.error:
        return False
    return True


def _specificity(match: Manifest) -> tuple[int, int, int, int, int]:
    """Smaller is more specific: exact path, regex, longest prefix; method; headers; parameters."""
    path = match.get("path") or {"type": "PathPrefix", "value": "/"}
    rank = {"Exact": 0, "RegularExpression": 1, "PathPrefix": 2}[path.get("type", "PathPrefix")]
    return (
        rank,
        -len(path.get("value", "/")),
        0 if match.get("method") else 1,
        -len(match.get("headers") or ()),
        -len(match.get("queryParams") or ()),
    )


def _age(route: Manifest) -> tuple[str, str, str]:
    metadata = route["metadata"]
    return (metadata.get("creationTimestamp", ""), metadata["namespace"], metadata["name"])


def _key(manifest: Manifest) -> Key:
    return (manifest["metadata"]["namespace"], manifest["metadata"]["name"])
