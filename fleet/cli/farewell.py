"""Let a member go: out of the hub, and the hub out of it; what `fleet cluster remove` does.

What runs in the member stays: pods, traffic, engine, CRD. Nothing is deleted that was not looked at
before: each DELETE names the uid that was seen.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fleet import errors
from fleet.api import names
from fleet.cli import registration
from fleet.cli.access import Access
from fleet.clusters import tokens
from fleet.kit import phrases


@dataclass(frozen=True, slots=True, kw_only=True)
class Parting:
    """Everything that speaks of the member in the hub."""

    cluster: Mapping[str, Any]
    secret: Mapping[str, Any] | None
    """None where it is gone, or was not made by `fleet cluster add`."""
    applications: tuple[str, ...]
    """Applications that have something there."""
    fleets: tuple[str, ...]
    """Fleets that name it."""

    @property
    def name(self) -> str:
        return str(self.cluster["metadata"]["name"])

    @property
    def namespaces(self) -> tuple[str, ...]:
        return tuple(self.cluster["spec"].get("allowedNamespaces") or ())


def look(hub: Access, namespace: str, name: str) -> Parting:
    """What would go. Raises UserError where there is no such member."""
    cluster = hub.find(names.MEMBERCLUSTERS, name, namespace)
    if cluster is None:
        text = f"MemberCluster {namespace}/{name} does not exist: `fleet cluster list` names all"
        raise errors.UserError("NotFound", text)
    reference = cluster["spec"]["kubeconfig"]["secretRef"]["name"]
    secret = hub.find(names.SECRETS, reference, namespace)
    ours = secret is not None and names.KUBECONFIG_LABEL in (secret["metadata"].get("labels") or {})
    items = hub.request(
        "GET",
        names.CLUSTERROLLOUTS.path(namespace),
        query={"labelSelector": f"{names.CLUSTER_LABEL}={name}"},
    )["items"]
    fleets = hub.list(names.FLEETS, namespace)
    return Parting(
        cluster=cluster,
        secret=secret if ours else None,
        applications=tuple(sorted(item["spec"]["application"] for item in items)),
        fleets=tuple(
            item["metadata"]["name"]
            for item in fleets
            if name in (item["spec"]["members"].get("names") or ())
        ),
    )


def consequences(found: Parting) -> str:
    """What it means, as the end of a sentence."""
    parts = ["what runs there stays"]
    if found.applications:
        verb = "is" if len(found.applications) == 1 else "are"
        parts.append(f"{phrases.listed(found.applications)} {verb} managed no more")
    if found.fleets:
        parts.append(f"take it out of members.names of {phrases.listed(found.fleets)} too")
    return "; ".join(parts)


def identify(member: Access, found: Parting) -> str:
    """The uid of kube-system there. Raises UserError where that kubeconfig leads to another cluster
    than the one registered."""
    known = registration.identity(found.cluster)
    uid = str(member.get(names.NAMESPACES, names.SYSTEM_NAMESPACE)["metadata"]["uid"])
    if known not in ("", uid):
        raise errors.UserError(
            "Refused",
            f"--kubeconfig: {member.server} is not the cluster that {found.name} was registered "
            f"for (kube-system {uid}, not {known}): use the kubeconfig of that one",
        )
    return uid


def check_alone(hub: Access, found: Parting, uid: str, *, assured: bool) -> None:
    """The account and the rights in a member are one for all namespaces of a hub: raises UserError
    where another uses them too, or may, as long as nobody has `assured` that none does."""
    try:
        clusters = hub.list(names.MEMBERCLUSTERS)
    except errors.Forbidden as error:
        if assured:
            return
        raise errors.UserError(
            "Refused",
            f"--kubeconfig: whether another namespace uses this access too cannot be seen: {error}"
            "; or leave out --kubeconfig, or add --unshared if you know that none does",
        ) from None
    if others := sharing(clusters, found, uid):
        verb = "uses" if len(others) == 1 else "use"
        text = f"{phrases.listed(others)} {verb} this access too: leave out --kubeconfig"
        raise errors.UserError("Refused", text)


def sharing(clusters: Sequence[Mapping[str, Any]], found: Parting, uid: str) -> list[str]:
    """The other MemberClusters for that API server, as `namespace/name`."""
    keys = [(item["metadata"]["namespace"], item["metadata"]["name"]) for item in clusters]
    own = (found.cluster["metadata"]["namespace"], found.name)
    return [
        "/".join(key)
        for key, item in zip(keys, clusters, strict=True)
        if key != own and registration.identity(item) == uid
    ]


def forget(hub: Access, found: Parting) -> Iterator[str]:
    """Delete the MemberCluster, then the Secret with its token; a line for each."""
    namespace = found.cluster["metadata"]["namespace"]
    yield _deleted(hub, names.MEMBERCLUSTERS, found.cluster, namespace)
    if found.secret is not None:
        yield _deleted(hub, names.SECRETS, found.secret, namespace)


def withdraw(member: Access, found: Parting) -> Iterator[str]:
    """Delete the hub's account and rights in the member, the account last; a line for each."""
    wanted = [
        manifest
        for manifest in registration.manifests(found.namespaces)
        if manifest["metadata"]["name"] == tokens.ACCOUNT
    ]
    accounts = [item for item in wanted if item["kind"] == names.SERVICEACCOUNTS.kind]
    for manifest in (*reversed([item for item in wanted if item not in accounts]), *accounts):
        resource, meta = registration.RESOURCES[manifest["kind"]], manifest["metadata"]
        there = member.find(resource, meta["name"], meta.get("namespace"))
        if there is not None:
            yield _deleted(
                member, resource, {**there, "kind": manifest["kind"]}, meta.get("namespace")
            )


def _deleted(
    access: Access, resource: names.Resource, manifest: Mapping[str, Any], namespace: str | None
) -> str:
    meta = manifest["metadata"]
    body = {"preconditions": {"uid": meta["uid"]}}
    try:
        access.request("DELETE", resource.path(namespace, meta["name"]), body)
    except errors.NotFound:
        return registration.line("gone", {**manifest, "kind": resource.kind})
    return registration.line("deleted", {**manifest, "kind": resource.kind})
