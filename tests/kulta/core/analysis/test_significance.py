"""One look at two arms: the z-test as specified, its interval, corrections, splits."""

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest

from fleet.kulta.core.analysis import significance
from fleet.kulta.core.analysis.significance import Share


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one look says of two arms: the plain test, on which `sequential` stands."""

    z: float = 0.0
    confidence: float = 0.0
    is_significant: bool = False
    winner: str = ""
    effect: float = 0.0


def look(control: Share, arm: Share, level: float, direction: str) -> Look:
    size, z = significance.effect(control.rate, arm.rate), significance.z_score(control, arm)
    if z is None:
        return Look(effect=size)
    confidence = 1.0 - significance.two_sided(z)
    is_significant = confidence >= level
    winner = significance.better(z, direction) if is_significant else ""
    return Look(
        z=z, confidence=confidence, is_significant=is_significant, winner=winner, effect=size
    )


def compare(
    control: float, arm: float, n: int = 10_000, level: float = 0.95, direction: str = "lower"
) -> Look:
    return look(Share(rate=control, n=n), Share(rate=arm, n=n), level, direction)


@pytest.mark.parametrize(
    ("control", "arm", "more", "winner", "effect"),
    [
        pytest.param(0.05, 0.02, {}, "B", -0.6, id="[Z1] fewer failures"),
        pytest.param(0.05, 0.05, {}, "", 0.0, id="[Z2] the same"),
        pytest.param(0.05, 0.02, {"n": 20}, "", -0.6, id="[Z3] too few requests"),
        pytest.param(0.10, 0.15, {"direction": "higher"}, "B", 0.5, id="[Z4] more is better"),
        pytest.param(0.01, 0.05, {}, "A", 4.0, id="[Z5] more failures"),
        pytest.param(0.10, 0.05, {}, "B", -0.5, id="[Z6] half"),
        pytest.param(0.0, 0.0, {}, "", 0.0, id="[Z7] nothing in either"),
        pytest.param(0.0, 0.05, {}, "A", 1.0, id="[Z8] nothing in the control"),
        pytest.param(0.5, 0.5, {"n": 100}, "", 0.0, id="[Z9] half of a hundred"),
        pytest.param(1.2, 0.05, {}, "", -0.958, id="[Z17] a share above 1"),
        pytest.param(math.nan, 0.05, {}, "", math.nan, id="a share that is no number"),
        pytest.param(1.0, 1.0, {}, "", 0.0, id="everything in both"),
        pytest.param(0.15, 0.10, {"direction": "higher"}, "A", -1 / 3, id="less is worse"),
    ],
)
def test_verdict_of_one_look(
    control: float, arm: float, more: dict[str, Any], winner: str, effect: float
) -> None:
    found = compare(control, arm, **more)
    assert (found.is_significant, found.winner) == (bool(winner), winner)
    assert found.effect == pytest.approx(effect, abs=1e-3, nan_ok=True) or math.isnan(control)
    assert (found.confidence > 0.95) is bool(winner)


def test_too_few_requests_give_no_confidence_at_all() -> None:
    """[Z3] Exactly 0."""
    assert compare(0.05, 0.02, n=20).confidence == 0
    assert compare(0.5, 0.2, n=significance.LEAST - 1).confidence == 0
    assert compare(0.5, 0.2, n=significance.LEAST).confidence > 0.98


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(0.0, pytest.approx(0.5), id="[Z10] the middle"),
        pytest.param(1.96, pytest.approx(0.975, abs=0.001), id="[Z10] 1.96"),
        pytest.param(5.0, pytest.approx(1.0, abs=0.001), id="[Z10] far above"),
        pytest.param(-5.0, pytest.approx(0.0, abs=0.001), id="[Z10] far below"),
    ],
)
def test_normal_distribution(value: float, expected: Any) -> None:
    half = significance.two_sided(value) / 2
    below = 1 - half if value > 0 else half
    assert below == expected
    assert below == pytest.approx(NormalDist().cdf(value), abs=1e-12)


@pytest.mark.parametrize(
    ("control", "arm", "n", "confidence"),
    [
        pytest.param(0.05, 0.03, 500, 0.8934, id="[Z11] 15 of 500 against 25"),
        pytest.param(0.05, 0.049, 10_000, 0.2556, id="[Z12] hardly any difference"),
        pytest.param(0.05, 0.02, 100, 0.7516, id="five of a hundred against two"),
    ],
)
def test_worked_values(control: float, arm: float, n: int, confidence: float) -> None:
    assert compare(control, arm, n).confidence == pytest.approx(confidence, abs=1e-4)


def test_level_decides_what_is_significant() -> None:
    """[Z11] 0.8934 is enough at 0.85, not at 0.95."""
    found = [compare(0.05, 0.03, 500, level).is_significant for level in (0.85, 0.95)]
    assert found == [True, False]


@pytest.mark.parametrize(
    ("size", "hits", "expected"),
    [
        pytest.param((900, 1_100), (40, 61), 0.263282336, id="about even, few hits"),
        pytest.param((900, 1_100), (90, 30), 9.53554139e-12, id="about even, more in the first"),
        pytest.param((900, 1_100), (300, 250), 1.25902427e-07, id="about even, many hits"),
        pytest.param((4_000, 500), (40, 61), 3.31753557e-57, id="uneven, few hits"),
        pytest.param((4_000, 500), (90, 30), 9.24332532e-07, id="uneven, more in the first"),
        pytest.param((4_000, 500), (300, 250), 9.52189114e-165, id="uneven, many hits"),
    ],
)
def test_it_is_the_chi_square_test_of_the_textbook(
    size: tuple[int, int], hits: tuple[int, int], expected: float
) -> None:
    """`chi2_contingency(table, correction=False).pvalue` of `scipy.stats`."""
    arms = [Share(rate=hit / n, n=n) for hit, n in zip(hits, size, strict=True)]
    found = significance.two_sided(significance.z_score(*arms) or 0)
    assert found == pytest.approx(expected, rel=1e-6, abs=0)


def test_interval_is_about_that_of_the_textbook() -> None:
    """`relative_risk(600, 10_000, 500, 10_000).confidence_interval(0.95)` of `scipy.stats`."""
    control, arm = Share(rate=0.05, n=10_000), Share(rate=0.06, n=10_000)
    found = significance.interval(control, arm, 1.959964)
    assert found is not None
    assert found == pytest.approx((0.069212, 0.346786), abs=2e-3)


@pytest.mark.parametrize(
    ("control", "arm", "critical", "expected"),
    [
        pytest.param((0.05, 2_000), (0.08, 500), 1.959964, (0.1240245, 1.2713994), id="more"),
        pytest.param((0.3, 400), (0.2, 900), 3.0, (-0.5050312, -0.0935414), id="less, and surer"),
        pytest.param((0.4, 153), (0.0, 150), 4.3, (-1.0, -0.7039119), id="nothing in the arm"),
    ],
)
def test_interval_is_that_of_donner_and_zou(
    control: tuple[float, int],
    arm: tuple[float, int],
    critical: float,
    expected: tuple[float, float],
) -> None:
    """Their ratio from Wilson's bounds, each the root of its quadratic, worked out apart."""
    shares = [Share(rate=rate, n=n) for rate, n in (control, arm)]
    assert significance.interval(*shares, critical) == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("rates", [(0.05, 0.05), (0.05, 0.02), (0.3, 0.6), (0.02, 0.0)], ids=str)
