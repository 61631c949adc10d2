"""How old is too old, and when the hub doubts itself instead of everybody."""

import pytest

from fleet.hub.core.member import freshness


@pytest.mark.parametrize(
    ("watch", "lease", "reason"),
    [
        pytest.param(0.0, 0.0, None, id="both fresh"),
        pytest.param(90.0, 30.0, None, id="both just fresh enough"),
        pytest.param(0.0, 30.1, "Stale", id="the Lease stands still"),
        pytest.param(90.1, 0.0, "Stale", id="the watch is silent"),
        pytest.param(90.0, None, "EngineUnknown", id="no Lease"),
        pytest.param(90.1, None, "Stale", id="no Lease, and the watch is silent"),
        pytest.param(0.0, float("inf"), "EngineUnknown", id="no change of the Lease seen yet"),
    ],
)
def test_doubt(watch: float, lease: float | None, reason: str | None) -> None:
    found = freshness.doubt(watch_age=watch, lease_age=lease)
    assert (found.reason if found else None) == reason


@pytest.mark.parametrize(
    ("watch", "lease", "seconds"),
    [
        pytest.param(0.0, 0.0, 30.0, id="as long as the Lease"),
        pytest.param(80.0, 5.0, 10.0, id="as long as the watch, where that is older"),
        pytest.param(90.0, 0.0, 0.0, id="not a moment longer"),
        pytest.param(0.0, 31.0, 0.0, id="never less than nothing"),
        pytest.param(0.0, None, 0.0, id="nor without a Lease"),
    ],
)
def test_how_long_reports_go_on_to_count(watch: float, lease: float | None, seconds: float) -> None:
    assert freshness.lasts(watch_age=watch, lease_age=lease) == seconds


@pytest.mark.parametrize(
    ("lost", "total", "isolated"),
    [
        pytest.param([0, 10, 20, 59], 10, True, id="four of ten within a minute"),
        pytest.param([0, 10, 20], 10, False, id="three of ten are not more than 30 %"),
        pytest.param([0, 10, 20], 9, True, id="three of nine are"),
        pytest.param([0, 1], 3, False, id="two are few, whatever the share"),
        pytest.param([0, 50, 100, 150], 10, False, id="four of ten over minutes"),
        pytest.param([0, 500, 510, 520, 530], 10, True, id="the minute is anywhere"),
        pytest.param([], 0, False, id="nobody"),
    ],
)
def test_isolation(lost: list[float], total: int, isolated: bool) -> None:
    assert freshness.is_isolated(lost, [0.0] * (total - len(lost)), total, 600.0) is isolated


@pytest.mark.parametrize(
    ("fresh", "now", "isolated"),
    [
        pytest.param([-99.0] * 6, 619.0, True, id="the others are fresh for less than ten minutes"),
        pytest.param([-99.0] * 6, 621.0, False, id="for ten minutes: the hub's network works"),
        pytest.param([-99.0] * 4 + [615.0] * 2, 621.0, False, id="one that flaps changes nothing"),
        pytest.param([-99.0] * 3 + [615.0] * 3, 621.0, True, id="but half of them are too many"),
        pytest.param([300.0] * 6, 621.0, True, id="others that came back later are watched longer"),
        pytest.param([], 9_999.0, True, id="where nobody is left, it never ends by itself"),
    ],
)
def test_the_end_of_isolation(fresh: list[float], now: float, isolated: bool) -> None:
    """Four of ten were lost at 0 … 20 and stay lost."""
    assert freshness.is_isolated([0.0, 5.0, 10.0, 20.0], fresh, 10, now) is isolated
