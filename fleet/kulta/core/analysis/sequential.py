"""Verdicts that stay honest however often one looks, and whenever one stops.

Used by `winner` at each look of an experiment. A test made for one look, asked again at each of
288, finds a winner between equal arms in almost half of all experiments. Here the chance of error α
= 1 − confidence is shared out once, for the whole experiment:

  each look       the always-valid p-value of the mixture sequential probability ratio test, whose
                  chance to fall below α at any look, ever, is at most α:

                      r = m / m*        1/m = 1/nA + 1/nB
                      p = min(1, √(1+r) · exp(−z²/2 · r/(1+r)))

                  z as in `significance`, m* the information at which the mixture is tuned: both
                  arms with `minSampleSize` requests. It depends on the two arms as they are now and
                  on nothing that was seen before, so a look that is repeated, missed or made by
                  another process costs nothing.

  the last look   where the experiment has an end (`maxDuration`), half of α is kept for the plain
                  test at the last look before it, which has by far the greater power; all looks
                  together have the other half. The sum of both is at most α.

    Johari, Koomen, Pekelis, Walsh: Peeking at A/B Tests, KDD 2017; and Always Valid Inference,
    Operations Research 70 (2022) 1806. Robbins, Annals of Mathematical Statistics 41 (1970) 1397.
    Sharing out α: Lan, DeMets, Biometrika 70 (1983) 659, here by Bonferroni's inequality.

Refused: boundaries that need the looks so far (Pocock, O'Brien–Fleming): they have a little more
power, but the status would have to carry every look, and their number would have to be known.
"""

import math
from dataclasses import dataclass

from fleet.kulta.core.analysis import significance
from fleet.kulta.core.analysis.significance import Share

LAST_SHARE = 0.5
"""The part of α that the last look has to itself, where there is one."""

EXPECTED = 10.0
"""Fewer hits or misses to be expected in an arm are too few for a normal approximation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peek:
    """What is fixed before an experiment begins, and which look this is."""

    least: float
    """`minSampleSize`: requests in each arm from which on there is anything to say."""
    has_end: bool = False
    """Whether some look will be the last."""
    is_last: bool = False


def information(control: Share, arm: Share) -> float:
    """m: how many requests the comparison of both is worth."""
    return 1.0 / (1.0 / control.n + 1.0 / arm.n)


def always_valid(z: float, m: float, tuned: float) -> float:
    """The chance of error, at this and all other looks, of calling a difference of `z` real."""
    r = m / tuned
    return min(1.0, math.exp(0.5 * math.log1p(r) - 0.5 * z * z * r / (1.0 + r)))


def critical(alpha: float, m: float, peek: Peek) -> float:
    """The number of standard errors from which on a difference counts, at chance of error `alpha`
    for the whole experiment."""
    r = m / _tuned(peek)
    rest = alpha * (1.0 - LAST_SHARE if peek.has_end else 1.0)
    found = math.sqrt((1.0 + 1.0 / r) * (2.0 * math.log(1.0 / rest) + math.log1p(r)))
    if peek.is_last:
        found = min(found, _quantile(alpha * LAST_SHARE))
    return found


def chance(control: Share, arm: Share, peek: Peek) -> float:
    """The chance of error of calling the arms different, over the whole experiment; 1 while there
    is too little to say anything."""
    z = significance.z_score(control, arm)
    if z is None or min(control.n, arm.n) < peek.least or is_sparse(control, arm):
        return 1.0
    found = always_valid(z, information(control, arm), _tuned(peek))
    if peek.has_end:
        found /= 1.0 - LAST_SHARE
    if peek.is_last:
        found = min(found, significance.two_sided(z) / LAST_SHARE)
    return min(found, 1.0)


def is_sparse(control: Share, arm: Share) -> bool:
    """Whether hits or misses are so rare that z is far from normal."""
    pooled = (control.hits + arm.hits) / (control.n + arm.n)
    return min(pooled, 1.0 - pooled) * min(control.n, arm.n) < EXPECTED


def interval(control: Share, arm: Share, alpha: float, peek: Peek) -> tuple[float, float] | None:
    """Bounds of the relative effect that hold at all looks at once, with chance 1 − `alpha`."""
    if min(control.n, arm.n) < 1:
        return None
    wide = critical(alpha, information(control, arm), peek)
    return significance.interval(control, arm, wide)


def _tuned(peek: Peek) -> float:
    return peek.least / 2.0


def _quantile(alpha: float) -> float:
    """z with two-sided chance `alpha`, by bisection."""
    low, high = 0.0, 40.0
    for _ in range(60):
        middle = (low + high) / 2.0
        low, high = (middle, high) if significance.two_sided(middle) > alpha else (low, middle)
    return high
