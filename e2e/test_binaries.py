"""Where parts come from, in which order, and that building them is safe and shows its progress.

The module built here is a program of three lines without dependencies, so nothing is downloaded.
"""

import dataclasses
import fcntl
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from e2e.ground import binaries
from e2e.ground.binaries import KUBERNETES, PINS, BuildFailed, Module

ROOT = Path(__file__).parents[1]
BUILD = """
import sys
from pathlib import Path
from e2e.ground.binaries import Module, obtain
module = Module(name="hello", pins=Path(sys.argv[1]), programs={"hello": "example.test/hello"})
print(obtain(module, "hello"))
"""


@pytest.fixture
def hello(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Module:
    """A small module and an empty cache of ours; Go's own stays, or it would build its library."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    monkeypatch.setenv("GOCACHE", os.environ.get("GOCACHE") or str(caches / "go-build"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    source = tmp_path / "source"
    source.mkdir()
    (source / "go.mod").write_text("module example.test/hello\n\ngo 1.26.0\n")
    (source / "main.go").write_text('package main\n\nfunc main() { println("hello") }\n')
    pin = tmp_path / "pins" / "hello" / "go.mod"
    pin.parent.mkdir(parents=True)
    require = "require example.test/hello v0.0.0\n\nreplace example.test/hello =>"
    pin.write_text(f"module example.test/pins\n\ngo 1.26.0\n\n{require} {source}\n")
    return Module(name="hello", pins=tmp_path / "pins", programs={"hello": "example.test/hello"})


def build(module: Module) -> "subprocess.Popen[str]":
    """Build in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", BUILD, str(module.pins)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_builds_at_once_give_one_program(hello: Module) -> None:
    hello.folder.mkdir(parents=True)
    with (hello.folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # so that neither has ended when the other begins
        builds = [build(hello), build(hello)]
        waiting = [each.stderr.readline() for each in builds if each.stderr]
    assert waiting == ["hello: waiting for another build of hello\n"] * 2
    answers = [each.communicate() for each in builds]
    assert [Path(found.strip()) for found, _ in answers] == [hello.folder / "hello"] * 2
    said = "".join(errors for _, errors in answers)
    assert said.count("building from hello") == 1
    program = subprocess.run([hello.folder / "hello"], capture_output=True, text=True, check=True)
    assert program.stderr == "hello\n"


def test_a_build_shows_its_progress_and_happens_once(
    hello: Module, capsys: pytest.CaptureFixture[str]
) -> None:
    first = binaries.obtain(hello, "hello")
    assert re.search(
        r"hello: building from hello\nhello: ready after \d+ s\n", capsys.readouterr().err
    )
    assert binaries.obtain(hello, "hello") == first
    assert capsys.readouterr().err == ""


def test_a_failed_build_says_why_and_leaves_no_program(hello: Module, tmp_path: Path) -> None:
    (tmp_path / "source" / "main.go").write_text("package main\n\nfunc main() { nonsense }\n")
    with pytest.raises(BuildFailed, match="undefined: nonsense"):
        binaries.obtain(hello, "hello")
    assert not (hello.folder / "hello").exists()


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"flags": ("-trimpath",)}, id="other flags"),
        pytest.param({"programs": {"hello": "example.test/other"}}, id="another package"),
    ],
)
def test_the_cache_knows_versions_and_flags(hello: Module, change: dict[str, Any]) -> None:
    assert dataclasses.replace(hello, **change).folder != hello.folder


def test_another_version_is_another_folder(hello: Module) -> None:
    before = hello.folder
    hello.pin.write_text(hello.pin.read_text() + "\nrequire example.test/more v1.0.0\n")
    assert hello.folder != before


def test_given_assets_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kubectl").write_text("")
    cached = binaries.find("etcd")
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    assert binaries.find("kubectl") == tmp_path / "kubectl"
    assert binaries.find("etcd") == cached


def test_the_programs_are_of_the_pinned_versions(binaries: dict[str, Path]) -> None:
    def says(name: str, *words: str) -> str:
        return subprocess.run(
            [binaries[name], *words], capture_output=True, text=True, check=True
        ).stdout

    assert f"v{KUBERNETES}" in says("kubectl", "version", "--client")
    assert says("kube-apiserver", "--version") == f"Kubernetes v{KUBERNETES}\n"
    assert "1.40.0" in says("envoy", "--version")


def test_the_pins_agree_with_each_other() -> None:
    def version(pin: str, module: str) -> str:
        found = re.search(rf"{re.escape(module)} v(\S+)", (PINS / pin / "go.mod").read_text())
        assert found is not None
        return found[1]

    api = "sigs.k8s.io/gateway-api"
    assert version("controlplane", "k8s.io/kubernetes") == KUBERNETES
    assert version("gatewayapi", api) == version("contour", api)


def test_manifests_are_whole(binaries: dict[str, Path]) -> None:
    routes = binaries["gateway-api"] / "gateway.networking.k8s.io_httproutes.yaml"
    assert "kind: CustomResourceDefinition" in routes.read_text()
    assert binaries["kwok-stages.yaml"].read_text().count("kind: Stage") >= 5


def test_an_unknown_part_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "e2e.ground.binaries", "no-such-part"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "no-such-part" in done.stderr) == (1, True)
