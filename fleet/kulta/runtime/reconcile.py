"""One reconcile: look → plan (core) → write → report; the only place where the four meet.

`wiring.engine` runs it from the work queue, a key at a time. It is also the one place that turns
errors into a condition, an Event, a metric and the time of the next try; nothing on the way
swallows them. It looks at the world as it is, never at what changed.
"""

import contextlib
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from fleet.aio import WorkQueue
from fleet.api.names import Key
from fleet.api.rollout import Rollout
from fleet.errors import Conflict, FleetError, NotFound, UnexpectedState, UserError
from fleet.kulta.core import plan as core
from fleet.kulta.core.actions import Plan
from fleet.kulta.core.messages import vocabulary
from fleet.kulta.core.observed import Observed
from fleet.kulta.core.record import decisions
from fleet.kulta.runtime import stalled
from fleet.kulta.runtime.advisors import Consultations
from fleet.kulta.runtime.apply import Turn, Vanished, World
from fleet.kulta.runtime.hooks import Errands
from fleet.kulta.runtime.measure import Measurements
from fleet.kulta.runtime.outbox import Outbox
from fleet.kulta.runtime.turns import Turns
from fleet.ports import Clock
from fleet.telemetry import logs
from fleet.telemetry.metrics import EngineMetrics

CONFLICT_SECONDS, MOST_CONFLICT_SECONDS = 0.1, 30.0
"""A conflict means that somebody was faster: look again at once, but not for ever at once."""
SOONEST_SECONDS = 0.02

log = logging.getLogger(__name__)


Decide = Callable[[Rollout, Observed, datetime], Plan]
"""`core.plan`; tests of this module give their own."""


class Leading(Protocol):
    """Whether we may write."""

    @property
    def is_leader(self) -> bool: ...


