"""`fleet diff`: what would change in which cluster if the hub delivered an Application now."""

from typing import Annotated

import typer

from fleet import settings
from fleet.cli import options, tables
from fleet.cli.runs import difference, inputs
from fleet.cli.runs.planning import FORMS, Files, Subject
from fleet.cli.screen import Screen
from fleet.rendering import environment
from fleet.wiring import proofs

DIFFERS = 1
ExitCode = Annotated[
    bool, typer.Option("--exit-code", help="Exit with 1 if anything would change, as git does.")
]


def diff(
    name: Subject = "",
    files: Files = None,
    exit_code: ExitCode = False,
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
    templates = environment.read(settings.files("templates"))
    with proofs.opened(templates) as drawing:
        groups = difference.groups(found, inputs.due(found), drawing.render)
    if output == "table":
        Screen(plain=no_color).show(difference.lines(groups))
    else:
        body = [
            {
                "clusters": list(group.clusters),
                "before": group.before,
                "diff": "".join(f"{line}\n" for line in group.lines),
            }
            for group in groups
        ]
        typer.echo(tables.document(body, output), nl=False)
    if exit_code and difference.has_any(groups):
        raise typer.Exit(DIFFERS)


COMMANDS = {"diff": diff}
