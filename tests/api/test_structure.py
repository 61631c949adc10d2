"""What a structural schema says against a value: each keyword that our schemas use."""

import json
from typing import Any

import pytest

from fleet.api import structure

PORTS = {
    "type": "array",
    "x-kubernetes-list-map-keys": ["port", "protocol"],
    "items": {
        "type": "object",
        "properties": {
            "port": {"type": "integer"},
            "protocol": {"type": "string", "default": "TCP"},
        },
    },
}


def told(schema: dict[str, Any], value: Any) -> list[str]:
    return [str(item) for item in structure.problems(schema, value, "spec.x")]


def fields(**known: Any) -> dict[str, Any]:
    return {"type": "object", "properties": known}


BAD = [
    pytest.param({"type": "integer"}, "3", "spec.x must be a whole number (is '3')", id="a text"),
    pytest.param({"type": "integer"}, True, "spec.x must be a whole number (is True)", id="true"),
    pytest.param({"type": "string"}, 3, "spec.x must be a text: put it into quotes (is 3)", id="3"),
    pytest.param({"type": "boolean"}, "yes", "spec.x must be true or false (is 'yes')", id="yes"),
    pytest.param({"type": "array"}, {}, "spec.x must be a list (is {})", id="no list"),
    pytest.param(fields(), [], "spec.x must be an object (is [])", id="no object"),
    pytest.param(
        fields(duration={}), "5m", "spec.x must be an object with duration (is '5m')",
        id="the one value of an object",
    ),
    pytest.param(
        {"type": "string", "x-kubernetes-validations": [{"rule": "", "message": "write 5m"}]}, 300,
        "spec.x must be a text: put it into quotes (is 300): write 5m", id="a number for a form",
    ),
    pytest.param({"type": "integer", "minimum": 1}, 0, "spec.x must be >= 1 (is 0)", id="too low"),
    pytest.param({"type": "integer", "maximum": 1}, 2, "spec.x must be <= 1 (is 2)", id="too high"),
    pytest.param(
        {"type": "string", "enum": ["A", "B"]}, "C", "spec.x must be one of A, B (is 'C')", id="C"
    ),
    pytest.param(
        {"type": "string", "minLength": 1}, "", "spec.x must have at least 1 character (is '')",
        id="an empty text",
    ),
    pytest.param(
        {**fields(a={}, b={}), "minProperties": 1}, {},
        "spec.x must have at least 1 key: write one of a, b (is {})", id="an empty object",
    ),
    pytest.param(
        {"type": "array", "maxItems": 2}, [1, 2, 3],
        "spec.x must have at most 2 items, it has 3", id="too many",
    ),
    pytest.param(
        {"type": "string", "pattern": "^a$"}, "b", "spec.x must match ^a$ (is 'b')", id="a pattern"
    ),
    pytest.param(
        {"x-kubernetes-int-or-string": True, "pattern": "^[0-9]+(Mi)?$"}, "256mb",
        "spec.x must be a quantity, for example 2, 500m or 256Mi (is '256mb')", id="a unit",
    ),
    pytest.param(
        {"x-kubernetes-int-or-string": True, "pattern": "^[0-9]+m?$"}, 0.5,
        "spec.x must be a quantity, for example 2, 500m or 256Mi (is 0.5)", id="half a CPU",
    ),
    pytest.param(
        {"x-kubernetes-int-or-string": True}, [],
        "spec.x must be a whole number or a text (is [])", id="neither number nor text",
    ),
    pytest.param(
        {**fields(a={"type": "string"}), "required": ["a"]}, {"a": None},
        "spec.x.a is required", id="a null where something is needed",
    ),
    pytest.param(
        fields(replicas={"type": "integer"}), {"replica": 1},
        "spec.x.replica: unknown field; did you mean replicas?", id="a typing error",
    ),
    pytest.param(
        fields(a={"type": "string"}), {"zzz": 1}, "spec.x.zzz: unknown field", id="any other field"
    ),
    pytest.param(
        {"type": "object", "additionalProperties": {"type": "string"}}, {"a": 1},
        "spec.x.a must be a text: put it into quotes (is 1)", id="a wrong value of a map",
    ),
    pytest.param(
        PORTS, [{"port": 1}, {"port": 1, "protocol": "TCP"}],
        "spec.x[1] comes twice (port 1, protocol TCP): keep one", id="twice, by its default",
    ),
    pytest.param(
        {"type": "string", "maxLength": 3}, "y" * 100,
        "spec.x must have at most 3 characters, it has 100", id="a long value is not repeated",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "value", "words"), BAD)
def test_a_wrong_value_has_one_problem(schema: dict[str, Any], value: Any, words: str) -> None:
    assert told(schema, value) == [words]


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        pytest.param({"type": "number"}, 3, id="a whole number is a number"),
        pytest.param({"x-kubernetes-int-or-string": True}, "25%", id="a percentage"),
        pytest.param(fields(a={"type": "string"}), {"a": None}, id="a null is no value"),
        pytest.param({"type": "object"}, {"any": "thing"}, id="an object of unknown fields"),
        pytest.param(PORTS, [{"port": 1}, {"port": 1, "protocol": "UDP"}], id="two of one number"),
        pytest.param({}, object(), id="a schema that says nothing"),
    ],
)
def test_a_good_value_has_none(schema: dict[str, Any], value: Any) -> None:
    assert told(schema, value) == []


@pytest.mark.parametrize(
    ("schema", "value", "back"),
    [
        pytest.param(PORTS, [{"port": 1}], [{"port": 1, "protocol": "TCP"}], id="a default"),
        pytest.param(
            PORTS, [{"protocol": "UDP", "port": 1}], [{"port": 1, "protocol": "UDP"}], id="a value"
        ),
        pytest.param(
            PORTS, [{"port": 1, "protocol": None}], [{"port": 1, "protocol": "TCP"}], id="a null"
        ),
        pytest.param(
            {"type": "object", "additionalProperties": PORTS},
            {"b": [{"port": 1}], "a": []},
            {"a": [], "b": [{"port": 1, "protocol": "TCP"}]},
            id="within a map",
        ),
        pytest.param({}, {"b": 1, "a": [2]}, {"a": [2], "b": 1}, id="what no schema describes"),
    ],
)
def test_a_value_comes_back_with_defaults_and_its_keys_in_order(
    schema: dict[str, Any], value: Any, back: Any
) -> None:
    found = structure.stored(schema, value)
    assert json.dumps(found) == json.dumps(back)


def test_a_part_that_stands_in_many_places_is_looked_at_once() -> None:
    """Of 2 to the power of 99 places the first is told."""
    part: Any = {7: "x"}
    for _ in range(99):
        part = [part, part]
    told = [str(item) for item in structure.unquoted({"a": part, "b": part}, "spec")]
    where = f"spec.a{'[0]' * 99}"
    assert told == [f"{where} has a key that is no text: put it into quotes (is 7)"]
