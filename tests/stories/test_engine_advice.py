"""Stories of advisors: when they are asked, what each level lets them do, and that silence is safe.

What an answer looks like on the wire is tested in `tests/kulta/core/messages/test_advisors.py`.
"""

from datetime import timedelta
from typing import Any

import pytest

from fleet.api.rollout import Advice, Phase
from fleet.kulta.core import actions as act
from fleet.kulta.core.messages import advisors
from fleet.kulta.core.observed import Recommendation
from tests import gen
from tests.kulta.world import World
from tests.stories.test_engine_analysis import values
from tests.stories.test_engine_bluegreen import previewing
from tests.stories.test_engine_canary import running

ENDPOINT = "http://advisor.ml:8080/advise"
INTERVAL = 30


def wish(level: str, **more: Any) -> dict[str, Any]:
    return {"level": level, "endpoint": ENDPOINT, **more}


def says(action: str, confidence: float = 0.95, weight: int | None = None) -> Any:
    """An advisor that always says the same."""
    found = Recommendation(
        action=action, to_weight=weight, confidence=confidence, reasoning="I have seen things"
    )
    return lambda question: found


def advised(level: str, advisor: Any, *steps: Any, **more: Any) -> World:
    """shop:v2 has reached its first step."""
    world = running(*(steps or ((20, "10m"), 100)), **more)
    world.advisor = advisor
    world.update(advisor=wish(level))
    world.image("shop:v2")
    return world.run(5)


def recorded(world: World) -> Advice:
    assert world.status.advice is not None
    return world.status.advice


def sources(world: World) -> list[tuple[str, str]]:
    return [(item.action, item.reason) for item in world.status.decisions[2:]]


@pytest.mark.parametrize("level", ["Off", "Context"])
def test_levels_at_which_nobody_is_asked(level: str) -> None:
    """[G1] With an endpoint."""
    world = advised(level, says("Rollback")).settle()
    assert world.questions == []
    assert world.status.phase is Phase.COMPLETED
    assert world.status.advice is None
    assert world.condition("AdvisorAvailable") is None


def test_an_advised_rollout_asks_once_an_interval() -> None:
    """[G2] From the moment that a step is reached."""
    world = advised("Advised", says("Continue"))
    assert len(world.questions) == 1
    world.run(3 * INTERVAL)
    assert len(world.questions) == 4
    assert recorded(world).action == "Continue"
    world.writes.clear()
    world.run(3 * INTERVAL)
    assert world.writes == []


def test_the_interval_is_that_of_the_analysis() -> None:
    metric = {"name": "error-rate", "threshold": 5.0, "interval": "2m"}
    world = advised("Advised", says("Continue"), analysis=gen.analysis(metric), answer=values(1.0))
    world.run(115)
    assert len(world.questions) == 1
    world.run(10)
    assert len(world.questions) == 2


def test_what_is_asked() -> None:
    """[G2] The body as the reference has it."""
    world = advised("Advised", says("Continue"))
    body = advisors.body(world.questions[0])
    history = body.pop("history")
    assert body == {
        "rollout_name": "checkout",
        "namespace": "shop",
        "strategy": "canary",
        "current_step": 0,
        "current_weight": 20,
        "metrics_healthy": True,
        "phase": "Paused",
    }
    assert [item.rpartition(": ")[2] for item in history[2:]] == ["Initialize", "Pause"]


def test_a_first_revision_is_nobodys_business() -> None:
    world = World(gen.manifest(stepsOnFirstRollout=True, advisor=wish("Driven")))
    world.advisor = says("Rollback")
    assert world.settle().status.phase is Phase.COMPLETED
    assert world.questions == []


def test_nobody_is_asked_when_all_is_over() -> None:
    world = advised("Advised", says("Continue")).settle()
    assert world.status.phase is Phase.COMPLETED
    world.questions.clear()
    world.run(3_600)
    assert world.questions == []
    assert world.condition("AdvisorAvailable") is None


def test_advice_against_thresholds_that_are_met_is_only_written_down() -> None:
    """[G4] Rollback, 95 % sure, and the metrics are well: the rollout goes on."""
    world = advised("Advised", says("Rollback"), analysis=gen.analysis(), answer=values(1.0))
    said = recorded(world)
    assert (said.action, said.confidence, said.is_followed) == ("Rollback", 0.95, False)
    assert (said.metrics_healthy, said.revision) == (True, gen.revision("shop:v2"))
    assert world.settle().status.phase is Phase.COMPLETED
    assert world.status.last_decision_source == "Threshold"


