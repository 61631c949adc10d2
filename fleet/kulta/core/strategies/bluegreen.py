"""Blue-green: the new revision runs beside the old one at full size, then takes all its traffic.

    all its pods ready behind the preview Service → Preview: analysis, and a gate that a person or
    the clock opens → route to the preview Service → active Service at the new pods → route back →
    Completed → after scaleDownDelay the old pods go

Nothing before the gate touches what serves. That the gate is open is written down before traffic
moves (`reachedStepIndex`), so that whoever carries on after a crash goes the same way. While the
old pods stay, the way back is as short: see `promotion.returnable`.
"""

from collections.abc import Iterator
from datetime import timedelta

from fleet.api import faults
from fleet.api.rollout import BlueGreen, Phase, RolloutSpec
from fleet.kulta.core.analysis.findings import Finding
from fleet.kulta.core.draft import Draft
from fleet.kulta.core.ending import promotion
from fleet.kulta.core.ending.retreat import ABSENT
from fleet.kulta.core.facts.traits import Traits
from fleet.kulta.core.gates import holds, hooks, requests
from fleet.kulta.core.record import deadlines, decisions
from fleet.kulta.core.serving import divisions, traffic
from fleet.kulta.core.strategies import base
from fleet.kulta.core.tactics import problems
from fleet.kulta.core.wait import PODS, Wait, for_pods

OPEN = 0
"""`reachedStepIndex` once the gate is passed."""


class BlueGreenStrategy:
    """See the module."""

    def problems(self, spec: RolloutSpec, at: str) -> Iterator[str]:
        wish = _blue_green(spec)
        names = {"activeService": wish.active_service, "previewService": wish.preview_service}
        yield from problems.services(at, names)
        yield from problems.routing(at, wish.traffic_routing)
        yield from problems.told(at, faults.analysis(wish.analysis))

    def traits(self, spec: RolloutSpec) -> Traits:
        wish = _blue_green(spec)
        targets = divisions.wanted(wish.traffic_routing)
        return Traits(
            strategy="blueGreen",
            stable_role="active",
            new_role="preview",
            stable_service=wish.active_service,
            canary_service=wish.preview_service,
            port=wish.port,
            targets=targets,
            stable_stays=True,
            cuts_over=True,
            analysis=wish.analysis,
        )

    def start(self, spec: RolloutSpec, stepwise: bool) -> tuple[int | None, int | None]:
        return None, None

    def describe(self, draft: Draft) -> str:
        if not _is_gated(draft):
            return f"revision {draft.current} is being promoted"
        if draft.phase is Phase.PREVIEW:
            return f"the preview of revision {draft.current} is ready"
        return f"the preview of revision {draft.current} is being made ready"

    def step(self, draft: Draft) -> str:
        if not draft.is_active:
            return ""
        return "preview" if _is_gated(draft) else "promotion"

    def skip(self, draft: Draft) -> None:
        draft.set(reached_step_index=OPEN, pause_start_time=None)
        draft.move(Phase.PROGRESSING)

    def advance(self, draft: Draft) -> None:
        finding = base.examine(draft)
        if base.fails(draft, finding):
            return
        gated = _is_gated(draft)
        if not (gated and draft.phase is Phase.PREVIEW) and not base.begins(draft):
            return
        if gated:
            self._preview(draft, finding)
        else:
            self._promote(draft)

    def _preview(self, draft: Draft, finding: Finding) -> None:
        """Everything before the gate; of a preview that stands only missing pods cost time."""
        wait = _show(draft)
        if wait is not None:
            draft.progress = wait
            if wait.reason != PODS:
                draft.detour = wait
            stands = draft.phase is Phase.PREVIEW and wait.reason != PODS
            (deadlines.stop if stands else deadlines.run)(draft)
            return
        deadlines.stop(draft)
        if draft.phase is not Phase.PREVIEW or draft.status.step_start_time is None:
            self._arrive(draft)
            finding = base.examine(draft)
        if self._may_leave(draft, finding):
            self._open(draft, finding)

    def _arrive(self, draft: Draft) -> None:
        """The preview is complete: the clocks of gate and analysis begin."""
        draft.move(Phase.PREVIEW)
        draft.set(pause_start_time=draft.now, step_start_time=draft.now)
        decisions.note(draft, "Pause", "StepCompleted", self.describe(draft))

    def _may_leave(self, draft: Draft, finding: Finding) -> bool:
        """Whether nobody and nothing keeps the gate shut."""
        if requests.is_asked(draft, "promote") and not holds.is_firm(draft):
            return True
        draft.paused = holds.from_outside(draft) or finding.person
        draft.progress = (
            finding.wait or hooks.at_preview(draft) or gate(draft) or hooks.at_end(draft)
        )
        return draft.paused is None and draft.progress is None

    def _open(self, draft: Draft, finding: Finding) -> None:
        """Write down that the traffic goes over; it does so in the next look."""
        self.skip(draft)
        draft.set(pause_requested=False)
        action, reason = "StepAdvance", "PauseDurationExpired"
        if requests.is_asked(draft, "promote"):
            requests.consume(draft, "promote")
            action, reason = "Promotion", "ManualPromotion"
        elif finding.is_judged:
            reason = "AnalysisPassed"
        decisions.note(draft, action, reason, self.describe(draft), metrics=finding.metrics)
        deadlines.run(draft)
        draft.again()

    def _promote(self, draft: Draft) -> None:
        """Everything behind the gate, as far as the world allows."""
        stored = draft.look.rollout.status
        was = (stored.current_pod_hash, stored.reached_step_index)
        if (draft.current, draft.status.reached_step_index) != was and draft.stable:
            draft.again()
            return
        wait = _lead(draft)
        if wait is None:
            promotion.promote(draft)
            return
        draft.progress = wait
        if wait.reason != PODS:
            draft.detour = wait
        deadlines.run(draft)


