"""The budgets of the house: lengths of files and functions, a docstring for every module.

Not checked here: complexity and arguments (ruff), imports (import-linter).
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = sorted(
    path
    for folder in ("fleet", "e2e", "tests")
    for path in (ROOT / folder).rglob("*.py")
    if path.read_text().strip()
)
FUNCTION, FILE, CORE = 60, 400, 300
FORBIDDEN = ("utils", "helpers", "common", "manager")


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def limit(path: Path) -> int:
    return CORE if "core" in path.parts and "fleet" in path.parts else FILE


@pytest.mark.parametrize("path", FILES, ids=named)
def test_a_file_fits_on_a_few_screens(path: Path) -> None:
    lines = path.read_text().count("\n")
    assert lines <= limit(path), f"{lines} lines, at most {limit(path)}: split it by phase"


@pytest.mark.parametrize("path", FILES, ids=named)
def test_a_function_fits_on_one_screen(path: Path) -> None:
    long = [
        f"{node.name} ({node.end_lineno - node.lineno + 1} lines)"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > FUNCTION
    ]
    assert not long, f"more than {FUNCTION} lines: {', '.join(long)}"


@pytest.mark.parametrize("path", FILES, ids=named)
def test_a_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text())), "begin with a docstring"


def test_every_folder_of_the_package_is_a_package() -> None:
    folders = {path.parent for path in FILES if "fleet" in path.relative_to(ROOT).parts[:1]}
    bare = [named(folder) for folder in sorted(folders) if not (folder / "__init__.py").exists()]
    assert bare == [], "import contracts do not see folders without __init__.py"


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert [named(path) for path in FILES if path.stem in FORBIDDEN] == []


def test_the_core_never_awaits() -> None:
    cores = [path for path in FILES if "core" in path.parts and "fleet" in path.parts]
    waiting = [
        named(path)
        for path in cores
        if any(
            isinstance(node, ast.Await | ast.AsyncFunctionDef)
            for node in ast.walk(ast.parse(path.read_text()))
        )
    ]
    assert cores
    assert waiting == []
