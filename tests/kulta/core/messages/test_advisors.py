"""Answers of advisors: what makes sense of them, and what is kept.

What follows from advice is told in `tests/stories/test_engine_advice.py`.
"""

from typing import Any

import pytest

from fleet.api.advisor import Level
from fleet.kulta.core.messages import advisors
from fleet.kulta.core.observed import Recommendation


def answer(action: Any = "Continue", confidence: Any = 0.9, **more: Any) -> dict[str, Any]:
    return {"action": action, "confidence": confidence, "reasoning": "because", **more}


@pytest.mark.parametrize(
    ("said", "action", "weight"),
    [
        pytest.param("Continue", "Continue", None, id="go on"),
        pytest.param("Pause", "Pause", None, id="wait"),
        pytest.param("Rollback", "Rollback", None, id="take it back"),
        pytest.param({"Advance": {"toWeight": 40}}, "Advance", 40, id="[G7] advance to 40"),
    ],
)
def test_what_it_would_do(said: Any, action: str, weight: int | None) -> None:
    assert advisors.read(answer(said)) == Recommendation(
        action=action, to_weight=weight, confidence=0.9, reasoning="because"
    )


@pytest.mark.parametrize(
    ("said", "words"),
    [
        pytest.param([], "not an object", id="a list"),
        pytest.param(None, "not an object", id="nothing"),
        pytest.param({}, "its action is none of Continue, Pause, Rollback", id="an empty object"),
        pytest.param(answer("Destroy"), "its action is none of", id="another verb"),
        pytest.param(answer({"Advance": {}}), "its action is none of", id="no weight"),
        pytest.param(answer({"Advance": {"toWeight": 101}}), "0…100", id="more than everything"),
        pytest.param(answer({"Advance": {"toWeight": -1}}), "0…100", id="less than nothing"),
        pytest.param(answer({"Advance": {"toWeight": True}}), "0…100", id="a weight that is true"),
        pytest.param(answer({"Advance": 40}), "0…100", id="a bare weight"),
        pytest.param(answer(["Pause"]), "its action is none of", id="a list of verbs"),
        pytest.param(answer(confidence="high"), "its confidence is not", id="sure in words"),
        pytest.param(answer(confidence=1.5), "between 0 and 1", id="more than sure"),
        pytest.param(answer(confidence=float("nan")), "between 0 and 1", id="not a number"),
        pytest.param(answer(confidence=True), "its confidence is not", id="true"),
        pytest.param(answer(reasoning=7), "its reasoning is not a text", id="a number of reasons"),
    ],
)
def test_what_makes_no_sense(said: Any, words: str) -> None:
    """[G6] Nonsense is no advice, and says why."""
    with pytest.raises(ValueError, match=words):
        advisors.read(said)


def test_words_without_end_are_cut() -> None:
    found = advisors.read(answer(reasoning="x" * 1_000_000))
    assert len(found.reasoning) == 1_024


def test_words_hold_no_credentials() -> None:
    found = advisors.read(answer(reasoning="https://abc@metrics.example.com is silent"))
    assert found.reasoning == "https://…@metrics.example.com is silent"


def test_reasons_need_not_be_given() -> None:
    said = answer()
    del said["reasoning"]
    assert advisors.read(said).reasoning == ""


@pytest.mark.parametrize("level", Level)
def test_what_may_have_a_consequence(level: Level) -> None:
    actions = ("Continue", "Pause", "Rollback", "Advance")
    found = {
        x for x in actions if advisors.follows(level, Recommendation(action=x, confidence=0.5))
    }
    assert (
        found
        == {
            Level.OFF: set(),
            Level.CONTEXT: set(),
            Level.ADVISED: set(),
            Level.PLANNED: {"Pause", "Rollback"},
            Level.DRIVEN: {"Pause", "Rollback", "Advance"},
        }[level]
    )
