"""Which former run of an Application an `undo` delivers again.

Called by `requests`, `plan` and the Application's `aside`. A rollback leads each cluster back to
its own last good run and ends there; an undo is a run like any other: one snapshot for everybody,
through the waves with their gates.
"""

from collections.abc import Sequence

from fleet.api import FleetRollout
from fleet.api.fleetrollout import Asked, FleetRolloutStatus
from fleet.errors import UserError
from fleet.hub.core import phases
from fleet.kit import phrases


def target(run: FleetRollout, former: Sequence[FleetRollout], name: str) -> FleetRollout:
    """The run called `name`, or the last good one of another revision where none is named.

    `former` are the runs before `run`, oldest first. Raises UserError `RequestRefused` with what to
    write instead.
    """
    others = [other for other in former if other.spec.revision != run.spec.revision]
    known = phrases.listed([other.name for other in reversed(others)])
    choice = f"write undo/<id>/<run> with one of {known}" if others else "there is no former one"
    if not name:
        found = next((other for other in reversed(others) if is_good(other)), None)
        why = "nothing to undo: no former run of another revision went well"
    else:
        found = next((other for other in others if other.name == name), None)
        same = any(other.name == name for other in (run, *former))
        why = f"{name[:64]} is no former run of this Application"
        why = f"nothing to undo: {name} has the revision of {run.name}" if same else why
    if found is None:
        raise UserError("RequestRefused", f"{why}: {choice}")
    there, here = (one.spec.application.spec.destination for one in (found, run))
    if there != here:
        raise UserError(
            "RequestRefused",
            f"{found.name} went to fleet {there.fleet}, namespace {there.namespace or 'its own'}, "
            f"{run.name} does not: change spec.destination of the Application",
        )
    return found


def begin(
    status: FleetRolloutStatus, found: FleetRollout, asked: Asked | None
) -> FleetRolloutStatus:
    """From now on `found` is to be delivered again, in place of what the Application asks for."""
    return status.model_copy(update={"undo_to": found.name, "undo_of": asked})


def is_over(status: FleetRolloutStatus, asked: Asked | None) -> bool:
    """Whether the Application has asked for something else since an undo that has not come about:
    what a person wrote last holds."""
    then = status.undo_of if status.undo_to else None
    if then is None or asked is None:
        return False
    return asked.generation > then.generation and asked.digest != then.digest


def forgotten(status: FleetRolloutStatus) -> FleetRolloutStatus:
    """Without the undo."""
    return status.model_copy(update={"undo_to": "", "undo_of": None})


def is_good(run: FleetRollout) -> bool:
    """Whether nobody failed in it; who was out of reach or left out speaks against nothing."""
    return run.status.phase in phases.GOOD_ENDS and not run.status.counts.failed
