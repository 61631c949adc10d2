"""Amounts that are either a number or a percentage: `maxSurge: 25%`, `maxConcurrency: 3`.

Rounding differs by use and stands in the name of the function, never at the caller.
"""

import re

PATTERN = r"^([0-9]{1,9}|100%|[0-9]{1,2}%)$"

_TEXT = re.compile(PATTERN, re.ASCII)


def is_valid(text: str | int) -> bool:
    """Whether `text` is a whole number ≥ 0 or a percentage 0%…100%."""
    return bool(_TEXT.match(str(text)))


def round_up(text: str | int, total: int) -> int:
    """Pods: percent of `total` rounded up, a number as it is, anything malformed 0."""
    if not is_valid(text):
        return 0
    if str(text).endswith("%"):
        return -(-total * int(str(text)[:-1]) // 100)
    return int(text)


def round_down(text: str | int, total: int) -> int:
    """Budgets and concurrency: percent of `total` rounded down, a number as it is, malformed 0."""
    if not is_valid(text):
        return 0
    if str(text).endswith("%"):
        return total * int(str(text)[:-1]) // 100
    return int(text)
