"""Rules of an Application that its schema cannot say, as a tuple of checks.

Called by `decision` before a run is made, and by `fleet render`. Each check yields sentences that
name the field, the value and the correction; an empty answer is a good spec. What overrides break
in one cluster is asked for beside its rendering (`overridden`).
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from fleet.api import Application, Fleet, faults, hooks, values
from fleet.api.application import ApplicationSpec, DeliveryPolicy, Limits, Workload
from fleet.api.conduct import Conduct
from fleet.api.names import ClusterName, is_closed
from fleet.api.waves import ORDER, ORDER_HELP, Wave
from fleet.hub.core.application import checks, strategies
from fleet.hub.core.policy import ResolvedPolicy
from fleet.hub.core.run import waves
from fleet.kit import phrases
from fleet.rendering import overrides


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What the checks look at."""

    application: Application
    policy: ResolvedPolicy
    fleet: Fleet
    chosen: Sequence[ClusterName]


Check = Callable[[Subject], Iterator[str]]


def problems(subject: Subject) -> tuple[str, ...]:
    """Every broken rule, one sentence each."""
    return tuple(text for check in CHECKS for text in check(subject))


def overridden(spec: ApplicationSpec, labels: Mapping[str, str]) -> str:
    """What is wrong with a resolved spec after the overrides for `labels`; empty where nothing is.

    Raises UserError `InvalidSpec` where one of them does not fit.
    """
    places = overrides.chosen(spec, labels)
    wrong = tuple(_inside(overrides.apply(spec, labels))) if places else ()
    if not wrong:
        return ""
    named = phrases.listed([f"spec.overrides[{place}]" for place in places])
    return f"after {named}: {'; '.join(wrong)}"


def _resolved(subject: Subject) -> Iterator[str]:
    return _inside(subject.policy.frozen(subject.application.spec))


def _inside(spec: ApplicationSpec) -> Iterator[str]:
    """Of what one cluster receives, with its policy resolved: what overrides can reach as well."""
    yield from _strategy(spec)
    yield from _rollout(spec.delivery_policy)
    yield from _workload(spec.workload)


def _names(subject: Subject) -> Iterator[str]:
    service = subject.application.spec.workload.service
    for where, name, most in (
        ("metadata.name", subject.application.name, values.APPLICATION_LENGTH),
        ("spec.workload.service.name", service and service.name, values.SERVICE_LENGTH),
    ):
        if name and not re.fullmatch(values.letters(most), name):
            yield (
                f"{where}: {name} cannot name the objects in a member: write at most {most} "
                "lower-case letters, digits and dashes, beginning with a letter"
            )


def _strategy(spec: ApplicationSpec) -> Iterator[str]:
    where, policy = "spec.deliveryPolicy", spec.delivery_policy
    strategy, listed = policy.strategy, policy.hooks
    yield from checks.told(strategies.problems(where, strategy, spec.workload))
    for kind in strategy.given if strategy is not None else ():
        canary = strategy.canary if strategy is not None else None
        steps = [step.hooks for step in canary.steps] if canary is not None else []
        yield from hooks.faults(listed, kind, steps, f"{where}.hooks", f"{where}.strategy.{kind}")


def _rollout(policy: DeliveryPolicy) -> Iterator[str]:
    """How the engines go about it."""
    canary = policy.strategy.canary if policy.strategy is not None else None
    found = faults.conduct(policy.rollout or Conduct(), canary, "rollout.")
    return checks.told((f"spec.deliveryPolicy.{path}", sentence) for path, sentence in found)


def _workload(workload: Workload) -> Iterator[str]:
    if workload.service is None and workload.route is not None:
        yield "spec.workload.service: is missing: a route needs the service that it leads to"
    spec = workload.template.get("spec")
    containers = spec.get("containers") if isinstance(spec, dict) else None
    if not isinstance(containers, list) or not containers:
        yield "spec.workload.template.spec.containers: is missing: write at least one container"


def _labels(subject: Subject) -> Iterator[str]:
    """As the CRD's rule says it, for those who ask without an API server."""
    metadata = subject.application.spec.workload.template.get("metadata")
    if not isinstance(metadata, dict) or not metadata.get("labels"):
        yield "spec.workload.template.metadata.labels: is missing: write at least app: <name>"


def _namespace(subject: Subject) -> Iterator[str]:
    application = subject.application
    namespace = application.spec.destination.namespace or application.namespace
    if is_closed(namespace):
        yield (
            f"spec.destination.namespace: {namespace} belongs to the cluster itself: "
            "write a namespace of your own"
        )


