"""What a person asks of a run: `<verb>/<id>[/<argument>]` in the request annotation.

Called by `plan` with the status before; returns the status after and what is to be told. An id is
acted on once; what cannot be done is answered with the reason, never dropped.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from fleet.api.fleetrollout import FleetRolloutStatus, RunPhase, Undo
from fleet.errors import UserError
from fleet.hub.core import phases
from fleet.hub.core.run import former, openings
from fleet.hub.core.run.case import Case, Reply, refused, unknown
from fleet.kit import phrases

REMEMBERED = 20
"""Ids of requests that a run knows to have acted on."""


Verb = Callable[[Case], Reply]


def identity(text: str) -> str:
    """The id of a request; a malformed request is its own id. At most 253 characters."""
    parts = text.split("/")
    return (parts[1] if len(parts) > 1 and parts[1] else text)[:253]


def handle(texts: Sequence[str], case: Case) -> Reply | None:
    """The answer to the first of the requests `texts` that was not answered yet, or None; the next
    one is answered at the next look, which the status that follows brings about."""
    status = case.status
    text = first(texts, status)
    if not text:
        return None
    verb, _, rest = text.partition("/")
    _, _, argument = rest.partition("/")
    marked = status.model_copy(update={"handled": _remembered(texts, status.handled, text)})
    if identity(text) == case.run.spec.request_seen:
        return refused(marked, f"the request {text[:100]} is older than this run: use a new id")
    if verb not in VERBS or not rest:
        return refused(marked, f"the request {text[:100]} is not understood: {HELP}")
    late = status.phase in phases.ENDS - AFTER_THE_END.get(verb, frozenset())
    if late and not (verb == "abort" and status.undo_to):
        return refused(marked, f"the request {verb} came after the end of the run: {status.phase}")
    if status.undo is not None and status.undo.fleet and verb not in ON_THE_WAY_BACK:
        return refused(marked, f"the request {verb} came too late: the run is rolled back")
    author = case.observed.authors.get(text, "")
    found = replace(case, status=marked, identity=identity(text), argument=argument, by=author)
    return VERBS[verb](found)


def first(texts: Sequence[str], status: FleetRolloutStatus) -> str:
    """The first of the requests `texts` that was not answered yet; empty where all were."""
    return next((text for text in texts if identity(text) not in status.handled), "")


def _remembered(texts: Sequence[str], handled: Sequence[str], text: str) -> tuple[str, ...]:
    """The last ids; one that is still written somewhere is not forgotten, whatever its age."""
    standing = {identity(each) for each in texts}
    old = [each for each in handled if each not in standing]
    kept = [each for each in handled if each in standing]
    room = REMEMBERED - len(kept) - 1
    return (*old[len(old) - min(room, len(old)) :], *kept, identity(text))


def _pause(case: Case) -> Reply:
    after = case.status.model_copy(update={"paused": True})
    return Reply(status=after, reason="Paused", message=f"paused {case.called}")


def _resume(case: Case) -> Reply:
    """Go on: out of a pause, and out of a halt in spite of what has failed so far."""
    status = case.status
    is_halted = status.halted_at is not None or status.phase is RunPhase.HALTED
    if not (status.paused or is_halted):
        why = status.message or "nobody has paused it"
        return refused(status, f"nothing to resume: {phrases.short(why, 512)}")
    failed = tuple(row.name for row in case.rows if row.is_failed) if status.halted_at else ()
    accepted = tuple(sorted({*status.accepted, *failed}))
    after = status.model_copy(update={"paused": False, "halted_at": None, "accepted": accepted})
    told = f"; accepted as failed: {', '.join(failed[:5])}" if failed else ""
    return Reply(status=after, reason="Resumed", message=f"resumed {case.called}{told}")


def _retry(case: Case) -> Reply:
    """Another chance for the failed ones, and only for them."""
    status, argument = case.status, case.argument
    failed = [row.name for row in case.rows if row.is_failed and argument in ("", row.name)]
    if not failed:
        which = f"cluster {argument} has not failed in this run" if argument else "none has failed"
        return refused(status, f"nothing to retry: {which}")
    after = status.model_copy(
        update={
            "halted_at": None,
            "finished_at": None,
            "accepted": tuple(name for name in status.accepted if name not in failed),
            "retrying": tuple(sorted({*status.retrying, *failed})),
        }
    )
    told = f"retry of {len(failed)}: {', '.join(failed[:5])}{case.signed}"
    return Reply(status=after, reason="Retried", message=told)


def _abort(case: Case) -> Reply:
    after = former.forgotten(case.status)
    return Reply(status=after, reason="Aborted", message=f"aborted {case.called}", abort=True)


def _skip(case: Case) -> Reply:
    """Leave out a cluster that has not gone, or all such of a wave."""
    name, status = case.argument, case.status
    rows = [row for row in case.rows if name and name in (row.name, row.wave)]
    if not rows:
        return refused(status, f"{name or 'nothing'} is {unknown(case)}")
    names = [row.name for row in rows if row.is_pending or row.is_deferred]
    if not names:
        return refused(status, f"nothing to skip: no cluster of {name} still has to go")
    after = status.model_copy(update={"skipped": tuple(sorted({*status.skipped, *names}))})
    told = f"left out: {phrases.listed(names)}{case.signed}"
    return Reply(status=after, reason="Skipped", message=told)


def _rollback(case: Case) -> Reply:
    """Back to what ran well before: the whole run, a wave or a cluster of it."""
    name, status = case.argument, case.status
    rows = [row for row in case.rows if name in ("", row.name, row.wave)]
    if not rows:
        return refused(status, f"{name} is {unknown(case)}")
    if status.phase is RunPhase.ABORTED and name:
        return refused(status, "the run was aborted: only all of it can be rolled back")
    gone = [row for row in rows if row.mine]
    homeless = [row.name for row in gone if row.home is None]
    if not gone or len(homeless) == len(gone):
        why = f"nothing ran well before this run in {phrases.listed(homeless)}"
        none = "no cluster of it has been updated" if name else "no cluster has been updated"
        return refused(status, f"nothing to roll back: {why if gone else none}")
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
        return refused(case.status, str(error))
    after = former.begin(case.status, found, case.observed.asked)
    by = f", asked for by {case.by}" if case.by else ""
    told = f"{found.name} is delivered again, revision {found.spec.revision}{by}"
    return Reply(status=after, reason="Undone", message=told)


def _confirm_prune(case: Case) -> Reply:
    """Those who have left the fleet may go: the digest says who, so that nobody else goes."""
    wanted = case.observed.leaving
    if not wanted:
        return refused(case.status, "nobody waits to be let go: condition Pruned would say so")
    if case.argument != wanted:
        others = f"those who wait now are others than {case.argument[:64] or 'nobody'}"
        told = f"{others}: look at condition Pruned, then write confirm-prune/<id>/{wanted}"
        return refused(case.status, told)
    after = case.status.model_copy(update={"prune_confirmed": wanted})
    told = f"those who have left may go{case.signed}"
    return Reply(status=after, reason="PruneConfirmed", message=told)


VERBS: Mapping[str, Verb] = {
    "pause": _pause,
    "resume": _resume,
    "approve": openings.approve,
    "promote": openings.promote,
    "conclude": openings.conclude,
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
    "promote": frozenset({RunPhase.ROLLED_BACK}),
    "conclude": frozenset({RunPhase.ROLLED_BACK}),
    "confirm-prune": phases.ENDS,
}
"""What a run listens to when it is over, by how it ended."""
ON_THE_WAY_BACK = frozenset({"promote", "conclude", "rollback", "undo", "abort", "confirm-prune"})
"""What a run listens to that goes back as a whole."""
HELP = f"write <verb>/<id>[/<argument>] with one of {', '.join(VERBS)} and a new id"
