"""Rounds of questions: which queries, when, and what has been answered.

Time is cut into slots of one interval since the end of the warm-up; every query of the analysis is
asked once in a slot, all at the same time, so that one round is one check. Used by `checks`.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from fleet.api.analysis import Analysis, AnalysisStatus, Metric
from fleet.kit import durations
from fleet.kulta.core.actions import Query
from fleet.kulta.core.analysis import queries
from fleet.kulta.core.analysis.thresholds import Answer, Verdict
from fleet.kulta.core.draft import Draft

INTERVAL = timedelta(seconds=30)
WINDOW = timedelta(minutes=2)
RETRY = timedelta(seconds=10)
"""After an error the source is asked again this soon."""


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


def slot_of(analysis: Analysis, began: datetime, warm: datetime, now: datetime) -> Slot:
    length = interval(analysis)
    start = warm + (now - warm) // length * length
    return Slot(start=start, end=start + length, elapsed=start - began)


def interval(analysis: Analysis) -> timedelta:
    """Time between two checks: the smallest interval of all metrics."""
    return min(
        durations.parse(item.interval) if item.interval else INTERVAL for item in analysis.metrics
    )


def asked_of(draft: Draft, metric: Metric, slot: Slot) -> Asked:
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


def answered(draft: Draft, asked: tuple[Asked, ...]) -> tuple[datetime, datetime] | None:
    """When the first and the last of the needed answers came; None while one is missing."""
    known = draft.look.observed.measurements
    needed = {text for item in asked for text in item.needed}
    if not needed <= known.keys():
        return None
    moments = [known[text].at for text in needed]
    moments = [item.replace(microsecond=item.microsecond // 1_000 * 1_000) for item in moments]
    return min(moments), max(moments)


def answer(draft: Draft, text: str) -> Answer:
    found = draft.look.observed.measurements.get(text)
    return Answer() if found is None else Answer(value=found.value, error=found.error)


def ask(
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
    found = answered(draft, asked)
    moments = [found[0]] if found is not None else []
    if status.checked_at is not None:
        moments.append(status.checked_at)
    last = max(moments, default=None)
    if last is None or last < slot.start:
        return draft.now
    if any(Verdict(item.verdict) is Verdict.ERROR for item in status.metrics):
        return min(last + min(RETRY, interval(analysis)), slot.end)
    return slot.end
