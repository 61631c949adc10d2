"""The CRDs as files: current, small enough for plain `kubectl apply`, structural, explained.

What the API server makes of them is tested in `e2e/test_crds.py` and `e2e/test_*_refusals.py`.
"""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from fleet.api import rules, schema
from fleet.api.columns import KINDS, Definition
from fleet.cli import crds

CRDS = Path(__file__).parent.parent / "crds"
MACROS = {"has", "all", "exists", "exists_one", "map", "filter"}
STANDARD = {"size", "type", "int", "string", "matches", "startsWith", "endsWith", "contains"}
OF_KUBERNETES = {"isSorted", "sum", "min", "max", "indexOf", "lastIndexOf", "find", "findAll"}
OF_1_28 = MACROS | STANDARD | OF_KUBERNETES
by_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.resource.kind)
Node = dict[str, Any]


def walk(node: Node, path: str = "") -> Iterator[tuple[str, Node]]:
    """Every schema inside `node` with its path; fields of items end in `[]`."""
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from walk(child, f"{path}.{name}")
    for key, mark in (("items", "[]"), ("additionalProperties", "{}")):
        if isinstance(node.get(key), dict):
            yield from walk(node[key], path + mark)


@cache
def whole(kind: Definition) -> dict[str, Node]:
    """The schemas of a kind by path."""
    return dict(walk(schema.openapi(kind.model)))


@cache
def ours(kind: Definition) -> dict[str, Node]:
    """Without what is inside pod templates."""
    return {path: node for path, node in whole(kind).items() if ".template." not in path}


def test_the_written_crds_are_what_the_models_generate() -> None:
    """[X9] Generated and shipped CRDs are identical."""
    assert crds.check(CRDS) == []


