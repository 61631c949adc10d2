"""The words for strategies that leave the engine: in events, metrics and questions to advisors."""

from collections.abc import Mapping

STRATEGIES: Mapping[str, str] = {
    "canary": "canary",
    "blueGreen": "blue-green",
    "abTesting": "ab-testing",
    "simple": "simple",
}
"""Member of `spec.strategy` → the word for it in events and metrics, as in the KULTA reference."""


def word(strategy: str) -> str:
    """The strategy's word; what is not known stands for itself."""
    return STRATEGIES.get(strategy, strategy)
