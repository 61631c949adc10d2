"""The shape of a strategy: what `plan` and its helpers ask of one; `strategies/` has them all."""

from collections.abc import Iterator
from typing import Protocol

from fleet.api.rollout import RolloutSpec
from fleet.kulta.core.draft import Draft
from fleet.kulta.core.facts.traits import Traits


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
