"""Findings: what the counts of all metrics together mean for the rollout, in one value. Pure.

Made by `checks`; read by strategies. The first metric that ends the rollout decides; else the first
that a person has to decide, else the first that is not satisfied yet.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from fleet.api.analysis import Analysis, AnalysisStatus, Metric, MetricResult, MetricStatus
from fleet.api.rollout import RolloutStatus
from fleet.kulta.core.analysis import thresholds
from fleet.kulta.core.analysis.thresholds import Counts, Verdict
from fleet.kulta.core.wait import Wait


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What the analysis says at present."""

    wait: Wait | None = None
    """Why the step may not be left yet; None: the analysis has nothing against it."""
    person: Wait | None = None
    """What a person has to decide; None: nothing."""
    failure: str = ""
    """Why the revision must be taken back; empty: it need not."""
    reason: str = "AnalysisFailed"
    """The decision's reason for that."""
    metrics: Mapping[str, MetricResult] = field(default_factory=dict)
    """The numbers, for the decision that follows."""
    is_judged: bool = False
    """Whether there was anything to judge."""


NOTHING = Finding()


def counts_of(status: MetricStatus) -> Counts:
    """The stored counts of one metric."""
    return Counts(
        failures=status.failures,
        failed=status.failed,
        errors=status.errors,
        passed=status.passed,
        undecided=status.undecided,
    )


def is_undecided(status: RolloutStatus) -> bool:
    """Whether a check of the present step that decides was neither good nor bad."""
    metrics = status.analysis.metrics if status.analysis is not None else ()
    return any(item.undecided and not item.dry_run for item in metrics)


def is_dry(analysis: Analysis, metric: Metric) -> bool:
    """Whether that metric decides nothing."""
    return analysis.dry_run or metric.dry_run


def of(
    analysis: Analysis, status: AnalysisStatus, warming: Mapping[int, Wait], *, is_dark: bool
) -> Finding:
    """What the counts say; metrics that only run dry say nothing. `warming`: places of those that
    are not asked yet, and why. `is_dark`: no data is nothing to wait for."""
    pairs = enumerate(zip(analysis.metrics, status.metrics, strict=True))
    judged = [(n, *pair) for n, pair in pairs if not is_dry(analysis, pair[0])]
    results = {item.name: _result(item) for _, _, item in judged if item.value is not None}
    wait, person, is_judged = None, None, False
    for place, metric, item in judged:
        verdict, counts = Verdict(item.verdict), counts_of(item)
        if thresholds.rolls_back(metric, analysis, verdict, counts):
            blind = verdict is Verdict.ERROR
            return Finding(
                failure=f"{metric.name}: {item.message}",
                reason="MetricsUnavailable" if blind else "AnalysisFailed",
                metrics=results,
                is_judged=True,
            )
        if person is None and thresholds.needs_person(analysis, counts):
            person = _undecided(metric, item)
        is_content = is_dark and verdict is Verdict.INCONCLUSIVE
        is_judged = is_judged or not is_content
        if wait is None and not (is_content or thresholds.passes(analysis, verdict, counts)):
            wait = warming.get(place) or _held(analysis, metric, item)
    return Finding(wait=person or wait, person=person, metrics=results, is_judged=is_judged)


def _result(item: MetricStatus) -> MetricResult:
    """With words where the number beside its threshold does not say it all."""
    verdict = Verdict(item.verdict)
    is_plain = item.threshold is not None and verdict in (Verdict.PASSED, Verdict.FAILED)
    return MetricResult(
        value=item.value or 0.0,
        threshold=item.threshold,
        passed=verdict is Verdict.PASSED,
        message="" if is_plain else item.message,
    )


def _undecided(metric: Metric, item: MetricStatus) -> Wait:
    message = (
        f"{metric.name}: {item.message or 'it was undecided'}; "
        "kulta.io/promote goes on, kulta.io/rollback takes it back, kulta.io/resume judges anew"
    )
    return Wait(reason="AnalysisUndecided", message=message)


def _held(analysis: Analysis, metric: Metric, item: MetricStatus) -> Wait:
    reasons = {
        Verdict.ERROR.value: "MetricsUnavailable",
        Verdict.INCONCLUSIVE.value: "SamplesInsufficient",
    }
    told = f"{metric.name}: {item.message}" if item.message else f"{metric.name} is not judged yet"
    if item.verdict == Verdict.PASSED.value:
        told = f"{metric.name} has passed {item.passed} of {analysis.iterations} checks"
    return Wait(reason=reasons.get(item.verdict, "Analyzing"), message=told)
