"""A/B until its conclusion: arms, experiment, and what decides it: numbers, time, people.

Told in the small world: real plans, pods that start, a gateway that takes what is written, and an
audience that is counted. What comes after is in `test_engine_abtesting_ends`.
"""

from datetime import timedelta

import pytest

from fleet.api.rollout import Phase
from fleet.kulta.core import actions as act
from fleet.kulta.core.analysis import experiment
from tests import gen
from tests.conftest import NOON
from tests.kulta.ab import (
    BETTER,
    CONVERSION,
    EQUAL,
    ERRORS,
    NEW,
    OLD,
    ab_world,
    begun,
    counting,
    decided,
    known,
)
from tests.kulta.audience import Audience, Behaviour
from tests.kulta.checker import leads
from tests.kulta.world import canary_world

# How it begins.


def test_first_revision_has_nothing_to_be_compared_with() -> None:
    world = ab_world().settle()
    assert world.status.phase is Phase.COMPLETED
    assert leads(world) == [gen.STABLE]
    assert world.behind(gen.STABLE) == world.behind(gen.VARIANT) == {OLD}


def test_first_revision_may_be_compared_with_itself() -> None:
    """[A1] No status, steps on the first rollout too: Experimenting, by the clock that is given."""
    world = ab_world(stepsOnFirstRollout=True).run(3)
    assert world.status.phase is Phase.EXPERIMENTING
    assert known(world).started_at == NOON + timedelta(seconds=2)
    assert (known(world).winner, known(world).conclusion_reason) == ("", "")
    assert len(world.sets) == 1


def test_new_revision_is_tried_beside_the_old_one() -> None:
    """[A26] [H7] Two templates, two sets of all pods each, told apart by role."""
    world = begun()
    assert (world.ready("shop:v1"), world.ready("shop:v2")) == (4, 4)
    assert (world.roles("shop:v1"), world.roles("shop:v2")) == ({"variant-a"}, {"variant-b"})
    assert (world.behind(gen.STABLE), world.behind(gen.VARIANT)) == ({OLD}, {NEW})
    assert [(item.name, item.revision) for item in known(world).arms] == [("A", OLD), ("B", NEW)]


def test_rules_come_after_the_pods() -> None:
    """[T20] B's rule asks for the user's path too; nothing leads to B before its pods are ready."""
    world = ab_world().settle()
    world.image("shop:v2")
    world.run(1)
    assert (world.size("shop:v2"), leads(world)) == (4, [gen.STABLE])
    world.run(2)
    assert leads(world) == [gen.VARIANT, gen.STABLE]
    (match,) = world.routes[gen.ROUTE]["spec"]["rules"][0]["matches"]
    assert match["path"] == gen.SHOP["path"]


def test_one_pod_answers_as_well_as_four() -> None:
    world = begun(replicas=1).run(60)
    assert (world.status.phase, world.ready("shop:v2")) == (Phase.EXPERIMENTING, 1)
    assert leads(world) == [gen.VARIANT, gen.STABLE]
    assert "lost" not in world.status.message


def test_a_newer_revision_has_nothing_of_the_experiment_before() -> None:
    world = begun(analysis=gen.ab_analysis(minDuration="1h"), answer=Audience(BETTER)).run(600)
    assert known(world).started_at is not None
    world.image("shop:v3")
    world.tick()
    assert (world.status.phase, world.status.ab_experiment) == (Phase.PROGRESSING, None)


def test_without_a_route_services_are_pointed_and_nothing_else() -> None:
    """Who divides the traffic is somebody else's matter; the arms have all their pods."""
    world = begun(routed=False)
    assert (world.behind(gen.STABLE), world.behind(gen.VARIANT)) == ({OLD}, {NEW})
    world.annotate("conclude-experiment")
    world.annotate("promote")
    world.settle()
    assert world.status.phase is Phase.COMPLETED
    assert world.behind(gen.STABLE) == world.behind(gen.VARIANT) == {NEW}


# What concludes it.


def test_experiment_goes_on_while_nothing_decides() -> None:
    """[A2] [A18] No analysis, no end: only a person ends it, and nobody is asked."""
    world = begun().run(86_400)
    assert world.status.phase is Phase.EXPERIMENTING
    assert world.asked == []
    assert world.condition("Progressing") == ("True", "Experimenting")
    assert world.plans[-1].wake_at is None


def test_strategies_without_an_experiment_have_no_conclusion() -> None:
    """[A7] A canary has nothing to evaluate, and nothing is set."""
    world = canary_world(20, 100).settle()
    world.image("shop:v2")
    world.settle()
    assert all(item.status.ab_experiment is None for item in world.plans)


