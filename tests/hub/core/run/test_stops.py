"""The words of a gate; what gates do is told in `test_plan`."""

import pytest

from fleet.api.names import ClusterName
from fleet.hub.core.cluster.persons import Awaited
from fleet.hub.core.run import stops
from fleet.hub.core.run.row import Row


@pytest.mark.parametrize(
    ("step", "text"),
    [
        pytest.param("2/4", "a (step 2/4)", id="a number of a number is a step"),
        pytest.param("preview", "a (preview)", id="a name says enough"),
        pytest.param("", "a", id="a strategy without steps"),
    ],
)
def test_where_a_cluster_is(step: str, text: str) -> None:
    assert stops.places([Row(name=ClusterName("a"), wave="all", step=step)]) == text


@pytest.mark.parametrize(
    ("awaits", "text", "unblock"),
    [
        pytest.param(
            ("", ""), "waiting for a, b", "the end of one of them, or its deadline", id="nobody"
        ),
        pytest.param(
            ("", "promote"), "waiting for a, b; b stands",
            "the end of one of them, or its deadline",
            id="one of them",
        ),
        pytest.param(
            ("conclude", "promote"), "waiting for a, b; b stands", "the request promote/<id>/all",
            id="all, and who goes on for good is told of first",
        ),
        pytest.param(
            ("conclude", "conclude"), "waiting for a, b; a stands", "the request conclude/<id>/all",
            id="experiments",
        ),
    ],
)  # fmt: skip
def test_what_a_person_may_do(awaits: tuple[Awaited, Awaited], text: str, unblock: str) -> None:
    rows = [
        Row(name=ClusterName(name), wave="all", awaits=verb, message="stands")
        for name, verb in zip("ab", awaits, strict=True)
    ]
    stop = stops.waiting_for(rows)
    assert (stop.message, stop.unblock) == (text, unblock)


def test_where_a_weight_waits() -> None:
    rows = [Row(name=ClusterName(name), wave="all", weight_waits=name > "a") for name in "abcde"]
    assert stops.waiting_for(rows[:2]).message == (
        "waiting for a, b; externalWeight only falls in b until a run brings its other inputs"
    )
    assert "falls in b, c, d and 1 more until" in stops.waiting_for(rows).message
