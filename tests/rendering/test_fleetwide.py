"""What a whole fleet has in common is printed and read once, and each member gets its own."""

from typing import Any

import pytest

from fleet.api.fleetrollout import Snapshot
from fleet.api.names import CLUSTER_LABEL
from fleet.kit import hashing
from fleet.rendering import render
from fleet.rendering.environment import TemplateSet, environment
from tests.hub import gen
from tests.hub.world import TEMPLATES

MEMBERS = ("eu-1", "eu-2", "eu-3", "ap-1")
PATCH = [{"op": "replace", "path": "/workload/replicas", "value": 2}]
OVERRIDE = {"clusterSelector": {"matchLabels": {"region": "ap"}}, "patch": PATCH}


def templates(request: pytest.FixtureRequest, **changed: str) -> TemplateSet:
    """The shipped ones with these put in the place of theirs; in a sandbox of this test's own."""
    files = dict(TEMPLATES.files) | {f"{name}.yaml.j2": text for name, text in changed.items()}
    return TemplateSet.of(files | {"test.j2": request.node.name})


def rendered(given: TemplateSet, **spec: Any) -> list[tuple[render.Rendered, ...]]:
    snapshot = Snapshot(name="checkout", spec=gen.application(body={**gen.spec(), **spec}).spec)
    members = [gen.cluster(name, region=name.partition("-")[0]) for name in MEMBERS]
    return [render.render(given, gen.delivery(snapshot, member)) for member in members]


ABOUT = "{# about #}" + dict(TEMPLATES.files)["rollout.yaml.j2"]
INNER = {"services": "{% include 'inner.yaml.j2' %}", "inner": "# {{ cluster.name }}"}


@pytest.mark.parametrize(
    ("changed", "spec", "printed"),
    [
        pytest.param({}, {}, 1, id="the shipped ones name no cluster"),
        pytest.param({"rollout": "{# cluster #}" + ABOUT}, {}, 1, id="nor does a comment"),
        pytest.param({"rollout": "# {{ cluster.name }}\n" + ABOUT}, {}, 4, id="one that does"),
        pytest.param(INNER, {}, 4, id="one that is included does"),
        pytest.param({}, {"overrides": [OVERRIDE]}, 2, id="an override for one of them"),
    ],
)
def test_templates_are_printed_once_for_all_who_get_the_same(
    request: pytest.FixtureRequest, changed: dict[str, str], spec: dict[str, Any], printed: int
) -> None:
    given = templates(request, **changed)
    rendered(given, **spec)
    assert len(environment(given).kept) == printed


def test_each_member_has_its_own_labels_and_digests(request: pytest.FixtureRequest) -> None:
    found = rendered(templates(request))
    for name, objects in zip(MEMBERS, found, strict=True):
        for one in objects:
            assert one.manifest["metadata"]["labels"][CLUSTER_LABEL] == name
            meta = one.manifest["metadata"]
            notes = {key: text for key, text in meta["annotations"].items() if text != one.digest}
            whole = {**one.manifest, "metadata": {**meta, "annotations": notes}}
            assert one.digest == hashing.digest(whole)
    assert len({objects[0].digest for objects in found}) == len(MEMBERS)
    assert all(objects[0].manifest["spec"] is found[0][0].manifest["spec"] for objects in found)


def test_what_is_kept_is_bounded(request: pytest.FixtureRequest) -> None:
    given = templates(request)
    for replicas in range(render.KEPT // len(MEMBERS) + 2):
        workload = {**gen.spec()["workload"], "replicas": replicas}
        rendered(given, workload=workload)
    assert len(environment(given).kept) <= render.KEPT
