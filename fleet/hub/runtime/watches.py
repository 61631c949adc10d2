"""What is watched in a member: its Rollouts, its engine's Lease and its engine's Deployment.

Made by `wiring` for each connection. What comes in is kept small, goes into the link as a sign of
life, and is told to the `Listener`. Decides nothing.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fleet.api.meta import Manifest
from fleet.api.names import (
    APPLIED_ANNOTATION,
    DEPLOYMENTS,
    ENGINE_LEASE,
    ENGINE_NAME,
    ENGINE_NAMESPACE,
    HUB_LABEL,
    HUB_MANAGER,
    LEASES,
    MANAGED_BY,
    NAMESPACE_LABEL,
    ROLLOUTS,
    VERSION,
    Resource,
)
from fleet.clusters.client import Client
from fleet.clusters.store import Change
from fleet.clusters.transport import BEAT_SECONDS
from fleet.clusters.watch import Informer
from fleet.errors import FleetError, PermanentError
from fleet.hub.core.cluster import drift, live
from fleet.hub.core.member.engine import Deployed, Keeper, Term
from fleet.hub.runtime.links import Link, Problem

MOST = 10_000
"""Rollouts of ours that a member may have; who shows more shows anything."""

REST_SECONDS = 7.0
"""For how long the Lease of an engine that is well is not looked at. Longer than the six seconds
after which it has been renewed at the latest: a thousand renew two hundred times a second, and to
wake up for each of them is more than half of what a hub at rest costs. The age of a renewal counts
from the last look before it: an engine that ends may be shown so much too early, never too late."""
UNREAD_SECONDS = REST_SECONDS + BEAT_SECONDS
"""The longest that a renewal can have waited to be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """Who is told of what is seen in a member: a Rollout, its connectivity, its engine."""

    rollout: Callable[[Link, Change[Manifest]], None]
    connectivity: Callable[[Link], None]
    engine: Callable[[Link], None]


def informers(
    link: Link,
    client: Client,
    listener: Listener,
    keep: Callable[[Manifest], Manifest] | None = None,
) -> list[Informer[Any]]:
    """What is watched in a member; `keep` is what stays of a Rollout, as `slim` unless given."""
    ears = Ears(link=link, client=client, listener=listener)
    ours = f"{MANAGED_BY}={HUB_MANAGER}"
    return [
        Informer(
            client,
            ROLLOUTS,
            decode=keep or slim,
            on=ears.rollout,
            selector=ours,
            on_error=ears.failed(ROLLOUTS),
            most=MOST,
        ),
        Informer(
            client,
            LEASES,
            decode=_term,
            on=ears.lease,
            namespace=ENGINE_NAMESPACE,
            field_selector=f"metadata.name={ENGINE_LEASE}",
            most=1,
            on_error=ears.failed(LEASES),
            rest=ears.rest,
        ),
        Informer(
            client,
            DEPLOYMENTS,
            decode=_deployed,
            on=ears.deployment,
            namespace=ENGINE_NAMESPACE,
            field_selector=f"metadata.name={ENGINE_NAME}",
            most=1,
            on_error=ears.failed(DEPLOYMENTS),
        ),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ears:
    """Notes in the link what one connection shows, and tells the listener."""

    link: Link
    client: Client
    listener: Listener

    def rollout(self, change: Change[Manifest]) -> None:
        self.listener.rollout(self.link, change)

    def lease(self, change: Change[Term]) -> None:
        # The first sight of a Lease says nothing about its age; a change does.
        handle = self.link.handle
        if change.type == "MODIFIED" or (handle and handle.informers[LEASES].synced.is_set()):
            now, signs = self.client.monotonic(), self.link.signs
            # Once its rest is over the watch is read at once: the moment is known again.
            signs.lease_changed = min(now, max(signs.unread_since, now - UNREAD_SECONDS))
        # A thousand engines renew two hundred times a second that they are what they were.
        if change.new is None or not self.link.is_calm(self.client.monotonic()):
            self.listener.connectivity(self.link)
        if change.old != change.new:
            self.listener.engine(self.link)

    def rest(self) -> float:
        """Of a member that is well, the next renewal of the Lease says nothing new."""
        now = self.client.monotonic()
        is_calm = self.link.is_calm(now)
        self.link.signs.unread_since = now if is_calm else math.inf
        return REST_SECONDS if is_calm else 0.0

    def deployment(self, _: Change[Deployed]) -> None:
        self.listener.engine(self.link)

    def failed(self, resource: Resource) -> Callable[[FleetError], None]:
        """For the errors of that watch."""

        def note(error: FleetError) -> None:
            cause = self.link.cause(error)
            self.link.signs.problems[resource] = Problem(error=cause, at=self.client.monotonic())
            if resource is ROLLOUTS:
                self.listener.connectivity(self.link)
            elif isinstance(error, PermanentError):
                self.listener.engine(self.link)

        return note


def slim(manifest: Manifest) -> Manifest:
    """A Rollout without what is large and never read: its pods and its managed fields.

    Of these, only who holds it is kept, and whether somebody else has been at it. Raises ValueError
    for what is no object.
    """
    spec = live.sound(manifest).get("spec") or {}
    metadata = {k: v for k, v in manifest["metadata"].items() if k != "managedFields"}
    metadata |= drift.signed(manifest)
    if "hold" in spec:
        fields: Mapping[str, Any] = {"f:spec": {"f:hold": {}}}
        metadata["managedFields"] = [
            {"manager": entry.get("manager"), "fieldsV1": fields}
            for entry in manifest["metadata"].get("managedFields") or ()
            if "f:hold" in live.part(entry, "fieldsV1", "f:spec")
        ]
    return {**manifest, "metadata": metadata, "spec": {**spec, "template": {}}}


def _term(manifest: Manifest) -> Term:
    """Two texts of it: two hundred Leases a second come from a thousand members."""
    return Term(
        holder=str(live.part(manifest, "spec").get("holderIdentity") or ""),
        version=str(live.part(manifest, "metadata", "annotations").get(VERSION, "")),
    )


def _deployed(manifest: Manifest) -> Deployed:
    meta, status = live.sound(manifest)["metadata"], manifest.get("status") or {}
    labels = meta.get("labels") or {}
    counts = [int(status.get(f"{kind}eplicas") or 0) for kind in ("r", "updatedR", "availableR")]
    generation = int(meta.get("generation") or 0)
    return Deployed(
        owner=Keeper(
            hub=str(labels.get(HUB_LABEL, "")), namespace=str(labels.get(NAMESPACE_LABEL, ""))
        ),
        available=counts[2],
        generation=generation,
        settled=int(status.get("observedGeneration") or 0) >= generation
        and counts[0] == counts[1] == counts[2] > 0,
        digest=str((meta.get("annotations") or {}).get(APPLIED_ANNOTATION, "")),
    )
