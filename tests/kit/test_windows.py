"""Windows by cron, time zone and length: open or closed, until when, and what summer time does."""

from datetime import UTC, datetime, timedelta

import pytest

from fleet.kit import windows

HOUR = timedelta(hours=1)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "zone", "hours", "now", "closes", "opens"),
    [
        pytest.param(
            "0 8 * * 1-4", "UTC", 8, "2026-11-23T09:30", "2026-11-23T16:00", "2026-11-24T08:00",
            id="inside: it says when it closes",
        ),
        pytest.param(
            "0 8 * * 1-4", "UTC", 8, "2026-11-19T16:00", None, "2026-11-23T08:00",
            id="the end is no part of it, and Friday has none",
        ),
        pytest.param(
            "0 8 * * 1-4", "UTC", 8, "2026-11-23T08:00", "2026-11-23T16:00", "2026-11-24T08:00",
            id="the beginning is",
        ),
        pytest.param(
            "0 22 * * *", "UTC", 8, "2026-11-23T03:00", "2026-11-23T06:00", "2026-11-23T22:00",
            id="over midnight",
        ),
        pytest.param(
            "0 */2 * * *", "UTC", 3, "2026-11-23T09:30", "2026-11-23T11:00", "2026-11-23T10:00",
            id="windows that overlap: the last one counts",
        ),
        pytest.param(
            "0 8 * * *", "Europe/Berlin", 8, "2026-07-01T06:30", "2026-07-01T14:00",
            "2026-07-02T06:00",
            id="eight in Berlin is six in summer",
        ),
        pytest.param(
            "0 8 * * *", "Europe/Berlin", 8, "2026-12-01T06:30", None, "2026-12-01T07:00",
            id="and seven in winter",
        ),
        pytest.param(
            "30 2 * * *", "Europe/Berlin", 2, "2026-03-29T00:45", None, "2026-03-29T01:30",
            id="an hour that does not exist: an hour later by the clock on the wall",
        ),
        pytest.param(
            "30 2 * * *", "Europe/Berlin", 1, "2026-10-25T00:45", "2026-10-25T01:30",
            "2026-10-26T01:30",
            id="an hour that comes twice: the first time",
        ),
        pytest.param(
            "30 2 * * *", "Europe/Berlin", 1, "2026-10-25T01:40", None, "2026-10-26T01:30",
            id="and not the second",
        ),
        pytest.param(
            "0 0 * * *", "Europe/Berlin", 24, "2026-10-25T22:30", None, "2026-10-25T23:00",
            id="its length is true time: a day of 25 hours has a gap",
        ),
    ],
)  # fmt: skip
def test_windows(
    cron: str, zone: str, hours: int, now: str, closes: str | None, opens: str
) -> None:
    found = windows.at(cron, zone, hours * HOUR, utc(now))
    assert (found.closes, found.opens) == (closes and utc(closes), utc(opens))


@pytest.mark.parametrize(
    ("cron", "zone", "message"),
    [
        pytest.param(
            "0 8 * *", "UTC", f"'0 8 * *' is no schedule: {windows.HELP}", id="four fields"
        ),
        pytest.param(
            "@daily", "UTC", f"'@daily' is no schedule: {windows.HELP}", id="a nickname"
        ),
        pytest.param(
            "61 8 * * *", "UTC", f"'61 8 * * *' is no schedule: {windows.HELP}", id="minute 61"
        ),
        pytest.param(
            "0 0 31 2 *", "UTC", f"'0 0 31 2 *' never comes: {windows.HELP}",
            id="the 31st of February",
        ),
        pytest.param(
            "0 8 * * *", "Mars/Olympus", "'Mars/Olympus' is no time zone: write a name of the "
            "IANA list, for example Europe/Berlin", id="a zone that nobody knows",
        ),
        pytest.param(
            "0 8 * * *", "../etc/passwd", "'../etc/passwd' is no time zone: write a name of the "
            "IANA list, for example Europe/Berlin", id="a path",
        ),
    ],
)  # fmt: skip
def test_refusals(cron: str, zone: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        windows.check(cron, zone)
    assert str(caught.value) == message
