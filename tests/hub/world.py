"""A hub with its members as one value: world in → `tick` → world out.

The planners are the real ones. Around them stand the members of `engine`: an API server of dicts
and, unless another is given, an engine that takes one step a tick. `check` refuses worlds that must
never be. A crash is a budget of writes after which everything stops; what has been written stays.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from fleet.api import Application, ClusterRollout, Fleet, FleetRollout
from fleet.api.clusterrollout import ClusterRolloutSpec
from fleet.api.fleetrollout import ClusterPhase
from fleet.api.meta import ObjectMeta
from fleet.api.names import CLUSTERROLLOUT_FINALIZER, REQUEST_ANNOTATION, ClusterName
from fleet.errors import UserError
from fleet.hub.core import phases, policy, weights
from fleet.hub.core.actions import (
    AskCluster,
    CreateRun,
    DeleteRun,
    Finalizer,
    HoldCluster,
    LookUp,
    PruneCluster,
    ReleaseCluster,
    RunAction,
    SetDeletion,
    StartCluster,
)
from fleet.hub.core.application import aside, decision, occasion
from fleet.hub.core.application.leaving import awaited
from fleet.hub.core.cluster import dispatch, removal
from fleet.hub.core.member import connectivity, selection
from fleet.hub.core.observed import (
    ApplicationObserved,
    DispatchObserved,
    HookAnswer,
    Member,
    RunObserved,
)
from fleet.hub.core.run import plan
from fleet.rendering import render
from fleet.rendering.tenant import Own
from tests.conftest import NOON
from tests.hub import checker, copies, engine, gen, leaving
from tests.hub.renders import TEMPLATES, Same, rendered_once

HUB = "hub-1"
ROUNDS = 8

Objects = engine.Objects


class Crash(Exception):
    """The process is gone; the world that it leaves is in `World.wreck`."""


@dataclass(kw_only=True)
class World:
    """Everything that is stored anywhere, and the time. Copied by `tick`, never shared."""

    now: datetime = NOON
    application: Application = field(default_factory=gen.application)
    fleet: Fleet = field(default_factory=gen.fleet)
    members: dict[ClusterName, Member] = field(default_factory=dict)
    objects: dict[ClusterName, Objects] = field(default_factory=dict)
    """What is in each member."""
    runs: dict[str, FleetRollout] = field(default_factory=dict)
    items: dict[ClusterName, ClusterRollout] = field(default_factory=dict)
    engines: engine.Engine = field(default_factory=engine.Imitation)
    request: str = ""
    isolated: bool = False
    drift: timedelta = timedelta(0)
    own: Own | None = None
    """What the ConfigMap holds that the Application names."""
    gate: bool = False
    """What every hook answers."""
    answers: dict[str, HookAnswer] = field(default_factory=dict)
    """What hooks have answered; the process that knows it may end."""
    bad: frozenset[str] = frozenset()
    """Members in which every revision but the first fails its analysis."""
    log: list[str] = field(default_factory=list)
    """Writes into members, in their order."""
    started: list[ClusterName] = field(default_factory=list)
    writes: int = 0
    crash_at: int | None = None
    """The write after which the process is gone."""

    def cluster(self, name: str) -> ClusterRollout:
        return self.items[ClusterName(name)]

    def phase(self, name: str) -> ClusterPhase:
        return self.cluster(name).status.phase

    @property
    def run(self) -> FleetRollout:
        """The newest run."""
        return max(self.runs.values(), key=lambda item: item.spec.number)

    def image(self, name: str) -> str:
        """What the member's Rollout asks for."""
        rollout = self.objects[ClusterName(name)]["rollouts", "checkout", "checkout"]
        return str(rollout["spec"]["template"]["spec"]["containers"][0]["image"])

    def wrote(self) -> None:
        """Count one write; the process may end right after it."""
        self.writes += 1
        if self.crash_at is not None and self.writes >= self.crash_at:
            self.crash_at = None
            raise Crash


def new(
    *names: str, image: str = "shop:v1", labels: Mapping[str, str] | None = None, **policy: Any
) -> World:
    """A world with these members, each labelled `ring: <labels[name]>`."""
    rings = labels or {}
    return World(
        application=gen.application(image, **policy),
        members={
            ClusterName(name): gen.member(name, ring=rings.get(name, "rest")) for name in names
        },
        objects={ClusterName(name): {} for name in names},
    )


def tick(world: World, seconds: float = 10) -> World:
    """One look of every controller, then one step of every engine, then some time."""
    after = copies.copied(world)
    _await(after)
    try:
        _hub(after)
    except Crash:
        after.crash_at = None
        after.answers.clear()
    for name, objects in after.objects.items():
        after.engines.step(name, objects, after.now, bad=name in after.bad)
    checker.check(after)
    after.now += timedelta(seconds=seconds)
    return after


