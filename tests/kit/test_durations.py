"""Durations: what is accepted, what is refused with which words, how they are shown."""

import re
from datetime import timedelta

import pytest

from fleet.kit import durations


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        pytest.param("30s", 30, id="[D1] 30s is thirty seconds"),
        pytest.param("5m", 300, id="[D1] 5m is five minutes"),
        pytest.param("2h", 7_200, id="[D1] 2h is two hours"),
        pytest.param("1s", 1, id="[D2] one second is the shortest"),
        pytest.param("86400s", 86_400, id="[D2] a day may be written in seconds"),
        pytest.param("1m", 60, id="[D2] one minute"),
        pytest.param("1440m", 86_400, id="[D2] a day may be written in minutes"),
        pytest.param("1h", 3_600, id="[D2] one hour"),
        pytest.param("24h", 86_400, id="[D2] a day may be written in hours"),
        pytest.param("168h", 604_800, id="[D2] a week may be written in hours"),
        pytest.param(" 30s ", 30, id="[D6] blanks around it are ignored"),
        pytest.param("7d", 604_800, id="[D9] 7d is a week"),
        pytest.param("1d", 86_400, id="1d is a day"),
        pytest.param("+5m", 300, id="a leading plus is accepted"),
        pytest.param("007s", 7, id="leading zeros mean nothing"),
    ],
)
def test_accepted(text: str, seconds: int) -> None:
    assert durations.parse(text) == timedelta(seconds=seconds)
    assert re.search(durations.PATTERN, text)
    assert re.search(durations.EXACT, text, re.ASCII)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("0s", id="[D3] zero seconds are refused"),
        pytest.param("86401s", id="[D4] more seconds than a day has"),
        pytest.param("1441m", id="[D4] more minutes than a day has"),
        pytest.param("169h", id="[D4] more hours than a week has"),
        pytest.param("8760h", id="[D4] a year in hours"),
        pytest.param("", id="[D5] nothing"),
        pytest.param("s", id="[D5] a unit alone"),
        pytest.param("5x", id="[D5] an unknown unit"),
        pytest.param("1h30m", id="[D7] two units"),
        pytest.param("1.5h", id="[D7] a fraction"),
        pytest.param("-5s", id="[D7] a negative number"),
        pytest.param("5 s", id="[D7] a blank inside"),
        pytest.param("10ms", id="[D7] milliseconds"),
        pytest.param("5S", id="[D7] a capital unit"),
        pytest.param("5µ", id="[D8] a unit of two bytes"),
        pytest.param("5秒", id="[D8] a unit of three bytes"),
        pytest.param("٥s", id="digits of another script"),
        pytest.param("8d", id="more days than a week has"),
        pytest.param("0m", id="zero minutes"),
        pytest.param("5s\n5s", id="two lines"),
    ],
)
def test_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write a whole number and one unit") as refusal:
        durations.parse(text)
    assert repr(text) in str(refusal.value)
    assert not re.search(durations.EXACT, text, re.ASCII)


@pytest.mark.parametrize("text", ["0s", "+00s", " 0s "])
def test_only_a_delay_may_be_zero(text: str) -> None:
    assert durations.parse(text, allow_zero=True) == timedelta(0)
    assert re.search(durations.ROUGH_OR_ZERO, text, re.ASCII)
    assert not re.search(durations.EXACT, text, re.ASCII)


def test_zero_of_another_unit_is_no_delay() -> None:
    with pytest.raises(ValueError, match="out of range"):
        durations.parse("0m", allow_zero=True)
    assert not re.search(durations.ROUGH_OR_ZERO, "0m", re.ASCII)


NUMBERS = (*range(2_000), *range(7_990, 8_010), *range(85_900, 86_600), 100_000, 864_000)


@pytest.mark.parametrize("unit", "smhdw")
def test_the_servers_expression_accepts_what_parse_accepts(unit: str) -> None:
    def is_accepted(text: str) -> bool:
        try:
            durations.parse(text)
        except ValueError:
            return False
        return True

    texts = [f"{number}{unit}" for number in NUMBERS]
    differing = [
        text for text in texts if is_accepted(text) != bool(re.search(durations.EXACT, text))
    ]
    assert differing == []


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        pytest.param(-5, "0s", id="never negative"),
        pytest.param(45.9, "45s", id="seconds are cut"),
        pytest.param(119, "119s", id="seconds up to two minutes"),
        pytest.param(120, "2m", id="whole minutes have no seconds"),
        pytest.param(125, "2m5s", id="few minutes show seconds"),
        pytest.param(725, "12m", id="many minutes do not"),
        pytest.param(11_400, "3h10m", id="hours and minutes"),
        pytest.param(10_800, "3h", id="whole hours"),
        pytest.param(187_200, "2d4h", id="days and hours"),
        pytest.param(172_800, "2d", id="whole days"),
    ],
)
def test_shown_to_people(seconds: float, text: str) -> None:
    assert durations.format_short(timedelta(seconds=seconds)) == text
