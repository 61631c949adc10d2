"""One look at the world: from stores and links to the frozen values that the planners read.

Called by `reconcile`. Nothing here writes or asks an API server; what could not be rendered or
reached is a value, so that a plan can speak about it.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fleet.api import Application, ClusterRollout, FleetRollout, MemberCluster
from fleet.api.fleetrollout import Asked, Snapshot
from fleet.api.membercluster import EngineMode
from fleet.api.names import (
    REQUEST_ANNOTATION,
    REQUESTED_BY_ANNOTATION,
    ROLLOUTS,
    ClusterName,
    Key,
    Resource,
)
from fleet.clusters.store import Unreadable
from fleet.errors import UserError
from fleet.hub.core import phases, weights
from fleet.hub.core.application import aside, decision, leaving, occasion
from fleet.hub.core.application.occasion import Proposal
from fleet.hub.core.cluster import removal
from fleet.hub.core.member import selection
from fleet.hub.core.member.connectivity import Connectivity
from fleet.hub.core.observed import (
    ApplicationObserved,
    DispatchObserved,
    Member,
    Place,
    Rendered,
    RunObserved,
)
from fleet.hub.runtime.context import Context
from fleet.hub.runtime.drafts import Unrendered
from fleet.hub.runtime.links import Link
from fleet.rendering.delivery import Delivery
from fleet.rendering.tenant import Own

BREATH = 20
"""Renderings after which the event loop gets a turn."""
GAPS = 16
"""Renderings that are asked for at once, where they are made aside."""


def member(hub: Context, cluster: MemberCluster) -> Member:
    """A MemberCluster and how far it is believed now."""
    link = hub.links.get((cluster.namespace, cluster.name))
    if link is None:
        return _seen(cluster, None, Connectivity(message="not known yet"))
    believed = link.believed(hub.clock.monotonic())
    inputs = (cluster, believed, link.connecting_until, link.uid, link.fields)
    if link.member is None or link.member[0] != inputs:
        link.member = inputs, _seen(cluster, link, believed)
    return link.member[1]


def _seen(cluster: MemberCluster, link: Link | None, believed: Connectivity) -> Member:
    """All that it is made of is among the inputs."""
    return Member(
        cluster=cluster,
        reachable=believed.reachable,
        fresh=believed.fresh,
        has_unknown_engine=believed.leaseless and cluster.spec.engine.mode is EngineMode.EXTERNAL,
        reason=believed.reason,
        message=believed.message,
        connecting_until=link.connecting_until if link and believed.connecting else None,
        server=link.uid if link else "",
        fields=link.fields if link else frozenset(),
    )


def members(hub: Context, namespace: str) -> dict[ClusterName, Member]:
    """All members of a namespace, by name."""
    return {
        ClusterName(key[1]): member(hub, cluster)
        for key, cluster in hub.stores.memberclusters.items()
        if key[0] == namespace
    }


async def application(hub: Context, item: Application) -> ApplicationObserved:
    """What `application.decision` needs; renders for members where that has not been tried yet.

    Raises Unrendered where own templates are to be printed for one of them first.
    """
    namespace, name = item.namespace, item.name
    runs = hub.stores.runs_of.get((namespace, name)).values()
    observed = ApplicationObserved(
        fleet=hub.stores.fleets.get((namespace, item.spec.destination.fleet)),
        members=members(hub, namespace),
        runs=tuple(sorted(runs, key=lambda run: run.spec.number)),
        clusters=tuple(hub.stores.items_of.get((namespace, name)).values()),
        templates=hub.renders.templates.digest,
        own=_own(hub, item),
    )
    if item.metadata.deletion_timestamp is not None:
        return observed
    try:
        proposal = decision.accept(item, observed)
    except UserError:
        return observed  # `decide` finds the same and says it
    clusters = [observed.members[chosen].cluster for chosen in proposal.chosen]
    return replace(observed, render_errors=await _render_errors(hub, item, proposal, clusters))


def departed(hub: Context, item: Application) -> ApplicationObserved:
    """What `application.leaving` needs of an Application that is gone."""
    return ApplicationObserved(
        fleet=hub.stores.fleets.get((item.namespace, item.spec.destination.fleet)),
        clusters=tuple(hub.stores.items_of.get((item.namespace, item.name)).values()),
    )


def run(hub: Context, item: FleetRollout) -> RunObserved:
    """What `run.plan` needs."""
    owner = (item.namespace, item.spec.application.name)
    found = hub.stores.applications.get(owner)
    others = [other for other in hub.stores.runs_of.get(owner).values() if other.name != item.name]
    older = sorted(
        (other for other in others if other.spec.number < item.spec.number),
        key=lambda other: other.spec.number,
    )
    clusters = hub.stores.items_of.get(owner).values()
    present = members(hub, item.namespace)
    return RunObserved(
        members=present,
        fleet=_fleet(hub, item, present),
        clusters={ClusterName(one.spec.cluster): one for one in clusters},
        newest=max([item.spec.number, *(other.spec.number for other in others)]),
        isolated=hub.links.is_hub_suspect(item.namespace, hub.clock.monotonic()),
        requests=_requests(item, found),
        asked=_asked(item, found),
        leaving=leaving.awaited(found.status) if found is not None else "",
        authors=_authors(item, found),
        weight=_weight(hub, item, found) if found is not None else None,
        drift=hub.clock.drift(),
        hooks=hub.hooks.answers((item.namespace, item.name)),
        deleting=_is_deleted(hub, owner),
        paused=_is_paused(hub, owner, item.spec.application.spec.destination.fleet),
        preceding=tuple(
            sorted(other.name for other in older if other.status.phase not in phases.ENDS)
        ),
        former=tuple(older),
    )


def dispatch(
    hub: Context, item: ClusterRollout, looked_up: Mapping[Place, Mapping[str, Any]] | None
) -> DispatchObserved:
    """What `cluster.dispatch` needs; `looked_up` is what a `LookUp` has read.

    Where own templates are to be printed first, another look is asked for when that is done.
    """
    cluster = hub.stores.memberclusters.get((item.namespace, item.spec.cluster))
    there = member(hub, cluster) if cluster else None
    # Nothing is rendered for one that nothing can be written to.
    answering = cluster if there is not None and there.reachable else None
    found = _wanted_run(hub, item)
    rendered, error, is_printing = _rendered(hub, item, answering, found)
    return DispatchObserved(
        member=there,
        hub=hub.identity,
        rendered=rendered,
        render_error=error,
        is_printing=is_printing,
        force=found is not None and found.spec.plan.on_conflict == "Force",
        accepts_unknown_engine=found is not None and found.spec.plan.accept_unknown_engine,
        run_phase=found.status.phase if found is not None else None,
        weight=weights.here(found, cluster.metadata.labels) if found and cluster else None,
        rollouts=_rollouts(hub, item, rendered),
        siblings=_siblings(hub, item),
        looked_up=looked_up,
    )


def wanted(item: ClusterRollout, observed: DispatchObserved) -> list[tuple[Resource, str, str]]:
    """(resource, namespace, name) of everything that is rendered and of all the inventory."""
    return [
        *((one.resource, one.namespace, one.name) for one in observed.rendered),
        *(
            (
                Resource(group=one.group, version=one.version, plural=one.plural, kind=one.kind),
                one.namespace,
                one.name,
            )
            for one in item.status.inventory
        ),
    ]


async def _render_errors(
    hub: Context,
    item: Application,
    proposal: Proposal,
    clusters: list[MemberCluster],
) -> dict[ClusterName, str]:
    snapshot = Snapshot(
        name=item.name,
        uid=item.metadata.uid,
        generation=item.metadata.generation,
        spec=proposal.spec,
        templates=dict(proposal.templates),
    )
    check = hub.renders.check((item.namespace, item.name))
    errors: dict[ClusterName, str] = {}
    gaps: list[Unrendered] = []
    for cluster in clusters:
        before = check.tried
        try:
            text = check.error(
                Delivery(
                    application=snapshot,
                    namespace=item.namespace,
                    cluster=cluster,
                    fleet=proposal.fleet,
                    revision=proposal.revision,
                )
            )
        except Unrendered as gap:
            gap.then(hub.queues.applications.add, (item.namespace, item.name))
            gaps.append(gap)
            text = ""
        if check.tried > before and check.tried % BREATH == 0:
            await asyncio.sleep(0)
        if text:
            errors[ClusterName(cluster.name)] = text
            if snapshot.templates:
                return errors  # the others would cost as much, and say the same
        if len(gaps) == GAPS:
            check.remember()
            break
    if gaps:
        raise gaps[0]
    return errors


def _own(hub: Context, item: Application) -> Own | None:
    """The templates of the ConfigMap that an Application names."""
    named = item.spec.templates
    return hub.stores.templates.get((item.namespace, named.config_map)) if named else None


def _rendered(
    hub: Context, item: ClusterRollout, cluster: MemberCluster | None, found: FleetRollout | None
) -> tuple[tuple[Rendered, ...], str, bool]:
    """(manifests, why there are none, whether that ends by itself) of the wanted run."""
    want = item.spec.want
    if want is None or cluster is None or item.metadata.deletion_timestamp is not None:
        return (), "", False
    if found is None:
        return (), f"run {want.run} does not exist any more", False
    fleet_name = found.spec.application.spec.destination.fleet
    fleet = hub.stores.fleets.get((item.namespace, fleet_name))
    if fleet is None:
        return (), f"there is no Fleet {fleet_name}", False
    delivery = Delivery(
        application=found.spec.application,
        namespace=item.namespace,
        cluster=cluster,
        fleet=fleet,
        revision=found.spec.revision,
    )
    try:
        rendered = hub.renders.render(delivery)
    except UserError as error:
        return (), str(error), False
    except Unrendered as gap:
        gap.then(hub.queues.dispatches.add, (item.namespace, item.name))
        return (), str(gap), True
    return rendered, "", False


def _wanted_run(hub: Context, item: ClusterRollout) -> FleetRollout | None:
    """The run whose snapshot the cluster shall have, if it is there."""
    want = item.spec.want
    return hub.stores.runs.get((item.namespace, want.run)) if want is not None else None


def _weight(hub: Context, item: FleetRollout, owner: Application) -> int | None:
    """The live weight that the Application asks this run for."""
    fleet = hub.stores.fleets.get((owner.namespace, owner.spec.destination.fleet))
    newest = max(
        run.spec.number for run in hub.stores.runs_of.get((owner.namespace, owner.name)).values()
    )
    return occasion.weight(owner, fleet, item, newest)


def _siblings(hub: Context, item: ClusterRollout) -> dict[ClusterName, ClusterRollout]:
    """Of one that goes with its Application: those of later waves, of members that answer."""
    owner = (item.namespace, item.spec.application)
    if item.metadata.deletion_timestamp is None or not _is_deleted(hub, owner):
        return {}
    others = hub.stores.items_of.get(owner).values()
    clusters = hub.stores.memberclusters
    return {
        ClusterName(other.spec.cluster): other
        for other in others
        if removal.wave_of(other) > removal.wave_of(item)
        and (cluster := clusters.get((other.namespace, other.spec.cluster))) is not None
        and member(hub, cluster).fresh
    }


def _rollouts(
    hub: Context, item: ClusterRollout, rendered: tuple[Rendered, ...]
) -> dict[Key, Mapping[str, Any]]:
    """The live Rollouts of what is rendered now and of what the inventory names."""
    link = hub.links.get((item.namespace, item.spec.cluster))
    if link is None:
        return {}
    keys = {(one.namespace, one.name) for one in rendered if one.resource is ROLLOUTS}
    for one in item.status.inventory:
        if one.plural == ROLLOUTS.plural and one.group == ROLLOUTS.group:
            keys.add((one.namespace, one.name))
    live = link.rollouts
    return {key: found for key in sorted(keys) if (found := live.get(key)) is not None}


def _is_paused(hub: Context, owner: Key, fleet: str) -> bool:
    """`deliveryPolicy.paused` of the Application or its Fleet; of one that cannot be read, what
    stands there: unknown is not unpaused."""
    applications, fleets = hub.stores.applications, hub.stores.fleets
    key = (owner[0], fleet)
    found, shared = applications.get(owner), fleets.get(key)
    mine = (
        found.spec.delivery_policy.paused
        if found is not None
        else _stands_paused(applications.unreadable.get(owner), "deliveryPolicy")
    )
    theirs = (
        shared.spec.defaults.delivery_policy is not None
        and shared.spec.defaults.delivery_policy.paused
        if shared is not None
        else _stands_paused(fleets.unreadable.get(key), "defaults", "deliveryPolicy")
    )
    return mine or theirs


def _stands_paused(odd: Unreadable | None, *path: str) -> bool:
    value: Any = odd.manifest if odd is not None else None
    for name in ("spec", *path, "paused"):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value is True


def _is_deleted(hub: Context, owner: Key) -> bool:
    """Whether the Application is gone or going; one that cannot be read is neither."""
    found = hub.stores.applications.get(owner)
    if found is None:
        return owner not in hub.stores.applications.unreadable
    return found.metadata.deletion_timestamp is not None


def _fleet(
    hub: Context, item: FleetRollout, present: Mapping[ClusterName, Member]
) -> frozenset[str] | None:
    """Who belongs to the run's fleet now; a fleet that is gone or empty says nothing."""
    key = (item.namespace, item.spec.application.spec.destination.fleet)
    found = hub.stores.fleets.get(key)
    chosen = selection.select(found, present).chosen if found is not None else ()
    return frozenset(chosen) or None


def _authors(item: FleetRollout, owner: Application | None) -> dict[str, str]:
    """Request → who wrote it."""
    notes = [one.metadata.annotations for one in (item, owner) if one]
    return {
        note[REQUEST_ANNOTATION]: note.get(REQUESTED_BY_ANNOTATION, "")[:253]
        for note in notes
        if REQUEST_ANNOTATION in note
    }


def _asked(item: FleetRollout, owner: Application | None) -> Asked | None:
    """What the Application asks for, where an undo is about: it takes time to tell."""
    texts = _requests(item, owner)
    is_about = item.status.undo_to or any(text.startswith("undo/") for text in texts)
    return aside.asked(owner) if owner is not None and is_about else None


def _requests(item: FleetRollout, owner: Application | None) -> tuple[str, ...]:
    """The request on the run, and the one on its Application."""
    found = [one.metadata.annotations.get(REQUEST_ANNOTATION) for one in (item, owner) if one]
    return tuple(text for text in found if text)
