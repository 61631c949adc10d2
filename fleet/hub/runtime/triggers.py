"""Which change wakes what: from a difference in a store to keys in the work queues.

Connected by `connect`; called for every `Change`. A key too many costs a look, a key too few loses
an event, so in doubt it wakes. Decides nothing.
"""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

from fleet.api import Application, ClusterRollout, Fleet, FleetRollout, MemberCluster, conditions
from fleet.api.clusterrollout import ClusterRolloutStatus, Want
from fleet.api.fleetrollout import ClusterPhase
from fleet.api.meta import Model, Object
from fleet.api.names import (
    APPLICATION_LABEL,
    CLUSTER_LABEL,
    FLEETROLLOUTS,
    NAMESPACE_LABEL,
    Key,
)
from fleet.api.rollout import Phase
from fleet.clusters.store import Change
from fleet.hub.core import phases
from fleet.hub.core.cluster import live, removal, standing
from fleet.hub.core.member import engine, freshness
from fleet.hub.core.member.connectivity import is_news
from fleet.hub.core.member.engine import Obstacle
from fleet.hub.core.run import story
from fleet.hub.runtime import measures
from fleet.hub.runtime.context import Context
from fleet.hub.runtime.links import Link
from fleet.rendering.tenant import Own

CALM_SECONDS = 0.1
"""An Application looks at its runs and clusters once for a burst of news: while a change is on its
way to the members, nothing waits for what it says."""
ACTIVE_SECONDS = 5.0
"""A member says within this time how many of its Rollouts are on their way."""


def connect(hub: Context) -> None:
    """Let the stores wake the queues from now on."""
    stores = hub.stores
    stores.memberclusters.on = lambda change: cluster_changed(hub, change)
    stores.fleets.on = lambda change: fleet_changed(hub, change)
    stores.applications.on = lambda change: application_changed(hub, change)
    stores.runs.on = lambda change: run_changed(hub, change)


def cluster_changed(hub: Context, change: Change[MemberCluster]) -> None:
    """A MemberCluster: its own reconcile; everybody who could deliver there if more moved."""
    hub.stores.clusters_of.update(change)
    hub.stores.clusters_as.update(change)
    if change.type == "ADDED":
        hub.links.make(change.key)  # met now, however many are connected before it
    hub.queues.members.add(change.key)
    is_meant = _is_meant(change)
    if is_meant or _losses(change.old) != _losses(change.new):
        everybody(hub, change.key)
        for key in hub.stores.fleets:
            _add_in(hub.queues.fleets, key, change.key[0])
        for key in hub.stores.applications if is_meant else _unserved(hub, change.key):
            _add_in(hub.queues.applications, key, change.key[0])


def _losses(cluster: MemberCluster | None) -> Any:
    """The times from which runs count."""
    return cluster and (freshness.lost_since(cluster), freshness.silent_since(cluster))


def _unserved(hub: Context, member: Key) -> Iterator[Key]:
    """The Applications of its namespace that may have something to bring to this member, and are
    not about to be looked at anyway, as all are while a hub begins."""
    namespace, name = member
    cluster, link = hub.stores.memberclusters.get(member), hub.links.get(member)
    for key, application in hub.stores.applications.items():
        if key[0] != namespace or hub.queues.applications.is_waiting(key):
            continue
        item = hub.stores.items.get((namespace, f"{key[1]}.{name}"))
        if cluster is None or link is None or not _is_served(application, item, cluster, link):
            yield key


def _is_served(
    application: Application, item: ClusterRollout | None, cluster: MemberCluster, link: Link
) -> bool:
    """Whether the member has what the Application asks for: that it is lost or back moves nothing
    then. Without this each such member would cost a look of each Application at all members."""
    want = item.spec.want if item is not None else None
    if item is None or want is None:
        return False
    status = item.status
    return (
        want.revision == status.last_good.revision == application.status.revision
        and want.member in ("", cluster.metadata.uid)
        and status.server in ("", link.uid)
        and not _has_other_inputs(status)
    )


