"""Thousands of experiments at once: how often a winner is found where there is none, or missed.

Used by the tests of `analysis.sequential` and by `make bench`. Requests are drawn by numpy, all
experiments of a kind side by side; the boundary that z is held against is the engine's own, look by
look (a test compares it with the engine's verdict).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fleet.kulta.core.analysis import sequential, significance
from fleet.kulta.core.analysis.sequential import Peek

Numbers = NDArray[np.float64]
Draw = Callable[[int], tuple[Numbers, Numbers, tuple[int, int]]]
"""The number of a look → shares of control and arm in each run, and their requests."""

PLAIN = 1.959964
"""Standard errors that a single test at 95 % wants."""
BUCKETS = np.array([0.05, 0.15, 0.25, 0.2, 0.15, 0.1, 0.05, 0.03, 0.02])
"""Shares of requests in the buckets of a latency histogram."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One kind of experiment, made `runs` times."""

    rates: tuple[float, float] = (0.05, 0.05)
    """How often something happens in control and arm."""
    requests: tuple[int, int] = (100, 100)
    """Requests of each between two looks."""
    looks: int = 288
    """Every five minutes of a day."""
    runs: int = 10_000
    alpha: float = 0.05
    least: int = 1_000
    has_end: bool = True
    findings: int = 1
    """Metrics times arms that are judged together, independent of each other."""
    seed: int = 20_261_120


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Shares of all runs."""

    winners: float
    """A winner was found at some look."""
    peeking: float
    """The plain test, asked at each look, found one at some look."""
    single: float
    """The plain test, asked once, at the last look, found one."""
    duration: float
    """How long an experiment took, of the time that it might have taken."""


def proportions(trial: Trial) -> Outcome:
    """Experiments about shares of requests."""
    draw = np.random.default_rng(trial.seed)
    shape = (trial.runs, trial.findings)
    hits = [np.zeros(shape), np.zeros(shape)]

    def look(number: int) -> tuple[Numbers, Numbers, tuple[int, int]]:
        for index, rate in enumerate(trial.rates):
            hits[index] += draw.binomial(trial.requests[index], rate, shape)
        n = (trial.requests[0] * number, trial.requests[1] * number)
        return hits[0] / n[0], hits[1] / n[1], n

    return _follow(trial, look)


def latencies(trial: Trial, slower: float = 0.0) -> Outcome:
    """Experiments about the 95th percentile; `slower`: the share that an arm moves a bucket up."""
    draw = np.random.default_rng(trial.seed)
    moved = BUCKETS * (1 - slower) + np.concatenate([[0.0], BUCKETS[:-1] * slower])
    moved[-1] = 1.0 - moved[:-1].sum()
    counts = [np.zeros((trial.runs, BUCKETS.size)) for _ in range(2)]

    def look(number: int) -> tuple[Numbers, Numbers, tuple[int, int]]:
        for index, shares in enumerate((BUCKETS, moved)):
            counts[index] += draw.multinomial(trial.requests[index], shares, trial.runs)
        n = (trial.requests[0] * number, trial.requests[1] * number)
        fast = [np.cumsum(item, axis=1) / size for item, size in zip(counts, n, strict=True)]
        cut = np.maximum((fast[0] < 0.95).sum(axis=1) - 1, 0)[:, None]
        slow = [1.0 - np.take_along_axis(item, cut, axis=1) for item in fast]
        return slow[0], slow[1], n

    return _follow(trial, look)


def _follow(trial: Trial, look: Draw) -> Outcome:
    found = np.zeros(trial.runs, dtype=bool)
    peeking, single = found.copy(), found
    ended = np.full(trial.runs, trial.looks)
    for number in range(1, trial.looks + 1):
        control, arm, n = look(number)
        z = _scores(control, arm, n)
        single = (abs(z) >= PLAIN).any(axis=1)
        peeking = peeking | (single if min(n) >= significance.LEAST else False)
        new = (_is_judged(trial, control, arm, n) & (abs(z) >= _critical(trial, number, n))).any(1)
        ended[new & ~found] = number
        found = found | new
    return Outcome(
        winners=float(found.mean()),
        peeking=float(peeking.mean()),
        single=float(single.mean()),
        duration=float(ended.mean()) / trial.looks,
    )


def _scores(control: Numbers, arm: Numbers, n: tuple[int, int]) -> Numbers:
    pooled = (control * n[0] + arm * n[1]) / sum(n)
    error = np.sqrt(pooled * (1 - pooled) * (1 / n[0] + 1 / n[1]))
    return np.divide(arm - control, error, out=np.zeros_like(error), where=error > 0)


def _is_judged(trial: Trial, control: Numbers, arm: Numbers, n: tuple[int, int]) -> Numbers:
    pooled = (control * n[0] + arm * n[1]) / sum(n)
    common = np.minimum(pooled, 1 - pooled) * min(n) >= sequential.EXPECTED
    return common & (min(n) >= max(trial.least, significance.LEAST))


def _critical(trial: Trial, number: int, n: tuple[int, int]) -> float:
    peek = Peek(
        least=trial.least,
        has_end=trial.has_end,
        is_last=trial.has_end and number == trial.looks,
    )
    m = 1 / (1 / n[0] + 1 / n[1])
    return sequential.critical(trial.alpha / trial.findings, m, peek)
