"""What `fleet get`, `describe` and `watch` draw of one run: head, waves, clusters. Pure.

One paragraph per question that a person has; those without an answer are left out.
"""

import re
from collections.abc import Callable, Iterator
from datetime import datetime

from rich.text import Text

from fleet.api import names
from fleet.api.fleetrollout import PlannedWave, WavePhase, WaveStatus
from fleet.cli import page, tables
from fleet.cli.page import Cells
from fleet.cli.runs import asking, story
from fleet.cli.runs import view as views
from fleet.cli.runs.view import View
from fleet.cli.tables import Tone
from fleet.hub.core import phases
from fleet.hub.core.application import leaving
from fleet.hub.core.run import requests
from fleet.kit import durations, phrases

BAR = 24
WAVES = ("WAVE", "PHASE", "UPDATED", "FAILED", "BUDGET", "AT ONCE", "GATES")
CLUSTERS = ("CLUSTER", "WAVE", "PHASE", "STEP", "WEIGHT", "MESSAGE")
PLACE = re.compile(r"^step [0-9]+ of [0-9]+: .*? for revision [0-9a-f]+: (?=.)")
"""How an engine begins to tell where a canary stands."""
SHOWN = 20
"""Clusters of a picture; `-o wide` shows all that the run lists, and those that are done."""

Part = Callable[[View, datetime, int | None], Iterator[Text]]


def whole(view: View, now: datetime, width: int | None, *, wide: bool = False) -> list[Text]:
    """Head, waves and clusters."""
    return [*head(view, now, width), Text(), *waves(view, now), *clusters(view, wide=wide)]


def head(view: View, now: datetime, width: int | None) -> list[Text]:
    """All paragraphs, folded at `width`."""
    return [line for part in PARTS for line in part(view, now, width)]


def _title(view: View, now: datetime, width: int | None) -> Iterator[Text]:
    run, status = view.run, view.run.status
    place = f"  namespace {run.namespace}" if run.namespace else ""
    strategy = run.spec.application.spec.delivery_policy.strategy
    said = f"  {strategy.kind if strategy else 'no strategy'}, {view.images}"
    yield page.text(
        (run.name, page.STRONG),
        ("  ", ""),
        page.marked(views.RUN[status.phase], status.phase or "Unseen"),
        (said, ""),
        (place, page.FAINT),
    )


def _status(view: View, now: datetime, width: int | None) -> Iterator[Text]:
    """Why it stands where it stands, and until when."""
    status = view.run.status
    said = asking.spoken(status.message, view.run.name) or "the hub has not looked at it yet"
    words = Text(said[0].upper() + said[1:])
    if status.until is not None:
        clock = phrases.clock(status.until)
        words.append(" (" if clock in said else f" (until {clock}, ")
        words.append(tables.until(status.until, now), style="yellow").append(")")
    label = "Waits" if status.until or status.unblock else "Status"
    yield from page.labelled(label, words, width)