def _waves(subject: Subject) -> Iterator[str]:
    planned = subject.policy.waves
    names = [wave.name for wave in planned]
    for index, wave in enumerate(planned):
        where = f"spec.deliveryPolicy.waves[{index}]"
        if wave.name in names[:index]:
            yield f"{where}.name: {wave.name} is taken by an earlier wave: write another name"
        yield from _members(wave, where)
        if wave.remaining and wave is not planned[-1]:
            yield (
                f"{where}.remaining: only the last wave can take all that remain: "
                "move it to the end"
            )
        yield from _limits(wave, where)
        for side, gates in (("before", wave.before), ("after", wave.after)):
            yield from checks.gates(f"{where}.{side}", gates)
        if any(gate.soak for gate in wave.before):
            yield f"{where}.before: a soak follows a wave: move it to after of the wave before"
    for index, place, name in waves.strangers(planned, subject.chosen):
        yield (
            f"spec.deliveryPolicy.waves[{index}].clusters[{place}]: {name} is not a member of "
            f"fleet {subject.fleet.name}: correct the name or remove it"
        )


def _members(wave: Wave, where: str) -> Iterator[str]:
    given = [wave.cluster_selector is not None, bool(wave.clusters), wave.remaining]
    if sum(given) != 1:
        found = "none is" if not any(given) else "more than one is"
        yield (f"{where}: {found} set of clusterSelector, clusters, remaining: write exactly one")
    if wave.cluster_selector is not None and wave.cluster_selector.is_empty:
        yield f"{where}.clusterSelector: is empty: write labels, or remaining: true"


def _limits(wave: Wave | ResolvedPolicy, where: str) -> Iterator[str]:
    yield from checks.amount(f"{where}.failureBudget", wave.failure_budget)
    if wave.order_by is not None and not re.fullmatch(ORDER, wave.order_by):
        yield f"{where}.orderBy: {wave.order_by} is no order: {ORDER_HELP}"
    yield from _concurrency(wave.max_concurrency, where)
    yield from checks.duration(f"{where}.progressDeadline", wave.progress_deadline)


def _concurrency(value: str | int | None, where: str) -> Iterator[str]:
    yield from checks.amount(f"{where}.maxConcurrency", value)
    if value is not None and str(value) in ("0", "0%"):
        yield (
            f"{where}.maxConcurrency: {value} lets nothing start: "
            "write at least 1, or use paused: true"
        )


def _policy(subject: Subject) -> Iterator[str]:
    policy = subject.policy
    yield from _limits(policy, "spec.deliveryPolicy")
    most, where = policy.rollback.max_concurrency, "spec.deliveryPolicy.rollback"
    yield from _concurrency(most, where)
    if policy.limits is not None:
        yield from _overall(policy.limits, policy.waves, "spec.deliveryPolicy.limits")
    where = "spec.deliveryPolicy.unavailableClusters.timeout"
    yield from checks.duration(where, policy.unavailable_clusters.timeout)
    where = "spec.deliveryPolicy.deletionTimeout"
    yield from checks.duration(where, policy.deletion_timeout)
    yield from checks.amount("spec.deliveryPolicy.maxPrune", policy.max_prune)


def _overall(limits: Limits, planned: Sequence[Wave], where: str) -> Iterator[str]:
    """Limits over all waves."""
    yield from checks.duration(f"{where}.minInterval", limits.min_interval)
    share = limits.max_traffic_share_on_new_revision
    if share is not None and not re.fullmatch("[1-9][0-9]?%", share):
        yield (
            f"{where}.maxTrafficShareOnNewRevision: {share} is no share: "
            "write a percentage from 1% to 99%"
        )
    names = [wave.name for wave in planned]
    if limits.until_wave is not None and limits.until_wave not in names:
        yield (
            f"{where}.untilWave: {limits.until_wave} is no wave: write one of {', '.join(names)}"
        )


def _overrides(subject: Subject) -> Iterator[str]:
    for index, item in enumerate(subject.application.spec.overrides):
        where = f"spec.overrides[{index}]"
        if item.cluster_selector.is_empty:
            yield f"{where}.clusterSelector: is empty and matches no cluster: write labels"
        for place, operation in enumerate(item.patch):
            if not overrides.allowed(operation.path):
                yield (
                    f"{where}.patch[{place}].path: {operation.path} is the same for all clusters: "
                    f"{overrides.LIMITS}"
                )
            if operation.op != "remove" and operation.value is None:
                yield f"{where}.patch[{place}].value: is missing: {operation.op} needs a value"


CHECKS: tuple[Check, ...] = (
    _names,
    _resolved,
    _labels,
    _namespace,
    _waves,
    _policy,
    _overrides,
)
