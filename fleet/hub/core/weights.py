"""The live weight of a canary: what somebody moves up and down while a run is on.

    Application ──of──> status of the newest run ──here──> each cluster ──wanted──> its Rollout

It belongs to no revision: moving it makes no run and opens no gate. Asked by the planners and by
the runtime's `observe`; what is written, and in which order, is `cluster.writes`' matter.
"""

from collections.abc import Mapping
from typing import Any

from fleet.api import ClusterRollout, FleetRollout
from fleet.api.application import ApplicationSpec
from fleet.api.fleetrollout import ClusterPhase
from fleet.errors import UserError
from fleet.hub.core import phases
from fleet.hub.core.observed import DispatchObserved, Member
from fleet.rendering import overrides

FIELD = "externalWeight"


def of(spec: ApplicationSpec) -> int | None:
    """Percent, 0…100; None where steps, or another strategy, say how it goes."""
    strategy = spec.delivery_policy.strategy
    canary = strategy.canary if strategy is not None else None
    return canary.external_weight if canary is not None else None


def here(run: FleetRollout, labels: Mapping[str, str]) -> int | None:
    """What the run has for a cluster with these labels: an override with a weight, or with steps,
    stands as it is."""
    spec, live = run.spec.application.spec, run.status.external_weight
    if of(spec) is None:
        return None
    try:
        return of(overrides.apply(spec if live is None else _with(spec, live), labels))
    except UserError:
        return None  # nothing is rendered for it either, and that is told


def wanted(
    item: ClusterRollout, observed: DispatchObserved, *, only_falls: bool = False
) -> int | None:
    """What a Rollout that has arrived shall have. Where something stops the run or holds the
    cluster it only falls; a revision that has failed has no traffic to weigh, and a namespace that
    an administrator has closed keeps the one that it has."""
    taken, asked = item.status.dispatch.weight, observed.weight
    if item.status.phase is ClusterPhase.FAILED or asked is None or taken is None:
        return taken
    if is_closed(item, observed.member):
        return taken
    stopped = bool(item.spec.hold) or observed.run_phase in phases.STOPPED
    return min(asked, taken) if stopped or only_falls else asked


def is_closed(item: ClusterRollout, member: Member | None) -> bool:
    """Whether the member's administrator lets nothing new into the cluster's namespace."""
    return member is not None and item.spec.namespace not in member.cluster.spec.allowed_namespaces


def put(spec: Mapping[str, Any], weight: int | None) -> Mapping[str, Any]:
    """The spec of a rendered Rollout with that weight, if it has any."""
    strategy = spec.get("strategy") or {}
    canary = strategy.get("canary") or {}
    if weight is None or FIELD not in canary:
        return spec
    return {**spec, "strategy": {**strategy, "canary": {**canary, FIELD: weight}}}


def _with(spec: ApplicationSpec, weight: int) -> ApplicationSpec:
    policy = spec.delivery_policy
    assert policy.strategy is not None
    assert policy.strategy.canary is not None
    canary = policy.strategy.canary.model_copy(update={"external_weight": weight})
    strategy = policy.strategy.model_copy(update={"canary": canary})
    update = {"delivery_policy": policy.model_copy(update={"strategy": strategy})}
    return spec.model_copy(update=update)
