"""`fleet watch` and `fleet wait`: a run followed to some end, seen or in silence.

On a terminal a picture is drawn over, elsewhere there is a line for every change. The hub is never
asked again, it tells; the clock is looked at once a second, since a soak that counts down changes
no object.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Annotated

import typer
from rich.text import Text

from fleet import errors
from fleet.api import names
from fleet.api.application import Application
from fleet.api.clusterrollout import ClusterRollout
from fleet.api.fleetrollout import ClusterPhase, Entry, FleetRollout, RunPhase
from fleet.cli import codes, options, page, tables
from fleet.cli.following import Following, Stay, Topic
from fleet.cli.runs import asking, picture, place
from fleet.cli.runs import view as views
from fleet.cli.runs.place import Place, Target
from fleet.cli.runs.view import View
from fleet.cli.screen import Screen
from fleet.cli.tables import Tone
from fleet.hub.core import phases
from fleet.kit import phrases
from fleet.telemetry.clock import SystemClock

REST = "rest"
PROMOTE = "the request promote/"
"""What would go on where all that is in flight waits for a person."""
FOR_PERSONS = frozenset({RunPhase.AWAITING_APPROVAL, RunPhase.HALTED})
"""Phases that only a person ends; a pause by request is one too."""
CONDITIONS: Mapping[str, str] = {
    "ended": "the run is over, however it ended",
    REST: "nothing more happens without a person",
    **{phase.lower(): f"it is {phase}" for phase in RunPhase},
}

End = Callable[[View], int | None]
"""The exit code once a view is an end; None: go on."""


@dataclass(slots=True, kw_only=True)
class Shown:
    """What the person sees, and has seen last."""

    screen: Screen
    wide: bool = False
    quiet: bool = False
    """Only the last line is printed."""
    run: str = ""
    told: Sequence[Entry] = ()
    """That run's history as far as it was printed."""
    last: str = ""
    clusters: Mapping[str, ClusterPhase] | None = None


def is_seen(view: View) -> bool:
    """Whether the hub has looked at what the Application asks for now, and no run is missing here.

    A run that is undone has a successor in a moment; one that the Application knows already may
    come later than it does, because each kind is watched by itself.
    """
    found = view.application
    if found is None:
        return True
    if found.status.observed_generation != found.metadata.generation:
        return False
    is_newest = found.status.run == view.run.name and not view.run.status.undo_to
    return is_newest or is_refused(view)


def is_queued(view: View) -> bool:
    """Whether what the Application asks for now waits for the end of this run."""
    found = view.application
    return found is not None and found.status.revision != view.run.spec.revision


def is_refused(view: View) -> bool:
    """Whether the hub does not accept what the Application asks for now."""
    found = view.application
    return found is not None and any(
        item.type == "Accepted" and item.status == "False" for item in found.status.conditions
    )


def end_of(condition: str) -> End:
    """The end of `fleet wait --for`. Raises UserError for a condition that there is not."""
    word = condition.lower()
    if word not in CONDITIONS:
        known = ", ".join(CONDITIONS)
        raise errors.UserError("Usage", f"--for {condition}: write one of {known}")

    def end(view: View) -> int | None:
        phase = view.run.status.phase
        if not is_seen(view):
            return None
        if is_refused(view):
            return codes.FAILED
        queued = is_queued(view)
        over = phase in phases.ENDS and not queued
        if word == "ended":
            return codes.DONE if over else None
        if word == REST:
            return codes.DONE if over or is_resting(view) else None
        if phase is not None and phase.lower() == word and not queued:
            return codes.DONE
        is_halted = phase is RunPhase.HALTED and word == RunPhase.SUCCEEDED.lower()
        return codes.FAILED if over or is_halted else None

    return end


def is_resting(view: View) -> bool:
    """Whether it waits for a person."""
    status = view.run.status
    is_paused = status.phase is RunPhase.PAUSED and status.until is None
    return status.phase in FOR_PERSONS or is_paused or status.unblock.startswith(PROMOTE)


def is_over(view: View) -> int | None:
    """The end of `watch`: what the Application asks for now is delivered, or failed, or refused."""
    if not is_seen(view):
        return None
    if is_refused(view):
        return codes.FAILED
    if view.run.status.phase not in phases.ENDS or is_queued(view):
        return None
    return codes.DONE if view.run.status.phase is RunPhase.SUCCEEDED else codes.FAILED


def watch(
    name: place.Name,
    timeout: options.TimeOut = "",
    output: Annotated[str, options.forms("table", "wide")] = "table",
    no_color: options.NoColor = False,
    namespace: options.Place = "",
    context: options.Context = "",
    kubeconfig: options.Kubeconfig = None,
) -> None:
    """Show a run live until its end.

    Exit codes: 0 it has succeeded, 1 it ended otherwise or is not accepted, 3 time is over.
    """
    tables.check(output, ("table", "wide"))
    seconds = options.span(timeout)
    shown = Shown(screen=Screen(plain=no_color), wide=output == "wide")
    with place.reached(kubeconfig, context, namespace) as hub:
        raise typer.Exit(_interruptible(hub, hub.target(name), shown, is_over, seconds))


def wait(
    name: place.Name,
    condition: Annotated[
        str,
        typer.Option(
            "--for",
            help="A phase of runs, e.g. succeeded; ended; or rest.",
            autocompletion=options.offered(*CONDITIONS),
        ),
    ] = "succeeded",
    timeout: options.TimeOut = "",
    no_color: options.NoColor = False,
    namespace: options.Place = "",
    context: options.Context = "",
    kubeconfig: options.Kubeconfig = None,
) -> None:
    """Stay until a run has succeeded, or is as you want it; for scripts.

    Exit codes: 0 it is as wanted, 1 it will not be any more, 3 time is over.
    """
    end, seconds = end_of(condition), options.span(timeout)
    shown = Shown(screen=Screen(plain=no_color), quiet=True)
    with place.reached(kubeconfig, context, namespace) as hub:
        raise typer.Exit(_interruptible(hub, hub.target(name), shown, end, seconds))