def _blue_green(spec: RolloutSpec) -> BlueGreen:
    wish = spec.strategy.blue_green
    assert wish is not None
    return wish


def _is_gated(draft: Draft) -> bool:
    """Whether a preview stands before the promotion: not for a return, and not without anything to
    compare with."""
    return (
        draft.status.reached_step_index != OPEN
        and (bool(draft.stable) or draft.look.spec.steps_on_first_rollout)
        and draft.stable != draft.current
        and draft.look.total > 0
    )


def _show(draft: Draft) -> Wait | None:
    """All traffic at the revision that serves, and a complete preview; None when it is so.

    What else had traffic goes first, so that there are never more than twice the pods.
    """
    look, current, total = draft.look, draft.current, draft.look.total
    is_alone = draft.is_bereft and look.ready(current) > 0
    serving = current if is_alone else draft.stable or current
    home = _home(draft, serving)
    is_home = home is None or home.reason in ABSENT
    if serving in look.sets:
        draft.scale(serving, total)
    draft.arrange(dict.fromkeys(draft.others() if is_home else promotion.idle(draft), 0))
    taken = sum(draft.size(item) for item in {serving, *draft.others()} - {current})
    draft.scale(current, min(total, max(2 * total - taken, draft.size(current))))
    if home is not None and not home.is_brief:
        return home
    preview = draft.traits.canary_service
    aimed = home or traffic.point(draft, preview, current)
    if look.ready(current) < total:
        return for_pods(f"{look.ready(current)} of its {total} pods are ready")
    return aimed or traffic.endpoints(draft, preview, current, total)


def _home(draft: Draft, serving: str) -> Wait | None:
    """All traffic at the active Service and that at `serving`, as far as its pods can take it."""
    ready = draft.look.ready(serving)
    needed = draft.look.total if serving == draft.current else 1
    is_there = traffic.target(draft, draft.traits.stable_service) == serving
    if ready < needed and not (is_there and traffic.weight(draft) == 0):
        message = f"revision {serving} has too few ready pods; traffic stays where it is"
        return traffic.survey(draft) or for_pods(message, serving)
    was = 0 if draft.phase is Phase.PREVIEW else None
    return traffic.collect(draft, serving, min(ready, 1), was=was)


def gate(draft: Draft) -> Wait | None:
    """Why nobody has opened the gate yet; None when the clock has."""
    wish, known = _blue_green(draft.look.spec), draft.status
    if not wish.auto_promotion_enabled:
        message = 'awaiting promotion; set the annotation kulta.io/promote: "true"'
        return Wait(reason="AwaitingPromotion", message=message)
    seconds = wish.auto_promotion_seconds
    began = known.pause_start_time or known.step_start_time or draft.now
    end = began + timedelta(seconds=seconds)
    if draft.now >= end:
        return None
    draft.wake(deadlines.next_look(end, draft.now))
    message = f"awaiting promotion, which comes by itself after {seconds} seconds"
    return Wait(reason="AwaitingPromotion", message=message, until=end)


def _lead(draft: Draft) -> Wait | None:
    """With a route, all traffic goes to the preview Service in one step, so that the active one is
    switched while nobody uses it. None when that is so, or not needed."""
    look, traits, current = draft.look, draft.traits, draft.current
    if not draft.stable or current == draft.stable or not look.total:
        return None
    promotion.grow(draft)
    if crowd := promotion.clear(draft):
        return crowd
    if not look.ready(current) and look.ready(draft.stable):
        traffic.collect(draft, draft.stable, 1)
        return for_pods("it has lost all its pods; traffic is back meanwhile")
    if not traits.is_routed or traffic.target(draft, traits.stable_service) == current:
        return None
    if look.ready(current) < look.total:
        return for_pods(f"{look.ready(current)} of its {look.total} pods are ready")
    return (
        traffic.survey(draft)
        or traffic.point(draft, traits.canary_service, current)
        or traffic.endpoints(draft, traits.canary_service, current, look.total)
        or traffic.weigh(draft, 100)
    )
