"""The engine's process: its parts, the order in which they begin, and how they end.

    server ──> Rollout's definition is served ──> stores have seen everything ──> kopf watches
           ──> ready ──> elected ──> every Rollout is looked at, then whatever wakes ──> SIGTERM
           ──> not ready ──> running reconciles end (5 s) ──> Lease released ──> exit 0

Called by `cli.run`. A follower watches and keeps its stores warm; it writes nothing.
"""

import asyncio
import gc
import logging
from dataclasses import dataclass, field

from fleet import __version__, aio
from fleet.aio import WorkQueue
from fleet.api import names
from fleet.api.names import Key
from fleet.clusters.client import Client, open_session
from fleet.clusters.config import ClientConfig
from fleet.clusters.lease import Alone, Elector
from fleet.clusters.recorder import EventRecorder
from fleet.clusters.transport import Session
from fleet.clusters.web import Web
from fleet.kulta.runtime import handlers
from fleet.kulta.runtime.advisors import Consultations, HttpAdvisor
from fleet.kulta.runtime.apply import World
from fleet.kulta.runtime.breath import Breath
from fleet.kulta.runtime.credentials import Credentials
from fleet.kulta.runtime.hooks import Caller, Errands, Told
from fleet.kulta.runtime.measure import Measurements
from fleet.kulta.runtime.observe import Observer
from fleet.kulta.runtime.outbox import Outbox
from fleet.kulta.runtime.reconcile import Reconciler
from fleet.kulta.runtime.rollouts import Rollouts
from fleet.kulta.runtime.served import Assumed, Served
from fleet.kulta.runtime.sinks import CDEvents, Events, Nowhere, Occurrences, Sink
from fleet.kulta.runtime.sources import Sources
from fleet.kulta.runtime.turns import Turns
from fleet.ports import Clock, Kube
from fleet.settings import EngineSettings
from fleet.telemetry.clock import SteadyClock
from fleet.telemetry.metrics import EngineMetrics
from fleet.telemetry.server import Health, serving
from fleet.wiring import connect, loading, watching

COMPONENT = "kulta-engine"
USER_AGENT = f"kulta-engine/{__version__}"
FINISH_SECONDS = 5.0
"""How long reconciles under way, and what is still to be told, may take when the process is asked
to end: with the release of the Lease and the close of its server it does so within 10 s."""
FLUSH_SECONDS = 2.0
SETTLE_SECONDS = 0.1
"""Changes of children come in bursts; a Rollout is looked at once for each burst."""
ECHO_SECONDS = 30.0
"""What we wrote is looked after when nothing that it brings about has asked for a look by then."""
BACKOFF_SECONDS, MOST_BACKOFF_SECONDS = 5.0, 300.0
BREATH_SECONDS = 0.015
"""How long answers gather while several Rollouts are looked at."""
INFLIGHT = 16
"""Rollouts that are looked at at once, and requests under way for them."""

log = logging.getLogger(__name__)


async def run_engine(settings: EngineSettings) -> None:
    """Run until SIGTERM or SIGINT, then end in order.

    Raises UserError for a kubeconfig that cannot be used, OSError where the port cannot be had,
    UnexpectedState when kopf has ended: the process has to be started anew.
    """
    config = connect.own(settings.connection)
    health, metrics = Health(), EngineMetrics()
    health.shutdown.listen()
    listen = serving(
        health, metrics.exposition, host=settings.listen_host, port=settings.listen_port
    )
    async with listen as port, open_session() as session:
        log.info("engine starts", extra={"version": __version__, "port": port})
        engine = compose(settings, config, session, health, metrics)
        try:
            await engine.run_until_asked()
        finally:
            await engine.close()
    log.info("engine has ended")


def compose(
    settings: EngineSettings,
    config: ClientConfig,
    session: Session,
    health: Health,
    metrics: EngineMetrics,
) -> "Engine":
    """The parts, put together and not yet running."""
    clock = SteadyClock()
    queue: WorkQueue[Key] = WorkQueue(
        concurrency=INFLIGHT, base=BACKOFF_SECONDS, cap=MOST_BACKOFF_SECONDS
    )
    elector = connect.elector(settings, config, session, clock, names.ENGINE_LEASE, USER_AGENT)
    # One attempt: the queue backs off for writes, the informers for lists.
    kube = Client(
        "own",
        config,
        session,
        inflight=INFLIGHT,
        attempts=1,
        user_agent=USER_AGENT,
        may_write=lambda: elector.is_leader,
    )
    observer = Observer(
        kube,
        lambda key: queue.add_after(key, SETTLE_SECONDS),
        lambda key: queue.add_after(key, ECHO_SECONDS),
        settings.only,
    )
    rollouts = Rollouts()
    recorder = EventRecorder(kube, clock, component=COMPONENT, instance=settings.identity)
    net = Web(user_agent=USER_AGENT, allow_loopback=settings.allow_loopback)
    caller = Caller(Web(user_agent=USER_AGENT, allow_loopback=settings.allow_loopback))
    outbox = Outbox(_sinks(settings, net, caller, kube, clock), metrics)
    reconciler = Reconciler(
        world=World(kube=kube, observer=observer, rollouts=rollouts, recorder=recorder),
        queue=queue,
        measurements=Measurements(Sources(net, Credentials(kube, clock)), clock, queue.add),
        consultations=Consultations(HttpAdvisor(net), clock, metrics, queue.add, outbox.say),
        errands=Errands(caller, clock, queue.add),
        turns=Turns(settings.max_active, rollouts.statuses, queue.add),
        outbox=outbox,
        metrics=metrics,
        clock=clock,
        leading=elector,
        default_prometheus=settings.prometheus,
    )
    return Engine(
        health=health,
        kube=kube,
        definition=Assumed(settings.only) if settings.only else Served(kube, names.ROLLOUTS),
        watching=handlers.registry(
            rollouts.known, queue.add, config, user_agent=USER_AGENT, watching=rollouts.listed.set
        ),
        queue=queue,
        elector=elector,
        net=net,
        reconciler=reconciler,
        recorder=recorder,
    )


