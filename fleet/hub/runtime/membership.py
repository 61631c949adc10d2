"""MemberClusters: from a Secret to a watched member, and back; its credentials and its report.

    Secret ──parse──> config ──engage──> identify (uid, version, CRD) ──twin? refuse──> maintained

Handles keys of the `members` queue, level-triggered: each step that is done already is skipped, so
a changed Secret, a renewed token and a member that came back all take this same way. A member that
cannot be reached costs its own queue entry time, never another's.
"""

import asyncio
import logging
from collections.abc import Iterable
from datetime import datetime, timedelta

import orjson

from fleet import errors
from fleet.api import MemberCluster
from fleet.api.membercluster import MemberClusterStatus
from fleet.api.names import (
    MEMBERCLUSTERS,
    NAMESPACES,
    ROLLOUTS,
    SECRETS,
    SYSTEM_NAMESPACE,
    ClusterName,
    Key,
)
from fleet.clusters import tokens
from fleet.clusters.config import ClientConfig, parse_kubeconfig
from fleet.errors import FleetError, UserError
from fleet.hub.core.member import connectivity, identity
from fleet.hub.core.member import engine as engine_of
from fleet.hub.core.member import report as reports
from fleet.hub.core.member.connectivity import Trouble
from fleet.hub.runtime import apply, credentials, engines, schemas, triggers
from fleet.hub.runtime.context import Context
from fleet.hub.runtime.links import Link

RENEW_RETRY = timedelta(minutes=10)

log = logging.getLogger(__name__)


async def reconcile(hub: Context, key: Key) -> None:
    """Bring the link of that MemberCluster to what it says, and report."""
    cluster = hub.stores.memberclusters.get(key)
    if cluster is None or cluster.metadata.deletion_timestamp is not None:
        await leave(hub, key)
        return
    link = hub.links.begin(key)
    note, asked = "", 0.0
    try:
        await _connect(hub, cluster, link)
        link.trouble = None
        triggers.poke(hub, link)
        if link.told.reachable:
            note = await _maintain(hub, cluster, link)
    except FleetError as error:
        before, link.trouble, asked = link.trouble, _trouble(link, error), error.retry_after or 0.0
        if link.trouble.reason in connectivity.CLOSED_TO_US:
            await hub.supervisor.disengage(name(key))
            link.forget()
        if link.trouble != before:
            log.warning("a member cannot be used", extra={"why": link.trouble.message})
    link.tried_at = hub.clock.monotonic()
    triggers.poke(hub, link)
    engines.wake(hub)
    _show(hub, link)
    _schedule(hub, link, asked)
    if not link.is_settled(link.tried_at):
        # What was true before a restart is not news after it: wait for what will be seen.
        hub.queues.members.add_after(key, connectivity.SETTLE_SECONDS)
        return
    status = report(cluster, link, note, hub.now(), hub.clock.drift())
    engine = status.engine.model_copy(update={"current": engines.is_current(hub, link)})
    status = status.model_copy(update={"engine": engine})
    await apply.write_status(hub, MEMBERCLUSTERS, cluster, status)


async def settled(hub: Context) -> None:
    """Wait until all have connected: what was true before a restart is not news after it. They have
    time as long as one after another is through, `CONNECT_SECONDS` at most."""
    clusters = hub.stores.memberclusters
    began = hub.clock.monotonic()
    least, until = len(clusters) + 1, began
    left = list(clusters)
    while True:
        now = hub.clock.monotonic()
        left = _unsettled(hub, left, now) or _unsettled(hub, clusters, now)
        if len(left) < least:
            least = len(left)
            until = min(now + connectivity.SETTLE_SECONDS, began + connectivity.CONNECT_SECONDS)
        if not left or now >= until:
            return
        await asyncio.sleep(0.1)


def _unsettled(hub: Context, keys: Iterable[Key], now: float) -> list[Key]:
    links = ((key, hub.links.get(key)) for key in keys if key in hub.stores.memberclusters)
    return [key for key, link in links if link is None or not link.is_settled(now)]


async def leave(hub: Context, key: Key) -> None:
    """The MemberCluster is gone: forget the member and orphan what runs there."""
    link = hub.links.get(key)
    if link is None:
        return
    hub.links.drop(key)
    await hub.supervisor.disengage(name(key))
    hub.metrics.forget_cluster("/".join(key))
    triggers.everybody(hub, key)
    _wake_twins(hub, link)
    if not hub.stores.items_on.get(key):
        await hub.queues.dispatches.close(key)


def name(key: Key) -> ClusterName:
    """The member's name for the supervisor, unique over all namespaces."""
    return ClusterName("/".join(key))


def report(
    cluster: MemberCluster,
    link: Link,
    note: str,
    now: datetime,
    drift: timedelta = timedelta(0),
) -> MemberClusterStatus:
    """The status to write; `note` is what `engines.keep` returned, `drift` what the clock says."""
    seen = link.seen(cluster.spec.engine.mode)
    engine = engine_of.report(seen, link.rollouts.values(), note)
    link.active = engine.active
    return reports.member(cluster, link.identity, link.told, engine, now, drift)


async def _connect(hub: Context, cluster: MemberCluster, link: Link) -> None:
    """Engage the member and learn who it is. Raises what stands in the way."""
    where = (cluster.namespace, cluster.spec.kubeconfig.secret_ref.name)
    source = (cluster.metadata.generation, hub.stores.secrets.get(where, ""))
    if link.source == source and link.handle is None:
        _refuse_twin(hub, cluster, link)
    if link.source != source or link.trouble is not None or link.is_refused:
        config = await _read(hub, where, cluster.spec.kubeconfig.secret_ref.key)
        await _engage(hub, link, config)
        link.source = source
    if not link.uid:
        try:
            await _identify(hub, link)
        finally:
            if link.handle is not None:
                link.handle.met.set()
        _wake_twins(hub, link)
    _refuse_twin(hub, cluster, link)