def fleet_changed(hub: Context, change: Change[Fleet]) -> None:
    """A Fleet: itself, and the Applications that name it, with their runs: it may pause them."""
    hub.queues.fleets.add(change.key)
    if not _is_meant(change):
        return
    namespace, name = change.key
    for key, application in hub.stores.applications.items():
        if key[0] == namespace and application.spec.destination.fleet == name:
            hub.queues.applications.add(key)
            _active(hub, key)
            for item in hub.stores.items_of.get(key):
                hub.queues.dispatches.add(item)


def application_changed(hub: Context, change: Change[Application]) -> None:
    """An Application: itself, and its runs, which read its requests and its pause: the active ones
    and the newest, which may have ended and be asked to try again."""
    if change.type == "DELETED" and change.old is not None:
        hub.stores.departed[change.key] = change.old
    hub.queues.applications.add(change.key)
    _active(hub, change.key, first=_is_meant(change))
    runs = hub.stores.runs_of.get(change.key)
    if runs:
        hub.queues.runs.add(max(runs, key=lambda key: runs[key].spec.number))


def run_changed(hub: Context, change: Change[FleetRollout]) -> None:
    """A run: itself, its Application, and the runs that wait for it to give way."""
    hub.stores.runs_of.update(change)
    run = change.new or change.old
    if run is None:
        return
    # What people ask for stops what begins just now.
    hub.queues.runs.add(change.key, first=change.type == "MODIFIED" and _is_meant(change))
    owner = (run.namespace, run.spec.application.name)
    before, after = (item and item.status.phase for item in (change.old, change.new))
    asked = [
        item and (item.status.undo_to, item.status.prune_confirmed)
        for item in (change.old, change.new)
    ]
    if before != after or asked[0] != asked[1] or change.type != "MODIFIED":
        hub.queues.applications.add_after(owner, CALM_SECONDS)
        _active(hub, owner)
    if run.status.external_weight is not None and _weighs(change.old) != _weighs(change.new):
        _weighed(hub, run)
    if change.type == "DELETED":
        hub.metrics.forget_run(*change.key)
        hub.metrics.forget_delivery(owner, run.spec.number)
        if before not in phases.ENDS:  # as the garbage collector does with its Application
            hub.tell(FLEETROLLOUTS, run, story.events((story.deleted(run.status),)))
    else:
        measures.shown(hub, run)


def item_changed(hub: Context, change: Change[ClusterRollout]) -> None:
    """A ClusterRollout: its dispatch when the wish moved, its runs when the report moved."""
    hub.stores.items_of.update(change)
    hub.stores.items_on.update(change)
    item = change.new or change.old
    if item is None:
        return
    if _is_meant(change):
        hub.queues.dispatches.add(change.key, first=is_urgent(hub, change.key))
    owner = (item.namespace, item.spec.application)
    old, new = (found.status if found else None for found in (change.old, change.new))
    if old != new or change.type != "MODIFIED":
        _active(hub, owner, first=_has_failed(new) and not _has_failed(old))
        want = item.spec.want
        if want is not None and want.undoes:
            hub.queues.runs.add((item.namespace, want.undoes))  # it tells who is home when it ended
    if old is None or new is None or _outcome(old) != _outcome(new):
        hub.queues.applications.add_after(owner, CALM_SECONDS)
    if change.type == "DELETED":
        _next_wave(hub, item)
    _note_times(hub, change)


def secret_changed(hub: Context, change: Change[str]) -> None:
    """A labelled Secret: the MemberClusters that name it."""
    for key in hub.stores.clusters_of.get(change.key):
        hub.queues.members.add(key)


