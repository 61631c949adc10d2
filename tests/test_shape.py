"""The budgets of the house: lengths of files and functions, a docstring for every module.

Not checked here: complexity and arguments (ruff), imports (import-linter).
"""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests import sources
from tests.sources import ROOT, named

Function = ast.FunctionDef | ast.AsyncFunctionDef
FUNCTION, FILE, CORE = 60, 400, 300
FORBIDDEN = ("utils", "helpers", "common", "manager")


def limit(path: Path) -> int:
    return CORE if is_core(path) else FILE


def is_core(path: Path) -> bool:
    """Whatever the folder is called into which the project was cloned."""
    return "core" in path.parts and path.is_relative_to(sources.ROOT / "fleet")


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the tests ask of one file."""

    is_explained: bool
    functions: tuple[tuple[str, int], ...]
    """Names and lengths."""
    awaits: bool


@cache
def files() -> Mapping[Path, Facts]:
    """Every file of ours, read once."""
    return {path: facts(tree) for path, tree in sources.trees()}


def facts(tree: ast.Module) -> Facts:
    functions = [item for item in statements(tree) if isinstance(item, Function)]
    return Facts(
        is_explained=bool(ast.get_docstring(tree)),
        functions=tuple((item.name, length(item)) for item in functions),
        awaits=any(isinstance(item, ast.AsyncFunctionDef) for item in functions),
    )


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """All statements in `node`; what they are made of holds no function that has a name."""
    for part in ("body", "handlers", "orelse", "finalbody", "cases"):
        for item in getattr(node, part, ()):
            yield item
            yield from statements(item)


def length(node: Function) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def test_a_file_fits_on_a_few_screens() -> None:
    lines = {path: text.count("\n") for path, text in sources.texts().items()}
    long = [f"{named(path)}: {count}" for path, count in lines.items() if count > limit(path)]
    assert long == [], "too many lines: split it by phase"


def test_a_function_fits_on_one_screen() -> None:
    long = [
        f"{named(path)}: {name} has {count} lines"
        for path, found in files().items()
        for name, count in found.functions
        if count > FUNCTION
    ]
    assert long == []


def test_a_module_says_what_it_is_for() -> None:
    silent = [named(path) for path, found in files().items() if not found.is_explained]
    assert silent == [], "begin with a docstring"


def test_every_folder_of_the_package_is_a_package() -> None:
    folders = {path.parent for path in sources.texts() if path.is_relative_to(ROOT / "fleet")}
    bare = [named(folder) for folder in sorted(folders) if not (folder / "__init__.py").exists()]
    assert bare == [], "import contracts do not see folders without __init__.py"


def test_each_room_of_the_engines_core_lists_what_is_in_it() -> None:
    """Rooms and modules, a line each, for those who look for something."""
    rooms = [path.parent for path in (ROOT / "fleet/kulta/core").rglob("__init__.py")]
    assert len(rooms) > 5
    assert {named(room): _listed(room) for room in rooms} == {
        named(room): _inside(room) for room in rooms
    }


def _listed(room: Path) -> set[str]:
    """What begins an indented line of the package's docstring."""
    text = (room / "__init__.py").read_text()
    return set(re.findall(r"^    (\w+)  ", text.split('"""')[1], re.M))


def _inside(room: Path) -> set[str]:
    modules = {path.stem for path in room.glob("*.py")} - {"__init__"}
    return modules | {path.parent.name for path in room.glob("*/__init__.py")}


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert [named(path) for path in sources.texts() if path.stem in FORBIDDEN] == []


def test_the_core_never_awaits() -> None:
    cores = [path for path in files() if is_core(path)]
    assert cores
    assert [named(path) for path in cores if files()[path].awaits] == []


def test_pure_tests_touch_no_world() -> None:
    """Neither sockets nor processes nor an event loop: that is why they take seconds."""
    line = next(x for x in (ROOT / "Makefile").read_text().splitlines() if x.startswith("PURE := "))
    folders = [ROOT / folder for folder in line.removeprefix("PURE := ").split()]
    worldly = re.compile(
        r"^(import|from) (aiohttp|asyncio|httpx|socket|subprocess|threading)\b", re.M
    )
    pure = {x: y for x, y in sources.texts().items() if any(map(x.is_relative_to, folders))}
    assert len(pure) > 100
    assert [named(path) for path, text in pure.items() if worldly.search(text)] == []