def test_a_metric_that_decides_nothing_is_not_told_of_as_bad() -> None:
    metric = {"name": "error-rate", "threshold": 5.0, "dryRun": True}
    world = advised("Advised", says("Continue"), analysis=gen.analysis(metric), answer=values(9.0))
    world.run(40)
    assert [item.is_healthy for item in world.questions] == [True, True]


@pytest.mark.parametrize("level", ["Advised", "Planned", "Driven"])
def test_advice_does_not_save_a_revision_whose_metrics_fail(level: str) -> None:
    """[G5] Continue, or even Advance, whatever the level."""
    for advisor in (says("Continue"), says("Advance", weight=100)):
        world = advised(level, advisor, analysis=gen.analysis(), answer=values(1.0, 8.0))
        world.run(120)
        assert world.status.phase is Phase.FAILED
        assert sources(world)[-1] == ("Rollback", "AnalysisFailed")


@pytest.mark.parametrize("level", ["Advised", "Planned", "Driven"])
def test_an_advisor_that_does_not_answer_changes_nothing(level: str) -> None:
    """[G6] The condition says so, an Event warns once, and thresholds decide."""
    world = advised(level, lambda question: None)
    assert world.condition("AdvisorAvailable") == ("False", "AdvisorUnavailable")
    warned = [x.reason for x in world.actions(act.Emit) if x.kind == "Warning"]
    assert warned.count("AdvisorUnavailable") == 1
    assert world.status.advice is None
    assert world.settle().status.phase is Phase.COMPLETED
    took = world.status.decisions[-1].timestamp - world.status.decisions[2].timestamp  # type: ignore[operator]
    assert timedelta(minutes=10) <= took < timedelta(minutes=11)


@pytest.mark.parametrize("level", ["Planned", "Driven"])
def test_a_pause_holds_the_step_until_the_advisor_changes_its_mind(level: str) -> None:
    world = advised(level, says("Pause"), 20, 100)
    assert world.state[:2] == (Phase.PAUSED, 0)
    assert world.condition("Paused") == ("True", "AdvisorPause")
    assert "I have seen things" in world.detail("Paused")
    assert world.status.last_decision_source == "Advisor"
    world.run(3_600)
    assert world.state[:2] == (Phase.PAUSED, 0)
    world.advisor = says("Continue")
    assert world.settle().status.phase is Phase.COMPLETED


@pytest.mark.parametrize("level", ["Planned", "Driven"])
def test_a_hold_lapses_when_the_advisor_falls_silent(level: str) -> None:
    """After three intervals: an outage never blocks."""
    world = advised(level, says("Pause"), 20, 100)
    world.advisor = lambda question: None
    world.run(INTERVAL * 2)
    assert world.state[:2] == (Phase.PAUSED, 0)
    world.run(INTERVAL * 2)
    assert world.status.phase is Phase.COMPLETED


@pytest.mark.parametrize("level", ["Planned", "Driven"])
def test_a_person_goes_before_the_advisor(level: str) -> None:
    world = advised(level, says("Pause"), 20, (50, None), 100)
    world.annotate("promote")
    world.run(3)
    assert world.status.current_step_index == 1
    assert ("Promotion", "ManualPromotion") in sources(world)


def test_a_planned_rollback_waits_for_a_person() -> None:
    world = advised("Planned", says("Rollback"), 20, 100).run(600)
    assert world.condition("Paused") == ("True", "AdvisorPause")
    assert "kulta.io/rollback" in world.detail("Paused")
    world.annotate("rollback")
    world.settle()
    assert sources(world)[-1] == ("Rollback", "ManualRollback")


def test_a_driven_rollback_is_done() -> None:
    world = advised("Driven", says("Rollback"), 20, 100)
    assert world.status.phase is Phase.FAILED
    assert sources(world)[-1] == ("Rollback", "AdvisorRollback")
    assert "95% sure" in world.status.decisions[-1].message
    assert world.status.last_decision_source == "Advisor"
    assert (world.ready("shop:v1"), world.size("shop:v2")) == (4, 0)
    asked = len(world.questions)
    world.run(600)
    assert len(world.questions) == asked


