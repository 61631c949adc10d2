"""Checks: when the metrics are asked, how the answers are counted, what they mean for the rollout.

Called by strategies for every look at a rollout that has begun to take traffic, pauses included.
Every round of answers is counted once. What is counted stands in the status; where a pass changes
nothing but the numbers, they are written once a minute: a healthy rollout is almost silent.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from fleet.api.analysis import Analysis, AnalysisStatus, MetricStatus, Samples
from fleet.api.conditions import MESSAGE_LIMIT
from fleet.kulta.core.analysis import findings, rounds, thresholds
from fleet.kulta.core.analysis.findings import NOTHING, Finding
from fleet.kulta.core.analysis.rounds import Asked, Slot
from fleet.kulta.core.analysis.thresholds import Answer, Verdict
from fleet.kulta.core.draft import Draft
from fleet.kulta.core.observed import Query
from fleet.kulta.core.wait import Wait

FRESH = timedelta(minutes=1)
"""Numbers in the status may be that old while nothing else changes."""
NO_ADDRESS = (
    "no metrics source: set analysis.prometheus.address, or KULTA_PROMETHEUS_ADDRESS in the engine"
)


def begin(draft: Draft) -> None:
    """A step begins: counts go on, but what passed before says nothing about it."""
    _forget(draft, {})


def again(draft: Draft) -> None:
    """A person wants the step judged anew: by answers that nobody has yet."""
    _forget(draft, {"checked_at": draft.now})


def _forget(draft: Draft, more: Mapping[str, object]) -> None:
    known = draft.status.analysis
    if known is None:
        return
    fresh = {"verdict": Verdict.PENDING.value, "message": "", "passed": 0, "undecided": 0, **more}
    metrics = tuple(item.model_copy(update=fresh) for item in known.metrics)
    draft.set(analysis=known.model_copy(update={"metrics": metrics, "passed_at": None}))


def examine(draft: Draft, *, iterations: int | None = None, is_dark: bool = False) -> Finding:
    """Ask what is due, count what is new, and say what it means.

    `iterations`: checks that must pass in the present step, where it has a number of its own.
    `is_dark`: nobody can have asked the new revision for anything, so no data is nothing to await.
    """
    analysis = draft.traits.analysis
    if analysis is not None and iterations is not None:
        analysis = analysis.model_copy(update={"iterations": iterations})
    return _judged(draft, analysis, is_dark)


def _judged(draft: Draft, analysis: Analysis | None, is_dark: bool) -> Finding:
    began = draft.status.step_start_time
    if analysis is None or not analysis.metrics or began is None:
        return NOTHING
    slots = tuple(rounds.slot_of(analysis, item, began, draft.now) for item in analysis.metrics)
    warming = _warming(analysis, slots, draft.now)
    if len(warming) == len(slots):
        first = min(warming.values(), key=lambda wait: wait.until or draft.now)
        if first.until is not None:
            draft.wake(first.until)
        return Finding(wait=first, is_judged=True)
    usual, status = rounds.source(draft, analysis.prometheus), _known(draft, analysis)
    asked = tuple(
        rounds.asked_of(draft, item, slot, usual, known)
        for item, slot, known in zip(analysis.metrics, slots, status.metrics, strict=True)
    )
    status = _with_answers(draft, analysis, asked, _without_source(analysis, asked, status))
    rounds.ask(draft, analysis, asked, status)
    finding = findings.of(analysis, status, warming, is_dark=is_dark)
    has_passed = finding.wait is None and not finding.failure and finding.is_judged
    if has_passed and status.passed_at is None:
        status = status.model_copy(update={"passed_at": draft.now})
    kept = _keep(draft, status)
    told = findings.of(analysis, kept, warming, is_dark=is_dark)
    return replace(finding, wait=told.wait, person=told.person)


def _warming(analysis: Analysis, slots: tuple[Slot, ...], now: datetime) -> dict[int, Wait]:
    """Places of the metrics that are not asked yet, and why."""
    found: dict[int, Wait] = {}
    for place, (metric, slot) in enumerate(zip(analysis.metrics, slots, strict=True)):
        if slot.start > now:
            told = f"the warm-up of {analysis.warmup_duration} is not over"
            if metric.initial_delay is not None:
                told = f"{metric.name}: its initialDelay of {metric.initial_delay} is not over"
            found[place] = Wait(reason="WarmingUp", message=told, until=slot.start)
    return found


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
            if match.checked_at is None and match.verdict != "Pending":
                # Counted by an engine that had one time for all of them.
                match = match.model_copy(update={"checked_at": stored.checked_at})
        entries.append(match or MetricStatus(name=metric.name))
    return stored.model_copy(update={"metrics": tuple(entries)})


def _with_answers(
    draft: Draft, analysis: Analysis, asked: tuple[Asked, ...], status: AnalysisStatus
) -> AnalysisStatus:
    """The counts with the answers of this round that are not counted yet: of all metrics at once,
    and of those that have one where others are slow."""
    judged = rounds.in_question(asked, status, draft.now)
    news: dict[int, datetime] = {}
    for place, (item, is_open) in enumerate(judged):
        answered, before = rounds.answered(draft, item), status.metrics[place].checked_at
        if not is_open:
            continue
        if answered is None and draft.now < item.slot.late:
            return status
        if answered is not None and (before is None or answered[0] > before):
            news[place] = answered[1]
    if not news:
        return status
    metrics = tuple(
        _counted(draft, analysis, asked[place], before, news[place]) if place in news else before
        for place, before in enumerate(status.metrics)
    )
    return status.model_copy(update={"metrics": metrics, "checked_at": max(news.values())})


def _counted(
    draft: Draft, analysis: Analysis, asked: Asked, before: MetricStatus, at: datetime
) -> MetricStatus:
    answer, metric = rounds.answer(draft, asked.value), asked.metric
    stable = _beside(draft, asked, before)
    requests = rounds.answer(draft, asked.new[0]) if asked.new else Answer()
    said = thresholds.judge(metric, answer, requests, stable, is_whole=asked.is_whole)
    verdict = said.verdict
    if asked.slot.elapsed < timedelta(seconds=1) and verdict is Verdict.INCONCLUSIVE:
        verdict = Verdict.PENDING
    counts = thresholds.count(findings.counts_of(before), verdict)
    return MetricStatus(
        name=metric.name,
        verdict=verdict.value,
        value=answer.value,
        stable_value=stable.value if stable else None,
        threshold=said.limit if verdict is Verdict.FAILED else metric.threshold,
        passed=min(counts.passed, analysis.iterations),
        undecided=min(counts.undecided, analysis.inconclusive_limit),
        dry_run=findings.is_dry(analysis, metric),
        failures=counts.failures,
        failed=counts.failed,
        errors=min(counts.errors, analysis.consecutive_error_limit),
        checked_at=at,
        query=asked.value.shown,
        message=said.message[:MESSAGE_LIMIT],
        canary=_samples(draft, asked.new),
        stable=_samples(draft, asked.stable),
    )


def _beside(draft: Draft, asked: Asked, before: MetricStatus) -> Answer | None:
    """What the stable revision has; where nobody asks for that any more, what it had last."""
    if asked.compared is not None:
        return rounds.answer(draft, asked.compared)
    if asked.metric.compare_to_stable is None or before.stable_value is None:
        return None
    return Answer(value=before.stable_value)


def _samples(draft: Draft, asked: tuple[Query, Query] | None) -> Samples | None:
    if asked is None:
        return None
    requests, failures = (rounds.answer(draft, query) for query in asked)
    if requests.value is None or failures.value is None:
        return None
    return Samples(n=requests.value, bad=failures.value)


def _without_source(
    analysis: Analysis, asked: tuple[Asked, ...], status: AnalysisStatus
) -> AnalysisStatus:
    """The counts, with an error for each metric that there is nobody to ask about."""
    blind = {
        "verdict": Verdict.ERROR.value,
        "errors": analysis.consecutive_error_limit,
        "message": NO_ADDRESS,
    }
    metrics = tuple(
        known
        if item.is_askable
        else known.model_copy(update={**blind, "dry_run": findings.is_dry(analysis, item.metric)})
        for item, known in zip(asked, status.metrics, strict=True)
    )
    return status.model_copy(update={"metrics": metrics})


def _keep(draft: Draft, status: AnalysisStatus) -> AnalysisStatus:
    """Put it into the status if something that counts has changed, or its numbers are old."""
    stored = draft.status.analysis
    is_same = stored is not None and _significance(stored) == _significance(status)
    if stored is not None and is_same and not _is_old(stored, status):
        return stored
    draft.set(analysis=status)
    return status


def _is_old(stored: AnalysisStatus, status: AnalysisStatus) -> bool:
    """Whether other numbers than the stored ones have been there for long enough."""
    if stored.checked_at is None or status.checked_at is None:
        return False
    is_late = status.checked_at - stored.checked_at >= FRESH
    return is_late and _numbers(stored) != _numbers(status)


def _numbers(status: AnalysisStatus) -> object:
    return [(item.value, item.stable_value, item.canary, item.stable) for item in status.metrics]


def _significance(status: AnalysisStatus) -> object:
    counted = [
        (x.name, x.verdict, findings.counts_of(x), x.threshold, x.dry_run) for x in status.metrics
    ]
    return (status.revision, status.passed_at, counted)
