"""JSON patches per cluster: who gets them, and the sentence for one that does not fit."""

from typing import Any

import pytest

from fleet.errors import UserError
from fleet.rendering import overrides
from tests.hub import gen

REGION = {"matchLabels": {"region": "ap"}}


def patched(*patch: dict[str, Any], region: str = "ap") -> dict[str, Any]:
    body = gen.spec() | {"overrides": [{"clusterSelector": REGION, "patch": list(patch)}]}
    spec = gen.application(body=body).spec
    return overrides.plain(overrides.apply(spec, {"region": region}))


@pytest.mark.parametrize(
    ("region", "replicas"),
    [pytest.param("ap", 2, id="it matches"), pytest.param("eu", 4, id="it does not")],
)
def test_a_patch_is_for_those_whom_it_selects(region: str, replicas: int) -> None:
    change = {"op": "replace", "path": "/workload/replicas", "value": 2}
    assert patched(change, region=region)["workload"]["replicas"] == replicas


def test_what_nobody_wrote_can_be_replaced() -> None:
    change = {"op": "replace", "path": "/workload/service/port", "value": 81}
    assert patched(change)["workload"]["service"]["port"] == 81


def test_patches_follow_each_other() -> None:
    first = {"op": "add", "path": "/workload/template/metadata/labels/a", "value": "1"}
    second = {"op": "replace", "path": "/workload/template/metadata/labels/a", "value": "2"}
    assert patched(first, second)["workload"]["template"]["metadata"]["labels"]["a"] == "2"
    third = {"op": "remove", "path": "/workload/template/metadata/labels/a"}
    assert "a" not in patched(first, third)["workload"]["template"]["metadata"]["labels"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(
            {"op": "replace", "path": "/workload/nothing", "value": 1},
            "spec.overrides[0].patch[0]: replace /workload/nothing: can't replace a non-existent "
            "object 'nothing'; write op: add for a field that is not there yet",
            id="a field that is not there",
        ),
        pytest.param(
            {"op": "add", "path": "/workload/nothing", "value": 1},
            "after spec.overrides: spec.workload.nothing: unknown field",
            id="a field that must not be there",
        ),
        pytest.param(
            {"op": "replace", "path": "/deliveryPolicy/waves", "value": []},
            "spec.overrides[0].patch[0].path: /deliveryPolicy/waves is the same for all clusters: "
            "a patch may change /workload, /deliveryPolicy/strategy and /deliveryPolicy/rollout",
            id="the order of clusters",
        ),
    ],
)
def test_refusals(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        patched(change)
    assert (caught.value.reason, str(caught.value)) == ("InvalidSpec", message)
