"""Clusters whose member is not heard of: waited for, put off, and counted in the end.

    before its turn   just met ──> awaited ──> put off ── time-out ──> counts against the budget
                                          ├──> blocks its wave ── time-out ──> counts
                                          └──> left out until it is back
    in flight         keeps its slot ─────────────────── time-out ──> counts
    in the soak       the soak stands still ──────────── time-out ──> counts, the soak goes on

Called by `rows`. A time-out runs from the loss of the member, which the hub's own objects remember
over its restart; with an unknown loss, and while the hub suspects itself, it does not run. When
that is over it begins anew: nobody has been lost for hours because the hub was.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from fleet.api import ClusterRollout
from fleet.api.fleetrollout import ClusterPhase
from fleet.hub.core.cluster import standing
from fleet.hub.core.member import freshness
from fleet.hub.core.observed import Member
from fleet.hub.core.run.row import Moment, Row


def before_its_turn(moment: Moment, row: Row, member: Member, began: datetime) -> Row:
    """One that cannot be let go, in a wave that `began`."""
    if member.connecting_until is not None:
        return awaited(row, member)
    plan = moment.run.spec.plan
    if plan.unavailable == "Skip":
        why = f"left out until it is back: {member.message}"
        return replace(row, phase=ClusterPhase.SKIPPED, message=why)
    row = replace(row, phase=ClusterPhase.DEFERRED, message=member.message)
    row = _counted(moment, row, member, since=began)
    if plan.unavailable == "Defer" or row.counted:
        return row
    return replace(
        row,
        phase=ClusterPhase.PENDING,
        reason="Blocked",
        awaited_until=row.due or _end(moment, moment.now),
    )


def awaited(row: Row, member: Member) -> Row:
    """Its member has just been met: those behind it shall not go first because of that."""
    return replace(
        row,
        phase=ClusterPhase.PENDING,
        message=f"being connected: {member.message}",
        awaited_until=member.connecting_until,
        due=member.connecting_until,
    )


def in_flight(moment: Moment, row: Row, member: Member, item: ClusterRollout) -> Row:
    """One that is lost on its way keeps its slot until the time-out."""
    since = standing.lost_since(item)
    end = _end(moment, since or moment.now)
    counted = since is not None and moment.now >= end and not moment.observed.isolated
    return replace(
        row,
        phase=ClusterPhase.UNREACHABLE,
        reason=member.reason,
        message=member.message,
        counted=counted,
        due=None if counted or since is None else end,
    )


def in_soak(moment: Moment, row: Row, member: Member, item: ClusterRollout) -> Row:
    """Silence of one that is done stops the soak until it counts; then the soak goes on without it,
    if the budget bears that."""
    late = _counted(moment, row, member, since=item.status.finished_at or moment.now)
    if late.counted:
        return replace(late, phase=ClusterPhase.UNREACHABLE, message=member.message)
    return replace(late, doubt=member.message or member.reason)


def _counted(moment: Moment, row: Row, member: Member, *, since: datetime) -> Row:
    """Until when it is put off, or that it counts now; the time before `since` does not."""
    lost = _lost(moment, member)
    if lost is None or moment.observed.isolated:
        return row
    end = _end(moment, max(lost, since))
    if moment.now < end:
        return replace(row, due=end)
    phase = row.phase if member.reachable else ClusterPhase.UNREACHABLE
    return replace(row, phase=phase, reason=member.reason, counted=True)


def _lost(moment: Moment, member: Member) -> datetime | None:
    """Since when its reports do not count. One whose engine has never been known was lost when its
    API server was: until that is said, it is only not seen for a moment."""
    lost = freshness.lost_since(member.cluster)
    if lost is None or not moment.run.spec.plan.accept_unknown_engine:
        return lost
    if silent := freshness.silent_since(member.cluster):
        return max(lost, silent)
    return None if freshness.is_never_known(member.cluster) else lost


def _end(moment: Moment, lost: datetime) -> datetime:
    """When one that was lost then counts."""
    begin = max(lost, moment.run.status.isolated_until or lost)
    return begin + timedelta(seconds=moment.run.spec.plan.unavailable_timeout_seconds)
