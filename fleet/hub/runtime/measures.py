"""What a run's status says in numbers, for the metrics.

Called by `triggers` for each run that is seen and by `reconcile` for each status that was written.
Decides nothing and writes nothing.
"""

import orjson

from fleet.api import FleetRollout
from fleet.api.fleetrollout import ClusterCounts, FleetRolloutStatus, RunPhase
from fleet.hub.core.actions import AskCluster, HoldCluster, RunAction, RunPlan, StartCluster
from fleet.hub.core.run import gates
from fleet.hub.runtime.context import Context
from fleet.telemetry.metrics import Delivery

STOPPED = frozenset({RunPhase.HALTED, RunPhase.ROLLING_BACK})
"""No further cluster starts."""
STATES = tuple(name for name in ClusterCounts.model_fields if name != "total")


def shown(hub: Context, run: FleetRollout) -> None:
    """The gauges of that run, and of its Application if it is the newest."""
    status = run.status
    phase = str(status.phase or RunPhase.PLANNED)
    hub.metrics.show_run(run.namespace, run.name, phase=phase)
    hub.metrics.show_delivery(
        (run.namespace, run.spec.application.name),
        Delivery(
            number=run.spec.number,
            phase=phase,
            states={name: getattr(status.counts, name) for name in STATES},
            traffic=int(status.display.traffic.rstrip("%") or 0),
        ),
    )


def written(hub: Context, before: FleetRollout, plan: RunPlan) -> None:
    """The run has come from `before` to what the plan says."""
    after = plan.status
    for action in plan.actions:
        hub.metrics.decided(_verb(action), after.reason)
    hub.metrics.status_written(len(orjson.dumps(after.manifest())))
    _waves(hub, before.status, after)
    if after.phase in STOPPED and before.status.phase not in STOPPED:
        # From the first failed verdict that was seen to the halt, or the way back, now written.
        owner = (before.namespace, before.spec.application.name)
        hub.timers.halted(hub.stores.items_of.get(owner))


def _verb(action: RunAction) -> str:
    if isinstance(action, StartCluster):
        return "back" if action.want.undoes else "start"
    if isinstance(action, AskCluster):
        return "ask"
    return "hold" if isinstance(action, HoldCluster) else "release"


def _waves(hub: Context, before: FleetRolloutStatus, after: FleetRolloutStatus) -> None:
    for wave in after.waves:
        old = gates.find(before, wave.name)
        if wave.total and wave.started_at and wave.finished_at and old.finished_at is None:
            hub.metrics.wave_done((wave.finished_at - wave.started_at).total_seconds())
        for one in wave.passes:
            if one not in old.passes and one.time is not None and old.waiting_since is not None:
                hub.metrics.approved((one.time - old.waiting_since).total_seconds())
