"""A small pure member: ReplicaSets make pods, pods become ready, slices and gateways follow.

`world.run()` calls the real `plan` again and again, does what it says, lets the world answer, and
moves the clock when nothing happens. A checker refuses what must never be: weight on a revision
without ready pods, too many pods, too few ready ones, a plan that is not followed by silence.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from fleet.api.rollout import Rollout, RolloutStatus
from fleet.kulta.core import actions as act
from fleet.kulta.core.actions import Plan
from fleet.kulta.core.messages import notices
from fleet.kulta.core.messages.advisors import Question
from fleet.kulta.core.messages.transition import Transition
from fleet.kulta.core.observed import (
    Consulted,
    Measurement,
    Observed,
    Pod,
    Query,
    Recommendation,
    ReplicaSet,
    Service,
)
from fleet.kulta.core.plan import plan
from tests import gen
from tests.conftest import NOON
from tests.kulta import checker, copies, hands, nature
from tests.kulta.checker import Impossible
from tests.kulta.copies import Reader, anew
from tests.trees import clone, name

Answer = Callable[[str], float | None]

STEPS = 2_000
"""More turns than any story needs."""
RARELY = 32
"""Every so many turns a Rollout that was read anew must give the same plan."""


@dataclass
class World:
    """One Rollout and everything of it. Change attributes to make things happen."""

    manifest: dict[str, Any]
    status: RolloutStatus = field(default_factory=RolloutStatus)
    now: datetime = NOON
    sets: dict[str, ReplicaSet] = field(default_factory=dict)
    pods: dict[str, Pod] = field(default_factory=dict)
    born: dict[str, datetime] = field(default_factory=dict)
    services: dict[str, Service] = field(default_factory=dict)
    routes: dict[str, dict[str, Any]] = field(default_factory=dict)
    measurements: dict[Query, Measurement] = field(default_factory=dict)
    answer: Answer = lambda text: None
    asked: list[str] = field(default_factory=list)
    slow: str = ""
    """Queries that hold this text are not answered for the time being."""
    under_way: set[Query] = field(default_factory=set)
    startup: float = 2.0
    """Seconds until a pod is ready."""
    broken: set[str] = field(default_factory=set)
    """Revisions whose pods never become ready."""
    able: dict[str, int] = field(default_factory=dict)
    """Revisions of whose pods only so many become ready."""
    slices: dict[str, frozenset[str]] = field(default_factory=dict)
    """Service → uids of its addresses, as the slice controller wrote them last."""
    sliced: bool = True
    """Whether the slice controller works."""
    gateway: bool = True
    """Whether the gateway takes what is written."""
    deaf: set[str] = field(default_factory=set)
    """Routes which it does not take."""
    unserved: set[str] = field(default_factory=set)
    unseen: dict[str, str] = field(default_factory=dict)
    """Kinds of routes that the cluster does not know, or that the engine cannot see, and why."""
    told: int = 0
    """What the engine's process remembers: the last decision that it handed over for delivery."""
    emitted: int = 0
    """The last decision that was delivered."""
    consumed: set[str] = field(default_factory=set)
    """Requests that it has taken away since its last look."""
    listening: bool = True
    """Whether what is handed over is delivered at once, or not at all."""
    advisor: Callable[[Question], Recommendation | None] = lambda question: None
    """What an advisor says; None: it does not answer."""
    questions: list[Question] = field(default_factory=list)
    consulted: Consulted | None = None
    hooks: nature.Hooks = field(default_factory=nature.Hooks)
    heard: list[Transition] = field(default_factory=list)
    """What was handed over."""
    gone: bool = False
    log: list[act.Action] = field(default_factory=list)
    plans: list[Plan] = field(default_factory=list)
    writes: list[RolloutStatus] = field(default_factory=list)
    weights: list[int] = field(default_factory=list)
    """Canary weights as the gateway took them."""
    cut: bool = False
    """The engine dies in every plan that acts: before the first action, after it, after the second
    …, and before the status is written; then it gets through once."""
    survived: int = 0
    lives: int = 40
    """So often it can die; a verdict that dies with its measurements would never be written."""
    after_each: "Callable[[World], None]" = lambda world: None
    """Called after every action and every answer of the world."""
    strict: bool = True
    """Whether the checker is on."""
    wished: int = 0
    """Pods that all sets together asked for when the checker last looked."""
    failed: dict[str, int] = field(default_factory=dict)
    """The revision that is taken back, and the percent of the traffic that it has still."""
    counters_due: datetime | None = None
    named: int = 0
    """Pods that were ever made; each has the number of those before it."""
    reader: Reader = field(default_factory=Reader)

    # --- what a user does -----------------------------------------------------------------------

    def update(self, **spec: Any) -> None:
        """Change keys of the spec."""
        self.manifest["spec"].update(spec)
        self.manifest["metadata"]["generation"] += 1

    def image(self, image: str) -> None:
        """Ask for another revision."""
        self.update(template=gen.template(image))

    def restart(self) -> None:
        """The engine's process ends, and the next one begins."""
        self.measurements, self.under_way = {}, set()
        self.hooks.clear()
        self.told, self.emitted, self.consulted, self.consumed = 0, 0, None, set()
        self.counters_due = None

    def annotate(self, verb: str, value: str = "true") -> None:
        """Ask by annotation."""
        self.manifest["metadata"]["annotations"][f"kulta.io/{verb}"] = value

    def change(self, service: str, selector: dict[str, str]) -> None:
        """Somebody writes a Service's selector."""
        known = self.services[service]
        version = str(int(known.resource_version) + 1)
        self.services[service] = replace(known, selector=selector, resource_version=version)

    def undo(self, service: str) -> None:
        """Somebody puts a Service's own selector back."""
        self.change(service, dict(self.services[service].original or {}))

    @property
    def annotations(self) -> dict[str, str]:
        return self.manifest["metadata"]["annotations"]

    # --- what can be seen -----------------------------------------------------------------------

    @property
    def rollout(self) -> Rollout:
        return self.reader.read(self.manifest, self.status)

    def observe(self) -> Observed:
        """One look."""
        return Observed(
            replica_sets=tuple(self.sets.values()),
            pods=tuple(self.pods.values()),
            services=dict(self.services),
            endpoints=dict(self.slices),
            routes={(item["kind"], name(item)): clone(item) for item in self.routes.values()},
            unserved=frozenset(self.unserved),
            unseen=dict(self.unseen),
            measurements=dict(self.measurements),
            consulted=self.consulted,
            heard=dict(self.hooks),
            told=self.told,
            emitted=self.emitted,
            consumed=frozenset(self.consumed),
        )

    def ready(self, image: str) -> int:
        """Ready pods of a revision."""
        return sum(pod.ready for pod in self.pods.values() if pod.hash == gen.revision(image))

    def size(self, image: str) -> int:
        """Pods that the set of a revision asks for."""
        found = self.sets.get(gen.revision(image))
        return found.replicas if found else 0

    def roles(self, image: str) -> set[str]:
        """Type labels of the pods of a revision."""
        return {pod.role for pod in self.pods.values() if pod.hash == gen.revision(image)}

    def split(self, route: str = gen.ROUTE) -> tuple[int, int]:
        """Weights of the route."""
        return nature.split(self.routes[route])

    def behind(self, name: str) -> set[str]:
        """Revisions of the ready pods that a Service selects."""
        chosen = self.addresses(self.services[name])
        return {pod.hash for pod in self.pods.values() if pod.uid in chosen}

    def actions(self, kind: type) -> list[Any]:
        """What the engine did of one kind."""
        return [item for item in self.log if isinstance(item, kind)]

    def condition(self, kind: str) -> tuple[str, str] | None:
        """Status and reason of a condition."""
        found = [item for item in self.status.conditions if item.type == kind]
        return (found[0].status, found[0].reason) if found else None

    def detail(self, kind: str) -> str:
        """The message of a condition."""
        return next((item.message for item in self.status.conditions if item.type == kind), "")

    @property
    def state(self) -> tuple[str | None, int | None, int | None]:
        """Phase, step, weight."""
        status = self.status
        return status.phase, status.current_step_index, status.current_weight

    # --- time -----------------------------------------------------------------------------------

    def run(self, seconds: float = 0.0) -> "World":
        """Until nothing happens any more and `seconds` have passed."""
        end = self.now + timedelta(seconds=seconds)
        for _ in range(STEPS):
            if self._world(self.tick()):
                continue
            due = self._next()
            if due is None or due > end:
                self.now = max(self.now, end)
                return self
            self._go(max(due, self.now + timedelta(milliseconds=1)))
        raise Impossible("no end: the engine never comes to rest")

    def settle(self) -> "World":
        """Until everything that needs no person is over (a day at most)."""
        return copies.once(self, self._settle)

    def _settle(self) -> None:
        for _ in range(STEPS):
            self.run()
            due = self._next()
            if due is None or due > NOON + timedelta(days=1):
                return
            self._go(due)
        raise Impossible("no end")

    def _go(self, due: datetime) -> None:
        """To that moment. Where the engine did not want to look then, the world goes first."""
        self.now = due
        if min(self._wanted(), default=due) > due:
            self._world()

    def wait(self, seconds: float) -> "World":
        """Let time pass in one go, then see what comes of it."""
        self.now += timedelta(seconds=seconds)
        return self.run()

    def tick(self) -> bool:
        """One look and what follows from it; whether anything was done."""
        if self.gone:
            return False
        decided = self._decide()
        self.consumed = set()
        self.plans.append(decided)
        if self.cut and decided.actions and not self._is_through():
            for action in decided.actions[: self.survived]:
                self._do(action)
            self.lives -= 1
            self.restart()
            return True
        for action in decided.actions:
            self._do(action)
        wrote = self._write(decided)
        self._tell(decided)
        for action in decided.after:
            self._do(action)
        asked = [self._ask(query) for query in decided.queries]
        said = nature.consult(self, decided) or decided.after or decided.transitions
        return bool(decided.actions or wrote or said or any(asked))

    def _decide(self) -> Plan:
        """What the engine wants; it leaves alone what it was given, and never changes its mind."""
        rollout, seen = self.rollout, self.observe()
        decided = plan(rollout, seen, self.now)
        is_same = [*seen.routes.values()] == [*self.routes.values()]
        if not is_same or not self.reader.is_untouched(self.manifest):
            raise Impossible("planning changed what it was given")
        if len(self.plans) % RARELY == 0:
            again = plan(anew(self.manifest, self.status), self.observe(), self.now)
            if again != decided:
                raise Impossible("the same look gave two plans")
        return decided

    def _tell(self, decided: Plan) -> None:
        self.heard.extend(decided.transitions)
        for notice in filter(None, (notices.of(x, self.now) for x in decided.transitions)):
            self._do(notice)
        self.told = decided.told or self.told
        if self.listening:
            self.emitted = self.told

    def _ask(self, query: Query) -> bool:
        """Ask the source unless it is at it; whether it was asked."""
        if query in self.under_way:
            return False
        self.asked.append(text := query.text or query.address)
        if self.slow and self.slow in text:
            self.under_way.add(query)
        else:
            self.measurements[query] = nature.measure(self, text)
        return True

    def _is_through(self) -> bool:
        """Whether the engine has died often enough in this plan."""
        self.survived += 1
        if self.survived > len(self.plans[-1].actions) or not self.lives:
            self.survived = 0
            return True
        return False

    def _write(self, decided: Plan) -> bool:
        if decided.status == self.status:
            self.counters_due = None
            return False
        due = self.now + decided.may_wait
        self.counters_due = min(self.counters_due or due, due)
        if self.now < self.counters_due:
            return False
        self.counters_due = None
        self.status = decided.status
        self.writes.append(decided.status)
        return True

    def _next(self) -> datetime | None:
        return min((*nature.births(self), *self._wanted()), default=None)

    def _wanted(self) -> list[datetime]:
        """When the engine wants to look again, or to write."""
        wake = self.plans[-1].wake_at if self.plans else None
        return [item for item in (wake, self.counters_due) if item is not None]

    # --- the engine's hands ---------------------------------------------------------------------

    def _do(self, action: act.Action) -> None:
        self.log.append(action)
        hands.act(self, action)
        self._checked()

    def _checked(self) -> None:
        self.after_each(self)
        if self.strict and not self.gone:
            checker.check(self)

    # --- the world's answer ---------------------------------------------------------------------

    def _world(self, changed: bool = False) -> bool:
        before = nature.state(self)
        nature.turn(self)
        changed = changed or before != nature.state(self)
        if changed:
            self._checked()
        return changed

    def addresses(self, item: Service) -> frozenset[str]:
        """Uids of the ready pods that a Service selects."""
        return nature.addresses(self, item)


