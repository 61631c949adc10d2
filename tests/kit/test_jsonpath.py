"""Paths into JSON documents."""

from typing import Any

import pytest

from fleet.kit import jsonpath

DOCUMENT = {"data": {"items": [{"rate": 1.5}, {"rate": 2.5}], "a b": 3, "x-y": 4}}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        pytest.param("$.data.items[0].rate", 1.5, id="members and an index"),
        pytest.param("{.data.items[-1].rate}", 2.5, id="in braces, from the end"),
        pytest.param("data['a b']", 3, id="a quoted member"),
        pytest.param('$["data"].x-y', 4, id="a member with a dash"),
        pytest.param("$", DOCUMENT, id="the whole document"),
        pytest.param("$.data.items[2].rate", None, id="an item that is not there"),
        pytest.param("$.other.rate", None, id="a member that is not there"),
        pytest.param("$.data[0]", None, id="an index into an object"),
        pytest.param("$.data.items.rate", None, id="a member of a list"),
    ],
)
def test_pick(path: str, value: Any) -> None:
    assert jsonpath.pick(DOCUMENT, jsonpath.parse(path)) == value


@pytest.mark.parametrize("path", ["$.items[*].rate", "$..rate", "$.a[?(@.b)]", "$.a b", "[0"])
def test_what_names_no_single_value_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="is no path: write the way to one number"):
        jsonpath.parse(path)
