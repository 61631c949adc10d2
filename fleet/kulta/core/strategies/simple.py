"""Simple: a rolling update within surge and unavailable, watched, judged once at its end.

No steps, no Services, no routes. When all pods are the new revision's and an analysis is asked for,
one full passing check after the warm-up completes it; a failure brings the old revision back.
"""

from collections.abc import Iterator

from fleet.api import faults
from fleet.api.rollout import RolloutSpec, Simple
from fleet.kulta.core.analysis.findings import Finding
from fleet.kulta.core.draft import Draft
from fleet.kulta.core.ending import promotion
from fleet.kulta.core.facts.traits import Traits
from fleet.kulta.core.gates import holds, hooks, requests
from fleet.kulta.core.record import deadlines, decisions
from fleet.kulta.core.strategies import base
from fleet.kulta.core.tactics import problems

SKIPPED = 0
"""`reachedStepIndex` when a person has decided that nothing more is to be judged."""


class SimpleStrategy:
    """See the module."""

    def problems(self, spec: RolloutSpec, at: str) -> Iterator[str]:
        found = faults.analysis(_simple(spec).analysis, has_services=False)
        yield from problems.told(at, found)

    def traits(self, spec: RolloutSpec) -> Traits:
        return Traits(
            strategy="simple",
            stable_role="simple",
            new_role="simple",
            analysis=_simple(spec).analysis,
        )

    def start(self, spec: RolloutSpec, stepwise: bool) -> tuple[int | None, int | None]:
        return None, None

    def describe(self, draft: Draft) -> str:
        return f"revision {draft.current} is being rolled out to {draft.look.total} pods"

    def step(self, draft: Draft) -> str:
        return ""

    def skip(self, draft: Draft) -> None:
        draft.set(reached_step_index=SKIPPED)

    def advance(self, draft: Draft) -> None:
        finding = base.examine(draft)
        if base.fails(draft, finding) or not base.begins(draft):
            return
        held = holds.from_outside(draft)
        if held is not None and draft.current != draft.stable:
            base.pause(draft, held)
            return
        wait = promotion.exchange(draft)
        if wait is not None:
            draft.progress = wait
            deadlines.run(draft)
        elif self._passes(draft, finding) and _is_confirmed(draft):
            promotion.complete(draft)

    def _passes(self, draft: Draft, finding: Finding) -> bool:
        """Whether the analysis has nothing against the new revision, or a person decided."""
        if not self._is_judged(draft):
            return True
        if draft.status.step_start_time is None:
            draft.set(step_start_time=draft.now)
            finding = base.examine(draft)
        if finding.wait is None:
            return True
        if requests.is_asked(draft, "promote"):
            requests.consume(draft, "promote")
            decisions.note(draft, "Promotion", "ManualPromotion", self.describe(draft))
            return True
        if finding.person is not None:
            base.pause(draft, finding.person)
            return False
        draft.progress = finding.wait
        deadlines.stop(draft)
        return False

    def _is_judged(self, draft: Draft) -> bool:
        """Whether there is something to judge: pods, metrics, and a revision to go back to."""
        analysis = draft.traits.analysis
        stepwise = bool(draft.stable) or draft.look.spec.steps_on_first_rollout
        return (
            analysis is not None
            and bool(analysis.metrics)
            and draft.status.reached_step_index != SKIPPED
            and stepwise
            and draft.stable != draft.current
            and draft.look.total > 0
        )


def _is_confirmed(draft: Draft) -> bool:
    """Whether no hook is against it, or a person does not care."""
    wait = hooks.at_end(draft)
    if wait is None or draft.status.reached_step_index == SKIPPED:
        return True
    if requests.is_asked(draft, "promote"):
        requests.consume(draft, "promote")
        return True
    draft.progress = wait
    deadlines.stop(draft)
    return False


def _simple(spec: RolloutSpec) -> Simple:
    return spec.strategy.simple or Simple()
