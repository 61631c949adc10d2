"""From draft to plan: actions in their order, the complete next status, when to look again.

The last step of every look. Counters and conditions are made here and nowhere else.
"""

from collections.abc import Iterable, Iterator

from fleet.api import conditions, names
from fleet.api.conditions import Condition, condition
from fleet.api.rollout import Phase, RolloutStatus
from fleet.kulta.core.actions import (
    Action,
    CreateReplicaSet,
    Plan,
    RelabelPod,
    RelabelReplicaSet,
    ScaleReplicaSet,
    SetFinalizer,
)
from fleet.kulta.core.analysis import experiment
from fleet.kulta.core.draft import Draft
from fleet.kulta.core.ending import promotion, removal
from fleet.kulta.core.facts import revisions
from fleet.kulta.core.feedback import throttle
from fleet.kulta.core.gates import advice
from fleet.kulta.core.record import deadlines, decisions
from fleet.kulta.core.serving import workloads
from fleet.kulta.core.strategy import Strategy
from fleet.kulta.core.wait import Wait, because

RETIRED = "retired"
"""The role of pods that have been replaced and are about to go."""

WHEN_BAD = ("InvalidSpec", "Degraded", workloads.READY)
"""Conditions that are there only while something is wrong, or there is something to tell of."""

CONTESTED = frozenset({"SelectorContested", "WeightsContested"})

ORDINARY = frozenset({"NewRevision", "PodsPending", "EndpointsPending", "RoutePending"})
"""Why a rollout goes on or waits by itself; any other reason names what somebody has to mend."""


def finish(draft: Draft, strategy: Strategy) -> Plan:
    """The plan of this look."""
    stored = draft.look.rollout.status
    actions = (
        *_traffic(draft),
        *_sets(draft),
        *_pods(draft),
        *draft.before,
        *_history(draft),
    )
    _counters(draft)
    decisions.account(draft)
    draft.set(strategy=draft.traits.strategy, step=strategy.step(draft))
    _explain(draft, strategy)
    status, may_wait = throttle.written(draft, stored)
    warnings = decisions.warnings(stored.conditions, status.conditions)
    return Plan(
        status=status,
        actions=actions,
        after=(*warnings, *draft.after),
        queries=tuple(draft.queries),
        questions=tuple(draft.questions),
        errands=tuple(draft.errands.values()),
        wake_at=min((item for item in draft.wakes if item > draft.now), default=None),
        may_wait=may_wait,
    )


def role_of(draft: Draft, revision: str) -> str:
    """What the pods of a revision are at present: the truth, for the type label."""
    if revision == draft.stable:
        return draft.traits.stable_role
    if revision == draft.current:
        alone = not draft.stable and not draft.look.spec.steps_on_first_rollout
        at_last = draft.is_active and not draft.traits.is_routed and draft.promotes
        return draft.traits.stable_role if alone or at_last else draft.traits.role_of(revision)
    if draft.is_active and draft.traits.template_of(revision) is not None:
        return draft.traits.role_of(revision)
    return RETIRED if draft.traits.stable_role != draft.traits.new_role else draft.traits.new_role


def _traffic(draft: Draft) -> Iterator[Action]:
    look = draft.look
    yield from removal.left_over(look.observed, look.rollout, draft.traits)
    has = names.ROLLOUT_FINALIZER in look.rollout.metadata.finalizers
    if (draft.traffic or draft.workloads) and not has:
        yield SetFinalizer(present=True)
    yield from draft.traffic.values()
    yield from draft.workloads
    managed = removal.holds_any(look.observed, look.rollout) or workloads.is_held(look)
    if has and not (draft.manages_traffic or draft.traffic or managed):
        yield SetFinalizer(present=False)


def _sets(draft: Draft) -> Iterator[Action]:
    """Down before up, so that the bounds hold at each moment; labels beside the size."""
    known = draft.look.sets
    order = sorted(draft.sizes, key=lambda item: draft.sizes[item] >= draft.look.replicas(item))
    for revision in order:
        size = draft.sizes[revision]
        if revision in known and size != known[revision].replicas:
            item = known[revision]
            yield ScaleReplicaSet(name=item.name, replicas=size, was=item.replicas)
            yield from _label(draft, revision)
    yield from _new_sets(draft, [item for item in order if item not in known])
    for revision, item in known.items():
        if draft.size(revision) == item.replicas and item.replicas:
            yield from _label(draft, revision)


def _new_sets(draft: Draft, wanted: Iterable[str]) -> Iterator[CreateReplicaSet]:
    number = revisions.next_number(draft.look.sets.values())
    for revision in wanted:
        template = draft.traits.template_of(revision)
        if template is not None or revision == draft.look.hash:
            role, size = role_of(draft, revision), draft.sizes[revision]
            rollout = draft.look.rollout
            made = revisions.replica_set(rollout, revision, size, role, template, number=number)
            yield CreateReplicaSet(manifest=made)
            number += 1


def _label(draft: Draft, revision: str) -> Iterator[Action]:
    item, role = draft.look.sets[revision], role_of(draft, revision)
    if item.role != role and draft.size(revision):
        yield RelabelReplicaSet(name=item.name, role=role)


def _pods(draft: Draft) -> Iterator[Action]:
    if draft.promotes and draft.is_active:
        return  # replacements are born with the new role already; the others get it at the end
    pods = draft.look.observed.pods
    roles = {revision: role_of(draft, revision) for revision in {pod.hash for pod in pods}}
    for pod in pods:
        role = roles[pod.hash]
        if pod.role != role and not pod.deleting and draft.size(pod.hash):
            yield RelabelPod(name=pod.name, role=role)


def _history(draft: Draft) -> Iterator[Action]:
    if not draft.is_active:
        yield from promotion.history(draft)