def templates_changed(hub: Context, change: Change[Own]) -> None:
    """A labelled ConfigMap: the Applications that name it."""
    for key, application in hub.stores.applications.items():
        named = application.spec.templates
        if named is not None and (key[0], named.config_map) == change.key:
            hub.queues.applications.add(key)


def rollout_changed(hub: Context, link: Link, change: Change[Mapping[str, Any]]) -> None:
    """A Rollout in a member: the ClusterRollout that it belongs to."""
    if link.wait is Obstacle.ROLLOUT:
        hub.queues.members.add(link.key)
    elif engine.is_active(change.old) != engine.is_active(change.new):
        hub.queues.members.add_after(link.key, ACTIVE_SECONDS)
    manifest = change.new or change.old or {}
    labels = (manifest.get("metadata") or {}).get("labels") or {}
    namespace, name = link.key
    if labels.get(NAMESPACE_LABEL) != namespace or labels.get(CLUSTER_LABEL) != name:
        return
    key = (namespace, f"{labels.get(APPLICATION_LABEL)}.{name}")
    item = hub.stores.items.get(key)
    if item is not None and item.spec.want is not None and _is_verdict(item.spec.want, change):
        hub.timers.failed(key)
        want = item.spec.want
        hub.verdicts.seen(key, (key[0], want.undoes or want.run))
    hub.queues.dispatches.add(key, first=is_urgent(hub, key))


def is_urgent(hub: Context, key: Key) -> bool:
    """Whether that ClusterRollout goes before those that only begin."""
    item = hub.stores.items.get(key)
    link = hub.links.get((key[0], item.spec.cluster)) if item is not None else None
    if item is None or link is None:
        return False
    if standing.stands(item):
        return standing.is_urgent(item, {})  # no verdict is news of it
    rollout = link.rollouts.get((item.spec.namespace, item.spec.application))
    return standing.is_urgent(item, live.part(rollout, "status"))


def poke(hub: Context, link: Link) -> None:
    """Something in a member may have moved its connectivity: tell everybody if it has."""
    now = hub.clock.monotonic()
    if link.is_back:
        hub.queues.members.add(link.key)
    believed = link.look(now)
    came = believed.fresh and not link.told.fresh
    came = came or (believed.leaseless and not link.told.leaseless)
    if not is_news(link.told, believed):
        link.told = believed
        return
    if believed.fresh:
        link.lost_at, link.fresh_at = None, now if link.fresh_at is None else link.fresh_at
    elif link.told.fresh:
        link.lost_at, link.fresh_at = now, None
    link.told = believed
    hub.queues.members.add(link.key)
    for key in hub.stores.fleets:
        _add_in(hub.queues.fleets, key, link.key[0])
    everybody(hub, link.key)
    # Not left to its status: that of a member which was met just now never says that it was lost.
    for key in _unserved(hub, link.key) if came else ():
        hub.queues.applications.add_after(key, CALM_SECONDS)


def everybody(hub: Context, member: Key) -> None:
    """All active runs of the member's namespace, and all that is dispatched to it."""
    for item in hub.stores.items_on.get(member):
        hub.queues.dispatches.add(item)
    for key, run in hub.stores.runs.items():
        if key[0] == member[0] and run.status.phase not in phases.ENDS:
            hub.queues.runs.add(key)


def _next_wave(hub: Context, gone: ClusterRollout) -> None:
    """The last one of its wave is gone: those of earlier waves may have waited for it."""
    left = hub.stores.items_of.get((gone.namespace, gone.spec.application))
    if all(removal.wave_of(item) < removal.wave_of(gone) for item in left.values()):
        for key in left:
            hub.queues.dispatches.add(key)


def _active(hub: Context, owner: Key, *, first: bool = False) -> None:
    for run in hub.stores.active(*owner):
        hub.queues.runs.add((run.namespace, run.name), first=first)


def _has_failed(status: ClusterRolloutStatus | None) -> bool:
    return status is not None and status.phase in phases.FAILURES


