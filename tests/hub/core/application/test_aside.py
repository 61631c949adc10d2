"""What belongs to a revision: what clusters receive, and no word of what nobody asked for."""

from typing import Any

import pytest

from fleet.hub.core.application import aside
from tests.hub import gen

STRATEGY = {"canary": {"steps": [{"setWeight": 20}, {"setWeight": 100}]}}


def inside(**policy: Any) -> Any:
    return aside.content(gen.application(**{"strategy": STRATEGY, **policy}).spec)["deliveryPolicy"]


def test_a_field_that_nobody_uses_makes_no_new_revision() -> None:
    assert inside()["strategy"]["canary"].keys() == {"steps"}
    assert inside(rollout={}) == inside(rollout={"rollbackWindow": 0}) == inside()


@pytest.mark.parametrize(
    "policy",
    [
        pytest.param({"rollout": {"rollbackWindow": 1}}, id="something for any strategy"),
        pytest.param(
            {"strategy": {"canary": {**STRATEGY["canary"], "readyThreshold": 80}}},
            id="something of the strategy",
        ),
    ],
)
def test_what_the_engines_are_told_makes_a_revision(policy: dict[str, Any]) -> None:
    assert inside(**policy) != inside()


def test_what_the_engines_are_told_stands_in_it_by_its_name() -> None:
    hook = {"name": "gate", "url": "http://gate.ops/"}
    found = inside(rollout={"rollbackWindow": 1}, hooks=[hook])
    assert found.keys() == {"strategy", "rollout", "hooks"}
    assert found["rollout"] == {"rollbackWindow": 1}
    assert [one["name"] for one in found["hooks"]] == ["gate"]


def test_the_order_of_clusters_makes_none() -> None:
    assert inside(waves=[{"name": "all", "remaining": True}], maxConcurrency=2) == inside()
