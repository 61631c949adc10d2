"""Conditions as new tuples: a condition changes its time only when its status changes.

Used by both cores and both reporters; `now` is an argument.
"""

from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Literal

from pydantic import Field

from fleet.api.meta import Model, Time
from fleet.api.rules import Rules

MESSAGE_LIMIT = 1_024
STALLED = "Stalled"
"""What has to be done is refused: the name by which kstatus and its users know it."""


class Condition(Model):
    """One aspect of an object's health, with a reason for machines and a sentence for people."""

    type: Annotated[str, Field(max_length=64)]
    """Which aspect."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""
    reason: Annotated[str, Field(max_length=64)] = ""
    """Why, for machines: a constant of `api.reasons`."""
    message: Annotated[str, Field(max_length=MESSAGE_LIMIT)] = ""
    """Why, for people, and what to do."""
    observed_generation: int = 0
    """The generation of the spec that this speaks of."""
    last_transition_time: Time = None
    """When the status last changed."""


Conditions = Annotated[
    tuple[Condition, ...],
    Rules(**{"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}),
]
"""At most one condition of each type."""


@lru_cache(maxsize=1_024)  # every look says the same few again, and they are frozen
def condition(type_: str, value: bool | None, reason: str, message: str = "") -> Condition:
    """A condition without its time; None is Unknown. Long messages are cut."""
    status: Literal["True", "False", "Unknown"] = (
        "Unknown" if value is None else "True" if value else "False"
    )
    return Condition(type=type_, status=status, reason=reason, message=message[:MESSAGE_LIMIT])


def updated(
    old: Iterable[Condition], new: Iterable[Condition], now: datetime, generation: int = 0
) -> tuple[Condition, ...]:
    """`old` with every condition of `new` put in its place, sorted by type."""
    result = {item.type: item for item in old}
    for item in new:
        before = result.get(item.type)
        if _stands(before, item, generation):
            continue  # as most do; a copy of each would cost every look dear
        same = before is not None and before.status == item.status
        time = before.last_transition_time if before is not None and same else now
        result[item.type] = item.model_copy(
            update={"last_transition_time": time, "observed_generation": generation}
        )
    return tuple(result[key] for key in sorted(result))


def _stands(before: Condition | None, item: Condition, generation: int) -> bool:
    return before is not None and (
        (before.status, before.reason, before.message, before.observed_generation)
        == (item.status, item.reason, item.message, generation)
    )


def find(conditions: Iterable[Condition], type_: str) -> Condition | None:
    """The condition of that type, or None."""
    for item in conditions:  # a generator would take three times as long
        if item.type == type_:
            return item
    return None


def is_true(conditions: Iterable[Condition], type_: str) -> bool:
    """Whether that condition is there and True."""
    found = find(conditions, type_)
    return found is not None and found.status == "True"
