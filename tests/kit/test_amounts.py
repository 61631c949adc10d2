"""Amounts: a number or a percentage, rounded up for pods and down for clusters."""

import pytest

from fleet.kit import amounts


@pytest.mark.parametrize(
    ("text", "total", "up", "down"),
    [
        pytest.param("25%", 10, 3, 2, id="[D10] 25% of 10 pods are 3"),
        pytest.param("5", 10, 5, 5, id="[D10] 5 of 10 are 5"),
        pytest.param("0%", 10, 0, 0, id="[D10] 0% are none"),
        pytest.param("0", 10, 0, 0, id="[D10] 0 are none"),
        pytest.param("100%", 10, 10, 10, id="[D10] 100% are all"),
        pytest.param("invalid", 10, 0, 0, id="[D11] words are no pods"),
        pytest.param("-5", 10, 0, 0, id="[D11] a negative number is no pods"),
        pytest.param("150%", 10, 0, 0, id="[D11] more than 100% is no pods"),
        pytest.param(1, 10, 1, 1, id="[D12] a number of YAML is a number"),
        pytest.param(-1, 10, 0, 0, id="a negative number of YAML is none"),
        pytest.param("5%", 10, 1, 0, id="a budget of 5% of 10 clusters is none"),
        pytest.param("34%", 3, 2, 1, id="a third of three"),
        pytest.param("20", 10, 20, 20, id="a number may exceed the total"),
        pytest.param("1%", 0, 0, 0, id="a share of nothing is nothing"),
        pytest.param("٥", 10, 0, 0, id="digits of another script are refused"),
    ],
)
def test_rounding(text: str | int, total: int, up: int, down: int) -> None:
    assert (amounts.round_up(text, total), amounts.round_down(text, total)) == (up, down)


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("25%", True),
        (3, True),
        ("0", True),
        ("invalid", False),
        ("-5", False),
        (-5, False),
        ("150%", False),
        ("101%", False),
        ("1.5", False),
        (" 5", False),
        ("", False),
        ("%", False),
    ],
)
def test_what_is_an_amount(text: str | int, valid: bool) -> None:
    assert amounts.is_valid(text) is valid
