"""Requests that let waves and clusters go on: through a gate of the plan, out of an engine's wait.

Called by `requests`. Gates of a wave are the run's own and are opened in its status; what an engine
waits for is carried to it by its ClusterRollout (`cluster.asking`).
"""

from typing import Literal

from fleet.api.clusterrollout import Request
from fleet.api.fleetrollout import ClusterPhase, Pass, PlannedWave, WavePhase
from fleet.hub.core.actions import AskCluster
from fleet.hub.core.run import gates, waits
from fleet.hub.core.run.case import Case, Reply, refused, unknown
from fleet.hub.core.run.row import Row
from fleet.hub.core.run.stops import Stop
from fleet.kit import phrases

SHOWN = 2
"""Clusters of which a refusal tells what they do."""


def approve(case: Case) -> Reply:
    """A yes to the wave that waits for one, by somebody who has seen this plan."""
    wave, _, digest = case.argument.partition(":")
    wanted = case.status.plan_digest
    if not digest:
        return refused(
            case.status,
            f"an approval names wave and plan: write approve/<id>/{wave or '<wave>'}:{wanted}",
        )
    if digest != wanted:
        return refused(
            case.status,
            f"the approval is for plan {digest[:64]}, this run's is {wanted}: look at it, then "
            f"write approve/<id>/{wave}:{wanted}",
        )
    return _passed(case, wave, "approval", "Approved", f"wave {wave} is approved, plan {wanted}")


def promote(case: Case) -> Reply:
    """Let the wave through its `paused` gate; where none waits, clusters out of theirs."""
    first = next((one.name for one in case.status.waves if one.finished_at is None), "")
    name = case.argument or first
    wave = next((one for one in case.run.spec.plan.waves if one.name == name), None)
    if wave is not None and not _goes_back(case) and _waiting_at(case, wave, "paused"):
        return _passed(case, name, "paused", "Promoted", f"wave {name} is let through")
    return _asked(case, "promote", "Promoted", "asked to go on")


def conclude(case: Case) -> Reply:
    """End the experiments that run."""
    return _asked(case, "conclude", "Concluded", "asked to conclude the experiment")


def _asked(case: Case, verb: Literal["promote", "conclude"], reason: str, done: str) -> Reply:
    """The engines that wait for that request hear it: of the cluster or wave named, or of all."""
    name, status = case.argument, case.status
    rows = [row for row in case.rows if name in ("", row.name, row.wave)]
    if not rows:
        return refused(status, f"{name[:64] or 'nobody'} is {unknown(case)}")
    if _goes_back(case):
        # Who is still to be sent home is sent in this very look, and asked for nothing more.
        rows = [row for row in rows if row.sent_back]
    # Who was asked before the hub could say so, and has gone on since, was asked by this one.
    chosen = [row for row in rows if row.awaits == verb or row.asked == case.identity]
    if not chosen:
        rows.sort(key=lambda row: (not row.awaits, not row.held, not row.is_in_flight))
        said = "; ".join(map(_instead, rows[:SHOWN])) or "nobody of these is on the way back yet"
        return refused(status, f"nothing to {verb}: {said}")
    asks = tuple(
        AskCluster(
            cluster=row.name,
            request=Request(id=case.identity, verb=verb, step=row.step, time=case.now),
        )
        for row in chosen
        if row.asked != case.identity
    )
    if asks and (stop := _stop(case)):
        # What stops the run holds nobody who goes back.
        chosen = [row for row in chosen if row.sent_back]
        back = {row.name for row in chosen}
        asks = tuple(ask for ask in asks if ask.cluster in back)
        if not asks:
            return refused(status, f"no engine is asked now: {stop.message}")
    message = f"{done}: {phrases.listed([row.name for row in chosen])}{case.signed}"
    return Reply(status=status, reason=reason, message=message, asks=asks)


def _goes_back(case: Case) -> bool:
    """Whether the whole run goes back: no gate of it counts any more, and no pause."""
    return case.status.undo is not None and case.status.undo.fleet


def _stop(case: Case) -> Stop | None:
    """What takes the run back or holds everybody in this very look."""
    if _goes_back(case):
        return None
    view = gates.View(
        run=case.run.name,
        plan=case.run.spec.plan,
        rows=tuple(case.rows),
        status=case.status,
        observed=case.observed,
    )
    wave = view.plan.waves[0]
    ends = gates.ruin(view) or gates.failing(view)
    return ends or gates.first_stop(view, wave, case.now, (gates.halted, gates.paused))


def _instead(row: Row) -> str:
    """What that cluster does, and what to write."""
    if row.awaits:
        return f"{row.name} waits for another request: write {row.awaits}/<id>/{row.wave}"
    if row.held:
        return f"{row.name} is held: write the request resume"
    if row.phase is ClusterPhase.PAUSED:
        return f"{row.name} goes on by itself ({row.reason})"
    return f"{row.name} is {row.phase}"


def _passed(case: Case, name: str, kind: str, reason: str, message: str) -> Reply:
    """The gates of that kind that the wave has before it now are open."""
    status = case.status
    waves_ = case.run.spec.plan.waves
    wave = next((one for one in waves_ if one.name == name), None)
    if wave is None:
        known = phrases.listed([one.name for one in waves_])
        return refused(status, f"{name[:64]} is no wave of this run: name one of {known}")
    places = _waiting_at(case, wave, kind)
    if not places:
        return refused(status, f"wave {name} does not wait for an approval now")
    new = [Pass(gate=place, by=case.by, time=case.now) for place in places]
    waves = tuple(
        one.model_copy(
            update={"passes": (*(old for old in one.passes if old.gate not in places), *new)}
        )
        if one.name == name
        else one
        for one in status.waves
    )
    after = status.model_copy(update={"waves": waves})
    by = f" by {case.by}" if case.by else ""
    return Reply(status=after, reason=reason, message=f"{message}{by}")


def _waiting_at(case: Case, wave: PlannedWave, kind: str) -> list[str]:
    """Where the wave has closed gates of that kind before it: only the wave in work has any."""
    first = next((one for one in case.status.waves if one.finished_at is None), None)
    if first is None or first.name != wave.name:
        return []
    name = waits.BEFORE if first.started_at is None else waits.AFTER
    if name == waits.AFTER and first.phase is not WavePhase.WAITING:
        return []
    own = wave.before if name == waits.BEFORE else wave.after
    return [f"{name}[{index}]" for index, gate in enumerate(own) if gate.kind == kind]
