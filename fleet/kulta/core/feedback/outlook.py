"""What a Rollout waits for and until when, from the object alone: no pods, Services, answers.

Called by commands, for people; the engine never asks. Clocks are read from the spec and the status,
by the same functions that the engine uses; what only a look at the world can tell stands in the
conditions, where the engine wrote it.
"""

from datetime import datetime

from fleet.api import conditions
from fleet.api.rollout import Phase, Rollout, Step
from fleet.errors import UserError
from fleet.kit import durations
from fleet.kulta.core import strategies
from fleet.kulta.core.draft import Draft
from fleet.kulta.core.ending import promotion
from fleet.kulta.core.facts.look import Look
from fleet.kulta.core.feedback import validation
from fleet.kulta.core.gates import holds
from fleet.kulta.core.observed import Observed
from fleet.kulta.core.record import deadlines
from fleet.kulta.core.serving import workloads
from fleet.kulta.core.strategies import bluegreen
from fleet.kulta.core.wait import Wait

NOTHING_SAID = frozenset({"NewRevision", "Completed"})
"""Reasons of `Progressing` that name no obstacle."""


def draft_of(rollout: Rollout, now: datetime) -> Draft:
    """The state of decision about `rollout` as commands can know it: an empty world.

    Raises UserError `InvalidSpec` for a spec that breaks rules.
    """
    if found := validation.problems(rollout.spec, rollout.name):
        raise UserError("InvalidSpec", "; ".join(found))
    look = Look(rollout=rollout, observed=Observed(), now=now)
    strategy = strategies.select(rollout.spec.strategy)
    return Draft(look=look, traits=strategy.traits(rollout.spec), status=rollout.status)


def is_unseen(rollout: Rollout) -> bool:
    """Whether the engine has not looked at the present spec yet."""
    return rollout.metadata.generation > rollout.status.observed_generation


def is_refused(rollout: Rollout) -> bool:
    """Whether the engine has found that the present spec breaks rules."""
    found = conditions.find(rollout.status.conditions, "InvalidSpec")
    is_current = found is not None and found.observed_generation >= rollout.metadata.generation
    return is_current and found is not None and found.status == "True"


def stalled(rollout: Rollout) -> Wait | None:
    """What keeps the engine from acting on the present spec, in its words; None: nothing does."""
    found = conditions.find(rollout.status.conditions, conditions.STALLED)
    if found is None or found.observed_generation < rollout.metadata.generation:
        return None
    return Wait(reason=found.reason, message=found.message) if found.status == "True" else None


def waiting(rollout: Rollout, now: datetime) -> Wait | None:
    """Why nothing moves at `now`; None where nothing is awaited."""
    if is_refused(rollout):
        found = conditions.find(rollout.status.conditions, "InvalidSpec")
        return Wait(reason="InvalidSpec", message=found.message if found else "")
    if (obstacle := stalled(rollout)) is not None:
        return obstacle
    if is_unseen(rollout):
        message = "the engine has not looked at the present spec yet; is it running?"
        return Wait(reason="EngineUnknown", message=message)
    lacking = conditions.find(rollout.status.conditions, workloads.READY)
    if lacking is not None and lacking.status == "False":
        return Wait(reason=lacking.reason, message=lacking.message)
    draft = draft_of(rollout, now)
    if not draft.is_active:
        return _ended(draft)
    return holds.of_people(draft) or _clock(draft) or _told(draft)


def deadline(rollout: Rollout) -> datetime | None:
    """When the revision on its way is taken back unless something moves; None: no clock counts."""
    status = rollout.status
    if status.phase not in deadlines.COUNTING:
        return None
    return deadlines.due(status, rollout.spec.progress_deadline_seconds)


def _ended(draft: Draft) -> Wait | None:
    """The old pods that stay for a while."""
    if not draft.status.previous_pod_hash or not promotion.keeps(draft):
        return None
    until = (draft.status.promoted_at or draft.now) + durations.parse(
        draft.look.spec.scale_down_delay, allow_zero=True
    )
    message = f"the pods of revision {draft.status.previous_pod_hash} stay for a while"
    return Wait(reason="Completed", message=message, until=until)


def _clock(draft: Draft) -> Wait | None:
    """The pause of a step, or the gate of a preview."""
    step = _step(draft)
    if draft.phase is Phase.PAUSED and step is not None:
        return holds.of_step(draft, step)
    found = conditions.find(draft.status.conditions, "Progressing")
    if draft.phase is Phase.PREVIEW and found and found.reason == "AwaitingPromotion":
        return bluegreen.gate(draft)
    return None


def _step(draft: Draft) -> Step | None:
    canary, index = draft.look.spec.strategy.canary, draft.status.current_step_index or 0
    return canary.way[index] if canary is not None and index < len(canary.way) else None


def _pause_end(draft: Draft) -> datetime | None:
    """When the pause of the step was over, for an engine whose clock is behind ours."""
    step = _step(draft)
    return deadlines.pause_end(step.pause, draft.status.pause_start_time) if step else None


def _told(draft: Draft) -> Wait | None:
    """What the engine wrote down: first what somebody has to mend, then what takes its time."""
    known = draft.status.conditions
    for kind, status in (("TrafficReady", "False"), ("Paused", "True")):
        found = conditions.find(known, kind)
        if found is not None and found.status == status:
            until = _pause_end(draft) if found.reason == holds.PAUSED else None
            return Wait(reason=found.reason, message=found.message, until=until)
    found = conditions.find(known, "Progressing")
    if found is None or found.reason in NOTHING_SAID:
        return None
    said = strategies.select(draft.look.spec.strategy).describe(draft)
    message = found.message.removeprefix(said).removeprefix(": ") or found.message
    return Wait(reason=found.reason, message=message, until=_until(draft, found.reason))


def _until(draft: Draft, reason: str) -> datetime | None:
    """When what is awaited will be over by itself."""
    began, analysis = draft.status.step_start_time, draft.traits.analysis
    if reason == "WarmingUp" and began and analysis and analysis.warmup_duration:
        return began + durations.parse(analysis.warmup_duration)
    experiment, wish = draft.status.ab_experiment, draft.look.spec.strategy.ab_testing
    if reason == "Experimenting" and experiment and experiment.started_at and wish:
        longest = wish.max_duration
        return experiment.started_at + durations.parse(longest) if longest else None
    return None
