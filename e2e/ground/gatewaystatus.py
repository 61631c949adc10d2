"""The statuses that a Gateway API implementation owes: classes, Gateways, routes; pure.

`gateway` writes them when Envoy has taken the configuration they speak of. Conditions carry the
generation that was looked at and keep their transition time as long as they do not change.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from e2e.ground.routing import Manifest, Table, Verdict, http_listeners

Status = dict[str, Any]
Wanted = Sequence[tuple[str, bool, str, str]]
"""Type, status, reason, message."""


def conditions(
    before: Sequence[Manifest], wanted: Wanted, generation: int, now: str
) -> list[dict[str, Any]]:
    """The wanted conditions, with times from before where the status is the same."""
    known = {one["type"]: one for one in before}
    found = []
    for kind, holds, reason, message in wanted:
        status = str(holds)
        old = known.get(kind)
        since = old["lastTransitionTime"] if old and old["status"] == status else now
        found.append(
            {
                "type": kind,
                "status": status,
                "reason": reason,
                "message": message,
                "observedGeneration": generation,
                "lastTransitionTime": since,
            }
        )
    return found


def of_class(manifest: Manifest, now: str) -> Status:
    """A GatewayClass of ours is accepted."""
    wanted: Wanted = [("Accepted", True, "Accepted", "served by the local gateway")]
    return {"conditions": _conditions(manifest, manifest.get("status"), wanted, now)}


def of_gateway(gateway: Manifest, table: Table, address: str, now: str) -> Status:
    """A Gateway whose HTTP listeners are in Envoy."""
    served = [one["name"] for one in http_listeners(gateway)]
    status = gateway.get("status") or {}
    before = {one["name"]: one for one in status.get("listeners") or ()}
    key = (gateway["metadata"]["namespace"], gateway["metadata"]["name"])
    return {
        "addresses": [{"type": "IPAddress", "value": address}],
        "conditions": _conditions(gateway, status, _gateway(bool(served)), now),
        "listeners": [
            {
                "name": one["name"],
                "supportedKinds": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute"}],
                "attachedRoutes": table.attached.get((key, one["name"]), 0),
                "conditions": _conditions(
                    gateway, before.get(one["name"]), _listener(one["name"] in served), now
                ),
            }
            for one in gateway["spec"]["listeners"]
        ],
    }


def _gateway(good: bool) -> Wanted:
    if good:
        return [("Accepted", True, "Accepted", ""), ("Programmed", True, "Programmed", "")]
    message = "no listener speaks HTTP"
    return [
        ("Accepted", False, "ListenersNotValid", message),
        ("Programmed", False, "Invalid", message),
    ]


def _listener(good: bool) -> Wanted:
    message = "" if good else "the local gateway speaks HTTP only"
    return [
        ("Accepted", good, "Accepted" if good else "UnsupportedProtocol", message),
        ("Programmed", good, "Programmed" if good else "Invalid", message),
        ("ResolvedRefs", True, "ResolvedRefs", ""),
        ("Conflicted", False, "NoConflicts", ""),
    ]


def of_route(
    route: Manifest, verdicts: Sequence[Verdict], controller: str, now: str
) -> Status | None:
    """The parents of a route, entries of others untouched; None when none was ever ours."""
    status = route.get("status") or {}
    others, own = [], {}
    for parent in status.get("parents") or ():
        if parent["controllerName"] == controller:
            own[_identity(parent["parentRef"])] = parent
        else:
            others.append(parent)
    if not verdicts and not own:
        return None
    mine = [
        {
            "parentRef": verdict.parent,
            "controllerName": controller,
            "conditions": _conditions(
                route, own.get(_identity(verdict.parent)), _route(verdict), now
            ),
        }
        for verdict in verdicts
    ]
    return {"parents": [*others, *mine]}


def _route(verdict: Verdict) -> Wanted:
    accepted, resolved = verdict.accepted, verdict.resolved
    return [
        (
            "Accepted",
            accepted is None,
            accepted.reason if accepted else "Accepted",
            accepted.message if accepted else "",
        ),
        (
            "ResolvedRefs",
            resolved is None,
            resolved.reason if resolved else "ResolvedRefs",
            resolved.message if resolved else "",
        ),
    ]


def _conditions(
    manifest: Manifest, before: Manifest | None, wanted: Wanted, now: str
) -> list[dict[str, Any]]:
    known = (before or {}).get("conditions") or ()
    return conditions(known, wanted, manifest["metadata"].get("generation", 1), now)


def _identity(parent: Manifest) -> tuple[Any, ...]:
    parts = ("group", "kind", "namespace", "name", "sectionName", "port")
    return tuple(parent.get(part) for part in parts)


def differs(current: Mapping[str, Any], wanted: Status) -> bool:
    """Whether writing `wanted` over the current status would change anything."""
    return any(current.get(key) != value for key, value in wanted.items())
