"""Rounds of questions: which queries, when, and what has been answered.

Time is cut into slots of one interval since the end of the warm-up; every query of the analysis is
asked once in a slot, all at the same time, so that one round is one check. Only a metric whose
source did not answer is asked again before the slot is over. Used by `checks`.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from urllib.parse import quote

from fleet.api.analysis import SERVICE_SOURCES, Analysis, AnalysisStatus, Metric
from fleet.api.providers import Prometheus, Provider
from fleet.kit import durations, placeholders
from fleet.kulta.core.analysis import queries
from fleet.kulta.core.analysis.queries import Series
from fleet.kulta.core.analysis.thresholds import Answer, Verdict
from fleet.kulta.core.draft import Draft
from fleet.kulta.core.observed import Query

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
    value: Query
    new: tuple[Query, Query] | None
    """Requests and failures of the new revision; None where nobody asks for them."""
    stable: tuple[Query, Query] | None
    compared: Query | None = None
    """What yields the stable revision's value; None where it is not compared."""
    is_whole: bool = True
    """The step is as old as the window is long."""

    @property
    def needed(self) -> tuple[Query, ...]:
        """Without these there is no verdict."""
        least = self.new[:1] if self.new and self.metric.min_sample_size else ()
        return (self.value, *least, *((self.compared,) if self.compared else ()))

    @property
    def queries(self) -> tuple[Query, ...]:
        more = (self.compared,) if self.compared else ()
        return (self.value, *more, *(self.new or ()), *(self.stable or ()))


def slot_of(analysis: Analysis, began: datetime, warm: datetime, now: datetime) -> Slot:
    length = interval(analysis)
    start = warm + (now - warm) // length * length
    return Slot(start=start, end=start + length, elapsed=start - began)


def interval(analysis: Analysis) -> timedelta:
    """Time between two checks: the smallest interval of all metrics."""
    given = (item.interval or analysis.interval for item in analysis.metrics)
    return min(durations.parse(item) if item else INTERVAL for item in given)


def source(draft: Draft, wanted: Prometheus | None) -> Query:
    """A query without a text to the Prometheus that is asked; no address: nobody named one."""
    if wanted is None:
        return Query(address=draft.look.observed.default_prometheus)
    return Query(address=wanted.address, secret=_secret(wanted))


def _secret(wanted: Prometheus | Provider) -> str:
    return wanted.secret_ref.name if wanted.secret_ref is not None else ""


def asked_of(draft: Draft, metric: Metric, slot: Slot, usual: Query) -> Asked:
    """What `metric` asks in this slot, `usual`ly of that source."""
    window = durations.parse(metric.window) if metric.window else WINDOW
    seconds = max(int(min(window, slot.elapsed).total_seconds()), 1)
    new, old = _series(draft, metric, seconds), None
    if draft.stable and draft.stable != draft.current:
        old = _series(draft, metric, seconds, is_stable=True)
    own = metric.provider
    if own is not None:
        usual = Query(address=own.address or "", secret=_secret(own))
    is_own = metric.query is not None or bool(metric.url)
    is_counted = not is_own or metric.min_sample_size is not None
    is_compared = metric.compare_to_stable is not None
    return Asked(
        metric=metric,
        value=_question(metric, usual, new, old),
        new=_samples(usual, new) if is_counted else None,
        stable=_samples(usual, old) if old and is_counted else None,
        compared=_question(metric, usual, old, old) if old and is_compared else None,
        is_whole=slot.elapsed >= window,
    )


def _samples(usual: Query, series: Series) -> tuple[Query, Query]:
    return (
        replace(usual, text=queries.requests(series)),
        replace(usual, text=queries.failures(series)),
    )


def _series(draft: Draft, metric: Metric, seconds: int, *, is_stable: bool = False) -> Series:
    """What the series of a revision are called in the metric's source."""
    traits = draft.traits
    hash_, role = (draft.stable, traits.stable_role) if is_stable else (draft.current, "")
    name = hash_ if metric.source == "app" else role or traits.new_role
    if metric.source in SERVICE_SOURCES:
        name = _service(draft, is_stable=is_stable)
    return Series(
        namespace=draft.look.rollout.namespace,
        rollout=draft.name,
        revision=name,
        seconds=seconds,
        source=metric.source,
        is_stable=is_stable,
        service=_service(draft, is_stable=is_stable),
    )


def _service(draft: Draft, *, is_stable: bool) -> str:
    return draft.traits.stable_service if is_stable else draft.traits.canary_service


def _question(metric: Metric, usual: Query, series: Series, stable: Series | None) -> Query:
    """The query for the value of the revision that `series` are of."""
    values = {
        "namespace": series.namespace,
        "rollout": series.rollout,
        "stable": stable.revision if stable is not None else "",
        "canary": series.revision,
        "service": series.service,
        "window": series.window,
    }
    if metric.provider is not None and metric.url:
        url = placeholders.filled(metric.url, values, lambda value: quote(value, safe=""))
        return replace(usual, address=url, path=metric.provider.json_path or "")
    if metric.query is None:
        return replace(usual, text=queries.value(metric.name, series))
    return replace(usual, text=placeholders.filled(metric.query, values, queries.escaped))


def in_question(
    asked: tuple[Asked, ...], slot: Slot, status: AnalysisStatus
) -> tuple[tuple[Asked, bool], ...]:
    """Each metric, and whether this slot has still something to say about it.

    Once the slot's round is counted, only metrics without an answer are asked again: another
    failure of the rest would be the second in one slot, whatever else repeats or restarts.
    """
    is_counted = status.checked_at is not None and status.checked_at >= slot.start
    verdicts = (Verdict(item.verdict) for item in status.metrics)
    return tuple(
        (item, not is_counted or verdict is Verdict.ERROR)
        for item, verdict in zip(asked, verdicts, strict=True)
    )


def answered(draft: Draft, asked: tuple[Asked, ...]) -> tuple[datetime, datetime] | None:
    """When the first and the last of the needed answers came; None while one is missing."""
    known = draft.look.observed.measurements
    needed = {query for item in asked for query in item.needed}
    if not needed or not needed <= known.keys():
        return None
    moments = [known[query].at for query in needed]
    return min(moments), max(moments)


def answer(draft: Draft, query: Query) -> Answer:
    found = draft.look.observed.measurements.get(query)
    return Answer() if found is None else Answer(value=found.value, error=found.error)


def ask(
    draft: Draft,
    analysis: Analysis,
    asked: tuple[Asked, ...],
    slot: Slot,
    status: AnalysisStatus,
) -> None:
    """Ask what is due, each text once, else say when something will be."""
    wanted = [item for item, is_open in in_question(asked, slot, status) if is_open]
    since = _since(analysis, slot, status) if wanted else slot.end
    if since > draft.now:
        draft.wake(since)
        return
    known = draft.look.observed.measurements
    texts = dict.fromkeys(query for item in wanted for query in item.queries)
    draft.queries.extend(query for query in texts if query not in known or known[query].at < since)
    draft.wake(slot.end)


def _since(analysis: Analysis, slot: Slot, status: AnalysisStatus) -> datetime:
    """Since when an answer is new: the slot's start; after an error, a while after that."""
    if status.checked_at is None or status.checked_at < slot.start:
        return slot.start
    return min(status.checked_at + min(RETRY, interval(analysis)), slot.end)
