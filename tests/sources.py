"""Our own Python files, for the tests that read code: each text and its syntax tree.

Trees are not kept: half a million nodes would slow down everything after them.
"""

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent


@cache
def texts() -> Mapping[Path, str]:
    """Every file that is not empty, in the order of the paths."""
    paths = (p for folder in ("fleet", "e2e", "tests") for p in (ROOT / folder).rglob("*.py"))
    found = {path: path.read_text() for path in sorted(paths)}
    return {path: text for path, text in found.items() if text.strip()}


def trees(folder: str = "") -> Iterator[tuple[Path, ast.Module]]:
    """The syntax trees of the files in `folder`, one after the other."""
    for path, text in texts().items():
        if path.is_relative_to(ROOT / folder):
            yield path, ast.parse(text)


def named(path: Path) -> str:
    """The path as a message shows it."""
    return str(path.relative_to(ROOT))
