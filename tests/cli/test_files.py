"""Files behind `-f`: what is read, what is passed over, and what is said of those that cannot."""

import io
import sys
from pathlib import Path

import pytest
import yaml

from fleet.cli import files
from fleet.errors import UserError
from tests import shell
from tests.readme import ROOT

DEMO = ROOT / "examples/demo"
BOMB = b"a%d: &a%d [*a%d, *a%d]\n"
"""Twice what stands on the line before."""
FOREIGN = """\
on: [push]
---
- 404: not found
---
apiVersion: v1
kind: ConfigMap
metadata: {name: errors}
data: {404: not found, on: "yes"}
---
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: checkout, labels: {7: a}}
"""
"""What may stand beside our objects, and is for others to read."""
TEMPLATES = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: own, labels: {fleet.kulta.io/templates: "true"}}
data: {404: not found}
"""


def test_yaml_files_of_a_folder_are_read_in_order(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    for name, text in (("b.yml", "a: 2"), ("a.yaml", "a: 1"), ("c/d.yaml", "a: 3"), ("e", "x")):
        (tmp_path / name).write_text(text)
    assert [item for _, item in files.read([tmp_path])] == [{"a": 1}, {"a": 2}, {"a": 3}]


def test_objects_of_a_list_and_behind_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    file = tmp_path / "list.yaml"
    file.write_bytes(b"\xef\xbb\xbfkind: List\nitems: [{a: 1}, {a: 2}]\n---\n\n---\na: 3\n")
    assert files.read([file]) == [(str(file), {"a": number}) for number in (1, 2, 3)]


def test_the_standard_input_is_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [(DEMO / f"{name}.yaml").read_bytes() for name in ("application", "fleet")]
    given = io.TextIOWrapper(io.BytesIO(b"---\n".join(texts)))
    monkeypatch.setattr(sys, "stdin", given)
    done = shell.fleet("render", "-f", "-", "--cluster", "alpha", "-o", "name")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(b"\xff\xfea\x00", "is no text in UTF-8: save it as such", id="UTF-16"),
        pytest.param(b"a: [", "is no YAML: line 2, column 1: did not find", id="half a list"),
        pytest.param(b"[" * 5_000, "is nested too deeply", id="nesting without end"),
        pytest.param(
            b"apiVersion: fleet.kulta.io/v1alpha1",
            "an object without kind: write Application, Fleet, MemberCluster",
            id="no kind",
        ),
        pytest.param(
            b"{apiVersion: fleet.kulta.io/v1alpha1, kind: [Fleet], metadata: [a]}",
            "['Fleet']: write Application, Fleet, MemberCluster",
            id="a kind that is a list",
        ),
        pytest.param(
            b"{apiVersion: fleet.kulta.io/v1, kind: Fleet}",
            "Fleet: apiVersion fleet.kulta.io/v1: write fleet.kulta.io/v1alpha1",
            id="a version that there is not",
        ),
        pytest.param(
            b"kind: Application\nmetadata: {name: checkout}",
            "Application: apiVersion is required: write fleet.kulta.io/v1alpha1",
            id="no version",
        ),
        pytest.param(
            b"{apiVersion: fleet.kulta.io/v1alpha1, kind: Fleet, metadata: {name: eu}}",
            "Fleet eu: spec is required",
            id="no spec",
        ),
        pytest.param(
            b"{apiVersion: fleet.kulta.io/v1alpha1, kind: Fleet, metadata: [a], spec: 5}",
            "Fleet: metadata must be an object",
            id="metadata that is a list",
        ),
        pytest.param(
            b"kind: List\nitems:\n- apiVersion: fleet.kulta.io/v1alpha1\n  kind: Fleet\n"
            b"  metadata: {name: eu, labels: {7: a, on: b}}",
            "Fleet eu: metadata.labels has a key that is no text: put it into quotes (is 7); "
            "metadata.labels has a key that is no text: put it into quotes (is True)",
            id="keys that are a number and a truth value",
        ),
        pytest.param(b"a: &a [*a]", "is nested too deeply", id="a list that is in itself"),
        pytest.param(
            b"".join([b"a0: &a0 [x]\n", *(BOMB % (n, n, n - 1, n - 1) for n in range(1, 60))]),
            "is no YAML: line 1, column 1: its aliases stand for too much: write out what you mean",
            id="aliases of aliases",
        ),
    ],
)
def test_what_cannot_be_read_is_named_with_its_file(
    content: bytes, words: str, tmp_path: Path
) -> None:
    file = tmp_path / "a.yaml"
    file.write_bytes(content)
    done = shell.fleet("plan", "-f", str(file))
    assert done.returncode == 1
    assert done.stderr.startswith(f"InvalidSpec: {file}: {words}")


def test_what_is_not_there_is_a_mistake_of_use(tmp_path: Path) -> None:
    for path, words in ((tmp_path / "no.yaml", "there is no such file"), (tmp_path, "the folder")):
        with pytest.raises(UserError, match=f"--file {path}: {words}") as caught:
            files.read([path])
        assert caught.value.reason == "Usage"


def test_what_render_says_of_a_folder_is_what_it_says_of_its_files() -> None:
    folder = shell.fleet("render", "-f", str(DEMO), "--cluster", "alpha")
    each = [word for path in sorted(DEMO.glob("*.yaml")) for word in ("-f", str(path))]
    assert folder == shell.fleet("render", *each, "--cluster", "alpha")
    assert len(list(yaml.safe_load_all(folder.stdout))) > 3


def test_what_nobody_reads_may_have_keys_that_are_no_texts(tmp_path: Path) -> None:
    (tmp_path / "ci.yaml").write_text(FOREIGN)
    words = ("-f", str(DEMO), "--cluster", "alpha", "-o", "name")
    beside = shell.fleet("render", "-f", str(tmp_path), *words)
    assert (beside.returncode, beside.stderr) == (0, "")
    assert beside == shell.fleet("render", *words)


def test_keys_of_templates_are_texts(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(TEMPLATES)
    done = shell.fleet("render", "-f", str(DEMO), "-f", str(file), "--cluster", "alpha")
    problem = "data has a key that is no text: put it into quotes (is 404)"
    assert done.stderr == f"InvalidSpec: {file}: ConfigMap own: {problem}\n"
