"""Checks: when the metrics are asked, how the answers are counted, what they mean for the rollout.

Called by strategies for every look at a rollout that has begun to take traffic, pauses included.
Time is cut into slots of one interval since the end of the warm-up; one set of queries is asked in
each, and counted once. What is counted stands in the status; a pass that changes nothing is not
written, so a healthy rollout is silent.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from fleet.api.analysis import Analysis, AnalysisStatus, Metric, MetricResult, MetricStatus, Samples
from fleet.kit import durations
from fleet.kulta.core.actions import Query
from fleet.kulta.core.analysis import queries, thresholds
from fleet.kulta.core.analysis.thresholds import Answer, Counts, Verdict
from fleet.kulta.core.draft import Draft
from fleet.kulta.core.wait import Wait

INTERVAL = timedelta(seconds=30)
WINDOW = timedelta(minutes=2)
RETRY = timedelta(seconds=10)
"""After an error the source is asked again this soon."""
NO_ADDRESS = (
    "no metrics source: set analysis.prometheus.address, or KULTA_PROMETHEUS_ADDRESS in the engine"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What the analysis says at present."""

    wait: Wait | None = None
    """Why the step may not be left yet; None: the analysis has nothing against it."""
    failure: str = ""
    """Why the revision must be taken back; empty: it need not."""
    reason: str = "AnalysisFailed"
    """The decision's reason for that."""
    metrics: Mapping[str, MetricResult] = field(default_factory=dict)
    """The numbers, for the decision that follows."""
    is_judged: bool = False
    """Whether there was anything to judge."""


NOTHING = Finding()


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """The present stretch of one interval."""

    start: datetime
    end: datetime
    elapsed: timedelta
    """From the start of the step to the start of the slot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The queries of one metric."""

    metric: Metric
    value: str
    new: tuple[str, str]
    """Requests and failures of the new revision."""
    stable: tuple[str, str] | None

    @property
    def needed(self) -> tuple[str, ...]:
        """Without these there is no verdict."""
        return (self.value, self.new[0]) if self.metric.min_sample_size else (self.value,)

    @property
    def texts(self) -> tuple[str, ...]:
        return (self.value, *self.new, *(self.stable or ()))


def examine(draft: Draft) -> Finding:
    """Ask what is due, count what is new, and say what it means."""
    analysis, began = draft.traits.analysis, draft.status.step_start_time
    if analysis is None or not analysis.metrics or began is None:
        return NOTHING
    warm = began
    if analysis.warmup_duration is not None:
        warm = began + durations.parse(analysis.warmup_duration)
    if draft.now < warm:
        draft.wake(warm)
        message = f"the warm-up of {analysis.warmup_duration} is not over"
        return Finding(wait=Wait(reason="WarmingUp", message=message, until=warm), is_judged=True)
    slot = _slot(analysis, began, warm, draft.now)
    asked = tuple(_asked(draft, metric, slot) for metric in analysis.metrics)
    address = analysis.prometheus.address if analysis.prometheus else ""
    address = address or draft.look.observed.default_prometheus
    status = _known(draft, analysis)
    if address:
        status = _with_answers(draft, analysis, asked, slot, status)
        _ask(draft, analysis, address, asked, slot, status)
    else:
        status = _without_source(draft, analysis, status)
    finding = _finding(analysis, status)
    if finding.wait is None and not finding.failure and status.passed_at is None:
        status = status.model_copy(update={"passed_at": draft.now})
    kept = _keep(draft, status)
    return replace(finding, wait=_finding(analysis, kept).wait)


def _slot(analysis: Analysis, began: datetime, warm: datetime, now: datetime) -> Slot:
    length = interval(analysis)
    start = warm + (now - warm) // length * length
    return Slot(start=start, end=start + length, elapsed=start - began)


def interval(analysis: Analysis) -> timedelta:
    """Time between two checks: the smallest interval of all metrics."""
    return min(
        durations.parse(item.interval) if item.interval else INTERVAL for item in analysis.metrics
    )


