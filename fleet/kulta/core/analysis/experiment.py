"""Experiments: when the arms are compared, what is kept of each look, and what ends them.

Called by the A/B strategy for every look at a Rollout whose experiment runs. Time is cut into slots
of one interval, counted back from the end where there is one, so that the last look has all the
data that it can have. Every query is asked once in a slot, with the whole experiment as its window.
What a look finds stands in the status until the next one, so whoever carries on knows it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from fleet.api.conditions import MESSAGE_LIMIT, Condition, condition
from fleet.api.experiment import ABAnalysis, ABMetric, ExperimentStatus
from fleet.api.strategy import ABTesting
from fleet.kit import durations
from fleet.kulta.core.analysis import rounds, shares, significance, winner
from fleet.kulta.core.analysis.checks import NO_ADDRESS
from fleet.kulta.core.analysis.sequential import Peek
from fleet.kulta.core.analysis.shares import Questions, Subject
from fleet.kulta.core.analysis.significance import Share
from fleet.kulta.core.analysis.winner import Measured, Pair
from fleet.kulta.core.draft import Draft
from fleet.kulta.core.observed import Query

LOOKS = 288
"""So many looks share out the longest time of an experiment."""
SHORTEST, USUAL = timedelta(seconds=30), timedelta(minutes=5)
BLIND = 4
"""After so many looks without an answer the condition says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """The present stretch of one interval."""

    start: datetime
    end: datetime
    is_last: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """An experiment that runs: what was wished, since when, until when."""

    analysis: ABAnalysis
    began: datetime
    end: datetime | None
    interval: timedelta
    subjects: Sequence[Subject]
    """The control first."""

    @property
    def least(self) -> datetime:
        """No winner before this moment."""
        shortest = self.analysis.min_duration
        return self.began + durations.parse(shortest) if shortest else self.began

    def slot(self, now: datetime) -> Slot:
        if self.end is None:
            start = self.began + (now - self.began) // self.interval * self.interval
            return Slot(start=start, end=start + self.interval, is_last=False)
        left = -(-(self.end - now) // self.interval) - 1
        end = self.end - left * self.interval
        return Slot(start=end - self.interval, end=end, is_last=left == 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One metric of one arm, and of the control."""

    metric: ABMetric
    arm: str
    control: Questions
    other: Questions

    @property
    def texts(self) -> tuple[str, ...]:
        return (*self.control.texts, *self.other.texts)


def conclusion(draft: Draft, subjects: Sequence[Subject]) -> tuple[str, str] | None:
    """Winner and reason, once time or numbers have decided; asks what is due. `subjects`: the
    arms, the control first."""
    wish, stored = draft.look.spec.strategy.ab_testing, draft.status.ab_experiment
    if wish is None or stored is None or stored.started_at is None:
        return None
    began = stored.started_at
    end = began + durations.parse(wish.max_duration) if wish.max_duration else None
    is_over = end is not None and draft.now >= end
    draft.wake(end)
    decided = None
    if wish.analysis is not None and wish.analysis.metrics:
        frame = Frame(
            analysis=wish.analysis,
            began=began,
            end=end,
            interval=interval(wish),
            subjects=subjects,
        )
        if not is_over:
            _look(draft, frame, stored)
        decided = _decided(draft, frame)
    return decided or (("", "MaxDurationExceeded") if is_over else None)


def interval(wish: ABTesting) -> timedelta:
    """Time between two looks."""
    asked = wish.analysis.interval if wish.analysis is not None else None
    if wish.max_duration is None:
        return durations.parse(asked) if asked else USUAL
    most = durations.parse(wish.max_duration)
    found = durations.parse(asked) if asked else max(most / LOOKS, SHORTEST)
    return min(found, max(most / 2, timedelta(seconds=1)))


def _decided(draft: Draft, frame: Frame) -> tuple[str, str] | None:
    known = draft.status.ab_experiment
    if known is None or known.mismatch or draft.now < frame.least:
        return None
    names = [item.name for item in frame.subjects[1:]]
    return winner.decide(known.results, len(frame.analysis.metrics), names)


def _look(draft: Draft, frame: Frame, stored: ExperimentStatus) -> None:
    """Ask, take answers in, say when to look again."""
    slot = frame.slot(draft.now)
    seconds = int((slot.start - frame.began).total_seconds())
    if seconds < 1 or not (slot.is_last or slot.start >= frame.least):
        last = frame.end - frame.interval if frame.end is not None else slot.end
        draft.wake(max(slot.end, min(frame.least, max(last, slot.end))))
        return
    source = rounds.source(draft, frame.analysis.prometheus)
    asked = tuple(_asked(frame, seconds))
    if not source.address:
        draft.set(ab_experiment=_blind(stored, NO_ADDRESS, BLIND))
    else:
        since = _since(slot, stored)
        _take_in(draft, frame, asked, slot, since)
        _ask(draft, source, asked, slot)


def _asked(frame: Frame, seconds: int) -> Iterator[Asked]:
    control = frame.subjects[0]
    for metric in frame.analysis.metrics:
        for subject in frame.subjects[1:]:
            yield Asked(
                metric=metric,
                arm=subject.name,
                control=shares.questions(metric, control, control, seconds),
                other=shares.questions(metric, subject, control, seconds),
            )


def _since(slot: Slot, known: ExperimentStatus) -> datetime:
    """Since when an answer is new: the slot's start; after an error a while after that; and none is
    any more in a slot that was counted."""
    if known.checked_at is None or known.checked_at < slot.start:
        return slot.start
    return min(known.checked_at + rounds.RETRY, slot.end) if known.errors else slot.end


def _ask(draft: Draft, source: Query, asked: Sequence[Asked], slot: Slot) -> None:
    known = draft.status.ab_experiment
    since = _since(slot, known) if known is not None else slot.start
    draft.wake(since if since > draft.now else slot.end)
    if since > draft.now:
        return
    answers = draft.look.answers
    texts = dict.fromkeys(text for item in asked for text in item.texts)
    draft.queries.extend(
        replace(source, text=text)
        for text in texts
        if text not in answers or answers[text].at < since
    )


def _take_in(
    draft: Draft, frame: Frame, asked: Sequence[Asked], slot: Slot, since: datetime
) -> None:
    """Put a complete round of answers into the status."""
    known, stored = draft.look.answers, draft.status.ab_experiment
    texts = {text for item in asked for text in item.texts}
    moments = [known[text].at for text in texts if text in known]
    if stored is None or len(moments) < len(texts) or min(moments) < since:
        return
    errors = [known[text].error for text in sorted(texts) if known[text].error]
    found = _counted(draft, frame, asked, stored).model_copy(update={"checked_at": max(moments)})
    if errors:
        draft.set(ab_experiment=_blind(found, errors[0], 1))
        return
    least = max(frame.analysis.min_sample_size, significance.LEAST)
    before = stored.last_look_at
    is_last = slot.is_last and (before is None or before >= slot.start)
    has_end = frame.end is not None or before is not None
    peek = Peek(least=least, has_end=has_end, is_last=is_last)
    pairs = [pair for item in asked if (pair := _pair(draft, item)) is not None]
    enough = [x for x in pairs if min(x.control.share.n, x.other.share.n) >= least]
    results = winner.results(enough, len(asked), frame.analysis, peek)
    update = {"results": results, "errors": 0, "message": _said(found, results, least)}
    if is_last:
        update["last_look_at"] = max(moments)
    draft.set(ab_experiment=found.model_copy(update=update))


def _counted(
    draft: Draft, frame: Frame, asked: Sequence[Asked], stored: ExperimentStatus
) -> ExperimentStatus:
    """Requests to each arm, as far as they are known, and whether they are split as planned."""
    first = [item for item in asked if item.metric is frame.analysis.metrics[0]]
    texts = [first[0].control.n, *(item.other.n for item in first)]
    counts = [_number(draft, text) for text in texts]
    if any(draft.look.answers[text].error for text in texts):
        return stored
    sizes = {item.name: int(n) for item, n in zip(frame.subjects, counts, strict=True)}
    return stored.model_copy(
        update={
            "sample_size_a": sizes["A"],
            "sample_size_b": sizes["B"],
            "arms": tuple(
                item.model_copy(update={"sample_size": sizes.get(item.name)})
                for item in stored.arms
            ),
            "mismatch": _mismatch(frame.analysis.planned_shares, counts),
        }
    )


def _mismatch(planned: Sequence[int], counts: Sequence[float]) -> str:
    if len(planned) != len(counts):
        return ""
    if not significance.is_mismatched(counts, [share / 100 for share in planned]):
        return ""
    found = " : ".join(f"{100 * count / sum(counts):.1f}" for count in counts)
    return (
        f"requests are split {found}, planned is {' : '.join(map(str, planned))}; no winner is "
        "declared: look for requests that are lost, or counted twice, in one of the arms"
    )


def _pair(draft: Draft, item: Asked) -> Pair | None:
    control, other = (_measured(draft, item.metric, x) for x in (item.control, item.other))
    if control is None or other is None:
        return None
    return Pair(metric=item.metric, arm=item.arm, control=control, other=other)


def _measured(draft: Draft, metric: ABMetric, asked: Questions) -> Measured | None:
    """None where there is nothing to compare: no requests, or no value."""
    n, hits = _number(draft, asked.n), _number(draft, asked.hits)
    if n <= 0:
        return None
    rate = 1.0 - hits / n if asked.hits_are_good else hits / n
    value = 100.0 * rate
    if asked.value:
        found = draft.look.answers[asked.value].value
        if found is None:
            return None
        value = found
    return Measured(share=Share(rate=rate, n=n), value=value)


def _number(draft: Draft, text: str) -> float:
    return draft.look.answers[text].value or 0.0


def _blind(known: ExperimentStatus, message: str, more: int) -> ExperimentStatus:
    errors = min(known.errors + more, BLIND)
    return known.model_copy(update={"errors": errors, "message": message[:MESSAGE_LIMIT]})


def _said(known: ExperimentStatus, results: Sequence[object], least: int) -> str:
    if known.mismatch:
        return known.mismatch
    if results:
        return ""
    sizes = " and ".join(str(item.sample_size or 0) for item in known.arms)
    return f"{sizes} requests seen, minSampleSize is {least}"


def health(known: ExperimentStatus) -> Condition:
    """The condition about metrics."""
    if known.errors >= BLIND:
        return condition("MetricsAvailable", False, "MetricsUnavailable", known.message)
    if known.mismatch:
        return condition("MetricsAvailable", False, "SampleRatioMismatch", known.mismatch)
    if known.checked_at is None:
        return condition("MetricsAvailable", None, "WarmingUp")
    return condition("MetricsAvailable", True, "MetricsAvailable")
