"""One number to one verdict, and what a row of verdicts means. Pure; used by `checks`.

An error is not a failure: no answer says nothing about the revision. Too few requests, or none,
are inconclusive: they hold a step and never end a rollout.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from fleet.api.analysis import Analysis, FailurePolicy, Metric


class Verdict(StrEnum):
    """What one check of one metric says."""

    PASSED = "Passed"
    FAILED = "Failed"
    INCONCLUSIVE = "Inconclusive"
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


def judge(metric: Metric, answer: Answer, requests: Answer) -> tuple[Verdict, str]:
    """The verdict and a sentence. `requests` is how many requests the window holds."""
    least = metric.min_sample_size
    if answer.error or (least and requests.error):
        return Verdict.ERROR, answer.error or requests.error
    if answer.value is None:
        return Verdict.INCONCLUSIVE, "no data: the new revision has had no requests"
    if least and (requests.value or 0.0) < least:
        seen = int(requests.value or 0)
        return Verdict.INCONCLUSIVE, f"{seen} requests seen, minSampleSize is {least}"
    limit = f"{answer.value:.4g} against a threshold of {metric.threshold:.4g}"
    if answer.value < metric.threshold:
        return Verdict.PASSED, limit
    return Verdict.FAILED, limit


def count(before: Counts, verdict: Verdict) -> Counts:
    """The counts after one more check."""
    match verdict:
        case Verdict.PASSED:
            return replace(before, failures=0, errors=0)
        case Verdict.FAILED:
            return Counts(failures=before.failures + 1, failed=before.failed + 1)
        case Verdict.INCONCLUSIVE:
            return replace(before, errors=0)
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
    return verdict is Verdict.PASSED


def rolls_back(metric: Metric, analysis: Analysis, verdict: Verdict, counts: Counts) -> bool:
    """Whether this metric ends the rollout."""
    if verdict is Verdict.ERROR and is_blind(analysis, counts):
        return analysis.failure_policy is FailurePolicy.ROLLBACK
    return verdict is Verdict.FAILED and is_fatal(metric, analysis, counts)
