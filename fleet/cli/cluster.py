"""`fleet cluster …`: register members, list them, look at one, upgrade its engine, let it go.

`add` is run by an administrator of both clusters (`registration`), `remove` by one of the hub and
perhaps of the member (`farewell`); `list` and `check` read only.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from fleet.api import names
from fleet.api.membercluster import MemberCluster
from fleet.cli import access, codes, exchange, farewell, inspection, options, registration, tables
from fleet.errors import FleetError, UserError
from fleet.telemetry.clock import SystemClock

MARKS: Mapping[bool | None, str] = {True: "✓", False: "✗", None: "?"}

app = typer.Typer(no_args_is_help=True, add_completion=False)


def complete(context: typer.Context, incomplete: str) -> list[str]:
    """Names of MemberClusters that begin so; none where the hub does not answer."""
    given = context.params
    try:
        kubeconfig, where = given.get("hub_kubeconfig"), given.get("hub_context") or None
        with access.connect(kubeconfig, where, role="hub") as hub:
            found = hub.list(names.MEMBERCLUSTERS, given.get("namespace") or hub.namespace)
    except FleetError:
        return []  # a shell that completes has no room for words
    known = (str(item["metadata"]["name"]) for item in found)
    return [name for name in known if name.startswith(incomplete)]


NewName = Annotated[str, typer.Argument(metavar="NAME", help="Name of the MemberCluster.")]
Name = Annotated[
    str, typer.Argument(metavar="NAME", help="Name of the MemberCluster.", autocompletion=complete)
]


@app.command()
def add(
    name: NewName,
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
    namespace: options.Place = "",
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
        namespace = namespace or hub.namespace
        wish = replace(wish, namespace=namespace)
        for line in do(hub, member, wish):
            typer.echo(line)
    done = "has a new token" if renew else f"is registered: fleet cluster list -n {namespace}"
    typer.echo(f"{name} {done}")


@app.command("list")
def list_command(
    output: options.Output = "table",
    everywhere: options.Everywhere = False,
    namespace: options.Place = "",
    hub_kubeconfig: options.OnlyKubeconfig = None,
    hub_context: options.OnlyContext = "",
) -> None:
    """The members of a namespace and what the hub knows of them."""
    tables.check(output)
    with access.connect(hub_kubeconfig, hub_context or None, role="hub") as hub:
        namespace = namespace or hub.namespace
        clusters = hub.list(names.MEMBERCLUSTERS, None if everywhere else namespace)
    if output in ("json", "yaml"):
        typer.echo(tables.document([tables.bare(item) for item in clusters], output), nl=False)
    elif output == "name":
        for cluster in clusters:
            typer.echo(f"membercluster.{names.FLEET_GROUP}/{cluster['metadata']['name']}")
    elif clusters:
        now = SystemClock().now()
        rows = [_row(item, now, wide=output == "wide", place=everywhere) for item in clusters]
        typer.echo(tables.aligned(rows), nl=False)
    else:
        where = "any namespace" if everywhere else f"namespace {namespace}"
        typer.echo(f"no members in {where} of {hub.server}: fleet cluster add NAME", err=True)


@app.command("check")
def check_command(
    name: Name,
    output: Annotated[str, options.forms("table", "json", "yaml")] = "table",
    namespace: options.Place = "",
    hub_kubeconfig: options.OnlyKubeconfig = None,
    hub_context: options.OnlyContext = "",
) -> None:
    """Look at one member with the hub's own kubeconfig; exit with 1 if something is wrong."""
    tables.check(output, ("table", "json", "yaml"))
    with access.connect(hub_kubeconfig, hub_context or None, role="hub") as hub:
        findings = list(inspection.inspect(hub, namespace or hub.namespace, name))
    if output == "table":
        for item in findings:
            typer.echo(f"  {MARKS[item.good]} {item.what:10}  {item.text}")
    else:
        rows = [{"what": item.what, "good": item.good, "text": item.text} for item in findings]
        typer.echo(tables.document(rows, output), nl=False)
    if any(item.good is False for item in findings):
        raise typer.Exit(codes.FAILED)


