"""What a template can see: plain values from an allow-list, nothing else.

`templates/README.md` has the table of these variables; a test compares the two. No Secret, no
credential and no status is ever among them.
"""

from typing import Any

from fleet.api import Fleet, MemberCluster
from fleet.api.application import ApplicationSpec, StrategyPolicy, Workload
from fleet.api.names import APPLICATION_LABEL
from fleet.api.rollout import Prometheus


def context(
    name: str,
    namespace: str,
    spec: ApplicationSpec,
    cluster: MemberCluster,
    fleet: Fleet,
    revision: str,
) -> dict[str, Any]:
    """The four variables `application`, `cluster`, `fleet`, `revision` for one member."""
    return {
        "application": {
            "name": name,
            "namespace": spec.destination.namespace or namespace,
            "replicas": spec.workload.replicas,
            "template": _template(spec.workload, name),
            "selector": {APPLICATION_LABEL: name},
            "service": _service(spec.workload, name),
            "route": _plain(spec.workload.route),
            "strategy": _strategy(spec.delivery_policy.strategy, cluster, fleet),
        },
        "cluster": {
            "name": cluster.name,
            "labels": dict(cluster.metadata.labels),
            "vars": dict(cluster.spec.vars),
        },
        "fleet": {"name": fleet.name, "labels": dict(fleet.metadata.labels)},
        "revision": revision,
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


def _service(workload: Workload, name: str) -> dict[str, Any] | None:
    if workload.service is None:
        return None
    service = workload.service.name or name
    return {
        "name": service,
        # Without a route the one Service sends to all pods, or a canary would get no traffic;
        # the engine finds no Service of this name and leaves that one alone.
        "stable": service if workload.route else f"{service}-stable",
        "canary": f"{service}-canary",
        "port": workload.service.port,
        "targetPort": workload.service.target_port,
    }


def _strategy(
    strategy: StrategyPolicy | None, cluster: MemberCluster, fleet: Fleet
) -> dict[str, Any]:
    """`{kind, steps, analysis}`; an analysis asks the nearest Prometheus that anybody named."""
    if strategy is None:
        return {"kind": "simple", "steps": [], "analysis": None}
    body = strategy.canary or strategy.simple
    steps = (
        [item.manifest() | _pause(item) for item in strategy.canary.steps]
        if (strategy.canary)
        else []
    )
    analysis = body.analysis.manifest() if body and body.analysis else None
    near = cluster.spec.prometheus or fleet.spec.defaults.prometheus
    if analysis is not None and "prometheus" not in analysis and near is not None:
        analysis = {"prometheus": _address(near), **analysis}
    return {
        "kind": "canary" if strategy.canary else "simple",
        "steps": steps,
        "analysis": analysis,
    }


def _pause(step: Any) -> dict[str, Any]:
    """A pause without a duration is an empty object, which is not the same as no pause."""
    return {} if step.pause is None else {"pause": _plain(step.pause)}


def _address(prometheus: Prometheus) -> dict[str, Any]:
    return {"address": prometheus.address}
