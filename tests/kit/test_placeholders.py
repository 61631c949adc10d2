"""Placeholders in what users write."""

import pytest

from fleet.kit import placeholders

VALUES = {"canary": 'a"b', "window": "2m"}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        pytest.param("up", (), id="none"),
        pytest.param("{{ canary }} {{window}}", ("canary", "window"), id="with blanks and without"),
        pytest.param("{{ Canary.Name }}", ("Canary.Name",), id="whatever stands there"),
        pytest.param('up{a="{{ x }}"}', ("x",), id="beside the braces of a query"),
        pytest.param("{{ x }}{{ x }}", ("x", "x"), id="twice"),
        pytest.param("{{}}", ("",), id="nothing"),
    ],
)
def test_names(text: str, names: tuple[str, ...]) -> None:
    assert placeholders.names(text) == names


@pytest.mark.parametrize(
    ("text", "result"),
    [
        pytest.param("x[{{ window }}]", "x[2m]", id="a known name"),
        pytest.param('{a="{{ canary }}"}', '{a="a!b"}', id="escaped"),
        pytest.param("{{ other }}", "{{ other }}", id="an unknown name stays"),
    ],
)
def test_filled(text: str, result: str) -> None:
    assert placeholders.filled(text, VALUES, lambda value: value.replace('"', "!")) == result
