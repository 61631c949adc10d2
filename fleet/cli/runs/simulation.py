"""`fleet simulate` without its options: the hub's planner plays a run on a virtual clock. Pure.

    look (the planner decides) ──> do (members begin, are held) ──> the next moment at which
    something happens by itself: an engine is done, a soak ends, a member is lost

Whoever has to say yes does so at once: approvals, promotions, hooks. A run that waits for a person
for another reason ends the story there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from fleet.api.clusterrollout import (
    ClusterRollout,
    ClusterRolloutSpec,
    ClusterRolloutStatus,
    LastGood,
)
from fleet.api.fleetrollout import FleetRollout, FleetRolloutSpec, Snapshot
from fleet.api.meta import ObjectMeta
from fleet.api.names import ClusterName
from fleet.cli.runs import asking, imitation
from fleet.cli.runs.asking import Wish
from fleet.cli.runs.imitation import Cast, Habits
from fleet.cli.runs.inputs import Due, Inputs
from fleet.errors import UserError
from fleet.hub.core import phases
from fleet.hub.core.actions import RunPlan, StartCluster
from fleet.hub.core.observed import HookAnswer, RunObserved
from fleet.hub.core.run import plan

LOOKS = 20_000
LONGEST = timedelta(days=60)
"""Nobody waits longer for the end of a story."""
PERSON = "whoever may"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Members that do not answer for a while."""

    names: frozenset[str]
    begin: float = 0.0
    """Seconds after the beginning."""
    end: float | None = None
    """None: they never come back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What if."""

    habits: Habits
    losses: Sequence[Loss] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """One line of the story."""

    after: timedelta
    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tale:
    """The whole story."""

    happenings: tuple[Happening, ...]
    started: tuple[str, ...]
    """Clusters in the order in which they went; one that went back does so again."""
    run: FleetRollout
    """As it stands at the end."""
    items: Mapping[str, ClusterRollout]
    now: datetime
    length: timedelta

    @property
    def is_over(self) -> bool:
        return self.run.status.phase in phases.ENDS


@dataclass(kw_only=True)
class Stage:
    """Everything that moves."""

    begin: datetime
    now: datetime
    run: FleetRollout
    cast: Cast
    chosen: frozenset[str]
    paused: bool
    script: Script
    answers: dict[str, HookAnswer] = field(default_factory=dict)
    request: str = ""
    asked: int = 0
    started: list[str] = field(default_factory=list)
    told: list[Happening] = field(default_factory=list)

    def tell(self, reason: str, message: str) -> None:
        after = self.now - self.begin
        self.told.append(Happening(after=after, reason=reason, message=message))


def first(inputs: Inputs, due: Due, now: datetime) -> RunPlan:
    """What the planner does in its first look at the run: who goes at once, or why nobody does."""
    stage = _stage(inputs, due, Script(habits=Habits(each=0.0)), now)
    return plan.next(stage.run, _seen(stage), now)


def play(inputs: Inputs, due: Due, script: Script, begin: datetime) -> Tale:
    """The run from its beginning to its end, or to where only a person goes on."""
    stage = _stage(inputs, due, script, begin)
    for _ in range(LOOKS):
        _happen(stage)
        if _look(stage):
            continue
        if stage.run.status.phase in phases.ENDS:
            break
        if _person(stage):
            continue
        moment = _next(stage)
        if moment is None or moment - begin > LONGEST:
            break
        stage.now = moment
    return Tale(
        happenings=tuple(stage.told),
        started=tuple(stage.started),
        run=stage.run,
        items=stage.cast.items,
        now=stage.now,
        length=stage.now - begin,
    )


def _stage(inputs: Inputs, due: Due, script: Script, begin: datetime) -> Stage:
    application, newest = inputs.application, inputs.observed.newest
    spec = FleetRolloutSpec(
        application=Snapshot(
            name=application.name,
            uid=application.metadata.uid,
            spec=due.proposal.spec,
            templates=dict(due.proposal.templates),
        ),
        number=due.number,
        revision=due.proposal.revision,
        previous_revision=newest.spec.revision if newest is not None else "",
        trigger=due.occasion.trigger if due.occasion else "SpecChanged",
        plan=due.plan,
    )
    meta = ObjectMeta(
        name=f"{application.name}-{due.number}", namespace=application.namespace, generation=1
    )
    namespace = application.spec.destination.namespace or application.namespace
    known = {item.spec.cluster: item for item in inputs.observed.clusters}
    if inputs.is_alone:
        known = {
            str(name): _before(application.name, namespace, name) for name in due.proposal.chosen
        }
    everybody = {str(name): one for name, one in inputs.observed.members.items()}
    return Stage(
        begin=begin,
        now=begin,
        run=FleetRollout(metadata=meta, spec=spec),
        cast=imitation.cast(application.name, namespace, script.habits, everybody, known),
        chosen=frozenset(due.proposal.chosen),
        paused=due.proposal.policy.paused,
        script=script,
    )


