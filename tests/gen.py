"""Builders of a member's objects with good defaults: say only what a test is about."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from fleet.api import names
from fleet.api.rollout import Rollout
from fleet.kit.hashing import pod_hash
from fleet.kulta.core.observed import Measurement, Observed, Pod, ReplicaSet, Service
from tests.conftest import NOON

NAME, NAMESPACE, UID = "checkout", "shop", "uid-1"
STABLE, CANARY, ROUTE = "checkout", "checkout-canary", "checkout"
ACTIVE, PREVIEW = STABLE, "checkout-preview"
VARIANT = "checkout-b"
APP = {"app": "checkout"}


SHOP = {"path": {"type": "PathPrefix", "value": "/shop"}}
"""A match of a user's rule."""


def template(image: str = "shop:v1") -> dict[str, Any]:
    """A pod template that differs by image."""
    return {
        "metadata": {"labels": dict(APP)},
        "spec": {"containers": [{"name": "app", "image": image}]},
    }


@cache
def revision(image: str = "shop:v1") -> str:
    """The hash of that template."""
    return pod_hash(template(image))


def steps(*weights: int | tuple[int, str | None]) -> list[dict[str, Any]]:
    """`steps(20, (50, "5m"), (80, None))`: 5 minutes at 50 %, without end at 80 %."""
    result: list[dict[str, Any]] = []
    for item in weights:
        weight, duration = item if isinstance(item, tuple) else (item, "")
        step: dict[str, Any] = {"setWeight": weight}
        if duration != "":
            step["pause"] = {"duration": duration} if duration else {}
        result.append(step)
    return result


def canary(
    *weights: int | tuple[int, str | None], routed: bool = False, **more: Any
) -> dict[str, Any]:
    """A canary strategy; `routed` divides the traffic by an HTTPRoute."""
    body: dict[str, Any] = {
        "stableService": STABLE,
        "canaryService": CANARY,
        "steps": steps(*(weights or (20, 50, 100))),
        **more,
    }
    if routed:
        body["trafficRouting"] = {"gatewayAPI": {"httpRoute": ROUTE}}
    return {"canary": body}


def blue_green(*, routed: bool = False, after: int | None = None, **more: Any) -> dict[str, Any]:
    """A blue-green strategy; `after` seconds it promotes by itself."""
    body: dict[str, Any] = {"activeService": ACTIVE, "previewService": PREVIEW, **more}
    if after is not None:
        body |= {"autoPromotionEnabled": True, "autoPromotionSeconds": after}
    if routed:
        body["trafficRouting"] = {"gatewayAPI": {"httpRoute": ROUTE}}
    return {"blueGreen": body}


def ab_testing(*, routed: bool = False, **more: Any) -> dict[str, Any]:
    """An A/B strategy; B is for those with the cookie."""
    body: dict[str, Any] = {
        "variantAService": STABLE,
        "variantBService": VARIANT,
        "variantBMatch": {"cookie": {"name": "variant", "value": "b"}},
        **more,
    }
    if routed:
        body["trafficRouting"] = {"gatewayAPI": {"httpRoute": ROUTE}}
    return {"abTesting": body}