def _asked(draft: Draft, metric: Metric, slot: Slot) -> Asked:
    window = durations.parse(metric.window) if metric.window else WINDOW
    seconds = max(int(min(window, slot.elapsed).total_seconds()), 1)

    def series(revision: str, role: str) -> queries.Series:
        return queries.Series(
            namespace=draft.look.rollout.namespace,
            rollout=draft.name,
            revision=revision if metric.source == "app" else role,
            seconds=seconds,
        )

    new = series(draft.current, draft.traits.new_role)
    stable = None
    if draft.stable and draft.stable != draft.current:
        old = series(draft.stable, draft.traits.stable_role)
        stable = (queries.requests(old), queries.failures(old))
    return Asked(
        metric=metric,
        value=queries.value(metric.name, new),
        new=(queries.requests(new), queries.failures(new)),
        stable=stable,
    )


def _known(draft: Draft, analysis: Analysis) -> AnalysisStatus:
    """The stored counts, one entry for each metric of the spec."""
    stored = draft.status.analysis
    if stored is None or stored.revision != draft.current:
        stored = AnalysisStatus(revision=draft.current)
    found = list(stored.metrics)
    entries = []
    for metric in analysis.metrics:
        match = next((item for item in found if item.name == metric.name), None)
        if match is not None:
            found.remove(match)
        entries.append(match or MetricStatus(name=metric.name))
    return stored.model_copy(update={"metrics": tuple(entries)})


def _with_answers(
    draft: Draft,
    analysis: Analysis,
    asked: tuple[Asked, ...],
    slot: Slot,
    status: AnalysisStatus,
) -> AnalysisStatus:
    """The counts with this slot's answers, if all are there and not yet counted."""
    answered = _answered(draft, asked)
    if answered is None or answered[0] < slot.start:
        return status
    if status.checked_at is not None and answered[0] <= status.checked_at:
        return status
    metrics = tuple(
        _counted(draft, analysis, item, before, early=slot.elapsed < timedelta(seconds=1))
        for item, before in zip(asked, status.metrics, strict=True)
    )
    return status.model_copy(update={"metrics": metrics, "checked_at": answered[1]})


