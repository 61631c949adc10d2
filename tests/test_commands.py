"""Every `fleet …` that a text names is a command that exists, with every option beside it.

Read are the READMEs (console blocks and code spans) and the sources: docstrings and messages tell
people what to run. That examples do what they say is in `test_readme` and `e2e/`.
"""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperGroup

from fleet.cli.main import app
from tests import sources
from tests.sources import ROOT, named

FOLDERS = ("", "clusters", "deploy/engine", "templates", "e2e")


def spoken(text: str) -> Iterator[str]:
    """What stands behind `fleet ` in code spans."""
    yield from (found.replace("\n", " ") for found in re.findall(r"(?<!`)`fleet\s([^`]+)`", text))


def typed(text: str) -> Iterator[str]:
    """What stands behind `$ fleet ` in console blocks, lines that go on put together."""
    for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            if line.startswith("$ fleet "):
                yield line.removeprefix("$ fleet ")


def told() -> Iterator[tuple[str, str]]:
    """Where something is said, and what."""
    for folder in FOLDERS:
        text = (ROOT / folder / "README.md").read_text()
        parts = re.split(r"(```.*?```)", text, flags=re.DOTALL)
        for command in (*typed(text), *(span for part in parts[::2] for span in spoken(part))):
            yield f"{folder}/README.md".lstrip("/"), command
    for path, text in sources.texts().items():
        if path.is_relative_to(ROOT / "fleet"):
            yield from ((named(path), command) for command in spoken(text))


def understood(command: str) -> tuple[Any, list[str]]:
    """The command that the words mean, and its arguments. Raises for a name that there is not."""
    alone = re.split(r"&&|[|;]", command)[0]
    words, found = shlex.split(alone, comments=True), typer.main.get_command(app)
    while isinstance(found, TyperGroup) and words and words[0][0] not in "-<…{":
        with typer.Context(found) as context:
            _, found, words = found.resolve_command(context, words)
    return found, words


def options(command: Any) -> set[str]:
    """The names of the options of a command."""
    given = (name for item in command.params for name in (*item.opts, *item.secondary_opts))
    return {"--help", *(name for name in given if name.startswith("-"))}


def all_options(command: Any) -> set[str]:
    """Those of the command and of all commands in it."""
    names = options(command)
    if isinstance(command, TyperGroup):
        with typer.Context(command) as context:
            for name in command.list_commands(context):
                names |= all_options(command.resolve_command(context, [name])[1])
    return names


@pytest.mark.parametrize(
    ("where", "command"),
    [pytest.param(*each, id=f"{each[0]}: fleet {each[1]}") for each in sorted(set(told()))],
)
def test_what_a_text_tells_people_to_run_exists(where: str, command: str) -> None:
    found, words = understood(command)
    asked = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
    assert asked <= options(found), f"{where}: fleet {command}"


@pytest.mark.parametrize("folder", FOLDERS)
def test_an_option_in_the_text_is_an_option_of_some_command(folder: str) -> None:
    text = (ROOT / folder / "README.md").read_text()
    spans = set(re.findall(r"(?<!`)`(--[a-z][a-z-]*)[^`]*`", text))
    assert spans <= all_options(typer.main.get_command(app))


def test_the_texts_name_commands_at_all() -> None:
    """Whoever changes how they are written changes how they are found."""
    assert len({Path(where).suffix for where, _ in told()}) == 2
