"""CDEvents: a transition as a structured CloudEvent, in the form that the CDEvents SDKs write.

One decision is at most one event. Service events of version 0.2.0 belong to CDEvents 0.4; they need
to know what was deployed, so a template without an image has no event but `published`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fleet.api.experiment import ExperimentStatus
from fleet.api.meta import write_time
from fleet.api.names import KULTA_GROUP
from fleet.kulta.core.messages.transition import Transition

SPEC = "0.4.1"
"""The version of CDEvents."""
SOURCE = "https://kulta.io"
CONTROLLER = f"{SOURCE}/controller"
MEDIA_TYPE = "application/cloudevents+json"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventKind:
    """One kind of event; the README's table is made from these."""

    verb: str
    """`deployed` of `dev.cdevents.service.deployed.0.2.0`."""
    subject: str
    """What follows `/rollouts/<name>/` in the subject's id."""
    why: str
    """`customData.kulta.decision.reason`; empty: from `REASONS`."""
    when: str
    """For people."""
    is_of_artifact: bool = True

    @property
    def type(self) -> str:
        return f"dev.cdevents.service.{self.verb}.0.2.0"


DEPLOYED = EventKind(
    verb="deployed",
    subject="initialization",
    why="initialization",
    when="a revision begins its way",
)
UPGRADED = EventKind(
    verb="upgraded", subject="step/<index>", why="step_advanced", when="another step begins"
)
ROLLEDBACK = EventKind(
    verb="rolledback", subject="rollback", why="", when="the revision is taken back"
)
PUBLISHED = EventKind(
    verb="published",
    subject="completed",
    why="completed",
    when="the revision is the stable one",
    is_of_artifact=False,
)
CONCLUDED = EventKind(
    verb="published",
    subject="experiment-concluded",
    why="experiment_concluded",
    when="an experiment is decided",
    is_of_artifact=False,
)
KINDS = (DEPLOYED, UPGRADED, ROLLEDBACK, CONCLUDED, PUBLISHED)

REASONS: Mapping[str, str] = {
    "AnalysisFailed": "analysis_failed",
    "MetricsUnavailable": "metrics_unavailable",
    "Timeout": "timeout",
    "ManualRollback": "manual_rollback",
    "AdvisorRollback": "advisor_rollback",
    "HookRollback": "hook_rollback",
}
"""Why a revision is taken back: the decision's reason → the event's."""


def words(kind: EventKind) -> tuple[str, ...]:
    """The reasons that events of this kind can give."""
    return (kind.why,) if kind.why else tuple(REASONS.values())


def of(transition: Transition) -> dict[str, Any] | None:
    """The event, None where this decision has none."""
    kind = kind_of(transition)
    if kind is None or not transition.is_named:
        return None
    decision, at = transition.decision, write_time(transition.at)
    if kind.is_of_artifact and not decision.image:
        return None
    identity = {"id": transition.uuid, "source": SOURCE, "type": kind.type}
    subject = _subject(transition, kind)
    return {
        "specversion": "1.0",
        **identity,
        "subject": subject["id"],
        "time": at,
        "datacontenttype": "application/json",
        "data": {
            "context": {"version": SPEC, **identity, "timestamp": at},
            "subject": subject,
            "customData": {"kulta": _custom(transition, kind)},
        },
    }


def kind_of(transition: Transition) -> EventKind | None:
    """Which event a decision is, if any."""
    known = _ACTIONS.get(transition.decision.action)
    return known(transition) if known is not None else None


def _advanced(transition: Transition) -> EventKind | None:
    """Another step, unless it lies behind the last one: there the promotion begins."""
    decision = transition.decision
    moved = decision.to_step is not None and decision.to_step != decision.from_step
    return UPGRADED if moved and transition.step < transition.steps else None


_ACTIONS: Mapping[str, Callable[[Transition], EventKind | None]] = {
    "Initialize": lambda _: DEPLOYED,
    "StepAdvance": _advanced,
    "Promotion": _advanced,
    "Rollback": lambda _: ROLLEDBACK,
    "Conclude": lambda _: CONCLUDED,
    "Complete": lambda _: PUBLISHED,
}


def _subject(transition: Transition, kind: EventKind) -> dict[str, Any]:
    meta = transition.rollout.metadata
    path = kind.subject.replace("<index>", str(transition.step))
    content: dict[str, Any] = {
        "environment": {
            "id": f"{meta.namespace}/{meta.name}",
            "source": f"/apis/{KULTA_GROUP}/v1alpha1/namespaces/{meta.namespace}"
            f"/rollouts/{meta.name}",
        }
    }
    if kind.is_of_artifact:
        content["artifactId"] = transition.decision.image
    return {
        "id": f"/rollouts/{meta.name}/{path}",
        "source": CONTROLLER,
        "type": "service",
        "content": content,
    }


def _custom(transition: Transition, kind: EventKind) -> dict[str, Any]:
    meta, decision = transition.rollout.metadata, transition.decision
    return {
        "version": "v1",
        "rollout": {
            "name": meta.name,
            "namespace": meta.namespace,
            "uid": meta.uid,
            "generation": decision.generation or 0,
        },
        "strategy": transition.strategy,
        **(_experiment(transition) if kind is CONCLUDED else _step(transition)),
        "decision": {"reason": kind.why or REASONS.get(decision.reason, "rolled_back")},
    }


def _step(transition: Transition) -> dict[str, Any]:
    weight = transition.decision.weight or 0
    step = {"index": transition.step, "total": transition.steps, "traffic_weight": weight}
    return {"step": step}


def _experiment(transition: Transition) -> dict[str, Any]:
    """What the status says of the experiment; what is not known is empty, or 0."""
    known = transition.status.ab_experiment or ExperimentStatus()
    metrics = [
        {
            "name": item.name,
            "value_a": item.value_a,
            "value_b": item.value_b,
            "confidence": item.confidence,
            "is_significant": item.is_significant,
            "winner": item.winner,
        }
        for item in known.results
    ]
    told = {
        "started_at": write_time(known.started_at) if known.started_at else "",
        "concluded_at": write_time(known.concluded_at) if known.concluded_at else "",
        "sample_size_a": known.sample_size_a or 0,
        "sample_size_b": known.sample_size_b or 0,
        "winner": known.winner or "none",
        "conclusion_reason": known.conclusion_reason or "unknown",
        "metrics": metrics,
    }
    return {"experiment": told}
