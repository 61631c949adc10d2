"""The system's clocks keep the promises of `ports.Clock`."""

from datetime import UTC, datetime, timedelta

import pytest

from fleet.ports import Clock
from fleet.telemetry.clock import SteadyClock, SystemClock
from tests.conftest import NOON
from tests.fakes import Machine

HOUR = timedelta(hours=1)


def steady(machine: Machine) -> SteadyClock:
    return SteadyClock(lambda: machine.wall, lambda: machine.uptime)


@pytest.mark.parametrize("kind", [SystemClock, SteadyClock])
def test_the_present_has_a_zone_and_the_monotonic_time_never_falls(kind: type[Clock]) -> None:
    clock = kind()
    now, before = clock.now(), clock.monotonic()
    assert (now.tzinfo, clock.monotonic() >= before) == (UTC, True)
    assert clock.now() - now < timedelta(minutes=1)
    assert abs(clock.drift()) < timedelta(minutes=1)


@pytest.mark.parametrize("kind", [SystemClock, SteadyClock])
def test_the_present_is_as_exact_as_a_status_can_hold_it(kind: type[Clock]) -> None:
    clock = kind()
    assert {clock.now().microsecond % 1_000 for _ in range(20)} == {0}


@pytest.mark.parametrize(
    ("jump", "now", "drift"),
    [
        pytest.param(HOUR, 60, HOUR, id="[MT-19] an hour forwards moves nothing"),
        pytest.param(-HOUR, 60, -HOUR, id="[MT-19] an hour backwards moves nothing"),
        pytest.param(timedelta(seconds=1), 61, timedelta(0), id="a clock that is kept right"),
    ],
)
def test_a_clock_that_jumps(jump: timedelta, now: float, drift: timedelta) -> None:
    machine = Machine()
    clock = steady(machine)
    machine.run(30)
    clock.now()
    machine.run(30, jump)
    found: datetime = clock.now()
    assert (found - NOON, clock.drift()) == (timedelta(seconds=now), drift)
    machine.run(60)
    assert clock.now() - found == timedelta(seconds=60), "it goes on from there"


def test_a_clock_that_is_slewed_is_followed_over_hours() -> None:
    machine = Machine()
    clock = steady(machine)
    machine.run(36_000, timedelta(seconds=10))
    assert (clock.now(), clock.drift()) == (machine.wall, timedelta(0))
