"""What all commands say alike: tables as kubectl prints them, marks, colours, the forms of `-o`.

Used by the commands of one cluster and by those of a fleet. Texts with colours are made in `page`.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from fleet.errors import UserError
from fleet.kit import documents, durations

FORMS = ("table", "wide", "json", "yaml", "name")
GAP, NARROW = "   ", "  "
"""Between columns; the narrow one where there is a tree to show."""


class Tone(Enum):
    """How something stands, as a mark that needs no colour and a colour: mark, style."""

    GOOD = ("✔", "green")
    BAD = ("✘", "bold red")
    BUSY = ("◐", "cyan")
    WAITING = ("‖", "yellow")
    OPEN = ("○", "dim")
    UNKNOWN = ("?", "yellow")
    PLAIN = ("", "")

    @property
    def mark(self) -> str:
        return self.value[0]

    @property
    def style(self) -> str:
        return self.value[1]


_UNITS = (("d", timedelta(days=1)), ("h", timedelta(hours=1)), ("m", timedelta(minutes=1)))


def check(output: str, forms: Sequence[str] = FORMS) -> None:
    """Raises UserError for a form that the command does not have."""
    if output not in forms:
        known = f"{', '.join(forms[:-1])} or {forms[-1]}"
        raise UserError("Usage", f"--output {output}: write {known}")


def aligned(rows: Sequence[Mapping[str, str]]) -> str:
    """Rows of one shape under a head of their keys; an empty cell shows as `-`."""
    if not rows:
        return ""
    cells = [list(rows[0]), *([value or "-" for value in row.values()] for row in rows)]
    widths = [max(len(cell) for cell in column) for column in zip(*cells, strict=True)]
    return "".join(
        GAP.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        + "\n"
        for line in cells
    )


def bare(item: Mapping[str, Any]) -> dict[str, Any]:
    """An object as kubectl prints it: without the book-keeping about who wrote which field."""
    metadata = {key: value for key, value in item["metadata"].items() if key != "managedFields"}
    return {**item, "metadata": metadata}


def document(value: Any, output: str) -> str:
    """`value` as JSON or YAML."""
    if output == "json":
        return json.dumps(value, indent=2) + "\n"
    return documents.written(value)


def span(text: str | None, now: datetime) -> str:
    """How far an RFC 3339 time is from `now`, in its largest unit: `6d`, `5h`, `12m`, `40s`."""
    if not text:
        return ""
    distance = abs(datetime.fromisoformat(text) - now)
    for unit, length in _UNITS:
        if distance >= length:
            return f"{distance // length}{unit}"
    return f"{int(distance.total_seconds())}s"


def until(moment: datetime, now: datetime) -> str:
    """`in 4m12s`, or `now` for what is due."""
    left = moment - now
    return f"in {durations.format_short(left)}" if left.total_seconds() >= 1 else "now"


def length(seconds: float) -> str:
    """`15m`, `1m30s`: so many seconds in at most two units."""
    return durations.format_short(timedelta(seconds=seconds))
