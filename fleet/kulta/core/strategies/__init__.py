"""Strategies: one way from revision to revision in each file, all with the shape of
`core.strategy`.

    canary     percent by percent
    bluegreen  all at once, after a preview
    abtesting  side by side, for those who ask for it
    simple     pods only
    base       the moves that they make the same way

Add one by a file here, an entry in `STRATEGIES`, and the member of `spec.strategy` that selects it.
"""

from collections.abc import Mapping

from fleet.api import rollout as api
from fleet.errors import UnexpectedState
from fleet.kulta.core.facts import specs
from fleet.kulta.core.facts.traits import Traits
from fleet.kulta.core.strategies.abtesting import ABTestingStrategy
from fleet.kulta.core.strategies.bluegreen import BlueGreenStrategy
from fleet.kulta.core.strategies.canary import CanaryStrategy
from fleet.kulta.core.strategies.simple import SimpleStrategy
from fleet.kulta.core.strategy import Strategy

__all__ = ["STRATEGIES", "Strategy", "name", "select", "traits"]

STRATEGIES: Mapping[str, Strategy] = {
    "simple": SimpleStrategy(),
    "canary": CanaryStrategy(),
    "blueGreen": BlueGreenStrategy(),
    "abTesting": ABTestingStrategy(),
}


@specs.once
def name(wish: api.Strategy) -> str:
    """The member of `spec.strategy` that is set; empty when none is."""
    given = wish.given
    return next((key for key in STRATEGIES if key in given), "")


def select(wish: api.Strategy) -> Strategy:
    """The strategy of a valid spec; UnexpectedState without one, which validation has excluded."""
    found = STRATEGIES.get(name(wish))
    if found is None:
        raise UnexpectedState("a spec without a strategy passed validation")
    return found


@specs.once
def traits(spec: api.RolloutSpec) -> Traits:
    """What the strategy of a spec that has one says of it."""
    return select(spec.strategy).traits(spec)