def ab_analysis(*metrics: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """What decides an experiment; by default fewer errors."""
    return {
        "prometheus": {"address": "http://prometheus:9090"},
        "metrics": list(metrics) or [{"name": "error-rate", "direction": "lower"}],
        **more,
    }


def variant(image: str, letter: str = "c") -> dict[str, Any]:
    """One more arm, with another image, for those with its cookie."""
    return {
        "service": f"{STABLE}-{letter}",
        "matches": [{"cookie": {"name": "variant", "value": letter}}],
        "containers": [{"name": "app", "image": image}],
    }


def analysis(*metrics: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """An analysis; by default the error rate must stay below 5 %."""
    return {
        "prometheus": {"address": "http://prometheus:9090"},
        "metrics": list(metrics) or [{"name": "error-rate", "threshold": 5.0}],
        **more,
    }


def manifest(
    image: str = "shop:v1",
    strategy: Mapping[str, Any] | None = None,
    *,
    name: str = NAME,
    annotations: Mapping[str, str] | None = None,
    status: Mapping[str, Any] | None = None,
    **spec: Any,
) -> dict[str, Any]:
    """A Rollout as JSON; other keywords are keys of the spec."""
    return {
        "apiVersion": "kulta.io/v1beta1",
        "kind": "Rollout",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "uid": UID,
            "generation": 1,
            "resourceVersion": "1",
            "annotations": dict(annotations or {}),
        },
        "spec": {
            "replicas": 4,
            "selector": {"matchLabels": dict(APP)},
            "template": template(image),
            "strategy": dict(canary() if strategy is None else strategy),
            **spec,
        },
        "status": dict(status or {}),
    }


def rollout(*arguments: Any, **keywords: Any) -> Rollout:
    """`manifest`, parsed."""
    return Rollout.parse(manifest(*arguments, **keywords))


def replica_set(image: str, replicas: int, *, role: str = "stable") -> ReplicaSet:
    """A set of Rollout `checkout`."""
    key = revision(image)
    return ReplicaSet(
        name=f"{NAME}-{key}",
        uid=f"set-{key}",
        hash=key,
        role=role,
        replicas=replicas,
        current=replicas,
    )


def pods(owner: ReplicaSet, ready: int | None = None) -> tuple[Pod, ...]:
    """The pods of a set, the first `ready` of them ready; all of them unless said otherwise."""
    return tuple(
        Pod(
            name=f"{owner.name}-{number}",
            uid=f"{owner.hash}-{number}",
            hash=owner.hash,
            role=owner.role,
            ready=number < (owner.replicas if ready is None else ready),
        )
        for number in range(owner.replicas)
    )


def service(name: str, role: str = "", **managed: Any) -> Service:
    """A Service of the user's that selects a role, if any."""
    selector = {**APP, names.TYPE_LABEL: role} if role else dict(APP)
    return Service(
        name=name,
        resource_version="1",
        **{"selector": selector, "original": None, **managed},
    )


def route(
    *weights: int | None,
    rules: Sequence[Mapping[str, Any]] | None = None,
    generation: int = 1,
    second: str = CANARY,
    kind: str = "HTTPRoute",
    name: str = ROUTE,
) -> dict[str, Any]:
    """A route with one rule for both Services, accepted by its gateway."""
    stable, other = weights or (100, 0)
    refs = [backend(STABLE, stable), backend(second, other)]
    parent = {"name": "public", "namespace": "gateways"}
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "generation": generation,
            "resourceVersion": "1",
        },
        "spec": {
            "parentRefs": [parent],
            "rules": list(rules) if rules is not None else [{"backendRefs": refs}],
        },
        "status": {"parents": [report(parent, generation)]},
    }


def virtual_service(name: str = ROUTE) -> dict[str, Any]:
    """A VirtualService that leads to both Services, one of them by its whole host name."""
    hosts = (STABLE, f"{CANARY}.{NAMESPACE}.svc.cluster.local")
    ways = [{"destination": {"host": host}, "weight": 100 * (host == STABLE)} for host in hosts]
    return {
        "apiVersion": names.VIRTUALSERVICES.api_version,
        "kind": "VirtualService",
        "metadata": route(name=name)["metadata"],
        "spec": {"hosts": ["shop.example.com"], "http": [{"name": "web", "route": ways}]},
    }


def ingress(name: str = ROUTE) -> dict[str, Any]:
    """An Ingress of which one path leads to the stable Service."""

    def path(at: str, to: str) -> dict[str, Any]:
        found = {"service": {"name": to, "port": {"number": 80}}}
        return {"path": at, "pathType": "Prefix", "backend": found}

    paths = [path("/shop", STABLE), path("/blog", "blog")]
    return {
        "apiVersion": names.INGRESSES.api_version,
        "kind": "Ingress",
        "metadata": route(name=name)["metadata"],
        "spec": {
            "ingressClassName": "nginx",
            "tls": [{"hosts": ["shop.example.com"], "secretName": "shop"}],
            "rules": [
                {"host": "shop.example.com", "http": {"paths": paths}},
                {"host": "blog.example.com", "http": {"paths": [path("/", "blog")]}},
            ],
        },
    }


def backend(name: str, weight: int | None = None, **more: Any) -> dict[str, Any]:
    """A back-end as the API server stores it."""
    ref: dict[str, Any] = {"group": "", "kind": "Service", "name": name, "port": 80, **more}
    if weight is not None:
        ref["weight"] = weight
    return ref


def report(
    parent: Mapping[str, Any], generation: int, *, accepted: str = "True", resolved: str = "True"
) -> dict[str, Any]:
    """What a gateway says about a route."""
    states = {"Accepted": accepted, "ResolvedRefs": resolved}
    return {
        "parentRef": dict(parent),
        "controllerName": "example.com/gateway",
        "conditions": [
            {"type": kind, "status": state, "observedGeneration": generation, "reason": kind}
            for kind, state in states.items()
        ],
    }


def observed(*sets: ReplicaSet, **more: Any) -> Observed:
    """A world of these sets and their pods; other keywords are fields of Observed."""
    return Observed(
        **{
            "replica_sets": sets,
            "pods": tuple(pod for item in sets for pod in pods(item)),
            **more,
        }
    )


def measured(query: str, value: float | None, at: datetime = NOON, error: str = "") -> Measurement:
    """An answer to a query."""
    return Measurement(query=query, value=value, error=error, at=at)