def _updated(view: View, now: datetime, width: int | None) -> Iterator[Text]:
    """How many have it, and where the others are."""
    counts = view.run.status.counts
    if not counts.total:
        return
    bar = page.bar(100 * counts.updated // counts.total, BAR, "green")
    others = (
        (counts.in_flight, "in flight", "cyan"),
        (counts.failed, "failed", "bold red"),
        (counts.unreachable, "unreachable", "yellow"),
        (counts.rolled_back, "rolled back", ""),
        (counts.skipped, "skipped", ""),
        (counts.pending, "to go", page.FAINT),
    )
    words = bar.append(f" {counts.updated} of {counts.total}")
    for number, what, style in others:
        if number:
            words.append(", ").append(f"{number} {what}", style=style)
    yield from page.labelled("Updated", words, width)


def _traffic(view: View, now: datetime, width: int | None) -> Iterator[Text]:
    """The share of the fleet's traffic on the revision."""
    text = view.run.status.display.traffic
    if text:
        share = int(text.removesuffix("%"))
        words = page.bar(share, BAR, "cyan").append(f" {text} on revision ")
        words.append(view.run.spec.revision)
        if (weight := view.run.status.external_weight) is not None:
            words.append(f", externalWeight {weight}%")
        yield from page.labelled("Traffic", words, width)


def _next(view: View, now: datetime, width: int | None) -> Iterator[Text]:
    """What a person could do about the wait, or what else ends it, unless that was said."""
    status, name = view.run.status, view.run.name
    words = asking.spoken(status.unblock, name)
    is_said = words in asking.spoken(status.message, name) or status.until is not None
    if words and not is_said and status.reason != "WaitingForClusters":
        yield from page.labelled("Goes on", words, width)


def _asked(view: View, now: datetime, width: int | None) -> Iterator[Text]:
    """A request that the hub has not answered yet."""
    notes = view.run.metadata.annotations
    words = notes.get(names.REQUEST_ANNOTATION, "")
    if words and requests.identity(words) not in view.run.status.handled:
        by = notes.get(names.REQUESTED_BY_ANNOTATION, "somebody")
        yield from page.labelled("Asked", f"{words} by {by}, not answered yet", width)


def _trouble(view: View, now: datetime, width: int | None) -> Iterator[Text]:
    """Why what the Application asks for is not this run."""
    found = view.application
    if found is None:
        return
    if found.status.observed_generation != found.metadata.generation:
        words = "the hub has not looked at the present spec of the Application yet"
        yield from page.labelled("Trouble", page.marked(Tone.UNKNOWN, words), width)
    elif view.run.spec.instead_of and not view.run.status.undo_to:
        words = "an undo has put aside what the Application asks for, until it is changed"
        yield from page.labelled("Undone", page.marked(Tone.WAITING, words), width)
    for item in found.status.conditions:
        if item.type == "Accepted" and item.status == "False":
            words = f"the Application is not accepted: {item.reason}: {item.message}"
            yield from page.labelled("Trouble", page.marked(Tone.BAD, words), width)
        if item.type == leaving.PRUNED and item.status == "False":
            words = asking.spoken(item.message, found.name)
            yield from page.labelled("Left", page.marked(Tone.WAITING, words), width)


def _time(view: View, now: datetime, width: int | None) -> Iterator[Text]:
    """Since when it runs, or how long it took."""
    status = view.run.status
    if status.started_at is None:
        return
    length = durations.format_short((status.finished_at or now) - status.started_at)
    began = phrases.day(status.started_at)
    words = f"{began}, took {length}" if status.finished_at else f"{began}, {length} ago"
    yield from page.labelled("Began", words, width)


def _newer(view: View, now: datetime, width: int | None) -> Iterator[Text]:
    if not view.is_newest:
        application = view.run.spec.application.name
        yield from page.labelled("Newer", f"fleet get {application} shows the newest run", width)


PARTS: tuple[Part, ...] = (
    _title,
    _status,
    _next,
    _updated,
    _traffic,
    _trouble,
    _asked,
    _time,
    _newer,
)
"""In this order from top to bottom."""


def waves(view: View, now: datetime) -> list[Text]:
    """The table of the waves."""
    known = {item.name: item for item in view.run.status.waves}
    rows = [
        _wave(view, wave, known.get(wave.name, WaveStatus(name=wave.name)), now)
        for wave in view.run.spec.plan.waves
    ]
    return page.columns(WAVES, rows, tables.NARROW)


def _wave(view: View, wave: PlannedWave, status: WaveStatus, now: datetime) -> Cells:
    is_bad = status.failed > wave.failure_budget
    tone = Tone.BAD if is_bad else views.WAVE[status.phase]
    is_over = view.run.status.phase in phases.ENDS
    total = status.total or len(wave.clusters)
    return (
        page.marked(tone if status.started_at or not is_over else Tone.OPEN, wave.name),
        str(status.phase),
        f"{status.updated}/{total}",
        Text(str(status.failed), style="bold red" if status.failed else ""),
        str(wave.failure_budget),
        str(wave.max_concurrency),
        story.gates(wave, {item.gate for item in status.passes}, soak(wave, status, now)),
    )


def soak(wave: PlannedWave, status: WaveStatus, now: datetime) -> str:
    """`soak 15m`, with what is left of it while it counts."""
    words = f"soak {tables.length(wave.soak_seconds)}"
    if status.phase is not WavePhase.SOAKING:
        return words
    gone = status.soaked_seconds
    gone += (now - status.soaking_since).total_seconds() if status.soaking_since else 0.0
    left = tables.length(max(wave.soak_seconds - gone, 0))
    return f"{words} ({left} left{'' if status.soaking_since else ', stands still'})"


def beside(line: views.Line) -> str:
    """The message without what stands in the columns before it: what is left may be all that a
    narrow terminal has room for."""
    return PLACE.sub("", line.message, count=1) if line.step else line.message


def clusters(view: View, *, wide: bool = False) -> list[Text]:
    """The table of the clusters that are not done; none where all are."""
    found = views.lines(view, everybody=wide)
    shown = found if wide else found[:SHOWN]
    if not shown:
        return []
    rows = [
        (
            page.marked(views.CLUSTER[line.phase], line.name),
            line.wave,
            str(line.phase),
            line.step,
            "" if line.weight is None else f"{line.weight}%",
            asking.spoken(beside(line), view.run.name),
        )
        for line in shown
    ]
    result = [Text(), *page.columns(CLUSTERS, rows, tables.NARROW)]
    more = len(found) - len(shown) + view.run.status.clusters_omitted
    if more:
        name = view.run.name
        words = f"{more} more {'cluster is' if more == 1 else 'clusters are'} not done: "
        result.append(Text(f"{words}fleet get {name} -o wide", style=page.FAINT))
    return result
