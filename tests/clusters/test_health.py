"""The circuit breaker: a table of what happens to it → how it stands."""

import pytest

from fleet.clusters.health import Breaker, Circuit

FAST = Breaker(threshold=3, base=10.0, cap=60.0)


def stepped(*steps: str | float) -> tuple[Breaker, float]:
    """A breaker after steps: `fail`, `succeed`, `admit`, `abandon`, or seconds that pass."""
    breaker, now = FAST, 100.0
    for step in steps:
        if isinstance(step, float):
            now += step
        elif step == "fail":
            breaker = breaker.fail(now, 1.0)
        elif step == "admit":
            breaker = breaker.admit(now) or breaker
        else:
            breaker = getattr(breaker, step)()
    return breaker, now


OPEN = ("fail", "fail", "fail")


@pytest.mark.parametrize(
    ("steps", "state", "may_go"),
    [
        pytest.param((), Circuit.CLOSED, True, id="a new circuit is closed"),
        pytest.param(("fail", "fail"), Circuit.CLOSED, True, id="two failures of three let it be"),
        pytest.param(OPEN, Circuit.OPEN, False, id="three in a row open it"),
        pytest.param(
            ("fail", "fail", "succeed", "fail", "fail"),
            Circuit.CLOSED,
            True,
            id="a success between ends the row",
        ),
        pytest.param((*OPEN, 9.9), Circuit.OPEN, False, id="nothing goes before the cool-down"),
        pytest.param((*OPEN, 10.0), Circuit.OPEN, True, id="after the cool-down one may go"),
        pytest.param((*OPEN, 10.0, "admit"), Circuit.PROBING, False, id="one probe at a time"),
        pytest.param(
            (*OPEN, 10.0, "admit", "succeed"), Circuit.CLOSED, True, id="a good probe closes"
        ),
        pytest.param(
            (*OPEN, 10.0, "admit", "fail"), Circuit.OPEN, False, id="a bad probe opens again"
        ),
        pytest.param(
            (*OPEN, 10.0, "admit", "fail", 19.9), Circuit.OPEN, False, id="for twice as long"
        ),
        pytest.param((*OPEN, 10.0, "admit", "fail", 20.0), Circuit.OPEN, True, id="and then again"),
        pytest.param(
            (*OPEN, 10.0, "admit", "abandon"),
            Circuit.OPEN,
            True,
            id="a cancelled probe leaves the place free",
        ),
        pytest.param(
            (*OPEN, "fail", "fail", 10.0),
            Circuit.OPEN,
            True,
            id="failures of older requests do not lengthen the cool-down",
        ),
        pytest.param(
            (*OPEN, "succeed"), Circuit.CLOSED, True, id="an older request that succeeds closes"
        ),
    ],
)
def test_the_circuit(steps: tuple[str | float, ...], state: Circuit, may_go: bool) -> None:
    breaker, now = stepped(*steps)
    assert (breaker.state, breaker.admit(now) is not None) == (state, may_go)


def test_the_cool_down_is_capped() -> None:
    breaker, now = stepped(*OPEN)
    for _ in range(10):
        now = breaker.until
        breaker = (breaker.admit(now) or breaker).fail(now, 1.0)
    assert breaker.until - now == 60.0


def test_chance_spreads_the_upper_half_of_the_cool_down() -> None:
    closed = Breaker(threshold=1, base=10.0)
    assert [closed.fail(0.0, chance).until for chance in (0.0, 0.5, 1.0)] == [5.0, 7.5, 10.0]
