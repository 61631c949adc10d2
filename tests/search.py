"""Searches: many made-up worlds in one test, and what they came to.

A search that never comes to a phase, a request or a fault proves nothing about it: what each has to
come to stands above it, how often it did is printed (`make check-deep` shows it), and a zero fails.
"""

import functools
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import note, settings
from hypothesis import strategies as st

in_time = pytest.mark.timeout(120 * max(1, settings.default.max_examples // 100))
"""As long as a search may take on a busy machine; the deep one has more worlds to see."""

MANY = max(60, settings.default.max_examples)
"""Worlds of a search in which all kinds of things happen."""

FEW = settings.default.max_examples if MANY > 1_000 else 15
"""Worlds of a search whose worlds are large; the deep one has as many as all."""

_reached: Counter[str] = Counter()
"""What the search that runs now has come to."""


def reach(what: Iterable[str]) -> None:
    """Count what one world came to, each once."""
    _reached.update(set(what))


def lived(world: Any) -> set[str]:
    """What a world of the engine has written down and told: phases, and reasons of decisions."""
    reasons = {item.decision.reason for item in world.heard}
    return reasons | {str(status.phase) for status in world.writes}


SEEDS = st.integers(0, 2**32 - 1)


def happenings(kinds: Sequence[str], most: int, *world: Any) -> list[tuple[int, str]]:
    """At most so many of `kinds`, each after some seconds, all equally likely; the same in the
    same `world`. hypothesis itself repeats what it knows, so that a hundred worlds never saw half
    of what can happen."""
    dice = Random(repr(world))
    found = [(dice.randint(0, 40), dice.choice(kinds)) for _ in range(dice.randint(0, most))]
    note(f"what happens: {found}")
    return found


def reaching(
    *wanted: str, deep: Iterable[str] = ()
) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """The search has to come to all of `wanted`, and in ten thousand worlds to what is rare too."""
    awaited = [*wanted, *(deep if MANY > 1_000 else ())]

    def decorate(search: Callable[[], None]) -> Callable[[], None]:
        @functools.wraps(search)
        def searched() -> None:
            _reached.clear()
            search()
            said = (f"{name} {count}" for name, count in sorted(_reached.items()))
            print("worlds that reached:", ", ".join(said))  # noqa: T201 - for people
            assert [name for name in awaited if not _reached[name]] == [], "never reached"

        return searched

    return decorate
