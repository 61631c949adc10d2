"""The table of phases: what is legal, and what is loud."""

import pytest

from fleet.api.rollout import Phase
from fleet.errors import UnexpectedState
from fleet.kulta.core import phases

PAIRS = [(before, after) for before in (None, *Phase) for after in Phase]


@pytest.mark.parametrize(("before", "after"), PAIRS, ids=str)
def test_moves_follow_the_table(before: Phase | None, after: Phase) -> None:
    if before is after or after in phases.MOVES[before]:
        assert phases.move(before, after, "checkout") is after
    else:
        with pytest.raises(UnexpectedState, match="checkout") as error:
            phases.move(before, after, "checkout")
        assert str(after) in str(error.value)


def test_every_phase_stands_in_the_table() -> None:
    assert set(phases.MOVES) == {None, *Phase}


@pytest.mark.parametrize("phase", sorted(phases.ENDS))
def test_an_end_is_left_by_a_new_beginning_only(phase: Phase) -> None:
    """Or by a rollback, while the pods of the revision before are still there."""
    assert phases.MOVES[phase] - {Phase.FAILED} == {Phase.PROGRESSING}
    assert not phases.is_active(phase)
