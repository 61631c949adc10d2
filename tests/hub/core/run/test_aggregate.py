"""Rows to numbers and texts: each row in one box, traffic by replicas."""

import pytest

from fleet.api.fleetrollout import ClusterPhase
from fleet.hub.core.run import aggregate
from fleet.hub.core.run.row import Row
from tests.hub import gen


def row(name: str, phase: ClusterPhase, **given: object) -> Row:
    return Row(name=name, wave="all", phase=phase, **given)  # type: ignore[arg-type]


ROWS = (
    row("a", ClusterPhase.SUCCEEDED, replicas=10, weight=100, mine=True),
    row("b", ClusterPhase.ANALYZING, replicas=10, weight=20, mine=True),
    row("c", ClusterPhase.PENDING, replicas=80),
    row("d", ClusterPhase.FAILED, mine=True),
    row("e", ClusterPhase.DEFERRED),
    row("f", ClusterPhase.UNREACHABLE, mine=True),
    row("g", ClusterPhase.TIMED_OUT, mine=True),
)


def test_every_row_is_in_one_box() -> None:
    numbers = aggregate.counts(ROWS)
    boxes = (numbers.updated, numbers.in_flight, numbers.failed, numbers.unreachable)
    assert (numbers.total, boxes, numbers.pending) == (7, (1, 1, 2, 2), 1)


def test_the_failed_come_first() -> None:
    shown, omitted = aggregate.listed(ROWS)
    assert ([item.name for item in shown], omitted) == (["d", "g", "f", "e", "b", "c"], 0)


@pytest.mark.parametrize(
    ("rows", "percent"),
    [
        pytest.param(ROWS, 12, id="by replicas: (10 × 100 + 10 × 20) / 100"),
        pytest.param((), 0, id="nobody"),
        pytest.param((row("a", ClusterPhase.SUCCEEDED),), 100, id="scaled to nothing and done"),
        pytest.param((row("a", ClusterPhase.PENDING),), 0, id="scaled to nothing and waiting"),
    ],
)
def test_traffic(rows: tuple[Row, ...], percent: int) -> None:
    assert aggregate.traffic(rows) == percent


def test_the_columns() -> None:
    run = gen.run(gen.wave("canary"), gen.wave("eu", "a"), gen.wave("rest"))
    spec = run.spec.model_copy(update={"revision": "6f9c2d81aa"})
    shown = aggregate.display(spec, ROWS, "eu")
    assert (shown.revision, shown.wave, shown.updated, shown.traffic, shown.strategy) == (
        "6f9c2d",
        "2/3 eu",
        "1/7",
        "12%",
        "canary",
    )
