"""`fleet simulate`: the story of a run that does not happen, told by the hub's own planner."""

from typing import Annotated

import typer

from fleet.cli import options, tables
from fleet.cli.runs import inputs, place, planned, simulation, tale
from fleet.cli.runs.imitation import Habits
from fleet.cli.runs.planning import FORMS, Files, Subject
from fleet.cli.screen import Screen
from fleet.telemetry.clock import SystemClock

Failing = Annotated[
    list[str] | None,
    typer.Option(
        "--fail",
        help="Who fails the analysis: NAME or label=value; may be repeated.",
        autocompletion=place.complete_cluster,
    ),
]
Losing = Annotated[
    list[str] | None,
    typer.Option(
        "--lose",
        help="Who does not answer: NAME or label=value, @10m later, @10m-2h for a while.",
        autocompletion=place.complete_cluster,
    ),
]


def simulate(
    name: Subject = "",
    files: Files = None,
    failing: Failing = None,
    losing: Losing = None,
    each: Annotated[
        str, typer.Option(help="What one cluster takes, e.g. 10m; default: as it did before.")
    ] = "",
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
    given = options.span(each, "--each")
    found = inputs.read(asked)
    due = inputs.due(found)
    inputs.prove(found, due)
    members = {str(key): found.observed.members[key] for key in due.proposal.chosen}
    guess = planned.estimate(found)
    if given is not None:
        guess = planned.Estimate(seconds=given, source="as you say")
    script = simulation.Script(
        habits=Habits(each=guess.seconds, failing=tale.chosen(failing or (), "--fail", members)),
        losses=tale.losses(losing or (), members),
    )
    begin = SystemClock().now().replace(microsecond=0)
    played = simulation.play(found, due, script, begin)
    if output == "table":
        screen = Screen(plain=no_color)
        screen.show(tale.lines(played, script, guess, screen.width))
    else:
        typer.echo(tables.document(tale.document(played), output), nl=False)


COMMANDS = {"simulate": simulate}
