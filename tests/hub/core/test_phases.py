"""The tables of phases: what may follow what, and what an illegal move says."""

import pytest

from fleet.api.fleetrollout import ClusterPhase, RunPhase
from fleet.errors import UnexpectedState
from fleet.hub.core import phases


@pytest.mark.parametrize("table", [phases.RUN_MOVES, phases.CLUSTER_MOVES], ids=["run", "cluster"])
def test_every_phase_has_its_row(table: object) -> None:
    phase = RunPhase if table is phases.RUN_MOVES else ClusterPhase
    assert set(table) == set(phase)  # type: ignore[call-overload]


@pytest.mark.parametrize("end", [RunPhase.SUPERSEDED, RunPhase.ROLLED_BACK])
def test_nothing_follows_some_ends(end: RunPhase) -> None:
    assert phases.RUN_MOVES[end] == frozenset()


def test_a_run_that_was_given_up_can_only_go_back() -> None:
    after = {RunPhase.ROLLING_BACK, RunPhase.ROLLED_BACK}
    assert phases.RUN_MOVES[RunPhase.ABORTED] == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(None, RunPhase.PLANNED, id="the beginning"),
        pytest.param(RunPhase.HALTED, RunPhase.HALTED, id="staying"),
        pytest.param(RunPhase.HALTED, RunPhase.PROGRESSING, id="a halt is not final"),
        pytest.param(
            RunPhase.SUCCEEDED_WITH_FAILURES, RunPhase.PROGRESSING, id="a retry opens it again"
        ),
    ],
)
def test_legal_moves(before: RunPhase | None, after: RunPhase) -> None:
    assert phases.move(phases.RUN_MOVES, before, after, "run checkout-1") is after


def test_an_illegal_move_names_both_phases_and_the_object() -> None:
    with pytest.raises(UnexpectedState, match="run checkout-1: Succeeded cannot become Soaking"):
        phases.move(phases.RUN_MOVES, RunPhase.SUCCEEDED, RunPhase.SOAKING, "run checkout-1")


def test_a_cluster_that_has_succeeded_is_not_lost() -> None:
    assert ClusterPhase.UNREACHABLE not in phases.CLUSTER_MOVES[ClusterPhase.SUCCEEDED]
