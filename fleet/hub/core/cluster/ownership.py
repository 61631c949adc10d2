"""Whose object is it, and how is ours changed without touching what is the engine's.

Called by `bars`, `inventory` and `writes`. A Service's selector, a route's weights and an
experiment's rules belong to the engine from the moment the object exists: the hub's copy of them is
only a beginning. An object without our labels is somebody else's and is never written.
"""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from fleet.api import routes
from fleet.api.names import (
    APPLICATION_LABEL,
    HTTPROUTES,
    HUB_MANAGER,
    MANAGED_BY,
    NAMESPACE_LABEL,
    SERVICES,
)
from fleet.hub.core.cluster.live import part
from fleet.rendering.render import Rendered

OWNERS = (MANAGED_BY, APPLICATION_LABEL, NAMESPACE_LABEL)
"""Labels that say whose an object is; all of them must agree."""


def is_ours(live: Mapping[str, Any], application: str, namespace: str) -> bool:
    """Whether the object carries the labels of this Application of this hub namespace."""
    labels = part(live, "metadata", "labels")
    return tuple([labels.get(key) for key in OWNERS]) == (HUB_MANAGER, application, namespace)


def foreign(live: Mapping[str, Any], kind: str) -> str:
    """The sentence about an object that is not ours: whose it is, and what to do."""
    metadata = live.get("metadata") or {}
    labels = metadata.get("labels") or {}
    where = f"{kind} {metadata.get('name')} in namespace {metadata.get('namespace')}"
    if labels.get(MANAGED_BY) == HUB_MANAGER and labels.get(APPLICATION_LABEL):
        owner = f"{labels.get(NAMESPACE_LABEL, '?')}/{labels[APPLICATION_LABEL]}"
        return (
            f"{where} belongs to the Application {owner}: rename one of the two, or give them "
            "different namespaces in destination"
        )
    return (
        f"{where} exists and is not ours: remove or rename it, or hand it over with the labels "
        f"{', '.join(OWNERS)}"
    )


def elsewhere(name: str, hub: str) -> str:
    """The sentence about a Rollout that another hub manages: what frees it."""
    return (
        f"Rollout {name} is managed by another hub ({hub}): delete its Application there, or set "
        "spec.dispatch.released: true on the Rollout in the member, which lets this hub take over"
    )


def merged(live: Mapping[str, Any], wanted: Rendered) -> dict[str, Any]:
    """`live` with our wish put in: labels and annotations added, the engine's fields kept."""
    result: dict[str, Any] = copy.deepcopy(dict(live))
    metadata = result.setdefault("metadata", {})
    for kind in ("labels", "annotations"):
        metadata[kind] = {**(metadata.get(kind) or {}), **wanted.manifest["metadata"][kind]}
    spec = copy.deepcopy(wanted.manifest.get("spec") or {})
    before = result.get("spec") or {}
    if wanted.resource is SERVICES:
        result["spec"] = _service(before, spec)
    elif wanted.resource is HTTPROUTES:
        result["spec"] = {**before, **spec, "rules": _rules(live, spec)}
        if "hostnames" not in spec:
            result["spec"].pop("hostnames", None)
    else:
        result["spec"] = spec
    return result


def _service(before: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Our ports and settings over what the API server added; never the selector."""
    kept = {_port(item): item for item in before.get("ports") or []}
    ports = [
        {**({"nodePort": kept[_port(item)]["nodePort"]} if _has_node(kept, item) else {}), **item}
        for item in wanted.get("ports") or []
    ]
    selector = before.get("selector", wanted.get("selector"))
    return {**before, **wanted, "ports": ports, "selector": selector}


def _port(item: Mapping[str, Any]) -> tuple[int, str]:
    return int(item.get("port", 0)), str(item.get("protocol", "TCP"))


def _has_node(kept: Mapping[tuple[int, str], Mapping[str, Any]], item: Mapping[str, Any]) -> bool:
    return "nodePort" in kept.get(_port(item), {})


def _rules(live: Mapping[str, Any], spec: Mapping[str, Any]) -> list[Any]:
    """The engine's own rules first, then ours with the weights that are live."""
    found, kept = routes.rules(live), routes.records(live).values()
    own = routes.find(live, [record for records in kept for record in records])
    others = [rule for index, rule in enumerate(found) if index not in own]
    return [
        *(found[index] for index in own),
        *(_weighted(rule, others) for rule in spec.get("rules") or []),
    ]


def _weighted(rule: Mapping[str, Any], live: Sequence[Any]) -> dict[str, Any]:
    """`rule` with the weights of the live rule that holds the same backends."""
    wanted = [_backend(item) for item in rule.get("backendRefs") or []]
    for candidate in live if wanted else ():  # a rule that redirects has none
        found = {_backend(item): item for item in candidate.get("backendRefs") or []}
        if set(found) == set(wanted):
            refs = [
                {**item, "weight": found[_backend(item)].get("weight", 1)}
                for item in rule["backendRefs"]
            ]
            return {**rule, "backendRefs": refs}
    return dict(rule)


def _backend(item: Mapping[str, Any]) -> tuple[str, str, int]:
    return (
        str(item.get("kind", "Service")),
        str(item.get("name", "")),
        int(item.get("port", 0) or 0),
    )
