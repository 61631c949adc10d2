"""The hub's process: its parts, the order in which they begin, and how they end.

    server ──> elected ──> own identity ──> MemberClusters and Secrets known ──> members connect,
           beside that all own objects, and what is as it was left is looked at
           ──> (settled, or no more of them for 10 s) ──> everything else is looked at,
           then whatever wakes ──> SIGTERM ──> Lease released ──> exit 0

Called by `cli.run`. A follower does nothing but wait for the Lease. Who loses it ends at once, with
an error: its members refuse its writes from then on, and a new process begins with a clean view.
Ending needs no farewell: what is cut off is found and finished by the next leader.
"""

import asyncio
import contextlib
import functools
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fleet import __version__, aio, settings, turns
from fleet.api import ClusterRollout
from fleet.api.names import (
    CLUSTERROLLOUTS,
    CONFIGMAPS,
    HUB_AGENT,
    HUB_LEASE,
    KUBECONFIG_LABEL,
    NAMESPACES,
    SECRETS,
    SYSTEM_NAMESPACE,
    TEMPLATES_LABEL,
    ClusterName,
)
from fleet.clusters.client import Client, open_session
from fleet.clusters.config import ClientConfig
from fleet.clusters.lease import Alone, Elector
from fleet.clusters.recorder import EventRecorder
from fleet.clusters.store import Change
from fleet.clusters.supervisor import Supervisor
from fleet.clusters.transport import Session
from fleet.clusters.watch import Informer
from fleet.clusters.web import Web
from fleet.errors import FleetError, TemporaryError, UnexpectedState
from fleet.hub.runtime import drafts, handlers, membership, reconcile, resync, triggers, watches
from fleet.hub.runtime.context import Context, EngineWish
from fleet.hub.runtime.drafts import Drafts
from fleet.hub.runtime.hooks import Hooks
from fleet.hub.runtime.renders import Renders
from fleet.rendering import environment, tenant
from fleet.rendering.tenant import Own
from fleet.settings import HubSettings
from fleet.telemetry.clock import SteadyClock
from fleet.telemetry.metrics import HubMetrics
from fleet.telemetry.server import Health, serving
from fleet.wiring import connect, watching
from fleet.wiring.cells import Cells
from fleet.wiring.gatekeeper import Gatekeeper
from fleet.wiring.loading import frugal, loading

USER_AGENT = f"{HUB_AGENT}/{__version__}"
INFLIGHT = 64
"""Requests to the hub's own API server at once."""
FLUSH_SECONDS = 2.0
RETRY_SECONDS = 2.0
TEMPLATES_SECONDS = 10.0
"""A hub whose rights are older than it is may never see a ConfigMap."""

log = logging.getLogger(__name__)


async def run_hub(chosen: HubSettings) -> None:
    """Run until SIGTERM or SIGINT, then end in order.

    Raises UserError for a kubeconfig that cannot be used, OSError where the port cannot be had,
    UnexpectedState when leadership is lost or kopf has ended: the process has to be started anew.
    """
    frugal()
    config = connect.own(chosen.connection)
    health, metrics = Health(), HubMetrics()
    health.shutdown.listen()
    listen = serving(health, metrics.exposition, host=chosen.listen_host, port=chosen.listen_port)
    async with listen as port, open_session() as session:
        log.info("hub starts", extra={"version": __version__, "port": port})
        hub = compose(chosen, config, session, health, metrics)
        await hub.run_until_asked()
    log.info("hub has ended")


def compose(
    chosen: HubSettings,
    config: ClientConfig,
    session: Session,
    health: Health,
    metrics: HubMetrics,
) -> "Hub":
    """The parts, put together and not yet running."""
    clock, line = SteadyClock(), turns.Line()
    templates = environment.read(settings.files("templates"))
    elector = connect.elector(chosen, config, session, clock, HUB_LEASE, USER_AGENT)

    client = functools.partial(
        Client,
        session=session,
        user_agent=USER_AGENT,
        observe=metrics.request,
        may_write=lambda: elector.is_leader,
        turn=line.turn,
    )
    # It is near, and would compress two hundred megabytes for a hub that begins.
    kube = client("hub", config, inflight=INFLIGHT, compresses=False)
    recorder = EventRecorder(kube, clock, component="kulta-fleet-hub", instance=chosen.identity)
    context = Context(
        kube=kube,
        clock=clock,
        recorder=recorder,
        metrics=metrics,
        line=line,
        renders=Renders(templates, Drafts(Cells(drafts.AT_ONCE), templates, metrics)),
        engine=EngineWish(
            image=chosen.engine_image,
            version=__version__,
            environment=chosen.engine_environment,
        ),
        supervisor=Supervisor(
            connect=client,
            equip=lambda name, kube: _equipment(context, name, kube),
        ),
        hooks=Hooks(
            Gatekeeper(Web(user_agent=USER_AGENT, allow_loopback=chosen.allow_loopback)),
            chosen.hook_hosts,
            clock,
        ),
    )
    return Hub(
        health=health,
        kube=kube,
        context=context,
        watched=handlers.registry(context.stores, config, user_agent=USER_AGENT),
        items=_items(kube, context),
        secrets=_secrets(kube, context),
        templates=_templates(kube, context),
        elector=elector,
        recorder=recorder,
    )


