"""Stories of metrics: queries of one's own, ranges, comparison with stable, dry runs, counts."""

from typing import Any, ClassVar

import pytest

from fleet.api.rollout import Phase
from tests import gen
from tests.kulta.world import Answer, World, blue_green_world
from tests.stories.test_engine_analysis import ERROR_RATE, judged, rounds, values
from tests.stories.test_engine_canary import running
from tests.stories.test_engine_rollback import unreachable

NEW, OLD = gen.revision("shop:v2"), gen.revision("shop:v1")
MINE = {
    "name": "queue",
    "query": 'max(queue{ns="{{ namespace }}",of="{{ canary }}",not="{{ stable }}"}[{{ window }}])',
}
ZONES = {"thresholdRange": {"max": 1}, "threshold": 5}
"""Good up to 1, bad from 5."""


def number(value: float) -> Answer:
    return lambda text: value


def beside(new: float, old: float) -> Answer:
    """What each revision has."""
    return lambda text: new if f'of="{NEW}"' in text or f'revision="{NEW}"' in text else old


def entry(world: World) -> Any:
    return world.status.analysis.metrics[0]


class TestOwnQueries:
    """PromQL with placeholders."""

    def test_placeholders_are_filled_in(self) -> None:
        world = judged(number(0.5), {**MINE, "threshold": 1})
        world.run(60)
        text = f'max(queue{{ns="shop",of="{NEW}",not="{OLD}"}}'
        assert f"{text}[1m])" in world.asked
        assert entry(world).query in world.asked
        assert all("http_requests_total" not in item for item in world.asked)

    @pytest.mark.parametrize(
        ("source", "names"),
        [
            pytest.param("app", (NEW, OLD), id="pod hashes"),
            pytest.param("appRole", ("canary", "stable"), id="roles"),
            pytest.param("istio", (gen.CANARY, gen.STABLE), id="Services"),
        ],
    )
    def test_revisions_are_called_as_the_source_does(
        self, source: str, names: tuple[str, str]
    ) -> None:
        query = "up{a='{{ canary }}', b='{{ stable }}', c='{{ service }}'}"
        mine = {"name": "mine", "query": query, "threshold": 1, "source": source}
        world = judged(number(0.5), mine)
        expected = f"up{{a='{names[0]}', b='{names[1]}', c='{gen.CANARY}'}}"
        assert world.asked == [expected]

    def test_samples_are_counted_where_they_are_asked_for(self) -> None:
        mine = {**MINE, "threshold": 1, "minSampleSize": 100}
        world = judged(lambda text: 50.0 if "increase" in text else 0.5, mine)
        assert world.status.analysis.metrics[0].verdict in ("Pending", "Inconclusive")
        world.run(31)
        assert "minSampleSize is 100" in entry(world).message
        world.answer = lambda text: 500.0 if "increase" in text else 0.5
        world.run(31)
        assert entry(world).verdict == "Passed"


