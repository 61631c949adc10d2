"""Stories of judging: when metrics are asked, what good, bad, missing and unanswered numbers do."""

import itertools
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from fleet.api.rollout import Phase
from tests import gen
from tests.kulta.world import Answer, World, blue_green_world
from tests.stories.test_engine_canary import running
from tests.stories.test_engine_rollback import bad, unreachable

ERROR_RATE: dict[str, Any] = {"name": "error-rate", "threshold": 5.0}


def judged(answer: Answer, *metrics: Any, step: Any = (20, None), **more: Any) -> World:
    """shop:v2 stands at its first step, judged by these metrics."""
    world = running(step, 100, analysis=gen.analysis(*(metrics or (ERROR_RATE,)), **more))
    world.answer = answer
    world.image("shop:v2")
    return world.run(2.0)


def values(*numbers: float | None) -> Answer:
    """The error rate, check by check; the last one lasts."""
    left = list(numbers)

    def answer(text: str) -> float | None:
        if "increase" in text:
            return 1_000.0
        return left.pop(0) if len(left) > 1 else left[0]

    return answer


def rounds(world: World) -> int:
    """How often the error rate was asked."""
    return sum("/" in text for text in world.asked)


@pytest.mark.parametrize(
    ("value", "phase"),
    [
        pytest.param(2.5, Phase.COMPLETED, id="[M17] 2.5 against 5 goes on"),
        pytest.param(8.0, Phase.FAILED, id="[M17] 8.0 against 5 is taken back"),
        pytest.param(5.0, Phase.FAILED, id="[M13] equal is not below"),
    ],
)
def test_one_number_decides(value: float, phase: Phase) -> None:
    assert judged(values(value), step=20).run(300).status.phase is phase


def test_one_bad_metric_of_two_is_enough() -> None:
    """[M15] Error rate good, latency bad."""
    latency = {"name": "latency-p95", "threshold": 100}
    world = judged(lambda text: 900.0 if "quantile" in text else 0.1, ERROR_RATE, latency)
    world.run(60)
    assert world.status.phase is Phase.FAILED
    assert "latency-p95" in world.status.message
    numbers = world.status.decisions[-1].metrics
    assert (numbers["latency-p95"].passed, numbers["error-rate"].passed) == (False, True)


def test_no_metrics_means_no_questions() -> None:
    """[M16] [M18] An analysis without metrics, and none at all."""
    for analysis in ({"metrics": []}, None):
        world = running(20, 100, **({"analysis": analysis} if analysis else {}))
        world.image("shop:v2")
        assert world.settle().status.phase is Phase.COMPLETED
        assert world.asked == []
        assert world.condition("MetricsAvailable") == ("Unknown", "NoAnalysis")


def test_first_revision_is_not_judged() -> None:
    world = running(20, 100, analysis=gen.analysis())
    assert world.asked == []


class TestWarmUp:
    """No questions before it is over, counted from each step."""

    def test_no_question_before_its_end(self) -> None:
        """[M19] [M20] Warm-up of 60 s: nothing at 59, asked at 60."""
        world = judged(values(0.5), warmupDuration="1m")
        world.run(59)
        assert world.asked == []
        world.run(1)
        assert rounds(world) == 1
        assert world.status.analysis.metrics[0].verdict == "Passed"

    def test_without_one_the_question_comes_at_once(self) -> None:
        """[M21] In the moment in which the step is reached."""
        world = judged(values(0.5))
        assert world.status.step_start_time == world.now
        assert rounds(world) == 1

    def test_every_step_begins_anew(self) -> None:
        """[M22] The step's start is rewritten, and the warm-up counts from there."""
        world = running(20, 50, 100, analysis=gen.analysis(warmupDuration="1m"))
        world.answer = values(0.5)
        world.image("shop:v2")
        world.run(2)
        first = world.status.step_start_time
        world.run(61)
        assert world.status.current_step_index == 1
        world.run(2)
        second = world.status.step_start_time
        assert second - first >= timedelta(seconds=60)
        asked = rounds(world)
        world.run(50)
        assert world.status.current_step_index == 1
        assert rounds(world) == asked
        world.run(15)
        assert world.status.current_step_index == 2


def previewed(answer: Answer) -> World:
    """shop:v2 stands in a preview that nothing keeps shut but its analysis."""
    world = blue_green_world(after=0, analysis=gen.analysis()).settle()
    world.answer = answer
    world.image("shop:v2")
    return world.run(5)


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(lambda answer: judged(answer, step=20), id="a step"),
        pytest.param(previewed, id="a preview"),
    ],
)
def test_what_began_nobody_knows_when_is_judged_anew(made: Callable[[Answer], World]) -> None:
    """A status without `stepStartTime` opens nothing that was not judged."""
    world = made(lambda text: None)
    world.status = world.status.model_copy(update={"step_start_time": None})
    world.run(300)
    assert world.status.phase in (Phase.PROGRESSING, Phase.PREVIEW)
    assert not world.status.current_step_index
    world.answer = values(0.5)
    assert world.settle().status.phase is Phase.COMPLETED


