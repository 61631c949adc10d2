"""What a person asks of a run: `<verb>/<id>[/<argument>]` in the request annotation.

Called by `plan` with the status before; returns the status after and what is to be told. An id is
acted on once; what cannot be done is answered with the reason, never dropped.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from fleet.api.fleetrollout import FleetRolloutStatus, RunPhase
from fleet.hub.core import phases
from fleet.hub.core.run.row import Row

REMEMBERED = 20
HELP = "write <verb>/<id>[/<cluster>] with one of pause, resume, retry, abort and a new id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a request does: the status after it, and the entry that tells of it."""

    status: FleetRolloutStatus
    reason: str
    message: str
    abort: bool = False


Verb = Callable[[FleetRolloutStatus, Sequence[Row], str, datetime], Reply]


def identity(text: str) -> str:
    """The id of a request; a malformed request is its own id. At most 253 characters."""
    parts = text.split("/")
    return (parts[1] if len(parts) > 1 and parts[1] else text)[:253]


def handle(
    texts: Sequence[str], status: FleetRolloutStatus, rows: Sequence[Row], now: datetime
) -> Reply | None:
    """The answer to the first of the requests `texts` that was not answered yet; None if all were.

    The next one is answered at the next look, which the status that follows brings about.
    """
    text = next((text for text in texts if identity(text) not in status.handled), "")
    if not text:
        return None
    verb, _, rest = text.partition("/")
    _, _, argument = rest.partition("/")
    marked = status.model_copy(update={"handled": _remembered(texts, status.handled, text)})
    if verb not in VERBS or not rest:
        return _refused(marked, f"the request {text[:100]} is not understood: {HELP}")
    if status.phase in phases.ENDS and verb != "retry":
        return _refused(marked, f"the request {verb} came after the end of the run")
    return VERBS[verb](marked, rows, argument, now)


def _remembered(texts: Sequence[str], handled: Sequence[str], text: str) -> tuple[str, ...]:
    """The last ids; one that is still written somewhere is not forgotten, whatever its age."""
    standing = {identity(each) for each in texts}
    old = [each for each in handled if each not in standing]
    kept = [each for each in handled if each in standing]
    room = REMEMBERED - len(kept) - 1
    return (*old[len(old) - min(room, len(old)) :], *kept, identity(text))


def _refused(status: FleetRolloutStatus, message: str) -> Reply:
    return Reply(status=status, reason="RequestRefused", message=message)


def _pause(
    status: FleetRolloutStatus, _rows: Sequence[Row], _argument: str, _now: datetime
) -> Reply:
    after = status.model_copy(update={"paused": True})
    return Reply(status=after, reason="Paused", message="paused by request")


def _resume(
    status: FleetRolloutStatus, rows: Sequence[Row], _argument: str, _now: datetime
) -> Reply:
    """Go on: out of a pause, and out of a halt in spite of what has failed so far."""
    failed = tuple(row.name for row in rows if row.is_failed) if status.halted_at else ()
    after = status.model_copy(
        update={
            "paused": False,
            "halted_at": None,
            "accepted": tuple(sorted({*status.accepted, *failed})),
        }
    )
    accepted = f"; accepted as failed: {', '.join(failed[:5])}" if failed else ""
    return Reply(status=after, reason="Resumed", message=f"resumed by request{accepted}")


def _retry(status: FleetRolloutStatus, rows: Sequence[Row], argument: str, _now: datetime) -> Reply:
    """Another chance for the failed ones, and only for them."""
    if status.phase in phases.ENDS and status.phase is not RunPhase.SUCCEEDED_WITH_FAILURES:
        return _refused(status, f"the request retry came after the end of the run: {status.phase}")
    failed = [row.name for row in rows if row.is_failed and argument in ("", row.name)]
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
    count = len(failed)
    return Reply(
        status=after, reason="Retried", message=f"retry of {count}: {', '.join(failed[:5])}"
    )


def _abort(
    status: FleetRolloutStatus, _rows: Sequence[Row], _argument: str, _now: datetime
) -> Reply:
    return Reply(status=status, reason="Aborted", message="aborted by request", abort=True)


VERBS: Mapping[str, Verb] = {
    "pause": _pause,
    "resume": _resume,
    "retry": _retry,
    "abort": _abort,
}
