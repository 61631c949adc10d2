"""The head of `fleet rollout get`: where a rollout stands, what it waits for, what judges it. Pure.

One paragraph per question that a person has; those without an answer are left out.
"""

from collections.abc import Callable, Iterator
from datetime import datetime

from rich.text import Text

from fleet.api.rollout import Phase, Step
from fleet.api.structure import amount
from fleet.cli import page, tables
from fleet.cli.rollouts import asking, numbers, tree
from fleet.cli.rollouts import family as families
from fleet.cli.rollouts.family import Family
from fleet.cli.tables import Tone
from fleet.kit import phrases
from fleet.kulta.core import strategies
from fleet.kulta.core.feedback import outlook

BAR = 24
SHOWN_STEPS = 9
GOOD_WHEN_TRUE = frozenset(
    {"Available", "TrafficReady", "MetricsAvailable", "AdvisorAvailable", "WorkloadReady"}
)
"""Conditions that stand in the way while they are False; the others do while they are True."""
TOLD_ELSEWHERE = frozenset({"Progressing", "Paused"})

Part = Callable[[Family, datetime, int | None], Iterator[Text]]


def lines(family: Family, now: datetime, width: int | None) -> list[Text]:
    """All paragraphs, folded at `width`."""
    return [line for part in PARTS for line in part(family, now, width)]


def _title(family: Family, now: datetime, width: int | None) -> Iterator[Text]:
    place, replicas = family.rollout.namespace, amount(family.rollout.spec.replicas, "replica")
    parts = (
        (family.name, page.STRONG),
        ("  ", ""),
        page.marked(*tree.standing(family)),
        (f"  {family.strategy or 'no strategy'}, {replicas}", ""),
        (f"  namespace {place}" if place else "", page.FAINT),
    )
    yield page.text(*parts)


def _message(family: Family, now: datetime, width: int | None) -> Iterator[Text]:
    """What the engine says, unless the line of the steps says it."""
    status = family.rollout.status
    if next(_steps(family, now, width), None) is not None:
        return
    if family.is_active and not outlook.is_unseen(family.rollout):
        strategy = strategies.select(family.rollout.spec.strategy)
        said = strategy.describe(outlook.draft_of(family.rollout, now))
    else:
        said = status.message
    if said:
        yield from page.labelled("Status", said[0].upper() + said[1:], width)


def _waits(family: Family, now: datetime, width: int | None) -> Iterator[Text]:
    found = outlook.waiting(family.rollout, now)
    if found is None:
        return
    words = Text(found.message)
    if found.until is not None:
        words.append(f" (until {phrases.clock(found.until)}, ")
        words.append(tables.until(found.until, now), style="yellow").append(")")
    yield from page.labelled("Waits", words, width)


def _deadline(family: Family, now: datetime, width: int | None) -> Iterator[Text]:
    due = outlook.deadline(family.rollout)
    if due is not None and family.rollout.status.current_pod_hash != (
        family.rollout.status.stable_pod_hash
    ):
        words = (
            f"taken back at {phrases.clock(due)} ({tables.until(due, now)}) unless something moves"
        )
        yield from page.labelled("Deadline", words, width)