def _answered(draft: Draft, asked: tuple[Asked, ...]) -> tuple[datetime, datetime] | None:
    """When the first and the last of the needed answers came; None while one is missing."""
    known = draft.look.observed.measurements
    needed = {text for item in asked for text in item.needed}
    if not needed <= known.keys():
        return None
    moments = [known[text].at for text in needed]
    moments = [item.replace(microsecond=item.microsecond // 1_000 * 1_000) for item in moments]
    return min(moments), max(moments)


def _counted(
    draft: Draft, analysis: Analysis, asked: Asked, before: MetricStatus, *, early: bool
) -> MetricStatus:
    answer = _answer(draft, asked.value)
    verdict, message = thresholds.judge(asked.metric, answer, _answer(draft, asked.new[0]))
    if early and verdict is Verdict.INCONCLUSIVE:
        verdict = Verdict.PENDING
    counts = thresholds.count(counts_of(before), verdict)
    return MetricStatus(
        name=asked.metric.name,
        verdict=verdict.value,
        value=answer.value,
        threshold=asked.metric.threshold,
        failures=counts.failures,
        failed=counts.failed,
        errors=min(counts.errors, analysis.consecutive_error_limit),
        query=asked.value,
        message=message,
        canary=_samples(draft, asked.new),
        stable=_samples(draft, asked.stable) if asked.stable else None,
    )


def counts_of(status: MetricStatus) -> Counts:
    """The stored counts of one metric."""
    return Counts(failures=status.failures, failed=status.failed, errors=status.errors)


def _answer(draft: Draft, text: str) -> Answer:
    found = draft.look.observed.measurements.get(text)
    return Answer() if found is None else Answer(value=found.value, error=found.error)


def _samples(draft: Draft, texts: tuple[str, str]) -> Samples | None:
    requests, failures = _answer(draft, texts[0]), _answer(draft, texts[1])
    if requests.value is None or failures.value is None:
        return None
    return Samples(n=requests.value, bad=failures.value)


def _ask(
    draft: Draft,
    analysis: Analysis,
    address: str,
    asked: tuple[Asked, ...],
    slot: Slot,
    status: AnalysisStatus,
) -> None:
    """Ask all queries of the slot when they are due, else say when they will be."""
    due = _due(draft, analysis, asked, slot, status)
    if due > draft.now:
        draft.wake(due)
        return
    texts = dict.fromkeys(text for item in asked for text in item.texts)
    draft.queries.extend(Query(address=address, text=text) for text in texts)
    draft.wake(slot.end)


def _due(
    draft: Draft,
    analysis: Analysis,
    asked: tuple[Asked, ...],
    slot: Slot,
    status: AnalysisStatus,
) -> datetime:
    """When the source is to be asked next: once a slot, sooner after an error."""
    answered = _answered(draft, asked)
    moments = [answered[0]] if answered is not None else []
    if status.checked_at is not None:
        moments.append(status.checked_at)
    last = max(moments, default=None)
    if last is None or last < slot.start:
        return draft.now
    if any(Verdict(item.verdict) is Verdict.ERROR for item in status.metrics):
        return min(last + min(RETRY, interval(analysis)), slot.end)
    return slot.end


def _without_source(draft: Draft, analysis: Analysis, status: AnalysisStatus) -> AnalysisStatus:
    metrics = tuple(
        item.model_copy(
            update={
                "verdict": Verdict.ERROR.value,
                "errors": analysis.consecutive_error_limit,
                "message": NO_ADDRESS,
            }
        )
        for item in status.metrics
    )
    return status.model_copy(update={"metrics": metrics})


def _finding(analysis: Analysis, status: AnalysisStatus) -> Finding:
    results = {
        item.name: MetricResult(
            value=item.value,
            threshold=metric.threshold,
            passed=Verdict(item.verdict) is Verdict.PASSED,
        )
        for metric, item in zip(analysis.metrics, status.metrics, strict=True)
        if item.value is not None
    }
    wait = None
    for metric, item in zip(analysis.metrics, status.metrics, strict=True):
        verdict, counts = Verdict(item.verdict), counts_of(item)
        if thresholds.rolls_back(metric, analysis, verdict, counts):
            blind = verdict is Verdict.ERROR
            return Finding(
                failure=f"{metric.name}: {item.message}",
                reason="MetricsUnavailable" if blind else "AnalysisFailed",
                metrics=results,
                is_judged=True,
            )
        if wait is None and not thresholds.passes(analysis, verdict, counts):
            wait = _held(metric, item)
    return Finding(wait=wait, metrics=results, is_judged=True)


def _held(metric: Metric, item: MetricStatus) -> Wait:
    reasons = {
        Verdict.ERROR.value: "MetricsUnavailable",
        Verdict.INCONCLUSIVE.value: "SamplesInsufficient",
    }
    told = f"{metric.name}: {item.message}" if item.message else f"{metric.name} is not judged yet"
    return Wait(reason=reasons.get(item.verdict, "Analyzing"), message=told)


def _keep(draft: Draft, status: AnalysisStatus) -> AnalysisStatus:
    """Put it into the status if something that counts has changed, not when a value moved."""
    stored = draft.status.analysis
    if stored is not None and _significance(stored) == _significance(status):
        return stored
    draft.set(analysis=status)
    return status


def _significance(status: AnalysisStatus) -> object:
    return (
        status.revision,
        status.passed_at,
        [(x.name, x.verdict, x.failures, x.failed, x.errors, x.threshold) for x in status.metrics],
    )