class TestCompareToStable:
    """The stable revision is the measure."""

    TENTH: ClassVar[Any] = {"name": "latency-p95", "compareToStable": {"maxIncrease": "10%"}}

    def test_no_worse_goes_on(self) -> None:
        world = judged(beside(109.0, 100.0), self.TENTH, step=20)
        assert world.settle().status.phase is Phase.COMPLETED

    def test_worse_is_taken_back(self) -> None:
        world = judged(beside(120.0, 100.0), self.TENTH)
        assert world.status.phase is Phase.FAILED
        assert "120 against 100 of the stable revision, at most 110" in world.status.message
        assert (entry(world).value, entry(world).stable_value) == (120.0, 100.0)

    def test_both_revisions_are_asked_with_ones_own_query(self) -> None:
        mine = {**MINE, "compareToStable": {"maxIncrease": 2}}
        world = judged(beside(5.0, 4.0), mine)
        asked = [text.partition(',of="')[2][:10] for text in world.asked]
        assert asked == [NEW[:10], OLD[:10]]
        assert entry(world).verdict == "Passed"

    def test_a_stable_revision_without_data_holds(self) -> None:
        world = judged(lambda text: 5.0 if NEW in text else None, self.TENTH, step=20)
        world.run(600)
        assert world.state == (Phase.PROGRESSING, 0, 20)
        assert world.condition("Progressing") == ("True", "SamplesInsufficient")
        world.answer = beside(5.0, 5.0)
        assert world.settle().status.phase is Phase.COMPLETED

    @pytest.mark.parametrize(
        ("value", "phase"),
        [
            pytest.param(109.0, Phase.COMPLETED, id="no worse than that goes on"),
            pytest.param(111.0, Phase.FAILED, id="worse is taken back"),
        ],
    )
    @pytest.mark.parametrize(
        "silence", [pytest.param(None, id="no data"), pytest.param(0.0, id="a rate of 0")]
    )
    def test_with_all_the_traffic_the_last_value_of_the_stable_one_counts(
        self, silence: float | None, value: float, phase: Phase
    ) -> None:
        """Nobody asks it for anything then, which says nothing about what it could."""
        metric = {**self.TENTH, "noData": "Fail"}
        world = running((50, "1m"), (100, "5m"), analysis=gen.analysis(metric))
        world.answer = beside(105.0, 100.0)
        world.image("shop:v2")
        world.run(100)
        assert world.state == (Phase.PAUSED, 1, 100)
        world.answer = lambda text: silence if OLD in text else value
        assert world.settle().status.phase is phase
        assert entry(world).stable_value == 100.0

    @pytest.mark.parametrize(
        ("stable", "phase"),
        [
            pytest.param(100.0, Phase.FAILED, id="it is compared as anywhere"),
            pytest.param(None, Phase.PROGRESSING, id="without data that decides"),
        ],
    )
    def test_with_all_the_traffic_from_the_first_step_on_the_stable_one_is_asked(
        self, stable: float | None, phase: Phase
    ) -> None:
        world = running((100, "5m"), analysis=gen.analysis(self.TENTH))
        world.answer = lambda text: 1e6 if NEW in text else stable
        world.image("shop:v2")
        assert world.run(600).status.phase is phase

    def test_a_limit_that_moves_is_written_once_a_minute(self) -> None:
        left = iter(range(1, 1_000_000))
        world = judged(lambda text: float(next(left)) if OLD in text else 0.5, self.TENTH)
        world.run(150)
        world.writes.clear()
        world.run(600)
        assert len(world.writes) == 10


