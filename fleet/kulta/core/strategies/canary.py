"""Canary: percent by percent, each step with its pods, its weight, perhaps a pause, its analysis.

    scale the new revision up → its pods are ready → weights → taken by the gateway → scale the
    stable one down (where pods divide the traffic) → step reached → pause and analysis → next step

A step that is reached is remembered (`reachedStepIndex`), so its clocks begin there and not at
entry. After the last step `promotion` takes over. How pods and weights of one step come about is
told in `steps`.
"""

from collections.abc import Iterator

from fleet.api import faults
from fleet.api.rollout import Canary, Phase, RolloutSpec, RolloutStatus, Step
from fleet.api.strategy import is_weighed, weight_at
from fleet.kit import hashing
from fleet.kulta.core.analysis import checks
from fleet.kulta.core.analysis.findings import NOTHING, Finding
from fleet.kulta.core.draft import Draft
from fleet.kulta.core.ending import promotion
from fleet.kulta.core.facts import replicas
from fleet.kulta.core.facts.traits import Traits
from fleet.kulta.core.gates import holds, hooks, requests
from fleet.kulta.core.record import deadlines, decisions
from fleet.kulta.core.serving import divisions, traffic
from fleet.kulta.core.strategies import base
from fleet.kulta.core.tactics import branches, entries, problems, steps
from fleet.kulta.core.wait import PODS


class CanaryStrategy:
    """See the module."""

    def problems(self, spec: RolloutSpec, at: str) -> Iterator[str]:
        canary = _canary(spec)
        names = {"canaryService": canary.canary_service, "stableService": canary.stable_service}
        yield from problems.services(at, names)
        yield from problems.routing(at, canary.traffic_routing)
        router = problems.router(at, canary.traffic_routing)
        yield from problems.told(at, faults.canary(canary, router))

    def traits(self, spec: RolloutSpec) -> Traits:
        canary = _canary(spec)
        targets = divisions.wanted(canary.traffic_routing)
        return Traits(
            strategy="canary",
            stable_role="stable",
            new_role="canary",
            stable_service=canary.stable_service,
            canary_service=canary.canary_service,
            port=canary.port,
            targets=targets,
            beside=branches.beside(canary, hashing.pod_hash(spec.template)),
            stable_stays=bool(targets) and not canary.dynamic_stable_scale,
            analysis=canary.analysis,
        )

    def start(self, spec: RolloutSpec, stepwise: bool) -> tuple[int | None, int | None]:
        all_steps = _canary(spec).way
        return (0, weight_at(all_steps, 0)) if stepwise else (len(all_steps), 100)

    def describe(self, draft: Draft) -> str:
        if _step(draft) is None:
            return f"revision {draft.current} is being promoted"
        index, count = _index(draft), len(_canary(draft.look.spec).way)
        return f"step {index + 1} of {count}: {_goal(draft, index)} for revision {draft.current}"

    def step(self, draft: Draft) -> str:
        count = len(_canary(draft.look.spec).way)
        return f"{min(_index(draft) + 1, count)}/{count}"

    def skip(self, draft: Draft) -> None:
        count = len(_canary(draft.look.spec).way)
        draft.set(current_step_index=count, current_weight=100, pause_start_time=None)
        draft.move(Phase.PROGRESSING)

    def advance(self, draft: Draft) -> None:
        finding = _examined(draft)
        if base.fails(draft, finding):
            return
        if draft.look.total == 0 and holds.from_outside(draft) is None:
            self.skip(draft)
        while (step := _step(draft)) is not None:
            before = draft.status
            if not self._reach(draft, step):
                return
            if not _was_at(before, draft.status, _index(draft)):
                _arrive(draft, step)
                finding = _examined(draft)
            holds.begin(draft, step)
            if not _may_leave(draft, step, finding):
                return
            if _is_promotion(draft, step):
                self._promote_at_once(draft, before)
                return
            self._leave(draft, step, finding)
            if _step(draft) is not None and steps.is_next(draft, _goal(draft, _index(draft))):
                draft.again()
                return
        if _is_recorded(draft) and base.begins(draft):
            promotion.promote(draft)

    def _reach(self, draft: Draft, step: Step) -> bool:
        """Bring the step's pods and weight about; whether they are in force."""
        wish, held = _goal(draft, _index(draft)), holds.from_outside(draft)
        is_moved = draft.status.current_weight != wish.weight
        is_reached = draft.status.reached_step_index == _index(draft) and not is_moved
        if held is not None and not is_reached:
            at = draft.status.reached_step_index
            wait = steps.work(draft, _goal(draft, at))
            if wait is None and at == _index(draft):
                entries.note_weight(draft, at, wish.weight)
            base.pause(draft, held)
            return False
        wait = steps.work(draft, wish, was_reached=is_reached)
        draft.progress = wait
        if wait is None:
            if is_moved:
                entries.note_weight(draft, _index(draft), wish.weight)
            return True
        if held is not None:
            base.pause(draft, held)
            return False
        paused = holds.of_step(draft, step)
        is_over = step.pause is not None and paused is None
        if not is_reached or (is_over and wait.reason == PODS):
            draft.move(Phase.PROGRESSING)  # when a pause is over, missing pods cost time
        if wait.reason in hooks.WAITS:
            deadlines.stop(draft)
        elif draft.phase is Phase.PROGRESSING:
            deadlines.run(draft)
        else:
            draft.paused = paused
        return False

    def _leave(self, draft: Draft, step: Step, finding: Finding) -> None:
        """Go on to the next step, or past the last one."""
        action, reason = entries.cause(draft, step, finding)
        if action == "Promotion":
            requests.consume(draft, "promote")
        left, all_steps = _index(draft), _canary(draft.look.spec).way
        is_last = left + 1 == len(all_steps)
        draft.move(Phase.PROGRESSING)
        draft.set(
            current_step_index=left + 1,
            current_weight=100 if is_last else weight_at(all_steps, left + 1),
            pause_start_time=None,
            pause_requested=False,
            progress_started_at=draft.now,
            progress_ready=max(draft.status.progress_ready, draft.look.ready(draft.current)),
        )
        decisions.note(
            draft,
            action,
            reason,
            self.describe(draft),
            metrics=finding.metrics,
            from_step=left,
            to_step=left + 1,
            weight=draft.status.current_weight,
        )

    def _promote_at_once(self, draft: Draft, before: RolloutStatus) -> None:
        """The last step is the promotion itself: recorded when it is done, since until then the
        same look decides the same again."""
        left, count = _index(draft), len(_canary(draft.look.spec).way)
        draft.promotes = True
        draft.scale(draft.current, draft.look.total)
        if draft.look.ready(draft.current) < draft.look.total or promotion.exchange(draft):
            draft.status = before
            draft.progress = steps.pods()
            deadlines.run(draft)
            return
        self.skip(draft)
        decisions.note(
            draft,
            "StepAdvance",
            "StepCompleted",
            self.describe(draft),
            from_step=left,
            to_step=count,
            weight=100,
        )
        promotion.complete(draft)


