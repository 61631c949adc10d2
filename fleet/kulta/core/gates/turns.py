"""Turns: where a setting says how many rollouts may be active at once, the others wait here.

A rollout that waits has no pods yet and touches nothing. `holds` asks for `wait`; who is active,
and whose turn it is, `runtime.turns` counts.
"""

from fleet.api import conditions
from fleet.api.rollout import RolloutStatus
from fleet.kulta.core import phases
from fleet.kulta.core.draft import Draft
from fleet.kulta.core.wait import Wait

QUEUED = "Queued"


def wait(draft: Draft) -> Wait | None:
    """Why a revision has to wait before there is anything of it; None when it is its turn."""
    is_change = draft.current != draft.stable and draft.look.total > 0
    if not draft.look.observed.is_full or draft.has_begun or not is_change:
        return None
    message = "as many rollouts are active as the engine may have; this one begins when one ends"
    return Wait(reason=QUEUED, message=message)


def is_on_its_way(status: RolloutStatus) -> bool:
    """Whether another revision than the stable one is to come."""
    return phases.is_active(status.phase) and status.current_pod_hash != status.stable_pod_hash


def is_active(status: RolloutStatus) -> bool:
    """Whether a Rollout with this status has one of the places: a revision is on its way and has
    pods. A return to the stable one needs none."""
    return is_on_its_way(status) and status.updated_replicas > 0


def is_queued(status: RolloutStatus) -> bool:
    """Whether it waits for one."""
    paused = conditions.find(status.conditions, "Paused")
    return phases.is_active(status.phase) and paused is not None and paused.reason == QUEUED
