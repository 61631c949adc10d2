"""One Application for one member: templates in, validated objects out.

Called by the hub for each dispatch and by `fleet render` offline. What a template prints is
treated as a stranger's text: parsed as safe YAML, limited in size and kinds, its namespace forced,
the Rollout checked against the model with unknown fields refused. Never talks to a cluster.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from jinja2 import TemplateError, TemplateNotFound, TemplateSyntaxError
from yaml.error import MarkedYAMLError

from fleet.api import Fleet, MemberCluster, Rollout
from fleet.api.fleetrollout import Snapshot
from fleet.api.names import (
    APPLICATION_LABEL,
    APPLIED_ANNOTATION,
    CLUSTER_LABEL,
    DEPLOYMENTS,
    ENGINE_NAME,
    ENGINE_NAMESPACE,
    HTTPROUTES,
    HUB_LABEL,
    HUB_MANAGER,
    MANAGED_BY,
    NAME_LABEL,
    NAMESPACE_LABEL,
    ROLLOUTS,
    SERVICES,
    Resource,
)
from fleet.errors import UserError
from fleet.kit import documents, hashing
from fleet.rendering import overrides
from fleet.rendering.context import context
from fleet.rendering.environment import TemplateSet, environment

OUTPUT_LIMIT = 1_048_576
"""Most bytes that all templates of one member may print together."""

KEPT = 128
"""Most renderings of a template set that are kept to be given to the next member as well."""

TEMPLATES = ("rollout.yaml.j2", "services.yaml.j2", "httproute.yaml.j2")
ENGINE_TEMPLATE = "engine/deployment.yaml.j2"
KINDS: Mapping[tuple[str, str], Resource] = {
    (item.api_version, item.kind): item for item in (ROLLOUTS, SERVICES, HTTPROUTES)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """One object as it shall be in the member; `manifest` is complete, with our labels."""

    resource: Resource
    manifest: Mapping[str, Any]

    @property
    def name(self) -> str:
        return str(self.manifest["metadata"]["name"])

    @property
    def namespace(self) -> str:
        return str(self.manifest["metadata"]["namespace"])

    @property
    def digest(self) -> str:
        """What stands in its annotation: equal digest = nothing to write."""
        return str(self.manifest["metadata"]["annotations"][APPLIED_ANNOTATION])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Drawn:
    """One object as templates print it, which may be the same for many members."""

    resource: Resource
    document: Mapping[str, Any]
    texts: Mapping[str, str]
    """The canonical form of all that no member has for itself."""

    @classmethod
    def of(cls, resource: Resource, document: Mapping[str, Any]) -> "_Drawn":
        rest = {name: item for name, item in document.items() if name != "metadata"}
        return cls(resource=resource, document=document, texts=hashing.parts(rest))

    def stamped(self, namespace: str, labels: Mapping[str, str]) -> Rendered:
        """The object in its namespace, with our labels and the digest of all that."""
        metadata = self.document["metadata"]
        clean: dict[str, Any] = {
            "name": metadata["name"],
            "namespace": namespace,
            "labels": {**(metadata.get("labels") or {}), **labels},
            "annotations": dict(metadata.get("annotations") or {}),
        }
        digest = hashing.joined({**self.texts, **hashing.parts({"metadata": clean})})
        clean["annotations"][APPLIED_ANNOTATION] = digest
        return Rendered(resource=self.resource, manifest={**self.document, "metadata": clean})

    @property
    def name(self) -> str:
        return str(self.document["metadata"]["name"])


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSetup:
    """What the hub wants of the engine in one member."""

    image: str
    version: str
    hub: str = ""
    """Who keeps it: the uid of the hub's kube-system."""
    prometheus: str = ""
    environment: Mapping[str, str] | None = None


def render(
    templates: TemplateSet,
    application: Snapshot,
    namespace: str,
    cluster: MemberCluster,
    fleet: Fleet,
    revision: str,
) -> tuple[Rendered, ...]:
    """The objects for `cluster`, the Rollout first; `namespace` is the Application's on the hub.

    Raises UserError: `InvalidSpec` for an override that does not fit, `TemplateError` with cluster,
    template and line for everything that a template gets wrong.
    """
    try:
        spec = overrides.apply(application.spec, cluster.metadata.labels)
    except UserError as error:
        raise UserError(error.reason, f"cluster {cluster.name}: {error}") from None
    values = context(application.name, namespace, spec, cluster, fleet, revision)
    labels = {
        NAME_LABEL: application.name,
        MANAGED_BY: HUB_MANAGER,
        APPLICATION_LABEL: application.name,
        CLUSTER_LABEL: cluster.name,
        NAMESPACE_LABEL: namespace,
    }
    target = spec.destination.namespace or namespace
    drawn = _drawn(templates, values, f"cluster {cluster.name}")
    return tuple(item.stamped(target, labels) for item in drawn)


