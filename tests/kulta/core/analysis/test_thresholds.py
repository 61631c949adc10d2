"""One number to one verdict, and counts to consequences."""

from typing import Any

import pytest

from fleet.api.analysis import Analysis, Metric
from fleet.kulta.core.analysis import thresholds
from fleet.kulta.core.analysis.thresholds import Answer, Counts, Verdict


def metric(threshold: float = 5.0, **more: Any) -> Metric:
    return Metric(name="error-rate", threshold=threshold, **more)


@pytest.mark.parametrize(
    ("value", "threshold", "verdict"),
    [
        pytest.param(2.5, 5.0, Verdict.PASSED, id="[M11] below"),
        pytest.param(8.0, 5.0, Verdict.FAILED, id="[M12] above"),
        pytest.param(5.0, 5.0, Verdict.FAILED, id="[M13] equal fails"),
        pytest.param(600.0, 500.0, Verdict.FAILED, id="[M30] 0.6 s are 600 ms against 500"),
        pytest.param(-1.0, 0.0, Verdict.PASSED, id="negative numbers are numbers"),
        pytest.param(None, 5.0, Verdict.INCONCLUSIVE, id="[M24] no data"),
    ],
)
def test_value_against_threshold(value: float | None, threshold: float, verdict: Verdict) -> None:
    found, message = thresholds.judge(metric(threshold), Answer(value=value), Answer())
    assert found is verdict
    assert message


def test_two_good_values_pass() -> None:
    """[M14] 2.5 against 5 and against 100."""
    verdicts = [thresholds.judge(metric(t), Answer(value=2.5), Answer())[0] for t in (5.0, 100.0)]
    assert verdicts == [Verdict.PASSED, Verdict.PASSED]


@pytest.mark.parametrize(
    ("requests", "verdict"),
    [
        pytest.param(Answer(value=99), Verdict.INCONCLUSIVE, id="too few"),
        pytest.param(Answer(value=100), Verdict.PASSED, id="just enough"),
        pytest.param(Answer(), Verdict.INCONCLUSIVE, id="no data on their number"),
        pytest.param(Answer(error="down"), Verdict.ERROR, id="their number is unknown"),
    ],
)
def test_sample_size(requests: Answer, verdict: Verdict) -> None:
    asked = metric(min_sample_size=100)
    assert thresholds.judge(asked, Answer(value=1.0), requests)[0] is verdict


def test_error_says_what_the_source_said() -> None:
    answer = Answer(error="connection refused")
    assert thresholds.judge(metric(), answer, Answer()) == (Verdict.ERROR, "connection refused")


@pytest.mark.parametrize(
    ("verdicts", "counts"),
    [
        pytest.param("FF", Counts(failures=2, failed=2), id="failures add up"),
        pytest.param("FFP", Counts(failed=2), id="a pass ends the row, not the sum"),
        pytest.param("FEF", Counts(failures=2, failed=2), id="an error is not a pass"),
        pytest.param("FIF", Counts(failures=2, failed=2), id="nor is nothing"),
        pytest.param("EE", Counts(errors=2), id="errors add up apart"),
        pytest.param("EEI", Counts(), id="any answer ends the row of errors"),
        pytest.param("EEF", Counts(failures=1, failed=1), id="a bad one too"),
    ],
)
def test_counts(verdicts: str, counts: Counts) -> None:
    kinds = {kind.name[0]: kind for kind in Verdict if kind is not Verdict.PENDING}
    found = Counts()
    for letter in verdicts:
        found = thresholds.count(found, kinds[letter])
    assert found == counts


@pytest.mark.parametrize(
    ("wish", "limit", "counts", "fatal"),
    [
        pytest.param(None, None, Counts(failures=1, failed=1), True, id="one by default"),
        pytest.param(3, None, Counts(failures=2, failed=5), False, id="two of three in a row"),
        pytest.param(3, None, Counts(failures=3, failed=3), True, id="three of three in a row"),
        pytest.param(None, 4, Counts(failures=3, failed=3), False, id="three of four in all"),
        pytest.param(None, 4, Counts(failures=1, failed=4), True, id="four of four in all"),
        pytest.param(2, 9, Counts(failures=2, failed=2), True, id="whichever comes first"),
    ],
)
def test_fatal(wish: int | None, limit: int | None, counts: Counts, fatal: bool) -> None:
    analysis = Analysis(failure_limit=limit)
    asked = metric(failure_threshold=wish)
    assert thresholds.is_fatal(asked, analysis, counts) is fatal
    assert thresholds.rolls_back(asked, analysis, Verdict.FAILED, counts) is fatal


@pytest.mark.parametrize(
    ("policy", "passes", "back"),
    [
        pytest.param("Pause", False, False, id="[M27] Pause holds"),
        pytest.param("Continue", True, False, id="[M28] Continue goes on"),
        pytest.param("Rollback", False, True, id="[M29] Rollback takes back"),
    ],
)
def test_policy_decides_after_four_errors(policy: str, passes: bool, back: bool) -> None:
    analysis = Analysis(failure_policy=policy)
    few, many = Counts(errors=3), Counts(errors=4)
    assert not thresholds.passes(analysis, Verdict.ERROR, few)
    assert not thresholds.rolls_back(metric(), analysis, Verdict.ERROR, few)
    assert thresholds.passes(analysis, Verdict.ERROR, many) is passes
    assert thresholds.rolls_back(metric(), analysis, Verdict.ERROR, many) is back