def _equipment(context: Context, name: ClusterName, kube: Client) -> Sequence[Informer[Any]]:
    """What watches a member while it is engaged."""
    namespace, _, cluster = name.partition("/")
    return watches.informers(
        context.links.make((namespace, cluster)),
        kube,
        watches.Listener(
            rollout=lambda link, change: triggers.rollout_changed(context, link, change),
            connectivity=lambda link: triggers.poke(context, link),
            engine=lambda link: context.queues.members.add(link.key),
        ),
        keep=lambda manifest: context.parts.manifest(watches.slim(manifest)),
    )


def _items(kube: Client, context: Context) -> Informer[ClusterRollout]:
    informer = Informer(
        kube,
        CLUSTERROLLOUTS,
        decode=lambda manifest: context.parts.parse(ClusterRollout, manifest),
        on=lambda change: triggers.item_changed(context, change),
        on_error=_complain,
    )
    context.stores.items = informer.store
    return informer


def _secrets(kube: Client, context: Context) -> Informer[str]:
    def changed(change: Change[str]) -> None:
        triggers.secret_changed(context, change)

    informer = Informer(
        kube,
        SECRETS,
        decode=lambda manifest: str(manifest["metadata"]["resourceVersion"]),
        on=changed,
        selector=f"{KUBECONFIG_LABEL}=true",
        on_error=_complain,
    )
    context.stores.secrets = informer.store
    return informer


def _templates(kube: Client, context: Context) -> Informer[Own]:
    informer = Informer(
        kube,
        CONFIGMAPS,
        decode=tenant.read,
        on=lambda change: triggers.templates_changed(context, change),
        selector=f"{TEMPLATES_LABEL}=true",
        on_error=_complain,
    )
    context.stores.templates = informer.store
    return informer


def _complain(error: FleetError) -> None:
    log.warning("the hub's own objects cannot be watched", extra={"why": str(error)})


@dataclass(eq=False, slots=True, kw_only=True)
class Hub:
    """The running parts. `run_until_asked` once."""

    health: Health
    kube: Client
    context: Context
    watched: handlers.Registry
    items: Informer[ClusterRollout]
    secrets: Informer[str]
    templates: Informer[Own]
    elector: Alone | Elector
    recorder: EventRecorder

    async def run_until_asked(self) -> None:
        """Follow, lead, and end when asked to. Raises UnexpectedState when leading ends before."""
        running = asyncio.create_task(self.elector.run(self._lead), name="hub")
        asked = asyncio.create_task(self.health.shutdown.wait(), name="shutdown")
        beat = asyncio.create_task(self.health.beat(), name="beat")
        self.health.checks["leadership"] = lambda: connect.overdue(self.elector)
        self.health.ready = True
        try:
            await asyncio.wait({running, asked}, return_when=asyncio.FIRST_COMPLETED)
            if asked.done() and not running.done():
                log.info("asked to end")
                if self.elector.is_leader:
                    await self.recorder.flush(FLUSH_SECONDS)
                return
            running.result()
            text = "leadership is lost: another hub leads, or the Lease cannot be renewed"
            raise UnexpectedState(f"{text}; this process ends")
        except BaseExceptionGroup as group:
            raise aio.innermost(group) from group
        finally:
            await aio.cancel(asked, running, beat)

    async def _lead(self) -> None:
        context = self.context
        context.identity = await self._identify()
        triggers.connect(context)
        async with context.supervisor, asyncio.TaskGroup() as tasks:
            with loading():
                tasks.create_task(self.recorder.run(), name="events")
                tasks.create_task(self.items.run(), name="ClusterRollouts")
                tasks.create_task(self.secrets.run(), name="Secrets")
                tasks.create_task(self.templates.run(), name="ConfigMaps")
                await resync.prime(self.kube, context.stores)
                await self.secrets.synced.wait()
                for name, part in (
                    ("kopf", watching.watch(self.watched, self.health.shutdown.listen)),
                    ("resync", resync.keep(self.kube, context.stores)),
                    ("pulse", triggers.pulse(context)),
                    ("members", reconcile.run_members(context)),
                    ("templates", context.renders.drafts.run()),
                ):
                    self.health.rely(name, tasks.create_task(part, name=name))
                early = tasks.create_task(reconcile.run_early(context), name="early looks")
                # Members answer, and renew their Leases, while the many own objects are read.
                await self.items.synced.wait()
                with contextlib.suppress(TimeoutError):
                    # Not longer: who has none shall not wait, and who has is told, and waits.
                    async with asyncio.timeout(TEMPLATES_SECONDS):
                        await self.templates.synced.wait()
                await membership.settled(context)
                await aio.cancel(early)
            log.info("deciding", extra={"members": len(context.links)})
            others = reconcile.run_others(context)
            self.health.rely("queues", tasks.create_task(others, name="queues"))

    async def _identify(self) -> str:
        """The uid of the hub's kube-system, however long its API server takes to answer."""
        while True:
            try:
                system = await self.kube.get(NAMESPACES, SYSTEM_NAMESPACE)
                return str(system["metadata"]["uid"])
            except TemporaryError as error:
                log.warning("the own API server does not answer", extra={"why": str(error)})
                await asyncio.sleep(RETRY_SECONDS)
