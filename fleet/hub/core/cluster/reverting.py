"""What an object was before we adopted it, and how it becomes that again.

Called by `inventory` when an object is listed that was there before us, and by `removal` with
`deletionPolicy: Revert`. It is remembered before anything is written, so that neither the hub's nor
the engine's fields are part of it. What we made ourselves was nothing before, and goes.
"""

import json
from collections.abc import Mapping
from typing import Any

from fleet.api.clusterrollout import InventoryItem
from fleet.api.meta import Manifest
from fleet.api.names import FLEET_GROUP, MANAGED_BY, NAME_LABEL, ROLLOUTS, Resource
from fleet.hub.core.actions import ApplyRollout, DeleteObject, UpdateObject
from fleet.hub.core.cluster import live as lives
from fleet.kit import hashing

LARGEST = 64_000
"""Characters of an object that is remembered; a larger one is let be as it is then, and so is a
Rollout whose pods were not read."""

Change = DeleteObject | UpdateObject | ApplyRollout


def remembered(live: Manifest | None) -> str:
    """What has to come back of an object that is about to be adopted; empty for one that is ours
    already, and for none."""
    if live is None or lives.digest(live):
        return ""
    meta = lives.part(live, "metadata")
    kept = {
        "labels": dict(lives.part(meta, "labels")),
        "annotations": dict(lives.part(meta, "annotations")),
        "spec": dict(lives.part(live, "spec")),
    }
    text = hashing.canonical(kept)
    return text if len(text) <= LARGEST and _is_whole(kept) else "{}"


def delete(item: InventoryItem, live: Manifest) -> DeleteObject:
    """It goes, whatever it was."""
    return DeleteObject(
        resource=resource(item),
        namespace=item.namespace,
        name=item.name,
        uid=lives.uid(live),
        version=lives.version(live),
    )


def revert(item: InventoryItem, live: Manifest) -> Change | None:
    """What makes it as it was before us; None when it is."""
    if not item.before:
        return delete(item, live)
    before: dict[str, Any] = json.loads(item.before)
    if not lives.digest(live) or not before or not _is_whole(before):
        return None
    if item.plural == ROLLOUTS.plural:
        return ApplyRollout(manifest=_rollout(item, before, live), force=True)
    meta = {**live["metadata"], **_notes(before, live)}
    restored = {**live, "metadata": meta, "spec": before["spec"]}
    return UpdateObject(resource=resource(item), manifest=restored)


def _rollout(item: InventoryItem, before: dict[str, Any], live: Manifest) -> dict[str, Any]:
    """The Rollout with its own spec again, and let go of: no dispatch may be taken back."""
    return {
        **ROLLOUTS.head,
        "metadata": {
            "name": item.name,
            "namespace": item.namespace,
            "resourceVersion": lives.version(live),
            "labels": before["labels"],
            "annotations": before["annotations"],
        },
        "spec": {
            **before["spec"],
            "dispatch": {**lives.part(live, "spec", "dispatch"), "released": True},
        },
    }


def _is_whole(before: Mapping[str, Any]) -> bool:
    """Whether it was read: a Rollout of the watch comes without its pods."""
    return lives.part(before, "spec").get("template") != {}


def _notes(before: dict[str, Any], live: Manifest) -> dict[str, Any]:
    """Labels and annotations: ours go, others' stay, and all that there were come back."""
    return {
        kind: {
            **{k: v for k, v in lives.part(live, "metadata", kind).items() if not _is_ours(k)},
            **before[kind],
        }
        for kind in ("labels", "annotations")
    }


def _is_ours(key: str) -> bool:
    return key.startswith(f"{FLEET_GROUP}/") or key in (MANAGED_BY, NAME_LABEL)


def resource(item: InventoryItem) -> Resource:
    """The resource of a listed object."""
    return Resource(group=item.group, version=item.version, plural=item.plural, kind=item.kind)
