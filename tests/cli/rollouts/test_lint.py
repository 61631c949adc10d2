"""`fleet rollout lint` on files: what it reads, passes over and says, and its exit code."""

import json
from pathlib import Path

import pytest

from tests import gen
from tests.readme import ROOT
from tests.shell import fleet

GOOD = (ROOT / "examples/valid/rollout-canary.yaml").read_text()
NOTHING = "NotFound: no Rollout of kulta.io/v1beta1 in the files: nothing was checked\n"
BAD = GOOD.replace("setWeight: 20", "setWeight: 120")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "rollouts.yaml"


def test_good_rollouts_are_named(file: Path) -> None:
    file.write_text(GOOD)
    done = fleet("rollout", "lint", "-f", str(file))
    assert (done.returncode, done.stdout) == (0, f"✔ {file}#1  Rollout shop\n")


def test_every_problem_of_every_document_is_told(file: Path) -> None:
    file.write_text(f"{GOOD}---\nkind: Service\napiVersion: v1\n---\n{BAD}---\nnull\n")
    done = fleet("rollout", "lint", "-f", str(file))
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[1] == f"○ {file}#2  Service of v1: passed over"
    assert lines[2].startswith(f"✘ {file}#3  Rollout shop: ")
    assert "    spec.strategy.canary.steps[0].setWeight must be 0-100 (is 120)" in lines
    assert lines[-1] == f"○ {file}#4  nothing: passed over"


def test_programs_get_paths_and_messages(file: Path) -> None:
    file.write_text(f"{BAD}---\n{GOOD}")
    done = fleet("rollout", "lint", "-f", str(file), "-o", "json")
    first, second = json.loads(done.stdout)
    assert next(item["path"] for item in first["problems"]).endswith("steps[0].setWeight")
    assert (second["problems"], second["document"]) == ([], 2)
    assert done.returncode == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("a: [", "    is no YAML: line 2, column 1: did not", id="half a list"),
        pytest.param("kind: a\nkind: b", "line 2, column 1: a key comes twice", id="a key twice"),
        pytest.param("[" * 5_000, "is nested too deeply", id="nesting without end"),
        pytest.param("kind: Rollout", "apiVersion must be kulta.io/v1beta1", id="hardly anything"),
        pytest.param(
            "kind: Röllout", "    is no text in UTF-8: save it as such", id="another encoding"
        ),
    ],
)
def test_what_cannot_be_read_is_a_problem(file: Path, text: str, words: str) -> None:
    file.write_text(text, encoding="latin-1")
    done = fleet("rollout", "lint", "-f", str(file))
    assert done.returncode == 1
    assert words in done.stdout


def test_words_are_taken_as_kubectl_takes_them(file: Path) -> None:
    before = "      containers:\n"
    assert before in GOOD
    bad = GOOD.replace(before, f"      volumes: [{{name: y}}]\n      hostNetwork: y\n{before}")
    file.write_text(bad.replace("setWeight: 20", "setWeight: 0o24"))
    done = fleet("rollout", "lint", "-f", str(file))
    assert done.stdout.splitlines()[1:] == [
        "    spec.template.spec.volumes[0].name must be a text: put it into quotes (is True)"
    ]


def test_a_folder_and_a_list_are_looked_through(tmp_path: Path) -> None:
    inner = "\n".join(f"  {line}" for line in GOOD.splitlines())
    (tmp_path / "list.yml").write_text(f"kind: List\nitems:\n-{inner[1:]}\n")
    assert fleet("rollout", "lint", "-f", str(tmp_path)).stdout.startswith("✔ ")


def test_no_such_file_is_a_mistake_of_use() -> None:
    done = fleet("rollout", "lint", "-f", "/no/such.yaml")
    assert (done.returncode, "there is no such file" in done.stderr) == (2, True)


@pytest.mark.parametrize("items", ["5", "{a: b}", "[5, null]"])
def test_a_list_of_nothing_holds_nothing(file: Path, items: str) -> None:
    file.write_text(f"kind: List\nitems: {items}")
    done = fleet("rollout", "lint", "-f", str(file))
    assert (done.returncode, done.stderr) == (1, NOTHING)