@app.command()
def upgrade(
    name: Name,
    image: Annotated[
        str, typer.Option(help="Engine image; without it the hub's own choice from now on.")
    ] = "",
    wait: Annotated[bool, typer.Option("--wait", help="Stay until it is exchanged.")] = False,
    timeout: options.TimeOut = "",
    namespace: options.Place = "",
    hub_kubeconfig: options.OnlyKubeconfig = None,
    hub_context: options.OnlyContext = "",
) -> None:
    """Have a member's engine replaced by another image; the hub waits for its Rollouts to end."""
    seconds = options.span(timeout)
    with access.connect(hub_kubeconfig, hub_context or None, role="hub") as hub:
        namespace = namespace or hub.namespace
        cluster = hub.find(names.MEMBERCLUSTERS, name, namespace)
        if cluster is None:
            text = (
                f"MemberCluster {namespace}/{name} does not exist: `fleet cluster list` names all"
            )
            raise UserError("NotFound", text)
        spec = cluster["spec"].get("engine") or {}
        if spec.get("mode") == "External":
            text = f"{name}: its engine is External: whoever runs it there replaces it"
            raise UserError("Refused", text)
        # One field, whatever the hub writes into the status meanwhile.
        body = {"spec": {"engine": {"image": image or None}}}
        written = hub.patch(names.MEMBERCLUSTERS.path(namespace, name), body)
        status = (cluster.get("status") or {}).get("engine") or {}
        version = status.get("version")
        runs = f"version {version} runs there" if version else "none is known"
        before, after = spec.get("image") or "the hub's choice", image or "the hub's choice"
        told = "it stays" if before == after else f"instead of {before}"
        typer.echo(f"{name}: engine {after}, {told}; {runs} (fleet cluster list -n {namespace})")
        if wait:
            raise typer.Exit(
                exchange.follow(hub, MemberCluster.parse(written), seconds, typer.echo)
            )


@app.command()
def remove(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without it only say what.")] = False,
    kubeconfig: Annotated[
        Path | None,
        typer.Option(
            help="The administrator's kubeconfig of the member: takes back the access too.",
            exists=True,
        ),
    ] = None,
    context: Annotated[str, typer.Option(help="Context in that kubeconfig.")] = "",
    unshared: Annotated[
        bool,
        typer.Option(
            "--unshared",
            help="No other namespace of the hub has this member, where you may not look.",
        ),
    ] = False,
    namespace: options.Place = "",
    hub_kubeconfig: options.HubKubeconfig = None,
    hub_context: options.HubContext = "",
) -> None:
    """Let a member go: its pods and traffic stay, the hub and its access go."""
    with ExitStack() as stack:
        hub = access.connect(hub_kubeconfig, hub_context or None, role="hub")
        stack.enter_context(hub)
        found = farewell.look(hub, namespace or hub.namespace, name)
        if not yes:
            text = f"{name}: {farewell.consequences(found)}: add --yes to remove it"
            raise UserError("Refused", text)
        if kubeconfig is not None:
            member = access.connect(kubeconfig, context or None, role="member")
            stack.enter_context(member)
            uid = farewell.identify(member, found)
            farewell.check_alone(hub, found, uid, assured=unshared)
        typer.echo(f"hub {hub.server}")
        for line in farewell.forget(hub, found):
            typer.echo(line)
        if kubeconfig is not None:
            typer.echo(f"member {member.server}")
            for line in farewell.withdraw(member, found):
                typer.echo(line)
    typer.echo(f"{name} is removed: {farewell.consequences(found)}")


def _row(cluster: Mapping[str, Any], now: datetime, *, wide: bool, place: bool) -> dict[str, str]:
    metadata, spec, status = cluster["metadata"], cluster["spec"], cluster.get("status") or {}
    engine = status.get("engine") or {}
    words = {True: "Healthy", False: "Unhealthy", None: "Unknown"}
    row = {"NAMESPACE": str(metadata["namespace"])} if place else {}
    row |= {
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