def test_person_concludes() -> None:
    """[A8] Ten minutes in: no winner, by hand, without a query; the annotation goes."""
    world = begun(analysis=gen.ab_analysis(minDuration="1h"), maxDuration="2h").run(600)
    world.annotate("conclude-experiment")
    world.run()
    assert world.status.phase is Phase.CONCLUDED
    assert (known(world).winner, known(world).conclusion_reason) == ("", "ManualConclusion")
    assert (world.asked, world.annotations) == ([], {})
    assert world.status.last_decision_source == "Human"


@pytest.mark.parametrize("value", ["false", "True", "yes", ""])
def test_only_true_concludes(value: str) -> None:
    """[A23] Whatever else the annotation says, it asks for nothing."""
    world = begun()
    world.annotate("conclude-experiment", value)
    world.run(60)
    assert world.status.phase is Phase.EXPERIMENTING


def test_time_concludes_whatever_was_missed() -> None:
    """[A9] The engine was away for two hours: no winner, no query."""
    world = begun(analysis=gen.ab_analysis(), maxDuration="1h", answer=Audience(EQUAL))
    world.asked.clear()
    world.wait(7_200)
    assert world.status.phase is Phase.CONCLUDED
    assert (known(world).winner, known(world).conclusion_reason) == ("", "MaxDurationExceeded")
    assert world.asked == []


def test_start_that_nobody_knows_is_now() -> None:
    """It neither goes on for ever nor is over at once."""
    world = begun(maxDuration="1h").run(600)
    lost = known(world).model_copy(update={"started_at": None})
    world.status = world.status.model_copy(update={"ab_experiment": lost})
    world.run(3_599)
    assert world.status.phase is Phase.EXPERIMENTING
    world.run(1)
    assert known(world).conclusion_reason == "MaxDurationExceeded"


def test_equal_arms_are_compared_until_the_time_is_over() -> None:
    """[A10] [A11] Half way nothing is concluded; at exactly one hour it is."""
    world = begun(analysis=gen.ab_analysis(), maxDuration="1h", answer=Audience(EQUAL))
    start = known(world).started_at
    assert start is not None
    world.run(1_800)
    assert world.status.phase is Phase.EXPERIMENTING
    assert known(world).results[0].is_significant is False
    world.run((start + timedelta(hours=1) - world.now).total_seconds() - 0.001)
    assert world.status.phase is Phase.EXPERIMENTING
    world.run(0.001)
    assert world.status.phase is Phase.CONCLUDED
    assert known(world).concluded_at == start + timedelta(hours=1)
    assert known(world).conclusion_reason == "MaxDurationExceeded"


def test_nothing_is_asked_before_the_least_time() -> None:
    """[A12] Five minutes of thirty: no query."""
    world = begun(analysis=gen.ab_analysis(minDuration="30m"), answer=Audience(BETTER)).run(300)
    assert (world.status.phase, world.asked) == (Phase.EXPERIMENTING, [])
    world.run(1_800)
    assert world.status.phase is Phase.CONCLUDED


def test_too_few_requests_are_told_and_nothing_more() -> None:
    """[A13] [A25] 15 and 20 of the 30 that each needs: the numbers stand in the status."""
    world = begun(analysis=gen.ab_analysis(), answer=counting((15, 0), (20, 10))).run(600)
    assert world.status.phase is Phase.EXPERIMENTING
    assert (known(world).sample_size_a, known(world).sample_size_b) == (15, 20)
    assert known(world).results == ()
    assert known(world).message == "15 and 20 requests seen, minSampleSize is 30"


def test_source_that_does_not_answer_leaves_everything_unknown() -> None:
    """[A14] No count, no result, no failure; after some looks the condition says so."""
    world = begun(analysis=gen.ab_analysis(), answer=Audience(BETTER, broken="sum")).run(360)
    assert world.status.phase is Phase.EXPERIMENTING
    assert (known(world).sample_size_a, known(world).sample_size_b) == (None, None)
    assert known(world).results == ()
    assert world.condition("MetricsAvailable") == ("False", "MetricsUnavailable")
    world.answer = Audience(BETTER)
    world.run(300)
    assert world.status.phase is Phase.CONCLUDED
    assert world.condition("MetricsAvailable") == ("True", "MetricsAvailable")


