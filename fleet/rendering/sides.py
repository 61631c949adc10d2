"""What each strategy has side by side in a member: the Services that lead to its revisions.

One entry in `SIDES` for each member of the policy's strategy. Used by `context`; what the engine
makes of them is the macro of that strategy in `templates/_macros.j2`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from fleet.api.application import StrategyPolicy
from fleet.api.experiment import LETTERS


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """Which pods each Service leads to, by their type labels."""

    role: str = ""
    """Of the pods behind the Service that clients use; empty: of all pods."""
    others: Mapping[str, str] = field(default_factory=dict)
    """Role → what follows that Service's name in the name of one of its own."""
    alone: bool = False
    """The Services move the traffic where there is no route; elsewhere numbers of pods do."""
    weighed: bool = True
    """A route divides by weights between them; else by rules that the engine puts into it."""


SIDES: Mapping[str, Sides] = {
    "canary": Sides(role="stable", others={"canary": "-canary"}),
    "simple": Sides(),
    "blueGreen": Sides(role="active", others={"preview": "-preview"}, alone=True),
    "abTesting": Sides(role="variant-a", others={"variant-b": "-b"}, alone=True, weighed=False),
}


def of(policy: StrategyPolicy) -> Sides:
    """The sides of a policy: those of its strategy, and one for each further arm."""
    found = SIDES[policy.kind]
    if policy.ab_testing is None:
        return found
    letters = LETTERS[2:].lower()
    more = {
        f"variant-{letter}": f"-{letter}"
        for letter, _ in zip(letters, policy.ab_testing.variants, strict=False)
    }
    return replace(found, others={**found.others, **more})
