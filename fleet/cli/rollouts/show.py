"""`fleet rollout get` and `watch`: a Rollout as a tree, once or live."""

from datetime import datetime
from typing import Annotated, Any

import typer
from rich.text import Text

from fleet.api import names
from fleet.cli import codes, options, page, tables
from fleet.cli.rollouts import family as families
from fleet.cli.rollouts import header, place, tree, watching
from fleet.cli.rollouts.family import Family
from fleet.cli.rollouts.place import Place, complete
from fleet.cli.screen import Screen
from fleet.kulta.core.feedback import outlook
from fleet.telemetry.clock import SystemClock

OptionalName = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="ro/NAME or NAME; all where it is left out.", autocompletion=complete
    ),
]


def get(
    name: OptionalName = "",
    output: options.Output = "table",
    everywhere: options.Everywhere = False,
    no_color: options.NoColor = False,
    namespace: options.Place = "",
    context: options.Context = "",
    kubeconfig: options.Kubeconfig = None,
) -> None:
    """Show a Rollout, its revisions and pods, and what it waits for; without a name, list all."""
    tables.check(output)
    screen, wide = Screen(plain=no_color), output == "wide"
    with place.reached(kubeconfig, context, namespace) as found:
        if not name:
            _list(found, screen, output, everywhere=everywhere)
        elif output in ("table", "wide"):
            family = found.family(place.plain(name))
            screen.show(picture(family, SystemClock().now(), screen.width, wide=wide))
        else:
            _document(found.rollout(place.plain(name)), output)


def watch(
    name: place.Name,
    timeout: options.TimeOut = "",
    output: Annotated[str, options.forms("table", "wide")] = "table",
    no_color: options.NoColor = False,
    namespace: options.Place = "",
    context: options.Context = "",
    kubeconfig: options.Kubeconfig = None,
) -> None:
    """Show a Rollout live until it is completed (exit code 0) or failed (1)."""
    tables.check(output, ("table", "wide"))
    seconds = options.span(timeout)
    with place.reached(kubeconfig, context, namespace) as found:
        shown = watching.Shown(screen=Screen(plain=no_color), wide=output == "wide")
        try:
            code = watching.follow(found, place.plain(name), shown, watching.is_over, seconds)
        except KeyboardInterrupt:
            code = codes.INTERRUPTED
    raise typer.Exit(code)


def picture(family: Family, now: datetime, width: int | None, *, wide: bool) -> list[Text]:
    """Head and tree."""
    return [*header.lines(family, now, width), Text(), *tree.lines(family, now, wide=wide)]


def _document(manifest: dict[str, Any], output: str) -> None:
    if output == "name":
        typer.echo(_named(manifest))
    else:
        typer.echo(tables.document(tables.bare(manifest), output), nl=False)


def _named(manifest: dict[str, Any]) -> str:
    return f"rollout.{names.KULTA_GROUP}/{manifest['metadata']['name']}"


def _list(found: Place, screen: Screen, output: str, *, everywhere: bool) -> None:
    where = None if everywhere else found.namespace
    items = found.rollouts(where)
    if output == "name":
        for item in items:
            typer.echo(_named(item))
    elif output in ("json", "yaml"):
        bare = [tables.bare(item) for item in items]
        listed = {"apiVersion": "v1", "kind": "List", "items": bare}
        typer.echo(tables.document(listed, output), nl=False)
    elif items:
        now = SystemClock().now()
        rows = [
            line(families.of(item, (), ()), now, everywhere=everywhere, wide=output == "wide")
            for item in items
        ]
        screen.show(page.columns(list(rows[0]), [list(row.values()) for row in rows]))
    else:
        place_ = f"in namespace {where}" if where else "in any namespace"
        hint = ": -n names another one, -A shows all" if where else ""
        typer.echo(f"no Rollouts {place_} of {found.access.server}{hint}", err=True)


def line(family: Family, now: datetime, *, everywhere: bool, wide: bool) -> dict[str, Text | str]:
    """One Rollout in the list, by the titles of the columns."""
    status, meta = family.rollout.status, family.rollout.metadata
    weight = "" if status.current_weight is None else f"{status.current_weight}%"
    row: dict[str, Text | str] = {"NAMESPACE": meta.namespace} if everywhere else {}
    row |= {
        "NAME": family.name,
        "STRATEGY": family.strategy,
        "STATUS": page.marked(*tree.standing(family)),
        "STEP": status.step or "-",
        "WEIGHT": weight or "-",
        "READY": f"{status.ready_replicas}/{status.replicas}",
        "AGE": tree.age(meta.creation_timestamp, now),
    }
    if wide:
        row |= {"STABLE": status.stable_pod_hash, "REVISION": status.current_pod_hash}
    obstacle = outlook.stalled(family.rollout)
    return row | {"MESSAGE": obstacle.message if obstacle else status.message}
