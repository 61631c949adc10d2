"""`fleet rollout history`: which revisions there were and how they ended."""

from datetime import datetime
from typing import Annotated

import typer

from fleet.cli import options, tables
from fleet.cli.rollouts import chronicle, place
from fleet.cli.rollouts.family import Family
from fleet.cli.screen import Screen
from fleet.telemetry.clock import SystemClock

FORMS = ("table", "json", "yaml")


def history(
    name: place.Name,
    output: Annotated[str, options.forms(*FORMS)] = "table",
    no_color: options.NoColor = False,
    namespace: options.Place = "",
    context: options.Context = "",
    kubeconfig: options.Kubeconfig = None,
) -> None:
    """List the revisions that are kept, newest first; * is the stable one."""
    tables.check(output, FORMS)
    with place.reached(kubeconfig, context, namespace) as found:
        family = found.family(place.plain(name))
    if output == "table":
        Screen(plain=no_color).show(chronicle.lines(family, SystemClock().now()))
    else:
        typer.echo(tables.document(_listed(family), output), nl=False)


def _listed(family: Family) -> list[dict[str, object]]:
    return [
        {
            "revision": item.number,
            "hash": item.hash,
            "images": list(item.images),
            "created": _text(item.created),
            "replicas": item.desired,
            "role": item.role,
            "outcome": chronicle.outcome(family, item.hash).plain,
        }
        for item in family.revisions
    ]


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
