"""A small member in which a Deployment serves before a Rollout takes its template.

Its pods become ready like all others, and the Services that select them have their addresses. The
checker of `world` looks at the Rollout's pods; `serving` counts those of both.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from fleet.kulta.core.actions import ChangeWorkload
from fleet.kulta.core.observed import Observed, Service, Workload
from tests import gen
from tests.kulta import nature
from tests.kulta.world import World, furnish

NAME = "web"


def deployment(image: str = "shop:v1", replicas: int = 4, **changes: Any) -> Workload:
    """A Deployment whose pods carry the labels of `gen.APP`."""
    made = Workload(
        name=NAME,
        uid="uid-web",
        resource_version="1",
        generation=1,
        template=gen.template(image),
        selector={"matchLabels": dict(gen.APP)},
        replicas=replicas,
        ready=replicas,
    )
    return replace(made, **changes)


@dataclass
class Migrating(World):
    """See the module."""

    workload: Workload | None = field(default_factory=deployment)
    births: list[datetime] = field(default_factory=list)
    """Of the Deployment's pods, the oldest first."""
    ailing: bool = False
    """Whether its new pods never become ready."""
    holders: set[str] = field(default_factory=set)
    blind: str | None = None
    """Why Deployments cannot be seen."""

    def observe(self) -> Observed:
        """One look, with the Deployment that spec or status names."""
        seen = super().observe()
        return replace(
            seen,
            workloads={NAME: self.workload} if self.workload and self.blind is None else {},
            workloads_unseen=self.blind,
            holders=frozenset(self.holders),
        )

    def scale(self, replicas: int, scaler: str = "kubectl") -> None:
        """Somebody scales the Deployment."""
        is_autoscaler = scaler == "kube-controller-manager"
        self._put(replicas=replicas, scaler=scaler, autoscaled=is_autoscaler)

    def redeploy(self, image: str) -> None:
        """Somebody changes the Deployment's image."""
        self._put(template=gen.template(image))

    def change_workload(self, action: ChangeWorkload) -> None:
        """What the engine does to it."""
        assert self.workload is not None
        assert action.resource_version == self.workload.resource_version
        changes: dict[str, Any] = {"holder": action.holder, "original": action.original}
        if action.replicas != self.workload.replicas:
            changes |= {"replicas": action.replicas, "scaler": "kulta-engine", "autoscaled": False}
        self._put(**changes)

    def delete(self) -> None:
        """Somebody deletes the Rollout."""
        self.manifest["metadata"]["deletionTimestamp"] = self.now.isoformat()

    @property
    def size_before(self) -> int:
        """Pods that the Deployment asks for."""
        return self.workload.replicas if self.workload else 0

    def serving(self) -> int:
        """Ready pods, whosever."""
        return sum(pod.ready for pod in self.pods.values()) + len(self._grown())

    def _put(self, **changes: Any) -> None:
        assert self.workload is not None
        known = self.workload
        changes["resource_version"] = str(int(known.resource_version) + 1)
        if "template" in changes or changes.get("replicas", known.replicas) != known.replicas:
            changes["generation"] = known.generation + 1
        self.workload = replace(known, **changes)

    def _grown(self) -> list[datetime]:
        grown = self.now - timedelta(seconds=self.startup)
        return [item for item in self.births if item <= grown]

    def _world(self, changed: bool = False) -> bool:
        if self.workload is not None:
            self.births += [self.now] * (self.workload.replicas - len(self.births))
            self.births = self.births[: self.workload.replicas]
            if self.ailing:
                self.births = [item for item in self.births if item < self.now]
            ready = len(self._grown())
            changed = changed or ready != self.workload.ready
            self.workload = replace(self.workload, ready=ready)
        return super()._world(changed) or changed

    def _next(self) -> datetime | None:
        grown = [item + timedelta(seconds=self.startup) for item in self.births]
        due = [item for item in (super()._next(), *grown) if item and item > self.now]
        return min(due, default=None)

    def addresses(self, item: Service) -> frozenset[str]:
        """Those of the Deployment too."""
        template = self.workload.template if self.workload else gen.template()
        theirs = item.selector.items() <= template["metadata"]["labels"].items()
        known = [f"web-{number}" for number in range(len(self._grown()))] if theirs else []
        return nature.addresses(self, item) | frozenset(known)


def migrating(
    strategy: dict[str, Any] | None = None,
    *,
    scale_down: str = "OnSuccess",
    replicas: int = 4,
    image: str = "shop:v1",
    routed: bool = False,
    **spec: Any,
) -> Migrating:
    """A Deployment that serves with as many pods, and a Rollout that has just been made. Services
    select the pods of both."""
    chosen = gen.canary(20, 50, routed=routed) if strategy is None else strategy
    manifest = gen.manifest(strategy=chosen, replicas=replicas, **spec)
    del manifest["spec"]["template"], manifest["spec"]["selector"]
    manifest["spec"]["workloadRef"] = {"name": NAME, "scaleDown": scale_down}
    world = Migrating(manifest, workload=deployment(image, replicas))
    world.births = [world.now - timedelta(hours=1)] * replicas
    if "canary" in chosen:
        furnish(world, (gen.STABLE, ""), (gen.CANARY, ""), routed=routed)
    elif "blueGreen" in chosen:
        furnish(world, (gen.ACTIVE, ""), (gen.PREVIEW, ""), routed=routed)
    elif "abTesting" in chosen:
        furnish(world, (gen.STABLE, ""), (gen.VARIANT, ""), routed=False)
    return world
