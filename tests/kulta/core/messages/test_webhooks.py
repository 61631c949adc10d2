"""What hooks are asked and told, member by member."""

from typing import Any

import pytest

from fleet.api.rollout import Decision, Phase
from fleet.kulta.core.messages import webhooks
from fleet.kulta.core.messages.transition import Transition
from fleet.kulta.core.messages.webhooks import Errand
from fleet.kulta.core.observed import Inquiry
from tests import gen
from tests.conftest import NOON

URL = "https://hooks.example.com/check"
STATUS = {"phase": "Paused", "currentStepIndex": 1, "currentWeight": 20}
ABOUT = {"name": gen.NAME, "namespace": gen.NAMESPACE}


def hook(type_: str | None) -> dict[str, Any]:
    return {"name": "gate", "url": URL, "type": type_, "metadata": {"team": "shop"}}


@pytest.mark.parametrize(
    ("type_", "said"),
    [
        pytest.param("pre-rollout", "pre-rollout", id="at a point of the way"),
        pytest.param(None, "step", id="by the steps that name it"),
    ],
)
def test_question(type_: str | None, said: str) -> None:
    rollout = gen.rollout(hooks=[hook(type_)], status=STATUS)
    inquiry = Inquiry(hook="gate", url=URL, revision="6e02da7a3b", point="pods")
    asked = webhooks.question(Errand(inquiry=inquiry, hook=rollout.spec.hooks[0], rollout=rollout))
    assert asked == {
        **ABOUT,
        "hook": "gate",
        "type": said,
        "checksum": "6e02da7a3b",
        "phase": "Paused",
        "step": 1,
        "weight": 20,
        "metadata": {"team": "shop"},
    }


@pytest.mark.parametrize(
    ("action", "phase", "kind", "hooks"),
    [
        pytest.param("Complete", Phase.COMPLETED, "Normal", ["event", "post-rollout"], id="an end"),
        pytest.param(
            "Rollback", Phase.FAILED, "Warning", ["event", "post-rollout"], id="a bad end"
        ),
        pytest.param("Rollback", Phase.PROGRESSING, "Warning", ["event"], id="back, not done yet"),
        pytest.param("Conclude", Phase.CONCLUDED, "Normal", ["event"], id="a person comes next"),
    ],
)
def test_who_is_told_what(action: str, phase: Phase, kind: str, hooks: list[str]) -> None:
    made = Decision(
        sequence=1,
        timestamp=NOON,
        action=action,
        reason="Because",
        message="it was time",
        revision="6e02da7a3b",
        to_step=1,
        weight=20,
        phase=phase,
    )
    rollout = gen.rollout(hooks=[hook(item) for item in ("event", "post-rollout", "rollback")])
    transition = Transition(rollout=rollout, decision=made)
    said = dict((called.type, body) for called, body in webhooks.told(transition))
    assert list(said) == hooks
    assert said["event"] == {
        **ABOUT,
        "hook": "gate",
        "type": "event",
        "checksum": "6e02da7a3b",
        "phase": phase.value,
        "id": transition.uuid,
        "action": action,
        "reason": "Because",
        "step": 1,
        "weight": 20,
        "metadata": {
            "team": "shop",
            "eventMessage": "it was time",
            "eventType": kind,
            "timestamp": "2026-11-20T12:00:00Z",
        },
    }
