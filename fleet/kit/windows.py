"""Windows of time that open by a cron expression in a time zone and stay open for a while.

Used by the hub's validation and by its schedule gate. Summer time: a window that would open in the
hour that does not exist opens an hour later by the clock on the wall, one whose hour comes twice
opens the first time; its length is true time, whatever clocks do meanwhile.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from croniter import croniter

FIELDS = 5
HELP = (
    "write five fields, minute hour day month weekday, that name a day of the calendar, for "
    "example 0 8 * * 1-4"
)
_SHIFT = timedelta(hours=3)
"""More than any clock is ever put forward or back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """How it stands at a moment; both moments are in UTC."""

    closes: datetime | None
    """When it closes; None while it is closed."""
    opens: datetime
    """When it opens next."""


@lru_cache(maxsize=1_000)
def check(cron: str, zone: str) -> None:
    """Raises ValueError with a sentence for an expression or a time zone that nobody knows."""
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            f"{zone!r} is no time zone: write a name of the IANA list, for example Europe/Berlin"
        ) from None
    if len(cron.split()) != FIELDS or not croniter.is_valid(cron):
        raise ValueError(f"{cron!r} is no schedule: {HELP}")
    try:
        croniter(cron, datetime(2024, 1, 1, tzinfo=UTC)).get_next(datetime)
    except ValueError:
        raise ValueError(f"{cron!r} never comes: {HELP}") from None


def at(cron: str, zone: str, length: timedelta, now: datetime) -> Window:
    """The window at `now`. Raises ValueError as `check` does."""
    check(cron, zone)
    last = next(start for start in _starts(cron, zone, now, back=True) if start <= now)
    opens = next(start for start in _starts(cron, zone, now, back=False) if start > now)
    closes = last + length
    return Window(closes=closes if now < closes else None, opens=opens)


@lru_cache(maxsize=256)
def _read(cron: str) -> croniter:
    """To read an expression takes much longer than to find a time with it."""
    return croniter(cron)


def _starts(cron: str, zone: str, now: datetime, *, back: bool) -> Iterator[datetime]:
    """Openings away from `now`, from the other side of it on where clocks are changed near it: the
    clock on the wall then orders them otherwise than time does."""
    there = ZoneInfo(zone)
    wall = now.astimezone(there).replace(tzinfo=None, fold=0)
    offsets = {moment.astimezone(there).utcoffset() for moment in (now - _SHIFT, now + _SHIFT)}
    margin = _SHIFT if len(offsets) > 1 else timedelta(minutes=1)
    walls = copy.copy(_read(cron))
    walls.set_current(wall + margin if back else wall - margin)
    while True:
        found = walls.get_prev(datetime) if back else walls.get_next(datetime)
        yield found.replace(tzinfo=there).astimezone(UTC)
