"""Many looks at two arms: winners where there are none stay as rare as was said, others are found.

The thorough version of each search is named `properties` and runs with `make check-deep`; the quick
one makes the same experiments once, ten thousand of them.
"""

import math
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest

from fleet.kulta.core.analysis import sequential, significance
from fleet.kulta.core.analysis.sequential import Peek
from fleet.kulta.core.analysis.significance import Share
from tests import trials
from tests.trials import Trial

EQUAL = Trial()
"""A day of equal arms, looked at every five minutes."""
KINDS = [
    pytest.param(EQUAL, id="5% of 100 requests a look"),
    pytest.param(replace(EQUAL, least=30), id="judged from 30 requests on"),
    pytest.param(replace(EQUAL, rates=(0.5, 0.5), requests=(10, 10), least=30), id="half of ten"),
    pytest.param(replace(EQUAL, rates=(0.002, 0.002), least=30), id="two of a thousand"),
    pytest.param(replace(EQUAL, requests=(1_000, 20), least=30), id="a small arm"),
    pytest.param(replace(EQUAL, rates=(0.95, 0.95), requests=(50, 5), least=30), id="mostly hits"),
    pytest.param(replace(EQUAL, findings=4), id="two metrics of two arms"),
    pytest.param(replace(EQUAL, has_end=False), id="without an end"),
    pytest.param(replace(EQUAL, has_end=False, least=30), id="without an end, from 30 on"),
    pytest.param(replace(EQUAL, alpha=0.2), id="at 80% confidence"),
    pytest.param(replace(EQUAL, alpha=0.01), id="at 99% confidence"),
]


def margin(alpha: float, runs: int) -> float:
    """How far above α the share of so many runs may come by chance, once in a thousand."""
    return float(3.09 * (alpha * (1 - alpha) / runs) ** 0.5)


def test_equal_arms_have_no_winner() -> None:
    """[A27] 10,000 experiments of 288 looks: the plain test finds a winner in 45 % of them."""
    outcome = trials.proportions(EQUAL)
    assert outcome.winners <= EQUAL.alpha
    assert outcome.single == pytest.approx(0.05, abs=0.01)
    assert outcome.peeking > 0.4


def test_real_differences_are_found() -> None:
    """Where one plain test at the end has a power of 0.9, all looks together have 0.8 or more, and
    the experiment is over sooner."""
    trial = replace(EQUAL, rates=(0.05, 0.056053))
    outcome = trials.proportions(trial)
    assert outcome.single == pytest.approx(0.9, abs=0.01)
    assert outcome.winners >= 0.8
    assert outcome.duration < 0.8


@pytest.mark.timeout(300)
@pytest.mark.hypothesis
@pytest.mark.parametrize("kind", KINDS)
def test_properties_of_equal_arms(kind: Trial, request: pytest.FixtureRequest) -> None:
    runs = 10_000 if _is_deep(request) else 500
    outcome = trials.proportions(replace(kind, runs=runs))
    assert outcome.winners <= kind.alpha + margin(kind.alpha, runs)


@pytest.mark.timeout(300)
@pytest.mark.hypothesis
@pytest.mark.parametrize("has_end", [True, False], ids=["with an end", "without an end"])
def test_properties_of_equal_latencies(has_end: bool, request: pytest.FixtureRequest) -> None:
    runs = 10_000 if _is_deep(request) else 100
    trial = replace(EQUAL, runs=runs, has_end=has_end)
    assert trials.latencies(trial).winners <= trial.alpha + margin(trial.alpha, runs)


def test_slower_arms_are_found() -> None:
    trial = replace(EQUAL, runs=100, looks=100)
    assert trials.latencies(trial, slower=0.3).winners > 0.95


def _is_deep(request: pytest.FixtureRequest) -> bool:
    return request.config.getoption("--hypothesis-profile") == "deep"


@pytest.mark.parametrize(
    "peek",
    [
        Peek(least=30),
        Peek(least=1_000, has_end=True),
        Peek(least=1_000, has_end=True, is_last=True),
    ],
    ids=["without an end", "on the way", "at the end"],
)
def test_chance_and_boundary_say_the_same(peek: Peek) -> None:
    """The simulations hold z against the boundary, the engine compares chances."""
    n, alpha = 5_000.0, 0.05
    bound = sequential.critical(alpha, n / 2, peek)
    for rate in np.linspace(0.03, 0.08, 101):
        control, arm = Share(rate=0.05, n=n), Share(rate=float(rate), n=n)
        z = significance.z_score(control, arm)
        assert z is not None
        assert (sequential.chance(control, arm, peek) <= alpha) is (abs(z) >= bound)


@pytest.mark.parametrize(
    ("control", "arm"),
    [
        pytest.param(Share(rate=0.5, n=99), Share(rate=0.0, n=5_000), id="below the least"),
        pytest.param(Share(rate=0.0, n=5_000), Share(rate=0.001, n=5_000), id="five hits"),
        pytest.param(Share(rate=1.0, n=5_000), Share(rate=0.999, n=5_000), id="five misses"),
        pytest.param(Share(rate=1.5, n=5_000), Share(rate=0.9, n=5_000), id="no shares"),
    ],
)
def test_too_little_is_never_certain(control: Share, arm: Share) -> None:
    peek = Peek(least=100, has_end=True, is_last=True)
    assert sequential.chance(control, arm, peek) == 1.0


def test_just_enough_is_judged() -> None:
    """As many requests as are asked for, and ten hits to be expected in each arm."""
    many, few = Share(rate=0.5, n=100), Share(rate=0.05, n=100)
    assert sequential.chance(many, few, Peek(least=100)) < 0.001
    rare = Share(rate=0.002, n=5_000)
    assert not sequential.is_sparse(rare, rare)
    assert sequential.is_sparse(rare, replace(rare, rate=0.0019))


def test_chance_is_that_of_the_mixture() -> None:
    """√(1+r)·exp(−z²r/2(1+r)), tuned to half of the least: r is 2,000 over 50."""
    control, arm = Share(rate=0.05, n=4_000), Share(rate=0.07, n=4_000)
    z = significance.z_score(control, arm) or 0.0
    expected = pytest.approx(math.sqrt(41) * math.exp(-z * z * 40 / 82))
    assert sequential.chance(control, arm, Peek(least=100)) == expected
    assert sequential.chance(control, arm, Peek(least=100, has_end=True)) / 2 == expected


def test_the_same_look_twice_says_the_same() -> None:
    """A restart of the engine costs no certainty."""
    peek = Peek(least=100)
    arms = Share(rate=0.05, n=4_000), Share(rate=0.07, n=4_000)
    assert len({sequential.chance(*arms, peek) for _ in range(3)}) == 1


@pytest.mark.parametrize("alpha", [0.001, 0.05, 0.9])
def test_last_look_has_half_of_the_chance_to_itself(alpha: float) -> None:
    peek = Peek(least=100, has_end=True, is_last=True)
    quarter = NormalDist().inv_cdf(1 - alpha / 4)
    assert sequential.critical(alpha, 5_000, peek) == pytest.approx(quarter)


def test_interval_over_all_looks_is_wider_than_that_of_one() -> None:
    control, arm = Share(rate=0.05, n=10_000), Share(rate=0.06, n=10_000)
    low, high = sequential.interval(control, arm, 0.05, Peek(least=100)) or (0.0, 0.0)
    single = significance.interval(control, arm, 1.96) or (0.0, 0.0)
    assert low < single[0] < 0.2 < single[1] < high
    assert sequential.interval(control, Share(rate=0, n=0), 0.05, Peek(least=100)) is None
