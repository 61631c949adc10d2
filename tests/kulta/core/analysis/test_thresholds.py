"""One number to one verdict, and counts to consequences."""

from typing import Any

import pytest

from fleet.api.analysis import Analysis, Metric, NoData
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
    found = thresholds.judge(metric(threshold), Answer(value=value), Answer())
    assert found.verdict is verdict
    assert found.message


RANGE = {"threshold_range": {"min": 1, "max": 5}}
BOTH = {"threshold_range": {"max": 1}, "threshold": 5}
TENTH = {"compare_to_stable": {"max_increase": "10%"}}
HALF = {"compare_to_stable": {"max_increase": "0.5"}}


def asked(**conditions: Any) -> Metric:
    return Metric(name="mine", query="up", **conditions)


@pytest.mark.parametrize(
    ("conditions", "value", "said"),
    [
        pytest.param({}, 3.0, "3, with nothing to compare it with", id="nothing"),
        pytest.param(RANGE, 3.0, "3 is from 1 to 5", id="within a range"),
        pytest.param(RANGE, 7.0, "7 is not from 1 to 5", id="beyond a range"),
        pytest.param({"threshold_range": {"min": 1}}, 2.0, "2 is at least 1", id="no upper end"),
        pytest.param({"threshold_range": {"max": 1}}, 2.0, "2 is not at most 1", id="no lower end"),
        pytest.param(
            BOTH, 0.5, "0.5 against a threshold of 5; 0.5 is at most 1", id="good twice over"
        ),
        pytest.param(
            BOTH,
            3.0,
            "3 is not at most 1, and not past the threshold of 5: it is neither good nor bad",
            id="neither good nor bad",
        ),
        pytest.param(
            {**TENTH, "threshold": 5},
            2.1,
            "2.1 against a threshold of 5; 2.1 against 2 of the stable revision, at most 2.2",
            id="good twice, once beside the stable revision",
        ),
        pytest.param(
            TENTH, 2.3, "2.3 against 2 of the stable revision, at most 2.2", id="worse than that"
        ),
        pytest.param(
            {"min_sample_size": 30}, 3.0, "12 requests seen, minSampleSize is 30", id="too few"
        ),
        pytest.param(
            {}, None, "no data: the query finds nothing about the new revision", id="no data"
        ),
    ],
)
def test_what_is_said_of_a_value(conditions: Any, value: float | None, said: str) -> None:
    answers = (Answer(value=value), Answer(value=12.0), Answer(value=2.0))
    assert thresholds.judge(asked(**conditions), *answers).message == said


@pytest.mark.parametrize(
    ("conditions", "value", "verdict"),
    [
        pytest.param(RANGE, 1.0, Verdict.PASSED, id="the least of a range is in it"),
        pytest.param(RANGE, 5.0, Verdict.PASSED, id="so is the most"),
        pytest.param(RANGE, 0.9, Verdict.FAILED, id="below a range"),
        pytest.param(RANGE, 5.1, Verdict.FAILED, id="above a range"),
        pytest.param({"threshold_range": {"min": 1}}, 1e9, Verdict.PASSED, id="no upper end"),
        pytest.param({"threshold_range": {"max": 1}}, -1e9, Verdict.PASSED, id="no lower end"),
        pytest.param(BOTH, 0.5, Verdict.PASSED, id="good by the range"),
        pytest.param(BOTH, 5.0, Verdict.FAILED, id="bad by the threshold"),
        pytest.param(BOTH, 3.0, Verdict.UNDECIDED, id="neither good nor bad"),
        pytest.param(
            {"threshold_range": {"max": 9}, "threshold": 5},
            7.0,
            Verdict.FAILED,
            id="good by the range and bad by the threshold is bad",
        ),
        pytest.param(RANGE | TENTH, 5.1, Verdict.FAILED, id="out of the range, as good as stable"),
    ],
)
def test_ranges(conditions: dict[str, Any], value: float, verdict: Verdict) -> None:
    found = thresholds.judge(asked(**conditions), Answer(value=value), Answer(), Answer(value=9.0))
    assert found.verdict is verdict


@pytest.mark.parametrize(
    ("conditions", "value", "stable", "verdict"),
    [
        pytest.param(TENTH, 110.0, 100.0, Verdict.PASSED, id="a tenth more is allowed"),
        pytest.param(TENTH, 110.1, 100.0, Verdict.FAILED, id="more than a tenth is not"),
        pytest.param(TENTH, 50.0, 100.0, Verdict.PASSED, id="less is always allowed"),
        pytest.param(TENTH, 0.0, 0.0, Verdict.PASSED, id="nothing beside nothing"),
        pytest.param(TENTH, 0.1, 0.0, Verdict.FAILED, id="a part of nothing is nothing"),
        pytest.param(TENTH, -91.0, -100.0, Verdict.PASSED, id="a tenth of what is below zero"),
        pytest.param(HALF, 0.5, 0.0, Verdict.PASSED, id="a number is in the metric's unit"),
        pytest.param(HALF, 0.6, 0.0, Verdict.FAILED, id="more than that number"),
        pytest.param(TENTH | {"threshold": 5}, 6, 100.0, Verdict.FAILED, id="both have to hold"),
        pytest.param(TENTH, 1.0, None, Verdict.INCONCLUSIVE, id="no data of the stable one"),
    ],
)
def test_comparison_with_stable(
    conditions: dict[str, Any], value: float, stable: float | None, verdict: Verdict
) -> None:
    answers = Answer(value=value), Answer(), Answer(value=stable)
    assert thresholds.judge(asked(**conditions), *answers).verdict is verdict