class TestUndecided:
    """Neither good nor bad: a person decides."""

    METRIC: ClassVar[Any] = {"name": "error-rate", **ZONES}

    def test_a_person_is_asked_and_lets_it_go_on(self) -> None:
        world = judged(values(3.0), self.METRIC, step=20)
        world.run(600)
        assert world.state == (Phase.PAUSED, 0, 20)
        assert world.condition("Paused") == ("True", "AnalysisUndecided")
        assert "neither good nor bad" in world.detail("Paused")
        assert world.status.decisions[-1].reason == "AnalysisUndecided"
        world.answer = values(0.5)
        world.run(600)
        assert world.status.phase is Phase.PAUSED, "a good value afterwards does not decide it"
        world.annotate("promote")
        assert world.settle().status.phase is Phase.COMPLETED

    def test_a_person_has_it_judged_anew(self) -> None:
        world = judged(values(3.0), self.METRIC, step=20, iterations=2)
        world.run(60)
        world.answer = values(0.5)
        world.annotate("resume")
        world.run(20)
        assert world.state == (Phase.PROGRESSING, 0, 20)
        assert world.condition("Paused") == ("False", "NotPaused")
        assert world.settle().status.phase is Phase.COMPLETED

    def test_what_runs_dry_has_nothing_judged_anew(self) -> None:
        slow = {"name": "latency-p95", "threshold": 5}
        dry = {**self.METRIC, "dryRun": True}
        world = judged(lambda text: 3.0, dry, slow, step=20, iterations=10)
        world.run(100)
        world.annotate("resume")
        world.run(1)
        assert [item.passed for item in world.status.analysis.metrics] == [0, 4]

    def test_every_step_asks_anew(self) -> None:
        world = running(20, 50, 100, analysis=gen.analysis(self.METRIC))
        world.answer = values(3.0)
        world.image("shop:v2")
        world.run(60)
        world.annotate("promote")
        world.run(60)
        assert world.state == (Phase.PAUSED, 1, 50)
        world.annotate("rollback")
        assert world.run(60).status.phase is Phase.FAILED

    def test_fewer_than_the_limit_wait_for_a_better_one(self) -> None:
        world = judged(values(3.0, 3.0, 0.5), self.METRIC, step=20, inconclusiveLimit=3)
        world.run(31)
        assert world.state == (Phase.PROGRESSING, 0, 20)
        assert entry(world).undecided == 2
        assert world.settle().status.phase is Phase.COMPLETED

    def test_a_bad_value_ends_it_meanwhile(self) -> None:
        world = judged(values(3.0, 9.0), self.METRIC)
        world.run(31)
        assert world.status.phase is Phase.FAILED

    def test_a_preview_waits_for_the_person(self) -> None:
        world = blue_green_world(after=10, analysis=gen.analysis(self.METRIC))
        world.settle()
        world.answer = values(3.0)
        world.image("shop:v2")
        world.run(600)
        assert world.status.phase is Phase.PREVIEW
        assert world.condition("Paused") == ("True", "AnalysisUndecided")
        world.annotate("promote")
        assert world.settle().status.phase is Phase.COMPLETED

    def test_a_rolling_update_waits_for_the_person(self) -> None:
        world = World(gen.manifest(strategy={"simple": {"analysis": gen.analysis(self.METRIC)}}))
        world.settle()
        world.answer = values(3.0)
        world.image("shop:v2")
        world.run(600)
        assert world.status.phase is Phase.PAUSED
        assert world.condition("Paused") == ("True", "AnalysisUndecided")
        world.annotate("promote")
        assert world.settle().status.phase is Phase.COMPLETED


class TestDryRun:
    """Measured and reported, nothing else."""

    @pytest.mark.parametrize(
        ("metric", "more"),
        [
            pytest.param({"dryRun": True}, {}, id="one metric"),
            pytest.param({}, {"dryRun": True}, id="the whole analysis"),
        ],
    )
    def test_a_bad_value_changes_nothing(self, metric: dict[str, Any], more: Any) -> None:
        world = judged(values(99.0), {**ERROR_RATE, **metric}, step=(20, "1m"), **more)
        world.run(10)
        assert (entry(world).verdict, entry(world).dry_run) == ("Failed", True)
        assert world.settle().status.phase is Phase.COMPLETED
        assert world.status.decisions[-1].metrics == {}

    def test_nor_does_a_source_that_is_down(self) -> None:
        world = judged(unreachable, {**ERROR_RATE, "dryRun": True}, failurePolicy="Rollback")
        world.run(300)
        assert world.status.phase is Phase.PAUSED
        assert world.condition("MetricsAvailable") == ("True", "MetricsAvailable")

    def test_the_others_still_decide(self) -> None:
        dry = {"name": "latency-p95", "threshold": 1, "dryRun": True}
        world = judged(values(99.0), dry, ERROR_RATE)
        assert world.status.phase is Phase.FAILED
        assert "error-rate" in world.status.message


@pytest.mark.parametrize(
    ("policy", "phase"),
    [
        pytest.param("Pass", Phase.COMPLETED, id="Pass goes on without traffic"),
        pytest.param("Fail", Phase.FAILED, id="Fail takes it back"),
        pytest.param("Hold", Phase.PROGRESSING, id="Hold waits for traffic"),
        pytest.param("Error", Phase.PROGRESSING, id="Error waits for the source"),
    ],
)
def test_no_data(policy: str, phase: Phase) -> None:
    """Once a whole window has passed: before, a query can find nothing."""
    world = judged(lambda text: None, {**ERROR_RATE, "noData": policy, "window": "1m"}, step=20)
    assert world.run(55).state == (Phase.PROGRESSING, 0, 20)
    assert world.run(245).status.phase is phase


