"""The engine of a managed member: its Deployment as this hub wants it, and how it does.

`membership` calls `keep` and `report`. The hub patches this one Deployment and grants no rights;
those came with `fleet cluster add`. It never changes a working engine while a Rollout is on its way
there, so an upgrade does not fall into somebody's canary.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from fleet.api import MemberCluster
from fleet.api.membercluster import EngineMode, EngineStatus
from fleet.api.names import DEPLOYMENTS, ENGINE_LEASE, ENGINE_NAME, ENGINE_NAMESPACE, HUB_MANAGER
from fleet.api.rollout import Phase
from fleet.errors import Conflict
from fleet.hub.runtime.context import Context
from fleet.hub.runtime.links import Link
from fleet.rendering.render import EngineSetup, Rendered, engine

IDLE = frozenset({Phase.COMPLETED, Phase.FAILED, Phase.CONCLUDED})
"""Phases in which an engine may be exchanged."""

_DEPLOYMENT = f"Deployment {ENGINE_NAMESPACE}/{ENGINE_NAME}"
_LEASE = f"Lease {ENGINE_NAMESPACE}/{ENGINE_LEASE}"


def wanted(hub: Context, cluster: MemberCluster) -> Rendered:
    """The Deployment that this member shall have. Raises UserError `TemplateError`."""
    prometheus = cluster.spec.prometheus
    setup = EngineSetup(
        image=cluster.spec.engine.image or hub.engine.image,
        version=hub.engine.version,
        prometheus=prometheus.address if prometheus else "",
        environment=hub.engine.environment,
    )
    return engine(hub.renders.templates, cluster, setup)


async def keep(hub: Context, cluster: MemberCluster, link: Link) -> str:
    """Write the Deployment if it differs and may; returns why not, or nothing.

    Raises what the member's API server raises.
    """
    handle = link.handle
    if cluster.spec.engine.mode is not EngineMode.MANAGED or handle is None:
        return ""
    if not handle.informers[DEPLOYMENTS].synced.is_set():
        return ""
    wish = wanted(hub, cluster)
    if link.engine is not None and link.engine.digest == wish.digest:
        return ""
    active = busy(link.rollouts.values())
    if link.engine is not None and link.told.fresh and active:
        return f"a newer engine waits until {active} has ended"
    try:
        answer = await handle.client.apply(DEPLOYMENTS, wish.manifest, manager=HUB_MANAGER)
    except Conflict as error:
        owners = ", ".join(error.managers) or "somebody else"
        return f"{_DEPLOYMENT} belongs to {owners}: delete it, or set engine.mode to External"
    handle.informers[DEPLOYMENTS].remember(answer)
    return ""


def busy(rollouts: Iterable[Mapping[str, Any]]) -> str:
    """The name of a Rollout that is on its way, or nothing."""
    for rollout in rollouts:
        phase = (rollout.get("status") or {}).get("phase")
        if phase not in IDLE:
            meta = rollout["metadata"]
            return f"Rollout {meta['namespace']}/{meta['name']}"
    return ""


def report(cluster: MemberCluster, link: Link, note: str) -> EngineStatus:
    """What to say of the engine; `note` is what `keep` returned."""
    seen = link.engine
    healthy, message = _health(cluster, link)
    return EngineStatus(
        healthy=healthy,
        version=seen.version if seen else "",
        message=note or message,
        rollouts=len(link.rollouts),
    )


def _health(cluster: MemberCluster, link: Link) -> tuple[bool | None, str]:
    if not link.told.reachable:
        return None, "the member is not reachable"
    if link.told.fresh:
        return True, ""
    if link.lease_problem is not None:
        return None, f"{_LEASE} cannot be read: {link.lease_problem}"
    if link.lease is not None:
        # Seen, and not yet seen to change: nothing is known, good or bad.
        return (None if link.told.reason == "EngineUnknown" else False), link.told.message
    if cluster.spec.engine.mode is EngineMode.EXTERNAL:
        return None, f"there is no {_LEASE}: is an engine running with leader election?"
    return False, _absent(link)


def _absent(link: Link) -> str:
    """What a managed engine without a Lease lacks."""
    if link.engine is None:
        return f"{_DEPLOYMENT} is not there yet"
    if not link.engine.available:
        return f"{_DEPLOYMENT} has no ready pod"
    return f"{_DEPLOYMENT} has not taken its Lease yet"
