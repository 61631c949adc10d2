"""`fleet history`: the runs of an Application that the hub keeps, and how each of them ended."""

import typer

from fleet.api import names
from fleet.api.fleetrollout import FleetRollout
from fleet.cli import options, tables
from fleet.cli.runs import place, story
from fleet.cli.screen import Screen
from fleet.errors import UserError


def history(
    name: place.Name,
    output: options.Output = "table",
    no_color: options.NoColor = False,
    namespace: options.Place = "",
    context: options.Context = "",
    kubeconfig: options.Kubeconfig = None,
) -> None:
    """List the runs of an Application, newest first; `fleet undo --to` delivers one again."""
    tables.check(output)
    with place.reached(kubeconfig, context, namespace) as hub:
        target = hub.target(name)
        if target.run is None:
            raise UserError("NotFound", f"{target.name} has no run yet: {target.message}")
        stored = hub.stored_runs(target.run.spec.application.name)
    found = [FleetRollout.parse(item) for item in stored]
    if output in ("table", "wide"):
        Screen(plain=no_color).show(story.runs(found))
    elif output == "name":
        for run in reversed(found):
            typer.echo(f"fleetrollout.{names.FLEET_GROUP}/{run.name}")
    else:
        listed = {"apiVersion": "v1", "kind": "List", "items": stored[::-1]}
        typer.echo(tables.document(listed, output), nl=False)


COMMANDS = {"history": history}