@pytest.mark.parametrize("path", sorted(CRDS.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_crd_fits_the_annotation_of_kubectl_apply(path: Path) -> None:
    assert path.stat().st_size < 200_000


@by_kind
def test_names_follow_the_design(kind: Definition) -> None:
    names = schema.crd(kind)["spec"]["names"]
    assert names["categories"] == ["kulta"]
    assert names["shortNames"] == [SHORT[kind.resource.kind]]


SHORT = {
    "MemberCluster": "mc",
    "Fleet": "fl",
    "Application": "fapp",
    "FleetRollout": "fr",
    "ClusterRollout": "crl",
    "Rollout": "ro",
}


@by_kind
def test_schemas_are_structural(kind: Definition) -> None:
    forbidden = {"title", "$ref", "$defs", "anyOf", "allOf", "oneOf", "const", "x-kulta-schema"}
    for path, node in whole(kind).items():
        assert not forbidden & node.keys(), path
        typed = {"type", "x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields"}
        assert typed & node.keys(), f"{path} has no type"
        assert not ("properties" in node and "additionalProperties" in node), path


BRIEF = "as explained under `"


@by_kind
def test_every_field_of_ours_is_explained(kind: Definition) -> None:
    """Those that stand in several places once, in the place that the others name."""
    nodes = ours(kind)
    brief = [path for path, node in nodes.items() if BRIEF in node.get("description", "")]
    silent = [
        path
        for path, node in nodes.items()
        if path.startswith((".spec", ".status"))
        and not path.startswith(tuple(f"{item}{joint}" for item in brief for joint in ".["))
        and not path.endswith(("[]", "{}"))
        and not node.get("description")
    ]
    assert silent == []


@by_kind
def test_columns_show_fields_that_exist(kind: Definition) -> None:
    known = ours(kind).keys() | {".metadata.creationTimestamp"}
    assert [column.path for column in kind.columns if column.path not in known] == []


def test_the_columns_of_a_run_are_those_of_the_design() -> None:
    (kind,) = (item for item in KINDS if item.resource.kind == "FleetRollout")
    narrow = [column.name.upper() for column in kind.columns if not column.wide]
    wide = [column.name.upper() for column in kind.columns if column.wide]
    assert " ".join(narrow) == (
        "APP REVISION PHASE WAVE UPDATED FAILED UNREACHABLE TRAFFIC REASON AGE"
    )
    assert " ".join(wide) == "STRATEGY STARTED NEXT-CHECK PREVIOUS"


def test_the_columns_of_a_rollout_are_those_of_the_reference() -> None:
    (kind,) = (item for item in KINDS if item.resource.kind == "Rollout")
    shown = [(column.name, column.type, column.path) for column in kind.columns if not column.wide]
    assert shown == [
        ("Desired", "integer", ".spec.replicas"),
        ("Current", "integer", ".status.replicas"),
        ("Ready", "integer", ".status.readyReplicas"),
        ("Phase", "string", ".status.phase"),
        ("Weight", "integer", ".status.currentWeight"),
        ("Age", "date", ".metadata.creationTimestamp"),
    ]


@by_kind
def test_only_a_cluster_rollout_is_merged_as_a_whole(kind: Definition) -> None:
    """Nobody but the hub writes it; of all others a server-side apply owns single fields."""
    whole_ones = [
        path
        for path, node in ours(kind).items()
        if path in (".spec", ".status") and node.get("x-kubernetes-map-type") == "atomic"
    ]
    expected = [".spec", ".status"] if kind.resource.kind == "ClusterRollout" else []
    assert whole_ones == expected


def unexplained(node: Any) -> Any:
    """Without descriptions, for which the older version has no room."""
    if isinstance(node, list):
        return [unexplained(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {key: value for key, value in node.items() if not _is_description(key, value)}
    return {key: unexplained(value) for key, value in kept.items()}


def _is_description(key: str, value: Any) -> bool:
    return key == "description" and isinstance(value, str)


def test_a_rollout_has_two_versions_of_one_schema_and_can_be_scaled() -> None:
    (kind,) = (item for item in KINDS if item.resource.kind == "Rollout")
    spec = schema.crd(kind)["spec"]
    older, stored = spec["versions"]
    assert (older["name"], stored["name"]) == ("v1alpha1", "v1beta1")
    assert [version["storage"] for version in (older, stored)] == [False, True]
    assert older["schema"] == unexplained(stored["schema"]), "descriptions aside"
    assert spec["conversion"] == {"strategy": "None"}
    assert stored["subresources"]["scale"]["labelSelectorPath"] == ".status.selector"


def test_the_pod_template_says_no_more_than_its_structure() -> None:
    nodes = list(walk(schema.pod_template()))
    assert [path for path, node in nodes if "description" in node] == []
    defaults = {path: node["default"] for path, node in nodes if "default" in node}
    assert set(defaults.values()) == {"TCP"}
    assert all(path.endswith(".ports[].protocol") for path in defaults)
    for path, node in nodes:
        for key in node.get("x-kubernetes-list-map-keys", ()):
            item = node["items"]
            assert key in item["required"] or "default" in item["properties"][key], path


def test_the_pod_template_of_a_caller_is_its_own() -> None:
    schema.pod_template()["properties"].clear()
    assert schema.pod_template()["properties"]


DEFAULTS = {
    ".spec.replicas": 1,
    ".spec.maxSurge": "25%",
    ".spec.maxUnavailable": "0",
    ".spec.progressDeadlineSeconds": 600,
    ".spec.scaleDownDelay": "30s",
    ".spec.revisionHistoryLimit": 10,
    ".spec.strategy.canary.port": 80,
    ".status.replicas": 0,
}


@pytest.mark.parametrize("path", DEFAULTS)
def test_defaults_that_users_see(path: str) -> None:
    (kind,) = (item for item in KINDS if item.resource.kind == "Rollout")
    assert ours(kind)[path]["default"] == DEFAULTS[path]


@pytest.mark.parametrize("path", [".spec.paused", ".spec.advisor", ".spec.fleetRevision"])
def test_defaults_that_say_nothing_are_left_out(path: str) -> None:
    (kind,) = (item for item in KINDS if item.resource.kind == "Rollout")
    assert "default" not in ours(kind)[path]


@by_kind
def test_rules_use_what_kubernetes_1_28_has(kind: Definition) -> None:
    for path, node in ours(kind).items():
        for item in node.get(rules.VALIDATIONS, ()):
            without_texts = re.sub(r"r?'[^']*'", "''", item["rule"])
            called = set(re.findall(r"(\w+)\(", without_texts))
            assert called <= OF_1_28, f"{path}: {called - OF_1_28}"


def test_a_rule_is_written_without_blanks_around_its_operators() -> None:
    airy = "!has(self.a) || self.b in ['x, y', r\" = \"] ? self.c == 1 : self.d <= 2"
    assert rules.compact(airy) == ("!has(self.a)||self.b in ['x, y',r\" = \"]?self.c==1:self.d<=2")


def test_a_pattern_is_written_with_short_digits() -> None:
    assert rules.compact("a.matches(r'^[0-9]+$') == ('[0-9]' == b)") == (
        r"a.matches(r'^\d+$')==('[0-9]'==b)"
    )


@by_kind
def test_a_rule_says_something_to_people(kind: Definition) -> None:
    for path, node in ours(kind).items():
        for item in node.get(rules.VALIDATIONS, ()):
            assert len(item["message"]) > 10, path
            assert "\n" not in item["message"], path
            field = item.get("fieldPath", "").removeprefix(".").split(".")[0]
            assert not field or field in node["properties"], path


def test_write_and_check_agree(tmp_path: Path) -> None:
    run = CliRunner().invoke(crds.app, ["write", str(tmp_path / "new")])
    assert run.exit_code == 0, run.output
    assert len(run.output.splitlines()) == len(KINDS)
    assert CliRunner().invoke(crds.app, ["check", str(tmp_path / "new")]).exit_code == 0


def test_check_names_every_file_that_is_wrong(tmp_path: Path) -> None:
    crds.write(tmp_path)
    (tmp_path / "fleets.yaml").unlink()
    (tmp_path / "rollouts.yaml").write_text("{}")
    (tmp_path / "bananas.yaml").write_text("{}")
    run = CliRunner().invoke(crds.app, ["check", str(tmp_path)])
    assert run.exit_code == 1
    said = run.output.replace(f"{tmp_path}/", "").splitlines()
    assert said == [
        "bananas.yaml belongs to no kind: remove it",
        "fleets.yaml is missing: run `fleet crds write`",
        "rollouts.yaml is not current: run `fleet crds write`",
    ]


def test_a_crd_is_one_line_of_json() -> None:
    for text in schema.files().values():
        assert text.count("\n") == 1
        assert json.loads(text)["kind"] == "CustomResourceDefinition"
