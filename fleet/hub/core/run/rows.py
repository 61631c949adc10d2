"""Every cluster of a run as it stands at this moment: one row each, with what follows from it.

Called by `plan`. Rows are derived anew on each look from the ClusterRollouts and the members; the
only memory is in their status. A report of another wish never counts.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from fleet.api import ClusterRollout, FleetRollout
from fleet.api import conditions as conditionlib
from fleet.api.fleetrollout import ClusterPhase, PlannedWave, WavePhase, WaveStatus
from fleet.api.names import ClusterName
from fleet.hub.core import phases
from fleet.hub.core.cluster import standing
from fleet.hub.core.member import freshness
from fleet.hub.core.observed import Member, RunObserved


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One cluster of the run."""

    name: ClusterName
    wave: str
    phase: ClusterPhase = ClusterPhase.PENDING
    reason: str = ""
    message: str = ""
    step: str = ""
    weight: int = 0
    """Percent of the cluster's traffic on the run's revision."""
    replicas: int = 0
    mine: bool = False
    """This run let it go."""
    ready: bool = False
    """It could be let go: its member answers and its engine lives."""
    counted: bool = False
    """Without a fresh report for so long that it counts against the budget."""
    done: bool = False
    """It has come to its good end; what is seen since then is about its health."""
    doubt: str = ""
    """Why a cluster that is done is not known to run well."""
    held: str = ""
    attempt: int = 0
    due: datetime | None = None
    """When this row changes by time alone."""

    @property
    def is_failed(self) -> bool:
        return self.phase in phases.FAILURES or self.counted

    @property
    def is_updated(self) -> bool:
        return self.phase is ClusterPhase.SUCCEEDED

    @property
    def is_in_flight(self) -> bool:
        """Takes a slot."""
        return self.is_running and self.phase in phases.RUNNING and not self.counted

    @property
    def is_running(self) -> bool:
        """Its engine may still change something there: in flight, or over its deadline."""
        open_ = self.phase in phases.RUNNING or self.phase is ClusterPhase.TIMED_OUT
        return self.mine and open_ and not self.done

    @property
    def is_pending(self) -> bool:
        return self.phase is ClusterPhase.PENDING

    @property
    def is_deferred(self) -> bool:
        return self.phase is ClusterPhase.DEFERRED and not self.counted


def look(run: FleetRollout, observed: RunObserved, now: datetime) -> tuple[Row, ...]:
    """All rows in the order of the plan; members that are gone drop out."""
    begun = {item.name: item for item in run.status.waves}
    rows: list[Row] = []
    for wave in run.spec.plan.waves:
        for text in wave.clusters:
            name = ClusterName(text)
            member = observed.members.get(name)
            if member is None:
                continue
            item = observed.clusters.get(name)
            want = item.spec.want if item else None
            mine = want is not None and want.run == run.name and member.is_meant(want)
            if item is None or not mine:
                rows.append(_waiting(run, wave, begun.get(wave.name), member, observed, now))
            else:
                row = _started(run, wave, member, item, observed, now)
                if row.is_updated:
                    soaks = _is_soaking(begun.get(wave.name))
                    row = _done(run, row, member, item, observed, now) if soaks else row
                retried = row.is_failed and name in run.status.retrying
                rows.append(_again(row, member) if retried else row)
    return tuple(rows)


def of(rows: Iterable[Row], wave: str) -> tuple[Row, ...]:
    """The rows of one wave."""
    return tuple(row for row in rows if row.wave == wave)


def _is_current(item: ClusterRollout) -> bool:
    """Its status speaks of the present wish; a hold that has just come or gone changes nothing."""
    return standing.is_taken(item) or (item.status.observed_generation >= item.metadata.generation)


def _again(row: Row, member: Member) -> Row:
    """A failed cluster that a retry gave a second chance waits like one that never went."""
    return replace(
        row,
        phase=ClusterPhase.PENDING if member.fresh else ClusterPhase.DEFERRED,
        reason="Retried",
        message="to be tried again" if member.fresh else member.message,
        mine=False,
        counted=False,
        attempt=row.attempt + 1,
        due=None,
    )


def _waiting(
    run: FleetRollout,
    wave: PlannedWave,
    begun: WaveStatus | None,
    member: Member,
    observed: RunObserved,
    now: datetime,
) -> Row:
    """A cluster that this run has not let go yet."""
    item = observed.clusters.get(member.name)
    want = item.spec.want if item else None
    known = item is not None and (want is None or member.is_meant(want))
    same = known and item is not None and item.status.last_good.revision == run.spec.revision
    row = Row(
        name=member.name,
        wave=wave.name,
        ready=member.fresh,
        reason="Pending",
        replicas=_replicas(run, item),
        weight=100 if same else 0,
        attempt=_attempts(run, item),
    )
    if member.fresh:
        return row
    row = replace(row, message=member.message)
    if begun is None or begun.started_at is None:
        return row
    row = replace(row, phase=ClusterPhase.DEFERRED, reason="Deferred")
    return _counted(run, row, member, observed, now, since=begun.started_at)


