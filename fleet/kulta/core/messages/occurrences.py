"""FALSE occurrences: a transition as one line of JSON, with what failed, why, and what to do.

Also what an advisor recommended. The shape is that of the KULTA reference; empty parts are left
out. Everything is read from the status that holds the decision, never from the one before it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fleet.api.advisor import Level
from fleet.api.analysis import MetricResult
from fleet.api.experiment import ExperimentStatus
from fleet.api.meta import write_time
from fleet.api.rollout import Decision, Phase
from fleet.kulta.core.messages.advised import Advised
from fleet.kulta.core.messages.transition import Transition

SOURCE = "kulta"
VERSION = "1.0"

PREFIXES: Mapping[str, str] = {
    "canary": "canary",
    "blueGreen": "bluegreen",
    "abTesting": "abtesting",
    "simple": "rolling",
}
"""Member of `spec.strategy` → first word of the type."""


@dataclass(frozen=True, slots=True)
class Manner:
    """What a phase is called: `<strategy>.rollout.<suffix>`."""

    suffix: str
    severity: str
    outcome: str


GOING = Manner("progressing", "info", "in_progress")
PAUSED = Manner("paused", "warning", "in_progress")
DONE = Manner("completed", "info", "success")
FAILED = Manner("failed", "error", "failure")

KINDS: Mapping[Phase, Manner] = {
    Phase.INITIALIZING: GOING,
    Phase.PROGRESSING: GOING,
    Phase.PREVIEW: GOING,
    Phase.EXPERIMENTING: GOING,
    Phase.PAUSED: PAUSED,
    Phase.CONCLUDED: DONE,
    Phase.COMPLETED: DONE,
    Phase.FAILED: FAILED,
}
ENDS = frozenset({Phase.CONCLUDED, Phase.COMPLETED, Phase.FAILED})
"""Phases whose occurrence tells the whole story."""

BY_METRICS = frozenset({"AnalysisFailed"})
BY_TIME = frozenset({"Timeout"})

CODE_PATH = "a new code path of {image} fails under real requests"
DOWNSTREAM = "something that the new revision calls is slower or fails more than before"
PROBES = "readiness probes of the new pods fail"
RESOURCES = "the image cannot be pulled, or no node has room for the pods"
REVIEW = (
    "Rollback is done: the stable revision serves. Check what {image} depends on and review its "
    "changes, then deliver a better image, or ask for a retry with kulta.io/retry"
)
INSPECT = (
    "Rollback is done as far as there is a stable revision. Look at the metrics, events and logs "
    "of the new pods; deliver a better image, or ask for a retry with kulta.io/retry"
)


ADVICE = Manner("recommendation", "info", "in_progress")


def of_advice(advised: Advised, cluster: str = "") -> dict[str, Any]:
    """What an advisor recommended, and whether thresholds decide all the same."""
    said = advised.recommendation
    action: object = said.action
    if said.action == "Advance":
        action = {"Advance": {"toWeight": said.to_weight}}
    return {
        **_head(advised, f"advisor.{ADVICE.suffix}", ADVICE),
        "context": _context(advised, cluster),
        "data": {
            "advisor": {
                "action": action,
                "confidence": said.confidence,
                "reasoning": said.reasoning,
                "threshold_healthy": advised.question.is_healthy,
                "threshold_prevails": advised.prevails,
            }
        },
    }


def of(transition: Transition, cluster: str = "") -> dict[str, Any] | None:
    """The occurrence; None for a Rollout without a name. `cluster` is left out where empty."""
    if not transition.is_named:
        return None
    kind = KINDS[transition.phase]
    return {
        **_head(transition, f"rollout.{kind.suffix}", kind),
        "context": _context(transition, cluster),
        **_told("error", _error(transition)),
        **_told("reasoning", _reasoning(transition)),
        **_told("history", _history(transition)),
        "data": {"rollout": _rollout(transition), **_told("context", _numbers(transition))},
    }


def _head(told: Transition | Advised, suffix: str, kind: Manner) -> dict[str, Any]:
    member = told.status.strategy
    return {
        "id": told.ulid,
        "timestamp": write_time(told.at),
        "source": SOURCE,
        "type": f"{PREFIXES.get(member, member.lower())}.{suffix}",
        "severity": kind.severity,
        "outcome": kind.outcome,
        "protocol_version": VERSION,
    }


def _context(told: Transition | Advised, cluster: str) -> dict[str, Any]:
    meta = told.rollout.metadata
    entity = {
        "type": "rollout",
        "id": meta.uid,
        "name": meta.name,
        "version": meta.resource_version or "0",
        "observed_at": write_time(told.at),
        "namespace": meta.namespace,
        "source_of_truth": "k8s-api",
    }
    keys = {"deployment": meta.name, "namespace": meta.namespace}
    return {
        **_told("cluster", cluster),
        "namespace": meta.namespace,
        "correlation_keys": [{"type": kind, "value": value} for kind, value in keys.items()],
        "entities": [entity],
    }


def _rollout(transition: Transition) -> dict[str, Any]:
    rollout, decision = transition.rollout, transition.decision
    return {
        "name": rollout.name,
        "namespace": rollout.namespace,
        "strategy": transition.strategy,
        "replicas": rollout.spec.replicas,
        "current_weight": decision.weight,
        "phase": transition.phase.value,
    }


def _numbers(transition: Transition) -> dict[str, Any] | None:
    """Step, weight and thresholds, for advisors and people who read on: from level Context on."""
    if transition.rollout.spec.advisor.level is Level.OFF:
        return None
    analysis = transition.status.analysis
    metrics = analysis.metrics if analysis is not None else ()
    return {
        "step": transition.step,
        "steps": transition.steps,
        "weight": transition.decision.weight or 0,
        "metrics": {
            item.name: {
                "value": item.value,
                "threshold": item.threshold,
                "verdict": item.verdict,
            }
            for item in metrics
        },
    }


def _error(transition: Transition) -> dict[str, Any] | None:
    """What failed, whom it hurt, what it may come from: for a revision that was taken back."""
    if transition.phase is not Phase.FAILED:
        return None
    decision, name = transition.decision, transition.rollout.name
    share = _weight_before(transition)
    where = f"rollout {name} ({transition.strategy})"
    if transition.steps and decision.from_step is not None:
        where += f" at step {decision.from_step + 1}/{transition.steps} with {share}% traffic"
    causes = [decision.message or "the rollout failed"]
    image = decision.image or "the new revision"
    if decision.reason in BY_METRICS:
        causes += [CODE_PATH.format(image=image), DOWNSTREAM]
    elif decision.reason in BY_TIME:
        causes += [PROBES, RESOURCES]
    fix = REVIEW if decision.reason in BY_METRICS else INSPECT
    return {
        "code": "ROLLOUT_FAILED",
        "what_failed": f"{decision.message}: {where}" if decision.message else where,
        "why_it_matters": f"service {name} in namespace {transition.rollout.namespace}: "
        f"{share}% of its requests went to the revision that failed",
        "possible_causes": causes,
        "suggested_fix": fix.format(image=image),
    }


def _weight_before(transition: Transition) -> int:
    """The share of the traffic that the revision had when it failed."""
    earlier = [x.weight for x in transition.before[:-1] if x.weight is not None]
    return earlier[-1] if earlier else transition.decision.weight or 0


def _reasoning(transition: Transition) -> dict[str, Any] | None:
    """How numbers led to the decision, where they took part."""
    known, metrics = transition.status.ab_experiment, transition.decision.metrics
    if transition.phase is Phase.CONCLUDED and known is not None:
        return _verdict(transition, known)
    if not metrics:
        return None
    bad = [name for name, item in metrics.items() if not item.passed]
    said = [_compared(name, item) for name, item in metrics.items()]
    summary = f"{', '.join(bad)} failed" if bad else "all metrics passed"
    return {
        "summary": f"{transition.decision.reason}: {summary}",
        "explanation": "; ".join(said),
        "confidence": 1.0,
        "recommendations": ["roll back" if bad else "go on"],
    }


def _compared(name: str, item: MetricResult) -> str:
    """A value and what it had to be."""
    if item.threshold is None or item.message:
        return f"{name}: {item.message}"
    return f"{name} {item.value:.4g} is {'' if item.passed else 'not '}below {item.threshold:.4g}"


def _verdict(transition: Transition, known: ExperimentStatus) -> dict[str, Any]:
    """What the experiment has shown, as sure as its surest metric that the winner owes it to."""
    won = [item for item in known.results if known.winner and item.winner == known.winner]
    said = [
        f"{item.name} {item.value_b:.4g} of {item.arm} against {item.value_a:.4g} of A"
        f" (confidence {item.confidence:.4g})"
        for item in known.results
    ]
    summary = f"variant {known.winner} has won" if known.winner else "no variant has won"
    return {
        "summary": f"{transition.decision.reason}: {summary}",
        "explanation": "; ".join(said) or known.message or "nothing was measured",
        "confidence": max((item.confidence for item in won), default=0.0),
        "recommendations": [f"promote {known.winner}" if known.winner else "keep A"],
    }


def _history(transition: Transition) -> dict[str, Any] | None:
    """The diary of this revision, once it has come to an end."""
    if transition.phase not in ENDS:
        return None
    known = transition.before
    ends = [*(item.timestamp for item in known[1:]), transition.at]
    took = [_milliseconds(item, end) for item, end in zip(known, ends, strict=True)]
    return {
        "duration_ms": sum(took),
        "steps": [_entry(item, spent) for item, spent in zip(known, took, strict=True)],
    }


def _entry(item: Decision, took: int) -> dict[str, Any]:
    is_bad = item.action == "Rollback"
    return {
        "description": f"{item.action} ({item.reason})",
        "status": "failure" if is_bad else "success",
        "duration_ms": took,
        **_told("error", item.message if is_bad else ""),
    }


def _milliseconds(item: Decision, end: Any) -> int:
    """From a decision to the next one."""
    if item.timestamp is None or end is None:
        return 0
    return max(int((end - item.timestamp).total_seconds() * 1_000), 0)


def _told(name: str, value: object) -> dict[str, Any]:
    """A member, unless it has nothing to say."""
    return {name: value} if value else {}
