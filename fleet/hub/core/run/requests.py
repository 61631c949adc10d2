"""What a person asks of a run: `<verb>/<id>[/<argument>]` in the request annotation.

Called by `plan` with the status before; returns the status after and what is to be told. An id is
acted on once; what cannot be done is answered with the reason, never dropped.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from fleet.api import FleetRollout
from fleet.api.fleetrollout import (
    FleetRolloutStatus,
    Pass,
    PlannedWave,
    RunPhase,
    Undo,
    WavePhase,
)
from fleet.errors import UserError
from fleet.hub.core import phases
from fleet.hub.core.observed import RunObserved
from fleet.hub.core.run import former, waits
from fleet.hub.core.run.row import Row
from fleet.kit import phrases

REMEMBERED = 20
"""Ids of requests that a run knows to have acted on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """The run as the request finds it."""

    run: FleetRollout
    status: FleetRolloutStatus
    rows: Sequence[Row]
    observed: RunObserved
    now: datetime
    argument: str = ""
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a request does: the status after it, and the entry that tells of it."""

    status: FleetRolloutStatus
    reason: str
    message: str
    abort: bool = False


Verb = Callable[[Case], Reply]


def identity(text: str) -> str:
    """The id of a request; a malformed request is its own id. At most 253 characters."""
    parts = text.split("/")
    return (parts[1] if len(parts) > 1 and parts[1] else text)[:253]


def handle(texts: Sequence[str], case: Case) -> Reply | None:
    """The answer to the first of the requests `texts` that was not answered yet, or None; the next
    one is answered at the next look, which the status that follows brings about."""
    status = case.status
    text = next((text for text in texts if identity(text) not in status.handled), "")
    if not text:
        return None
    verb, _, rest = text.partition("/")
    _, _, argument = rest.partition("/")
    marked = status.model_copy(update={"handled": _remembered(texts, status.handled, text)})
    if identity(text) == case.run.spec.request_seen:
        return _refused(marked, f"the request {text[:100]} is older than this run: use a new id")
    if verb not in VERBS or not rest:
        return _refused(marked, f"the request {text[:100]} is not understood: {HELP}")
    late = status.phase in phases.ENDS - AFTER_THE_END.get(verb, frozenset())
    if late and not (verb == "abort" and status.undo_to):
        return _refused(marked, f"the request {verb} came after the end of the run: {status.phase}")
    if status.undo is not None and status.undo.fleet and verb not in ON_THE_WAY_BACK:
        return _refused(marked, f"the request {verb} came too late: the run is rolled back")
    author = case.observed.authors.get(text, "")
    return VERBS[verb](replace(case, status=marked, argument=argument, by=author))


def _remembered(texts: Sequence[str], handled: Sequence[str], text: str) -> tuple[str, ...]:
    """The last ids; one that is still written somewhere is not forgotten, whatever its age."""
    standing = {identity(each) for each in texts}
    old = [each for each in handled if each not in standing]
    kept = [each for each in handled if each in standing]
    room = REMEMBERED - len(kept) - 1
    return (*old[len(old) - min(room, len(old)) :], *kept, identity(text))


def _refused(status: FleetRolloutStatus, message: str) -> Reply:
    return Reply(status=status, reason="RequestRefused", message=message)


def _pause(case: Case) -> Reply:
    after = case.status.model_copy(update={"paused": True})
    return Reply(status=after, reason="Paused", message="paused by request")


def _resume(case: Case) -> Reply:
    """Go on: out of a pause, and out of a halt in spite of what has failed so far."""
    status = case.status
    failed = tuple(row.name for row in case.rows if row.is_failed) if status.halted_at else ()
    accepted = tuple(sorted({*status.accepted, *failed}))
    after = status.model_copy(update={"paused": False, "halted_at": None, "accepted": accepted})
    told = f"; accepted as failed: {', '.join(failed[:5])}" if failed else ""
    return Reply(status=after, reason="Resumed", message=f"resumed by request{told}")


def _retry(case: Case) -> Reply:
    """Another chance for the failed ones, and only for them."""
    status, argument = case.status, case.argument
    failed = [row.name for row in case.rows if row.is_failed and argument in ("", row.name)]
    if not failed:
        which = f"cluster {argument} has not failed in this run" if argument else "none has failed"
        return _refused(status, f"nothing to retry: {which}")
    after = status.model_copy(
        update={
            "halted_at": None,
            "finished_at": None,
            "accepted": tuple(name for name in status.accepted if name not in failed),
            "retrying": tuple(sorted({*status.retrying, *failed})),
        }
    )
    told = f"retry of {len(failed)}: {', '.join(failed[:5])}"
    return Reply(status=after, reason="Retried", message=told)


def _abort(case: Case) -> Reply:
    after = former.forgotten(case.status)
    return Reply(status=after, reason="Aborted", message="aborted by request", abort=True)


def _skip(case: Case) -> Reply:
    """Leave out a cluster that has not gone, or all such of a wave."""
    name, status = case.argument, case.status
    rows = [row for row in case.rows if name and name in (row.name, row.wave)]
    if not rows:
        return _refused(status, f"{name or 'nothing'} is {_unknown(case)}")
    names = [row.name for row in rows if row.is_pending or row.is_deferred]
    if not names:
        return _refused(status, f"nothing to skip: no cluster of {name} still has to go")
    after = status.model_copy(update={"skipped": tuple(sorted({*status.skipped, *names}))})
    return Reply(status=after, reason="Skipped", message=f"left out: {phrases.listed(names)}")


def _rollback(case: Case) -> Reply:
    """Back to what ran well before: the whole run, a wave or a cluster of it."""
    name, status = case.argument, case.status
    rows = [row for row in case.rows if name in ("", row.name, row.wave)]
    if not rows:
        return _refused(status, f"{name} is {_unknown(case)}")
    if status.phase is RunPhase.ABORTED and name:
        return _refused(status, "the run was aborted: only all of it can be rolled back")
    gone = [row for row in rows if row.mine]
    homeless = [row.name for row in gone if row.home is None]
    if not gone or len(homeless) == len(gone):
        why = f"nothing ran well before this run in {phrases.listed(homeless)}"
        none = "no cluster of it has been updated" if name else "no cluster has been updated"
        return _refused(status, f"nothing to roll back: {why if gone else none}")
    by = f"asked for by {case.by}" if case.by else "asked for"
    before = status.undo or Undo()
    waves = {row.wave for row in rows}
    undo = before.model_copy(
        update={
            "fleet": before.fleet or not name,
            "waves": before.waves if name not in waves else (*before.waves, name),
            "clusters": before.clusters if name in {"", *waves} else (*before.clusters, name),
            "message": by,
        }
    )
    after = status.model_copy(update={"undo": undo, "finished_at": None})
    if undo.fleet:
        after = after.model_copy(update={"halted_at": None, "retrying": ()})
    what = f"{name} goes back" if name else "the whole run goes back"
    return Reply(status=after, reason="RollingBack", message=f"{what}, {by}")


def _undo(case: Case) -> Reply:
    """A former run is delivered again, in a run of its own that takes over from this one."""
    try:
        found = former.target(case.run, case.observed.former, case.argument)
    except UserError as error:
        return _refused(case.status, str(error))
    after = former.begin(case.status, found, case.observed.asked)
    by = f", asked for by {case.by}" if case.by else ""
    told = f"{found.name} is delivered again, revision {found.spec.revision}{by}"
    return Reply(status=after, reason="Undone", message=told)


def _confirm_prune(case: Case) -> Reply:
    """Those who have left the fleet may go: the digest says who, so that nobody else goes."""
    wanted = case.observed.leaving
    if not wanted:
        return _refused(case.status, "nobody waits to be let go: condition Pruned would say so")
    if case.argument != wanted:
        others = f"those who wait now are others than {case.argument[:64] or 'nobody'}"
        told = f"{others}: look at condition Pruned, then write confirm-prune/<id>/{wanted}"
        return _refused(case.status, told)
    after = case.status.model_copy(update={"prune_confirmed": wanted})
    return Reply(status=after, reason="PruneConfirmed", message="those who have left may go")


def _unknown(case: Case) -> str:
    waves = phrases.listed([wave.name for wave in case.run.spec.plan.waves])
    return f"neither a wave of this run ({waves}) nor a cluster of it"


def _approve(case: Case) -> Reply:
    """A yes to the wave that waits for one, by somebody who has seen this plan."""
    wave, _, digest = case.argument.partition(":")
    wanted = case.status.plan_digest
    if not digest:
        return _refused(
            case.status,
            f"an approval names wave and plan: write approve/<id>/{wave or '<wave>'}:{wanted}",
        )
    if digest != wanted:
        return _refused(
            case.status,
            f"the approval is for plan {digest[:64]}, this run's is {wanted}: look at it, then "
            f"write approve/<id>/{wave}:{wanted}",
        )
    return _passed(case, wave, "approval", "Approved", f"wave {wave} is approved, plan {wanted}")


def _promote(case: Case) -> Reply:
    """Let the wave through its `paused` gate."""
    wave = case.argument or next(
        (one.name for one in case.status.waves if one.finished_at is None), ""
    )
    return _passed(case, wave, "paused", "Promoted", f"wave {wave} is let through")


def _passed(case: Case, name: str, kind: str, reason: str, message: str) -> Reply:
    """The gates of that kind that the wave has before it now are open."""
    status = case.status
    waves_ = case.run.spec.plan.waves
    wave = next((one for one in waves_ if one.name == name), None)
    if wave is None:
        known = phrases.listed([one.name for one in waves_])
        return _refused(status, f"{name[:64]} is no wave of this run: name one of {known}")
    places = _waiting_at(case, wave, kind)
    if not places:
        return _refused(status, f"wave {name} does not wait for {WORDS[kind]} now")
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
    gates = wave.before if name == waits.BEFORE else wave.after
    return [f"{name}[{index}]" for index, gate in enumerate(gates) if gate.kind == kind]


WORDS: Mapping[str, str] = {"approval": "an approval", "paused": "a promotion"}

VERBS: Mapping[str, Verb] = {
    "pause": _pause,
    "resume": _resume,
    "approve": _approve,
    "promote": _promote,
    "skip": _skip,
    "retry": _retry,
    "rollback": _rollback,
    "undo": _undo,
    "abort": _abort,
    "confirm-prune": _confirm_prune,
}
AFTER_THE_END: Mapping[str, frozenset[RunPhase]] = {
    "retry": frozenset({RunPhase.SUCCEEDED_WITH_FAILURES}),
    "rollback": phases.GOOD_ENDS | {RunPhase.ABORTED},
    "undo": phases.ENDS,
    "confirm-prune": phases.ENDS,
}
"""What a run listens to when it is over, by how it ended."""
ON_THE_WAY_BACK = frozenset({"rollback", "undo", "abort", "confirm-prune"})
"""What a run listens to that goes back as a whole."""
HELP = f"write <verb>/<id>[/<argument>] with one of {', '.join(VERBS)} and a new id"
