"""Where a value stands in a JSON document: `$.data.items[0].rate`, or `{.data.items[0].rate}`.

The part of JSONPath that names one value: members and indexes, no filters and no wildcards. Used by
the models to refuse what is none, and by the engine to read answers.
"""

import re
from typing import Any

Path = tuple[str | int, ...]

HELP = "write the way to one number, for example $.data.items[0].rate"

_STEP = re.compile(r"\.?([A-Za-z_][\w-]*)|\[(-?[0-9]{1,6})\]|\['([^'\]]+)'\]|\[\"([^\"\]]+)\"\]")


def parse(text: str) -> Path:
    """The members and indexes of `text`. Raises ValueError with a sentence for anything else."""
    rest = text.strip()
    if rest.startswith("{") and rest.endswith("}"):
        rest = rest[1:-1].strip()
    rest = rest.removeprefix("$")
    steps: list[str | int] = []
    while rest:
        found = _STEP.match(rest)
        if found is None:
            raise ValueError(f"{text!r} is no path: {HELP}")
        member, index, *quoted = found.groups()
        steps.append(int(index) if index else member or next(filter(None, quoted)))
        rest = rest[found.end() :]
    return tuple(steps)


def pick(document: Any, path: Path) -> Any:
    """The value there; None where there is none."""
    for step in path:
        if isinstance(step, str) and isinstance(document, dict):
            document = document.get(step)
        elif isinstance(step, int) and isinstance(document, list):
            is_there = -len(document) <= step < len(document)
            document = document[step] if is_there else None
        else:
            return None
    return document
