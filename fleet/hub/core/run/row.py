"""One cluster of a run as it stands at a moment, and what follows from that.

Made by `rows` and `absence`; gates, requests, the walk and the report read it.
"""

from dataclasses import dataclass
from datetime import datetime

from fleet.api import FleetRollout
from fleet.api.clusterrollout import LastGood
from fleet.api.fleetrollout import ClusterPhase
from fleet.api.names import ClusterName
from fleet.hub.core import phases
from fleet.hub.core.cluster.persons import Awaited
from fleet.hub.core.observed import RunObserved


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A run, what is seen of the world, and when."""

    run: FleetRollout
    observed: RunObserved
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One cluster of the run."""

    name: ClusterName
    wave: str
    phase: ClusterPhase = ClusterPhase.PENDING
    reason: str = ""
    """Why it failed, or is waited for; of one on its way what its engine says."""
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
    awaits: Awaited = ""
    """The request for which its engine waits, or by which its experiment ends."""
    asked: str = ""
    """Id of the request that was carried to it last, or is on its way there."""
    attempt: int = 0
    since: datetime | None = None
    """When this run let it go."""
    awaited_until: datetime | None = None
    """Until when its wave waits for it: the hub has just met its member. None: it does not."""
    home: LastGood | None = None
    """What ran well there before this run: where a rollback leads. None: there is nothing."""
    sent_back: bool = False
    """This run has sent it home."""
    weight_waits: bool = False
    """A higher live weight comes there only with other inputs, in another run."""
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
    def is_out(self) -> bool:
        """Left out of the run by a person."""
        return self.phase is ClusterPhase.SKIPPED

    @property
    def is_going_back(self) -> bool:
        return self.phase is ClusterPhase.ROLLING_BACK

    @property
    def is_pending(self) -> bool:
        return self.phase is ClusterPhase.PENDING

    @property
    def is_deferred(self) -> bool:
        return self.phase is ClusterPhase.DEFERRED and not self.counted
