"""Members as `fleet simulate` plays them: each takes its time, some fail, some do not answer. Pure.

What the hub would see of them goes through the hub's own words for a cluster's status, so that its
deadlines and time-outs run as they do in truth.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from fleet.api import conditions
from fleet.api.clusterrollout import (
    ClusterRollout,
    ClusterRolloutSpec,
    ClusterRolloutStatus,
    Dispatched,
    EngineReport,
    LastGood,
    Want,
)
from fleet.api.fleetrollout import ClusterPhase
from fleet.api.meta import ObjectMeta
from fleet.hub.core.actions import (
    AskCluster,
    HoldCluster,
    ReleaseCluster,
    RunAction,
    StartCluster,
)
from fleet.hub.core.cluster import standing
from fleet.hub.core.cluster.assessment import SUCCEEDED, Assessment
from fleet.hub.core.member import freshness
from fleet.hub.core.observed import Member

BACK_SECONDS = 30.0
"""What a cluster needs to go back that had not come to a good end: only its traffic moves."""
LOST = "it does not answer (simulated)"
VERDICT = "its metrics are not good (simulated)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """How members behave."""

    each: float
    """Seconds that a cluster takes."""
    failing: frozenset[str] = frozenset()
    """They fail their analysis in the middle of the way."""


@dataclass(slots=True, kw_only=True)
class Work:
    """What an engine has in hand."""

    due: datetime | None
    """When it is done; None while it is held."""
    left: timedelta = timedelta()
    """What is left of it while it is held."""
    fails: bool = False


@dataclass(kw_only=True)
class Cast:
    """All members of a play and what the hub has written about them."""

    application: str
    namespace: str
    habits: Habits
    members: dict[str, Member]
    items: dict[str, ClusterRollout] = field(default_factory=dict)
    works: dict[str, Work] = field(default_factory=dict)
    lost: dict[str, datetime] = field(default_factory=dict)
    """Who does not answer, since when."""
    back: dict[str, datetime] = field(default_factory=dict)
    """Who answers again, since when."""

    def lose(self, name: str, now: datetime) -> None:
        """That member does not answer any more; its engine goes on."""
        self.lost[name] = now
        self.back.pop(name, None)
        self._hear(name, now, fresh=False)

    def regain(self, name: str, now: datetime) -> None:
        """It answers again."""
        self.lost.pop(name, None)
        self.back[name] = now
        self._hear(name, now, fresh=True)

    def _hear(self, name: str, now: datetime, *, fresh: bool) -> None:
        before = self.members[name]
        said = conditions.condition(freshness.FRESH, fresh, "" if fresh else "Unreachable")
        status = before.cluster.status
        found = conditions.updated(status.conditions, (said,), now)
        status = status.model_copy(update={"conditions": found})
        self.members[name] = replace(
            before,
            cluster=before.cluster.model_copy(update={"status": status}),
            reachable=fresh,
            fresh=fresh,
            message="" if fresh else LOST,
        )
        self._report(name, now)

    def is_suspect(self, begin: datetime, now: datetime) -> bool:
        """Whether the hub would suspect itself."""
        lost = [(at - begin).total_seconds() for at in self.lost.values()]
        fresh = [
            (self.back[name] - begin).total_seconds() if name in self.back else -1e6
            for name in self.members
            if name not in self.lost
        ]
        seconds = (now - begin).total_seconds()
        return freshness.is_isolated(lost, fresh, len(self.members), seconds)

    def do(self, action: RunAction, now: datetime) -> None:
        """What the hub writes, and what the engine makes of it."""
        name = str(action.cluster)
        match action:
            case StartCluster():
                self._start(name, action.want, now)
            case HoldCluster():
                self._hold(name, action.reason, now)
            case ReleaseCluster():
                self._hold(name, "", now)
            case AskCluster():
                pass  # these engines wait for nobody

    def due(self) -> datetime | None:
        """When the next engine is done."""
        return min((work.due for work in self.works.values() if work.due), default=None)

    def advance(self, now: datetime) -> list[str]:
        """Engines that are done by now; the hub hears of it if the member answers."""
        done = [name for name, work in self.works.items() if work.due and work.due <= now]
        heard = []
        for name in done:
            if name not in self.lost:
                self._end(name, self.works.pop(name), now)
                heard.append(name)
            else:
                self.works[name].due = None  # it is told when the member answers again
        return heard

    def _start(self, name: str, want: Want, now: datetime) -> None:
        item = self.items.get(name)
        fails = name in self.habits.failing and not want.undoes
        was_done = item is not None and item.status.phase is ClusterPhase.SUCCEEDED
        seconds = self.habits.each / 2 if fails else self.habits.each
        seconds = BACK_SECONDS if want.undoes and not was_done else seconds
        spec = ClusterRolloutSpec(
            application=self.application, cluster=name, namespace=self.namespace, want=want
        )
        self._write(name, spec)
        self.works[name] = Work(due=now + timedelta(seconds=seconds), fails=fails)
        taken = Dispatched(
            sequence=1, rollout=1, run=want.run, revision=want.revision, attempt=want.attempt
        )
        engine = EngineReport(revision=want.revision, phase="Progressing")
        found = Assessment(
            phase=ClusterPhase.PROGRESSING,
            reason="Progressing",
            update={"dispatch": taken, "engine": engine},
        )
        self._set(name, found, now)
        self._report(name, now)

    def _hold(self, name: str, reason: str, now: datetime) -> None:
        before = self.items[name]
        self._write(name, before.spec.model_copy(update={"hold": reason}))
        work = self.works.get(name)
        if work is not None and reason and work.due is not None:
            work.left, work.due = work.due - now, None
        elif work is not None and not reason and work.due is None:
            work.due = now + work.left
        self._report(name, now)

    def _write(self, name: str, spec: ClusterRolloutSpec) -> None:
        before = self.items.get(name)
        generation = before.metadata.generation + 1 if before is not None else 1
        meta = ObjectMeta(name=f"{self.application}.{name}", generation=generation)
        status = before.status if before is not None else ClusterRolloutStatus()
        self.items[name] = ClusterRollout(metadata=meta, spec=spec, status=status)

    def _report(self, name: str, now: datetime) -> None:
        """What the hub sees of that cluster while its engine is on its way."""
        item = self.items.get(name)
        if item is None or item.spec.want is None:
            return
        work = self.works.get(name)
        if work is not None and work.due is None and not item.spec.hold and name not in self.lost:
            work.due = now  # it has come to its end meanwhile
        if standing.stands(item):
            phase = item.status.phase
        elif name in self.lost:
            phase = ClusterPhase.UNREACHABLE
        else:
            phase = ClusterPhase.PROGRESSING
        member = self.members[name]
        said = (standing.reachable(member),)
        self._set(name, Assessment(phase=phase, reason=str(phase), conditions=said), now)

    def _end(self, name: str, work: Work, now: datetime) -> None:
        item = self.items[name]
        want, good = item.spec.want, item.status.last_good
        assert want is not None
        if work.fails:
            found = Assessment(phase=ClusterPhase.FAILED, reason="AnalysisFailed", message=VERDICT)
        else:
            engine = EngineReport(revision=want.revision, phase="Completed", weight=100)
            new = LastGood(run=want.run, revision=want.revision)
            before = good if good.run != want.run else item.status.previous_good
            update = {"engine": engine, "last_good": new, "previous_good": before}
            found = replace(SUCCEEDED, update=update)
        self._set(name, found, now)

    def _set(self, name: str, found: Assessment, now: datetime) -> None:
        item = self.items[name]
        status = standing.status(item, found, now)
        self.items[name] = item.model_copy(update={"status": status})


def cast(
    application: str,
    namespace: str,
    habits: Habits,
    members: Mapping[str, Member],
    items: Mapping[str, ClusterRollout],
) -> Cast:
    """The members and their past before the first act."""
    return Cast(
        application=application,
        namespace=namespace,
        habits=habits,
        members=dict(members),
        items=dict(items),
    )
