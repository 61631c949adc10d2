"""Revisions: the ReplicaSet of each, its number, and the labels by which its pods are known.

Used by `report`, which makes sets, by `services` and `divisions`, which point at them.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from fleet.api import names
from fleet.api.meta import LabelSelector
from fleet.api.rollout import Rollout
from fleet.kit import hashing
from fleet.kulta.core.observed import ReplicaSet

LARGEST = 100_000
"""Characters of a template that is kept as the user wrote it."""


def set_name(rollout: str, revision: str) -> str:
    """The name of the ReplicaSet of a revision."""
    return f"{rollout}-{revision}"


def identity(rollout: str, revision: str) -> dict[str, str]:
    """The labels by which the pods of one revision of one Rollout are told from all others."""
    return {names.ROLLOUT_LABEL: rollout, names.HASH_LABEL: revision}


def replica_set(
    rollout: Rollout,
    revision: str,
    replicas: int,
    role: str,
    template: Mapping[str, Any] | None = None,
    *,
    number: int = 1,
) -> dict[str, Any]:
    """The manifest of the set of `template`, by default the present one, owned by the Rollout.

    `number` is that of the revision, from 1.
    """
    own = identity(rollout.name, revision)
    mark = {**own, names.TYPE_LABEL: role, names.MANAGED_LABEL: "true"}
    template = rollout.spec.template if template is None else template
    meta = template.get("metadata") or {}
    labels = {**(meta.get("labels") or {}), **mark}
    selector = rollout.spec.selector.manifest()
    matched = {**selector.get("matchLabels", {}), **own}
    return {
        **names.REPLICASETS.head,
        "metadata": {
            "name": set_name(rollout.name, revision),
            "namespace": rollout.namespace,
            "labels": labels,
            "annotations": _notes(template, number),
            "ownerReferences": [owner(rollout)],
        },
        "spec": {
            "replicas": replicas,
            "selector": {**selector, "matchLabels": matched},
            "template": {**template, "metadata": {**meta, "labels": labels}},
        },
    }


def _notes(template: Mapping[str, Any], number: int) -> dict[str, str]:
    """What `fleet rollout history` and `undo` read; an annotation has its limits."""
    text, notes = hashing.canonical(template), {names.REVISION_ANNOTATION: str(number)}
    return notes | ({names.TEMPLATE_ANNOTATION: text} if len(text) <= LARGEST else {})


def next_number(sets: Iterable[ReplicaSet]) -> int:
    """The number of the next new revision; sets that nobody numbered count too."""
    known = [item.number for item in sets]
    return max([len(known), *known]) + 1


def owner(rollout: Rollout) -> dict[str, Any]:
    """The reference by which a set goes when its Rollout goes."""
    return {
        **names.ROLLOUTS.head,
        "name": rollout.name,
        "uid": rollout.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def selector_text(rollout: Rollout) -> str:
    """All pods of the Rollout as a label selector: `status.selector`, read by autoscalers. It stays
    as it is while that of a Deployment is not known."""
    if rollout.spec.workload_ref is not None and rollout.spec.selector.is_empty:
        return rollout.status.selector
    selector: LabelSelector = rollout.spec.selector
    parts = [f"{key}={value}" for key, value in sorted(selector.match_labels.items())]
    for item in selector.match_expressions:
        values = ",".join(item.values)
        match item.operator:
            case "In" | "NotIn":
                parts.append(f"{item.key} {item.operator.lower()} ({values})")
            case "Exists":
                parts.append(item.key)
            case "DoesNotExist":
                parts.append(f"!{item.key}")
    return ",".join([*parts, f"{names.ROLLOUT_LABEL}={rollout.name}"])
