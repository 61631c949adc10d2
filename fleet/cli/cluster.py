"""`fleet cluster add`: give the hub least-privilege access to a member, and register it.

Run by an administrator of both clusters. In the member it makes namespaces, the Rollout CRD, the
engine's rights and the hub's rights (clusters/*.yaml, nothing else); in the hub a Secret with a
7-day token and a MemberCluster. Everything is applied, so running it again repairs or extends;
`--renew` only writes a fresh token.
"""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from fleet import errors, settings
from fleet.api import names
from fleet.cli import access, options

TOKEN_SECONDS = 7 * 24 * 3_600
HUB_ACCOUNT = "kulta-fleet-hub"
KUBECONFIG_LABEL = "fleet.kulta.io/kubeconfig"
EACH_NAMESPACE = "ALLOWED_NAMESPACE"
"""Stands in clusters/member-rbac.yaml where a document is repeated for each allowed namespace."""

app = typer.Typer(no_args_is_help=True, help="Register members and look after their access.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """What the administrator asked for."""

    name: str
    namespace: str
    namespaces: tuple[str, ...]
    labels: dict[str, str]
    vars: dict[str, str]
    prometheus: str
    engine: str
    image: str


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="Name of the MemberCluster.")],
    kubeconfig: Annotated[
        Path, typer.Option(help="The administrator's kubeconfig of the member.", exists=True)
    ],
    context: Annotated[str, typer.Option(help="Context in that kubeconfig.")] = "",
    namespaces: Annotated[
        str, typer.Option(help="Namespaces that Applications may use there, e.g. shop,checkout.")
    ] = "",
    labels: Annotated[str, typer.Option(help="Labels for waves, e.g. ring=canary,region=eu.")] = "",
    variables: Annotated[
        str, typer.Option("--vars", help="Values for templates, e.g. domain=eu.example.com.")
    ] = "",
    prometheus: Annotated[str, typer.Option(help="Prometheus of this member, a URL.")] = "",
    engine: Annotated[str, typer.Option(help="Managed or External.")] = "Managed",
    image: Annotated[str, typer.Option(help="Engine image; default: the hub's choice.")] = "",
    renew: Annotated[bool, typer.Option("--renew", help="Only write a fresh token.")] = False,
    namespace: options.Namespace = "default",
    hub_kubeconfig: options.HubKubeconfig = None,
    hub_context: options.HubContext = "",
) -> None:
    """Give the hub access to a member and register it; safe to run again."""
    wish = Registration(
        name=name,
        namespace=namespace,
        namespaces=tuple(item for item in namespaces.split(",") if item),
        labels=options.pairs(labels, "--labels"),
        vars=options.pairs(variables, "--vars"),
        prometheus=prometheus,
        engine=engine,
        image=image,
    )
    _check(wish)
    hub = access.connect(hub_kubeconfig, hub_context or None)
    member = access.connect(kubeconfig, context or None)
    for line in register(hub, member, wish, renew=renew):
        typer.echo(f"  ✓ {line}")
    typer.echo(f"{name} is registered: kubectl -n {namespace} get membercluster {name}")


def register(
    hub: access.Access, member: access.Access, wish: Registration, *, renew: bool = False
) -> Iterator[str]:
    """Do it step by step; each line says what is done. Raises UserError before the first write."""
    if not member.is_verified:
        raise errors.UserError(
            "KubeconfigRefused",
            "the member's kubeconfig has insecure-skip-tls-verify: the hub verifies certificates; "
            "write certificate-authority-data instead",
        )
    uid = member.get(names.NAMESPACES, "kube-system")["metadata"]["uid"]
    _refuse_twin(hub, wish, uid)
    yield f"member answers: {member.server}"
    if not renew:
        yield from _prepare(member, wish)
    token, expires = _token(member)
    yield f"token for {names.ENGINE_NAMESPACE}/{HUB_ACCOUNT} until {expires:%Y-%m-%d %H:%M} UTC"
    text = _kubeconfig(member, wish.name, token)
    access.in_memory(text).request("GET", "/version")
    hub.apply(
        names.SECRETS.path(wish.namespace, wish.name), _secret(wish.namespace, wish.name, text)
    )
    yield f"Secret {wish.namespace}/{wish.name}"
    if not renew:
        path = names.MEMBERCLUSTERS.path(wish.namespace, wish.name)
        hub.apply(path, member_cluster(wish))
        yield f"MemberCluster {wish.namespace}/{wish.name}"


def member_cluster(wish: Registration) -> dict[str, Any]:
    """The MemberCluster object for that wish."""
    spec: dict[str, Any] = {
        "kubeconfig": {"secretRef": {"name": wish.name, "key": "kubeconfig"}},
        "allowedNamespaces": list(wish.namespaces),
        "vars": wish.vars,
        "engine": {"mode": wish.engine} | ({"image": wish.image} if wish.image else {}),
    }
    if wish.prometheus:
        spec["prometheus"] = {"address": wish.prometheus}
    return {
        "apiVersion": names.MEMBERCLUSTERS.api_version,
        "kind": names.MEMBERCLUSTERS.kind,
        "metadata": {"name": wish.name, "namespace": wish.namespace, "labels": wish.labels},
        "spec": spec,
    }


def manifests(namespaces: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Everything that is applied to a member, in order: CRD, rights of engine and hub."""
    yield from _documents(settings.files("crds") / "rollouts.yaml")
    yield from _documents(settings.files("clusters") / "engine-rbac.yaml")
    text = (settings.files("clusters") / "member-rbac.yaml").read_text(encoding="utf-8")
    for document in text.split("\n---\n"):
        copies = tuple(namespaces) if EACH_NAMESPACE in document else ("",)
        for namespace in copies:
            manifest = yaml.safe_load(document.replace(EACH_NAMESPACE, namespace))
            if manifest:
                yield manifest


def _documents(path: Path) -> Iterator[dict[str, Any]]:
    yield from (item for item in yaml.safe_load_all(path.read_text(encoding="utf-8")) if item)


def _check(wish: Registration) -> None:
    if not wish.namespaces:
        raise errors.UserError(
            "Usage",
            "no namespace is allowed: write --namespaces with those that Applications may use",
        )
    refused = [item for item in wish.namespaces if item.startswith("kube-")]
    refused += [item for item in wish.namespaces if item == names.ENGINE_NAMESPACE]
    if refused:
        raise errors.UserError(
            "Usage", f"--namespaces {', '.join(refused)}: system namespaces are never allowed"
        )
    if wish.engine not in ("Managed", "External"):
        raise errors.UserError("Usage", f"--engine {wish.engine}: write Managed or External")


def _refuse_twin(hub: access.Access, wish: Registration, uid: str) -> None:
    for item in hub.list(names.MEMBERCLUSTERS, wish.namespace):
        other = item["metadata"]["name"]
        if other != wish.name and (item.get("status") or {}).get("uid") == uid:
            raise errors.UserError(
                "DuplicateCluster",
                f"{wish.name} and {other} are the same cluster (kube-system {uid}): use {other}, "
                f"or delete it first",
            )


def _prepare(member: access.Access, wish: Registration) -> Iterator[str]:
    for namespace in (names.ENGINE_NAMESPACE, *wish.namespaces):
        manifest: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": namespace},
        }
        member.apply(names.NAMESPACES.path(None, namespace), manifest)
    yield f"namespaces {', '.join((names.ENGINE_NAMESPACE, *wish.namespaces))}"
    kinds: list[str] = []
    for manifest in manifests(wish.namespaces):
        member.apply(_path(manifest), manifest)
        kinds.append(f"{manifest['kind']} {manifest['metadata']['name']}")
    yield f"{len(kinds)} objects: {', '.join(kinds)}"


