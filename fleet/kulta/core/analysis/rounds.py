"""Rounds of questions: which queries, when, and what has been answered.

Time is cut into slots of one interval since the end of the warm-up, for each metric by its own
interval and delay; its queries are asked once in a slot, at the same time, and together with those
of the metrics that are due as well: one round is one check of each of them, counted together unless
some are slow. Only a metric whose source did not answer is asked again before its slot is over.
Used by `checks`.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from urllib.parse import quote

from fleet.api.analysis import (
    SERVICE_SOURCES,
    Analysis,
    AnalysisStatus,
    Metric,
    MetricStatus,
)
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
PATIENCE = timedelta(seconds=2)
"""Who has answered waits that long in each slot for those who are asked at the same time."""
LONGEST = timedelta(seconds=10)
"""No source takes longer to answer, or not to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """The present stretch of one interval; while its start is to come, the first one."""

    start: datetime
    end: datetime
    elapsed: timedelta
    """From the start of the step to the start of the slot."""

    @property
    def late(self) -> datetime:
        """From now on an answer that has come is counted without those that have not."""
        return self.start + min(PATIENCE, (self.end - self.start) / 2)

    @property
    def seen(self) -> timedelta:
        """How much of a young step a query looks at: all of it. Where slots are shorter than a
        source may take, texts stay the same for longer, or none of them would ever be answered."""
        steady = 2 * LONGEST
        if self.end - self.start > LONGEST or self.elapsed < steady:
            return self.elapsed
        return self.elapsed // steady * steady


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The queries of one metric."""

    metric: Metric
    slot: Slot
    value: Query
    new: tuple[Query, Query] | None
    """Requests and failures of the new revision; None where nobody asks for them."""
    stable: tuple[Query, Query] | None
    compared: Query | None = None
    """What yields the stable revision's value; None where it is not compared."""
    is_whole: bool = True
    """The step is as old as the window is long."""

    @property
    def is_askable(self) -> bool:
        """Whether anybody is named who could answer."""
        return bool(self.value.address)

    @property
    def needed(self) -> tuple[Query, ...]:
        """Without these there is no verdict."""
        least = self.new[:1] if self.new and self.metric.min_sample_size else ()
        return (self.value, *least, *((self.compared,) if self.compared else ()))

    @property
    def queries(self) -> tuple[Query, ...]:
        more = (self.compared,) if self.compared else ()
        return (self.value, *more, *(self.new or ()), *(self.stable or ()))


def slot_of(analysis: Analysis, metric: Metric, began: datetime, now: datetime) -> Slot:
    """The slot of that metric in a step that began then."""
    length, delay = _interval(analysis, metric), metric.initial_delay or analysis.warmup_duration
    warm = began + (durations.parse(delay) if delay else timedelta(0))
    start = warm + max((now - warm) // length, 0) * length
    return Slot(start=start, end=start + length, elapsed=start - began)


def interval(analysis: Analysis) -> timedelta:
    """The smallest interval of all metrics."""
    return min(_interval(analysis, metric) for metric in analysis.metrics)


def _interval(analysis: Analysis, metric: Metric) -> timedelta:
    given = metric.interval or analysis.interval
    return durations.parse(given) if given else INTERVAL


def source(draft: Draft, wanted: Prometheus | None) -> Query:
    """A query without a text to the Prometheus that is asked; no address: nobody named one."""
    if wanted is None:
        return Query(address=draft.look.observed.default_prometheus)
    return Query(address=wanted.address, secret=_secret(wanted))


def _secret(wanted: Prometheus | Provider) -> str:
    return wanted.secret_ref.name if wanted.secret_ref is not None else ""


def asked_of(draft: Draft, metric: Metric, slot: Slot, usual: Query, known: MetricStatus) -> Asked:
    """What `metric` asks in this slot, `usual`ly of that source."""
    window = durations.parse(metric.window) if metric.window else WINDOW
    looked_at = window if slot.elapsed >= window else slot.seen
    seconds = max(int(looked_at.total_seconds()), 1)
    new, old = _series(draft, metric, seconds), None
    if draft.stable and draft.stable != draft.current:
        old = _series(draft, metric, seconds, is_stable=True)
    own = metric.provider
    if own is not None:
        usual = Query(address=own.address or "", secret=_secret(own))
    is_own = metric.query is not None or bool(metric.url)
    is_counted = not is_own or metric.min_sample_size is not None
    # With all the traffic elsewhere the stable one has nothing to say that beats its last value.
    has_all = draft.status.current_weight == 100 and known.stable_value is not None
    is_compared = metric.compare_to_stable is not None and not has_all
    return Asked(
        metric=metric,
        slot=slot,
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
    asked: tuple[Asked, ...], status: AnalysisStatus, now: datetime
) -> tuple[tuple[Asked, bool], ...]:
    """Each metric, and whether its slot has still something to say about it.

    Once the slot is counted, only a metric without an answer is asked again: another failure of
    the rest would be the second in one slot, whatever else repeats or restarts.
    """
    return tuple(
        (item, _has_begun(item, now) and (_is_new(item, known) or _has_failed(known)))
        for item, known in zip(asked, status.metrics, strict=True)
    )


def _has_begun(asked: Asked, now: datetime) -> bool:
    return asked.is_askable and asked.slot.start <= now


def _is_new(asked: Asked, known: MetricStatus) -> bool:
    """Nothing of its slot has been counted."""
    return known.checked_at is None or known.checked_at < asked.slot.start


def _has_failed(known: MetricStatus) -> bool:
    """Its source did not answer."""
    return Verdict(known.verdict) is Verdict.ERROR


def answered(draft: Draft, asked: Asked) -> tuple[datetime, datetime] | None:
    """When the first and the last of its needed answers of this slot came; None while one is
    missing."""
    known = draft.look.observed.measurements
    if not set(asked.needed) <= known.keys():
        return None
    moments = [known[query].at for query in asked.needed]
    return (min(moments), max(moments)) if min(moments) >= asked.slot.start else None


def answer(draft: Draft, query: Query) -> Answer:
    found = draft.look.observed.measurements.get(query)
    return Answer() if found is None else Answer(value=found.value, error=found.error)


def ask(draft: Draft, analysis: Analysis, asked: tuple[Asked, ...], status: AnalysisStatus) -> None:
    """Ask what is due, each text once, and say when something else will be."""
    known = draft.look.observed.measurements
    texts: dict[Query, None] = {}
    slots = [item.slot for item in asked if item.is_askable]
    due = [slot.start if slot.start > draft.now else slot.end for slot in slots]
    for (item, is_open), counted in zip(
        in_question(asked, status, draft.now), status.metrics, strict=True
    ):
        since = _since(analysis, item, counted) if is_open else draft.now
        if since > draft.now:
            due.append(since)
        elif is_open:
            due.append(item.slot.late)
            old = (query for query in item.queries if query not in known or known[query].at < since)
            texts |= dict.fromkeys(old)
    draft.queries.extend(texts)
    draft.wake(min((moment for moment in due if moment > draft.now), default=None))


def _since(analysis: Analysis, asked: Asked, known: MetricStatus) -> datetime:
    """Since when an answer is new: the slot's start; after an error, a while after that."""
    if known.checked_at is None or known.checked_at < asked.slot.start:
        return asked.slot.start
    patience = min(RETRY, _interval(analysis, asked.metric))
    return min(known.checked_at + patience, asked.slot.end)
