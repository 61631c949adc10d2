"""What a tenant gives in the place of the hub's templates, and what may come of it.

`read` is called for each ConfigMap that carries our label, `check` for each object that templates
of a tenant have printed. Such an object is a stranger's: it may not speak to the engine in the
hub's name, nor take another one's, nor open a way into the cluster that no Application can ask for.
"""

from collections.abc import Iterator, Mapping
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """The templates of a ConfigMap, or what is wrong with it."""

    files: Mapping[str, str] = field(default_factory=dict)
    wrong: str = ""


def read(manifest: Manifest) -> Own:
    """What a ConfigMap holds; nothing is kept of one that is wrong."""
    files = manifest.get("data") or {}
    wrong = next(_faults(files, manifest.get("binaryData") or {}), "")
    return Own(wrong=wrong) if wrong else Own(files=dict(files))


def is_meant(manifest: Manifest) -> bool:
    """Whether it is a ConfigMap with our label."""
    labels = (manifest.get("metadata") or {}).get("labels") or {}
    return manifest.get("kind") == CONFIGMAPS.kind and labels.get(TEMPLATES_LABEL) == "true"


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


def _faults(files: Mapping[str, str], others: Mapping[str, str]) -> Iterator[str]:
    for name in sorted({*files, *others}):
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
