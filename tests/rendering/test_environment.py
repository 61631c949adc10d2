"""The sandbox: what its filters print, what it refuses, and what makes two sets the same."""

from typing import Any

import pytest
import yaml
from jinja2 import UndefinedError

from fleet.rendering.environment import TemplateSet, environment

TRICKY = {"a": 'x: "y"\n- z', "b": [1, True, None, {"c": "{{ d }}"}], "ü": "€"}


def printed(text: str, **values: Any) -> str:
    return environment(TemplateSet.of({"t.j2": text})).get_template("t.j2").render(**values)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("x: {{ value | to_json }}", id="JSON in its place"),
        pytest.param("x:\n  {{ value | to_yaml(indent=2) }}", id="block YAML, indented"),
    ],
)
def test_a_value_comes_out_as_it_went_in(text: str) -> None:
    assert yaml.safe_load(printed(text, value=TRICKY)) == {"x": TRICKY}


@pytest.mark.parametrize("text", ["{{ x }}", "{{ x | to_json }}", "{{ x | to_yaml }}", "{{ x.y }}"])
def test_an_unknown_name_is_an_error(text: str) -> None:
    with pytest.raises(UndefinedError):
        printed(text)


def test_plain_values_are_printed() -> None:
    assert printed("{{ a }}{{ b }}{{ c }}", a=1, b="x", c=True) == "1xTrue"


def test_equal_texts_are_one_set() -> None:
    one, two = TemplateSet.of({"a": "1", "b": "2"}), TemplateSet.of({"b": "2", "a": "1"})
    assert one == two
    assert one.digest == two.digest != TemplateSet.of({"a": "1"}).digest
    assert one.names == ("a", "b")


def test_the_engine_is_no_part_of_the_digest_of_applications() -> None:
    one = TemplateSet.of({"a": "1", "engine/deployment.yaml.j2": "x"})
    assert one.digest == TemplateSet.of({"a": "1"}).digest
