"""The numbers beside a rollout: limits in words, samples, effects."""

from datetime import UTC, datetime
from typing import Any

import pytest

from fleet.api.analysis import AnalysisStatus, Metric
from fleet.api.experiment import ExperimentStatus
from fleet.cli.rollouts import forecast, numbers
from tests import gen
from tests.cli.rollouts import scenes

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)

LIMITS = [
    pytest.param({"threshold": 5}, "< 5 %", "below 5 %", id="a threshold"),
    pytest.param({"thresholdRange": {"min": 1}}, "1 % …", "at least 1 %", id="a least"),
    pytest.param({"thresholdRange": {"max": 2}}, "… 2 %", "at most 2 %", id="a most"),
    pytest.param(
        {"thresholdRange": {"min": 1, "max": 2}}, "1 % … 2 %", "from 1 % to 2 %", id="a range"
    ),
    pytest.param(
        {"compareToStable": {"maxIncrease": "10%"}},
        "≤ stable + 10%",
        "at most 10% above stable",
        id="the stable revision",
    ),
    pytest.param(
        {"threshold": 5, "thresholdRange": {"max": 2}},
        "< 5 %, … 2 %",
        "below 5 % and at most 2 %",
        id="two of them",
    ),
]


@pytest.mark.parametrize(("metric", "brief", "words"), LIMITS)
def test_a_limit_is_told_in_a_column_and_in_a_sentence(
    metric: dict[str, Any], brief: str, words: str
) -> None:
    found = Metric.model_validate({"name": "error-rate", **metric})
    assert (numbers.limits(found, brief=True), numbers.limits(found)) == (brief, words)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("error-rate", 0.4, "0.4 %"),
        ("latency-p99", 812.4, "812.4 ms"),
        ("request-rate", 20.0, "20 /s"),
        ("apdex", 0.98, "0.98"),
        ("error-rate", None, "-"),
    ],
)
def test_a_value_has_its_unit(name: str, value: float | None, words: str) -> None:
    assert numbers.amount(name, value) == words


def judged(*metrics: dict[str, Any], status: list[dict[str, Any]], **more: Any) -> list[str]:
    """The lines about an analysis that stands so."""
    world = scenes.completed()
    analysis = gen.analysis(*metrics, **more)
    world.manifest["spec"]["strategy"]["canary"]["analysis"] = analysis
    found = {"revision": "r", "checkedAt": "2026-11-20T11:59:00Z", "metrics": status}
    world.status = world.status.model_copy(
        update={"analysis": AnalysisStatus.model_validate(found)}
    )
    return [line.plain for line in numbers.lines(scenes.family(world), NOON, 100)]


ERRORS = {"name": "error-rate", "threshold": 5}


def test_errors_and_doubts_are_explained_below_the_table() -> None:
    lines = judged(
        ERRORS,
        {**ERRORS, "name": "latency-p99"},
        status=[
            {"name": "error-rate", "verdict": "Error", "errors": 2, "message": "no answer"},
            {"name": "latency-p99", "verdict": "Inconclusive", "message": "3 requests seen"},
        ],
    )
    assert lines[0] == "Analysis   of revision r, written 60s ago"
    assert "2 errors" in lines[2]
    assert lines[4:] == [
        "           error-rate: no answer",
        "           latency-p99: 3 requests seen",
    ]


def test_counts_stand_beside_their_limits() -> None:
    (line,) = judged(
        {**ERRORS, "failureThreshold": 3},
        status=[
            {
                "name": "error-rate",
                "verdict": "Failed",
                "value": 7,
                "failures": 2,
                "canary": {"n": 1240, "bad": 87},
                "stable": {"n": 9000, "bad": 1},
            }
        ],
    )[2:]
    assert line.endswith("2/3     87 of 1,240  1 of 9,000")


def test_a_dry_run_decides_nothing() -> None:
    lines = judged({**ERRORS, "dryRun": True}, status=[{"name": "error-rate", "dryRun": True}])
    assert "dry run" in lines[2]


def test_what_runs_dry_is_no_danger() -> None:
    world = scenes.paused()
    for metric in world.manifest["spec"]["strategy"]["canary"]["analysis"]["metrics"]:
        metric["dryRun"] = True
    told = forecast.of(scenes.family(world), world.now)
    assert not any("error-rate" in item for item in (*told.dangers, *told.holds))


def test_an_experiment_tells_arms_effects_and_mismatch() -> None:
    world = scenes.experiment()
    found = {
        "startedAt": "2026-11-20T11:00:00Z",
        "concludedAt": "2026-11-20T11:30:00Z",
        "winner": "B",
        "conclusionReason": "SignificanceReached",
        "mismatch": "60% and 40% instead of 50% and 50%",
        "arms": [{"name": "B", "revision": "r", "service": "shop-b", "isLive": False}],
        "results": [
            {
                "name": "conversion-rate",
                "valueA": 2.0,
                "valueB": 2.5,
                "confidence": 0.987,
                "isSignificant": True,
                "winner": "B",
                "effect": 0.25,
                "effectLow": 0.1,
                "effectHigh": 0.4,
            }
        ],
    }
    world.status = world.status.model_copy(
        update={"ab_experiment": ExperimentStatus.model_validate(found)}
    )
    text = "\n".join(line.plain for line in numbers.lines(scenes.family(world), NOON, 100))
    assert "for 30m; variant B has won (SignificanceReached)" in text
    assert "no ready pod: no requests" in text
    assert "2 %  B    2.5 %  +25.0% (+10.0% … +40.0%)  98.7%       B" in text
    assert "60% and 40% instead" in text
