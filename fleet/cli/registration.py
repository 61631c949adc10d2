"""Give the hub least-privilege access to a member, and register it; what `fleet cluster add` does.

In the member: namespaces, the Rollout CRD, the rights of engine and hub (clusters/*.yaml), nothing
else; in the hub a Secret with a 7-day token and a MemberCluster. Everything is checked before the
first write, then applied: doing it again repairs, extends, or changes nothing.
"""

import base64
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from fleet import errors, settings
from fleet.api import names
from fleet.cli.access import Access, Applied, in_memory
from fleet.clusters import tokens
from fleet.clusters.config import parse_kubeconfig
from fleet.kit import documents
from fleet.telemetry.clock import SystemClock

KEY = "kubeconfig"
EACH_NAMESPACE = "ALLOWED_NAMESPACE"
"""Stands in clusters/member-rbac.yaml where a document is repeated for each allowed namespace."""
TRIES, PAUSE_SECONDS = 40, 0.25
"""How long new rights and a new CRD may take until the API server knows them."""

RESOURCES: Mapping[str, names.Resource] = {
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
"""The kinds of `manifests`."""
TRIED_FIRST = frozenset({"Namespace", "ClusterRole"})
"""What needs the most rights, is cheap, and needs nothing to be there: tried without writing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the administrator asked for; None leaves what an earlier registration said."""

    name: str
    namespace: str
    namespaces: tuple[str, ...] = ()
    """Added to those of before."""
    labels: Mapping[str, str] | None = None
    vars: Mapping[str, str] | None = None
    prometheus: str | None = None
    engine: str | None = None
    image: str | None = None

    @property
    def full_name(self) -> str:
        return f"{self.namespace}/{self.name}"


def check(wish: Wish) -> None:
    """Raises UserError for what is wrong whatever the clusters say."""
    if refused := [item for item in wish.namespaces if names.is_closed(item)]:
        raise _usage(
            f"--namespaces {','.join(refused)}: belongs to the cluster itself: "
            "write namespaces of your own"
        )
    if wish.engine not in (None, "Managed", "External"):
        raise _usage(f"--engine {wish.engine}: write Managed or External")


def register(hub: Access, member: Access, wish: Wish) -> Iterator[str]:
    """Do it step by step; each line says what is done. Raises FleetError before the first write,
    or because of a write that a cluster refuses."""
    uid = _identity(member, wish.name)
    before = _known(hub, wish, uid)
    cluster = _member_cluster(wish, uid, before)
    wanted = list(manifests(cluster["spec"]["allowedNamespaces"]))
    _try(hub, member, cluster, wanted)
    yield f"member {member.server}"
    is_new = False
    for manifest in wanted:
        outcome = _put(member, manifest)
        is_new |= manifest["kind"] == names.SERVICEACCOUNTS.kind and outcome == "created"
        yield line(outcome, manifest)
    text, expires = _working(hub, member, wish, may_keep=not is_new)
    yield f"hub {hub.server}"
    secret = _secret(wish.namespace, wish.name, text)
    until = f"token until {expires:%Y-%m-%d %H:%M} UTC"
    yield f"{line(hub.apply(names.SECRETS, secret), secret)}, {until}"
    yield line(hub.apply(names.MEMBERCLUSTERS, cluster), cluster)


def renew(hub: Access, member: Access, wish: Wish) -> Iterator[str]:
    """Put a new token into the Secret of a registered member, and change nothing else."""
    before = _known(hub, wish, _identity(member, wish.name))
    if before is None:
        raise _usage(f"--renew: {wish.full_name} is not registered: leave out --renew")
    reference = before["spec"]["kubeconfig"]["secretRef"]
    name, key = reference["name"], reference.get("key", KEY)
    secret = hub.get(names.SECRETS, name, wish.namespace)
    text = tokens.decoded(secret, key) or ""
    token = parse_kubeconfig(text).token
    if token is None:
        raise _usage(f"--renew: the Secret {wish.namespace}/{name} has no token: leave out --renew")
    new, expires = _token(member)
    changed = tokens.replaced(text, token, new)
    prove(changed)
    yield f"hub {hub.server}"
    hub.replace(names.SECRETS, {**secret, "data": {**secret["data"], key: _encoded(changed)}})
    yield line("changed", secret) + f", token until {expires:%Y-%m-%d %H:%M} UTC"


def manifests(namespaces: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Everything that is applied to a member, in order: namespaces, CRD, rights."""
    for name in (names.ENGINE_NAMESPACE, *namespaces):
        yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    crd = settings.files("crds") / "rollouts.yaml"
    yield json.loads(crd.read_text(encoding="utf-8"))  # it is JSON, which reads 20 times faster
    yield from _documents(settings.files("clusters") / "engine-rbac.yaml")
    for document in _documents(settings.files("clusters") / "member-rbac.yaml"):
        text = json.dumps(document)  # without comments, which speak of the placeholder too
        for namespace in namespaces if EACH_NAMESPACE in text else ("",):
            yield json.loads(text.replace(EACH_NAMESPACE, namespace))


def prove(kubeconfig: str) -> None:
    """Wait until that kubeconfig can do what the hub does first. Raises what stands in the way."""
    with in_memory(kubeconfig, role="member") as member:
        for left in reversed(range(TRIES)):
            try:
                member.list(names.ROLLOUTS)
                return
            except (errors.Forbidden, errors.NotFound):
                if not left:
                    raise
                time.sleep(PAUSE_SECONDS)


def _identity(member: Access, name: str) -> str:
    """The uid of kube-system. Raises UserError for an address that the hub would refuse."""
    if not member.is_verified:
        raise errors.UserError(
            "KubeconfigRefused",
            "the member's kubeconfig has insecure-skip-tls-verify: the hub verifies certificates: "
            "write certificate-authority-data instead",
        )
    parse_kubeconfig(_kubeconfig(member, name, "checked-for-its-address"))
    return str(member.get(names.NAMESPACES, names.SYSTEM_NAMESPACE)["metadata"]["uid"])


def _try(
    hub: Access, member: Access, cluster: dict[str, Any], wanted: Sequence[dict[str, Any]]
) -> None:
    """Ask both sides whether they would accept this, as far as they can say before it is there."""
    namespace = cluster["metadata"]["namespace"]
    try:
        hub.check(names.MEMBERCLUSTERS, cluster)
    except errors.NotFound:
        text = f"the hub {hub.server} has no namespace {namespace}: create it there, or correct -n"
        raise errors.UserError("NamespaceNotFound", text) from None
    hub.check(names.SECRETS, _secret(namespace, cluster["metadata"]["name"], ""))
    for manifest in wanted:
        if manifest["kind"] in TRIED_FIRST:
            member.check(RESOURCES[manifest["kind"]], manifest)


def _known(hub: Access, wish: Wish, uid: str) -> dict[str, Any] | None:
    """The MemberCluster of before. Raises UserError where name and cluster do not go together."""
    before = None
    for cluster in hub.list(names.MEMBERCLUSTERS, wish.namespace):
        other, known = cluster["metadata"]["name"], identity(cluster)
        if other == wish.name:
            before = cluster
            if known not in ("", uid):
                raise errors.UserError(
                    "DuplicateCluster",
                    f"{wish.full_name} is another cluster (kube-system {known}, this one is {uid}):"
                    " choose another name, or delete that MemberCluster first",
                )
        elif known == uid:
            raise errors.UserError(
                "DuplicateCluster",
                f"{wish.name} and {other} are the same cluster (kube-system {uid}): "
                f"use the name {other}, or delete that MemberCluster first",
            )
    return before


def identity(cluster: Mapping[str, Any]) -> str:
    seen = (cluster.get("status") or {}).get("uid")
    return str(seen or (cluster["metadata"].get("annotations") or {}).get(names.UID_ANNOTATION, ""))


def _member_cluster(wish: Wish, uid: str, before: Mapping[str, Any] | None) -> dict[str, Any]:
    """The MemberCluster to apply: what was there, with what is asked for now."""
    old: Mapping[str, Any] = before["spec"] if before else {}
    labels = wish.labels
    if labels is None:
        labels = (before["metadata"].get("labels") or {}) if before else {}
    allowed = dict.fromkeys((*old.get("allowedNamespaces", ()), *wish.namespaces))
    if not allowed:
        raise _usage("--namespaces: is missing: write those that Applications may use")
    engine = dict(old.get("engine") or {"mode": "Managed"})
    engine |= {"mode": wish.engine} if wish.engine else {}
    engine |= {"image": wish.image} if wish.image else {}
    spec: dict[str, Any] = {
        "kubeconfig": {"secretRef": {"name": wish.name, "key": KEY}},
        "allowedNamespaces": list(allowed),
        "engine": engine,
    }
    variables = old.get("vars") if wish.vars is None else wish.vars
    prometheus = {"address": wish.prometheus} if wish.prometheus else old.get("prometheus")
    # Nothing empty: the server would take an empty map of ours for a change each time.
    spec |= {"vars": dict(variables)} if variables else {}
    spec |= {"prometheus": prometheus} if prometheus else {}
    metadata: dict[str, Any] = {"name": wish.name, "namespace": wish.namespace}
    metadata |= {"labels": dict(labels)} if labels else {}
    return {
        **names.MEMBERCLUSTERS.head,
        "metadata": metadata | {"annotations": {names.UID_ANNOTATION: uid}},
        "spec": spec,
    }


def _put(member: Access, manifest: Mapping[str, Any]) -> Applied:
    resource = RESOURCES[manifest["kind"]]
    if resource is names.NAMESPACES and member.find(resource, manifest["metadata"]["name"]):
        return "unchanged"  # it may be somebody's: made where it is missing, never touched
    return member.apply(resource, manifest)


def _working(hub: Access, member: Access, wish: Wish, *, may_keep: bool) -> tuple[str, datetime]:
    """A kubeconfig that works and when its token ends: the present one while it is fresh.

    The present one ends with its account, though API servers believe it for some seconds more.
    """
    present = _present(hub, member, wish) if may_keep else None
    if present is not None:
        try:
            prove(present[0])
            return present
        except (errors.Unauthorized, errors.Forbidden):
            pass  # revoked there: a new one is the repair
    token, expires = _token(member)
    text = _kubeconfig(member, wish.name, token)
    prove(text)
    return text, expires


def _present(hub: Access, member: Access, wish: Wish) -> tuple[str, datetime] | None:
    """The kubeconfig in the Secret and the end of its token, if it is as we would write it now."""
    secret = hub.find(names.SECRETS, wish.name, wish.namespace)
    text = tokens.decoded(secret, KEY) if secret else None
    if text is None:
        return None
    try:
        found = parse_kubeconfig(text)
    except errors.UserError:
        return None
    token = tokens.read(found.token)
    if token is None or not token.is_ours or SystemClock().now() >= token.renew_at:
        return None
    wanted = parse_kubeconfig(_kubeconfig(member, wish.name, str(found.token)))
    return (text, token.expires) if found == wanted else None


def _token(member: Access) -> tuple[str, datetime]:
    path = names.SERVICEACCOUNTS.path(names.ENGINE_NAMESPACE, tokens.ACCOUNT, "token")
    status = member.request("POST", path, tokens.wish())["status"]
    return status["token"], datetime.fromisoformat(status["expirationTimestamp"])


def _kubeconfig(member: Access, name: str, token: str) -> str:
    cluster: dict[str, str] = {"server": member.server}
    if member.authority:
        cluster["certificate-authority-data"] = _encoded(member.authority)
    if member.server_name:
        cluster["tls-server-name"] = member.server_name
    user = tokens.ACCOUNT
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": cluster}],
            "users": [{"name": user, "user": {"token": token}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": user}}],
            "current-context": name,
        },
        sort_keys=False,
    )


def _secret(namespace: str, name: str, kubeconfig: str) -> dict[str, Any]:
    return {
        **names.SECRETS.head,
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {names.KUBECONFIG_LABEL: "true"},
        },
        "type": "Opaque",
        "data": {KEY: _encoded(kubeconfig)},
    }


def _documents(path: Path) -> Iterator[dict[str, Any]]:
    yield from (item for item in documents.every(path.read_text(encoding="utf-8")) if item)


def line(outcome: str, manifest: Mapping[str, Any]) -> str:
    """What was done to which object."""
    metadata = manifest["metadata"]
    place = f"{metadata['namespace']}/" if metadata.get("namespace") else ""
    return f"  {outcome:9}  {manifest['kind']} {place}{metadata['name']}"


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _usage(text: str) -> errors.UserError:
    return errors.UserError("Usage", text)
