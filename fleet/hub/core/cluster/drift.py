"""Somebody has changed in a member what the hub had written there.

Called by `dispatch` and `writes`, and by the runtime's watch of Rollouts, which keeps of the
managed fields only what `signed` says. A field of ours that somebody changes or takes away is ours
no more: the digest of those that are moves with it. What others add stays theirs and moves nothing,
and who scales a Rollout, by hand or by an autoscaler, does what scaling is for.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from fleet.api.names import AUTOSCALER, HOLD_MANAGER, HUB_AGENT, HUB_MANAGER
from fleet.hub.core.cluster.live import part
from fleet.kit import hashing

OWNED, EDITORS, AUTOSCALED = "owned", "editors", "autoscaled"
"""Keys beside the metadata of a watched Rollout."""


def signed(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The digest of the hub's own fields of the spec, who else has written there, and whether an
    autoscaler says how many pods there are; empty where the API server does not say."""
    entries = [entry for entry in part(manifest, "metadata").get("managedFields") or () if entry]
    own = [dict(part(entry, "fieldsV1", "f:spec")) for entry in entries if _is_own(entry)]
    if own and any(entry.get("subresource") == "scale" for entry in entries):
        own[0]["f:replicas"] = {}
    others = {
        str(entry.get("manager", "?"))
        for entry in entries
        if part(entry, "fieldsV1", "f:spec") and not entry.get("subresource")
    }
    found: dict[str, Any] = {}
    if own and own[0]:
        found[OWNED] = hashing.of_texts(own[0], 10)  # names of fields
    if any(_is_autoscaling(entry) for entry in entries):
        found[AUTOSCALED] = True
    names = sorted(others - {HUB_MANAGER, HOLD_MANAGER, HUB_AGENT})
    return {**found, EDITORS: names} if names else found


def spared(spec: Mapping[str, Any], live: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """What the hub writes of a Rollout that is `live`: not how many pods there are where an
    autoscaler says it. A server would refuse that, or forget what the load asks for."""
    metadata = part(live, "metadata")
    entries = metadata.get("managedFields") or ()  # of one that was read whole
    if not metadata.get(AUTOSCALED) and not any(_is_autoscaling(one) for one in entries if one):
        return spec
    return {name: value for name, value in spec.items() if name != "replicas"}


def owned(live: Mapping[str, Any] | None) -> str:
    """The digest of the hub's own fields; empty where that is not known."""
    return str(part(live, "metadata").get(OWNED, ""))


def editors(live: Mapping[str, Any] | None) -> Sequence[str]:
    """Who else has written into the spec, as far as the API server says."""
    return tuple(part(live, "metadata").get(EDITORS) or ())


def told(live: Mapping[str, Any] | None) -> str:
    """Who has been at it, as a sentence."""
    names = editors(live) or ("somebody",)
    return f"{', '.join(names)} changed what the hub had written into the Rollout"


def _is_autoscaling(entry: Mapping[str, Any]) -> bool:
    is_scale = entry.get("manager") == AUTOSCALER and entry.get("subresource") == "scale"
    return is_scale and "f:replicas" in part(entry, "fieldsV1", "f:spec")


def _is_own(entry: Mapping[str, Any]) -> bool:
    return entry.get("manager") == HUB_MANAGER and entry.get("operation") == "Apply"
