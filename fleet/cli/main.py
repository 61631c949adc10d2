"""The root command: which commands there are, and what their errors mean for the shell.

Exit codes: 0 done, 1 failed, 2 usage, 3 time-out. Every message is a sentence; a stack trace is a
bug of ours.
"""

import sys
from collections.abc import Callable, Mapping

import typer

from fleet import __version__
from fleet.cli import cluster, crds, render, run
from fleet.errors import FleetError, UserError

FAILED, USAGE = 1, 2

GROUPS: Mapping[str, typer.Typer] = {
    "cluster": cluster.app,
    "crds": crds.app,
    "run": run.app,
}
"""`fleet <name> …`: groups of commands, one file each."""

COMMANDS: Mapping[str, Callable[..., None]] = {"render": render.command}
"""`fleet <name>`: single commands, one file each."""

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
for _name, _group in GROUPS.items():
    app.add_typer(_group, name=_name)
for _name, _command in COMMANDS.items():
    app.command(_name)(_command)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
) -> None:
    """One Application, delivered to a whole fleet of clusters, and taken back where it hurts."""


def main() -> None:
    """The entry point of `fleet` and `python -m fleet`."""
    try:
        app()
    except UserError as error:
        typer.echo(f"{error.reason}: {error}", err=True)
        sys.exit(USAGE if error.reason in ("Usage", "InvalidSettings") else FAILED)
    except FleetError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(FAILED)
