"""Simple: a rolling update within surge and unavailable, watched, judged once at its end.

No steps, no Services, no routes. When all pods are the new revision's and an analysis is asked for,
one full passing check after the warm-up completes it; a failure brings the old revision back.
"""

from fleet.api.rollout import RolloutSpec, Simple
from fleet.kulta.core import deadlines, promotion
from fleet.kulta.core.analysis import checks
from fleet.kulta.core.draft import Draft
from fleet.kulta.core.strategies import base
from fleet.kulta.core.traits import Traits


class SimpleStrategy:
    """See the module."""

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
        return f"{draft.look.total} pods are being replaced by revision {draft.current}"

    def skip(self, draft: Draft) -> None:
        draft.set(step_start_time=None)

    def advance(self, draft: Draft) -> None:
        finding = checks.examine(draft)
        if base.fails(draft, finding) or not base.begins(draft):
            return
        wait = promotion.exchange(draft)
        if wait is not None:
            draft.progress = wait
            deadlines.run(draft)
            return
        if self._is_judged(draft):
            if draft.status.step_start_time is None:
                draft.set(step_start_time=draft.now)
                finding = checks.examine(draft)
            if finding.wait is not None:
                draft.progress = finding.wait
                deadlines.stop(draft)
                return
        promotion.complete(draft)

    def _is_judged(self, draft: Draft) -> bool:
        """Whether there is something to judge: pods, metrics, and a revision to go back to."""
        analysis = draft.traits.analysis
        stepwise = bool(draft.stable) or draft.look.spec.steps_on_first_rollout
        return (
            analysis is not None
            and bool(analysis.metrics)
            and stepwise
            and draft.stable != draft.current
            and draft.look.total > 0
        )


def _simple(spec: RolloutSpec) -> Simple:
    return spec.strategy.simple or Simple()