@pytest.mark.parametrize("policy", NoData)
@pytest.mark.parametrize(
    "stable",
    [
        pytest.param(Answer(), id="no data of the stable one"),
        pytest.param(Answer(error="down"), id="no answer about it"),
    ],
)
def test_what_is_bad_by_itself_needs_no_comparison(stable: Answer, policy: NoData) -> None:
    wish = asked(**TENTH, threshold=5, no_data=policy)
    found = thresholds.judge(wish, Answer(value=50.0), Answer(), stable)
    assert (found.verdict, found.limit) == (Verdict.FAILED, 5.0)


def test_first_revision_is_compared_with_nothing() -> None:
    found = thresholds.judge(asked(**TENTH), Answer(value=1e9), Answer(), None)
    assert (found.verdict, "nothing to compare" in found.message) == (Verdict.PASSED, True)


def test_an_error_on_the_stable_side_is_an_error() -> None:
    found = thresholds.judge(asked(**TENTH), Answer(value=1.0), Answer(), Answer(error="down"))
    assert (found.verdict, found.message) == (Verdict.ERROR, "down")


@pytest.mark.parametrize(
    ("policy", "verdict"),
    [
        pytest.param("Hold", Verdict.INCONCLUSIVE, id="Hold waits"),
        pytest.param("Pass", Verdict.PASSED, id="Pass takes it as good"),
        pytest.param("Fail", Verdict.FAILED, id="Fail takes it as bad"),
        pytest.param("Error", Verdict.ERROR, id="Error leaves it to failurePolicy"),
    ],
)
def test_no_data(policy: str, verdict: Verdict) -> None:
    found = thresholds.judge(metric(no_data=policy), Answer(), Answer())
    assert found.verdict is verdict
    assert found.message == "no data: the new revision has had no requests"
    early = thresholds.judge(metric(no_data=policy), Answer(), Answer(), is_whole=False)
    assert early.verdict is Verdict.INCONCLUSIVE, "too early to mean anything"


@pytest.mark.parametrize(
    ("iterations", "passed", "goes_on"),
    [
        pytest.param(1, 1, True, id="one is enough by default"),
        pytest.param(3, 2, False, id="two of three"),
        pytest.param(3, 3, True, id="three of three"),
    ],
)
def test_so_many_checks_have_to_pass(iterations: int, passed: int, goes_on: bool) -> None:
    analysis = Analysis(iterations=iterations)
    counts = Counts(passed=passed)
    assert thresholds.passes(analysis, Verdict.PASSED, counts) is goes_on
    assert not thresholds.passes(analysis, Verdict.FAILED, counts)


def test_a_person_is_asked_after_so_many_undecided_checks() -> None:
    analysis = Analysis(inconclusive_limit=2)
    found = [thresholds.needs_person(analysis, Counts(undecided=item)) for item in (1, 2, 3)]
    assert found == [False, True, True]


def test_two_good_values_pass() -> None:
    """[M14] 2.5 against 5 and against 100."""
    said = [thresholds.judge(metric(t), Answer(value=2.5), Answer()) for t in (5.0, 100.0)]
    assert [item.verdict for item in said] == [Verdict.PASSED, Verdict.PASSED]


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
    assert thresholds.judge(asked, Answer(value=1.0), requests).verdict is verdict


def test_error_says_what_the_source_said() -> None:
    answer = Answer(error="connection refused")
    found = thresholds.judge(metric(), answer, Answer())
    assert (found.verdict, found.message) == (Verdict.ERROR, "connection refused")


@pytest.mark.parametrize(
    ("verdicts", "counts"),
    [
        pytest.param("FF", Counts(failures=2, failed=2), id="failures add up"),
        pytest.param("FFP", Counts(failed=2, passed=1), id="a pass ends the row, not the sum"),
        pytest.param("FEF", Counts(failures=2, failed=2), id="an error is not a pass"),
        pytest.param("FIF", Counts(failures=2, failed=2), id="nor is nothing"),
        pytest.param("EE", Counts(errors=2), id="errors add up apart"),
        pytest.param("EEI", Counts(), id="any answer ends the row of errors"),
        pytest.param("PUPU", Counts(passed=2, undecided=2), id="undecided ones are apart"),
        pytest.param("EEU", Counts(undecided=1), id="an undecided answer is an answer"),
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
