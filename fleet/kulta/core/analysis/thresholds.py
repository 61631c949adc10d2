"""One number to one verdict, and what a row of verdicts means. Pure; used by `checks`.

An error is not a failure: no answer says nothing about the revision. Too few requests, or none,
are inconclusive: they hold a step and never end a rollout. Where a range says what is good and a
threshold what is bad, a value that is neither is undecided, and a person is asked.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from fleet.api.analysis import Analysis, FailurePolicy, Metric, NoData, ThresholdRange


class Verdict(StrEnum):
    """What one check of one metric says."""

    PASSED = "Passed"
    FAILED = "Failed"
    INCONCLUSIVE = "Inconclusive"
    UNDECIDED = "Undecided"
    ERROR = "Error"
    PENDING = "Pending"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The answer to one query; neither value nor error: no data."""

    value: float | None = None
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Checks of one metric in this rollout."""

    failures: int = 0
    """Failed in a row; a pass ends the row."""
    failed: int = 0
    """Failed in all."""
    errors: int = 0
    """Errors in a row; any answer ends the row."""
    passed: int = 0
    """Passed in this step."""
    undecided: int = 0
    """Undecided in this step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What one check of one metric says, and why."""

    verdict: Verdict
    message: str
    limit: float | None = None
    """What the value had to be below; None where something else decided."""


NO_DATA = {
    NoData.HOLD: Verdict.INCONCLUSIVE,
    NoData.PASS: Verdict.PASSED,
    NoData.FAIL: Verdict.FAILED,
    NoData.ERROR: Verdict.ERROR,
}


def judge(
    metric: Metric,
    answer: Answer,
    requests: Answer,
    stable: Answer | None = None,
    *,
    is_whole: bool = True,
) -> Judgement:
    """The verdict. `requests` is how many requests the window holds, `stable` what the stable
    revision has; None where there is nothing to compare with. Before a whole window has passed
    (not `is_whole`), no data means that it is too early, whatever `noData` says."""
    least, policy = metric.min_sample_size, metric.no_data if is_whole else NoData.HOLD
    error = answer.error or (requests.error if least else "")
    if error:
        return Judgement(verdict=Verdict.ERROR, message=error)
    if answer.value is None:
        return Judgement(verdict=NO_DATA[policy], message=_nothing(metric, "new"))
    if least and (requests.value or 0.0) < least:
        seen = int(requests.value or 0)
        message = f"{seen} requests seen, minSampleSize is {least}"
        return Judgement(verdict=Verdict.INCONCLUSIVE, message=message)
    found = _weighed(metric, answer.value, stable.value if stable else None)
    if stable is None or metric.compare_to_stable is None or found.verdict is not Verdict.PASSED:
        return found  # what is bad by itself is bad, whatever is known of the stable revision
    if stable.value is None:
        said = NO_DATA[policy] if not stable.error else Verdict.ERROR
        return Judgement(verdict=said, message=stable.error or _nothing(metric, "stable"))
    return found


def _nothing(metric: Metric, whose: str) -> str:
    if metric.query is not None:
        return f"no data: the query finds nothing about the {whose} revision"
    return f"no data: the {whose} revision has had no requests"


def _weighed(metric: Metric, value: float, stable: float | None) -> Judgement:
    """Bad by threshold or comparison goes before good by range."""
    told, limit = [], metric.threshold
    if limit is not None:
        told.append(f"{value:.4g} against a threshold of {limit:.4g}")
        if value >= limit:
            return Judgement(verdict=Verdict.FAILED, message=told[0], limit=limit)
    if stable is not None and metric.compare_to_stable is not None:
        most = metric.compare_to_stable.limit(stable)
        message = f"{value:.4g} against {stable:.4g} of the stable revision, at most {most:.4g}"
        told.append(message)
        if value > most:
            return Judgement(verdict=Verdict.FAILED, message=message, limit=most)
    limits = metric.threshold_range
    if limits is not None and not _holds(limits, value):
        message = f"{value:.4g} is not {_words(limits)}"
        if limit is None:
            return Judgement(verdict=Verdict.FAILED, message=message)
        message += f", and not past the threshold of {limit:.4g}: it is neither good nor bad"
        return Judgement(verdict=Verdict.UNDECIDED, message=message, limit=limit)
    if limits is not None:
        told.append(f"{value:.4g} is {_words(limits)}")
    message = "; ".join(told) or f"{value:.4g}, with nothing to compare it with"
    return Judgement(verdict=Verdict.PASSED, message=message, limit=limit)


def _holds(limits: ThresholdRange, value: float) -> bool:
    is_low = limits.min is not None and value < limits.min
    return not is_low and not (limits.max is not None and value > limits.max)


def _words(limits: ThresholdRange) -> str:
    if limits.max is None:
        return f"at least {limits.min:.4g}"
    if limits.min is None:
        return f"at most {limits.max:.4g}"
    return f"from {limits.min:.4g} to {limits.max:.4g}"


def count(before: Counts, verdict: Verdict) -> Counts:
    """The counts after one more check."""
    match verdict:
        case Verdict.PASSED:
            return replace(before, failures=0, errors=0, passed=before.passed + 1)
        case Verdict.FAILED:
            more = {"failures": before.failures + 1, "failed": before.failed + 1}
            return replace(before, errors=0, **more)
        case Verdict.INCONCLUSIVE:
            return replace(before, errors=0)
        case Verdict.UNDECIDED:
            return replace(before, errors=0, undecided=before.undecided + 1)
        case Verdict.ERROR:
            return replace(before, errors=before.errors + 1)
        case _:
            return before


def is_fatal(metric: Metric, analysis: Analysis, counts: Counts) -> bool:
    """Whether so many failures end the rollout."""
    row = metric.failure_threshold
    if row is None and analysis.failure_limit is None:
        row = 1
    in_row = row is not None and counts.failures >= row
    limit = analysis.failure_limit
    return in_row or (limit is not None and counts.failed >= limit)


def is_blind(analysis: Analysis, counts: Counts) -> bool:
    """Whether so many errors in a row leave the decision to `failurePolicy`."""
    return counts.errors >= analysis.consecutive_error_limit


def passes(analysis: Analysis, verdict: Verdict, counts: Counts) -> bool:
    """Whether this metric lets the rollout go on."""
    if verdict is Verdict.ERROR and is_blind(analysis, counts):
        return analysis.failure_policy is FailurePolicy.CONTINUE
    return verdict is Verdict.PASSED and counts.passed >= analysis.iterations


def needs_person(analysis: Analysis, counts: Counts) -> bool:
    """Whether so many checks were undecided that a person is asked."""
    return counts.undecided >= analysis.inconclusive_limit


def rolls_back(metric: Metric, analysis: Analysis, verdict: Verdict, counts: Counts) -> bool:
    """Whether this metric ends the rollout."""
    if verdict is Verdict.ERROR and is_blind(analysis, counts):
        return analysis.failure_policy is FailurePolicy.ROLLBACK
    return verdict is Verdict.FAILED and is_fatal(metric, analysis, counts)
