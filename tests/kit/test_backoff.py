"""Delays between tries: doubling, capped, spread by a chance that the caller draws."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.kit import backoff


@pytest.mark.parametrize(
    ("attempt", "chance", "seconds"),
    [
        pytest.param(1, 1.0, 1.0, id="the first delay is the base"),
        pytest.param(2, 1.0, 2.0, id="the second is twice that"),
        pytest.param(5, 1.0, 16.0, id="and so on"),
        pytest.param(7, 1.0, 60.0, id="up to the cap"),
        pytest.param(10_000, 1.0, 60.0, id="also after a very long time"),
        pytest.param(0, 1.0, 1.0, id="no failure counts as one"),
        pytest.param(5, 0.0, 8.0, id="bad luck halves the delay"),
        pytest.param(5, 0.5, 12.0, id="half of the luck takes three quarters"),
        pytest.param(5, -3.0, 8.0, id="chance below 0 is 0"),
        pytest.param(5, 7.0, 16.0, id="chance above 1 is 1"),
    ],
)
def test_delay(attempt: int, chance: float, seconds: float) -> None:
    assert backoff.delay(attempt, base=1.0, cap=60.0, chance=chance) == seconds


@given(st.integers(-5, 10**6), st.floats(0, 1))
def test_a_delay_is_never_negative_nor_above_the_cap(attempt: int, chance: float) -> None:
    assert 0 <= backoff.delay(attempt, base=0.5, cap=30.0, chance=chance) <= 30.0


@given(st.integers(1, 100))
def test_delays_never_shrink_with_failures(attempt: int) -> None:
    assert backoff.delay(attempt, base=1, cap=99) <= backoff.delay(attempt + 1, base=1, cap=99)