@dataclass(eq=False, slots=True, kw_only=True)
class Reconciler:
    """See the module. `queue` backs off from 5 s to 5 min."""

    world: World
    queue: WorkQueue[Key]
    measurements: Measurements
    consultations: Consultations
    errands: Errands
    turns: Turns
    outbox: Outbox
    metrics: EngineMetrics
    clock: Clock
    leading: Leading
    decide: Decide = core.plan
    default_prometheus: str = ""
    _counters: dict[Key, float] = field(default_factory=dict)
    """Rollouts whose counters wait to be written, and until when (monotonic)."""
    _conflicts: dict[Key, int] = field(default_factory=dict)
    """Conflicts in a row."""

    async def reconcile(self, key: Key) -> None:
        """Bring one Rollout a step further and see to it that somebody looks again in time."""
        if not self.leading.is_leader:
            self.metrics.reconciled(result="skipped")
            return
        started = self.clock.monotonic()
        turn = None
        with logs.bind(namespace=key[0], rollout=key[1], **self._whereabouts(key)):
            try:
                rollout = await self._known(key)
                if rollout is None:
                    self._forget(key)
                    return
                turn = Turn(self.world, rollout)
                plan = await self._advance(key, turn)
            except FleetError as error:
                await self._failed(key, error, turn)
            else:
                self._succeeded(key, turn.rollout, plan, self.clock.monotonic() - started)

    def _whereabouts(self, key: Key) -> dict[str, str]:
        """Revision and step at which the Rollout stands, for every line of the log."""
        try:
            rollout = self.world.rollouts.get(key)
        except UserError:
            return {}  # `_known` says so again, and then it is reported
        if rollout is None:
            return {}
        return {"revision": rollout.status.current_pod_hash, "step": rollout.status.step}

    async def _known(self, key: Key) -> Rollout | None:
        """The Rollout; one that lost a set is read anew, because its end may have been missed."""
        world = self.world
        if key in world.observer.bereaved and key in world.rollouts.known:
            with contextlib.suppress(NotFound):
                await world.read(key)
            world.observer.bereaved.discard(key)
        return world.rollouts.get(key)

    async def _advance(self, key: Key, turn: Turn) -> Plan:
        now = self.clock.now()
        rollout = turn.rollout
        seen = self.world.observer.observe(
            rollout, self.measurements.of(key), self.default_prometheus
        )
        uid = rollout.metadata.uid
        known, consulted = self.outbox.of(key, uid), self.consultations.of(key)
        consumed = frozenset(self.world.consumed.pop(key, ()))
        holders = {(key[0], item.holder) for item in seen.workloads.values() if item.holder}
        seen = replace(
            seen,
            holders=frozenset(x[1] for x in holders if x in self.world.rollouts.known),
            told=known.told,
            emitted=known.emitted,
            consulted=consulted,
            heard=self.errands.of(key),
            is_full=self.turns.is_full(key),
            consumed=consumed,
        )
        plan = self.decide(rollout, seen, now)
        stable = plan.status.stable_pod_hash
        others = [item for item in seen.replica_sets if item.hash != stable and item.replicas]
        self.turns.note(key, plan.status, has_pods=bool(others))
        try:
            await turn.perform(plan.actions)
            if self._is_due(key, rollout, plan):
                await turn.report(stalled.cleared(plan.status))
                self._counters.pop(key, None)
        except FleetError:
            # It is judged, whatever cannot be written; but while no beginning is stored every look
            # begins anew, finds each answer too old and would ask again as soon as one is there.
            if plan.status.step_start_time == rollout.status.step_start_time:
                self.measurements.ask(key, plan.queries)
            raise
        _log(rollout, plan)
        self.outbox.put(key, uid, plan.transitions, plan.told)
        await turn.perform(plan.after)
        self.measurements.ask(key, plan.queries)
        self.consultations.ask(key, plan.questions)
        self.errands.ask(key, plan.errands)
        return plan

    def _is_due(self, key: Key, rollout: Rollout, plan: Plan) -> bool:
        """Whether the status is written now: at once, but for counters, which may wait."""
        if stalled.cleared(plan.status) == rollout.status:
            self._counters.pop(key, None)
            return False
        left = 0.0
        if not stalled.is_in(rollout.status):
            now, wait = self.clock.monotonic(), plan.may_wait.total_seconds()
            due = self._counters[key] = min(self._counters.get(key, math.inf), now + wait)
            left = due - now
        if left <= 0:
            return True
        self.queue.add_after(key, left)
        return False

    def _succeeded(self, key: Key, rollout: Rollout, plan: Plan, seconds: float) -> None:
        self.queue.forget(key)
        self._conflicts.pop(key, None)
        strategy = vocabulary.word(core.strategy_name(rollout))
        self.metrics.reconciled(result="success", strategy=strategy, seconds=seconds)
        self.metrics.show_rollout(
            *key,
            phase=plan.status.phase or "",
            strategy=strategy,
            weight=plan.status.current_weight or 0,
        )
        if plan.wake_at is not None:
            left = (plan.wake_at - self.clock.now()).total_seconds()
            self.queue.add_after(key, max(left, SOONEST_SECONDS))

    async def _failed(self, key: Key, error: FleetError, turn: Turn | None) -> None:
        """Class by class: look again soon, forget, or report, back off and try again."""
        match error:
            case Vanished():
                self._forget(key)
            case Conflict():
                self.metrics.reconciled(result="skipped")
                before = self._conflicts.get(key, 0)
                self._conflicts[key] = min(before + 1, 16)
                self.queue.add_after(key, min(CONFLICT_SECONDS * 2**before, MOST_CONFLICT_SECONDS))
            case _:
                self.metrics.reconciled(result="error")
                seconds = self.queue.retry(key, at_least=error.retry_after or 0.0)
                bug = error if isinstance(error, UnexpectedState) else None
                log.warning(
                    "a reconcile failed",
                    exc_info=bug,
                    extra={"why": str(error), "retry_seconds": seconds},
                )
                await self._report(key, error, turn)

    async def _report(self, key: Key, error: FleetError, turn: Turn | None) -> None:
        """Say in the status what stands in the way, where that may help; a failure is logged."""
        try:
            if turn is None:
                await stalled.refuse(self.world, key, error, self.clock.now())
            else:
                await stalled.report(turn, error, self.clock.now())
        except FleetError as second:
            log.warning("the failure could not be reported", extra={"why": str(second)})

    def _forget(self, key: Key) -> None:
        """The Rollout is gone: so are its gauges, its measurements and its times."""
        self._counters.pop(key, None)
        self._conflicts.pop(key, None)
        self.outbox.forget(key)
        self.world.consumed.pop(key, None)
        self.queue.forget(key)
        self.measurements.forget(key)
        self.consultations.forget(key)
        self.errands.forget(key)
        self.turns.forget(key)
        self.metrics.forget_rollout(*key)
        self.world.observer.forget(key)


def _log(rollout: Rollout, plan: Plan) -> None:
    """A line for each decision that has just been made; what is told again is no news."""
    known = decisions.last(rollout.status)
    for item in plan.transitions:
        decision = item.decision
        if decision.sequence > known:
            log.info(
                "decided",
                extra={
                    "revision": decision.revision,
                    "step": item.status.step,
                    "action": decision.action,
                    "reason": decision.reason,
                    "weight": decision.weight,
                    "sequence": decision.sequence,
                    "why": decision.message,
                },
            )