def test_every_step_needs_a_check_of_its_own() -> None:
    """What passed at 20 % says nothing about 50 %."""
    world = running(20, 50, 100, analysis=gen.analysis())
    world.answer = values(0.5, None)
    world.image("shop:v2")
    world.run(600)
    assert world.state == (Phase.PROGRESSING, 1, 50)
    world.answer = values(0.5)
    assert world.settle().status.phase is Phase.COMPLETED
    assert rounds(world) >= 3


def test_three_in_a_row_with_a_pass_between() -> None:
    """[M25] failureThreshold 3: bad, bad, good, bad, bad, bad ends at the sixth check."""
    metric = {**ERROR_RATE, "failureThreshold": 3}
    world = judged(values(9, 9, 1, 9, 9, 9), metric)
    for check in range(1, 6):
        assert world.status.phase is Phase.PAUSED, check
        world.run(30)
    assert rounds(world) == 6
    assert world.status.phase is Phase.FAILED
    assert world.status.analysis.metrics[0].failures == 3


def test_failures_in_all_end_it_too() -> None:
    """failureLimit 2, not in a row."""
    world = judged(values(9, 1, 9, 1), failureLimit=2)
    world.run(30)
    assert world.status.phase is Phase.PAUSED
    world.run(31)
    assert world.status.phase is Phase.FAILED
    assert world.status.analysis.metrics[0].failed == 2


def test_one_round_in_each_interval() -> None:
    """[M26] interval 1m, looked at every 5 s: one set of queries a minute."""
    world = judged(values(0.5), {**ERROR_RATE, "interval": "1m"})
    for _ in range(60):
        world.wait(5)
    assert rounds(world) == 6


def test_healthy_rollout_says_its_numbers_once_a_minute() -> None:
    """And nothing at all where they stay what they are."""
    ever = itertools.count()
    moving, still = judged(lambda text: next(ever) % 4.0), judged(values(0.5, 0.7, 0.9, 1.1))
    for world in (moving, still):
        world.run(150)
        world.writes.clear()
        world.run(600)
        assert rounds(world) > 20
    assert len(moving.writes) == 10
    assert still.writes == []
    known = moving.status.analysis
    assert known is not None
    assert known.checked_at is not None
    assert moving.now - known.checked_at <= timedelta(minutes=1)


class TestFewSamples:
    """Nothing to judge by holds a step and never fails it."""

    def test_no_requests_hold_the_step(self) -> None:
        """[M24] No data at all: inconclusive, held, not failed, and it goes on by itself."""
        metric = {**ERROR_RATE, "minSampleSize": 100}
        world = judged(lambda text: None, metric, step=20)
        world.run(3_600)
        assert world.state == (Phase.PROGRESSING, 0, 20)
        assert world.condition("Progressing") == ("True", "SamplesInsufficient")
        world.answer = values(0.5)
        world.settle()
        assert world.status.phase is Phase.COMPLETED

    def test_few_requests_hold_the_step(self) -> None:
        metric = {**ERROR_RATE, "minSampleSize": 100}
        world = judged(lambda text: 50.0, metric, step=20)
        world.run(600)
        assert world.state == (Phase.PROGRESSING, 0, 20)
        assert "minSampleSize is 100" in world.detail("Progressing")

    def test_service_without_failures_is_healthy(self) -> None:
        """[M23] The query itself answers 0 where no series of failures exists."""
        world = judged(values(0.0), step=20)
        assert world.settle().status.phase is Phase.COMPLETED

    def test_samples_of_both_revisions_are_reported(self) -> None:
        old = gen.revision("shop:v1")

        def answer(text: str) -> float:
            if "increase" not in text:
                return 0.5
            return (900.0 if old in text else 100.0) / (100 if "5.." in text else 1)

        world = judged(answer)
        entry = world.status.analysis.metrics[0]
        assert (entry.canary.n, entry.canary.bad) == (100.0, 1.0)
        assert (entry.stable.n, entry.stable.bad) == (900.0, 9.0)


