"""`fleet plan`: what the hub would do with an Application, before it does it."""

from pathlib import Path
from typing import Annotated, Any

import typer

from fleet.cli import options, tables
from fleet.cli.runs import inputs, place, planned, simulation
from fleet.cli.screen import Screen
from fleet.hub.core.actions import RunPlan
from fleet.telemetry.clock import SystemClock

Files = Annotated[
    list[Path] | None,
    typer.Option(
        "--file",
        "-f",
        help="The Application as it shall be; with its Fleet and MemberClusters no hub is asked. "
        "Files, folders, or -.",
    ),
]
Subject = Annotated[
    str,
    typer.Argument(metavar="APP", help="Name of an Application.", autocompletion=place.complete),
]
FORMS = ("table", "json", "yaml")


def plan(
    name: Subject = "",
    files: Files = None,
    output: Annotated[str, options.forms("table", "json", "yaml")] = "table",
    no_color: options.NoColor = False,
    namespace: options.Place = "",
    context: options.Context = "",
    kubeconfig: options.Kubeconfig = None,
) -> None:
    tables.check(output, FORMS)
    asked = inputs.Asked(
        name=name,
        files=files or (),
        kubeconfig=kubeconfig,
        context=context,
        namespace=namespace,
    )
    found = inputs.read(asked)
    due = inputs.due(found)
    inputs.prove(found, due)
    first = simulation.first(found, due, SystemClock().now()) if due.occasion else None
    if output == "table":
        screen = Screen(plain=no_color)
        screen.show(planned.lines(found, due, first, screen.width))
        return
    guess = planned.estimate(found)
    body = {
        "application": found.application.name,
        "run": f"{found.application.name}-{due.number}" if due.occasion else None,
        "trigger": due.occasion.trigger if due.occasion else None,
        "revision": due.proposal.revision,
        "secondsPerCluster": guess.seconds,
        "first": _first(first) if first is not None else None,
        "plan": due.plan.manifest(),
    }
    typer.echo(tables.document(body, output), nl=False)


def _first(first: RunPlan) -> dict[str, Any]:
    """The planner's first look, for programs."""
    status = first.status.manifest()
    told = {key: status.get(key) for key in ("phase", "reason", "message", "until", "unblock")}
    return {"clusters": planned.starting(first), **told}


COMMANDS = {"plan": plan}