class TestCounts:
    """So many good checks, so often."""

    def test_a_step_waits_for_so_many_good_checks(self) -> None:
        world = judged(values(0.5), iterations=3, step=20)
        world.run(31)
        assert world.state == (Phase.PROGRESSING, 0, 20)
        assert "error-rate has passed 2 of 3 checks" in world.status.message
        world.run(31)
        assert world.settle().status.phase is Phase.COMPLETED

    def test_a_bad_one_between_them_does_not_count(self) -> None:
        metric = {**ERROR_RATE, "failureThreshold": 2}
        world = judged(values(0.5, 9.0, 0.5, 0.5), metric, iterations=3, step=20)
        world.run(61)
        assert world.state == (Phase.PROGRESSING, 0, 20)
        world.run(31)
        assert world.settle().status.phase is Phase.COMPLETED

    def test_counted_checks_are_written_and_then_no_more(self) -> None:
        world = judged(values(0.5), iterations=3)
        world.run(150)
        assert entry(world).passed == 3
        world.writes.clear()
        world.run(600)
        assert world.writes == []

    def test_a_preview_waits_for_them_too(self) -> None:
        world = blue_green_world(after=1, analysis=gen.analysis(iterations=3))
        world.settle()
        world.answer = values(0.5)
        world.image("shop:v2")
        world.run(50)
        assert world.status.phase is Phase.PREVIEW
        assert world.settle().status.phase is Phase.COMPLETED

    def test_the_interval_of_the_analysis_is_for_metrics_without_one(self) -> None:
        latency = {"name": "latency-p95", "threshold": 100}
        world = judged(values(0.5), ERROR_RATE, latency, interval="2m")
        world.run(599)
        assert rounds(world) == 5


class TestStepOfAnalysis:
    """A step that moves nothing and waits."""

    def through(self, *steps: Any, **more: Any) -> World:
        analysis = gen.analysis(**more)
        world = running(20, 100, analysis=analysis)
        world.manifest["spec"]["strategy"]["canary"]["steps"] = list(steps)
        world.answer = values(0.5)
        world.image("shop:v2")
        return world.run(5)

    def test_it_keeps_the_weight_and_counts_for_itself(self) -> None:
        world = self.through({"setWeight": 50}, {"analysis": {"iterations": 3}}, {"setWeight": 100})
        assert world.state == (Phase.PROGRESSING, 1, 50)
        world.run(65)
        assert world.state == (Phase.PROGRESSING, 1, 50)
        assert "has passed 2 of 3 checks" in world.status.message
        world.run(30)
        assert world.settle().status.phase is Phase.COMPLETED

    def test_it_may_stand_beside_a_weight_and_a_pause(self) -> None:
        world = self.through(
            {"setWeight": 50, "analysis": {"iterations": 2}, "pause": {"duration": "10s"}},
            {"setWeight": 100},
        )
        assert world.state == (Phase.PAUSED, 0, 50)
        world.run(15)
        assert world.state == (Phase.PROGRESSING, 0, 50)
        world.run(20)
        assert world.settle().status.phase is Phase.COMPLETED

    def test_it_may_be_the_last(self) -> None:
        world = self.through({"setWeight": 50}, {"analysis": {"iterations": 2}})
        world.run(20)
        assert world.state == (Phase.PROGRESSING, 1, 50)
        assert world.settle().status.phase is Phase.COMPLETED

    def test_a_bad_check_in_it_takes_the_revision_back(self) -> None:
        world = self.through({"setWeight": 50}, {"analysis": {"iterations": 3}}, {"setWeight": 100})
        world.answer = values(9.0)
        assert world.run(60).status.phase is Phase.FAILED
