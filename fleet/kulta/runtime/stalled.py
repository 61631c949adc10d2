"""What stands in the way, said in the status: the condition `Stalled` and, for files that cannot be
read, `InvalidSpec`.

Called by `reconcile` when a write was refused. The core keeps conditions that it does not know, so
`Stalled` stays until a reconcile goes through. Transport failures are not reported here: who cannot
reach the API server cannot write.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from fleet.api import conditions, names
from fleet.api.conditions import STALLED, Condition
from fleet.api.names import Key
from fleet.api.rollout import RolloutStatus
from fleet.errors import (
    FleetError,
    Forbidden,
    Invalid,
    NotFound,
    TemporaryError,
    UnexpectedState,
    UserError,
)
from fleet.kulta.runtime.apply import Turn, World


def is_in(status: RolloutStatus) -> bool:
    """Whether the status says that something stood in the way."""
    return conditions.find(status.conditions, STALLED) is not None


def cleared(status: RolloutStatus) -> RolloutStatus:
    """`status` without it."""
    if not is_in(status):
        return status
    rest = tuple(item for item in status.conditions if item.type != STALLED)
    return status.model_copy(update={"conditions": rest})


async def report(turn: Turn, error: FleetError, now: datetime) -> None:
    """Write the condition and an Event, once for each message. Raises the classes of `errors`."""
    if isinstance(error, TemporaryError | NotFound):
        return  # who waits for an API server, or for a watch to tell what vanished, is not stuck
    status, generation = turn.rollout.status, turn.rollout.metadata.generation
    found = conditions.condition(STALLED, True, _reason(error), str(error))
    if _says(status, found):
        return
    turn.warn(found.reason, found.message)
    added = conditions.updated(status.conditions, (found,), now, generation)
    await turn.report(status.model_copy(update={"conditions": added}))


async def refuse(world: World, key: Key, error: FleetError, now: datetime) -> None:
    """Write `InvalidSpec` into a Rollout that our models cannot read."""
    manifest = world.rollouts.manifest(key)
    if manifest is None or not isinstance(error, UserError):
        return
    meta = manifest["metadata"]
    status = _readable(manifest.get("status") or {})
    found = conditions.condition("InvalidSpec", True, "InvalidSpec", str(error))
    if _says(status, found):
        return
    added = conditions.updated(status.conditions, (found,), now, meta.get("generation", 0))
    body = {**manifest, "status": status.model_copy(update={"conditions": added}).manifest()}
    world.rollouts.known.see(await world.kube.replace(names.ROLLOUTS, body, sub="status"))


def _readable(status: Mapping[str, Any]) -> RolloutStatus:
    try:
        return RolloutStatus.model_validate(status)
    except ValidationError:
        return RolloutStatus()


def _says(status: RolloutStatus, wanted: Condition) -> bool:
    found = conditions.find(status.conditions, wanted.type)
    return found is not None and (found.status, found.reason, found.message) == (
        wanted.status,
        wanted.reason,
        wanted.message,
    )


def _reason(error: FleetError) -> str:
    match error:
        case UserError():
            return error.reason
        case Forbidden():
            return "Forbidden"
        case Invalid():
            return "InvalidSpec"
        case UnexpectedState():
            return "UnexpectedState"
        case _:
            return "WriteRefused"
