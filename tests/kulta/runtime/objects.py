"""Objects of one member as the API server gives them, with good defaults, for the tests here."""

from typing import Any

from fleet.api import names
from fleet.api.names import Resource

NAMESPACE, NAME, UID = "shop", "checkout", "rollout-uid"
KEY = (NAMESPACE, NAME)
HASH = "aaaaaaaaaa"
CANARY = {
    "canary": {
        "stableService": "checkout",
        "canaryService": "checkout-canary",
        "steps": [{"setWeight": 50}],
        "trafficRouting": {"gatewayAPI": {"httpRoute": "checkout"}},
    }
}


def _made(resource: Resource, name: str, meta: dict[str, Any], **parts: Any) -> dict[str, Any]:
    metadata = {
        "name": name,
        "namespace": NAMESPACE,
        "uid": f"{resource.plural}-{name}",
        "resourceVersion": "50",
        "generation": 1,
        **meta,
    }
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": metadata,
        **parts,
    }


def rollout(strategy: dict[str, Any] | None = None, **meta: Any) -> dict[str, Any]:
    """A Rollout without a status."""
    return _made(
        names.ROLLOUTS,
        NAME,
        {"uid": UID, **meta},
        spec={
            "replicas": 2,
            "selector": {"matchLabels": {"app": NAME}},
            "template": {
                "metadata": {"labels": {"app": NAME}},
                "spec": {"containers": [{"name": "app", "image": "app:v1"}]},
            },
            "strategy": strategy or {"simple": {}},
        },
    )


def labels(revision: str = HASH, role: str = "stable", rollout: str = NAME) -> dict[str, str]:
    """What the engine puts on sets and pods."""
    return {
        "app": NAME,
        names.MANAGED_LABEL: "true",
        names.ROLLOUT_LABEL: rollout,
        names.HASH_LABEL: revision,
        names.TYPE_LABEL: role,
    }


def replica_set(
    revision: str = HASH, *, owner: str = UID, replicas: int = 2, ready: int = 0, **meta: Any
) -> dict[str, Any]:
    """A set of the Rollout."""
    return _made(
        names.REPLICASETS,
        f"{NAME}-{revision}",
        {
            "labels": labels(revision),
            "ownerReferences": [{"uid": owner, "controller": True, "kind": "Rollout"}],
            **meta,
        },
        spec={"replicas": replicas, "template": {"metadata": {"labels": labels(revision)}}},
        status={"replicas": ready, "readyReplicas": ready, "observedGeneration": 1},
    )


def pod(
    name: str,
    revision: str = HASH,
    *,
    owner: str = "",
    ready: bool = True,
    waits_for: str = "",
    **meta: Any,
) -> dict[str, Any]:
    """A pod of that set; `owner`: of another set of that name. Its container `waits_for` that."""
    states = [{"state": {"waiting": {"reason": waits_for}}}] if waits_for else []
    return _made(
        names.PODS,
        name,
        {
            "labels": labels(revision),
            "ownerReferences": [
                {"uid": owner or f"replicasets-{NAME}-{revision}", "controller": True}
            ],
            **meta,
        },
        status={
            "conditions": [{"type": "Ready", "status": str(ready)}],
            "containerStatuses": states,
        },
    )


def service(
    name: str = NAME, selector: dict[str, str] | None = None, **meta: Any
) -> dict[str, Any]:
    """A Service of the user."""
    wanted = selector or {"app": NAME, names.TYPE_LABEL: "stable"}
    return _made(names.SERVICES, name, meta, spec={"selector": wanted})


def endpoint_slice(
    name: str, *uids: str, service: str = NAME, ready: bool | None = True
) -> dict[str, Any]:
    """A slice of that Service."""
    conditions = {} if ready is None else {"ready": ready}
    return _made(
        names.ENDPOINTSLICES,
        name,
        {"labels": {"kubernetes.io/service-name": service, names.MANAGED_LABEL: "true"}},
        endpoints=[{"targetRef": {"uid": uid}, "conditions": conditions} for uid in uids],
    )


def route(name: str = NAME, **meta: Any) -> dict[str, Any]:
    """An HTTPRoute."""
    return _made(
        names.HTTPROUTES, name, {"managedFields": [{"manager": "kubectl"}], **meta}, spec={}
    )
