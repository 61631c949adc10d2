"""Which setting holds: the wave's, else the Application's, else the Fleet's, else the default.

    DeliveryPolicy of the Application, of its Fleet ──resolve──> ResolvedPolicy ──frozen──> run

The resolved form is what stands in the run, so that nobody has to know the order to read it. Called
by `application` and `run`; nothing else may fill a gap.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from fleet.api import Fleet
from fleet.api.application import (
    ApplicationSpec,
    DeliveryPolicy,
    Limits,
    RollbackPolicy,
    StrategyPolicy,
    UnavailableClusters,
)
from fleet.api.clusterrollout import Deletion
from fleet.api.conduct import Conduct
from fleet.api.hooks import Hook
from fleet.api.waves import Wave
from fleet.kit import durations, memory

FEW = 4
"""Of the values that belong to one other, so many are remembered."""

IMPLICIT = Wave(name="all", remaining=True)
"""The one wave of a policy without waves; one cluster at a time unless it says otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedPolicy:
    """A policy that leaves nothing open. Its defaults are fail-safe, and stand only here; their
    meaning is `DeliveryPolicy`'s."""

    strategy: StrategyPolicy | None = None
    """The one thing without a default: `validation` misses it."""
    rollout: Conduct | None = None
    """None: as engines do by themselves."""
    hooks: tuple[Hook, ...] = ()
    paused: bool = False
    waves: tuple[Wave, ...] = (IMPLICIT,)
    order_by: str = "name"
    max_concurrency: int | str = 1
    failure_budget: int | str = 0
    progress_deadline: str = "30m"
    on_failure: Literal["Halt", "Rollback", "Continue"] = "Halt"
    rollback: RollbackPolicy = field(default_factory=RollbackPolicy)
    halt_on_first_failed_analysis: bool = True
    unmatched_clusters: Literal["Fail", "Ignore"] = "Fail"
    unavailable_clusters: UnavailableClusters = field(default_factory=UnavailableClusters)
    on_new_revision: Literal["Supersede", "Queue"] = "Supersede"
    membership_changes: Literal["Append", "NextRun", "Abort"] = "Append"
    limits: Limits | None = None
    """None: there are none."""
    revision_history_limit: int = 10
    on_conflict: Literal["Report", "Force"] = "Report"
    deletion_policy: Literal["Delete", "Orphan", "Revert"] = "Delete"
    deletion_timeout: str = "24h"
    max_prune: int | str = "10%"

    @property
    def deletion(self) -> Deletion:
        """What each cluster is told to do with what it has. Raises ValueError for a duration that
        `validation` refuses."""
        seconds = durations.seconds(self.deletion_timeout)
        return Deletion(policy=self.deletion_policy, timeout_seconds=seconds)

    def frozen(self, spec: ApplicationSpec) -> ApplicationSpec:
        """`spec` as a run keeps it: with this policy; pauses are never frozen."""
        return _freezing(self)(spec)


@memory.once
def _freezing(policy: ResolvedPolicy) -> Callable[[ApplicationSpec], ApplicationSpec]:
    values = {one.name: getattr(policy, one.name) for one in fields(policy)} | {"paused": False}
    # All of it has been validated where it came from.
    update = {"delivery_policy": DeliveryPolicy.model_construct(**values)}
    return memory.once(lambda spec: spec.model_copy(update=update), FEW)


def resolve(own: DeliveryPolicy, fleet: Fleet | None = None) -> ResolvedPolicy:
    """`own` with every gap filled from the fleet's defaults, then from ours."""
    return _resolving(own)(fleet)


@memory.once
def _resolving(own: DeliveryPolicy) -> Callable[[Fleet | None], ResolvedPolicy]:
    """Every look at a run or an Application asks; a policy has one fleet, or two in its time."""
    return memory.once(lambda fleet: _resolved(own, fleet), FEW)


def _resolved(own: DeliveryPolicy, fleet: Fleet | None) -> ResolvedPolicy:
    shared = fleet.spec.defaults.delivery_policy if fleet is not None else None
    layers = [own] if shared is None else [own, shared]
    values = {one.name: _first(layers, one.name) for one in fields(ResolvedPolicy)}
    values["paused"] = any(layer.paused for layer in layers)
    return ResolvedPolicy(**{name: value for name, value in values.items() if value is not None})


def _first(layers: Sequence[DeliveryPolicy], name: str) -> Any:
    values = (getattr(layer, name) for layer in layers)
    return next((value for value in values if value is not None and value != ()), None)
