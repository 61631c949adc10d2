"""Reasons: every constant that the code uses has a sentence, and every sentence is one."""

import ast
from collections.abc import Iterator

import pytest

from fleet.api import reasons
from tests import sources

FLEET = sources.ROOT / "fleet"
OF_THE_PROCESS = {"Usage", "InvalidSettings", "NotFound"}
"""They end a command with a message; no object ever carries them."""


def used() -> Iterator[tuple[str, str]]:
    """Every reason written as a text: of a UserError, of a condition, of a keyword `reason`; and
    what a function of that name returns."""
    for path, tree in sources.trees("fleet"):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call | ast.FunctionDef):
                where = f"{path.relative_to(FLEET)}:{node.lineno}"
                found = given(node) if isinstance(node, ast.Call) else returned(node)
                yield from ((where, text) for item in found for text in texts(item))


def returned(function: ast.FunctionDef) -> list[ast.expr]:
    """What `reason` and `_reason` return."""
    if function.name.strip("_") != "reason":
        return []
    ends = (node for node in ast.walk(function) if isinstance(node, ast.Return))
    return [node.value for node in ends if node.value is not None]


def given(call: ast.Call) -> list[ast.expr]:
    function = call.func
    name = getattr(function, "id", getattr(function, "attr", ""))
    place = {"UserError": 0, "condition": 2}.get(name)
    positional = call.args[place : place + 1] if place is not None else []
    return [*positional, *(item.value for item in call.keywords if item.arg == "reason")]


def texts(expression: ast.expr) -> Iterator[str]:
    if isinstance(expression, ast.Constant) and isinstance(expression.value, str):
        yield expression.value
    elif isinstance(expression, ast.IfExp):
        yield from texts(expression.body)
        yield from texts(expression.orelse)


def test_every_reason_that_the_code_uses_is_listed() -> None:
    listed = reasons.SENTENCES.keys() | OF_THE_PROCESS | {""}
    assert [f"{where}: {text}" for where, text in used() if text not in listed] == []


@pytest.mark.parametrize("reason", reasons.SENTENCES)
def test_a_reason_is_one_word_and_its_meaning_a_sentence(reason: str) -> None:
    assert reason.isidentifier()
    assert reason[0].isupper()
    sentence = reasons.sentence(reason)
    assert sentence.endswith(".")
    assert sentence[0].isupper() or sentence.startswith("`")


def test_an_unknown_reason_is_an_error() -> None:
    with pytest.raises(KeyError):
        reasons.sentence("Whatever")