def _counted(
    run: FleetRollout,
    row: Row,
    member: Member,
    observed: RunObserved,
    now: datetime,
    *,
    since: datetime,
) -> Row:
    """A member whose reports do not count: until when it is put off, or that it counts now.

    The time-out runs from its loss, but not before `since`; with an unknown loss it does not run.
    """
    lost = freshness.lost_since(member.cluster)
    if lost is None or observed.isolated:
        return row
    end = max(lost, since) + timedelta(seconds=run.spec.plan.unavailable_timeout_seconds)
    if now < end:
        return replace(row, due=end)
    phase = row.phase if member.reachable else ClusterPhase.UNREACHABLE
    return replace(row, phase=phase, reason=member.reason, counted=True)


def _started(
    run: FleetRollout,
    wave: PlannedWave,
    member: Member,
    item: ClusterRollout,
    observed: RunObserved,
    now: datetime,
) -> Row:
    """A cluster that this run let go."""
    status, engine = item.status, item.status.engine
    phase = status.phase if _is_current(item) else ClusterPhase.APPLYING
    row = Row(
        name=member.name,
        wave=wave.name,
        phase=ClusterPhase.APPLYING if phase is ClusterPhase.PENDING else phase,
        reason=status.reason,
        message=status.message,
        step=engine.step,
        weight=engine.weight if engine.revision == run.spec.revision else 0,
        replicas=_replicas(run, item),
        mine=True,
        ready=member.fresh,
        held=item.spec.hold,
        attempt=item.spec.want.attempt if item.spec.want else 0,
    )
    if row.is_updated:
        return replace(row, weight=100)
    if row.is_failed:
        return replace(row, weight=0)
    if not member.reachable:
        return _lost(run, row, member, item, observed, now)
    if row.phase is ClusterPhase.UNREACHABLE:
        row = replace(row, phase=ClusterPhase.PROGRESSING)
    return _timed(row, wave, item, observed, now)


def _timed(
    row: Row, wave: PlannedWave, item: ClusterRollout, observed: RunObserved, now: datetime
) -> Row:
    """In flight and within its deadline, or timed out.

    The clock stands still while the cluster waits (a pause, a hold, out of reach), at what it had
    reached: a hold brings nobody back who was too late when it came.
    """
    since = item.spec.want.since if item.spec.want else None
    if since is None or observed.isolated:
        return row
    current = _is_current(item)
    waited = timedelta(seconds=item.status.waited_seconds if current else 0)
    waiting = item.status.waiting_since if current else None
    limit = timedelta(seconds=wave.progress_deadline_seconds)
    if (waiting or now) - since - waited < limit:
        return row if waiting else replace(row, due=since + waited + limit)
    minutes = wave.progress_deadline_seconds // 60
    text = f"no end within {minutes} min ({row.message or row.phase})"
    return replace(row, phase=ClusterPhase.TIMED_OUT, reason="TimedOut", message=text)


def _is_soaking(wave: WaveStatus | None) -> bool:
    return wave is not None and wave.phase is WavePhase.SOAKING


def _done(
    run: FleetRollout,
    row: Row,
    member: Member,
    item: ClusterRollout,
    observed: RunObserved,
    now: datetime,
) -> Row:
    """A cluster that is done, in the soak of its wave: it has to run well, and to be seen so.

    Silence stops the soak until it counts; then the soak goes on without it, if the budget bears
    that. Pods that do not serve stop it as long as they do not.
    """
    row = replace(row, done=True)
    if member.fresh:
        serves = item.status.engine.available is not False
        return row if serves else replace(row, doubt="too few of its pods are ready")
    late = _counted(run, row, member, observed, now, since=item.status.finished_at or now)
    if late.counted:
        return replace(late, phase=ClusterPhase.UNREACHABLE, message=member.message)
    return replace(late, doubt=member.message or member.reason)


def _lost(
    run: FleetRollout,
    row: Row,
    member: Member,
    item: ClusterRollout,
    observed: RunObserved,
    now: datetime,
) -> Row:
    """Lost in flight: it keeps its slot until the time-out, then it counts."""
    seen = conditionlib.find(item.status.conditions, "Reachable")
    since = seen.last_transition_time if seen and seen.status != "True" else None
    end = (since or now) + timedelta(seconds=run.spec.plan.unavailable_timeout_seconds)
    counted = since is not None and now >= end and not observed.isolated
    return replace(
        row,
        phase=ClusterPhase.UNREACHABLE,
        reason=member.reason,
        message=member.message,
        counted=counted,
        due=None if counted or since is None else end,
    )


def _attempts(run: FleetRollout, item: ClusterRollout | None) -> int:
    """A wish of this run for a MemberCluster that is gone was a try; the next is another."""
    want = item.spec.want if item else None
    return want.attempt + 1 if want is not None and want.run == run.name else 0


def _replicas(run: FleetRollout, item: ClusterRollout | None) -> int:
    """What runs there, else what the Application asks for."""
    seen = item.status.engine.replicas if item else 0
    return seen or run.spec.application.spec.workload.replicas
