"""One Application for one member: templates in, validated objects out.

Called by the hub for each dispatch and by `fleet render` offline. What a template prints is
treated as a stranger's text: parsed as safe YAML, limited in size and kinds, its namespace forced,
the Rollout checked against the model with unknown fields refused. Never talks to a cluster.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fleet.api import MemberCluster, Rollout
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
from fleet.kit import hashing
from fleet.rendering import overrides, printing, tenant
from fleet.rendering.context import context
from fleet.rendering.delivery import Delivery
from fleet.rendering.environment import TEMPLATES, TemplateSet, environment
from fleet.rendering.printing import error as wrong

KEPT = 128
"""Most renderings of a template set that are kept to be given to the next member as well."""

CLUSTER = "cluster"
"""The one variable that every member has for itself."""
ENGINE_TEMPLATE = "engine/deployment.yaml.j2"
KINDS: Mapping[tuple[str, str], Resource] = {
    (item.api_version, item.kind): item for item in (ROLLOUTS, SERVICES, HTTPROUTES)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """One object as it shall be in the member. Most are only compared with what is there by their
    digest; the whole of one is put together for who writes or shows it."""

    form: "Form"
    cluster: str
    digest: str
    """What stands in its annotation: equal digest = nothing to write."""

    @property
    def resource(self) -> Resource:
        return self.form.resource

    @property
    def place(self) -> tuple[str, str, str]:
        """Plural, namespace, name: by these it is looked for."""
        return self.form.place

    @property
    def namespace(self) -> str:
        return self.form.place[1]

    @property
    def name(self) -> str:
        return self.form.place[2]

    @property
    def manifest(self) -> dict[str, Any]:
        """It is complete, with our labels."""
        common = self.form.metadata
        metadata = {
            **common,
            "labels": {**common["labels"], CLUSTER_LABEL: self.cluster},
            "annotations": {**common["annotations"], APPLIED_ANNOTATION: self.digest},
        }
        return {**self.form.document, "metadata": metadata}


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """One object as templates print it, which may be the same for many members."""

    resource: Resource
    document: Mapping[str, Any]
    texts: Mapping[str, str]
    """The canonical form of all that no member has for itself."""

    @classmethod
    def of(cls, resource: Resource, document: Mapping[str, Any]) -> "Drawn":
        rest = {name: item for name, item in document.items() if name != "metadata"}
        return cls(resource=resource, document=document, texts=hashing.parts(rest))

    @property
    def name(self) -> str:
        return str(self.document["metadata"]["name"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """The same in its namespace and with our labels, but for the name of the member that gets it:
    what a thousand members have in common is written down once."""

    resource: Resource
    place: tuple[str, str, str]
    document: Mapping[str, Any]
    metadata: Mapping[str, Any]
    before: str
    """The canonical form of the whole up to the member's name, and after it."""
    after: str

    @classmethod
    def of(cls, drawn: Drawn, namespace: str, labels: Mapping[str, str]) -> "Form":
        """`labels` are ours; that of the member has its place among them, its value comes later."""
        metadata = drawn.document["metadata"]
        clean: dict[str, Any] = {
            "name": metadata["name"],
            "namespace": namespace,
            "labels": {**(metadata.get("labels") or {}), **labels},
            "annotations": metadata.get("annotations") or {},
        }
        # No text holds its own digest, so nothing in it is taken for the gap.
        gap = clean["labels"][CLUSTER_LABEL] = hashing.short(_text(drawn, clean), 64)
        before, _, after = _text(drawn, clean).partition(hashing.canonical(gap))
        return cls(
            resource=drawn.resource,
            place=(drawn.resource.plural, namespace, drawn.name),
            document=drawn.document,
            metadata=clean,
            before=before,
            after=after,
        )

    def filled(self, cluster: str) -> Rendered:
        """The object for the member of that name, with the digest of all that."""
        digest = hashing.short(f"{self.before}{hashing.canonical(cluster)}{self.after}")
        return Rendered(form=self, cluster=cluster, digest=digest)


def _text(drawn: Drawn, metadata: Mapping[str, Any]) -> str:
    return hashing.joined({**drawn.texts, **hashing.parts({"metadata": metadata})})


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSetup:
    """What the hub wants of the engine in one member."""

    image: str
    version: str
    hub: str = ""
    """Who keeps it: the uid of the hub's kube-system."""
    prometheus: str = ""
    environment: Mapping[str, str] | None = None


def render(templates: TemplateSet, delivery: Delivery) -> tuple[Rendered, ...]:
    """The objects for the member, the Rollout first.

    Raises UserError: `InvalidSpec` for an override that does not fit, `TemplateError` with cluster,
    template and line for everything that a template gets wrong.
    """
    try:
        return finished(delivery, drawn(templates, delivery))
    except UserError as error:
        raise fault(delivery, error) from None


def shown(delivery: Delivery) -> Mapping[str, Any]:
    """What the templates get to see. Raises UserError for an override that does not fit."""
    application, cluster = delivery.application, delivery.cluster
    return context(delivery, overrides.apply(application.spec, cluster.metadata.labels))


def finished(delivery: Delivery, objects: Iterable[Drawn]) -> tuple[Rendered, ...]:
    """The objects, each in its namespace and with our labels, which no template sees."""
    return tuple([form.filled(delivery.cluster.name) for form in forms(delivery, objects)])