@pytest.mark.parametrize(
    ("level", "weight", "is_early"),
    [
        pytest.param("Driven", 50, True, id="Driven: the pause is over"),
        pytest.param("Driven", 100, True, id="Driven: further than the next step is the next step"),
        pytest.param("Driven", 20, False, id="Driven: to where it is already"),
        pytest.param("Planned", 50, False, id="Planned: a person has to promote"),
        pytest.param("Advised", 50, False, id="Advised: written down"),
    ],
)
def test_advancing_ends_a_timed_pause(level: str, weight: int, is_early: bool) -> None:
    world = advised(level, says("Advance", weight=weight), (20, "10m"), (50, None), 100)
    assert recorded(world).to_weight == weight
    assert world.status.current_step_index == int(is_early)
    if is_early:
        assert ("StepAdvance", "AdvisorAdvance") in sources(world)


def test_advancing_does_not_end_a_pause_that_waits_for_a_person() -> None:
    world = advised("Driven", says("Advance", weight=100), (20, None), 100).run(600)
    assert world.state[:2] == (Phase.PAUSED, 0)


def test_advancing_waits_for_the_metrics() -> None:
    world = advised(
        "Driven",
        says("Advance", weight=100),
        analysis=gen.analysis(warmupDuration="5m"),
        answer=values(1.0),
    )
    world.run(240)
    assert world.status.current_step_index == 0
    world.run(90)
    assert world.status.current_step_index == 1


def test_an_advisor_cannot_lift_a_hold_of_the_hub() -> None:
    world = running((20, "10m"), 100)
    world.advisor = says("Advance", weight=100)
    world.update(advisor=wish("Driven"))
    world.image("shop:v2")
    world.tick()
    world.update(hold={"reason": "another cluster failed", "sequence": 1})
    world.run(60)
    assert world.condition("Paused") == ("True", "Held")
    assert world.status.phase is Phase.PAUSED


@pytest.mark.parametrize("action", ["Pause", "Rollback"])
def test_who_is_not_sure_is_not_heeded(action: str) -> None:
    world = advised("Driven", says(action, confidence=0.49), 20, 100)
    assert recorded(world).is_followed is False
    assert world.settle().status.phase is Phase.COMPLETED


def test_advice_about_one_step_is_not_about_the_next() -> None:
    world = advised("Planned", says("Pause"), 20, 50, 100)
    world.advisor = lambda question: None
    world.annotate("promote")
    world.run(10)
    assert world.status.phase is Phase.COMPLETED


def test_advice_about_another_revision_is_forgotten() -> None:
    world = advised("Planned", says("Pause"), 20, 100)
    world.advisor = lambda question: None
    world.image("shop:v3")
    world.run(10)
    assert world.status.phase is Phase.COMPLETED
    assert world.status.advice is None


def test_a_step_that_was_held_is_held_until_an_engine_that_starts_has_asked() -> None:
    world = advised("Planned", says("Pause"), 20, 100)
    world.restart()
    world.advisor = says("Continue")
    world.tick()
    assert world.state[:2] == (Phase.PAUSED, 0)
    assert world.settle().status.phase is Phase.COMPLETED


def test_and_no_longer_when_nobody_answers() -> None:
    world = advised("Planned", says("Pause"), 20, 100)
    world.restart()
    world.advisor = lambda question: None
    assert world.settle().status.phase is Phase.COMPLETED


def test_who_asks_for_less_advice_is_not_held_by_it() -> None:
    world = advised("Planned", says("Pause"), 20, 100)
    world.update(advisor=wish("Context"))
    assert world.settle().status.phase is Phase.COMPLETED
    assert world.status.advice is None


def test_a_preview_is_held_too() -> None:
    """Every strategy whose steps can be held."""
    world = previewing(after=60, advisor=says("Pause"))
    world.update(advisor=wish("Planned"))
    world.run(600)
    assert (world.status.phase, world.condition("Paused")) == (
        Phase.PREVIEW,
        ("True", "AdvisorPause"),
    )
    world.advisor = says("Continue")
    assert world.settle().status.phase is Phase.COMPLETED