def settle(world: World, ticks: int = 60, **changes: Any) -> World:
    """Ticks until the newest run has ended or nothing changes any more."""
    return copies.once(replace(world, **changes), _settled, ticks)


def _settled(world: World, ticks: int) -> World:
    for _ in range(ticks):
        after = tick(world)
        same = (after.runs, after.items, after.objects) == (world.runs, world.items, world.objects)
        world = after
        if same and world.runs:
            break
    return world


def lose(world: World, *names: str) -> World:
    """Those members do not answer any more; their engines go on."""
    return _members(world, names, lambda member: gen.lose(member, world.now))


def regain(world: World, *names: str) -> World:
    """Those members answer again."""
    return _members(world, names, lambda member: gen.regain(member, world.now))


def age(world: World, *names: str) -> World:
    """Their CRDs know nothing of what the hub writes; `renew` brings them up to date."""
    return _members(world, names, lambda member: replace(member, fields=frozenset({"spec"})))


def renew(world: World, *names: str) -> World:
    """Somebody has run `fleet cluster add` again."""
    return _members(world, names, lambda member: replace(member, fields=frozenset()))


def meet(world: World, *names: str) -> World:
    """The hub has just begun, or just seen these members: it is not connected to them yet."""
    until = world.now + timedelta(seconds=connectivity.CONNECT_SECONDS)
    return _members(world, names, lambda member: gen.meet(member, until))


def silence(world: World, *names: str) -> World:
    """Their engines are not heard of any more; their API servers answer."""
    return _members(world, names, lambda member: gen.lose(member, world.now, reachable=True))


def forget(world: World, *names: str) -> World:
    """Their engines are External and have no Lease; their API servers answer."""
    return _members(world, names, gen.unknown)


def deliver(world: World, image: str, **policy: Any) -> World:
    """The tenant writes another image."""
    generation = world.application.metadata.generation + 1
    application = gen.application(image, generation=generation, **policy)
    application = application.model_copy(update={"status": world.application.status})
    return replace(world, application=application)


def _members(world: World, names: tuple[str, ...], change: Callable[[Member], Member]) -> World:
    changed = {ClusterName(name): change(world.members[ClusterName(name)]) for name in names}
    return replace(world, members=world.members | changed)


def _await(world: World) -> None:
    """Who is not connected by then is lost."""
    for name, member in world.members.items():
        if member.connecting_until is not None and world.now >= member.connecting_until:
            world.members[name] = gen.lose(member, world.now)


# --- the hub --------------------------------------------------------------------------------------


def _hub(world: World) -> None:
    _application(world)
    for name in sorted(world.runs, key=lambda key: world.runs[key].spec.number):
        _run(world, name)
    for cluster in sorted(world.items):
        _dispatch(world, cluster)


def _application(world: World) -> None:
    runs = tuple(sorted(world.runs.values(), key=lambda item: item.spec.number))
    observed = ApplicationObserved(
        fleet=world.fleet,
        members=world.members,
        runs=runs,
        clusters=tuple(world.items.values()),
        templates=TEMPLATES.digest,
        own=world.own,
    )
    decided = decision.decide(_annotated(world), observed, world.now)
    for action in decided.actions:
        match action:
            case CreateRun():
                if action.name not in world.runs:
                    meta = ObjectMeta(name=action.name, namespace="shop", generation=1)
                    world.runs[action.name] = FleetRollout(metadata=meta, spec=action.spec)
                    world.wrote()
            case DeleteRun():
                del world.runs[action.name]
                world.wrote()
            case SetDeletion() | PruneCluster():
                name = ClusterName(action.name.rpartition(".")[2])
                world.items[name] = leaving.told(world.items[name], action, world.now)
                world.wrote()
    if decided.status != world.application.status:
        world.application = world.application.model_copy(update={"status": decided.status})
        world.wrote()


def _annotated(world: World) -> Application:
    """With the request that stands on it: a run that is made now is not asked."""
    notes = {REQUEST_ANNOTATION: world.request} if world.request else {}
    metadata = world.application.metadata.model_copy(update={"annotations": notes})
    return world.application.model_copy(update={"metadata": metadata})


