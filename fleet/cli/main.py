"""The root command: which commands there are, and what their errors mean for the shell.

A command's module is imported when that command is meant, and not to list it: `fleet render` does
not pay for a Kubernetes client, nor the engine for the hub. Every message is a sentence; a stack
trace is a bug of ours.
"""

import io
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from fleet import __version__
from fleet.cli import codes, loading
from fleet.errors import FleetError, UserError

COMMANDS: Mapping[str, str] = {
    "get": "Show a run with its waves and clusters, or list the Applications.",
    "describe": "Show a run with its plan, and what was decided when and why.",
    "watch": "Show a run live until its end.",
    "wait": "Stay until a run has succeeded, or is as you want it; for scripts.",
    "plan": "Say who would go when, before anything does; with files alone, or with a hub.",
    "diff": "Say what would change in which cluster, against what it was sent last.",
    "simulate": "Tell the story of a run that does not happen: what if some fail, or are lost?",
    "history": "List the runs of an Application and how they ended.",
    "pause": "Start nothing more, and hold who is in flight at its step.",
    "resume": "Go on after a pause or a halt, in spite of what has failed so far.",
    "approve": "Approve the plan for the wave that waits for it.",
    "promote": "Let a wave through its `paused` gate, or clusters go on that wait for a person.",
    "conclude": "End the experiments that run; what they chose waits to be promoted.",
    "skip": "Leave out a cluster that has not gone yet, or all such of a wave.",
    "retry": "Try the failed clusters again, and only them.",
    "rollback": "Back to what ran well before: a run, a wave or a cluster of it.",
    "undo": "Deliver a former run again, through the waves.",
    "abort": "End the run; who is in flight goes back.",
    "confirm-prune": "Let those go that have left the fleet.",
    "rollout": "See and steer one Rollout in one cluster; needs no hub.",
    "cluster": "Register members and look after their access.",
    "render": "Print the objects that each member would get; needs no cluster.",
    "crds": "Write or check the custom resource definitions.",
    "run": "Run a controller in the foreground.",
}
"""`fleet <name>`: the `app` of the module `fleet.cli.<name>`, and what the list says about it."""
RUNS: Mapping[str, str] = {
    **dict.fromkeys(("get", "describe"), "show"),
    **dict.fromkeys(("watch", "wait"), "watching"),
    "plan": "planning",
    "simulate": "simulating",
    "diff": "differing",
    "history": "past",
    **dict.fromkeys(("pause", "resume", "approve", "promote", "conclude"), "verbs"),
    **dict.fromkeys(("skip", "retry", "rollback", "undo", "abort", "confirm-prune"), "verbs"),
}
"""Of these, what asks a hub about its runs: a function in `COMMANDS` of `fleet.cli.runs.<…>`."""


class Commands(TyperGroup):
    """COMMANDS as a group: stand-ins for help and completion, the real one when it is meant."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, sentence in COMMANDS.items():
            panel = "Runs of a fleet" if name in RUNS else "Clusters, files, controllers"
            self.commands[name] = TyperCommand(name, help=sentence, rich_help_panel=panel)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The command that `args` begin with, its module imported."""
        name, found, rest = super().resolve_command(ctx, args)
        return name, found and _load(str(found.name)), rest


def _load(name: str) -> Any:
    if name in RUNS:
        module = loading.command(f"runs.{RUNS[name]}")
        alone = typer.Typer(add_completion=False)
        alone.command()(module.COMMANDS[name])
    else:
        alone = loading.command(name).app
    command = typer.main.get_command(alone)
    _, gap, more = (command.help or "").partition("\n\n")
    command.name, command.help = name, f"{COMMANDS[name]}{gap}{more}"
    return command


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


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
    """One Application, delivered to a whole fleet of clusters, and taken back where it hurts.

    Exit codes: 0 done, 1 failed or refused, 2 a typing error, 3 out of time.
    """


def main(words: Sequence[str] | None = None) -> None:
    """The entry point of `fleet` and `python -m fleet`; `words` default to the process's own."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # who cannot show a mark shows all the rest
    try:
        app(args=words, prog_name="fleet")
    except UserError as error:
        typer.echo(f"{error.reason}: {error}", err=True)
        is_usage = error.reason in ("Usage", "InvalidSettings")
        sys.exit(codes.USAGE if is_usage else codes.FAILED)
    except (FleetError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(codes.FAILED)
