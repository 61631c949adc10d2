"""`fleet plan`: what the hub would do with an Application, before it does it."""

from pathlib import Path
from typing import Annotated

import typer

from fleet.cli import options, tables
from fleet.cli.runs import inputs, place, planned
from fleet.cli.screen import Screen

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
    typer.Argument(metavar="[APP]", help="Name of an Application.", autocompletion=place.complete),
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
    if output == "table":
        screen = Screen(plain=no_color)
        screen.show(planned.lines(found, due, screen.width))
        return
    guess = planned.estimate(found)
    body = {
        "application": found.application.name,
        "run": f"{found.application.name}-{due.number}" if due.occasion else None,
        "trigger": due.occasion.trigger if due.occasion else None,
        "revision": due.proposal.revision,
        "secondsPerCluster": guess.seconds,
        "plan": due.plan.manifest(),
    }
    typer.echo(tables.document(body, output), nl=False)


COMMANDS = {"plan": plan}