def test_counts_are_told_when_the_shares_cannot_be_had() -> None:
    """[A15] 1,000 and 1,000 requests, and no answer about those that failed."""
    answer = counting((1_000, 50), (1_000, 20))

    def broken(text: str) -> float | None:
        if "status=~" in text and OLD in text:
            raise ConnectionError("connection refused")
        return answer(text)

    world = begun(analysis=gen.ab_analysis(), answer=broken).run(360)
    assert world.status.phase is Phase.EXPERIMENTING
    assert (known(world).sample_size_a, known(world).sample_size_b) == (1_000, 1_000)
    assert known(world).results == ()
    assert "connection refused" in known(world).message


def test_metrics_that_say_anything_agree() -> None:
    """[A16] 10,000 requests each, 5 % against 2 % failed, conversions alike: B, by consensus."""
    world = begun(
        analysis=gen.ab_analysis(ERRORS, CONVERSION),
        answer=counting((10_000, 500), (10_000, 200)),
    ).run(400)
    assert world.status.phase is Phase.CONCLUDED
    assert (known(world).winner, known(world).conclusion_reason) == ("B", "ConsensusReached")
    assert (known(world).sample_size_a, known(world).sample_size_b) == (10_000, 10_000)
    errors, conversions = known(world).results
    assert (errors.value_a, errors.value_b, errors.is_significant) == (5.0, 2.0, True)
    assert errors.effect_low is not None
    assert errors.effect_high is not None
    assert errors.effect_low < -0.6 < errors.effect_high < 0
    assert conversions.is_significant is False
    assert world.status.last_decision_source == "Threshold"


def test_all_metrics_agree() -> None:
    world = decided(analysis=gen.ab_analysis(ERRORS))
    assert (known(world).winner, known(world).conclusion_reason) == ("B", "SignificanceReached")


def test_hardly_any_difference_decides_nothing() -> None:
    """[A17] 5.0 % against 4.9 % of 10,000: one result, not significant."""
    world = begun(analysis=gen.ab_analysis(), answer=counting((10_000, 500), (10_000, 490))).run(
        3_600
    )
    assert world.status.phase is Phase.EXPERIMENTING
    (result,) = known(world).results
    assert (result.is_significant, result.winner) == (False, "")


def test_person_comes_before_time() -> None:
    """[A19] Annotation and end at once: it was the person."""
    world = begun(maxDuration="1h")
    world.annotate("conclude-experiment")
    world.wait(7_200)
    assert known(world).conclusion_reason == "ManualConclusion"


def test_conclusion_keeps_when_it_began() -> None:
    """[A20] [A3] `startedAt` stays, `concludedAt` is new; concluded is concluded."""
    world = begun(maxDuration="1h")
    start = known(world).started_at
    world.run(3_600)
    assert known(world).started_at == start
    assert known(world).concluded_at == (start or NOON) + timedelta(hours=1)
    before = known(world)
    world.run(7_200)
    assert (world.status.phase, known(world)) == (Phase.CONCLUDED, before)


def test_small_effect_is_no_victory() -> None:
    """[A24] 3 % more conversions are significant, and fewer than the 5 % that were asked for."""
    metric = {**CONVERSION, "minEffectSize": 0.05}
    crowd = {
        "shop:v1": Behaviour(rate=1_000, conversions=0.20),
        "shop:v2": Behaviour(rate=1_000, conversions=0.206),
    }
    world = begun(analysis=gen.ab_analysis(metric), answer=Audience(crowd)).run(7_200)
    assert world.status.phase is Phase.EXPERIMENTING
    (result,) = known(world).results
    assert (result.is_significant, result.winner) == (True, "")
    assert result.effect == pytest.approx(0.03)


def test_slower_arm_loses() -> None:
    """Latencies are judged by how many are slower than the control's quantile."""
    crowd = {
        "shop:v1": Behaviour(slow=0.05, milliseconds=120),
        "shop:v2": Behaviour(slow=0.12, milliseconds=480),
    }
    latency = {"name": "latency-p95", "direction": "lower"}
    world = decided(crowd, analysis=gen.ab_analysis(latency))
    assert known(world).winner == "A"
    (result,) = known(world).results
    assert (result.value_a, result.value_b, result.effect) == (120, 480, 3.0)
    assert result.effect_low is None


def test_metrics_that_disagree_decide_nothing() -> None:
    crowd = {
        "shop:v1": Behaviour(errors=0.02, conversions=0.10),
        "shop:v2": Behaviour(errors=0.05, conversions=0.15),
    }
    world = begun(
        analysis=gen.ab_analysis(ERRORS, CONVERSION), maxDuration="10m", answer=Audience(crowd)
    ).run(600)
    assert (known(world).winner, known(world).conclusion_reason) == ("", "MaxDurationExceeded")
    assert {item.winner for item in known(world).results} == {"A", "B"}