COMMANDS = {"watch": watch, "wait": wait}


def _interruptible(
    hub: Place, target: Target, shown: Shown, end: End, seconds: float | None
) -> int:
    try:
        return follow(hub, target, shown, end, seconds)
    except KeyboardInterrupt:
        return codes.INTERRUPTED


def follow(hub: Place, target: Target, shown: Shown, end: End, seconds: float | None) -> int:
    """Show the run until `end` says so, or for so many seconds; the exit code.

    An Application's newest run is followed, also when another takes over. Raises UserError where
    the object is deleted meanwhile.
    """
    stay = Stay(seconds)
    with ExitStack() as stack:
        following = stack.enter_context(Following(hub.access, _topics(hub, target)))
        is_live = shown.screen.is_live and not shown.quiet
        live = stack.enter_context(shown.screen.live()) if is_live else None
        while True:
            view = _view(target, following)
            if view is not None:
                if live is not None:
                    shown.screen.draw(live, _picture(view, shown, following.trouble))
                elif not shown.quiet:
                    shown.screen.show(changes(view, shown))
            code = end(view) if view is not None else None
            left = stay.left()
            if code is not None or left <= 0:
                if shown.quiet:
                    shown.screen.show([Text(summary(view) if view else target.message)])
                return codes.TIMED_OUT if code is None else code
            following.wait(left)


def _topics(hub: Place, target: Target) -> list[Topic]:
    """The runs; the Application if it was named; the clusters where one may look at them."""
    where = hub.namespace
    if target.application is None:
        assert target.run is not None
        application, one = target.run.spec.application.name, target.run.name
        query = {"fieldSelector": f"metadata.name={one}"}
        found = [Topic(resource=names.FLEETROLLOUTS, namespace=where, query=query)]
    else:
        application = target.application.name
        query = {"fieldSelector": f"metadata.name={application}"}
        label = place.labelled(application)
        found = [
            Topic(resource=names.FLEETROLLOUTS, namespace=where, query=label),
            Topic(resource=names.APPLICATIONS, namespace=where, query=query),
        ]
    if hub.may_see_clusters(application):
        label = place.labelled(application)
        found.append(Topic(resource=names.CLUSTERROLLOUTS, namespace=where, query=label))
    return found


def _view(target: Target, following: Following) -> View | None:
    """What is known now; None before an Application's first run."""
    by_kind: dict[str, list[dict[str, object]]] = {}
    for item in following.everything():
        by_kind.setdefault(str(item["kind"]), []).append(item)
    runs = [FleetRollout.parse(item) for item in by_kind.get(names.FLEETROLLOUTS.kind, ())]
    found = [Application.parse(item) for item in by_kind.get(names.APPLICATIONS.kind, ())]
    if target.application is not None and not found:
        raise errors.UserError("NotFound", f"Application {target.name} is deleted")
    if not runs:
        if target.application is None:
            raise errors.UserError("NotFound", f"run {target.name} is deleted")
        return None
    clusters = [ClusterRollout.parse(item) for item in by_kind.get(names.CLUSTERROLLOUTS.kind, ())]
    return View(
        run=max(runs, key=lambda run: run.spec.number),
        application=found[0] if found else None,
        items={item.spec.cluster: item for item in clusters},
    )


def _picture(view: View, shown: Shown, trouble: str) -> list[Text]:
    now = SystemClock().now()
    lines = picture.whole(view, now, shown.screen.width, wide=shown.wide)
    if trouble:
        lines += [Text(), page.marked(Tone.UNKNOWN, f"what stands here may be old: {trouble}")]
    return lines


def changes(view: View, shown: Shown) -> list[Text]:
    """A line for every decision that was not told, and for every change of what a line says."""
    run = view.run
    if shown.run != run.name:
        # What was decided before somebody looked is history: `describe` tells it.
        shown.told = () if shown.run else run.status.history
        shown.run, shown.last, shown.clusters = run.name, "", None
    lines = []
    for entry in asking.since(shown.told, run):
        when = phrases.clock(entry.time) if entry.time else "-"
        said = asking.spoken(entry.message, run.name)
        lines.append(Text(f"{when}  {entry.reason}: {said}"))
    shown.told = run.status.history
    now = phrases.clock(SystemClock().now())
    before = shown.clusters or {}
    found = views.lines(view)
    lines += [
        Text(f"{now}  {line.name}  {line.phase}  {line.message}".rstrip())
        for line in found
        if before and before.get(line.name, line.phase) is not line.phase
    ]
    shown.clusters = {line.name: line.phase for line in found}
    text = summary(view)
    if text != shown.last:
        lines.append(Text(f"{now}  {text}"))
        shown.last = text
    return lines


def summary(view: View) -> str:
    """Where it stands, on one line without anything that a clock changes."""
    run, status = view.run, view.run.status
    if is_refused(view):
        assert view.application is not None
        return f"{view.application.name}  not accepted: {view.application.status.message}"
    counts = status.counts
    parts = [
        run.name,
        str(status.phase or "Unseen"),
        f"wave {status.display.wave}" if status.display.wave else "",
        f"{counts.updated}/{counts.total} updated",
        f"{counts.failed} failed" if counts.failed else "",
        asking.spoken(status.message, run.name),
    ]
    return "  ".join(part for part in parts if part)
