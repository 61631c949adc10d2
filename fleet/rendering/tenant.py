"""What a tenant gives in the place of the hub's templates, and what may come of it.

`read` is called for each ConfigMap that carries our label, `check` for each object that templates
of a tenant have printed, and `taken` for all of them together. Such an object is a stranger's: it
may not speak to the engine in the hub's name, nor take another one's, nor open a way into the
cluster that no Application can ask for.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from fleet.api import Application, structure
from fleet.api.fleetrollout import OWN_TEMPLATES
from fleet.api.meta import Manifest
from fleet.api.names import (
    CONFIGMAPS,
    HTTPROUTES,
    KULTA_GROUP,
    ROLLOUTS,
    SERVICES,
    TEMPLATES_LABEL,
    Resource,
)
from fleet.errors import UserError
from fleet.kit import hashing, phrases
from fleet.rendering.environment import SHARED, TEMPLATES
from fleet.rendering.printing import error

NAMES = (*TEMPLATES, SHARED)
"""Templates that can be replaced."""

OBJECTS = 32
"""Most objects that a member receives."""

HUBS = ("dispatch", "hold")
"""Fields of a Rollout's spec that only the hub writes."""

PRINTED = ("httpRoute", "httpRoutes")
"""Routes that templates can print; of any other the hub cannot see whose it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """The templates of a ConfigMap, or what is wrong with it."""

    files: Mapping[str, str] = field(default_factory=dict)
    wrong: str = ""


def read(manifest: Manifest) -> Own:
    """What a ConfigMap holds; nothing is kept of one that is wrong."""
    files, others = manifest.get("data") or {}, manifest.get("binaryData") or {}
    wrong = next(_faults(files, others), "")
    return Own(wrong=wrong) if wrong else Own(files=dict(files))


def is_meant(manifest: Manifest) -> bool:
    """Whether it is a ConfigMap with our label."""
    if manifest.get("kind") != CONFIGMAPS.kind:
        return False
    metadata = manifest.get("metadata")
    labels = metadata.get("labels") if isinstance(metadata, Mapping) else None
    return isinstance(labels, Mapping) and labels.get(TEMPLATES_LABEL) == "true"


def given(application: Application, own: Own | None) -> Mapping[str, str]:
    """What an Application puts in the place of the hub's templates; `own` is of the ConfigMap that
    it names. Raises UserError `TemplatesNotFound`, `TemplateError`."""
    named = application.spec.templates
    if named is None:
        return {}
    if own is None:
        raise UserError(
            "TemplatesNotFound",
            f"spec.templates.configMap: there is no ConfigMap {named.config_map} with the label "
            f'{TEMPLATES_LABEL}: "true" in namespace {application.namespace or "default"}: write '
            "one, or that label; what was delivered stays as it is",
        )
    if own.wrong:
        where = f"spec.templates.configMap: ConfigMap {named.config_map}"
        raise UserError("TemplateError", f"{where}: {own.wrong}")
    return own.files


def digest(files: Mapping[str, str]) -> str:
    """Of what they say."""
    return hashing.digest(dict(files))


def _faults(files: Any, others: Any) -> Iterator[str]:
    """What is wrong, the first of which is told; a file that a person wrote may hold anything."""
    for name, given in (("data", files), ("binaryData", others)):
        if not isinstance(given, Mapping):
            yield f"{name}: must be an object of templates"
        elif bad := [key for key, text in given.items() if not isinstance(text, str)]:
            yield f"{bad[0]}: must be text: write {bad[0]}: |"
    for name in sorted({*files, *others}, key=str):
        if name not in NAMES:
            yield f"{name}: there is no such template: write {phrases.listed(NAMES)}"
    for name in sorted(others):
        yield f"{name}: is binary: write it into data"
    if not files:
        yield f"it is empty: write {phrases.listed(NAMES)}"
    size = sum(len(text.encode()) for text in files.values())
    if size > OWN_TEMPLATES:
        yield f"{size} bytes: at most {OWN_TEMPLATES} together"


def check(
    resource: Resource, document: Manifest, values: Mapping[str, Any], where: str, before: int
) -> None:
    """Raises UserError `TemplateError` for an object that a tenant may not make of `values`;
    `before` it there were so many."""
    fault = next(_wrong(resource, document, values), "")
    if before >= OBJECTS:
        fault = f"more than {OBJECTS} objects for one member"
    if fault:
        raise error(f"{where}: {resource.kind} {document['metadata']['name']}: {fault}")


def taken(
    document: Manifest, printed: Collection[tuple[str, str]], values: Mapping[str, Any], where: str
) -> None:
    """Raises UserError `TemplateError` for a Rollout that would hand the engine what may be
    somebody else's: all that it names is `printed` with it, as (plural, name), so that the hub sees
    whose it is, or is one of the names that belong to a Service that is."""
    known, service = set(printed), values["application"]["service"]
    if service and (SERVICES.plural, service["name"]) in known:
        beside = (service["stable"], *service["others"].values())
        known.update((SERVICES.plural, name) for name in beside)
    fault = next(_foreign(document["spec"], known), "")
    if fault:
        raise error(f"{where}: Rollout {document['metadata']['name']}: {fault}")


def _foreign(spec: Manifest, known: Collection[tuple[str, str]]) -> Iterator[str]:
    if "workloadRef" in spec:
        yield "spec.workloadRef: write selector and template: a Deployment is not the hub's to give"
    for kind, strategy in (spec.get("strategy") or {}).items():
        here = f"spec.strategy.{kind}"
        for field_, resource, name in _named(strategy or {}):
            if resource is None:
                yield f"{here}.{field_}: templates print HTTPRoutes: write gatewayAPI.httpRoute"
            elif (resource.plural, name) not in known:
                yield f"{here}.{field_}: no {resource.kind} {name} is printed: print it as well"


def _named(strategy: Mapping[str, Any]) -> Iterator[tuple[str, Resource | None, str]]:
    """(field, kind, name) of all that the engine would write besides pods; None is a kind that no
    template prints."""
    for name, value in strategy.items():
        if name.endswith("Service"):
            yield name, SERVICES, str(value)
    for number, variant in enumerate(strategy.get("variants") or ()):
        yield f"variants[{number}].service", SERVICES, str(variant.get("service"))
    routing = strategy.get("trafficRouting") or {}
    gateway = routing.get("gatewayAPI") or {}
    others = [f"trafficRouting.{name}" for name in routing if name != "gatewayAPI"]
    others += [f"trafficRouting.gatewayAPI.{name}" for name in gateway if name not in PRINTED]
    yield from ((name, None, "") for name in others)
    at = "trafficRouting.gatewayAPI.httpRoute"
    if route := gateway.get("httpRoute"):
        yield at, HTTPROUTES, str(route)
    for number, one in enumerate(gateway.get("httpRoutes") or ()):
        yield f"{at}s[{number}].name", HTTPROUTES, str(one["name"])


def _wrong(resource: Resource, document: Manifest, values: Mapping[str, Any]) -> Iterator[str]:
    yield from map(str, structure.problems(SHAPES[resource], document, ""))
    yield from _misnamed(resource, document["metadata"]["name"], values["application"])
    for kind in ("labels", "annotations"):
        for key in document["metadata"].get(kind) or {}:
            if key.partition("/")[0].endswith(KULTA_GROUP):
                yield f"metadata.{kind}.{key}: only the hub and the engine write that"
    if resource is ROLLOUTS:
        spec = document.get("spec") or {}
        for name in HUBS:
            if name in spec:
                yield f"spec.{name}: only the hub writes that"
        if spec.get("fleetRevision") != values["revision"]:
            yield "spec.fleetRevision: write {{ revision | to_json }}"


def _misnamed(resource: Resource, name: str, application: Mapping[str, Any]) -> Iterator[str]:
    own = str(application["name"])
    if resource is ROLLOUTS:
        if name != own:
            yield f"metadata.name: must be {own}"
        return
    service = application["service"]
    roots = dict.fromkeys((service["name"] if service else own, own))
    if not any(name == root or name.startswith(f"{root}-") for root in roots):
        yield f"metadata.name: must be {' or '.join(f'{root}, {root}-…' for root in roots)}"


def _map(**properties: Any) -> dict[str, Any]:
    """An object with these fields and no others."""
    return {"type": "object", "properties": properties}


ANY: dict[str, Any] = {}
TEXT = {"type": "string"}
TEXTS = {"type": "object", "additionalProperties": TEXT}
NUMBER = {"type": "integer"}
META = _map(
    name={"type": "string", "maxLength": 63, "pattern": "^[a-z]([-a-z0-9]*[a-z0-9])?$"},
    namespace=TEXT,
    labels=TEXTS,
    annotations=TEXTS,
)
PORT = _map(
    name=TEXT,
    port=NUMBER,
    targetPort={"x-kubernetes-int-or-string": True},
    protocol=TEXT,
    appProtocol=TEXT,
) | {"required": ["port"]}
SERVICE = _map(
    type={"type": "string", "enum": ["ClusterIP"]},
    selector=TEXTS,
    ports={"type": "array", "items": PORT},
    sessionAffinity=TEXT,
    sessionAffinityConfig=ANY,
    internalTrafficPolicy=TEXT,
    trafficDistribution=TEXT,
    publishNotReadyAddresses={"type": "boolean"},
    ipFamilies={"type": "array", "items": TEXT},
    ipFamilyPolicy=TEXT,
) | {"required": ["selector", "ports"]}
BACKEND = _map(name=TEXT, port=NUMBER, weight=NUMBER, kind=TEXT) | {
    "required": ["name", "port"],
    "additionalProperties": ANY,
}
RULE = _map(backendRefs={"type": "array", "items": BACKEND}) | {"additionalProperties": ANY}
ROUTE = _map(
    parentRefs={"type": "array", "items": {"type": "object"}},
    hostnames={"type": "array", "items": TEXT},
    rules={"type": "array", "items": RULE},
) | {"required": ["parentRefs", "rules"]}


def _shape(spec: Mapping[str, Any]) -> dict[str, Any]:
    """What is looked at of an object before it leaves the hub; the rest is for the member's API
    server to judge."""
    return _map(apiVersion=TEXT, kind=TEXT, metadata=META, spec=spec) | {"required": ["spec"]}


SHAPES: Mapping[Resource, dict[str, Any]] = {
    ROLLOUTS: _shape({"type": "object"}),
    SERVICES: _shape(SERVICE),
    HTTPROUTES: _shape(ROUTE),
}
