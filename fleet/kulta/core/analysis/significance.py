"""Is the difference between two arms more than chance? One look, formulas only.

Used by `sequential` (which makes one look into many) and `winner`. Numbers in, numbers out: no
window, no metric, no status is known here.

Two proportions (share of failed or converted requests): the pooled two-sample z-test.

    p = (xA + xB) / (nA + nB)    SE = √(p·(1−p)·(1/nA + 1/nB))    z = (pB − pA) / SE
    P = 2·(1 − Φ(|z|))    confidence = 1 − P

    Fleiss, Levin, Paik: Statistical Methods for Rates and Proportions, 3rd ed. (2003), §3.1.

Its interval is that of the ratio of both, from Wilson's bounds of each share (JASA 22 (1927) 209)
by recovery of variances (MOVER: Donner, Zou, Statistical Methods in Medical Research 21 (2012)
347); it holds where one arm has no hits at all.

Latencies are no proportions and far from normal: the control-quantile test counts how many requests
of each arm were slower than a quantile of the control. With the quantile taken from the data the
difference of these shares has, for large samples, the variance of two proportions again (Mathisen,
Annals of Mathematical Statistics 14 (1943) 188; Gastwirth, JASA 63 (1968) 692), so it is judged as
such.

Several metrics, several arms: Holm's step-down correction (Scandinavian Journal of Statistics 6
(1979) 65) bounds the chance of any false finding, whatever depends on what.

Sample-ratio mismatch: the posterior odds of "some other split" against the planned one, with a
Dirichlet prior around it. They exceed 1/α at any time with chance α at most (Lindon, Malek:
Anytime-Valid Inference for Multinomial Count Data, NeurIPS 2022), so they may be asked at each
look.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

LEAST = 30
"""Fewer requests in an arm than this prove nothing."""

SPLIT_ALPHA = 0.001
"""A split is called mismatched when chance would do it once in a thousand experiments."""

SPLIT_WEIGHT = 100.0
"""How many requests the belief in the planned split weighs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """How often something happened: `rate` (0…1) of `n` requests."""

    rate: float
    n: float

    @property
    def hits(self) -> float:
        return self.rate * self.n


def two_sided(z: float) -> float:
    """The chance of so many standard errors or more in either direction."""
    return math.erfc(abs(z) / math.sqrt(2.0))


def effect(control: float, arm: float) -> float:
    """The relative difference of two values; 1 where the control has none and the arm some."""
    if control > 0:
        return (arm - control) / control
    return 1.0 if arm > 0 else 0.0


def z_score(control: Share, arm: Share) -> float | None:
    """Standard errors from control to arm; None where nothing can be said: too few requests, all or
    none of them hit, or numbers that are no shares."""
    if not (_is_share(control) and _is_share(arm)) or min(control.n, arm.n) < LEAST:
        return None
    pooled = (control.hits + arm.hits) / (control.n + arm.n)
    variance = pooled * (1.0 - pooled) * (1.0 / control.n + 1.0 / arm.n)
    if not (math.isfinite(variance) and variance > 0.0):
        return None
    return (arm.rate - control.rate) / math.sqrt(variance)


def better(difference: float, direction: str) -> str:
    """`B` if a difference of this sign is what `direction` wants, else `A`."""
    return "B" if (difference < 0) == (direction == "lower") else "A"


def interval(control: Share, arm: Share, critical: float) -> tuple[float, float] | None:
    """Bounds of the relative effect, `critical` standard errors to both sides; None where the
    control has nothing to compare with."""
    if not (_is_share(control) and _is_share(arm) and control.rate > 0.0 and critical > 0.0):
        return None
    (low_a, high_a), (low_b, high_b) = _wilson(control, critical), _wilson(arm, critical)
    product = control.rate * arm.rate
    below = high_a * (2.0 * control.rate - high_a)
    above = low_a * (2.0 * control.rate - low_a)
    if not below or not above or not math.isfinite(critical):
        return None
    least = product - math.sqrt(max(product**2 - low_b * (2.0 * arm.rate - low_b) * below, 0.0))
    most = product + math.sqrt(max(product**2 - high_b * (2.0 * arm.rate - high_b) * above, 0.0))
    return max(least / below, 0.0) - 1.0, most / above - 1.0


def _wilson(share: Share, critical: float) -> tuple[float, float]:
    """Bounds of a share, by the score test."""
    square = critical**2 / share.n
    middle = share.rate + square / 2.0
    width = critical * math.sqrt(share.rate * (1.0 - share.rate) / share.n + square / share.n / 4.0)
    return max((middle - width) / (1.0 + square), 0.0), min((middle + width) / (1.0 + square), 1.0)


def _is_share(share: Share) -> bool:
    return share.n > 0 and 0.0 <= share.rate <= 1.0


def corrected(chances: Sequence[float]) -> tuple[float, ...]:
    """Holm's correction: the chances of error of several findings, so that 1 − α of each still
    bounds the chance of any false one by α. In the order in which they came."""
    count = len(chances)
    result, highest = [1.0] * count, 0.0
    for rank, index in enumerate(sorted(range(count), key=lambda item: chances[item])):
        highest = max(highest, min(1.0, (count - rank) * chances[index]))
        result[index] = highest
    return tuple(result)


def mismatch(counts: Sequence[float], planned: Sequence[float]) -> float:
    """How sure it is that requests are not split as planned: 0 (not at all) … 1.

    `planned` are shares that sum to 1; `counts` the requests of each arm. Above 1 − SPLIT_ALPHA
    the split is mismatched.
    """
    total = sum(counts)
    odds = math.lgamma(SPLIT_WEIGHT) - math.lgamma(SPLIT_WEIGHT + total)
    for count, share in zip(counts, planned, strict=True):
        prior = SPLIT_WEIGHT * share
        odds += math.lgamma(prior + count) - math.lgamma(prior) - count * math.log(share)
    return 1.0 - math.exp(-max(odds, 0.0))


def is_mismatched(counts: Sequence[float], planned: Sequence[float]) -> bool:
    """Whether requests are not split as planned."""
    return mismatch(counts, planned) >= 1.0 - SPLIT_ALPHA
