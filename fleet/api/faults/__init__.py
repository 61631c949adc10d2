"""What is wrong with a strategy beyond what single fields can say: (path, sentence).

Asked by the hub for an Application and by the engine for a Rollout, so that the hub refuses at once
what the engines would refuse. Each rule stands here once and in CEL beside its model; what only one
of the two has (names of Services and routes, selectors, waves) that one checks itself.

Paths begin at the strategy's own part: `steps[0].setWeight`. A sentence goes on after its path,
with or without a colon, and says what to write instead.
"""

from fleet.api.faults.conducts import conduct
from fleet.api.faults.experiments import experiment
from fleet.api.faults.strategies import Router, analysis, canary, choice
from fleet.api.faults.values import Fault, amount, duration

__all__ = [
    "Fault",
    "Router",
    "amount",
    "analysis",
    "canary",
    "choice",
    "conduct",
    "duration",
    "experiment",
]