def canary_world(*weights: Any, routed: bool = False, **keywords: Any) -> World:
    """A world with Services and route where they belong."""
    spec = {key: keywords.pop(key) for key in list(keywords) if re.match(r"[a-z]+[A-Z]|rep", key)}
    more = {key: keywords.pop(key) for key in ("analysis",) if key in keywords}
    world = World(gen.manifest(strategy=gen.canary(*weights, routed=routed, **more), **spec))
    for key, value in keywords.items():
        setattr(world, key, value)
    if routed:
        furnish(world, (gen.STABLE, "stable"), (gen.CANARY, "canary"), routed=True)
    return world


def blue_green_world(*, routed: bool = False, **keywords: Any) -> World:
    """A world with an active and a preview Service, and a route if asked for."""
    own = ("after", "analysis")
    more = {key: keywords.pop(key) for key in own if key in keywords}
    spec = {key: keywords.pop(key) for key in list(keywords) if re.match(r"[a-z]+[A-Z]|rep", key)}
    world = World(gen.manifest(strategy=gen.blue_green(routed=routed, **more), **spec))
    for key, value in keywords.items():
        setattr(world, key, value)
    furnish(world, (gen.ACTIVE, "active"), (gen.PREVIEW, "preview"), routed=routed)
    return world


def furnish(world: World, *services: tuple[str, str], routed: bool) -> None:
    """Services that select roles, as users write them, and a route over the first two."""
    world.services |= {name: gen.service(name, role) for name, role in services}
    if routed:
        world.routes = {gen.ROUTE: gen.route(100, 0, second=services[1][0])}
