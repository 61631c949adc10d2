"""Parts of sentences, as people read them in messages, conditions and columns.

Used by whoever writes for people: the hub's core, commands, models.
"""

from collections.abc import Sequence
from datetime import UTC, datetime


def listed(names: Sequence[str], most: int = 5) -> str:
    """`a, b and 3 more`."""
    if len(names) <= most:
        return ", ".join(names)
    return f"{', '.join(names[:most])} and {len(names) - most} more"


def short(text: str, most: int) -> str:
    """`text` on one line of at most so many characters, cut with an ellipsis."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def clock(moment: datetime) -> str:
    """`14:20:05Z`: the time of day in UTC, whole seconds."""
    return f"{moment.astimezone(UTC):%H:%M:%SZ}"


def day(moment: datetime) -> str:
    """`Mon 2026-11-23 08:00Z`: a minute that may be days away."""
    return f"{moment.astimezone(UTC):%a %Y-%m-%d %H:%MZ}"
