"""The mutants of a file: mutmut's changes, each of one place in a function, and how to put one in.

`e2e.mutants` hunts them. Functions with a decorator are left out by mutmut itself.
"""

import ast
import importlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from types import FunctionType
from typing import Any

import libcst as cst
from mutmut.mutation.file_mutation import Mutation, create_mutations, deep_replace

from tests.sources import ROOT

Place = tuple[str, int]
"""A function with its module, and the line of a statement in the function's own source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One function with one place changed."""

    module: str
    function: str
    """As it is called in the module: `share` or `Draft.wake`."""
    line: int
    change: str
    """The lines before and after; those that look alike are numbered."""
    original: str
    source: str

    @property
    def called(self) -> str:
        return f"{self.module}.{self.function}"

    @property
    def name(self) -> str:
        """Stays the same when the function moves, and when other lines of it change."""
        return f"{self.function}: {self.change}"

    @property
    def place(self) -> Place:
        return self.called, self.line

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A function, and the changes that make its mutants."""

    module: str
    name: str
    source: str
    node: cst.FunctionDef
    changes: Sequence[Mutation]

    @property
    def called(self) -> str:
        return f"{self.module}.{self.name}"

    def mutants(self) -> Iterator[Mutant]:
        """One for each change, in the same order."""
        parsed, counted = ast.parse(self.source), Counter[str]()
        for item in self.changes:
            changed = deep_replace(self.node, item.original_node, item.mutated_node)
            assert isinstance(changed, cst.FunctionDef)
            after = cst.Module(body=[changed]).code
            line, change = _change(self.source.splitlines(), after.splitlines())
            counted[change] += 1
            yield Mutant(
                module=self.module,
                function=self.name,
                line=_statement(parsed.body[0], line),
                change=change if counted[change] == 1 else f"{change} #{counted[change]}",
                original=self.source,
                source=after,
            )


def functions(path: Path) -> Iterator[Function]:
    """Those of one file that have mutants."""
    tree, mutations, _, _ = create_mutations(str(path), path.read_text())
    changes: dict[cst.CSTNode | None, list[Mutation]] = defaultdict(list)
    for mutation in mutations:
        changes[mutation.contained_by_top_level_function].append(mutation)
    for name, node in _functions(tree.body):
        if found := changes[node]:
            yield Function(
                module=module(path),
                name=name,
                source=cst.Module(body=[node]).code,
                node=node,
                changes=found,
            )


def module(path: Path) -> str:
    """What a file of ours is imported as."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def replace(module: str, name: str, source: str) -> None:
    """Give a function other code, in this process; whoever has imported it has it too."""
    function = _function(importlib.import_module(module), name)
    names = dict(function.__globals__)
    exec(compile(source, function.__code__.co_filename, "exec"), names)
    changed = names[name.rpartition(".")[2]]
    changed = getattr(changed, "__func__", changed)
    function.__code__ = changed.__code__
    function.__defaults__ = changed.__defaults__
    function.__kwdefaults__ = changed.__kwdefaults__


def watched(mutants: Iterable[Mutant]) -> set[Place]:
    """Let every statement of the functions say that it is reached: in the set that is returned."""
    seen: set[Place] = set()
    for mutant in {mutant.called: mutant for mutant in mutants}.values():
        vars(importlib.import_module(mutant.module))["_seen_"] = seen.add
        tree = _Telling(mutant.called).visit(ast.parse(mutant.original))
        replace(mutant.module, mutant.function, ast.unparse(ast.fix_missing_locations(tree)))
    return seen


class _Telling(ast.NodeTransformer):
    """Puts a call of `_seen_` before each statement of a function."""

    def __init__(self, called: str) -> None:
        self._called = called

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        for part in ("body", "orelse", "finalbody"):
            body = getattr(node, part, None)
            if isinstance(body, list) and not isinstance(node, ast.Module):
                setattr(node, part, [item for old in body for item in (self._telling(old), old)])
        return node

    def _telling(self, old: ast.stmt) -> ast.stmt:
        return ast.parse(f"_seen_({(self._called, old.lineno)!r})").body[0]


def _statement(function: ast.stmt, line: int) -> int:
    """Where the innermost statement begins that has a line; the first one for parameters."""
    assert isinstance(function, ast.FunctionDef)
    inner = (x for x in ast.walk(function) if isinstance(x, ast.stmt) and x is not function)
    lines = (x.lineno for x in inner if x.lineno <= line <= (x.end_lineno or x.lineno))
    return max(lines, default=function.body[0].lineno)


def _functions(
    body: Iterable[cst.CSTNode], prefix: str = ""
) -> Iterator[tuple[str, cst.FunctionDef]]:
    for node in body:
        if isinstance(node, cst.FunctionDef):
            yield prefix + node.name.value, node
        elif isinstance(node, cst.ClassDef):
            yield from _functions(node.body.body, f"{prefix}{node.name.value}.")


def _change(before: Sequence[str], after: Sequence[str]) -> tuple[int, str]:
    """The first line that differs, from 1, and what is between the lines that both share."""
    start = _alike(before, after)
    before, after = before[start:], after[start:]
    end = _alike(before[::-1], after[::-1])
    old, new = (" ".join(x.strip() for x in lines[: len(lines) - end]) for lines in (before, after))
    return start + 1, f"{old} => {new}"


def _alike(these: Sequence[str], those: Sequence[str]) -> int:
    """How many lines are the same at the beginning."""
    pairs = zip(these, those, strict=False)
    return len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))


def _function(found: Any, name: str) -> FunctionType:
    for part in name.split("."):
        found = vars(found)[part]
    function = getattr(found, "__func__", found)
    assert isinstance(function, FunctionType)
    return function
