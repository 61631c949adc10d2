"""`fleet get` and `describe`: Applications with their runs, and one run with all that is known."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import typer
from rich.text import Text

from fleet.api import names
from fleet.api.application import Application
from fleet.api.fleetrollout import FleetRollout
from fleet.cli import options, page, tables
from fleet.cli.page import Cells
from fleet.cli.runs import asking, picture, place, story
from fleet.cli.runs import view as views
from fleet.cli.runs.place import Place, Target
from fleet.cli.runs.view import View
from fleet.cli.screen import Screen
from fleet.cli.tables import Tone
from fleet.errors import UserError
from fleet.telemetry.clock import SystemClock

HEAD = ("NAME", "RUN", "PHASE", "WAVE", "UPDATED", "FAILED", "TRAFFIC", "AGE", "MESSAGE")
WIDE = ("REVISION", "STRATEGY", "FLEET", "IMAGES")
Pair = tuple[dict[str, Any], FleetRollout | None]
"""An Application as it is stored, and its newest run."""


def get(
    name: place.OptionalName = "",
    output: options.Output = "table",
    everywhere: options.Everywhere = False,
    no_color: options.NoColor = False,
    namespace: options.Place = "",
    context: options.Context = "",
    kubeconfig: options.Kubeconfig = None,
) -> None:
    """Show a run with its waves and clusters; without a name, list the Applications."""
    tables.check(output)
    screen = Screen(plain=no_color)
    with place.reached(kubeconfig, context, namespace) as hub:
        if not name:
            _list(hub, screen, output, everywhere=everywhere)
        elif output in ("table", "wide"):
            view = seen(hub, hub.target(name))
            now = SystemClock().now()
            screen.show(picture.whole(view, now, screen.width, wide=output == "wide"))
        else:
            typer.echo(_document(hub.stored(hub.target(name)), output), nl=False)


def describe(
    name: place.Name,
    no_color: options.NoColor = False,
    namespace: options.Place = "",
    context: options.Context = "",
    kubeconfig: options.Kubeconfig = None,
) -> None:
    """Show a run with its plan, everybody in it, and what was decided when and why."""
    screen = Screen(plain=no_color)
    with place.reached(kubeconfig, context, namespace) as hub:
        view = seen(hub, hub.target(name))
    now = SystemClock().now()
    shown = picture.whole(view, now, screen.width, wide=True)
    screen.show([*shown, *story.plan(view.run, screen.width), *story.past(view.run, screen.width)])


COMMANDS = {"get": get, "describe": describe}


def seen(hub: Place, target: Target) -> View:
    """The run that is meant. Raises UserError where the Application has none yet."""
    if target.run is None:
        raise UserError("NotFound", f"{target.name} has no run yet: {target.message}")
    name = target.run.spec.application.name
    is_newest = target.application is not None
    if not is_newest:
        is_newest = hub.newest(target.run) == target.run.spec.number
    # The run's own status says most of it to those who may not look at the clusters.
    items = hub.clusters(name) if hub.may_see_clusters(name) else []
    return View(
        run=target.run,
        application=target.application,
        items={item.spec.cluster: item for item in items},
        is_newest=is_newest,
    )


def _document(found: Mapping[str, Any], output: str) -> str:
    if output == "name":
        return f"{found['kind'].lower()}.{names.FLEET_GROUP}/{found['metadata']['name']}\n"
    return tables.document(found, output)


def _list(hub: Place, screen: Screen, output: str, *, everywhere: bool) -> None:
    namespace = None if everywhere else hub.namespace
    items = hub.applications(namespace)
    if output in ("json", "yaml"):
        found = {"apiVersion": "v1", "kind": "List", "items": [tables.bare(x) for x in items]}
        typer.echo(tables.document(found, output), nl=False)
        return
    if output == "name":
        for item in items:
            typer.echo(f"application.{names.FLEET_GROUP}/{item['metadata']['name']}")
        return
    if not items:
        where = "in any namespace" if everywhere else f"in namespace {namespace}"
        hint = "" if everywhere else ": -n names another one, -A shows all"
        typer.echo(f"no Applications {where} of {hub.access.server}{hint}", err=True)
        return
    newest = _newest(hub.all_runs(namespace))
    pairs = [(item, newest.get(_key(item["metadata"]))) for item in items]
    now = SystemClock().now()
    screen.show(listed(pairs, now, wide=output == "wide", everywhere=everywhere))


def _key(metadata: Mapping[str, Any]) -> names.Key:
    return str(metadata.get("namespace", "")), str(metadata["name"])


def _newest(runs: Sequence[FleetRollout]) -> dict[names.Key, FleetRollout]:
    """The newest run of each Application."""
    ordered = sorted(runs, key=lambda run: run.spec.number)
    return {(run.namespace, run.spec.application.name): run for run in ordered}


def listed(
    pairs: Sequence[Pair], now: datetime, *, wide: bool = False, everywhere: bool = False
) -> list[Text]:
    """The table of Applications with their newest runs."""
    head = (*(("NAMESPACE",) if everywhere else ()), *HEAD[:-1], *(WIDE if wide else ()), HEAD[-1])
    rows = [
        [
            *([_key(item["metadata"])[0]] if everywhere else []),
            *_row(Application.parse(item), run, now, wide),
        ]
        for item, run in pairs
    ]
    return page.columns(head, rows)


def _row(found: Application, run: FleetRollout | None, now: datetime, wide: bool) -> Iterator[Any]:
    created = found.metadata.creation_timestamp
    age = tables.span(created.isoformat(), now) if created else ""
    name = Text(found.name, style=page.STRONG)
    refused = any(x.type == "Accepted" and x.status == "False" for x in found.status.conditions)
    message = found.status.message if run is None or refused else run.status.message
    message = asking.spoken(message, run.name if run else found.name)
    tail: Cells = (page.marked(Tone.BAD, message) if refused else message,)
    if run is None:
        yield from (name, "", page.marked(Tone.UNKNOWN, "No run"), "", "", "", "", age)
        yield from ("", "", found.spec.destination.fleet, "") if wide else ()
    else:
        status = run.status
        failed = status.counts.failed
        yield from (name, run.name, page.marked(views.RUN[status.phase], status.phase or "Unseen"))
        yield from (status.display.wave, status.display.updated)
        yield Text(str(failed), style="bold red" if failed else "")
        yield from (status.display.traffic, age)
        if wide:
            images = View(run=run, items={}).images
            fleet = found.spec.destination.fleet
            yield from (status.display.revision, status.display.strategy, fleet, images)
    yield from tail