def _before(application: str, namespace: str, cluster: str) -> ClusterRollout:
    """A cluster in which a revision before ran well: without it a rollback leads nowhere."""
    good = LastGood(run=f"{application}-0", revision="before")
    spec = ClusterRolloutSpec(application=application, cluster=cluster, namespace=namespace)
    meta = ObjectMeta(name=f"{application}.{cluster}", generation=1)
    return ClusterRollout(metadata=meta, spec=spec, status=ClusterRolloutStatus(last_good=good))


def _happen(stage: Stage) -> None:
    """What is due by now beside the hub."""
    gone = (stage.now - stage.begin).total_seconds()
    for loss in stage.script.losses:
        is_away = loss.begin <= gone and (loss.end is None or gone < loss.end)
        is_back = loss.end is not None and gone >= loss.end
        for name in sorted(loss.names):
            if is_away and name not in stage.cast.lost:
                stage.cast.lose(name, stage.now)
                stage.tell("Lost", f"{name} does not answer any more")
            elif is_back and name in stage.cast.lost:
                stage.cast.regain(name, stage.now)
                stage.tell("Found", f"{name} answers again")
    for name in stage.cast.advance(stage.now):
        if stage.cast.items[name].status.phase not in phases.FAILURES:
            stage.tell("Done", f"{name} is done")


def _seen(stage: Stage) -> RunObserved:
    """The world as the hub sees it."""
    return RunObserved(
        members={ClusterName(name): one for name, one in stage.cast.members.items()},
        clusters={ClusterName(name): one for name, one in stage.cast.items.items()},
        newest=stage.run.spec.number,
        isolated=stage.cast.is_suspect(stage.begin, stage.now),
        requests=(stage.request,) if stage.request else (),
        authors={stage.request: PERSON} if stage.request else {},
        hooks=stage.answers,
        fleet=stage.chosen,
        paused=stage.paused,
    )


def _look(stage: Stage) -> bool:
    """One look of the hub; whether there is more to do at this moment."""
    decided = plan.next(stage.run, _seen(stage), stage.now)
    for ask in decided.asks:
        answer = HookAnswer(yes=True, message="it answered 200", at=stage.now)
        stage.answers[f"{ask.wave}/{ask.gate}"] = answer
    for _, reason, message in decided.events:
        stage.tell(reason, asking.spoken(message, stage.run.name))
    for action in decided.actions:
        if isinstance(action, StartCluster):
            stage.started.append(str(action.cluster))
            back = f"goes back to {action.want.run}" if action.want.undoes else "begins"
            stage.tell("Started", f"{action.cluster} {back}")
        stage.cast.do(action, stage.now)
    moved = decided.status != stage.run.status
    stage.run = stage.run.model_copy(update={"status": decided.status})
    return moved or bool(decided.actions) or bool(decided.asks)


WILLING: Mapping[str, str] = {"AwaitingApproval": "approve", "AwaitingPromotion": "promote"}
"""Reason of a wait → the verb with which somebody ends it."""


def _person(stage: Stage) -> bool:
    """Somebody says yes to what waits for it; whether anybody does."""
    verb = WILLING.get(stage.run.status.reason)
    if verb is None:
        return False
    stage.asked += 1
    number = stage.run.spec.number
    try:
        stage.request = asking.text(Wish(verb=verb), stage.run, number, f"{stage.asked}")
    except UserError:
        return False
    return True


def _next(stage: Stage) -> datetime | None:
    """The next moment at which something happens by itself."""
    moments = [stage.run.status.next_check, stage.cast.due()]
    for loss in stage.script.losses:
        moments += [stage.begin + timedelta(seconds=loss.begin)]
        moments += [stage.begin + timedelta(seconds=loss.end)] if loss.end is not None else []
    ahead = [moment for moment in moments if moment is not None and moment > stage.now]
    return min(ahead, default=None)
