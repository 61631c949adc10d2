"""Members that join a fleet during a run, and what that does to the run.

Called by `plan` first. Who joins goes with the wave that its labels choose, by the waves that the
run keeps; when that wave is done already, after all others. A wave that was passed with nobody in
it has opened none of its gates: who joins it waits for a run of its own. The plan itself, and what
an approval is bound to, does not change. Who leaves drops out (`rows`).
"""

from collections.abc import Sequence

from fleet.api import FleetRollout
from fleet.api.fleetrollout import Appended, FleetRolloutStatus
from fleet.api.names import ClusterName
from fleet.hub.core import phases, policy
from fleet.hub.core.observed import RunObserved
from fleet.hub.core.run import waves
from fleet.hub.core.run.story import Told
from fleet.kit import phrases

MOST = 100
"""Most members that join one run; the others get a run of their own after it."""

MEMBERS_CHANGED = "MembersChanged"
"""Reason of a run that ended because the fleet changed."""


def joined(
    run: FleetRollout, status: FleetRolloutStatus, observed: RunObserved
) -> tuple[FleetRolloutStatus, tuple[Told, ...]]:
    """The status with the members that joined since, and what is told of them."""
    over = status.phase in phases.ENDS or (status.undo is not None and status.undo.fleet)
    if run.spec.plan.membership != "Append" or over:
        return status, ()
    names = _new(run, status, observed)[: MOST - len(status.appended)]
    if not names:
        return status, ()
    resolved = policy.resolve(run.spec.application.spec.delivery_policy)
    taken, _ = waves.assign(resolved.waves, names, observed.members)
    unopened = _unopened(run, status, observed)
    new = tuple(
        Appended(name=name, wave=taken[name])
        for name in names
        if name in taken and taken[name] not in unopened
    )
    if not new:
        return status, ()
    told = tuple(("MemberAppended", f"{one.name} joins wave {one.wave}") for one in new)
    return status.model_copy(update={"appended": (*status.appended, *new)}), told


def _unopened(
    run: FleetRollout, status: FleetRolloutStatus, observed: RunObserved
) -> frozenset[str]:
    """Waves that have begun with nobody to wait for their gates; windows bind every start."""
    begun = {one.name for one in status.waves if one.started_at is not None}
    gone = set(status.skipped)
    found = [(name, wave.name) for wave in run.spec.plan.waves for name in wave.clusters]
    found += [(one.name, one.wave) for one in status.appended]
    peopled = {wave for name, wave in found if observed.has(name) and name not in gone}
    return frozenset(
        wave.name
        for wave in run.spec.plan.waves
        if wave.name in begun - peopled and any(gate.schedule is None for gate in wave.before)
    )


def change(run: FleetRollout, status: FleetRolloutStatus, observed: RunObserved) -> str:
    """Why a run whose policy says so begins anew; empty while the fleet is as it was."""
    if run.spec.plan.membership != "Abort" or observed.fleet is None:
        return ""
    planned = [name for wave in run.spec.plan.waves for name in wave.clusters]
    gone = [name for name in planned if name not in observed.fleet]
    parts = [f"{phrases.listed(new)} joined" if (new := _new(run, status, observed)) else ""]
    parts += [f"{phrases.listed(gone)} left" if gone else ""]
    what = " and ".join(part for part in parts if part)
    return f"{what} the fleet: all begins anew (membershipChanges: Abort)" if what else ""


def _new(
    run: FleetRollout, status: FleetRolloutStatus, observed: RunObserved
) -> Sequence[ClusterName]:
    """Members of the fleet that the run does not know and that may receive. A run for those who
    joined late knows nobody else: the others have been served, or left out."""
    if observed.fleet is None or run.spec.trigger == "MembersJoined":
        return ()
    application = run.spec.application.spec
    namespace = application.destination.namespace or run.namespace
    known = {name for wave in run.spec.plan.waves for name in wave.clusters}
    known |= {one.name for one in status.appended}
    return [
        name
        for name in sorted(observed.members)
        if name in observed.fleet
        and name not in known
        and namespace in observed.members[name].cluster.spec.allowed_namespaces
    ]
