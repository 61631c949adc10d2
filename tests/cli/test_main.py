"""The root command: its list, exit codes, completion, and how little each command imports.

Imports are counted, not timed: what is not imported costs nothing on any machine.
"""

import importlib
import json
import subprocess
import sys

import pytest

from fleet import __version__
from fleet.cli import loading
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


@pytest.mark.parametrize("command", ["", "rollout", "rollout get", "get"])
def test_h_is_help_as_it_is_of_kubectl(command: str) -> None:
    words = command.split()
    assert fleet(*words, "-h").stdout == fleet(*words, "--help").stdout != ""


IMPORTS = {
    "--help": "kubernetes jinja2 fleet.api fleet.hub",
    "crds --help": "kubernetes aiohttp jinja2",
    "run --help": "kubernetes aiohttp kopf fleet.hub",
    "rollout --help": "kubernetes aiohttp kopf jinja2",
    "pause --help": "kubernetes aiohttp kopf",
    "get --help": "kubernetes aiohttp kopf",
    "plan --help": "kubernetes aiohttp kopf",
    "render --help": "kubernetes aiohttp kopf",
}
"""What each command may not import, those that may import least first: one interpreter runs them
all, and what none of them may import is missing at the end as it is after each."""
ENGINE = "run engine --kubeconfig /proc/no-such-file"

RUN_ALL = """
import contextlib, io, json, sys
from fleet.cli.main import main
for line in sys.argv[1:]:
    with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.suppress(SystemExit):
        main(line.split())
    print(json.dumps([said.getvalue(), [*sys.modules]]))
"""


@pytest.fixture(scope="module")
def ran() -> dict[str, tuple[str, set[str]]]:
    """What each command said, and what had been imported by then."""
    commands = [*IMPORTS, ENGINE]
    lines = map(json.loads, python("-c", RUN_ALL, *commands).stdout.splitlines())
    return {words: (said, {*found}) for words, (said, found) in zip(commands, lines, strict=True)}


@pytest.mark.parametrize("words", IMPORTS)
def test_a_command_imports_only_what_it_needs(
    words: str, ran: dict[str, tuple[str, set[str]]]
) -> None:
    said, imported = ran[words]
    assert f"Usage: fleet {words.removesuffix('--help')}".rstrip() in said
    assert imported.isdisjoint(IMPORTS[words].split())


def test_a_controller_has_no_client_loaded_that_it_does_not_use(
    ran: dict[str, tuple[str, set[str]]],
) -> None:
    """kopf would load `kubernetes` where it is installed, and httpx a command line of its own."""
    _, imported = ran[ENGINE]
    assert {"kopf", "httpx"} <= imported
    assert imported.isdisjoint(("kubernetes", "httpx._main"))


def test_what_seemed_missing_while_loading_is_there_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    with loading.quickly("colorsys"), pytest.raises(ModuleNotFoundError):
        importlib.import_module("colorsys")
    assert importlib.import_module("colorsys").__name__ == "colorsys"


@pytest.mark.parametrize("command", ["", "watch", "wait", "rollout watch"])
def test_help_says_what_the_exit_codes_mean(command: str) -> None:
    assert "xit code" in fleet(*command.split(), "--help").stdout


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
    """Asked for as a shell does: the option asks the parent processes for theirs."""
    script = fleet(_FLEET_COMPLETE="source_bash").stdout
    assert "complete -o default -F _fleet_completion fleet" in script
