"""The system's clock keeps the promises of `ports.Clock`."""

from datetime import UTC, timedelta

from fleet.ports import Clock
from fleet.telemetry.clock import SystemClock


def test_the_present_has_a_zone_and_the_monotonic_time_never_falls() -> None:
    clock: Clock = SystemClock()
    now, before = clock.now(), clock.monotonic()
    assert (now.tzinfo, clock.monotonic() >= before) == (UTC, True)
    assert clock.now() - now < timedelta(minutes=1)


def test_the_present_is_as_exact_as_a_status_can_hold_it() -> None:
    assert {SystemClock().now().microsecond % 1_000 for _ in range(20)} == {0}
