"""The shape of a strategy, and the moves that all of them make the same way."""

from collections.abc import Iterator
from typing import Protocol

from fleet.api.rollout import Phase, RolloutSpec
from fleet.kulta.core import deadlines, holds, retreat
from fleet.kulta.core.analysis.checks import Finding
from fleet.kulta.core.draft import Draft
from fleet.kulta.core.traits import Traits
from fleet.kulta.core.wait import Wait


class Strategy(Protocol):
    """One way from revision to revision."""

    def problems(self, spec: RolloutSpec, at: str) -> Iterator[str]:
        """What is wrong with its part of the spec, which stands at the path `at`."""

    def traits(self, spec: RolloutSpec) -> Traits:
        """How it uses pods, Services, routes and metrics."""

    def start(self, spec: RolloutSpec, stepwise: bool) -> tuple[int | None, int | None]:
        """Step index and weight of a new revision; not `stepwise`: there is nothing to compare."""

    def describe(self, draft: Draft) -> str:
        """Where the rollout stands, in words that change only when it moves."""

    def step(self, draft: Draft) -> str:
        """The step in work of all steps, `2/4`; empty for a strategy without steps."""

    def advance(self, draft: Draft) -> None:
        """Take an active rollout as far as the world allows; may complete or fail it."""

    def skip(self, draft: Draft) -> None:
        """Leave out what remains of steps, pauses and checks: `promote-full`."""


def fails(draft: Draft, finding: Finding) -> bool:
    """End the rollout if its analysis failed or its time is up; whether it ended.

    A return to the stable revision cannot fail: there is nothing else to return to.
    """
    if draft.current == draft.stable:
        return False
    if finding.failure:
        message = f"revision {draft.current} was taken back: {finding.failure}"
        retreat.fail(draft, finding.reason, message, finding.metrics)
        return True
    if deadlines.is_late(draft):
        seconds = draft.look.spec.progress_deadline_seconds
        message = f"revision {draft.current} made no progress for {seconds} seconds"
        retreat.fail(draft, "Timeout", message, finding.metrics)
        return True
    return False


def begins(draft: Draft) -> bool:
    """Whether a rollout without steps may begin: a hold stops what has no pods yet."""
    held = holds.of_spec(draft)
    if held is not None and draft.current not in draft.look.sets:
        pause(draft, held)
        return False
    draft.move(Phase.PROGRESSING)
    return True


def pause(draft: Draft, why: Wait) -> None:
    """Stand still for `why`, with the clock stopped."""
    draft.paused = why
    draft.move(Phase.PAUSED)
    deadlines.stop(draft)
