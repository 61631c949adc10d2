"""What the hub has delivered once, copied to as many Applications as wanted: a hundred thousand
first versions would take it an hour, and what they leave behind is what is to be measured.

    one Application with its run and its ClusterRollouts, as the hub and the engines left them
        ──> other names, uids, revisions and digests ──> the hub's store, and the members

Used by `hub` while no hub runs. A hub that begins then finds nothing to do; had a digest gone
wrong, it would write, and `hub` would see that.
"""

import asyncio
import base64
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from e2e.bench.fleet import ALL, NAMESPACE, World
from fleet import settings
from fleet.api import Application, Fleet, FleetRollout, MemberCluster
from fleet.api.meta import Manifest
from fleet.api.names import (
    APPLICATIONS,
    CLUSTERROLLOUTS,
    FLEETROLLOUTS,
    FLEETS,
    MEMBERCLUSTERS,
    NAMESPACES,
    ROLLOUTS,
    SYSTEM_NAMESPACE,
    ClusterName,
    Resource,
)
from fleet.hub.core.application import decision
from fleet.hub.core.cluster import case
from fleet.hub.core.observed import ApplicationObserved, Member
from fleet.rendering import environment
from fleet.rendering.delivery import Delivery
from fleet.rendering.environment import TemplateSet
from fleet.rendering.render import render

AT_ONCE = 100
"""ClusterRollouts in one write to the store and to the members: both take 1.5 MB."""
OWN = ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields")
"""What an API server gives an object."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """The Application that was delivered, and everything that belongs to it."""

    name: str
    application: Manifest
    run: Manifest
    items: Sequence[Manifest]
    fleet: Fleet
    members: dict[ClusterName, Member]
    hub: str
    """Identity of the hub, which stands in every Rollout."""
    templates: TemplateSet

    @classmethod
    async def of(cls, world: World, name: str) -> "Pattern":
        """As it stands in the hub now."""
        client = world.client
        system = await client.get(NAMESPACES, SYSTEM_NAMESPACE)
        clusters = [
            MemberCluster.parse(one) for one in await client.list(MEMBERCLUSTERS, NAMESPACE)
        ]
        every = await client.list(CLUSTERROLLOUTS, NAMESPACE)
        return cls(
            name=name,
            application=await client.get(APPLICATIONS, name, NAMESPACE),
            run=await client.get(FLEETROLLOUTS, f"{name}-1", NAMESPACE),
            items=[one for one in every if one["spec"]["application"] == name],
            fleet=Fleet.parse(await client.get(FLEETS, ALL, NAMESPACE)),
            members={
                ClusterName(one.name): Member(cluster=one, reachable=True, fresh=True)
                for one in clusters
            },
            hub=str(system["metadata"]["uid"]),
            templates=environment.read(settings.files("templates")),
        )

    @property
    def revision(self) -> str:
        return str(self.run["spec"]["revision"])

    def named(self, manifest: Manifest, name: str, revision: str = "") -> dict[str, Any]:
        """The same of another Application."""
        text = orjson.dumps(manifest).replace(self.name.encode(), name.encode())
        if revision:
            text = text.replace(self.revision.encode(), revision.encode())
        found: dict[str, Any] = orjson.loads(text)
        return found

    def revised(self, application: Manifest) -> str:
        """The revision of that Application."""
        observed = ApplicationObserved(
            fleet=self.fleet, members=self.members, templates=self.templates.digest
        )
        return decision.accept(Application.parse(application), observed).revision


async def copy(world: World, pattern: Pattern, name: str) -> None:
    """One more Application, everywhere, as if the hub had delivered it."""
    made = await _created(world, APPLICATIONS, pattern.named(pattern.application, name))
    revision = pattern.revised(made)
    owner = made["metadata"]["uid"]
    run = pattern.named(pattern.run, name, revision)
    run["spec"]["application"]["uid"] = owner
    run["metadata"]["ownerReferences"][0]["uid"] = owner
    await _reported(world, APPLICATIONS, made, pattern.named(pattern.application, name, revision))
    stored = await _created(world, FLEETROLLOUTS, run)
    await _reported(world, FLEETROLLOUTS, stored, run)
    items = [pattern.named(item, name, revision) for item in pattern.items]
    planted: dict[str, list[Any]] = {}
    for item in items:
        objects = _settled(pattern, FleetRollout.parse(stored), item)
        item["metadata"]["ownerReferences"][0]["uid"] = owner
        planted[item["spec"]["cluster"]] = objects
    for begin in range(0, len(items), AT_ONCE):
        some = items[begin : begin + AT_ONCE]
        names = [item["spec"]["cluster"] for item in some]
        world.simulation.ask("plant", **{one: planted[one] for one in names})
        puts = [{"request_put": put} for put in _puts(some)]
        world.plane.store("txn", {"success": puts})


async def counted(world: World, more: int) -> None:
    """What the hub had said of its members: that it watches so many Rollouts more in each."""

    async def count(cluster: dict[str, Any]) -> None:
        cluster["status"]["engine"]["rollouts"] += more
        await world.client.replace(MEMBERCLUSTERS, cluster, sub="status")

    clusters = await world.client.list(MEMBERCLUSTERS, NAMESPACE)
    await asyncio.gather(*map(count, clusters))


def _settled(pattern: Pattern, run: FleetRollout, item: dict[str, Any]) -> list[Any]:
    """What the member has of it; its digest goes into the ClusterRollout."""
    cluster = pattern.members[item["spec"]["cluster"]].cluster
    delivery = Delivery(
        application=run.spec.application,
        namespace=NAMESPACE,
        cluster=cluster,
        fleet=pattern.fleet,
        revision=run.spec.revision,
    )
    rendered = render(pattern.templates, delivery)
    taken = item["status"]["dispatch"]
    taken["digest"] = case.digest_of({one.place: one.digest for one in rendered})
    listed = {(entry["plural"], entry["name"]): entry for entry in item["status"]["inventory"]}
    found: list[Any] = []
    for one in rendered:
        entry = listed[one.resource.plural, one.name]
        entry["uid"] = f"{one.resource.plural}-{one.name}-{cluster.name}"
        entry |= {"digest": one.digest} if entry.get("digest") else {}
        manifest = {**one.manifest, "metadata": {**one.manifest["metadata"], "uid": entry["uid"]}}
        if one.resource == ROLLOUTS:
            fence = {"hub": pattern.hub, "sequence": taken["rollout"]}
            manifest["spec"] = {**manifest["spec"], "dispatch": fence}
        found.append([one.resource.plural, manifest])
    return found


def _puts(items: Sequence[dict[str, Any]]) -> Iterator[dict[str, str]]:
    """As the API server stores them."""
    for item in items:
        meta = item["metadata"]
        meta["uid"] = str(uuid.uuid4())
        del meta["resourceVersion"]
        place = f"{CLUSTERROLLOUTS.group}/{CLUSTERROLLOUTS.plural}/{NAMESPACE}/{meta['name']}"
        yield {
            "key": base64.b64encode(f"/registry/{place}".encode()).decode(),
            "value": base64.b64encode(orjson.dumps(item)).decode(),
        }


async def _created(world: World, resource: Resource, manifest: Manifest) -> dict[str, Any]:
    meta = {key: value for key, value in manifest["metadata"].items() if key not in OWN}
    body = {key: value for key, value in manifest.items() if key != "status"}
    return await world.client.create(resource, {**body, "metadata": meta})


async def _reported(
    world: World, resource: Resource, stored: dict[str, Any], like: Manifest
) -> None:
    await world.client.replace(resource, {**stored, "status": like["status"]}, sub="status")