def _counters(draft: Draft) -> None:
    look = draft.look
    revisions_ = {item.hash for item in look.observed.replica_sets} | set(draft.sizes)
    ready = {item: min(len(look.ready_pods(item)), draft.size(item)) for item in revisions_}
    draft.set(
        replicas=sum(draft.size(item) for item in revisions_),
        ready_replicas=sum(ready.values()),
        updated_replicas=draft.size(draft.current),
        selector=revisions.selector_text(look.rollout),
        observed_generation=look.rollout.metadata.generation,
        fleet_revision=look.spec.fleet_revision,
        emitted=decisions.emitted(look),
    )


def _explain(draft: Draft, strategy: Strategy) -> None:
    """Message and conditions; a brief wait is told only when it is not brief any more."""
    stored = draft.look.rollout.status

    def cause(revision: str) -> str:
        return draft.look.cause(revision or draft.current)

    wait = because(draft.progress, cause)
    draft.progress = _if_long(draft, wait)
    draft.detour = _if_long(draft, because(draft.detour, cause))
    is_brief = wait is not None and draft.progress is None
    is_quiet = is_brief and _is_same_step(draft, stored) and not _is_mended(stored)
    if draft.is_active and not is_quiet:
        why = draft.paused or draft.progress
        said = strategy.describe(draft)
        draft.set(message=decisions.cut(f"{said}: {why.message}" if why else said))
    ends = WHEN_BAD if advice.is_asked(draft) else (*WHEN_BAD, advice.AVAILABLE)
    new = tuple(item for item in _conditions(draft) if not is_quiet or item.type != "Progressing")
    gone = {*ends} - {item.type for item in new}
    kept = tuple(item for item in stored.conditions if item.type not in gone)
    generation = draft.look.rollout.metadata.generation
    draft.set(conditions=conditions.updated(kept, new, draft.now, generation))


def _is_mended(stored: RolloutStatus) -> bool:
    """Whether the status tells of an obstacle that is no more: nobody waits for long now."""
    told = conditions.find(stored.conditions, "Progressing")
    return told is not None and told.status == "True" and told.reason not in ORDINARY


def _is_same_step(draft: Draft, stored: RolloutStatus) -> bool:
    """Whether what the status says of the step still holds."""
    now = draft.status
    return (stored.phase, stored.current_step_index, stored.reached_step_index) == (
        now.phase,
        now.current_step_index,
        now.reached_step_index,
    ) and stored.current_pod_hash == now.current_pod_hash


def _if_long(draft: Draft, wait: Wait | None) -> Wait | None:
    if wait is None or not wait.is_brief:
        return wait
    since = draft.status.progress_started_at
    if not draft.is_active and draft.status.decisions:
        since = draft.status.decisions[-1].timestamp
    if since is not None and draft.now >= since + deadlines.PATIENCE:
        return wait
    draft.wake(since + deadlines.PATIENCE if since is not None else None)
    return None


def _conditions(draft: Draft) -> Iterator[Condition]:
    yield _available(draft)
    yield _progressing(draft)
    paused = draft.paused
    if paused is not None:
        yield condition("Paused", True, paused.reason, paused.message)
    else:
        yield condition("Paused", False, "NotPaused")
    detour = draft.detour
    if detour is not None:
        yield condition("TrafficReady", False, detour.reason, detour.message)
    else:
        yield condition("TrafficReady", True, "TrafficReady")
    yield _metrics(draft)
    advisor = advice.available(draft)
    if advisor is not None:
        yield advisor
    if detour is not None and detour.reason in CONTESTED:
        yield condition("Degraded", True, detour.reason, detour.message)
    yield from workloads.told(draft)


def _available(draft: Draft) -> Condition:
    """Whether enough ready pods serve; where pods divide the traffic, all of them count."""
    serving = draft.stable or draft.current
    ready = draft.look.ready(serving)
    if not draft.traits.stable_stays or draft.phase is Phase.COMPLETED:
        beside = (x.hash for x in draft.look.observed.replica_sets if x.hash != serving)
        ready += sum(draft.look.ready(item) for item in beside)
    ready += workloads.ready(draft)
    least = draft.look.bounds.least
    if ready >= least:
        return condition("Available", True, "Available")
    message = f"fewer than {least} pods are ready"
    return condition("Available", False, "Unavailable", message)


def _progressing(draft: Draft) -> Condition:
    if draft.phase is Phase.COMPLETED:
        return condition("Progressing", False, "Completed", f"revision {draft.stable} is stable")
    if draft.phase is Phase.FAILED:
        last = draft.status.decisions[-1] if draft.status.decisions else None
        reason = "RolledBack"
        if last is not None and last.reason in ("Timeout", "AnalysisFailed", "MetricsUnavailable"):
            reason = last.reason
        return condition("Progressing", False, reason, last.message if last else "")
    reason = draft.progress.reason if draft.progress is not None else "NewRevision"
    return condition("Progressing", True, reason, draft.status.message)


def _metrics(draft: Draft) -> Condition:
    """Whether the source answers; of a stable revision nobody asks it any more."""
    trial, is_over = draft.status.ab_experiment, draft.phase is Phase.COMPLETED
    if trial is not None and not is_over:
        return experiment.health(trial)
    analysis, status = draft.traits.analysis, draft.status.analysis
    if is_over or analysis is None or not analysis.metrics:
        return condition("MetricsAvailable", None, "NoAnalysis")
    if status is None:
        return condition("MetricsAvailable", None, "WarmingUp")
    for item in status.metrics:
        if item.verdict == "Error" and not item.dry_run:
            message = f"{item.name}: {item.message}"
            return condition("MetricsAvailable", False, "MetricsUnavailable", message)
    return condition("MetricsAvailable", True, "MetricsAvailable")
