"""Stories of metrics with a time of their own: how often each is asked, from when on, and what
becomes of those that are slow, or can have no answer."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from fleet.api.rollout import Phase
from fleet.kulta.core.observed import Measurement, Query
from tests import gen
from tests.kulta.world import World
from tests.stories.test_engine_analysis import ERROR_RATE, judged, rounds, values
from tests.stories.test_engine_canary import running

QUEUE: dict[str, Any] = {"name": "queue", "query": "max(queue)", "threshold": 1}
US = {"name": "x-team", "value": "us"}
LATER = {**QUEUE, "name": "later", "interval": "2m"}


def good(text: str) -> float:
    return 0.5


def times(world: World) -> int:
    """How often the queue was asked about."""
    return world.asked.count("max(queue)")


def test_each_is_asked_in_its_own_interval() -> None:
    world = judged(good, ERROR_RATE, LATER)
    world.run(240)
    assert (rounds(world), times(world)) == (9, 3)


def test_one_text_is_asked_once_a_tick_whoever_it_is_for() -> None:
    world = judged(good, QUEUE, LATER)
    world.run(240)
    assert times(world) == 9


def test_a_slow_metric_counts_one_failure_in_its_own_interval() -> None:
    world = judged(
        lambda text: 9.0 if "queue" in text else 0.5, ERROR_RATE, {**LATER, "failureThreshold": 2}
    )
    world.run(110)
    assert [item.failures for item in world.status.analysis.metrics] == [0, 1]
    world.run(20)
    assert world.status.phase is Phase.FAILED


def test_a_step_waits_for_the_checks_of_the_slowest() -> None:
    world = judged(good, ERROR_RATE, LATER, step=20, iterations=2)
    world.run(100)
    assert world.state[1] == 0
    assert world.status.message.endswith("later has passed 1 of 2 checks")
    world.run(40)
    assert world.state[1] == 1


@pytest.mark.parametrize(
    ("warmup", "asked"),
    [
        pytest.param({}, (True, False), id="the others are asked at once"),
        pytest.param({"warmupDuration": "2m"}, (False, False), id="it is no part of the warm-up"),
    ],
)
def test_a_metric_is_asked_after_its_delay(warmup: Any, asked: tuple[bool, bool]) -> None:
    world = judged(good, ERROR_RATE, {**QUEUE, "initialDelay": "1m"}, step=20, **warmup)
    world.run(50)
    assert (rounds(world) > 0, times(world) > 0) == asked
    assert "queue: its initialDelay of 1m is not over" in world.status.message
    world.run(15)
    assert times(world) == 1
    world.run(70)
    assert world.state[1] >= 1, "both have passed"


def test_counts_of_an_engine_with_one_time_for_all_are_not_counted_again() -> None:
    metric = {**ERROR_RATE, "failureThreshold": 9}
    world = running((20, None), 100, analysis=gen.analysis(metric))
    world.answer = lambda text: 9.0
    world.image("shop:v2")
    world.run(5)
    known = world.status.analysis
    assert known is not None
    (mine,) = known.metrics
    old = known.model_copy(update={"metrics": (mine.model_copy(update={"checked_at": None}),)})
    world.status = world.status.model_copy(update={"analysis": old})
    world.measurements.clear()
    world.run(5)
    assert world.status.analysis is not None
    assert (rounds(world), world.status.analysis.metrics[0].failures) == (1, 1)


@pytest.mark.parametrize(
    "interval", [pytest.param("30s", id="as usual"), pytest.param("1s", id="less than it takes")]
)
def test_a_metric_that_is_slow_delays_no_rollback_by_another(interval: str) -> None:
    latency = {"name": "latency-p95", "threshold": 100}
    analysis = gen.analysis(ERROR_RATE, latency, interval=interval)
    world = running((20, None), 100, analysis=analysis)
    world.answer, world.slow = values(9.0), "quantile"
    world.image("shop:v2")
    world.run(5)
    assert world.status.phase is Phase.FAILED
    assert "error-rate" in world.status.message


def test_a_source_that_takes_longer_than_an_interval_is_given_up_all_the_same() -> None:
    """Every query ends with an error after 10 s, and another slot has begun by then."""
    analysis = gen.analysis(interval="5s", failurePolicy="Rollback")
    world = running((20, None), 100, analysis=analysis)
    said, since = "did not answer within 10 s", dict[Query, datetime]()
    world.slow = "http"
    world.image("shop:v2")
    for _ in range(110):
        world.run(1)
        since = {query: since.get(query, world.now) for query in world.under_way}
        for query in [x for x in since if world.now - since[x] >= timedelta(seconds=10)]:
            world.under_way.discard(query)
            ended = Measurement(query=query.shown, value=None, error=said, at=world.now)
            world.measurements[query] = ended
    assert world.status.phase is Phase.FAILED
    assert said in world.status.message


class TestNobodyCanAsk:
    """A step of weight 0 that gives nobody the new revision: there never will be any data."""

    @pytest.mark.parametrize(
        ("more", "first"),
        [
            pytest.param({}, {}, id="nobody is named"),
            pytest.param({"headerRoutes": [US]}, {}, id="there are no pods for those who are"),
            pytest.param(
                {"sessionAffinity": {"cookieName": "version"}},
                {"setCanaryScale": {"replicas": 1}},
                id="nobody has the cookie yet",
            ),
        ],
    )
    def test_no_data_is_nothing_to_wait_for(self, more: Any, first: Any) -> None:
        world = running((0, "1m"), 20, 100, routed=True, analysis=gen.analysis())
        canary = world.manifest["spec"]["strategy"]["canary"]
        canary |= more
        canary["steps"][0] |= first
        world.answer = lambda text: None
        world.image("shop:v2")
        world.run(50)
        assert world.state == (Phase.PAUSED, 0, 0)
        world.run(600)
        assert world.state == (Phase.PROGRESSING, 1, 20)
        assert world.condition("Progressing") == ("True", "SamplesInsufficient")
        world.answer = good
        assert world.settle().status.phase is Phase.COMPLETED

    def test_nothing_is_said_to_have_passed(self) -> None:
        world = running(0, 100, analysis=gen.analysis(interval="5m"))
        world.answer = lambda text: None
        world.image("shop:v2")
        assert world.run(330).state == (Phase.PROGRESSING, 1, 100)
        told = [(item.action, item.reason) for item in world.status.decisions if item.to_step == 1]
        assert told == [("StepAdvance", "StepCompleted")]

    def test_what_is_bad_takes_it_back(self) -> None:
        world = judged(lambda text: 9.0 if "queue" in text else None, ERROR_RATE, QUEUE, step=0)
        assert world.status.phase is Phase.FAILED

    @pytest.mark.parametrize(
        "more",
        [
            pytest.param(
                {"steps": [{"setWeight": 0, "analysis": {}}, {"setWeight": 100}]},
                id="whoever asks for a check gets one",
            ),
            pytest.param(
                {
                    "steps": [{"setWeight": 0, "setCanaryScale": {"replicas": 1}}],
                    "headerRoutes": [US],
                },
                id="some get it by a header",
            ),
        ],
    )
    def test_where_there_can_be_data_it_is_awaited(self, more: Any) -> None:
        world = running(0, 100, routed=True, analysis=gen.analysis())
        world.manifest["spec"]["strategy"]["canary"] |= more
        world.image("shop:v2")
        world.run(600)
        assert world.state == (Phase.PROGRESSING, 0, 0)
        assert world.condition("Progressing") == ("True", "SamplesInsufficient")
