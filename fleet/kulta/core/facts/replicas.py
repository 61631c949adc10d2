"""Arithmetic of pods: how many each revision shall have, and what may be changed at once.

Pure numbers; used by strategies, promotion and retreat. Scaling goes up, then traffic moves, then
it goes down; the bounds of `maxSurge` and `maxUnavailable` hold at each moment.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from fleet.kit import amounts


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How many pods there may be, and how many ready ones there must be."""

    total: int
    surge: int
    unavailable: int

    @property
    def most(self) -> int:
        return self.total + self.surge

    @property
    def least(self) -> int:
        return max(self.total - self.unavailable, 0)


@lru_cache(maxsize=1_024)  # every look asks again
def bounds(total: int, surge: str | int, unavailable: str | int) -> Bounds:
    """The bounds of `total` pods; percentages are rounded up."""
    return Bounds(
        total=total,
        surge=amounts.round_up(surge, total),
        unavailable=amounts.round_up(unavailable, total),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Pods of the stable and of the new revision."""

    stable: int
    canary: int


def share(total: int, weight: int) -> int:
    """Pods that carry `weight` percent of `total`, rounded up."""
    if weight <= 0 or total <= 0:
        return 0
    return min(max(-(-total * weight // 100), 1), total)


def split(limits: Bounds, weight: int) -> Split:
    """Pods for `weight` percent (0…100) where pods, not a router, divide the traffic.

    Whoever has traffic has a pod, as long as the bounds allow two.
    """
    total = limits.total
    canary = share(total, weight)
    stable = total - canary
    if weight < 100 and total > 0 and stable == 0:
        stable = 1
        canary = min(canary, limits.most - stable)
        if canary == 0:
            stable, canary = 0, 1
    return Split(stable=stable, canary=canary)


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """A set as it is: pods asked for, and how many of them are ready."""

    replicas: int
    ready: int


def roll(limits: Bounds, have: Mapping[str, Count], wanted: Mapping[str, int]) -> Mapping[str, int]:
    """The next sizes on the way from `have` to `wanted`, within `limits`.

    `wanted` is ordered: who comes first is shrunk last and grown first. What is not ready serves
    nobody, so it may go at any time.
    """
    sizes = {key: have[key].replicas for key in wanted}
    ready = {key: min(have[key].ready, have[key].replicas) for key in wanted}
    for key in reversed(tuple(wanted)):
        if sizes[key] > wanted[key]:
            others = sum(ready.values()) - ready[key]
            needed = min(ready[key], max(limits.least - others, 0))
            sizes[key] = max(wanted[key], needed)
            ready[key] = min(ready[key], sizes[key])
    room = limits.most - sum(sizes.values())
    for key, size in wanted.items():
        more = min(size - sizes[key], room)
        if more > 0:
            sizes[key] += more
            room -= more
    return sizes