class TestUnanswered:
    """Prometheus is down."""

    def test_pause_holds_and_resumes(self) -> None:
        """[M27] Held with a condition, and on by itself after recovery."""
        world = judged(unreachable, step=20)
        world.run(900)
        assert world.state == (Phase.PROGRESSING, 0, 20)
        assert world.condition("MetricsAvailable") == ("False", "MetricsUnavailable")
        assert "connection refused" in world.detail("MetricsAvailable")
        world.answer = values(0.5)
        world.run(60)
        assert world.status.phase is Phase.COMPLETED

    def test_continue_goes_on(self) -> None:
        """[M28] After four errors in a row it counts as passed."""
        world = judged(unreachable, step=20, failurePolicy="Continue")
        assert world.status.current_step_index == 0
        world.run(60)
        assert world.status.phase is Phase.COMPLETED

    def test_rollback_takes_back(self) -> None:
        """[M29] Failed after four errors, with a reason of its own."""
        world = judged(unreachable, step=20, failurePolicy="Rollback")
        assert world.status.phase is Phase.PROGRESSING
        world.run(60)
        assert world.status.phase is Phase.FAILED
        assert world.status.decisions[-1].reason == "MetricsUnavailable"

    def test_long_errors_do_not_fill_the_status(self) -> None:
        """The source's words are cut wherever they are kept."""

        def answer(text: str) -> float:
            raise ConnectionError("x" * 1_000_000)

        world = judged(answer, failurePolicy="Rollback")
        world.run(60)
        assert world.status.phase is Phase.FAILED
        assert len(world.status.model_dump_json()) < 20_000

    def test_errors_do_not_fill_the_status(self) -> None:
        world = judged(unreachable)
        world.run(120)
        world.writes.clear()
        world.run(600)
        assert world.writes == []

    def test_no_address_is_said(self) -> None:
        """Neither in the spec nor in the engine: an error, without a question."""
        world = running((20, None), 100, analysis={"metrics": [ERROR_RATE]})
        world.image("shop:v2")
        world.run(5)
        assert world.asked == []
        assert "analysis.prometheus.address" in world.detail("MetricsAvailable")


def test_analysis_goes_on_in_pauses() -> None:
    """Good at first, bad an hour later: taken back out of a pause without end."""
    world = judged(values(0.5))
    world.run(3_600)
    assert world.status.phase is Phase.PAUSED
    world.answer = bad()
    world.run(31)
    assert world.status.phase is Phase.FAILED


def test_hold_stops_steps_but_never_a_rollback() -> None:
    world = judged(values(0.5), step=(20, "10s"))
    world.update(hold={"reason": "another cluster failed", "sequence": 3})
    world.run(600)
    assert world.state == (Phase.PAUSED, 0, 20)
    assert world.condition("Paused") == ("True", "Held")
    world.answer = bad()
    world.run(31)
    assert world.status.phase is Phase.FAILED


def test_restart_of_the_engine_counts_nothing_twice() -> None:
    """Answers are lost with the process; what was counted stands in the status."""
    metric = {**ERROR_RATE, "failureThreshold": 3}
    world = judged(values(9), metric)
    for _ in range(5):
        world.measurements.clear()
        world.run(1)
    assert world.status.analysis.metrics[0].failures == 1
    world.run(40)
    assert world.status.analysis.metrics[0].failures == 2


@pytest.mark.parametrize(
    "slow",
    [
        pytest.param("quantile", id="a metric"),
        pytest.param('increase(http_requests_total{status=~"5.."', id="the number of failures"),
    ],
)
def test_no_text_is_asked_twice_in_one_slot_while_another_is_slow(slow: str) -> None:
    latency = {"name": "latency-p95", "threshold": 100}
    world = running((20, None), 100, analysis=gen.analysis(ERROR_RATE, latency))
    world.answer, world.slow = values(0.5), slow
    world.image("shop:v2")
    world.run(29)
    assert rounds(world) == 1
    assert max(world.asked.count(text) for text in world.asked) == 1
    world.run(3)
    assert rounds(world) == 2


def test_no_text_is_asked_again_while_the_repetition_of_another_is_slow() -> None:
    """Latency cannot be had and is asked again after 10 s, the rest is not."""
    latency = {"name": "latency-p95", "threshold": 100}

    def answer(text: str) -> float:
        if "quantile" in text:
            raise ConnectionError("overloaded")
        return 0.5

    world = judged(answer, ERROR_RATE, latency)
    world.slow = "quantile"
    world.run(29)
    assert rounds(world) == 1
    assert sum("quantile" in text for text in world.asked) == 2


def test_repetition_of_one_metric_counts_no_second_failure_of_another() -> None:
    """One failure a slot, with or without a restart of the engine in it."""

    def answer(text: str) -> float:
        if "quantile" in text:
            raise ConnectionError("overloaded")
        return 9.0

    metric = {**ERROR_RATE, "failureThreshold": 9}
    world = judged(answer, metric, {"name": "latency-p95", "threshold": 100})
    for slot in (1, 2, 3):
        for _ in range(5):
            world.run(5)
            world.measurements.clear()
        assert world.status.analysis.metrics[0].failures == slot
        world.run(5)
    assert world.status.analysis.metrics[1].errors == 4