def _canary(spec: RolloutSpec) -> Canary:
    canary = spec.strategy.canary
    assert canary is not None
    return canary


def _index(draft: Draft) -> int:
    return draft.status.current_step_index or 0


def _step(draft: Draft) -> Step | None:
    """The step in work; None when all are done."""
    all_steps = _canary(draft.look.spec).way
    return all_steps[_index(draft)] if _index(draft) < len(all_steps) else None


def _goal(draft: Draft, index: int | None) -> steps.Goal:
    return steps.goal(_canary(draft.look.spec), index)


def _examined(draft: Draft) -> Finding:
    """The analysis, as the step in work wants it; without any requests nothing is judged."""
    step, canary = _step(draft), _canary(draft.look.spec)
    if step is not None and not (canary.mirror or is_weighed(canary.way, _index(draft))):
        return NOTHING
    own, wish = step.analysis if step is not None else None, _goal(draft, _index(draft))
    is_dark = step is not None and own is None and steps.is_dark(draft, wish)
    return base.examine(draft, iterations=own.iterations if own else None, is_dark=is_dark)


def _was_at(before: RolloutStatus, now: RolloutStatus, index: int) -> bool:
    """Whether the step was reached already, with the weight that it has, and it is known when: who
    lost that is judged anew, and not passed unseen."""
    is_same = before.reached_step_index == index and before.current_weight == now.current_weight
    return is_same and before.step_start_time is not None


def _arrive(draft: Draft, step: Step) -> None:
    """Pods and weight are in force: the clocks of pause and analysis begin."""
    draft.set(
        reached_step_index=_index(draft),
        step_start_time=draft.now,
        pause_start_time=draft.now if step.pause is not None else None,
    )
    checks.begin(draft)


def _may_leave(draft: Draft, step: Step, finding: Finding) -> bool:
    """Whether nothing keeps a rollout at a step that is reached."""
    held = holds.from_outside(draft)
    if requests.is_asked(draft, "promote") and not holds.is_firm(draft):
        return True
    wait = held or holds.of_step(draft, step)
    if wait is not None and draft.phase is not Phase.PAUSED and wait is not held:
        entries.note_pause(draft, _index(draft), _goal(draft, _index(draft)).weight, wait)
    if (wait := wait or finding.person) is not None:
        base.pause(draft, wait)
        return False
    index, count = _index(draft), len(_canary(draft.look.spec).way)
    wait = finding.wait or hooks.at_step(draft, step, index, is_last=index + 1 == count)
    if wait is not None:
        draft.move(Phase.PROGRESSING)
        draft.progress = wait
        deadlines.stop(draft)
        return False
    return True


def _is_recorded(draft: Draft) -> bool:
    """Whether the status says already that all steps are done.

    Services are switched only then: whoever carries on after a crash must not switch them back.
    """
    stored = draft.look.rollout.status
    if (stored.current_pod_hash, stored.current_step_index) == (draft.current, _index(draft)):
        return True
    if draft.traits.is_routed or traffic.is_managed(draft):
        draft.progress = steps.pods()
        draft.again()
        return draft.status.reached_step_index is None
    return True


def _is_promotion(draft: Draft, step: Step) -> bool:
    """Whether leaving this step is the promotion itself, with no stop on the way to record.

    That is so where nobody has to be switched, what remains is at most 100% without a pause, and
    all new pods fit beside the old ones of this step.
    """
    canary, limits = _canary(draft.look.spec), draft.look.bounds
    old = replicas.split(limits, _goal(draft, _index(draft)).weight).stable
    rest = canary.way[_index(draft) + 1 :]
    is_plain = not rest or (len(rest) == 1 and rest[0].set_weight == 100 and rest[0].pause is None)
    is_switched = draft.traits.is_routed or traffic.is_managed(draft)
    return (
        is_plain
        and step.pause is None
        and limits.total + old <= limits.most
        and canary.analysis is None
        and not (is_switched or requests.is_asked(draft, "promote"))
    )
