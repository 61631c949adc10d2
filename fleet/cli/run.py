"""`fleet run engine` and `fleet run hub`: the two controllers, in the foreground.

Settings come from the environment (`fleet.settings`); the options here go before it. SIGTERM and
SIGINT end the process in order, with exit code 0.
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from fleet import aio, settings
from fleet.cli import loading
from fleet.settings import Connection, Settings
from fleet.telemetry import logs

NEEDLESS = (loading.COMMAND_LINE, "kubernetes")
"""kopf would know the objects of a client that we do not use here: 14 MB, a tenth of a start."""

S = TypeVar("S", bound=Settings)

app = typer.Typer(no_args_is_help=True, add_completion=False)

Kubeconfig = Annotated[
    Path | None,
    typer.Option(help="Kubeconfig of the controller's own cluster; default: KUBECONFIG, the pod."),
]
Host = Annotated[str, typer.Option(help="Address for /healthz, /readyz and /metrics.")]
Port = Annotated[int, typer.Option(help="Port for them; 0 takes a free one.", min=0, max=65_535)]
LogFormat = Annotated[
    str, typer.Option(help="json or text; default: text on a terminal, else json.")
]


CDEventsSink = Annotated[
    str, typer.Option("--cdevents-sink", help="URL that gets CDEvents; default: as the variables.")
]
Only = Annotated[str, typer.Option("--namespace", help="Only the Rollouts of this namespace.")]
OccurrenceDir = Annotated[
    str, typer.Option("--occurrence-dir", help="Folder of FALSE occurrences, or off.")
]


@app.command()
def engine(
    kubeconfig: Kubeconfig = None,
    host: Host = "",
    port: Port = 8080,
    log_format: LogFormat = "",
    cdevents_sink: CDEventsSink = "",
    occurrence_dir: OccurrenceDir = "",
    namespace: Only = "",
) -> None:
    """Run the engine: it carries out the Rollouts of the cluster it runs in."""
    with loading.quickly(*NEEDLESS):
        from fleet.wiring.engine import run_engine  # noqa: PLC0415

    chosen = _chosen(settings.engine(), kubeconfig, host, port)
    if cdevents_sink:
        url = settings.sink(cdevents_sink, "--cdevents-sink")
        chosen = replace(chosen, cdevents=True, cdevents_sink=url)
    if namespace:
        chosen = replace(chosen, only=namespace)
    if occurrence_dir:
        chosen = replace(chosen, occurrences=settings.folder(occurrence_dir))
    _log(chosen, log_format)
    aio.run(run_engine(chosen))


@app.command()
def hub(
    kubeconfig: Kubeconfig = None, host: Host = "", port: Port = 8080, log_format: LogFormat = ""
) -> None:
    """Run the hub: it delivers Applications to the members of their fleets."""
    with loading.quickly(*NEEDLESS):
        from fleet.wiring.hub import run_hub  # noqa: PLC0415

    chosen = _chosen(settings.hub(), kubeconfig, host, port)
    _log(chosen, log_format)
    aio.run(run_hub(chosen))


def _chosen(found: S, kubeconfig: Path | None, host: str, port: int) -> S:
    """The settings of the environment, with the options before them."""
    connection = Connection(kubeconfig=kubeconfig) if kubeconfig else found.connection
    return replace(
        found, connection=connection, listen_host=host or found.listen_host, listen_port=port
    )


def _log(chosen: Settings, log_format: str) -> None:
    if log_format not in ("", "json", "text"):
        raise typer.BadParameter("write json or text", param_hint="--log-format")
    logs.configure(chosen.log_level, json=(log_format or _usual()) == "json")


def _usual() -> str:
    return "text" if sys.stderr.isatty() else "json"