def _run(world: World, name: str) -> None:
    run = world.runs[name]
    older = [item for item in world.runs.values() if item.spec.number < run.spec.number]
    undoes = run.status.undo_to or world.request.startswith("undo/")
    observed = RunObserved(
        members=world.members,
        clusters=world.items,
        newest=max(item.spec.number for item in world.runs.values()),
        isolated=world.isolated,
        weight=occasion.weight(world.application, world.fleet, run, world.run.spec.number),
        drift=world.drift,
        hooks=world.answers if name == world.run.name else {},
        fleet=frozenset(selection.select(world.fleet, world.members).chosen) or None,
        requests=(world.request,) if world.request else (),
        asked=aside.asked(world.application) if undoes else None,
        leaving=awaited(world.application.status),
        deleting=world.application.metadata.deletion_timestamp is not None,
        paused=policy.resolve(world.application.spec.delivery_policy, world.fleet).paused,
        former=tuple(older),
        preceding=tuple(item.name for item in older if item.status.phase not in phases.ENDS),
    )
    decided = plan.next(run, observed, world.now)
    for ask in decided.asks:
        answer = HookAnswer(yes=world.gate, message="it answered", at=world.now)
        world.answers[f"{ask.wave}/{ask.gate}"] = answer
    for action in decided.actions:
        _wish(world, action)
    if decided.status != run.status:
        world.runs[name] = run.model_copy(update={"status": decided.status})
        world.wrote()


def _wish(world: World, action: RunAction) -> None:
    """What the runtime does with a wish: one write of the ClusterRollout's spec."""
    item = world.items.get(action.cluster)
    if item is None:
        assert isinstance(action, StartCluster)
        item = ClusterRollout(
            metadata=ObjectMeta(
                name=f"checkout.{action.cluster}",
                namespace="shop",
                finalizers=(CLUSTERROLLOUT_FINALIZER,),
            ),
            spec=ClusterRolloutSpec(
                application="checkout", cluster=action.cluster, namespace="checkout"
            ),
        )
    match action:
        case StartCluster():
            world.started.append(action.cluster)
            wanted = world.runs[action.want.run].spec.application.spec
            namespace = wanted.destination.namespace
            update: dict[str, Any] = {"want": action.want, "hold": "", "namespace": namespace}
            update["request"] = None
        case HoldCluster():
            update = {"hold": action.reason}
        case ReleaseCluster():
            update = {"hold": ""}
        case AskCluster():
            update = {"request": action.request}
    meta = item.metadata.model_copy(update={"generation": item.metadata.generation + 1})
    spec = item.spec.model_copy(update=update)
    world.items[action.cluster] = item.model_copy(update={"spec": spec, "metadata": meta})
    world.wrote()


def _dispatch(world: World, name: ClusterName) -> None:
    looked: Objects | None = None
    for _ in range(ROUNDS):
        item = world.items.get(name)
        if item is None:
            return
        decided = dispatch.decide(item, _observed(world, item, looked), world.now)
        if any(isinstance(action, LookUp) for action in decided.actions):
            assert decided.status == item.status, "a look-up reports nothing"
            looked = copies.clones(world.objects[name])
            continue
        if decided.fence:
            world.items[name] = item.model_copy(update={"status": decided.status})
            world.wrote()
        for action in decided.actions:
            _do(world, name, action)
        changed = decided.status != item.status
        if not decided.fence and changed:
            world.items[name] = item.model_copy(update={"status": decided.status})
            world.wrote()
        if decided.finalizer is Finalizer.REMOVE:
            del world.items[name]
        if not changed and not decided.actions:
            return
        looked = None
    raise AssertionError(f"{name} does not come to rest: {decided}")


def _observed(world: World, item: ClusterRollout, looked: Objects | None) -> DispatchObserved:
    name = ClusterName(item.spec.cluster)
    member = world.members.get(name)
    rendered: tuple[render.Rendered, ...] = ()
    error = ""
    run = world.runs.get(item.spec.want.run) if item.spec.want else None
    if run is not None and member is not None:
        try:
            rendered = rendered_once(Same(run.spec), Same(member.cluster), Same(world.fleet))
        except UserError as problem:
            error = str(problem)
    answers = member is not None and member.reachable
    there = world.objects.get(name, {}) if answers else {}
    return DispatchObserved(
        member=member,
        hub=HUB,
        rendered=rendered,
        render_error=error,
        accepts_unknown_engine=run is not None and run.spec.plan.accept_unknown_engine,
        run_phase=run.status.phase if run else None,
        weight=weights.here(run, member.labels) if run and member else None,
        rollouts=engine.seen(there),
        siblings=_siblings(world, item),
        looked_up=looked,
    )


def _siblings(world: World, item: ClusterRollout) -> dict[ClusterName, ClusterRollout]:
    """Those of later waves whose members answer, when the Application goes."""
    if world.application.metadata.deletion_timestamp is None:
        return {}
    return {
        name: other
        for name, other in world.items.items()
        if removal.wave_of(other) > removal.wave_of(item) and world.members[name].fresh
    }


def _do(world: World, name: ClusterName, action: Any) -> None:
    assert world.members[name].reachable, "nothing is written into a member that does not answer"
    world.log.append(f"{name} {engine.do(name, world.objects[name], action)}")
    world.wrote()
