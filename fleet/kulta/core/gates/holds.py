"""Who may stop steps: the user, the hub, a requested pause, an advisor, a step's own pause.

They stop steps only; analysis, rollback and a promotion under way go on. Used by strategies.
"""

from fleet.api.rollout import Step
from fleet.kulta.core.draft import Draft
from fleet.kulta.core.gates import advice, hooks, turns
from fleet.kulta.core.record import deadlines
from fleet.kulta.core.wait import Wait

PAUSED = "StepPaused"
"""The reason of a step's own pause."""


def from_outside(draft: Draft) -> Wait | None:
    """Who or what holds the rollout, its own steps apart; None: nobody."""
    return of_people(draft) or hooks.at_entry(draft) or turns.wait(draft)


def of_people(draft: Draft) -> Wait | None:
    """Who holds it, so that no look at the world is needed to know; an advisor is one of them."""
    spec = draft.look.spec
    if spec.paused:
        return Wait(reason="UserPaused", message="spec.paused is true; set it to false to go on")
    if spec.hold is not None:
        return Wait(reason="Held", message=f"held by the hub: {spec.hold.reason}")
    if draft.status.pause_requested:
        return Wait(
            reason="PauseRequested",
            message='paused by kulta.io/pause; set the annotation kulta.io/resume: "true" to go on',
        )
    return advice.hold(draft)


def is_firm(draft: Draft) -> bool:
    """Whether the hold is in the spec, so that a request cannot lift it."""
    return draft.look.spec.paused or draft.look.spec.hold is not None


def begin(draft: Draft, step: Step) -> None:
    """A pause that came while its step was in force, or that has lost its beginning, begins now."""
    if step.pause is not None and draft.status.pause_start_time is None:
        draft.set(pause_start_time=draft.now)


def of_step(draft: Draft, step: Step) -> Wait | None:
    """The pause of a step that is reached; None once it is over."""
    if step.pause is None:
        return None
    weight = draft.status.current_weight or 0
    end = deadlines.pause_end(step.pause, draft.status.pause_start_time)
    if end is None:
        return Wait(
            reason=PAUSED,
            message=f"paused at {weight}% until kulta.io/promote",
        )
    if draft.now >= end or advice.advances(draft, step):
        return None
    draft.wake(deadlines.next_look(end, draft.now))
    return Wait(
        reason=PAUSED,
        message=f"paused at {weight}% for {step.pause.duration}",
        until=end,
    )
