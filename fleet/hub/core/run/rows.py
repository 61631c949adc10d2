"""Every cluster of a run as it stands at this moment: one row each, with what follows from it.

Called by `plan` and `walk`. Rows are derived anew on each look from the ClusterRollouts and the
members; the only memory is in their status. A report of another wish never counts. What becomes of
a cluster whose member is silent is told in `absence`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from fleet.api import ClusterRollout, FleetRollout, conditions
from fleet.api.clusterrollout import EngineReport, LastGood, Want
from fleet.api.fleetrollout import ClusterPhase, PlannedWave, WavePhase, WaveStatus
from fleet.api.names import ClusterName
from fleet.hub.core import phases, weights
from fleet.hub.core.cluster import persons, standing
from fleet.hub.core.cluster.persons import Awaited
from fleet.hub.core.observed import Member, RunObserved
from fleet.hub.core.run import absence
from fleet.hub.core.run.row import Moment, Row

WAITS: Mapping[Awaited, str] = {
    "promote": "waits for a person: write the request",
    "conclude": "runs its experiment; what ends that at once is the request",
}
"""Words before a request for which an engine waits, or by which its experiment ends."""
BLIND = "is not judged ({reason}): what promotes it all the same is the request"
"""Those words of a preview that its metrics cannot judge: who writes it shall know."""


def look(run: FleetRollout, observed: RunObserved, now: datetime) -> tuple[Row, ...]:
    """All rows in the order of the plan, who joined last; members that left drop out."""
    moment = Moment(run=run, observed=observed, now=now)
    begun = {item.name: item for item in run.status.waves}
    rows: list[Row] = []
    for wave in run.spec.plan.waves:
        status = begun.get(wave.name) or WaveStatus(name=wave.name)
        new = [one.name for one in run.status.appended if one.wave == wave.name]
        names = [name for name in (*wave.clusters, *new) if observed.has(name)]
        known = (observed.members.get(ClusterName(name)) for name in names)
        rows += [_row(moment, wave, status, member) for member in known if member is not None]
    return tuple(rows)


def of(rows: Iterable[Row], wave: str) -> tuple[Row, ...]:
    """The rows of one wave."""
    return tuple(row for row in rows if row.wave == wave)


def _row(moment: Moment, wave: PlannedWave, status: WaveStatus, member: Member) -> Row:
    run, item = moment.run, moment.observed.clusters.get(member.name)
    want = item.spec.want if item else None
    if item is not None and want is not None and want.undoes == run.name and member.is_meant(want):
        return _sent_back(moment, wave, member, item)
    if want is not None and not member.is_meant(want):
        return _waiting(moment, wave, status, member)
    if item is None or want is None or want.run != run.name or want.undoes:
        return _waiting(moment, wave, status, member)
    row = _started(moment, wave, item, want, member)
    if row.is_updated and status.phase is WavePhase.SOAKING:
        row = _done(moment, row, member, item)
    retried = row.is_failed and row.name in run.status.retrying
    return _again(row, member) if retried else row


def _again(row: Row, member: Member) -> Row:
    """A failed cluster that a retry gave a second chance waits like one that never went."""
    row = replace(
        row,
        phase=ClusterPhase.PENDING if member.fresh else ClusterPhase.DEFERRED,
        reason="Retried",
        message="to be tried again" if member.fresh else member.message,
        mine=False,
        counted=False,
        attempt=row.attempt + 1,
        due=None,
    )
    return row if member.connecting_until is None else absence.awaited(row, member)


def _waiting(moment: Moment, wave: PlannedWave, status: WaveStatus, member: Member) -> Row:
    """A cluster that this run has not let go yet."""
    run, item = moment.run, moment.observed.clusters.get(member.name)
    want = item.spec.want if item else None
    known = item is not None and (want is None or member.is_meant(want))
    same = known and item is not None and item.status.last_good.revision == run.spec.revision
    row = Row(
        name=member.name,
        wave=wave.name,
        ready=member.fresh,
        message="" if member.fresh else member.message,
        replicas=_replicas(run, item),
        weight=100 if same else 0,
        attempt=_attempts(run, item),
    )
    if row.name in run.status.skipped:
        return replace(row, phase=ClusterPhase.SKIPPED, message="left out")
    if member.fresh or status.started_at is None:
        return row
    return absence.before_its_turn(moment, row, member, status.started_at)


def _started(
    moment: Moment, wave: PlannedWave, item: ClusterRollout, want: Want, member: Member
) -> Row:
    """A cluster that this run let go."""
    run, status, engine = moment.run, item.status, item.status.engine
    phase = status.phase if standing.is_current(item) else ClusterPhase.APPLYING
    phase = ClusterPhase.APPLYING if phase is ClusterPhase.PENDING else phase
    row = Row(
        name=member.name,
        wave=wave.name,
        phase=phase,
        reason=status.reason,
        message=status.message,
        step=engine.step,
        weight=_weight(run, engine, phase),
        replicas=_replicas(run, item),
        mine=True,
        ready=member.fresh,
        held=item.spec.hold,
        asked=item.spec.request.id if item.spec.request is not None else "",
        attempt=want.attempt,
        since=want.since,
        home=home(run, item),
        weight_waits=_weight_waits(run, item, member),
    )
    if row.is_updated or row.is_failed:
        return row
    if not member.reachable:
        return absence.in_flight(moment, row, member, item)
    if row.phase is ClusterPhase.UNREACHABLE:
        row = replace(row, phase=ClusterPhase.PROGRESSING)
    return _timed(moment, _awaiting(row, item, row.phase), wave, item)


def _weight(run: FleetRollout, engine: EngineReport, phase: ClusterPhase) -> int:
    """Percent of its traffic that is on the run's revision: at the end all or nothing."""
    if phase is ClusterPhase.SUCCEEDED:
        return 100
    is_told = engine.revision == run.spec.revision and phase not in phases.FAILURES
    return engine.weight if is_told else 0