def _sinks(
    settings: EngineSettings, net: Web, caller: Caller, kube: Kube, clock: Clock
) -> dict[str, Sink]:
    """Who is told of decisions."""
    events = Events(kube, clock, component=COMPONENT, instance=settings.identity)
    sinks: dict[str, Sink] = {"events": events, "hooks": Told(caller)}
    sinks |= {"cdevents": Nowhere(), "occurrences": Nowhere()}
    if settings.cdevents and settings.cdevents_sink:
        sinks["cdevents"] = CDEvents(net, settings.cdevents_sink)
    elif settings.cdevents:
        log.warning("CDEvents are sent to nobody: KULTA_CDEVENTS_SINK_URL is not set")
    if settings.occurrences is not None:
        sinks["occurrences"] = Occurrences(settings.occurrences, settings.cluster or "")
    return sinks


@dataclass(eq=False, slots=True, kw_only=True)
class Engine:
    """The running parts. `run_until_asked` once, then `close`."""

    health: Health
    kube: Client
    definition: Served | Assumed
    watching: handlers.Registry
    queue: WorkQueue[Key]
    elector: Alone | Elector
    net: Web
    reconciler: Reconciler
    recorder: EventRecorder
    breath: Breath = field(default_factory=lambda: Breath(BREATH_SECONDS))

    async def run_until_asked(self) -> None:
        """Run; asked to end, finish what is under way and end."""
        running = asyncio.create_task(self._run())
        asked = asyncio.create_task(self.health.shutdown.wait())
        beat = asyncio.create_task(self.health.beat())
        self.health.checks["leadership"] = lambda: connect.overdue(self.elector)
        try:
            await asyncio.wait({running, asked}, return_when=asyncio.FIRST_COMPLETED)
            if not running.done():
                log.info("asked to end")
                self.queue.drain()
                if self.elector.is_leader:
                    await asyncio.wait({running}, timeout=FINISH_SECONDS)
            if running.done():
                running.result()
        except BaseExceptionGroup as group:
            raise aio.innermost(group) from group
        finally:
            await aio.cancel(asked, running, beat)

    async def close(self) -> None:
        """End what is under way outside the queue."""
        await self.reconciler.measurements.close()
        await self.reconciler.consultations.close()
        await self.reconciler.outbox.close()
        await self.reconciler.errands.close()
        await self.net.close()

    async def _run(self) -> None:
        observer = self.reconciler.world.observer
        async with asyncio.TaskGroup() as tasks:
            background = [
                tasks.create_task(self.definition.run()),
                tasks.create_task(observer.run()),
                tasks.create_task(self.recorder.run()),
            ]
            await self.definition.looked()
            if not self.definition.is_now:
                log.warning("waiting for the definition of Rollouts: kubectl apply -f crds/")
            await self.definition.begun()
            await observer.synced()
            watch = tasks.create_task(self._watch())
            self.health.rely("kopf", watch)
            background.append(watch)
            # A follower that is ready is warm: it has asked all that it asks before it leads.
            await self.reconciler.world.rollouts.listed.wait()
            _settle_memory()
            self.health.ready = True
            await self._lead()
            outbox = self.reconciler.outbox
            await asyncio.gather(self.recorder.flush(FLUSH_SECONDS), outbox.flush(FLUSH_SECONDS))
            await aio.cancel(*background)

    async def _watch(self) -> None:
        """kopf watches Rollouts while their definition is there; without it there are none."""
        known, only = self.reconciler.world.rollouts.known, self.definition.namespace
        while True:
            await self.definition.begun()
            await watching.discovered(self.kube, names.ROLLOUTS)
            watch = watching.watch(self.watching, self.health.shutdown.listen, only)
            running = asyncio.create_task(watch)
            ended = asyncio.create_task(self.definition.ended())
            try:
                await asyncio.wait({running, ended}, return_when=asyncio.FIRST_COMPLETED)
                if running.done():
                    running.result()
            finally:
                await aio.cancel(running, ended)
            log.warning("the definition of Rollouts is gone, and so are they")
            gone = tuple(known)
            known.replace((), known.moment)
            for key in gone:
                self.queue.add(key)

    async def _lead(self) -> None:
        """Follow and lead in turns, until asked to end."""
        while not self.health.shutdown.is_requested:
            await self.elector.run(self._work)

    async def _work(self) -> None:
        for key in self.reconciler.world.rollouts.known:
            self.queue.add(key)
        await self.queue.run(self._look)

    async def _look(self, key: Key) -> None:
        with self.breath:
            await self.reconciler.reconcile(key)


def _settle_memory() -> None:
    """Modules and first stores live as long as the process: collections need not visit them."""
    gc.collect()
    loading.settle()
