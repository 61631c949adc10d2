"""Duration strings such as `30s`, `5m`, `2h`, `7d`, as users write them in specs.

One unsigned whole number and one unit; blanks around it are ignored. Ranges: 1…86400 s, 1…1440 m,
1…168 h, 1…7 d. Everything else is refused, so that a typing error never becomes a pause of zero.
Used by the models (validation), both cores (arithmetic) and the messages (formatting).
"""

import re
from datetime import timedelta
from functools import lru_cache

PATTERN = r"^\s*\+?[0-9]+[smhd]\s*$"
"""What the CRD schema can say; `parse` also checks the range."""

_EXACT = (
    r"([1-9][0-9]{0,3}|[1-7][0-9]{4}|8[0-5][0-9]{3}|86[0-3][0-9]{2}|86400)s"
    r"|([1-9][0-9]{0,2}|1[0-3][0-9]{2}|14[0-3][0-9]|1440)m"
    r"|([1-9][0-9]?|1[0-5][0-9]|16[0-8])h"
    r"|[1-7]d"
)
EXACT = rf"^\s*\+?0*({_EXACT})\s*$"
"""All that `parse` accepts, as one expression for the API server."""
ROUGH = r"^\s*\+?0*[1-9][0-9]{0,4}[smhd]\s*$"
"""The same but for the upper ends of the ranges, at a fifth of the length."""
ROUGH_OR_ZERO = r"^\s*\+?0*([1-9][0-9]{0,4}[smhd]|0s)\s*$"
"""The same with `allow_zero`."""

HELP = "write a whole number and one unit: 1s…86400s, 1m…1440m, 1h…168h or 1d…7d"

BRIEF = "write one number and one unit: 30s, 5m, 2h or 7d"
"""The same where the ranges are not checked."""

_UNITS = {"s": (1, 86_400), "m": (60, 1_440), "h": (3_600, 168), "d": (86_400, 7)}
_TEXT = re.compile(r"\+?([0-9]{1,18})([smhd])", re.ASCII)


@lru_cache(maxsize=1_024)  # every look reads the same few again
def parse(text: str, *, allow_zero: bool = False) -> timedelta:
    """The duration that `text` names. Raises ValueError with a sentence that says what to write.

    `allow_zero` accepts `0s`; only `scaleDownDelay` may be zero.
    """
    found = _TEXT.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is not a duration: {HELP}")
    number, unit = int(found[1]), found[2]
    seconds, most = _UNITS[unit]
    if number == 0 and unit == "s" and allow_zero:
        return timedelta(0)
    if not 1 <= number <= most:
        raise ValueError(f"{text!r} is out of range: {HELP}")
    return timedelta(seconds=number * seconds)


def seconds(text: str) -> int:
    """The duration that `text` names, in whole seconds. Raises ValueError as `parse` does."""
    return int(parse(text) / timedelta(seconds=1))


def format_short(duration: timedelta) -> str:
    """For people: `45s`, `12m`, `3h10m`, `2d4h`; never more than two units, never negative."""
    seconds = max(int(duration.total_seconds()), 0)
    minutes, hours, days = seconds // 60, seconds // 3_600, seconds // 86_400
    if seconds < 120:
        return f"{seconds}s"
    if minutes < 120:
        return f"{minutes}m" + (f"{seconds % 60}s" if minutes < 10 and seconds % 60 else "")
    if hours < 48:
        return f"{hours}h" + (f"{minutes % 60}m" if minutes % 60 else "")
    return f"{days}d" + (f"{hours % 24}h" if hours % 24 else "")