def _steps(family: Family, now: datetime, width: int | None) -> Iterator[Text]:
    """Every step with its weight and pause; what is far away is left out."""
    canary, status = family.rollout.spec.strategy.canary, family.rollout.status
    if canary is None or status.current_step_index is None or not family.is_active:
        return
    index, count = status.current_step_index, len(canary.way)
    first = max(0, min(index - SHOWN_STEPS // 2, count - SHOWN_STEPS))
    shown = canary.way[first : first + SHOWN_STEPS]
    words = Text(f"{min(index + 1, count)}/{count}  ")
    words.append("… " if first else "")
    for number, step in enumerate(shown, first):
        words.append_text(_step(step, number, index)).append("  ")
    words.append("…" if first + len(shown) < count else "")
    yield from page.labelled("Step", words, width)


def _step(step: Step, number: int, index: int) -> Text:
    tone = Tone.GOOD if number < index else Tone.BUSY if number == index else Tone.OPEN
    pause = "" if step.pause is None else f" {step.pause.duration or 'until promoted'}"
    asked = [f"{step.set_weight}%"] if step.set_weight is not None else []
    asked += [str(step.set_canary_scale)] if step.set_canary_scale is not None else []
    return page.marked(tone, ", ".join(asked or ["analysis"]) + pause)


def _workload(family: Family, now: datetime, width: int | None) -> Iterator[Text]:
    """The Deployment whose template it takes, and what became of that one's pods."""
    ref, known = family.rollout.spec.workload_ref, family.rollout.status.workload_ref
    if ref is None:
        return
    words = f"of Deployment {ref.name}"
    if known is not None and known.name == ref.name:
        words += f", generation {known.observed_generation}"
        words += "; its pods have been replaced" if known.scaled_down else ""
    yield from page.labelled("Template", words, width)


def _traffic(family: Family, now: datetime, width: int | None) -> Iterator[Text]:
    """How the traffic is divided between the stable and the new revision."""
    status, shares = family.rollout.status, families.weights(family.rollout)
    if len(shares) < 2:
        return
    weight = shares[status.current_pod_hash]
    words = page.bar(weight, BAR, "cyan")
    words.append(f" {weight}% {family.short(status.current_pod_hash)}, ")
    words.append(f"{100 - weight}% {family.short(status.stable_pod_hash)}")
    if status.current_weight is not None and status.current_weight != weight:
        words.append(f"; next {status.current_weight}%", style="cyan")
    yield from page.labelled("Traffic", words, width)


def _conditions(family: Family, now: datetime, width: int | None) -> Iterator[Text]:
    """What stands in the way, each with what the engine says about it."""
    for item in family.rollout.status.conditions:
        bad = "False" if item.type in GOOD_WHEN_TRUE else "True"
        if item.type in TOLD_ELSEWHERE or item.status != bad:
            continue
        words = page.marked(Tone.BAD, f"{item.type} is {item.status}: {item.reason}")
        words.append(f": {item.message}" if item.message else "", style="")
        yield from page.labelled("Trouble", words, width)


def _restart(family: Family, now: datetime, width: int | None) -> Iterator[Text]:
    """How far the replacing of pods has come."""
    pods = [pod for item in family.revisions for pod in item.pods if pod.status != "Terminating"]
    left = sum(pod.leaving for pod in pods)
    if left:
        words = f"{left} of {len(pods)} pods are still to be replaced"
        yield from page.labelled("Restart", words, width)


def _asked(family: Family, now: datetime, width: int | None) -> Iterator[Text]:
    """Requests that the engine has not taken away yet."""
    asked = asking.pending(family.rollout)
    if asked:
        yield from page.labelled("Asked", ", ".join(asked), width)


def _owner(family: Family, now: datetime, width: int | None) -> Iterator[Text]:
    words = asking.hub_of(family.rollout)
    if words:
        yield from page.labelled("Hub", words, width)


def _last(family: Family, now: datetime, width: int | None) -> Iterator[Text]:
    """The last decision, with its time, where nothing is on its way."""
    known = family.rollout.status.decisions
    if family.is_active or not known or family.phase not in (Phase.COMPLETED, Phase.FAILED):
        return
    item = known[-1]
    when = f"{phrases.clock(item.timestamp)} " if item.timestamp else ""
    yield from page.labelled("Decided", f"{when}{item.action} ({item.reason})", width)


PARTS: tuple[Part, ...] = (
    _title,
    _message,
    _workload,
    _steps,
    _traffic,
    _waits,
    _deadline,
    _conditions,
    numbers.lines,
    _restart,
    _last,
    _asked,
    _owner,
)
"""In this order from top to bottom."""
