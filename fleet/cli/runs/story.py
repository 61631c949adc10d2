"""What was decided for a run, in words, and the runs of an Application. Pure.

The lower half of `fleet describe`, and all of `fleet history`.
"""

from collections.abc import Collection, Sequence

from rich.text import Text

from fleet.api.fleetrollout import FleetRollout, Plan, PlannedWave
from fleet.cli import page, tables
from fleet.cli.page import Cells
from fleet.cli.runs import asking
from fleet.cli.runs import view as views
from fleet.cli.runs.view import View
from fleet.hub.core.run import story
from fleet.kit import durations, phrases

RUNS = ("RUN", "REVISION", "PHASE", "UPDATED", "FAILED", "BEGAN", "TOOK", "WHY", "IMAGES")
SHORT = 6
"""Digits of a revision in a column."""
POLICY: dict[str, str] = {
    "Halt": "halts when a budget is overspent",
    "Rollback": "goes back when a budget is overspent",
    "Continue": "goes on when a budget is overspent",
}


def rules(planned: Plan) -> list[str]:
    """What holds for all waves."""
    said = [POLICY[planned.on_failure]]
    said += ["halts at the first failed analysis"] * planned.halt_on_first_failed_analysis
    most = tables.length(planned.unavailable_timeout_seconds)
    said += [f"{planned.unavailable} for members out of reach, {most} at most"]
    said += ["External engines without a Lease count"] * planned.accept_unknown_engine
    if planned.min_interval_seconds:
        said += [f"{tables.length(planned.min_interval_seconds)} between two starts"]
    if planned.traffic_percent < 100:
        share = f"{planned.traffic_percent}% of the traffic on the new revision"
        said += [f"at most {share} before wave {planned.traffic_wave}"]
    return said


def gates(wave: PlannedWave, passed: Collection[str] = (), soak: str = "") -> str:
    """`schedule before; soak 15m, approval after`; `passed` are the places of those let through."""
    sides = []
    soak = soak or f"soak {tables.length(wave.soak_seconds)}"
    for side, found in (("before", wave.before), ("after", wave.after)):
        told = [soak] if side == "after" and wave.soak_seconds else []
        told += [
            f"{gate.kind} ✔" if f"{side}[{index}]" in passed else gate.kind
            for index, gate in enumerate(found)
            if gate.kind != "soak"
        ]
        sides += [f"{', '.join(told)} {side}"] if told else []
    return "; ".join(sides)


def plan(run: FleetRollout, width: int | None) -> list[Text]:
    """What holds for all waves, and what a reader should know."""
    planned, digest = run.spec.plan, run.status.plan_digest
    result = [Text(), *page.labelled("Plan", "; ".join(rules(planned)), width)]
    result += page.labelled("Digest", digest, width) if digest else []
    previous = run.spec.previous_revision
    since = f", after revision {previous}" if previous else ""
    why = f"{run.spec.trigger}: revision {run.spec.revision}{since}"
    result += page.labelled("Why", why, width)
    for note in planned.notes:
        result += page.labelled("Note", note, width)
    return result


def past(run: FleetRollout, width: int | None) -> list[Text]:
    """The decisions that the run remembers, oldest first."""
    entries = run.status.history
    if not entries:
        return []
    indent = len("12:00:05Z  ") + max(len(entry.reason) for entry in entries) + 2
    result = [Text(), Text("DECISIONS", style=page.HEAD)]
    for entry in entries:
        when = phrases.clock(entry.time) if entry.time else "-"
        style = "red" if story.is_bad(entry.reason) else ""
        said = Text(asking.spoken(entry.message, run.name), style=style)
        result += page.labelled(f"{when}  {entry.reason}", said, width, indent=indent)
    return result


def runs(found: Sequence[FleetRollout]) -> list[Text]:
    """The runs of an Application, newest first."""
    rows = [_run(run) for run in sorted(found, key=lambda run: -run.spec.number)]
    return page.columns(RUNS, rows)


def _run(run: FleetRollout) -> Cells:
    status, counts = run.status, run.status.counts
    took = ""
    if status.started_at and status.finished_at:
        took = durations.format_short(status.finished_at - status.started_at)
    return (
        Text(run.name, style=page.STRONG),
        run.spec.revision[:SHORT],
        page.marked(views.RUN[status.phase], status.phase or "Unseen"),
        f"{counts.updated}/{counts.total}",
        Text(str(counts.failed), style="bold red" if counts.failed else ""),
        phrases.day(status.started_at) if status.started_at else "",
        took,
        run.spec.trigger,
        View(run=run, items={}).images,
    )
