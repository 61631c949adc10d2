"""Who belongs to a fleet, and why the others do not."""

from typing import Any

import pytest

from fleet.hub.core.member import selection
from tests.hub import gen

MEMBERS = {
    name: gen.member(name, **labels)
    for name, labels in {"a": {"region": "eu"}, "b": {"region": "ap"}, "c": {}}.items()
}


@pytest.mark.parametrize(
    ("members", "chosen"),
    [
        pytest.param({"names": ["c", "a"]}, ["a", "c"], id="by name, in the order of names"),
        pytest.param({"clusterSelector": {"matchLabels": {"region": "eu"}}}, ["a"], id="by label"),
        pytest.param(
            {"names": ["c"], "clusterSelector": {"matchLabels": {"region": "ap"}}},
            ["b", "c"],
            id="both are a union",
        ),
        pytest.param({"clusterSelector": {}}, [], id="an empty selector matches nobody"),
        pytest.param({}, [], id="neither is an empty fleet"),
    ],
)
def test_who_belongs(members: dict[str, Any], chosen: list[str]) -> None:
    fleet = gen.fleet(members=members)
    assert list(selection.select(fleet, MEMBERS).chosen) == chosen  # type: ignore[arg-type]


def test_everybody_else_has_a_reason() -> None:
    fleet = gen.fleet(members={"names": ["a", "z"]})
    left = selection.select(fleet, MEMBERS).left_out  # type: ignore[arg-type]
    assert left == {
        "b": "b is neither named nor selected by fleet production",
        "c": "c is neither named nor selected by fleet production",
        "z": "z is named by fleet production, but there is no MemberCluster of that name",
    }


def test_a_member_that_is_being_deleted_receives_nothing() -> None:
    body = gen.cluster("a").model_dump()
    body["metadata"]["deletion_timestamp"] = "2026-11-20T12:00:00Z"
    going = type(gen.cluster("a")).model_validate(body)
    member = type(MEMBERS["a"])(cluster=going, reachable=True, fresh=True)
    answer = selection.select(gen.fleet(members={"names": ["a"]}), {"a": member})  # type: ignore[dict-item]
    assert (answer.chosen, answer.left_out["a"]) == ((), "a is being deleted")
