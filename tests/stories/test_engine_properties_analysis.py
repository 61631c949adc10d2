"""What holds however an analysis is written and whatever a source says, made up by hypothesis."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fleet.api.rollout import Phase
from fleet.kulta.core.feedback import validation
from fleet.kulta.core.messages import occurrences
from tests import gen, search
from tests.kulta.world import World
from tests.stories.test_engine_canary import running

pytestmark = search.in_time

GOOD, BAD, BETWEEN = 0.5, 9.0, 3.0
CONDITIONS = st.sampled_from(
    [
        {"threshold": 5},
        {"thresholdRange": {"max": 5}},
        {"thresholdRange": {"max": 1}, "threshold": 5},
        {"compareToStable": {"maxIncrease": "10%"}},
        {"compareToStable": {"maxIncrease": "50%"}, "threshold": 5},
    ]
)
EXTRAS = st.fixed_dictionaries(
    {"name": st.sampled_from(["error-rate", "latency-p95"])},
    optional={
        "failureThreshold": st.integers(1, 3),
        "minSampleSize": st.just(10),
        "noData": st.sampled_from(["Hold", "Pass", "Fail", "Error"]),
        "dryRun": st.booleans(),
        "interval": st.sampled_from(["5s", "30s"]),
        "query": st.just('up{r="{{ canary }}"}'),
        "source": st.sampled_from(["app", "appRole", "istio"]),
    },
)
METRICS = st.lists(st.tuples(EXTRAS, CONDITIONS).map(lambda x: x[0] | x[1]), min_size=1, max_size=3)
ANALYSES = st.fixed_dictionaries(
    {},
    optional={
        "iterations": st.integers(1, 4),
        "failureLimit": st.integers(1, 4),
        "inconclusiveLimit": st.integers(1, 3),
        "consecutiveErrorLimit": st.integers(1, 4),
        "failurePolicy": st.sampled_from(["Pause", "Continue", "Rollback"]),
        "warmupDuration": st.just("10s"),
        "interval": st.sampled_from(["10s", "1m"]),
    },
)
STEPS = st.sampled_from(
    [
        [{"setWeight": 20}, {"setWeight": 100}],
        [{"setWeight": 20}, {"analysis": {"iterations": 3}}, {"setWeight": 60}],
        [{"setWeight": 50, "analysis": {}, "pause": {"duration": "20s"}}, {"analysis": {}}],
    ]
)
SAID = st.lists(st.sampled_from([GOOD, BAD, BETWEEN, None, "down"]), min_size=1, max_size=8)


def begun(metrics: list[Any], analysis: Any, steps: list[Any]) -> World:
    world = running(20, 100, analysis=gen.analysis(*metrics, **analysis))
    world.manifest["spec"]["strategy"]["canary"]["steps"] = steps
    assert validation.of_manifest(world.manifest) == ()
    return world


def saying(world: World, what: Any) -> None:
    """Every value from now on; the stable revision is always good, and requests are plenty."""
    old = (gen.revision("shop:v1"), '="stable"', f'="{gen.STABLE}"')

    def answer(text: str) -> float | None:
        if "increase" in text:
            return 1_000.0
        if any(name in text for name in old):
            return GOOD
        if what == "down":
            raise ConnectionError("the source is down")
        found: float | None = what
        return found

    world.answer = answer


@given(METRICS, ANALYSES, STEPS)
def test_what_is_good_all_the_time_completes(metrics: Any, analysis: Any, steps: Any) -> None:
    world = begun(metrics, analysis, steps)
    saying(world, GOOD)
    world.image("shop:v2")
    assert world.settle().status.phase is Phase.COMPLETED


@search.reaching("Paused", "Completed", "Failed", deep=("AnalysisFailed", "MetricsUnavailable"))
@given(METRICS, ANALYSES, STEPS, SAID)
def test_whatever_is_said_it_ends_once_all_is_good(
    metrics: Any, analysis: Any, steps: Any, said: list[Any]
) -> None:
    """A person lets go on what only a person may; nothing is told that cannot be written."""
    world = begun(metrics, analysis, steps)
    saying(world, GOOD)
    world.image("shop:v2")
    for item in said:
        saying(world, item)
        world.run(25)
    saying(world, GOOD)
    for _ in range(6):
        world.run(900)
        if world.status.phase is not Phase.PAUSED:
            break
        assert world.condition("Paused") == ("True", "AnalysisUndecided")
        world.annotate("promote")
    bad = any(item != GOOD for item in said) and not all(x.get("dryRun") for x in metrics)
    assert world.status.phase in ({Phase.COMPLETED, Phase.FAILED} if bad else {Phase.COMPLETED})
    search.reach(search.lived(world))
    told = [occurrences.of(item) for item in world.heard]
    assert any(told)
    world.writes.clear()
    world.run(600)
    assert world.writes == []
