"""How far a member is believed at a moment: does it answer, and do its reports count.

    Sight (what links hold at a moment) ──of──> Connectivity ──report──> MemberClusterStatus

Called by the runtime's `links`, `membership` and `triggers`. Ages are seconds on the hub's
monotonic clock; a member's own times are shown, never compared. The engine is `engine`'s.
"""

import math
from dataclasses import dataclass
from datetime import datetime

from fleet import errors
from fleet.api.meta import write_time
from fleet.errors import FleetError, UserError
from fleet.hub.core.member import freshness

SETTLE_SECONDS = 10.0
"""How long a new connection may take to show whether it is good."""
GRACE_SECONDS = 5.0
"""How long a broken watch may take to come back before the member counts as unreachable."""

CONNECT_SECONDS = 30.0
"""How long a member that the hub has just met may take until it is believed: connecting and listing
take a second or two, a new engine starts in ten or twenty and renews its Lease some seconds later.
So long a wave waits for one of which nothing bad has been seen; a restart of the hub, or a member
that was registered a moment ago, shall not send those behind it ahead."""

CLOSED_TO_US = frozenset(
    {"SecretNotFound", "KubeconfigKeyMissing", "KubeconfigRefused", "DuplicateCluster"}
)
"""Reasons that end a connection: nobody may go on using what was taken away or refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Why a member cannot be used: a reason of `api.reasons` and a sentence."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What is seen of a member at a moment."""

    name: str
    trouble: Trouble | None = None
    """What stands in the way of a connection."""
    expires: datetime | None = None
    """When our token there ends."""
    is_known: bool = True
    """It is engaged, and has said which cluster it is."""
    is_cut: bool = False
    """It failed so often that requests are not sent for a while."""
    failure: FleetError | None = None
    """Why they failed."""
    problem: FleetError | None = None
    """Why the watch of its Rollouts is broken now; None while it is not."""
    silence: float = 0.0
    """Since the last byte of that watch; infinite before the first."""
    is_listed: bool = True
    """Its Rollouts have been listed completely."""
    lease_age: float | None = 0.0
    """Since the engine's Lease was seen to change: None where there is none, infinite where that
    has not been seen yet."""
    lacks_lease: bool = False
    """Leases have been listed, and the engine's is not among them; or they may not be read."""
    known_for: float = math.inf
    """Since the hub met it: since it saw its MemberCluster, and began itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connectivity:
    """How far a member is believed at a moment."""

    reachable: bool = False
    fresh: bool = False
    connecting: bool = False
    """Not believed yet, for it has just been met; nothing that was seen speaks against it."""
    leaseless: bool = False
    """It would be believed, had its engine a Lease."""
    reason: str = "Unreachable"
    message: str = ""


def trouble(error: FleetError, name: str, expires: datetime | None = None) -> Trouble:
    """Why the member of that name cannot be used, and what to do; its token ends at `expires`."""
    text = str(error)
    match error:
        case UserError():
            return Trouble(reason=error.reason, message=text)
        case errors.Untrusted():
            return Trouble(reason="CertificateInvalid", message=text)
        case errors.Unauthorized():
            end = f" (it ends at {write_time(expires)})" if expires else ""
            text = (
                f"the member does not accept the token of its kubeconfig{end}: "
                f"write a new one with `fleet cluster add {name} --renew`"
            )
            return Trouble(reason="Unauthorized", message=text)
        case errors.Forbidden():
            text += f": give the hub its rights with `fleet cluster add {name}`"
            return Trouble(reason="Forbidden", message=text)
        case errors.NotFound():
            return Trouble(reason="CrdsMissing", message=text)
        case errors.Silent():
            text += ": correct clusters[].server of its kubeconfig if that is another"
    return Trouble(reason="Unreachable", message=text)


def of(sight: Sight) -> Connectivity:
    """What to believe of a member that is seen so."""
    failure = sight.trouble or _failure(sight)
    if failure is not None:
        return Connectivity(reason=failure.reason, message=failure.message)
    is_new = sight.known_for < CONNECT_SECONDS
    if lack := _lack(sight):
        return Connectivity(reason="Unreachable", message=lack, connecting=is_new)
    doubt = freshness.doubt(watch_age=sight.silence, lease_age=sight.lease_age)
    if doubt is None:
        return Connectivity(reachable=True, fresh=True, reason="Reachable")
    return Connectivity(
        reachable=True,
        connecting=is_new and doubt.reason == freshness.UNKNOWN,
        leaseless=sight.lacks_lease and doubt.reason == freshness.UNKNOWN,
        reason=doubt.reason,
        message=doubt.message,
    )


def lasts(sight: Sight) -> float:
    """For how many seconds a member that is seen so is believed if nothing else is seen of it; 0
    for one that is not: what is not well has to be looked at."""
    if not of(sight).fresh or sight.problem is not None:
        return 0.0
    return freshness.lasts(watch_age=sight.silence, lease_age=sight.lease_age)


def lease_age(*, changed: float, since: float, now: float) -> float:
    """The age of a Lease that was last seen to change at `changed`, over a connection that has
    been there `since`: one that has not changed for as long as it may is as old as that."""
    if math.isinf(changed) and now - since <= freshness.LEASE_SECONDS:
        return math.inf
    return now - max(changed, since)


def is_news(before: Connectivity, after: Connectivity) -> bool:
    """Whether somebody needs to hear of the change: ages in a sentence grow all the time."""
    return _what(before) != _what(after)


def _what(said: Connectivity) -> tuple[bool, bool, bool, bool, str]:
    return (said.reachable, said.fresh, said.connecting, said.leaseless, said.reason)


def _failure(sight: Sight) -> Trouble | None:
    """What went wrong."""
    if sight.is_cut:
        error = sight.failure or errors.Unreachable("it fails too often")
        return trouble(error, sight.name, sight.expires)
    if sight.problem is not None:
        passing = isinstance(sight.problem, errors.TemporaryError)
        if not passing or sight.silence > GRACE_SECONDS:
            return trouble(sight.problem, sight.name, sight.expires)
    return None


def _lack(sight: Sight) -> str:
    """What has not come yet."""
    if not sight.is_known:
        return "not connected yet"
    return "" if sight.is_listed else "its Rollouts have not been listed yet"
