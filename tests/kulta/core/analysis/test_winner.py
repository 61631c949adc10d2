"""Results and what they decide: by metric, by arm, corrected for all of them."""

from typing import Any

import pytest

from fleet.api.experiment import ABAnalysis, ABMetric, ExperimentResult
from fleet.kulta.core.analysis import winner
from fleet.kulta.core.analysis.sequential import Peek
from fleet.kulta.core.analysis.significance import Share
from fleet.kulta.core.analysis.winner import Measured, Pair

PEEK = Peek(least=100)
ANALYSIS = ABAnalysis.model_validate({"metrics": []})


def result(who: str = "", arm: str = "B", **more: Any) -> ExperimentResult:
    """A result that says who has won; empty: nothing."""
    fields = {"name": "error-rate", "value_a": 5.0, "value_b": 2.0, "effect": -0.6, **more}
    return ExperimentResult(
        arm=arm, confidence=0.99, is_significant=bool(who), winner=who, **fields
    )


def pair(control: float, other: float, n: int = 10_000, **metric: Any) -> Pair:
    wish = {"name": "error-rate", "direction": "lower", **metric}
    parts = [Measured(share=Share(rate=rate, n=n), value=100 * rate) for rate in (control, other)]
    return Pair(metric=ABMetric.model_validate(wish), arm="B", control=parts[0], other=parts[1])


@pytest.mark.parametrize(
    ("results", "metrics", "decided"),
    [
        pytest.param(["B", "B"], 3, ("B", "ConsensusReached"), id="[Z13] B and B of three"),
        pytest.param(["A", "A"], 3, ("A", "ConsensusReached"), id="[Z14] A and A of three"),
        pytest.param(["B", "B"], 2, ("B", "SignificanceReached"), id="all of them say B"),
        pytest.param(["A"], 1, ("A", "SignificanceReached"), id="the only one says A"),
        pytest.param(["B", ""], 2, ("B", "ConsensusReached"), id="one of two says B"),
        pytest.param([""], 1, None, id="[Z15] nothing significant"),
        pytest.param([], 1, None, id="[Z15] no results"),
        pytest.param(["B", "A"], 2, None, id="[Z16] they disagree"),
    ],
)
def test_metrics_agree_or_not(results: list[str], metrics: int, decided: Any) -> None:
    found = [result(who, name=f"metric-{number}") for number, who in enumerate(results)]
    assert winner.decide(found, metrics, ["B"]) == decided


@pytest.mark.parametrize(
    ("results", "decided"),
    [
        pytest.param({"B": "", "C": "C"}, ("C", "SignificanceReached"), id="one is better"),
        pytest.param({"B": "A", "C": ""}, None, id="one has lost, the other is open"),
        pytest.param({"B": "A", "C": "A"}, ("A", "SignificanceReached"), id="all have lost"),
        pytest.param({"B": "A", "C": "C"}, ("C", "SignificanceReached"), id="one of each"),
    ],
)
def test_arms_are_held_against_the_control(results: dict[str, str], decided: Any) -> None:
    found = [result(who, arm) for arm, who in results.items()]
    assert winner.decide(found, 1, list(results)) == decided


def test_largest_effect_is_the_best() -> None:
    found = [result("B", "B", effect=-0.2), result("C", "C", effect=-0.5)]
    assert winner.decide(found, 1, ["B", "C"]) == ("C", "SignificanceReached")


def test_result_says_all_that_is_known() -> None:
    (found,) = winner.results([pair(0.05, 0.02)], 1, ANALYSIS, PEEK)
    assert (found.name, found.arm, found.value_a, found.value_b) == ("error-rate", "B", 5.0, 2.0)
    assert (found.is_significant, found.winner, found.effect) == (True, "B", pytest.approx(-0.6))
    assert found.confidence > 0.999
    assert found.effect_low is not None
    assert found.effect_high is not None
    assert found.effect_low < -0.6 < found.effect_high


def test_more_findings_make_each_less_certain() -> None:
    """Metrics times arms are corrected for, those that say nothing yet included."""
    alone, among = (
        winner.results([pair(0.05, 0.03, 3_000)], findings, ANALYSIS, PEEK)[0].confidence
        for findings in (1, 6)
    )
    assert among < alone


def test_small_effect_is_significant_and_no_victory() -> None:
    (found,) = winner.results([pair(0.5, 0.49, 200_000, minEffectSize=0.05)], 1, ANALYSIS, PEEK)
    assert (found.is_significant, found.winner) == (True, "")


@pytest.mark.parametrize(("direction", "who"), [("lower", "A"), ("higher", "B")])
def test_direction_says_what_is_better(direction: str, who: str) -> None:
    (found,) = winner.results([pair(0.02, 0.05, direction=direction)], 1, ANALYSIS, PEEK)
    assert found.winner == who


def test_latency_is_judged_by_share_and_told_by_value() -> None:
    metric = ABMetric.model_validate({"name": "latency-p95", "direction": "lower"})
    slow = Pair(
        metric=metric,
        arm="B",
        control=Measured(share=Share(rate=0.06, n=10_000), value=100.0),
        other=Measured(share=Share(rate=0.03, n=10_000), value=80.0),
    )
    (found,) = winner.results([slow], 1, ANALYSIS, PEEK)
    assert (found.winner, found.value_b, found.effect) == ("B", 80.0, pytest.approx(-0.2))
    assert (found.effect_low, found.effect_high) == (None, None)
