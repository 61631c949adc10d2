"""Kubernetes Events of decisions: kind, reason, message, and how long they are worth telling."""

from datetime import timedelta

import pytest

from fleet.api.rollout import Decision, Phase
from fleet.kulta.core.messages import notices
from fleet.kulta.core.messages.emit import Emit
from fleet.kulta.core.messages.transition import Transition
from tests import gen
from tests.conftest import NOON


def decided(action: str) -> Transition:
    made = Decision(
        sequence=1, timestamp=NOON, action=action, reason="Why", message="so", phase=Phase.PAUSED
    )
    return Transition(rollout=gen.rollout(), decision=made)


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        pytest.param("Rollback", "Warning", id="what went badly is a warning"),
        pytest.param("Promotion", "Normal", id="all else is not"),
    ],
)
def test_event(action: str, kind: str) -> None:
    found = notices.of(decided(action), NOON)
    assert found == Emit(kind=kind, reason=action, message="Why: so")


@pytest.mark.parametrize(
    ("age", "is_told"),
    [
        pytest.param(timedelta(minutes=59, seconds=59), True, id="within the hour"),
        pytest.param(timedelta(hours=1), False, id="a server would have forgotten it"),
    ],
)
def test_old_news_is_not_told(age: timedelta, is_told: bool) -> None:
    assert (notices.of(decided("Rollback"), NOON + age) is not None) is is_told
