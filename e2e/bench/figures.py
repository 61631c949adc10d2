"""Figures: what was measured, the goal beside it, and whether it is reached; as table and as JSON.

Made by the benchmarks, shown by `__main__`. Measures nothing itself.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

PERCENTILES = (50, 90, 99)
HEADINGS = ("what", "unit", "n", "value", "p50", "p90", "p99", "max", "goal", "reached")


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """An upper limit for a percentile of the samples, or for the one value there is."""

    limit: float
    percentile: int | None = None
    note: str = ""
    """Where the limit comes from, when that is not our own design."""

    def __str__(self) -> str:
        name = f"p{self.percentile} " if self.percentile else ""
        return f"{name}≤ {self.limit:g}{f' ({self.note})' if self.note else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One row. Several samples show percentiles, a single one is the value."""

    name: str
    unit: str
    samples: tuple[float, ...]
    goals: tuple[Goal, ...] = ()
    details: Mapping[str, float] = field(default_factory=dict)
    """What the value is made of; only in the JSON."""

    def percentile(self, percent: int) -> float:
        """The smallest sample that is not exceeded by `percent` of 100 (nearest rank)."""
        ordered = sorted(self.samples)
        return ordered[max(math.ceil(percent / 100 * len(ordered)) - 1, 0)]

    @property
    def is_reached(self) -> bool | None:
        """Whether all goals are; None where there is none."""
        if not self.goals:
            return None
        return all(self.percentile(goal.percentile or 100) <= goal.limit for goal in self.goals)

    def manifest(self) -> dict[str, Any]:
        """For the JSON."""
        result: dict[str, Any] = {"name": self.name, "unit": self.unit, "n": len(self.samples)}
        if len(self.samples) == 1:
            result["value"] = self.samples[0]
        else:
            result |= {f"p{percent}": self.percentile(percent) for percent in PERCENTILES}
            result |= {"min": min(self.samples), "max": max(self.samples)}
            result["samples"] = list(self.samples)
        result["goals"] = [str(goal) for goal in self.goals]
        result["reached"] = self.is_reached
        return result | ({"details": dict(self.details)} if self.details else {})


def show(figures: Sequence[Figure], console: Console) -> None:
    """The table."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in HEADINGS:
        table.add_column(heading, justify="right" if heading in HEADINGS[2:8] else "left")
    for figure in figures:
        table.add_row(*_row(figure))
    console.print(table)


def _row(figure: Figure) -> tuple[str, ...]:
    many = len(figure.samples) > 1
    numbers = [figure.percentile(percent) for percent in (*PERCENTILES, 100)] if many else []
    reached = {True: "yes", False: "NO", None: ""}[figure.is_reached]
    return (
        figure.name,
        figure.unit,
        str(len(figure.samples)),
        "" if many else f"{figure.samples[0]:.1f}",
        *([f"{number:.0f}" for number in numbers] or [""] * 4),
        ", ".join(map(str, figure.goals)),
        reached,
    )