def engine(templates: TemplateSet, cluster: MemberCluster, setup: EngineSetup) -> Rendered:
    """The engine's Deployment for `cluster`. Raises UserError `TemplateError`."""
    where = f"cluster {cluster.name}: template {ENGINE_TEMPLATE}"
    values = {
        "cluster": {"name": cluster.name},
        "engine": {
            "image": setup.image,
            "version": setup.version,
            "prometheus": setup.prometheus,
            "environment": dict(setup.environment or {}),
        },
    }
    text = _print(templates, ENGINE_TEMPLATE, values, where, OUTPUT_LIMIT)
    found = list(_documents(text, where))
    good = len(found) == 1 and (
        found[0].get("apiVersion"),
        found[0].get("kind"),
        (found[0].get("metadata") or {}).get("name"),
    ) == (DEPLOYMENTS.api_version, DEPLOYMENTS.kind, ENGINE_NAME)
    if not good:
        raise UserError("TemplateError", f"{where}: must be one Deployment named {ENGINE_NAME}")
    labels = {
        MANAGED_BY: HUB_MANAGER,
        HUB_LABEL: setup.hub,
        NAMESPACE_LABEL: cluster.namespace,
        CLUSTER_LABEL: cluster.name,
    }
    return _Drawn.of(DEPLOYMENTS, found[0]).stamped(ENGINE_NAMESPACE, labels)


def _drawn(templates: TemplateSet, values: Mapping[str, Any], where: str) -> tuple[_Drawn, ...]:
    """What the templates make of `values`, read and checked. Few templates read `cluster`: then
    that is the same for a whole fleet, and is done once."""
    sandbox = environment(templates)
    ignored = () if "cluster" in sandbox.names(TEMPLATES) else ("cluster",)
    seen = json.dumps({name: item for name, item in values.items() if name not in ignored})
    found: tuple[_Drawn, ...] | None = sandbox.kept.get(seen)
    if found is None:
        found = sandbox.kept[seen] = _draw(templates, values, where)
        if len(sandbox.kept) > KEPT:
            sandbox.kept.popitem(last=False)
    return found


def _draw(templates: TemplateSet, values: Mapping[str, Any], where: str) -> tuple[_Drawn, ...]:
    result: dict[tuple[str, str], _Drawn] = {}
    left = OUTPUT_LIMIT
    for template in TEMPLATES:
        here = f"{where}: template {template}"
        text = _print(templates, template, values, here, left)
        left -= len(text.encode())
        for document in _documents(text, here):
            item = _accept(document, here)
            if result.setdefault((item.resource.plural, item.name), item) is not item:
                raise UserError(
                    "TemplateError", f"{here}: {item.resource.kind} {item.name} comes twice"
                )
    _check_rollouts(result.values(), where)
    return tuple(result.values())


def _print(
    templates: TemplateSet, name: str, values: Mapping[str, Any], where: str, limit: int
) -> str:
    """The text of a template, read in pieces so that an endless one stops at the limit."""
    pieces: list[str] = []
    size = 0
    try:
        for piece in environment(templates).get_template(name).generate(**values):
            size += len(piece.encode())
            if size > limit:
                raise UserError(
                    "TemplateError", f"{where}: more than {OUTPUT_LIMIT} bytes of output"
                )
            pieces.append(piece)
    except TemplateSyntaxError as error:
        raise UserError("TemplateError", f"{where} line {error.lineno}: {error.message}") from None
    except TemplateNotFound as error:
        raise UserError(
            "TemplateError", f"{where}{_line(error, name)}: there is no template {error.name}"
        ) from None
    except (TemplateError, ValueError, TypeError, ArithmeticError) as error:
        raise UserError("TemplateError", f"{where}{_line(error, name)}: {error}") from None
    return "".join(pieces)


def _line(error: BaseException, name: str) -> str:
    """` line 4` for the innermost frame of the traceback that is a line of a template."""
    found = ""
    trace = error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if file in ("<template>", name):
            found = f" line {trace.tb_lineno}"
        trace = trace.tb_next
    return found


def _documents(text: str, where: str) -> Iterator[dict[str, Any]]:
    try:
        for document in documents.every(text, aliases=False):
            if document is None:
                continue
            if not isinstance(document, dict):
                raise UserError("TemplateError", f"{where}: a document is not an object")
            yield document
    except MarkedYAMLError as error:
        mark = error.problem_mark
        line = f" (line {mark.line + 1} of its output)" if mark else ""
        raise UserError("TemplateError", f"{where}: not YAML: {error.problem}{line}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise UserError("TemplateError", f"{where}: not YAML: {error}") from None
    except RecursionError:
        raise UserError("TemplateError", f"{where}: is nested too deeply") from None


def _accept(document: Mapping[str, Any], where: str) -> _Drawn:
    key = (str(document.get("apiVersion", "")), str(document.get("kind", "")))
    resource = KINDS.get(key)
    if resource is None:
        known = ", ".join(f"{kind} ({version})" for version, kind in KINDS)
        raise UserError(
            "TemplateError",
            f"{where}: {key[1] or 'an object without kind'} ({key[0] or 'without apiVersion'}) "
            f"is not allowed: write {known}",
        )
    metadata = document.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
        raise UserError("TemplateError", f"{where}: {key[1]}: metadata.name is required")
    if unknown := sorted(set(document) - {"apiVersion", "kind", "metadata", "spec"}):
        raise UserError("TemplateError", f"{where}: {key[1]}: {unknown[0]}: unknown field")
    if resource is ROLLOUTS:
        try:
            Rollout.parse(document, strict=True)
        except UserError as error:
            raise UserError(
                "TemplateError", f"{where}: Rollout {metadata['name']}: {error}"
            ) from None
    return _Drawn.of(resource, document)


def _check_rollouts(items: Any, where: str) -> None:
    count = sum(item.resource is ROLLOUTS for item in items)
    if count != 1:
        raise UserError(
            "TemplateError",
            f"{where}: template {TEMPLATES[0]}: {count} Rollouts: exactly one is needed",
        )
