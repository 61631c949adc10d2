"""The status of a run after a decision: everything that a person sees, and what the planner keeps.

Called by `plan` last. Two decisions about an unchanged world give equal statuses, so a quiet run is
never written.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from fleet.api import FleetRollout, conditions
from fleet.api.conditions import Condition
from fleet.api.fleetrollout import FleetRolloutStatus, RunPhase, WavePhase
from fleet.hub.core import phases
from fleet.hub.core.run import aggregate, gates, story, waits, walk
from fleet.hub.core.run.gates import View
from fleet.hub.core.run.row import Row
from fleet.hub.core.run.stops import State
from fleet.hub.core.run.story import Told
from fleet.kit import phrases

WAITING = frozenset(
    {RunPhase.HALTED, RunPhase.PAUSED, RunPhase.AWAITING_APPROVAL, RunPhase.OUTSIDE_WINDOW}
)
"""It does not go on by itself now."""
MESSAGE = 512
"""Most characters of the sentence."""


def status(
    run: FleetRollout, view: View, state: State, told: Sequence[Told], now: datetime
) -> tuple[FleetRolloutStatus, tuple[Told, ...]]:
    """The whole next status, and all that is to be told of the way there."""
    before = run.status
    rows, wave = view.rows, _wave(view)
    ended = state.phase in phases.ENDS
    begun = [item.started_at for item in view.status.waves if item.started_at]
    after = view.status.model_copy(
        update={
            "observed_generation": run.metadata.generation,
            "phase": phases.move(phases.RUN_MOVES, before.phase, state.phase, f"run {run.name}"),
            "reason": state.why.reason,
            "message": phrases.short(state.why.message, MESSAGE),
            "since": before.since if _is_same(before, state) else now,
            "until": state.why.until,
            "unblock": state.why.unblock,
            "wave": wave,
            **numbers(run, view.status, rows, wave),
            "started_at": before.started_at or min(begun, default=None),
            "finished_at": (view.status.finished_at or now) if ended else None,
            "next_check": None if ended else recheck(view, state, now),
            "conditions": _conditions(before, state, run.metadata.generation, now),
        }
    )
    news = tuple(dict.fromkeys((*told, *story.tell(before, after, view.plan, rows))))
    return after.model_copy(update={"history": story.history(before, news, now)}), news


def numbers(
    run: FleetRollout, before: FleetRolloutStatus, rows: Sequence[Row], wave: str
) -> dict[str, Any]:
    """Where each cluster stands, alone and counted, as fields of the status."""
    shown, omitted = aggregate.listed(rows, aggregate.room(before))
    return {
        "counts": aggregate.counts(rows),
        "waves": aggregate.waves(before.waves, rows),
        "clusters": shown,
        "clusters_omitted": omitted,
        "display": aggregate.display(run.spec, rows, wave),
    }


def _is_same(before: FleetRolloutStatus, state: State) -> bool:
    """Whether it is still the same wait: another wave's approval is another one."""
    return (before.reason, before.unblock) == (state.why.reason, state.why.unblock)


def recheck(view: View, state: State, now: datetime) -> datetime | None:
    """When time alone changes something: a soak ends, a deadline passes, a window opens."""
    moments = [row.due for row in view.rows if row.due is not None]
    moments += [state.why.until] if state.why.until is not None else []
    for wave in view.plan.waves:
        left = gates.soak_left(wave, gates.find(view.status, wave.name), now)
        moments += [left] if left is not None else []
    for wave in walk.startable(view):
        if any(row.is_pending for row in view.wave(wave.name)):
            spaced = gates.spaced(view, wave, now)
            moments += [spaced.until] if spaced and spaced.until else []
    here = walk.current(view)
    if here is not None and gates.find(view.status, here.name).phase is WavePhase.WAITING:
        due = waits.due(view.side(here), now)
        moments += [due] if due is not None else []
    return min(moments, default=None)


def _wave(view: View) -> str:
    """The wave in work; the last one at the end; none before the beginning."""
    if not any(item.started_at for item in view.status.waves):
        return ""
    wave = walk.current(view)
    return wave.name if wave else view.plan.waves[-1].name


def _conditions(
    before: FleetRolloutStatus, state: State, generation: int, now: datetime
) -> tuple[Condition, ...]:
    """Progressing while it may go on by itself; Succeeded is Unknown until the end."""
    ended = state.phase in phases.ENDS
    going = not ended and state.phase not in WAITING
    good = state.phase is RunPhase.SUCCEEDED if ended else None
    new = (
        conditions.condition("Progressing", going, state.why.reason, state.why.message),
        conditions.condition("Succeeded", good, state.why.reason, state.why.message),
    )
    return conditions.updated(before.conditions, new, now, generation)
