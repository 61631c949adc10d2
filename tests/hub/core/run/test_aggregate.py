"""Rows to numbers and texts: each row in one box, traffic by replicas."""

import pytest

from fleet.api.fleetrollout import Appended, ClusterPhase, FleetRolloutStatus, Undo
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


def test_who_will_not_go_on_is_in_boxes_of_its_own() -> None:
    rows = (row("a", ClusterPhase.SKIPPED), row("b", ClusterPhase.ROLLED_BACK),
            row("c", ClusterPhase.PAUSED, counted=True), row("d", ClusterPhase.PAUSED))  # fmt: skip
    numbers = aggregate.counts(rows)
    assert (numbers.total, numbers.skipped, numbers.rolled_back) == (4, 1, 1)
    assert (numbers.failed, numbers.in_flight, numbers.pending) == (1, 1, 0)


def test_the_failed_come_first() -> None:
    shown, omitted = aggregate.listed(ROWS)
    assert ([item.name for item in shown], omitted) == (["d", "g", "f", "e", "b", "c"], 0)
    shown, omitted = aggregate.listed(ROWS, 2)
    assert ([item.name for item in shown], omitted) == (["d", "g"], 4)


def test_those_without_an_end_come_last() -> None:
    late = (row("x", ClusterPhase.SKIPPED), row("y", ClusterPhase.ROLLED_BACK), *ROWS)
    assert [item.name for item in aggregate.listed(late)[0]][-3:] == ["c", "x", "y"]


def test_a_cluster_is_listed_with_its_place_and_the_beginning_of_its_words() -> None:
    (shown,), _ = aggregate.listed([row("a", ClusterPhase.PAUSED, step="1/2", message="m" * 200)])
    assert (shown.name, shown.wave, shown.phase, shown.step) == ("a", "all", "Paused", "1/2")
    assert (len(shown.message), shown.message[:100]) == (160, "m" * 100)


def test_what_a_run_remembers_leaves_less_room_for_rows() -> None:
    names = [f"c{number}" for number in range(50)]
    full = FleetRolloutStatus(
        accepted=tuple(names[:10]),
        retrying=tuple(names[:20]),
        skipped=tuple(names[:30]),
        appended=tuple(Appended(name=name, wave="all") for name in names[:40]),
        undo=Undo(clusters=tuple(names)),
    )
    assert aggregate.room(full) == 85
    assert aggregate.room(FleetRolloutStatus()) == 100
    assert aggregate.room(FleetRolloutStatus(accepted=tuple(map(str, range(1_000))))) == 10


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
