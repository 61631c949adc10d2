"""`fleet render` and `fleet plan` with templates of the tenant's own: the example of the README."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet.kit import documents
from tests import shell
from tests.readme import README, ROOT

APPLICATION: dict[str, Any] = documents.one((ROOT / "examples/demo/application.yaml").read_text())
SECTION = README.read_text().partition("### Templates of your own")[2].partition("\n## ")[0]
CONFIGMAP, NAMED = (documents.one(text) for text in re.findall(r"```yaml\n(.*?)```", SECTION, re.S))
MEMBER = ("--cluster", "eu-7", "--vars", "domain=eu.example.com")


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, ...]:
    """The demo's Application, which names the ConfigMap, and that."""
    spec = {**APPLICATION["spec"], **NAMED["spec"]}
    paths = []
    for name, body in (("app", {**APPLICATION, "spec": spec}), ("own", CONFIGMAP)):
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(body))
        paths += ["-f", str(path)]
    return tuple(paths)


def test_the_example_of_the_readme_makes_what_the_text_says(files: tuple[str, ...]) -> None:
    done = shell.fleet("render", *files, *MEMBER)
    assert done.returncode == 0, done.stderr
    found = {item["kind"]: item for item in documents.every(done.stdout) if item}
    route = found["HTTPRoute"]["spec"]
    assert route["hostnames"] == ["checkout.eu.example.com"]
    assert route["rules"][0]["timeouts"] == {"request": "10s"}
    assert found["Rollout"]["metadata"]["name"] == "checkout", "the others are the hub's"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param(
            {"metadata": {"name": "checkout-templates"}},
            "TemplatesNotFound: spec.templates.configMap: there is no ConfigMap checkout-templates "
            'with the label fleet.kulta.io/templates: "true" in namespace ',
            id="without the label",
        ),
        pytest.param(
            {"data": {"httproute.yaml.j2": "a: 1\nb: {{ application.rout }}"}},
            "TemplateError: cluster eu-7: template httproute.yaml.j2 line 2: 'dict object' has no "
            "attribute 'rout'",
            id="a mistake in its second line",
        ),
        pytest.param(
            {"data": {"httproute.yaml.j2": 5}},
            "TemplateError: spec.templates.configMap: ConfigMap checkout-templates: "
            "httproute.yaml.j2: must be text",
            id="a number for a template",
        ),
        pytest.param(
            {"metadata": {"labels": CONFIGMAP["metadata"]["labels"]}},
            "InvalidSpec: {path}: ConfigMap: metadata.name is required",
            id="without a name",
        ),
    ],
)
def test_what_is_wrong_is_told(files: tuple[str, ...], change: Any, words: str) -> None:
    Path(files[3]).write_text(yaml.safe_dump({**CONFIGMAP, **change}))
    done = shell.fleet("render", *files, *MEMBER)
    assert (done.returncode, done.stdout) == (1, "")
    words = words.replace("{path}", files[3])
    assert done.stderr.startswith(f"Error: {words}") or done.stderr.startswith(words), done.stderr
