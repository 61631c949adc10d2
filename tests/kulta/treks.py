"""What can happen next in a small world in which a Deployment serves first, for `exploring`.

Beside all that `moves` tells: the pods of the Deployment become ready one by one and fail, its
controller follows when it likes, it is changed, scaled, deleted and made again, nobody can see it;
the Rollout is deleted, and gives it back. Both together never serve with fewer pods than the bounds
allow, and a Rollout goes only when the Deployment serves alone.
"""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from fleet.api import names
from fleet.api.rollout import Phase
from fleet.kulta.core.observed import Service
from tests import gen
from tests.kulta import moves, nature
from tests.kulta.checker import Impossible
from tests.kulta.migrating import Migrating, deployment
from tests.kulta.moves import Small, Standing, branch, moved


@dataclass
class Trek(Small, Migrating):
    """See the module."""

    def likeness(self) -> Hashable:
        item, meta = self.workload, self.manifest["metadata"]
        theirs = item and (
            item.template["spec"]["containers"][0]["image"],
            (item.replicas, item.ready, item.original),
            (item.is_current, item.holder, item.autoscaled),
        )
        way = self.manifest["spec"]["workloadRef"]["scaleDown"]
        behind = tuple(sorted(x) for x in ({*self.slices[y]} & TALLIED for y in self.services))
        more = (way, self.blind, self.gone, "deletionTimestamp" in meta)
        return super().likeness(), theirs, tuple(map(tuple, behind)), more

    def nature(self) -> Iterator[tuple[str, Small]]:
        item = self.workload
        if self.gone and self.sets:  # by their owner references
            yield "the sets are collected", moved(branch(self, sets={}, pods={}, born={}))
        if item is not None and not item.is_current:
            current = replace(item, is_current=True)
            yield "the Deployment's controller follows", branch(self, workload=current)
        if item is not None and item.ready < item.replicas:
            grown = replace(item, ready=item.ready + 1)
            yield "a pod of the Deployment is ready", moved(branch(self, workload=grown))
        if self.blind is not None:
            yield "Deployments can be seen", branch(self, blind=None)

    def kindness(self) -> Iterator[tuple[str, Small]]:
        said = (self.condition("WorkloadReady") or ("", ""))[1]
        if self.gone:
            return
        if self.workload is None and "deletionTimestamp" not in self.manifest["metadata"]:
            yield "somebody makes the Deployment again", branch(self, workload=again(self))
        elif said == "WorkloadPending" and self.workload is not None:
            child = branch(self)
            child.scale(self.workload.original or 0)
            yield "somebody takes its template", child
        elif said == "WorkloadUnfit":
            child = branch(self)
            child.scale(self.manifest["spec"]["replicas"])
            yield "somebody gives it as many pods first", child

    def faults(self) -> Iterator[tuple[str, Small]]:
        item = self.workload
        if "theirs" in self.people and item is not None and item.ready:
            fewer = replace(item, ready=item.ready - 1)
            yield "a pod of the Deployment fails", moved(branch(self, workload=fewer))
        if "gone" in self.people and item is not None:
            yield "the Deployment is deleted", moved(branch(self, workload=None))
        if "blind" in self.people and self.blind is None:
            yield "Deployments cannot be seen", branch(self, blind="503")

    def wish(self, verb: str) -> bool:
        item = self.workload
        match verb:
            case "image" | "back" if item is not None:
                self.redeploy("shop:v1" if verb == "back" else "shop:v2")
            case "delete":
                self.delete()
                self.gone = not self.manifest["metadata"].get("finalizers")
            case "keep" | "roll" | "swap":
                way = {"keep": "Never", "roll": "Progressively", "swap": "OnSuccess"}[verb]
                self.manifest["spec"]["workloadRef"]["scaleDown"] = way
                self.update()
            case "rescale" if item is not None:
                self.scale(item.replicas + 1)
            case _:
                return verb in UNCOUNTED
        return True

    def stand(self) -> Standing:
        """Of both; once a Rollout is gone that had taken the Deployment's pods, its own go."""
        told = self.status.workload_ref
        is_over = self.gone and self.workload and told is not None and told.original is not None
        ours = frozenset() if is_over else {pod.uid for pod in self.pods.values() if pod.ready}
        ready = frozenset(ours) | self._theirs()
        theirs = {name: item for name, item in self.services.items() if item.original is None}
        # Of a Service that nobody switches it makes no difference when its slices follow.
        self.slices |= {name: self.addresses(item) for name, item in theirs.items()}
        behind = {
            name: self.slices[name] & ready for name in self.services if moves.weight(self, name)
        }
        return moves.counted(self, behind, ready)

    def check_end(self) -> None:
        item, total = self.workload, self.rollout.spec.replicas
        if self.gone:
            assert all(x.original is None for x in self.services.values())
            if item is not None:
                assert (item.holder, item.original) == ("", None)
                assert item.ready == item.replicas
            return
        assert item is not None
        if self.status.phase is Phase.FAILED and not self.status.stable_pod_hash:
            held = self.services.get(gen.STABLE)
            kept = held.selector.get(names.HASH_LABEL, "") if held else ""
            sizes = {key: x.replicas for key, x in self.sets.items() if x.replicas}
            assert sizes == ({kept: total} if kept else {})
            assert item.ready == item.replicas >= min(self.floor, total)
            return
        moves.check_end(self)
        assert item.holder == gen.NAME
        is_kept = self.manifest["spec"]["workloadRef"]["scaleDown"] == "Never"
        contest = (self.condition("Degraded") or ("", ""))[0] == "True"
        assert is_kept or contest or not item.replicas or not total

    def addresses(self, item: Service) -> frozenset[str]:
        theirs = item.selector.items() <= gen.APP.items()
        return nature.addresses(self, item) | (self._theirs() if theirs else frozenset())

    def _theirs(self) -> frozenset[str]:
        return (
            frozenset(f"web-{number}" for number in range(self.workload.ready))
            if (self.workload)
            else frozenset()
        )

    def _grown(self) -> list[datetime]:
        return [self.now] * len(self._theirs())

    def _put(self, **changes: Any) -> None:
        before = self.workload
        super()._put(**changes)
        item = self.workload
        assert before is not None
        assert item is not None
        is_current = before.is_current and item.generation == before.generation
        self.workload = replace(
            item, ready=min(item.ready, item.replicas), is_current=is_current, scaler=""
        )


TALLIED = frozenset(f"web-{number}" for number in range(8))
"""The Deployment's pods, of which there are never more."""
UNCOUNTED = frozenset({"theirs", "gone", "blind"})
"""What may go wrong is nobody's wish."""


def again(world: Trek) -> Any:
    """A Deployment of the same name, as at first."""
    made = deployment(replicas=world.manifest["spec"]["replicas"], ready=0)
    return replace(made, uid="uid-again")


def trek(made: Migrating, *people: str, left: int = 1) -> Small:
    """`made`, of which the engine knows nothing yet, one thing at a time."""
    world = moves.small(made, *people, left=left, kind=Trek)
    world.slices = {name: world.addresses(item) for name, item in world.services.items()}
    return moved(world)


__all__ = ["Impossible", "Trek", "trek"]
