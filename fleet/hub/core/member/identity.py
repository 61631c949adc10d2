"""Which cluster a member is, and whether another MemberCluster has it already.

Called by the runtime's `membership`. An API server is known by the uid of its kube-system.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from fleet.api import MemberCluster


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Which cluster it is, and until when it lets us in."""

    uid: str = ""
    """Of kube-system; empty while it has not answered."""
    kubernetes: str = ""
    expires: datetime | None = None
    """When the hub's own token there ends."""
    alarm_at: datetime | None = None
    """From when on a token that is still not renewed is worth a condition."""


def elder_twin(
    cluster: MemberCluster, uid: str, others: Iterable[tuple[MemberCluster, str]]
) -> str:
    """The older MemberCluster of its namespace that is the same API server, or nothing.

    `others` come with the uid of their kube-system.
    """
    mine = _age(cluster)
    older = [
        other
        for other, theirs in others
        if other.namespace == cluster.namespace and theirs == uid and _age(other) < mine
    ]
    return min(older, key=_age).name if older else ""


def _age(cluster: MemberCluster) -> tuple[str, str]:
    made = cluster.metadata.creation_timestamp
    return (made.isoformat() if made else "", cluster.name)
