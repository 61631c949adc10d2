"""A/B: revisions side by side, each for those who ask for it, until one has won.

    every arm has its pods → its Service points at them → rules in the route, taken by the gateway
    → Experimenting: metrics, time or a person decide → Concluded: a person promotes the winner →
    stable Service at the winner → route as the user wrote it → Completed → the other pods go

Arm A is the stable revision, B the new one; C and further ones are the new one with other
containers. An arm that loses all its pods loses its rules until they are back. That somebody is to
be promoted is written down before traffic moves (`currentStepIndex`), so that whoever carries on
goes the same way. Where the winner is not what the template says, `overruledPodHash` remembers that
this was decided, so that the template is not tried again and again.
"""

from collections.abc import Iterator

from fleet.api import faults
from fleet.api.analysis import MetricResult
from fleet.api.experiment import ExperimentArm, ExperimentStatus
from fleet.api.rollout import ABTesting, Phase, RolloutSpec
from fleet.kit import hashing
from fleet.kulta.core.analysis import experiment
from fleet.kulta.core.analysis.findings import NOTHING
from fleet.kulta.core.analysis.shares import Subject
from fleet.kulta.core.analysis.winner import CONTROL
from fleet.kulta.core.draft import Draft
from fleet.kulta.core.ending import promotion
from fleet.kulta.core.facts.traits import Traits
from fleet.kulta.core.gates import holds, requests
from fleet.kulta.core.messages.emit import Emit
from fleet.kulta.core.record import deadlines, decisions
from fleet.kulta.core.routers.base import Branch
from fleet.kulta.core.serving import divisions, traffic
from fleet.kulta.core.strategies import base
from fleet.kulta.core.tactics import arms, problems, trials
from fleet.kulta.core.wait import PODS, Wait

EXPERIMENT, OVER = 0, 1
"""`currentStepIndex`: arms are compared; one of them is on its way to all traffic."""
RUNNING = frozenset({Phase.EXPERIMENTING, Phase.CONCLUDED})


class ABTestingStrategy:
    """See the module."""

    def problems(self, spec: RolloutSpec, at: str) -> Iterator[str]:
        wish = _wish(spec)
        yield from problems.routing(at, wish.traffic_routing)
        named = {"variantAService": wish.variant_a_service}
        named["variantBService"] = wish.variant_b_service
        for index, variant in enumerate(wish.variants):
            named[f"variants[{index}].service"] = variant.service
        yield from problems.services(at, named)
        yield from problems.told(at, faults.experiment(wish, spec.template))

    def traits(self, spec: RolloutSpec) -> Traits:
        wish = _wish(spec)
        targets = divisions.wanted(wish.traffic_routing)
        return Traits(
            strategy="abTesting",
            stable_role=arms.role(CONTROL),
            new_role=arms.role("B"),
            stable_service=wish.variant_a_service,
            canary_service=wish.variant_b_service,
            port=wish.port,
            targets=targets,
            stable_stays=True,
            arms=arms.of(spec, wish),
        )

    def start(self, spec: RolloutSpec, stepwise: bool) -> tuple[int | None, int | None]:
        return (EXPERIMENT if stepwise else OVER), None

    def describe(self, draft: Draft) -> str:
        if _is_over(draft):
            return f"revision {draft.current} is being promoted"
        if draft.phase is Phase.CONCLUDED:
            return _concluded(draft)
        if draft.phase is Phase.EXPERIMENTING:
            return f"revision {draft.current} is tried against {draft.stable or draft.current}"
        return f"the arms of the experiment with revision {draft.current} are being made ready"

    def step(self, draft: Draft) -> str:
        if not draft.is_active:
            return ""
        return "promotion" if _is_over(draft) else "experiment"

    def skip(self, draft: Draft) -> None:
        draft.set(current_step_index=OVER)
        draft.move(Phase.PROGRESSING)

    def advance(self, draft: Draft) -> None:
        if base.fails(draft, NOTHING):
            return
        if _is_over(draft):
            self._promote(draft)
            return
        if _begins_anew(draft):
            return
        if draft.phase not in RUNNING and not base.begins(draft):
            return
        wait = trials.work(draft)
        if wait is not None and wait.reason != PODS:
            draft.detour = wait
        if draft.phase not in RUNNING:
            if wait is not None:
                draft.progress = wait
                deadlines.run(draft)
                return
            self._arrive(draft)
        deadlines.stop(draft)
        if draft.phase is Phase.EXPERIMENTING:
            draft.progress = wait or Wait(reason="Experimenting", message=_ends(draft))
            self._experiment(draft)
        if draft.phase is Phase.CONCLUDED:
            self._await(draft, wait)

    def _arrive(self, draft: Draft) -> None:
        """Every arm has its pods and its traffic: the clock of the experiment begins."""
        control = ExperimentArm(
            name=CONTROL,
            revision=draft.stable or draft.current,
            service=draft.traits.stable_service,
        )
        others = (
            ExperimentArm(name=arm.name, revision=arm.revision, service=arm.branch.service)
            for arm in draft.traits.arms
        )
        design = _design(draft)
        found = ExperimentStatus(started_at=draft.now, arms=(control, *others), design=design)
        draft.set(ab_experiment=found)
        draft.move(Phase.EXPERIMENTING)
        decisions.note(draft, "StepAdvance", "StepCompleted", self.describe(draft))

    def _experiment(self, draft: Draft) -> None:
        if _known(draft).started_at is None:  # nobody knows since when: no clock may stand for ever
            found = _known(draft).model_copy(update={"started_at": draft.now})
            draft.set(ab_experiment=found)
        decided: tuple[str, str] | None = "", "ManualConclusion"
        if requests.is_asked(draft, "conclude-experiment"):
            requests.consume(draft, "conclude-experiment")
        else:
            decided = experiment.conclusion(draft, _subjects(draft))
        if decided is not None:
            self._conclude(draft, *decided)
        elif requests.is_asked(draft, "promote"):
            requests.consume(draft, "promote")
            message = (
                "kulta.io/promote promotes what has won, and nothing has yet; "
                'set the annotation kulta.io/conclude-experiment: "true" first'
            )
            draft.after.append(Emit(kind="Warning", reason="NothingToDo", message=message))

    def _conclude(self, draft: Draft, winner: str, reason: str) -> None:
        update = {"concluded_at": draft.now, "winner": winner, "conclusion_reason": reason}
        draft.set(ab_experiment=_known(draft).model_copy(update=update))
        draft.move(Phase.CONCLUDED)
        metrics = {
            item.name: MetricResult(
                value=item.value_b, threshold=item.value_a, passed=item.winner == item.arm
            )
            for item in reversed(_known(draft).results)
        }
        decisions.note(draft, "Conclude", reason, self.describe(draft), metrics=metrics)

    def _await(self, draft: Draft, wait: Wait | None) -> None:
        """A person promotes, whatever was concluded."""
        if requests.is_asked(draft, "promote") and not holds.is_firm(draft):
            self._choose(draft)
            return
        draft.paused = holds.from_outside(draft)
        message = 'awaiting promotion; set the annotation kulta.io/promote: "true"'
        draft.progress = wait or Wait(reason="AwaitingPromotion", message=message)

    def _choose(self, draft: Draft) -> None:
        """Write down who gets all the traffic: the winner, or B where none has won."""
        chosen = _known(draft).winner or "B"
        revision = next(item.revision for item in _known(draft).arms if item.name == chosen)
        asked = draft.look.hash
        requests.consume(draft, "promote")
        draft.set(
            current_pod_hash=revision,
            overruled_pod_hash=asked if revision != asked else "",
            pause_requested=False,
            progress_started_at=draft.now,
            progress_ready=0,
        )
        self.skip(draft)
        message = f"variant {chosen} is promoted: revision {revision}"
        decisions.note(draft, "Promotion", "ManualPromotion", message)
        draft.again()

    def _promote(self, draft: Draft) -> None:
        """All traffic to the current revision, once the status says that this is so."""
        stored = draft.look.rollout.status
        was = (stored.current_pod_hash, stored.current_step_index)
        if draft.stable and was != (draft.current, draft.status.current_step_index):
            draft.again()
        elif base.begins(draft):
            draft.set(current_step_index=OVER)
            promotion.promote(draft)


