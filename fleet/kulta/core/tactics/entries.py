"""What the diary says of a canary's steps: that one pauses, has another weight, and why it is left.

Called by the canary strategy. Nothing here decides where a rollout goes.
"""

from fleet.api.rollout import Phase, Step
from fleet.kulta.core.analysis.findings import Finding
from fleet.kulta.core.draft import Draft
from fleet.kulta.core.gates import advice, requests
from fleet.kulta.core.record import decisions
from fleet.kulta.core.wait import Wait


def note_pause(draft: Draft, index: int, weight: int, wait: Wait) -> None:
    """The pause of a step begins."""
    decisions.note(
        draft,
        "Pause",
        "StepCompleted",
        f"step {index + 1}: {wait.message}",
        phase=Phase.PAUSED,
        to_step=index,
        weight=weight,
    )


def note_weight(draft: Draft, index: int, weight: int) -> None:
    """The weight of the step in work was changed in the spec, and is in force."""
    was = draft.status.current_weight
    draft.set(current_weight=weight)
    decisions.note(
        draft,
        "StepAdvance",
        "WeightChanged",
        f"step {index + 1}: the spec says {weight}% now, it was {was}%",
        from_step=index,
        to_step=index,
        weight=weight,
    )


def cause(draft: Draft, step: Step, finding: Finding) -> tuple[str, str]:
    """Why the step is left: action and reason of the decision."""
    if requests.is_asked(draft, "promote"):
        return "Promotion", "ManualPromotion"
    if advice.advances(draft, step):
        return "StepAdvance", "AdvisorAdvance"
    if step.pause is not None:
        return "StepAdvance", "PauseDurationExpired"
    if finding.is_judged:
        return "StepAdvance", "AnalysisPassed"
    return "StepAdvance", "StepCompleted"
