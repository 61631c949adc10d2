"""How old a member's report may be before it counts as unknown, and when the hub doubts itself.

Ages are seconds on the hub's monotonic clock; the runtime measures them, `observed.Member.fresh` is
the answer. A member's own timestamps are never compared.
"""

import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from fleet.api import MemberCluster, conditions
from fleet.api.membercluster import EngineMode

LEASE_SECONDS = 30.0
"""An engine renews every few seconds; without a change for so long it is not believed alive."""
WATCH_SECONDS = 90.0
"""A quiet watch still brings a bookmark each minute, or is asked for anew."""

UNKNOWN = "EngineUnknown"
"""Reason of a doubt: the engine has not been seen alive, and not dead either."""

FRESH = "Fresh"
"""Condition of a MemberCluster: its reports count. Its time is that of the loss, also over a
restart of the hub."""

REACHABLE = "Reachable"
"""Condition of a MemberCluster: its API server answers."""

ISOLATION_SHARE, ISOLATION_LEAST, ISOLATION_WINDOW = 0.3, 3, 60.0
"""More than this part of the members, and so many, lost within so many seconds: it is the hub."""
ISOLATION_END = 600.0
"""Seconds after which the others, fresh all the while, prove that the network works."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """Why a member that answers is not believed: a reason and a sentence without moving numbers."""

    reason: str
    message: str


def doubt(*, watch_age: float, lease_age: float | None) -> Doubt | None:
    """Why reports of that age do not count; None when they do.

    `lease_age` counts since the last observed change of the engine's Lease: None where there is no
    Lease, infinite where no change has been seen yet.
    """
    if lease_age is None and watch_age <= WATCH_SECONDS:
        return Doubt(reason=UNKNOWN, message="the engine has no Lease")
    if lease_age is not None and lease_age > LEASE_SECONDS:
        if lease_age == float("inf"):
            return Doubt(
                reason=UNKNOWN,
                message="the engine has not been seen to renew its Lease yet",
            )
        # Of a server that hangs the same is seen first: its watches may be silent for longer.
        text = f"the engine has not renewed its Lease for more than {LEASE_SECONDS:g} s, "
        text += "or the API server there hangs"
        return Doubt(reason="Stale", message=text)
    if watch_age > WATCH_SECONDS:
        text = f"nothing has been heard of its Rollouts for more than {WATCH_SECONDS:g} s"
        return Doubt(reason="Stale", message=text)
    return None


def lasts(*, watch_age: float, lease_age: float | None) -> float:
    """For how many seconds reports of that age go on to count although nothing more is seen; 0
    where they do not count now."""
    if lease_age is None:
        return 0.0
    return max(min(LEASE_SECONDS - lease_age, WATCH_SECONDS - watch_age), 0.0)


def lost_since(cluster: MemberCluster) -> datetime | None:
    """Since when its reports do not count; None while they do, and while that is not known."""
    seen = conditions.find(cluster.status.conditions, FRESH)
    return seen.last_transition_time if seen is not None and seen.status == "False" else None


def silent_since(cluster: MemberCluster) -> datetime | None:
    """Since when its API server does not answer; None while it does, or that is not known."""
    seen = conditions.find(cluster.status.conditions, REACHABLE)
    return seen.last_transition_time if seen is not None and seen.status == "False" else None


def is_never_known(cluster: MemberCluster) -> bool:
    """Whether its engine is External, and no Lease tells of it, be it a good or a dead one."""
    told = cluster.status.engine
    is_external = cluster.spec.engine.mode is EngineMode.EXTERNAL
    return is_external and told.healthy is None and not told.version


def is_isolated(lost: Sequence[float], fresh: Sequence[float], total: int, now: float) -> bool:
    """Whether so many of a tenant's `total` members were lost within a minute that the hub
    suspects itself.

    `lost` are the moments at which those that are lost now were lost, `fresh` those since when the
    others have been fresh. Where most of the others have been so for ten minutes, the hub's network
    works, and who is lost is really lost.
    """
    last = max(
        (end for number, end in _windows(sorted(lost)) if _is_many(number, total)), default=None
    )
    if last is None:
        return False
    steady = [since for since in fresh if now - max(since, last) >= ISOLATION_END]
    return 2 * len(steady) <= len(fresh)


def _windows(times: Sequence[float]) -> Iterator[tuple[int, float]]:
    """How many of the sorted `times` follow each of them within the window, and the last of them:
    found by halving, because a thousand may be lost at once."""
    for index, start in enumerate(times):
        end = bisect.bisect_right(times, start + ISOLATION_WINDOW)
        yield end - index, times[end - 1]


def _is_many(number: int, total: int) -> bool:
    return number >= ISOLATION_LEAST and number > ISOLATION_SHARE * total
