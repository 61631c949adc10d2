"""What follows from a frozen value alone, worked out once for each value.

Used by both cores, which look at the same values again and again. A value is known by its
identity: to compare two large specs would cost what is to be saved. Never for what can change.
"""

from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")
Other = TypeVar("Other")
Answer = TypeVar("Answer")

KEPT = 256
"""Values that are remembered, the newest; so many, and no more, are kept alive by it."""


def once(work: Callable[[Value], Answer], kept: int = KEPT) -> Callable[[Value], Answer]:
    """`work`, done once for each value while it is among the `kept` newest."""
    known: dict[int, tuple[Value, Answer]] = {}

    def answer(value: Value) -> Answer:
        found = known.get(id(value))
        if found is None:  # and nobody else has this id, as long as the value is kept
            if len(known) >= kept:
                known.pop(next(iter(known)))
            found = known[id(value)] = value, work(value)
        return found[1]

    return answer


def of_two(
    work: Callable[[Value, Other], Answer], kept: int = KEPT
) -> Callable[[Value, Other], Answer]:
    """The same for what follows from two values together."""
    known: dict[tuple[int, int], tuple[Value, Other, Answer]] = {}

    def answer(value: Value, other: Other) -> Answer:
        key = id(value), id(other)
        found = known.get(key)
        if found is None:
            if len(known) >= kept:
                known.pop(next(iter(known)))
            found = known[key] = value, other, work(value, other)
        return found[2]

    return answer
