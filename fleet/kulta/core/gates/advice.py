"""What an advisor may do: when it is asked, what its words are worth, and for how long.

Bounded on every side: only the levels Planned and Driven let advice have a consequence, only for
the revision and the step that it was asked about, only from a confidence of one half, and only for
three intervals, so that an advisor that falls silent changes nothing. A failed analysis, a deadline
and a person go before it; a hold of the hub or the user it cannot lift. `plan` calls `heed` before
the strategy and `ask` after it, `holds` asks for `hold`.
"""

import math
from datetime import timedelta

from fleet.api.advisor import ASKED, Advice, Level
from fleet.api.conditions import Condition, condition
from fleet.api.rollout import Phase, Step
from fleet.kulta.core.analysis import rounds
from fleet.kulta.core.draft import Draft
from fleet.kulta.core.ending import retreat
from fleet.kulta.core.messages.advisors import HEEDED, HOLDING, Question, follows
from fleet.kulta.core.observed import Consulted, Recommendation
from fleet.kulta.core.wait import Wait

LASTING = 3
"""Intervals for which advice counts, unless it is given again."""
AVAILABLE = "AdvisorAvailable"


def heed(draft: Draft) -> None:
    """Write down what was said anew; a Driven rollout may be taken back by it."""
    level, consulted = draft.look.spec.advisor.level, draft.look.observed.consulted
    known = draft.status.advice
    if known is not None and (level not in ASKED or known.revision != draft.current):
        draft.set(advice=None)
    if level not in ASKED or consulted is None or consulted.recommendation is None:
        return
    if consulted.revision == draft.current:
        _record(draft, consulted, consulted.recommendation)
    found = _counting(draft)
    if level is Level.DRIVEN and found is not None and found.action == "Rollback":
        message = f"revision {draft.current} was taken back: {_said(found)}"
        retreat.fail(draft, "AdvisorRollback", message)


def hold(draft: Draft) -> Wait | None:
    """Whether the advisor keeps the step; a person's `promote` goes before it."""
    found = _counting(draft)
    if found is not None and found.action in HOLDING:
        message = f"{_said(found)}; kulta.io/promote goes on, kulta.io/rollback takes it back"
        return Wait(reason="AdvisorPause", message=message)
    if _is_remembered(draft):
        return Wait(reason="AdvisorPause", message="the advisor held this step; it is asked again")
    return None


def awaited(draft: Draft) -> Wait | None:
    """Where advice may have a consequence, each step is left only when it was asked for: there is
    an answer, or it is clear that none will come, within the time-out."""
    consulted = draft.look.observed.consulted
    if draft.look.spec.advisor.level not in HEEDED or not _is_on_trial(draft):
        return None
    if consulted is not None and _is_about(draft, consulted):
        return None
    return Wait(reason="AwaitingAdvice", message="the advisor is asked about this step")


def advances(draft: Draft, step: Step) -> bool:
    """Whether the advisor ends the pause of this step; one that waits for a person it may not."""
    found = _counting(draft)
    if found is None or found.action != "Advance" or step.pause is None:
        return False
    weight = draft.status.current_weight or 0
    return step.pause.duration is not None and (found.to_weight or 0) > weight


def ask(draft: Draft) -> None:
    """Ask what the advisor says, at most once in an interval, while there is something to ask."""
    spec, consulted = draft.look.spec, draft.look.observed.consulted
    if spec.advisor.level not in ASKED or not spec.advisor.endpoint or not _is_on_trial(draft):
        return
    if consulted is not None and _is_about(draft, consulted):
        due = consulted.at + _interval(draft)
        if due > draft.now:
            draft.wake(due)
            return
    rollout = draft.look.rollout.model_copy(update={"status": draft.status})
    draft.questions.append(Question(rollout=rollout, is_healthy=_is_healthy(draft)))


def available(draft: Draft) -> Condition | None:
    """Whether the advisor answers; None where it is not asked, or nothing is known."""
    consulted = draft.look.observed.consulted
    if consulted is None or not is_asked(draft):
        return None
    if consulted.error:
        return condition(AVAILABLE, False, "AdvisorUnavailable", consulted.error)
    return condition(AVAILABLE, True, AVAILABLE)


def is_asked(draft: Draft) -> bool:
    """Whether there is an advisor to be asked at present."""
    return draft.look.spec.advisor.level in ASKED and draft.is_active


def _record(draft: Draft, consulted: Consulted, said: Recommendation) -> None:
    stored, level = draft.status.advice, draft.look.spec.advisor.level
    fresh = Advice(
        action=said.action,
        to_weight=said.to_weight,
        confidence=said.confidence,
        reasoning=said.reasoning,
        at=consulted.answered_at,
        revision=consulted.revision,
        step=consulted.step,
        metrics_healthy=consulted.is_healthy,
        is_followed=follows(level, said),
    )
    if stored is None or _meaning(stored) != _meaning(fresh):
        draft.set(advice=fresh)


def _meaning(advice: Advice) -> object:
    """What makes it worth another write; its words and its confidence alone do not."""
    return (
        advice.action,
        advice.to_weight,
        advice.revision,
        advice.step,
        advice.metrics_healthy,
        advice.is_followed,
    )


def _counting(draft: Draft) -> Recommendation | None:
    """The advice that has a consequence now."""
    level, consulted = draft.look.spec.advisor.level, draft.look.observed.consulted
    if consulted is None or consulted.recommendation is None or consulted.answered_at is None:
        return None
    if not follows(level, consulted.recommendation) or not _is_on_trial(draft):
        return None
    until = consulted.answered_at + LASTING * _interval(draft)
    if not _is_about(draft, consulted) or draft.now >= until:
        return None
    draft.wake(until)
    return consulted.recommendation


def _is_remembered(draft: Draft) -> bool:
    """Whether the advisor held this step before the engine began, and has not been asked since:
    an answer, or none, comes within the time-out."""
    known, level = draft.status.advice, draft.look.spec.advisor.level
    return (
        draft.look.observed.consulted is None
        and level in HEEDED
        and known is not None
        and known.is_followed
        and known.action in HOLDING
        and known.step == draft.status.current_step_index
        and _is_on_trial(draft)
    )


def _is_about(draft: Draft, consulted: Consulted) -> bool:
    about = (consulted.revision, consulted.step)
    return about == (draft.current, draft.status.current_step_index)


def _is_on_trial(draft: Draft) -> bool:
    """Whether a revision takes traffic and there is another one to go back to."""
    experiment = draft.status.ab_experiment
    began = draft.status.step_start_time or (experiment.started_at if experiment else None)
    return (
        draft.is_active
        and draft.phase is not Phase.CONCLUDED
        and began is not None
        and draft.stable not in ("", draft.current)
    )


def _is_healthy(draft: Draft) -> bool:
    analysis = draft.status.analysis
    metrics = analysis.metrics if analysis is not None else ()
    verdicts = [item.verdict for item in metrics if not item.dry_run]
    return not {"Failed", "Error"} & set(verdicts)


def _interval(draft: Draft) -> timedelta:
    analysis = draft.traits.analysis
    return rounds.interval(analysis) if analysis and analysis.metrics else rounds.INTERVAL


def _said(found: Recommendation) -> str:
    sure = math.floor(found.confidence * 100)
    why = f": {found.reasoning}" if found.reasoning else ""
    return f"the advisor recommends {found.action} ({sure}% sure){why}"