@pytest.mark.parametrize("n", [100, 5_000])
def test_interval_holds_the_effect_as_often_as_it_says(rates: tuple[float, float], n: int) -> None:
    draw = np.random.default_rng(7)
    effect, held = rates[1] / rates[0] - 1, 0
    for hits in zip(*(draw.binomial(n, rate, 1_000) for rate in rates), strict=True):
        arms = [Share(rate=float(hit) / n, n=n) for hit in hits]
        bounds = significance.interval(*arms, 1.959964)
        held += bounds is None or bounds[0] <= effect <= bounds[1]
    assert held >= 930


@pytest.mark.parametrize(
    ("control", "arm", "critical"),
    [
        pytest.param(Share(rate=0.1, n=0), Share(rate=0.1, n=9), 2.0, id="no requests"),
        pytest.param(Share(rate=1.2, n=9), Share(rate=0.1, n=9), 2.0, id="no share"),
        pytest.param(Share(rate=0.1, n=9), Share(rate=0.1, n=9), math.inf, id="no bound"),
        pytest.param(Share(rate=0.0, n=9), Share(rate=0.1, n=9), 2.0, id="nothing in the control"),
    ],
)
def test_no_interval_where_there_is_none(control: Share, arm: Share, critical: float) -> None:
    assert significance.interval(control, arm, critical) is None


def test_interval_exists_where_nothing_happened_in_the_arm() -> None:
    """And says what the verdict says: the arm is better."""
    control, arm = Share(rate=0.4, n=153), Share(rate=0.0, n=150)
    low, high = significance.interval(control, arm, 4.3) or (0.0, 0.0)
    assert low == -1
    assert -0.8 < high < -0.6


def test_corrected_chances_are_those_of_holm() -> None:
    found = significance.corrected([0.01, 0.04, 0.03, 0.5])
    assert found == pytest.approx((0.04, 0.09, 0.09, 0.5))
    assert significance.corrected([]) == ()
    assert significance.corrected([0.7, 0.8]) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("counts", "planned", "mismatched"),
    [
        pytest.param((5_000, 5_000), (0.5, 0.5), False, id="as planned"),
        pytest.param((5_000, 5_150), (0.5, 0.5), False, id="within chance"),
        pytest.param((5_000, 5_600), (0.5, 0.5), True, id="not any more"),
        pytest.param((9_000, 1_000), (0.9, 0.1), False, id="an uneven plan"),
        pytest.param((9_000, 700), (0.9, 0.1), True, id="an arm that loses requests"),
        pytest.param((500, 250, 250), (0.5, 0.25, 0.25), False, id="three arms"),
        pytest.param((500, 250, 100), (0.5, 0.25, 0.25), True, id="three arms, one of them short"),
        pytest.param((0, 0), (0.5, 0.5), False, id="no requests"),
    ],
)
def test_split_of_requests(
    counts: tuple[float, ...], planned: tuple[float, ...], mismatched: bool
) -> None:
    assert significance.is_mismatched(counts, planned) is mismatched
