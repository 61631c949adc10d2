"""Our own Python files as syntax trees, for the tests that read code: each file is parsed once."""

import ast
from collections.abc import Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent


@cache
def texts() -> Mapping[Path, str]:
    """Every file that is not empty, in the order of the paths."""
    paths = (p for folder in ("fleet", "e2e", "tests") for p in (ROOT / folder).rglob("*.py"))
    found = {path: path.read_text() for path in sorted(paths)}
    return {path: text for path, text in found.items() if text.strip()}


@cache
def tree(path: Path) -> ast.Module:
    """The syntax tree of one of them."""
    return ast.parse(texts()[path])


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """All nodes of that tree."""
    return tuple(ast.walk(tree(path)))


def named(path: Path) -> str:
    """The path as a message shows it."""
    return str(path.relative_to(ROOT))
