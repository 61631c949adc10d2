"""The root command: its list, exit codes, completion, and how little each command imports.

Imports are counted, not timed: what is not imported costs nothing on any machine.
"""

import subprocess
import sys

import pytest

from fleet import __version__
from fleet.cli.main import COMMANDS
from tests.readme import ROOT
from tests.shell import fleet


def python(*words: str) -> "subprocess.CompletedProcess[str]":
    """An interpreter of its own, which has imported nothing yet."""
    return subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, check=True, cwd=ROOT
    )


def test_the_list_names_every_command_with_a_sentence() -> None:
    said = fleet("--help").stdout
    assert "Usage: fleet [OPTIONS] COMMAND" in said
    for name, sentence in COMMANDS.items():
        assert any(name in line and sentence in line for line in said.splitlines()), name


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_says_what_the_list_says(command: str) -> None:
    done = fleet(command, "--help")
    assert done.returncode == 0
    assert COMMANDS[command] in done.stdout
    assert f"Usage: fleet {command}" in done.stdout


IMPORTS = [
    pytest.param(("--help",), "kubernetes jinja2 fleet.api fleet.hub", id="the list: no models"),
    pytest.param(("render", "--help"), "kubernetes aiohttp kopf", id="render: no client"),
    pytest.param(("rollout", "--help"), "kubernetes aiohttp kopf jinja2", id="rollout: no client"),
    pytest.param(("pause", "--help"), "kubernetes aiohttp kopf", id="a verb: no client"),
    pytest.param(("get", "--help"), "kubernetes aiohttp kopf", id="get: no client"),
    pytest.param(("plan", "--help"), "kubernetes aiohttp kopf", id="plan: no client"),
    pytest.param(("run", "--help"), "kubernetes aiohttp kopf fleet.hub", id="run: no controller"),
    pytest.param(("crds", "--help"), "kubernetes aiohttp jinja2", id="crds: models only"),
]


@pytest.mark.parametrize(("words", "needless"), IMPORTS)
def test_a_command_imports_only_what_it_needs(words: tuple[str, ...], needless: str) -> None:
    said = python("-X", "importtime", "-m", "fleet", *words).stderr
    imported = {line.rpartition("|")[2].strip() for line in said.splitlines()}
    assert "fleet.cli.main" in imported
    assert imported.isdisjoint(needless.split())


def test_the_version_is_printed() -> None:
    assert python("-m", "fleet", "--version").stdout == f"{__version__}\n"


def test_a_typing_error_gets_a_suggestion() -> None:
    done = fleet("clutser")
    assert done.returncode == 2
    assert "Did you mean 'cluster'?" in done.stderr


def test_a_file_that_cannot_be_written_is_told_without_a_trace() -> None:
    done = fleet("crds", "write", "/proc/no-such-folder")
    assert done.returncode == 1
    assert done.stderr.startswith("error: [Errno 2] No such file or directory")


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        pytest.param("fleet cl", "cluster", id="a command"),
        pytest.param("fleet cluster a", "add", id="a command of a group"),
        pytest.param("fleet render --templ", "--templates", id="an option"),
    ],
)
def test_the_shell_completes(typed: str, offered: str) -> None:
    words = {"COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split()) - 1)}
    done = fleet(_FLEET_COMPLETE="complete_bash", **words)
    assert done.stdout.split() == [offered]


def test_the_completion_script_is_for_fleet() -> None:
    script = fleet("--show-completion", "bash").stdout
    assert "complete -o default -F _fleet_completion fleet" in script
