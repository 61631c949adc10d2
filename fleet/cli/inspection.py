"""Look at one registered member the way its hub does, with the hub's own kubeconfig.

Used by `fleet cluster check`. It asks and never writes; reviews of rights are questions too.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fleet import errors
from fleet.api import names
from fleet.cli import registration
from fleet.cli.access import Access, in_memory
from fleet.clusters import tokens
from fleet.clusters.config import parse_kubeconfig

REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
CRD = f"{names.ROLLOUTS.plural}.{names.ROLLOUTS.group}"

Right = Mapping[str, str]
"""`resourceAttributes` of an access review."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One thing that was looked at; None means that nobody knows."""

    what: str
    good: bool | None
    text: str


def inspect(hub: Access, namespace: str, name: str) -> Iterator[Observation]:
    """What is found, in the order in which one thing needs the other; ends where it must."""
    cluster = hub.find(names.MEMBERCLUSTERS, name, namespace)
    if cluster is None:
        text = f"MemberCluster {namespace}/{name} does not exist: `fleet cluster list` names all"
        raise errors.UserError("NotFound", text)
    try:
        text = _kubeconfig(hub, cluster)
        token = tokens.read(parse_kubeconfig(text).token)
        until = f", token until {token.expires:%Y-%m-%d %H:%M} UTC" if token else ""
        yield Observation(
            what="Secret", good=True, text=f"a kubeconfig that the hub accepts{until}"
        )
        with in_memory(text, role="member") as member:
            yield from _member(member, cluster)
    except errors.FleetError as error:
        yield Observation(what="access", good=False, text=str(error))
        return
    yield from _reported(cluster)


def rights(namespaces: Sequence[str]) -> Iterator[Right]:
    """Every right of clusters/member-rbac.yaml for these namespaces, one verb each."""
    for manifest in registration.manifests(namespaces):
        if manifest["kind"] not in ("Role", "ClusterRole"):
            continue
        if manifest["metadata"]["name"] != tokens.ACCOUNT:
            continue
        where = manifest["metadata"].get("namespace", "")
        for rule in manifest["rules"]:
            yield from _verbs(rule, where)


def _verbs(rule: Mapping[str, Any], namespace: str) -> Iterator[Right]:
    for resource in rule["resources"]:
        plural, _, sub = resource.partition("/")
        for name in rule.get("resourceNames") or ("",):
            for verb in rule["verbs"]:
                found = {
                    "namespace": namespace,
                    "verb": verb,
                    "group": rule["apiGroups"][0],
                    "resource": plural,
                    "subresource": sub,
                    "name": name,
                }
                yield {key: value for key, value in found.items() if value}


def _kubeconfig(hub: Access, cluster: Mapping[str, Any]) -> str:
    reference, namespace = cluster["spec"]["kubeconfig"]["secretRef"], cluster["metadata"]
    where = f"Secret {namespace['namespace']}/{reference['name']}"
    secret = hub.find(names.SECRETS, reference["name"], namespace["namespace"])
    if secret is None:
        raise errors.UserError("SecretNotFound", f"{where} does not exist: `fleet cluster add`")
    text = tokens.decoded(secret, reference.get("key", registration.KEY))
    if text is None:
        text = f"{where} has no such key: `fleet cluster add`"
        raise errors.UserError("KubeconfigKeyMissing", text)
    return text


def _member(member: Access, cluster: Mapping[str, Any]) -> Iterator[Observation]:
    uid = str(member.get(names.NAMESPACES, names.SYSTEM_NAMESPACE)["metadata"]["uid"])
    version = member.request("GET", "/version")["gitVersion"]
    yield Observation(what="API server", good=True, text=f"{member.server}, Kubernetes {version}")
    known = registration.identity(cluster)
    same = known in ("", uid)
    told = f"kube-system {uid}" if same else f"kube-system {uid}, it was registered for {known}"
    yield Observation(what="identity", good=same, text=told)
    there = member.find(names.CRDS, CRD) is not None
    yield Observation(what="CRD", good=there, text=CRD if there else f"{CRD}: `fleet cluster add`")
    wanted = list(rights(cluster["spec"].get("allowedNamespaces", ())))
    lacking = [right for right in wanted if not _is_allowed(member, right)]
    told = f"all {len(wanted)} of clusters/member-rbac.yaml"
    if lacking:
        words = "; ".join(" ".join(right.values()) for right in lacking)
        told = f"{len(lacking)} of {len(wanted)} are missing, `fleet cluster add` again: {words}"
    yield Observation(what="rights", good=not lacking, text=told)


def _is_allowed(member: Access, right: Right) -> bool:
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": dict(right)},
    }
    return bool(member.request("POST", REVIEWS, review)["status"].get("allowed"))


def _reported(cluster: Mapping[str, Any]) -> Iterator[Observation]:
    """What the hub itself says, which may be older than this command."""
    status = cluster.get("status") or {}
    reachable = status.get("reachable")
    told = "reachable" if reachable else status.get("message") or "it has not looked yet"
    yield Observation(what="hub", good=reachable, text=told)
    engine = status.get("engine") or {}
    version = f"version {engine['version']}" if engine.get("version") else ""
    told = ", ".join(filter(None, (version, engine.get("message")))) or "nothing is known yet"
    yield Observation(what="engine", good=engine.get("healthy"), text=told)