@pytest.mark.parametrize("text", ["", "---\n", "# nothing yet\n"])
@pytest.mark.parametrize("form", ["table", "json"])
def test_a_check_of_nothing_is_no_good_check(file: Path, text: str, form: str) -> None:
    """What checks every change would go on being green when the file moves away."""
    file.write_text(text)
    done = fleet("rollout", "lint", "-f", str(file), "-o", form)
    assert (done.returncode, done.stderr) == (1, NOTHING)


def test_a_rollout_of_another_kind_is_not_taken_for_one_of_ours(file: Path) -> None:
    file.write_text(GOOD.replace("kulta.io/v1beta1", "argoproj.io/v1alpha1"))
    done = fleet("rollout", "lint", "-f", str(file))
    words = "apiVersion argoproj.io/v1alpha1 is another kind of Rollout: write kulta.io/v1beta1"
    assert done.stdout == f"○ {file}#1  Rollout of argoproj.io: passed over; {words}\n"
    assert (done.returncode, done.stderr) == (1, f"{NOTHING.strip()}; {words}\n")
    done = fleet("rollout", "explain", "-f", str(file))
    assert (done.returncode, done.stderr) == (
        1,
        f"InvalidSpec: {file}: apiVersion argoproj.io/v1alpha1 is another kind of Rollout: "
        "write kulta.io/v1beta1\n",
    )
    file.write_text(f"{file.read_text()}---\n{GOOD}")
    assert fleet("rollout", "explain", "-f", str(file)).returncode == 0


def test_who_has_an_application_is_told_what_looks_at_it(file: Path) -> None:
    wrong = (ROOT / "examples/demo/application.yaml").read_text().replace("t: 25", "t: 125")
    file.write_text(wrong)
    words = "fleet render -f FILE --cluster NAME says what is wrong with an Application"
    done = fleet("rollout", "lint", "-f", str(file))
    assert done.stdout == f"○ {file}#1  Application of fleet.kulta.io: passed over; {words}\n"
    assert (done.returncode, done.stderr) == (1, f"{NOTHING[:-1]}; {words}\n")
    named = words.partition(" says")[0].replace("FILE", str(file)).replace("NAME", "alpha")
    done = fleet(*named.split()[1:])
    assert (done.returncode, "steps[0].setWeight must be 0-100 (is 125)" in done.stderr) == (
        1,
        True,
    )
    file.write_text(f"{wrong}---\n{GOOD}")
    assert fleet("rollout", "lint", "-f", str(file)).returncode == 0


def test_what_would_be_refused_is_not_explained(file: Path) -> None:
    file.write_text(BAD.replace("setWeight: 50", "setWeight: 150"))
    done = fleet("rollout", "explain", "-f", str(file))
    said = "spec.strategy.canary.steps[0].setWeight must be 0-100 (is 120) (one of 2 problems)"
    assert done.stderr == f"InvalidSpec: {file}: {said}: fleet rollout lint -f {file}\n"


def test_what_only_lint_has_something_against_is_explained(file: Path) -> None:
    twice = gen.analysis(*[{"name": "error-rate", "threshold": 5}] * 2)
    file.write_text(json.dumps(gen.manifest(strategy=gen.canary(20, analysis=twice))))
    assert "error-rate comes twice" in fleet("rollout", "lint", "-f", str(file)).stdout
    assert fleet("rollout", "explain", "-f", str(file)).returncode == 0


def test_explain_tells_of_a_file_that_is_nowhere() -> None:
    path = ROOT / "examples/valid/rollout-canary.yaml"
    done = fleet("rollout", "explain", "-f", str(path))
    assert done.returncode == 0
    assert "they get all traffic, and the rollout is completed" in done.stdout
    assert "begins with a new revision in place of the one before" in done.stdout
    assert fleet("rollout", "explain").returncode == 2


def test_one_pod_is_spoken_of_as_one(file: Path) -> None:
    file.write_text(GOOD.replace("replicas: 5", "replicas: 1"))
    said = fleet("rollout", "explain", "-f", str(file)).stdout
    assert ": canary, 1 pod\n" in said
    assert "when it is ready it gets all traffic, and the rollout is completed" in said
