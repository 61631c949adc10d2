"""The budgets of the house: lengths of files and functions, a docstring for every module.

Not checked here: complexity and arguments (ruff), imports (import-linter).
"""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests import sources
from tests.sources import ROOT, named

Function = ast.FunctionDef | ast.AsyncFunctionDef
FUNCTION, FILE, CORE = 60, 400, 300
FORBIDDEN = ("utils", "helpers", "common", "manager")


def limit(path: Path) -> int:
    return CORE if "core" in path.parts and "fleet" in path.parts else FILE


def functions(path: Path) -> Iterator[Function]:
    return (
        node
        for node in sources.nodes(path)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


def length(node: Function) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def test_a_file_fits_on_a_few_screens() -> None:
    lines = {path: text.count("\n") for path, text in sources.texts().items()}
    long = [f"{named(path)}: {count}" for path, count in lines.items() if count > limit(path)]
    assert long == [], "too many lines: split it by phase"


def test_a_function_fits_on_one_screen() -> None:
    long = [
        f"{named(path)}: {node.name} has {length(node)} lines"
        for path in sources.texts()
        for node in functions(path)
        if length(node) > FUNCTION
    ]
    assert long == []


def test_a_module_says_what_it_is_for() -> None:
    silent = [named(path) for path in sources.texts() if not ast.get_docstring(sources.tree(path))]
    assert silent == [], "begin with a docstring"


def test_every_folder_of_the_package_is_a_package() -> None:
    folders = {path.parent for path in sources.texts() if path.is_relative_to(ROOT / "fleet")}
    bare = [named(folder) for folder in sorted(folders) if not (folder / "__init__.py").exists()]
    assert bare == [], "import contracts do not see folders without __init__.py"


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert [named(path) for path in sources.texts() if path.stem in FORBIDDEN] == []


def test_the_core_never_awaits() -> None:
    cores = [path for path in sources.texts() if "core" in path.parts and "fleet" in path.parts]
    waiting = [
        named(path)
        for path in cores
        if any(isinstance(node, ast.Await | ast.AsyncFunctionDef) for node in sources.nodes(path))
    ]
    assert cores
    assert waiting == []
