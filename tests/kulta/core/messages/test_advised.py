"""What an advisor said, as an occurrence."""

from typing import Any

from fleet.kulta.core.messages import occurrences
from fleet.kulta.core.messages.advised import Advised
from fleet.kulta.core.observed import Recommendation
from tests.conftest import NOON
from tests.stories.test_engine_canary import running


def advised(level: str, action: str = "Rollback", **more: Any) -> Advised:
    """What an advisor said about shop:v2 at its first step."""
    world = running((20, None), 100)
    world.update(advisor={"level": level, "endpoint": "http://advisor:8080"})
    world.image("shop:v2")
    world.run(30)
    said = Recommendation(action=action, confidence=0.95, reasoning="errors grow", **more)
    return Advised(question=world.questions[0], recommendation=said, at=NOON)


def test_advice_is_an_occurrence_of_its_own() -> None:
    """[G4] Rollback, 95 % sure, metrics well: thresholds prevail."""
    found = occurrences.of_advice(advised("Advised"), "prod")
    assert (found["type"], found["severity"], found["outcome"]) == (
        "canary.advisor.recommendation",
        "info",
        "in_progress",
    )
    assert found["data"] == {
        "advisor": {
            "action": "Rollback",
            "confidence": 0.95,
            "reasoning": "errors grow",
            "threshold_healthy": True,
            "threshold_prevails": True,
        }
    }
    assert len(found["id"]) == 26
    assert found["context"]["cluster"] == "prod"
    assert found["context"]["entities"][0]["name"] == "checkout"


def test_advice_that_is_followed_does_not_leave_it_to_thresholds() -> None:
    found = occurrences.of_advice(advised("Driven", "Advance", to_weight=50))
    assert found["data"]["advisor"]["action"] == {"Advance": {"toWeight": 50}}
    assert found["data"]["advisor"]["threshold_prevails"] is False
