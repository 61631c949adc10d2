"""What a shell is offered without asking anybody."""

import pytest

from tests.shell import fleet


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        pytest.param("fleet get -o ", "table wide json yaml name", id="the forms of a command"),
        pytest.param("fleet watch x -o w", "wide", id="that begin so"),
        pytest.param(
            "fleet wait x --for su", "succeeded succeededwithfailures superseded", id="ends"
        ),
        pytest.param("fleet approv", "approve", id="commands"),
    ],
)
def test_words_of_a_list(line: str, offered: str) -> None:
    words = line.split(" ")
    done = fleet(COMP_WORDS=line, COMP_CWORD=str(len(words) - 1), _FLEET_COMPLETE="complete_bash")
    assert done.stdout.split() == offered.split()
