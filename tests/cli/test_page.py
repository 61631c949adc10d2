"""Lines on a terminal: what is too long for it goes on below, and nothing of it is lost."""

import pytest
from rich.text import Text

from fleet.cli import page


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        pytest.param("short", ["short"], id="what fits stays"),
        pytest.param(
            "    spec.steps[0] must be 0-100",
            ["    spec.steps[0]", "        must be", "        0-100"],
            id="further in than it begins",
        ),
        pytest.param("a" * 45, ["a" * 20, "    " + "a" * 16, "    " + "a" * 9], id="one long word"),
        pytest.param(
            "a\tb word word words", ["a       b word word", "    words"], id="a tab loses nothing"
        ),
        pytest.param("checkout Paused         ", ["checkout Paused"], id="blanks at the end"),
    ],
)
def test_a_line_is_folded(line: str, wanted: list[str]) -> None:
    assert [part.plain.rstrip() for part in page.folded(Text(line), 20)] == wanted


def test_colours_go_with_their_words() -> None:
    line = Text.assemble("a line that is ", ("too long", "red"))
    *_, last = page.folded(line, 16)
    assert [(last.plain[x.start : x.end], x.style) for x in last.spans] == [("too long", "red")]
