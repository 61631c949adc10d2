"""One look: the Rollout, the world and the present, with the facts that everybody asks for.

Made by `plan`; frozen. Nothing here decides.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from fleet.api.rollout import Rollout, RolloutSpec
from fleet.api.workload import WorkloadRef
from fleet.kit import hashing
from fleet.kulta.core.facts import replicas, specs
from fleet.kulta.core.facts.replicas import Bounds, Count
from fleet.kulta.core.observed import Measurement, Observed, ReplicaSet
from fleet.kulta.core.wait import Wait

NOBODY: frozenset[str] = frozenset()

LONGEST_IMAGE = 100
"""Characters. An image with a longer name is not named: no message is about its name alone."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """See the module."""

    rollout: Rollout
    """With the template of the Deployment that it names, if it names one."""
    observed: Observed
    now: datetime
    reference: WorkloadRef | None = None
    """The Deployment that the Rollout itself names."""
    lacking: Wait | None = None
    """Why its template is not known: no other revision can be asked for meanwhile."""

    @property
    def spec(self) -> RolloutSpec:
        return self.rollout.spec

    @cached_property
    def hash(self) -> str:
        """The revision that the spec asks for."""
        return _wanted(self.spec) if self.lacking is None else self.rollout.status.current_pod_hash

    @cached_property
    def bounds(self) -> Bounds:
        return _bounds(self.spec)

    @property
    def total(self) -> int:
        return self.spec.replicas

    @cached_property
    def sets(self) -> Mapping[str, ReplicaSet]:
        """Revision → its set."""
        return {item.hash: item for item in self.observed.replica_sets}

    @cached_property
    def _ready(self) -> Mapping[str, frozenset[str]]:
        found: dict[str, set[str]] = {}
        for pod in self.observed.pods:
            if pod.ready and not pod.deleting:
                found.setdefault(pod.hash, set()).add(pod.uid)
        return {key: frozenset(uids) for key, uids in found.items()}

    def ready_pods(self, revision: str) -> frozenset[str]:
        """Uids of the ready pods of a revision."""
        return self._ready.get(revision, NOBODY)

    def ready(self, revision: str) -> int:
        """How many pods of a revision are ready and will stay."""
        return min(len(self.ready_pods(revision)), self.replicas(revision))

    def replicas(self, revision: str) -> int:
        """How many pods a revision's set asks for; 0 where it has no set."""
        found = self.sets.get(revision)
        return found.replicas if found is not None else 0

    @property
    def failure(self) -> str:
        """Why pods that somebody asks for cannot be made; empty where nobody says so."""
        told = (item.failure for item in self.observed.replica_sets if item.replicas)
        return next(filter(None, told), "")

    def cause(self, revision: str, noun: str = "") -> str:
        """Why pods of a revision cannot be made or do not become ready: a sentence of whoever
        makes them, else `2 of 3 CrashLoopBackOff`, with `noun` after the numbers; empty where
        nothing is known."""
        return self.failure or self._trouble(revision, noun)

    def _trouble(self, revision: str, noun: str) -> str:
        """What most of them suffer from."""
        own = (x for x in self.observed.pods if x.hash == revision and not x.deleting)
        found = Counter((x.trouble, x.image) for x in own if x.trouble)
        wanted = self.replicas(revision)
        if not found or not wanted:
            return ""
        (word, image), most = min(found.items(), key=lambda item: (-item[1], item[0]))
        named = f" ({image})" if 0 < len(image) <= LONGEST_IMAGE else ""
        return f"{min(most, wanted)} of {wanted} {noun}{word}{named}"

    def count(self, revision: str) -> Count:
        """Both numbers."""
        return Count(replicas=self.replicas(revision), ready=self.ready(revision))

    @cached_property
    def answers(self) -> Mapping[str, Measurement]:
        """PromQL → its latest answer, for those who ask a single Prometheus."""
        return {query.text: item for query, item in self.observed.measurements.items()}


@specs.once
def _bounds(spec: RolloutSpec) -> Bounds:
    return replicas.bounds(spec.replicas, *spec.amounts.values())


@specs.once
def _wanted(spec: RolloutSpec) -> str:
    return hashing.pod_hash(spec.template)