def _refuse_twin(hub: Context, cluster: MemberCluster, link: Link) -> None:
    if not link.uid:
        return
    others = [(other, _uid(hub, key, other)) for key, other in _alike(hub, link)]
    if twin := identity.elder_twin(cluster, link.uid, others):
        text = (
            f"{cluster.name} and {twin} are the same cluster (kube-system {link.uid}): delete one"
        )
        raise UserError("DuplicateCluster", text)


async def _read(hub: Context, where: Key, key: str) -> ClientConfig:
    """The connection that the Secret names. Raises UserError."""
    try:
        secret = await hub.kube.get(SECRETS, where[1], where[0])
    except errors.NotFound:
        text = f"Secret {'/'.join(where)} does not exist: `fleet cluster add` writes it"
        raise UserError("SecretNotFound", text) from None
    kubeconfig = tokens.decoded(secret, key)
    if kubeconfig is None:
        known = ", ".join(sorted(secret.get("data") or {})) or "none"
        text = f"Secret {'/'.join(where)} has no text under the key {key!r}; its keys: {known}"
        raise UserError("KubeconfigKeyMissing", text)
    return parse_kubeconfig(kubeconfig)


async def _engage(hub: Context, link: Link, config: ClientConfig) -> None:
    before = link.handle
    handle = await hub.supervisor.engage(name(link.key), config, is_met=False)
    if before is not handle:
        link.forget()
        hub.links.identify(link, "")
        link.signs.since = hub.clock.monotonic()
    link.handle = handle
    token = tokens.read(config.token)
    link.expires = token.expires if token else None
    due = token.renew_at if token and token.is_ours else None
    link.renew_at = max(due, link.patience or due) if due else None
    link.alarm_at = token.alarm_at if token else None


async def _identify(hub: Context, link: Link) -> None:
    client = link.client
    system = await client.get(NAMESPACES, SYSTEM_NAMESPACE)
    version = orjson.loads(await client.request("GET", "/version", retry=True))
    try:
        await schemas.meet(hub, link)
    except errors.NotFound:
        text = f"the CRD {schemas.CRD} is not installed there: `fleet cluster add` installs it"
        raise UserError("CrdsMissing", text) from None
    hub.links.identify(link, str(system["metadata"]["uid"]))
    link.kubernetes = str(version.get("gitVersion", ""))


async def _maintain(hub: Context, cluster: MemberCluster, link: Link) -> str:
    """Renew the token when due, keep the engine; returns the engine's note."""
    now = _wall(hub)
    if link.renew_at is not None and now >= link.renew_at:
        where = (cluster.namespace, cluster.spec.kubeconfig.secret_ref.name)
        try:
            await credentials.renew(
                hub.kube, link.client, where, cluster.spec.kubeconfig.secret_ref.key
            )
            # A Secret with our label tells of its change; one without must be read again.
            link.source = None
            hub.queues.members.add(link.key)
        except FleetError as error:
            log.warning("the token is not renewed", extra={"why": str(error)})
        # A clock that differs from the member's must not make us ask again and again.
        link.renew_at = link.patience = now + RENEW_RETRY
    return await engines.keep(hub, cluster, link)


def _trouble(link: Link, error: FleetError) -> Trouble:
    return connectivity.trouble(link.cause(error), link.key[1], link.expires)


def _schedule(hub: Context, link: Link, asked: float) -> None:
    """When it is looked at again: not before its server `asked` to be, in seconds."""
    queue = hub.queues.members
    if link.trouble is not None or link.is_refused:
        queue.retry(link.key, at_least=asked)
        return
    queue.forget(link.key)
    now = _wall(hub)
    due = [moment for moment in (link.renew_at, link.alarm_at) if moment and moment > now]
    if due:
        queue.add_after(link.key, (min(due) - now).total_seconds())
    if left := engines.takeover_left(hub, link):
        queue.add_after(link.key, left)


def _wall(hub: Context) -> datetime:
    """The time of day, by which tokens end: the hub's own present does not follow a jump."""
    return hub.now() + hub.clock.drift()


def _wake_twins(hub: Context, link: Link) -> None:
    """Those who share our identity decide anew who is the elder."""
    for key in hub.links.alike(link) - {link.key}:
        hub.queues.members.add(key)


def _alike(hub: Context, link: Link) -> list[tuple[Key, MemberCluster]]:
    """The MemberClusters of that namespace that are, or were when they were last reported, the
    same cluster as `link`: a look at all of them for each would cost the square of their number."""
    clusters = hub.stores.memberclusters
    keys = {*hub.stores.clusters_as.get((link.key[0], link.uid)), *hub.links.alike(link)}
    return [(key, clusters[key]) for key in sorted(keys) if key in clusters]


def _uid(hub: Context, key: Key, cluster: MemberCluster) -> str:
    link = hub.links.get(key)
    return link.uid if link is not None and link.uid else cluster.status.uid


def _show(hub: Context, link: Link) -> None:
    def age() -> float:
        handle = link.handle
        return handle.age(ROLLOUTS) if handle else float("inf")

    hub.metrics.show_cluster("/".join(link.key), reachable=link.told.reachable, age=age)