def _awaiting(row: Row, item: ClusterRollout, phase: ClusterPhase) -> Row:
    """With the request for which its engine waits; what the engine says of it is for who may write
    there."""
    verb = item.status.engine.awaits
    if phase is not ClusterPhase.PAUSED or row.held or not (verb and row.ready):
        return row
    words = BLIND.format(reason=row.reason) if row.reason in persons.BLIND else WAITS[verb]
    return replace(row, awaits=verb, message=f"{words} {verb}/<id>/{row.wave}")


def home(run: FleetRollout, item: ClusterRollout) -> LastGood | None:
    """What ran well in that cluster before this run; None where nothing did."""
    known = (item.status.last_good, item.status.previous_good)
    return next((good for good in known if good.run and good.run != run.name), None)


def _sent_back(moment: Moment, wave: PlannedWave, member: Member, item: ClusterRollout) -> Row:
    """A cluster that this run has sent to what ran well there before."""
    status = item.status
    phase = status.phase if standing.is_current(item) else ClusterPhase.APPLYING
    row = Row(
        name=member.name,
        wave=wave.name,
        phase=ClusterPhase.ROLLING_BACK,
        reason=status.reason,
        message=status.message,
        step=status.engine.step,
        replicas=_replicas(moment.run, item),
        ready=member.fresh,
        held=item.spec.hold,
        asked=item.spec.request.id if item.spec.request is not None else "",
        sent_back=True,
    )
    if phase is ClusterPhase.SUCCEEDED:
        return replace(row, phase=ClusterPhase.ROLLED_BACK, step="", message="is back")
    if phase in phases.FAILURES:
        return replace(row, phase=phase)
    if not member.reachable:
        why = f"goes back on its return: {member.message}"
        return replace(row, phase=ClusterPhase.UNREACHABLE, message=why)
    return _timed(moment, _awaiting(row, item, phase), wave, item)


def _timed(moment: Moment, row: Row, wave: PlannedWave, item: ClusterRollout) -> Row:
    """In flight and within its deadline, or timed out.

    The clock stands still while the cluster waits (a pause, a hold, out of reach), at what it had
    reached: a hold brings nobody back who was too late when it came.
    """
    since = item.spec.want.since if item.spec.want else None
    if since is None or moment.observed.isolated:
        return row
    current = standing.is_current(item)
    waited = timedelta(seconds=item.status.waited_seconds if current else 0)
    waiting = item.status.waiting_since if current else None
    limit = timedelta(seconds=wave.progress_deadline_seconds)
    if (waiting or moment.now) - since - waited < limit:
        return row if waiting else replace(row, due=since + waited + limit)
    minutes = wave.progress_deadline_seconds // 60
    text = f"no end within {minutes} min ({row.message or row.phase})"
    return replace(row, phase=ClusterPhase.TIMED_OUT, reason="TimedOut", message=text)


def _done(moment: Moment, row: Row, member: Member, item: ClusterRollout) -> Row:
    """A cluster that is done, in the soak of its wave: it has to run well, and to be seen so.

    Pods that do not serve stop the soak as long as they do not.
    """
    row = replace(row, done=True)
    if not member.fresh:
        return absence.in_soak(moment, row, member, item)
    serves = item.status.engine.available is not False
    return row if serves else replace(row, doubt="too few of its pods are ready")


def _weight_waits(run: FleetRollout, item: ClusterRollout, member: Member) -> bool:
    """Whether the cluster has less than the live weight because its inputs have changed."""
    if not conditions.is_true(item.status.conditions, standing.INPUTS_CHANGED):
        return False
    asked, sent = weights.here(run, member.labels), item.status.dispatch.weight
    return asked is not None and sent is not None and asked > sent


def _attempts(run: FleetRollout, item: ClusterRollout | None) -> int:
    """A wish of this run for a MemberCluster that is gone was a try; the next is another."""
    want = item.spec.want if item else None
    return want.attempt + 1 if want is not None and want.run == run.name else 0


def _replicas(run: FleetRollout, item: ClusterRollout | None) -> int:
    """What runs there, else what the Application asks for."""
    seen = item.status.engine.replicas if item else 0
    return seen or run.spec.application.spec.workload.replicas