def _weighs(run: FleetRollout | None) -> Any:
    """The live weight, and whether something stops the run, so that it may only fall."""
    return run and (run.status.external_weight, run.status.phase in phases.STOPPED)


def _weighed(hub: Context, run: FleetRollout) -> None:
    """Everybody who has that run follows its weight."""
    for key, item in hub.stores.items_of.get((run.namespace, run.spec.application.name)).items():
        if item.spec.want is not None and item.spec.want.run == run.name:
            hub.queues.dispatches.add(key)


def _add_in(queue: Any, key: Key, namespace: str) -> None:
    if key[0] == namespace:
        queue.add(key)


def _is_meant(change: Change[Any]) -> bool:
    """Whether more than a status moved."""
    old: Object[Model, Model] | None = change.old
    new: Object[Model, Model] | None = change.new
    if old is None or new is None:
        return True
    before, after = old.metadata, new.metadata
    return (
        before.generation != after.generation
        or before.labels != after.labels
        or before.annotations != after.annotations
        or before.finalizers != after.finalizers
        or before.deletion_timestamp != after.deletion_timestamp
    )


def _outcome(status: ClusterRolloutStatus) -> tuple[Any, ...]:
    """What of it may give its Application an occasion."""
    return (status.phase, status.applied_run, status.last_good, _has_other_inputs(status))


def _has_other_inputs(status: ClusterRolloutStatus) -> bool:
    """Whether labels, vars, defaults or templates have changed since the run that it stands on."""
    return conditions.is_true(status.conditions, standing.INPUTS_CHANGED)


def _is_verdict(want: Want, change: Change[Mapping[str, Any]]) -> bool:
    """Whether a Rollout just failed with the revision that it shall have now."""
    before, after = ((found or {}).get("status") or {} for found in (change.old, change.new))
    wanted = want.revision
    return (
        after.get("phase") == Phase.FAILED
        and after.get("fleetRevision") == wanted
        and (before.get("phase"), before.get("fleetRevision")) != (Phase.FAILED, wanted)
    )


def _note_times(hub: Context, change: Change[ClusterRollout]) -> None:
    """Keep the moments that two of the metrics start from."""
    new = change.new
    if new is None:
        hub.timers.forget(change.key)
        return
    if new.status.phase is ClusterPhase.SUCCEEDED:
        hub.timers.succeeded(change.key)
    if new.spec.want != _taken(new) and (change.old is None or change.old.spec != new.spec):
        hub.timers.wished(change.key)


def _taken(item: ClusterRollout) -> Any:
    """The wish that has been dispatched."""
    want = item.spec.want
    return want if want and want.run == item.status.dispatch.run else None


async def pulse(hub: Context, every: float = 0.5) -> None:
    """Notice until cancelled what only time changes: a member that falls silent sends no event."""
    suspicious: frozenset[str] = frozenset()
    while True:
        hub.links.keep_waiting()
        for link in restless(hub):
            poke(hub, link)
        suspicious = doubts(hub, suspicious)
        await asyncio.sleep(every)


def restless(hub: Context) -> tuple[Link, ...]:
    """The links about which time alone may have changed something; in a fleet that is well, none:
    looking at a thousand of them twice a second would keep the hub busy for ever."""
    now = hub.clock.monotonic()
    return tuple(link for link in hub.links if not (link.is_calm(now) or link.is_waiting))


def doubts(hub: Context, before: frozenset[str]) -> frozenset[str]:
    """The namespaces for which the hub suspects itself; those that joined or left `before` hear."""
    now = hub.clock.monotonic()
    namespaces = {link.key[0] for link in hub.links if link.lost_at is not None}
    after = frozenset(name for name in namespaces if hub.links.is_hub_suspect(name, now))
    if before == after:
        return after
    for key, run in hub.stores.runs.items():
        if key[0] in before ^ after and run.status.phase not in phases.ENDS:
            hub.queues.runs.add(key)
    return after