_RESOURCES = {
    resource.kind: resource
    for resource in (
        names.NAMESPACES,
        names.SERVICEACCOUNTS,
        names.ROLES,
        names.ROLEBINDINGS,
        names.CLUSTERROLES,
        names.CLUSTERROLEBINDINGS,
        names.CRDS,
    )
}


def _path(manifest: dict[str, Any]) -> str:
    metadata = manifest["metadata"]
    return _RESOURCES[manifest["kind"]].path(metadata.get("namespace"), metadata["name"])


def _token(member: access.Access) -> tuple[str, datetime]:
    path = names.SERVICEACCOUNTS.path(names.ENGINE_NAMESPACE, HUB_ACCOUNT, "token")
    request = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": TOKEN_SECONDS},
    }
    status = member.request("POST", path, request)["status"]
    return status["token"], datetime.fromisoformat(status["expirationTimestamp"])


def _kubeconfig(member: access.Access, name: str, token: str) -> str:
    cluster: dict[str, str] = {"server": member.server}
    if member.authority:
        data = base64.b64encode(member.authority.encode()).decode()
        cluster["certificate-authority-data"] = data
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": cluster}],
            "users": [{"name": HUB_ACCOUNT, "user": {"token": token}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": HUB_ACCOUNT}}],
            "current-context": name,
        },
        sort_keys=False,
    )


def _secret(namespace: str, name: str, kubeconfig: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace, "labels": {KUBECONFIG_LABEL: "true"}},
        "type": "Opaque",
        "data": {"kubeconfig": base64.b64encode(kubeconfig.encode()).decode()},
    }