def forms(delivery: Delivery, objects: Iterable[Drawn]) -> tuple[Form, ...]:
    """The same for all members to whom that Application goes."""
    name = delivery.application.name
    namespace = delivery.application.spec.destination.namespace or delivery.namespace
    labels = {
        NAME_LABEL: name,
        MANAGED_BY: HUB_MANAGER,
        APPLICATION_LABEL: name,
        CLUSTER_LABEL: "",
        NAMESPACE_LABEL: delivery.namespace,
    }
    return tuple([Form.of(item, namespace, labels) for item in objects])


def fault(delivery: Delivery, error: UserError) -> UserError:
    """That error, with the member's name before it."""
    return UserError(error.reason, f"cluster {delivery.cluster.name}: {error}")


def engine(templates: TemplateSet, cluster: MemberCluster, setup: EngineSetup) -> Rendered:
    """The engine's Deployment for `cluster`. Raises UserError `TemplateError`."""
    values = {
        "cluster": {"name": cluster.name},
        "engine": {
            "image": setup.image,
            "version": setup.version,
            "prometheus": setup.prometheus,
            "environment": dict(setup.environment or {}),
        },
    }
    try:
        found = [
            document for _, document in printing.printed(templates, (ENGINE_TEMPLATE,), values)
        ]
    except UserError as error:
        raise UserError(error.reason, f"cluster {cluster.name}: {error}") from None
    good = len(found) == 1 and (
        found[0].get("apiVersion"),
        found[0].get("kind"),
        (found[0].get("metadata") or {}).get("name"),
    ) == (DEPLOYMENTS.api_version, DEPLOYMENTS.kind, ENGINE_NAME)
    if not good:
        where = f"cluster {cluster.name}: template {ENGINE_TEMPLATE}"
        raise wrong(f"{where}: must be one Deployment named {ENGINE_NAME}")
    labels = {
        MANAGED_BY: HUB_MANAGER,
        HUB_LABEL: setup.hub,
        NAMESPACE_LABEL: cluster.namespace,
        CLUSTER_LABEL: "",
    }
    return Form.of(Drawn.of(DEPLOYMENTS, found[0]), ENGINE_NAMESPACE, labels).filled(cluster.name)


def key(values: Mapping[str, Any], *, alike: bool) -> str:
    """Of what templates see: equal for all members where they are `alike` to the templates."""
    return json.dumps({name: item for name, item in values.items() if not alike or name != CLUSTER})


def is_alike(templates: TemplateSet) -> bool:
    """Whether all members are alike to these templates: few read `cluster`."""
    return CLUSTER not in environment(templates).names(TEMPLATES)


def drawn(templates: TemplateSet, delivery: Delivery) -> tuple[Drawn, ...]:
    """What the templates make of the delivery, read and checked; where members are alike, that is
    the same for a whole fleet, and is done once. Raises UserError, as `render`, without the
    member's name."""
    replaced = delivery.application.templates
    used = templates.replaced(replaced) if replaced else templates
    sandbox, values = environment(used), shown(delivery)
    seen = key(values, alike=is_alike(used))
    found: tuple[Drawn, ...] | None = sandbox.kept.get(seen)
    if found is None:
        found = accepted(printing.printed(used, TEMPLATES, values), values, own=bool(replaced))
        sandbox.kept[seen] = found
        if len(sandbox.kept) > KEPT:
            sandbox.kept.popitem(last=False)
    return found


def accepted(
    printed: Iterable[tuple[str, Mapping[str, Any]]], values: Mapping[str, Any], *, own: bool
) -> tuple[Drawn, ...]:
    """(template, document) of all that was printed of `values`, looked at: more closely where a
    template is the tenant's own. Raises UserError `TemplateError` for what no member may receive.
    """
    result: dict[tuple[str, str], Drawn] = {}
    for template, document in printed:
        here = f"template {template}"
        item = _accept(document, here)
        if own:
            tenant.check(item.resource, document, values, here, len(result))
        if result.setdefault((item.resource.plural, item.name), item) is not item:
            raise wrong(f"{here}: {item.resource.kind} {item.name} comes twice")
    rollouts = [item for item in result.values() if item.resource is ROLLOUTS]
    if len(rollouts) != 1:
        raise wrong(f"template {TEMPLATES[0]}: {len(rollouts)} Rollouts: exactly one is needed")
    if own:
        tenant.taken(rollouts[0].document, result, values, f"template {TEMPLATES[0]}")
    return tuple(result.values())


def _accept(document: Mapping[str, Any], where: str) -> Drawn:
    known = (str(document.get("apiVersion", "")), str(document.get("kind", "")))
    resource, kind = KINDS.get(known), known[1]
    if resource is None:
        right = ", ".join(f"{kind} ({version})" for version, kind in KINDS)
        raise wrong(
            f"{where}: {kind or 'an object without kind'} ({known[0] or 'without apiVersion'}) "
            f"is not allowed: write {right}"
        )
    metadata = document.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
        raise wrong(f"{where}: {kind}: metadata.name is required")
    if unknown := sorted(set(document) - {"apiVersion", "kind", "metadata", "spec"}):
        raise wrong(f"{where}: {kind}: {unknown[0]}: unknown field")
    if resource is ROLLOUTS:
        try:
            Rollout.parse(document, strict=True)
        except UserError as error:
            raise wrong(f"{where}: Rollout {metadata['name']}: {error}") from None
    return Drawn.of(resource, document)
