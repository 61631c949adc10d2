"""A run as a request finds it, and what a request comes to.

Made and read by `requests`, handed to its verbs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from fleet.api import FleetRollout
from fleet.api.fleetrollout import FleetRolloutStatus
from fleet.hub.core.actions import AskCluster
from fleet.hub.core.observed import RunObserved
from fleet.hub.core.run.row import Row
from fleet.kit import phrases


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """The run as the request finds it."""

    run: FleetRollout
    status: FleetRolloutStatus
    rows: Sequence[Row]
    observed: RunObserved
    now: datetime
    identity: str = ""
    """Of the request."""
    argument: str = ""
    by: str = ""
    """Who asks for it; empty where that is not known."""

    @property
    def called(self) -> str:
        """What brought it about: `by request`, of whom where that is known."""
        return f"by request of {self.by}" if self.by else "by request"

    @property
    def signed(self) -> str:
        """The end of a sentence that says who asked for it."""
        return f", by {self.by}" if self.by else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a request does: the status after it, and the entry that tells of it."""

    status: FleetRolloutStatus
    reason: str
    message: str
    abort: bool = False
    asks: tuple[AskCluster, ...] = ()
    """Who is asked now; to be written before the status."""


def refused(status: FleetRolloutStatus, message: str) -> Reply:
    """The reason why it cannot be done."""
    return Reply(status=status, reason="RequestRefused", message=message)


def unknown(case: Case) -> str:
    """What a name is that stands in no plan, as the end of a sentence."""
    waves = phrases.listed([wave.name for wave in case.run.spec.plan.waves])
    return f"neither a wave of this run ({waves}) nor a cluster of it"