def test_requests_that_are_not_split_as_planned_hold_the_verdict() -> None:
    """Somebody loses requests of B: whatever the shares say, they are not to be trusted."""
    crowd = {"shop:v1": BETTER["shop:v1"], "shop:v2": Behaviour(rate=8.0, errors=0.02)}
    analysis = gen.ab_analysis(plannedShares=[50, 50])
    world = begun(analysis=analysis, answer=Audience(crowd)).run(1_800)
    assert world.status.phase is Phase.EXPERIMENTING
    assert world.condition("MetricsAvailable") == ("False", "SampleRatioMismatch")
    assert known(world).mismatch == (
        "requests are split 55.6 : 44.4, planned is 50 : 50; no winner is declared: "
        "look for requests that are lost, or counted twice, in one of the arms"
    )
    assert "SampleRatioMismatch" in [item.reason for item in world.actions(act.Emit)]
    assert known(world).results[0].winner == "B"


def test_looks_end_with_the_experiment() -> None:
    """Counted back from the end: the last look has all the data that it can have."""
    analysis = gen.ab_analysis(interval="5m")
    world = begun(analysis=analysis, maxDuration="1h", answer=Audience(EQUAL))
    start, looks = known(world).started_at or NOON, []
    for _ in range(12):
        world.run(300)
        looks.append(known(world).checked_at)
    distinct = sorted({item for item in looks if item is not None})
    assert distinct == [start + timedelta(minutes=5 * number) for number in range(1, 12)]


@pytest.mark.parametrize(
    ("later", "winner"),
    [
        pytest.param("1h", "B", id="the end that was planned"),
        pytest.param("2h", "", id="a later one, after the first was looked at"),
    ],
)
def test_the_end_is_looked_at_once(later: str, winner: str) -> None:
    """What is certain enough for one look at the end is not for two of them."""
    analysis, sure = gen.ab_analysis(interval="5m"), counting((10_000, 500), (10_000, 430))
    world = begun(analysis=analysis, maxDuration="1h", answer=counting((9_000, 450), (9_000, 450)))
    world.run(3_500 if later == "2h" else 3_200)
    world.answer = sure
    world.manifest["spec"]["strategy"]["abTesting"]["maxDuration"] = later
    world.update()
    assert world.run(3_700).status.phase is Phase.CONCLUDED
    assert known(world).winner == winner


@pytest.mark.parametrize(
    ("wish", "seconds"),
    [
        pytest.param({"maxDuration": "24h"}, 300, id="a day: 288 looks"),
        pytest.param({"maxDuration": "7d"}, 2_100, id="a week: 288 looks"),
        pytest.param({"maxDuration": "1h"}, 30, id="an hour: not more often than every 30 s"),
        pytest.param({"maxDuration": "10s"}, 5, id="ten seconds: one in the middle"),
        pytest.param({}, 300, id="without an end every five minutes"),
        pytest.param({"maxDuration": "24h", "asked": "1m"}, 60, id="as asked for"),
        pytest.param({"asked": "1h"}, 3_600, id="as asked for without an end"),
    ],
)
def test_time_between_looks(wish: dict[str, str], seconds: int) -> None:
    asked = {"interval": wish.pop("asked")} if "asked" in wish else {}
    strategy = gen.ab_testing(analysis=gen.ab_analysis(**asked), **wish)
    found = gen.rollout(strategy=strategy).spec.strategy.ab_testing
    assert found is not None
    assert experiment.interval(found) == timedelta(seconds=seconds)


def test_last_look_counts_though_the_least_time_is_the_longest() -> None:
    analysis = gen.ab_analysis(minDuration="1h")
    world = begun(analysis=analysis, maxDuration="1h", answer=Audience(BETTER)).run(3_600)
    assert (known(world).winner, known(world).conclusion_reason) == ("B", "SignificanceReached")
    assert known(world).concluded_at == (known(world).started_at or NOON) + timedelta(hours=1)


def test_error_is_asked_again_before_the_next_look() -> None:
    crowd = Audience(BETTER, broken="sum")
    world = begun(analysis=gen.ab_analysis(minDuration="5m"), answer=crowd).run(301)
    crowd.broken = ""
    world.run(15)
    assert world.status.phase is Phase.CONCLUDED


def test_without_a_source_the_condition_says_so() -> None:
    world = begun(analysis={"metrics": [ERRORS]}).run(400)
    assert world.status.phase is Phase.EXPERIMENTING
    assert world.condition("MetricsAvailable") == ("False", "MetricsUnavailable")
    assert "KULTA_PROMETHEUS_ADDRESS" in world.detail("MetricsAvailable")
