"""Clocks: the progress deadline, pauses and when to look again."""

from datetime import timedelta

import pytest

from fleet.api.rollout import Pause, RolloutStatus
from fleet.kulta.core.record import deadlines
from tests.conftest import NOON


@pytest.mark.parametrize(
    ("phase", "seconds", "late"),
    [
        pytest.param("Progressing", 0, False, id="[P1] just begun"),
        pytest.param("Progressing", 700, True, id="[P2] 700 seconds of 600"),
        pytest.param("Progressing", 600, False, id="[P3] exactly 600 is not late"),
        pytest.param("Progressing", 601, True, id="[P3] 601 is late"),
        pytest.param("Progressing", None, False, id="[P4] without a start"),
        pytest.param("Completed", 700, False, id="[P5] completed is never late"),
        pytest.param("Paused", 700, False, id="paused is never late"),
    ],
)
def test_deadline(phase: str, seconds: int | None, late: bool) -> None:
    started = None if seconds is None else NOON - timedelta(seconds=seconds)
    status = RolloutStatus(phase=phase, progress_started_at=started)
    assert deadlines.exceeded(status, 600, NOON) is late


def test_unreadable_start_is_no_start() -> None:
    """[P6] No crash, not late."""
    status = RolloutStatus.model_validate(
        {"phase": "Progressing", "progressStartedAt": "the day before yesterday"}
    )
    assert deadlines.exceeded(status, 600, NOON) is False


@pytest.mark.parametrize(
    ("duration", "elapsed", "left"),
    [
        pytest.param("10s", 2, 8, id="[Q1] two of ten seconds are over"),
        pytest.param("5m", 30, 270, id="[Q2] thirty seconds of five minutes are over"),
        pytest.param("1h", 0, 300, id="[Q3] never longer than five minutes"),
    ],
)
def test_next_look_at_a_pause(duration: str, elapsed: int, left: int) -> None:
    began = NOON - timedelta(seconds=elapsed)
    end = deadlines.pause_end(Pause(duration=duration), began)
    assert end is not None
    assert deadlines.next_look(end, NOON) - NOON == timedelta(seconds=left)


@pytest.mark.parametrize(
    ("pause", "began"),
    [
        pytest.param(None, NOON, id="no pause"),
        pytest.param(Pause(), NOON, id="a pause that a person ends"),
        pytest.param(Pause(duration="5m"), None, id="a pause that has not begun"),
    ],
)
def test_pause_without_an_end(pause: Pause | None, began: None) -> None:
    assert deadlines.pause_end(pause, began) is None
