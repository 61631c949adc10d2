"""`fleet rollout explain`: what the engine would do from here, step by step, in plain words."""

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from fleet.api import names
from fleet.cli import files, options, page
from fleet.cli.rollouts import family as families
from fleet.cli.rollouts import forecast, lint, place
from fleet.cli.rollouts.family import Family
from fleet.cli.screen import Screen
from fleet.errors import UserError
from fleet.kulta.core.feedback import linting
from fleet.telemetry.clock import SystemClock

OptionalName = Annotated[
    str, typer.Argument(help="ro/NAME or NAME.", autocompletion=place.complete)
]


def explain(
    name: OptionalName = "",
    file: Annotated[
        Path | None,
        typer.Option("--file", "-f", help="A Rollout that is nowhere yet, or -; needs no cluster."),
    ] = None,
    no_color: options.NoColor = False,
    namespace: options.Place = "",
    context: options.Context = "",
    kubeconfig: options.Kubeconfig = None,
) -> None:
    """Say what the engine would do from here, how long it takes and what would stop it."""
    if bool(name) == (file is not None):
        raise UserError("Usage", "write ro/NAME, or -f FILE for a Rollout that is nowhere yet")
    screen, now = Screen(plain=no_color), SystemClock().now()
    if file is not None:
        family = _read(file)
        told = lines(forecast.of(family, now), screen.width)
        screen.show([*told, Text(), *lines(forecast.later(family, now), screen.width)])
        return
    with place.reached(kubeconfig, context, namespace) as found:
        family = found.family(place.plain(name))
    screen.show(lines(forecast.of(family, now), screen.width))


def lines(told: forecast.Forecast, width: int | None) -> list[Text]:
    """A forecast on paper."""
    result = [*page.labelled("", Text(told.title, style=page.STRONG), width, indent=0), Text()]
    for number, item in enumerate(told.ahead, 1):
        result += page.labelled(f"{number:>2}. {item.when}", item.text, width, indent=told.indent)
    for title, sentences in (("It waits", told.holds), ("It is taken back", told.dangers)):
        if sentences:
            result += [Text(), Text(title, style=page.STRONG)]
        for sentence in sentences:
            result += page.labelled("  •", sentence, width, indent=4)
    for sentence in told.total:
        result += [Text(), *page.labelled("", sentence, width, indent=0)]
    return result


def _read(path: Path) -> Family:
    """The Rollout of a file as it would begin: without status. Raises UserError."""
    rollouts = [
        item
        for _, item in files.read([path])
        if isinstance(item, dict) and item.get("kind") == names.ROLLOUTS.kind
    ]
    found = [item for item in rollouts if not lint.foreign(item)]
    if rollouts and not found:
        raise UserError("InvalidSpec", f"{path}: {lint.foreign(rollouts[0])}")
    if len(found) != 1:
        raise UserError("Usage", f"{path}: {len(found)} Rollouts: write a file with one")
    if problems := [item for item in linting.problems(found[0]) if not item.is_taken]:
        more = f" (one of {len(problems)} problems)" if len(problems) > 1 else ""
        text = f"{path}: {problems[0]}{more}: fleet rollout lint -f {path}"
        raise UserError("InvalidSpec", text)
    return families.of({**found[0], "status": {}}, (), ())