def _wish(spec: RolloutSpec) -> ABTesting:
    wish = spec.strategy.ab_testing
    assert wish is not None
    return wish


def _known(draft: Draft) -> ExperimentStatus:
    return draft.status.ab_experiment or ExperimentStatus()


def _is_over(draft: Draft) -> bool:
    """Whether nothing is compared any more, or there is nothing to compare. What is concluded stays
    so without pods too: who has won is promoted by a person."""
    at = draft.status.current_step_index
    is_nothing = draft.look.total == 0 and draft.phase is not Phase.CONCLUDED
    return at != EXPERIMENT or draft.stable == draft.current or is_nothing


def _design(draft: Draft) -> str:
    """What makes one experiment another: arms, who gets there, what decides. Not how long."""
    wish = _wish(draft.look.spec)
    kept = wish.analysis.manifest() if wish.analysis is not None else {}
    for key in ("prometheus", "minDuration", "interval"):
        kept.pop(key, None)
    found = [
        [arm.name, arm.revision, arm.branch.service, _matches(arm.branch)]
        for arm in draft.traits.arms
    ]
    text = hashing.canonical({"arms": found, "analysis": kept})
    return f"{hashing.fnv1a64(text.encode()):016x}"


def _matches(branch: Branch) -> list[list[list[str]]]:
    return [[[x.name, x.value, x.type] for x in headers] for headers in branch.matches]


def _begins_anew(draft: Draft) -> bool:
    """Whether this is another experiment now; what was measured says nothing about it."""
    running = draft.phase in RUNNING
    if not running or _known(draft).design == _design(draft):
        return False
    traffic.weigh(draft, 0)
    draft.set(
        ab_experiment=None, progress_started_at=draft.now, progress_ready=0, pause_requested=False
    )
    draft.move(Phase.PROGRESSING)
    message = "arms, matches or metrics of the experiment changed; it begins anew"
    decisions.note(draft, "Initialize", "DesignChanged", message)
    draft.again()
    return True


def _subjects(draft: Draft) -> tuple[Subject, ...]:
    """The arms as metrics see them, the control first."""
    return tuple(
        Subject(
            name=item.name,
            namespace=draft.look.rollout.namespace,
            rollout=draft.name,
            revision=item.revision,
            role=arms.role(item.name),
            service=item.service,
        )
        for item in _known(draft).arms
    )


def _ends(draft: Draft) -> str:
    wish = _wish(draft.look.spec)
    by = "when its metrics have a winner, " if wish.analysis and wish.analysis.metrics else ""
    after = f"after {wish.max_duration}, " if wish.max_duration else ""
    return f"it ends {by}{after}or by kulta.io/conclude-experiment"


def _concluded(draft: Draft) -> str:
    known = _known(draft)
    if not known.winner:
        return "the experiment is concluded without a winner"
    said = [
        f"{item.name} {item.value_b:.4g} of {item.arm} against {item.value_a:.4g}"
        for item in known.results
        if item.winner == known.winner
    ]
    return f"variant {known.winner} has won the experiment: {', '.join(said)}"
