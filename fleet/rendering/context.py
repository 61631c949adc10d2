"""What a template can see: plain values from an allow-list, nothing else.

`templates/README.md` has the table of these variables; a test compares the two. No Secret, no
credential and no status is ever among them.
"""

from typing import Any

from fleet.api import Fleet, MemberCluster
from fleet.api.application import ApplicationSpec, SimplePolicy, StrategyPolicy, Workload
from fleet.api.conduct import Conduct
from fleet.api.names import APPLICATION_LABEL
from fleet.rendering import sides
from fleet.rendering.delivery import Delivery
from fleet.rendering.sides import Sides


def context(delivery: Delivery, spec: ApplicationSpec) -> dict[str, Any]:
    """The four variables `application`, `cluster`, `fleet`, `revision` for one member; `spec` is
    the Application's with the overrides for it."""
    name, cluster, fleet = delivery.application.name, delivery.cluster, delivery.fleet
    policy = spec.delivery_policy.strategy or StrategyPolicy(simple=SimplePolicy())
    return {
        "application": {
            "name": name,
            "namespace": spec.destination.namespace or delivery.namespace,
            "replicas": spec.workload.replicas,
            "template": _template(spec.workload, name),
            "selector": {APPLICATION_LABEL: name},
            "service": _service(spec.workload, name, sides.of(policy)),
            "route": _plain(spec.workload.route),
            "strategy": _strategy(policy, cluster, fleet),
            "conduct": _conduct(spec.delivery_policy.rollout),
            "hooks": [item.manifest() for item in spec.delivery_policy.hooks],
        },
        "cluster": {
            "name": cluster.name,
            "labels": dict(cluster.metadata.labels),
            "vars": dict(cluster.spec.vars),
        },
        "fleet": {"name": fleet.name, "labels": dict(fleet.metadata.labels)},
        "revision": delivery.revision,
    }


def _plain(model: Any) -> Any:
    return (
        None if model is None else model.model_dump(mode="json", by_alias=True, exclude_none=True)
    )


def _template(workload: Workload, name: str) -> dict[str, Any]:
    """The user's pod template with the one label that the selector needs, stable over versions."""
    metadata = dict(workload.template.get("metadata") or {})
    metadata["labels"] = {**(metadata.get("labels") or {}), APPLICATION_LABEL: name}
    return {**workload.template, "metadata": metadata}


def _conduct(given: Conduct | None) -> dict[str, Any]:
    """What is not as engines do by themselves."""
    return {} if given is None else given.manifest()


def _service(workload: Workload, name: str, own: Sides) -> dict[str, Any] | None:
    if workload.service is None:
        return None
    service = workload.service.name or name
    return {
        "name": service,
        # Where numbers of pods divide the traffic the one Service sends to all of them, or a canary
        # would get none; the engine finds no Service of this name and leaves that one alone.
        "stable": service if workload.route or own.alone else f"{service}-stable",
        "role": own.role,
        "others": {role: f"{service}{suffix}" for role, suffix in own.others.items()},
        "alone": own.alone,
        "weighed": own.weighed,
        "port": workload.service.port,
        "targetPort": workload.service.target_port,
    }


def _strategy(policy: StrategyPolicy, cluster: MemberCluster, fleet: Fleet) -> dict[str, Any]:
    """`{kind, steps, analysis}` and what else is its own; an analysis asks the nearest Prometheus
    that anybody named."""
    own = policy.given[policy.kind].manifest()
    analysis = own.get("analysis")
    near = cluster.spec.prometheus or fleet.spec.defaults.prometheus
    if analysis is not None and "prometheus" not in analysis and near is not None:
        analysis = {"prometheus": near.manifest(), **analysis}
    return {"steps": [], **own, "kind": policy.kind, "analysis": analysis}
