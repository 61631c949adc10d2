"""`fleet cluster …`: register members, list them, look at one.

`add` is run by an administrator of both clusters (`registration`); `list` and `check` read only.
"""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from fleet.api import names
from fleet.cli import access, inspection, options, registration, tables
from fleet.errors import UserError
from fleet.telemetry.clock import SystemClock

FAILED = 1
MARKS: Mapping[bool | None, str] = {True: "✓", False: "✗", None: "?"}

app = typer.Typer(no_args_is_help=True, add_completion=False)

Name = Annotated[str, typer.Argument(help="Name of the MemberCluster.")]


@app.command()
def add(
    name: Name,
    kubeconfig: Annotated[
        Path, typer.Option(help="The administrator's kubeconfig of the member.", exists=True)
    ],
    context: Annotated[str, typer.Option(help="Context in that kubeconfig.")] = "",
    namespaces: Annotated[
        str, typer.Option(help="Namespaces that Applications may use there, e.g. shop,checkout.")
    ] = "",
    labels: Annotated[
        str | None, typer.Option(help="Labels for waves, e.g. ring=canary,region=eu.")
    ] = None,
    variables: Annotated[
        str | None, typer.Option("--vars", help="Values for templates, e.g. domain=eu.example.com.")
    ] = None,
    prometheus: Annotated[
        str | None, typer.Option(help="Prometheus of this member, a URL.")
    ] = None,
    engine: Annotated[
        str | None, typer.Option(help="Managed or External; default: Managed.")
    ] = None,
    image: Annotated[
        str | None, typer.Option(help="Engine image; default: the hub's choice.")
    ] = None,
    renew: Annotated[bool, typer.Option("--renew", help="Only write a fresh token.")] = False,
    namespace: options.Namespace = "default",
    hub_kubeconfig: options.HubKubeconfig = None,
    hub_context: options.HubContext = "",
) -> None:
    """Give the hub access to a member and register it; safe to run again.

    What is not said stays as it was: --namespaces adds, the other options replace.
    """
    wish = registration.Wish(
        name=name,
        namespace=namespace,
        namespaces=tuple(item.strip() for item in namespaces.split(",") if item.strip()),
        labels=None if labels is None else options.pairs(labels, "--labels"),
        vars=None if variables is None else options.pairs(variables, "--vars"),
        prometheus=prometheus,
        engine=engine,
        image=image,
    )
    registration.check(wish)
    if renew and wish != registration.Wish(name=name, namespace=namespace):
        raise UserError("Usage", "--renew only writes a token: leave out the other options, or it")
    do = registration.renew if renew else registration.register
    with (
        access.connect(hub_kubeconfig, hub_context or None, role="hub") as hub,
        access.connect(kubeconfig, context or None, role="member") as member,
    ):
        for line in do(hub, member, wish):
            typer.echo(line)
    done = "has a new token" if renew else f"is registered: fleet cluster list -n {namespace}"
    typer.echo(f"{name} {done}")


@app.command("list")
def list_command(
    output: options.Output = "table",
    namespace: options.Namespace = "default",
    hub_kubeconfig: options.HubKubeconfig = None,
    hub_context: options.HubContext = "",
) -> None:
    """The members of a namespace and what the hub knows of them."""
    tables.check(output)
    with access.connect(hub_kubeconfig, hub_context or None, role="hub") as hub:
        clusters = hub.list(names.MEMBERCLUSTERS, namespace)
    if output in ("json", "yaml"):
        typer.echo(tables.document(clusters, output), nl=False)
    elif output == "name":
        for cluster in clusters:
            typer.echo(f"membercluster.{names.FLEET_GROUP}/{cluster['metadata']['name']}")
    elif clusters:
        now = SystemClock().now()
        rows = [_row(cluster, now, wide=output == "wide") for cluster in clusters]
        typer.echo(tables.aligned(rows), nl=False)
    else:
        typer.echo(f"no members in namespace {namespace}: fleet cluster add NAME", err=True)


@app.command("check")
def check_command(
    name: Name,
    output: Annotated[str, typer.Option("--output", "-o", help="table, json or yaml.")] = "table",
    namespace: options.Namespace = "default",
    hub_kubeconfig: options.HubKubeconfig = None,
    hub_context: options.HubContext = "",
) -> None:
    """Look at one member with the hub's own kubeconfig; exit with 1 if something is wrong."""
    tables.check(output, ("table", "json", "yaml"))
    with access.connect(hub_kubeconfig, hub_context or None, role="hub") as hub:
        findings = list(inspection.inspect(hub, namespace, name))
    if output == "table":
        for item in findings:
            typer.echo(f"  {MARKS[item.good]} {item.what:10}  {item.text}")
    else:
        rows = [{"what": item.what, "good": item.good, "text": item.text} for item in findings]
        typer.echo(tables.document(rows, output), nl=False)
    if any(item.good is False for item in findings):
        raise typer.Exit(FAILED)


def _row(cluster: Mapping[str, Any], now: datetime, *, wide: bool) -> dict[str, str]:
    metadata, spec, status = cluster["metadata"], cluster["spec"], cluster.get("status") or {}
    engine = status.get("engine") or {}
    words = {True: "Healthy", False: "Unhealthy", None: "Unknown"}
    row = {
        "NAME": str(metadata["name"]),
        "REACHABLE": {True: "Yes", False: "No", None: "Unknown"}[status.get("reachable")],
        "ENGINE": " ".join(filter(None, (words[engine.get("healthy")], engine.get("version")))),
        "KUBERNETES": str(status.get("kubernetesVersion") or ""),
        "ROLLOUTS": str(engine.get("rollouts") or 0),
        "TOKEN": tables.span(status.get("credentialsExpire"), now),
        "AGE": tables.span(metadata["creationTimestamp"], now),
    }
    if wide:
        labels = (metadata.get("labels") or {}).items()
        row["NAMESPACES"] = ",".join(spec.get("allowedNamespaces") or ())
        row["LABELS"] = ",".join(f"{key}={value}" for key, value in labels)
    row["MESSAGE"] = str(status.get("message") or engine.get("message") or "")
    return row
