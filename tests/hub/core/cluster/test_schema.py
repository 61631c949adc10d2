"""What a CRD declares, and what a manifest has beyond that."""

import copy
from pathlib import Path
from typing import Any

import pytest

from fleet.api import Application
from fleet.api.fleetrollout import Snapshot
from fleet.api.names import ROLLOUTS
from fleet.hub.core.cluster import schema
from fleet.kit import documents
from fleet.rendering import render
from tests.hub import gen
from tests.hub.place import rendered
from tests.hub.world import TEMPLATES

ROOT = Path(__file__).parents[4]
CRD = documents.one((ROOT / "crds/rollouts.yaml").read_text())
OURS = schema.fields(CRD, ROLLOUTS.version)
SMALL = frozenset(
    {"spec", "spec.replicas", "spec.steps", "spec.steps[]", "spec.steps[].setWeight"}
    | {"spec.labels", "spec.labels.*", "spec.free", "spec.free.**"}
)


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        pytest.param({"replicas": 3, "steps": [{"setWeight": 5}]}, "", id="all is declared"),
        pytest.param({"replicas": 3, "mirror": True}, "spec.mirror", id="a field"),
        pytest.param(
            {"steps": [{"setWeight": 5}, {"pause": {}}]}, "spec.steps[].pause", id="in a list"
        ),
        pytest.param({"labels": {"a": "b"}}, "", id="any key of a map"),
        pytest.param({"free": {"what": {"ever": 1}}}, "", id="below what keeps everything"),
    ],
)
def test_what_is_lacking(spec: dict[str, Any], path: str) -> None:
    assert schema.lacking(SMALL, spec) == path
    assert schema.lacking(frozenset(), spec) == "", "nothing is known, nothing is lacking"


def test_what_a_schema_declares() -> None:
    """Lists, maps, and what keeps everything; another version's fields are not this one's."""
    numbers = {"type": "integer"}
    spec = {
        "properties": {
            "steps": {"items": {"properties": {"setWeight": numbers}}},
            "labels": {"additionalProperties": {"type": "string"}},
            "free": {"x-kubernetes-preserve-unknown-fields": True},
            "replicas": numbers,
        }
    }
    schemas = [{"name": "v0", "schema": _schema({})}, {"name": "v1", "schema": _schema(spec)}]
    assert schema.fields({"spec": {"versions": schemas}}, "v1") == SMALL


def _schema(spec: dict[str, Any]) -> dict[str, Any]:
    return {"openAPIV3Schema": {"properties": {"spec": spec}}}


APPLICATIONS = sorted((ROOT / "examples/valid").glob("application-*.yaml"))


@pytest.mark.parametrize("path", APPLICATIONS, ids=lambda path: path.stem)
def test_what_the_templates_write_is_in_our_own_crd(path: Path) -> None:
    application = Application.parse(documents.one(path.read_text()))
    snapshot = Snapshot(name=application.name, spec=application.spec)
    found = render.render(TEMPLATES, gen.delivery(snapshot, gen.cluster("a")))
    assert found[0].resource == ROLLOUTS
    assert schema.lacking(OURS, found[0].manifest["spec"]) == ""


def test_an_older_crd_lacks_what_came_later() -> None:
    older: dict[str, Any] = copy.deepcopy(CRD)
    for version in older["spec"]["versions"]:
        del version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["strategy"]
    known = schema.fields(older, ROLLOUTS.version)
    assert schema.lacking(known, rendered()[0].manifest["spec"]) == "spec.strategy"


@pytest.mark.parametrize(
    "crd",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"spec": {"versions": [{"name": "v9"}]}}, id="another version"),
        pytest.param({"spec": {"versions": [{"name": ROLLOUTS.version}]}}, id="without a schema"),
    ],
)
def test_a_crd_that_says_nothing(crd: dict[str, Any]) -> None:
    assert schema.fields(crd, ROLLOUTS.version) == frozenset()
