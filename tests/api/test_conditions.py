"""Conditions: a condition's time is the time of its last change of status, nothing else."""

from datetime import UTC, datetime, timedelta

import pytest

from fleet.api import conditions
from fleet.api.conditions import Condition, condition

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
LATER = NOON + timedelta(minutes=5)
READY = condition("Ready", True, "Available").model_copy(
    update={"last_transition_time": NOON, "observed_generation": 1}
)


@pytest.mark.parametrize(
    ("new", "time"),
    [
        pytest.param(condition("Ready", True, "Available"), NOON, id="the same keeps its time"),
        pytest.param(
            condition("Ready", True, "Completed", "all well"),
            NOON,
            id="another reason keeps the time",
        ),
        pytest.param(
            condition("Ready", False, "Unavailable"), LATER, id="another status takes a new one"
        ),
        pytest.param(
            condition("Ready", None, "EngineUnknown"), LATER, id="unknown is another status"
        ),
    ],
)
def test_the_time_changes_with_the_status_alone(new: Condition, time: datetime) -> None:
    (result,) = conditions.updated([READY], [new], LATER, generation=2)
    assert result.last_transition_time == time
    assert (result.reason, result.message) == (new.reason, new.message)
    assert result.observed_generation == 2


def test_a_new_condition_joins_the_others_in_order_of_their_types() -> None:
    result = conditions.updated([READY], [condition("Degraded", False, "Available")], LATER)
    assert [item.type for item in result] == ["Degraded", "Ready"]
    assert result[0].last_transition_time == LATER
    assert result[1] == READY


@pytest.mark.parametrize(("value", "status"), [(True, "True"), (False, "False"), (None, "Unknown")])
def test_three_values(value: bool | None, status: str) -> None:
    made = condition("Ready", value, "Available")
    assert made.status == status
    assert conditions.is_true([made], "Ready") is (value is True)


def test_a_long_message_is_cut_to_what_the_schema_takes() -> None:
    made = condition("Ready", False, "InvalidSpec", "x" * 5_000)
    assert len(made.message) == conditions.MESSAGE_LIMIT
    assert Condition.model_validate(made.model_dump()) == made


def test_an_absent_condition_is_none_and_not_true() -> None:
    assert conditions.find([READY], "Degraded") is None
    assert not conditions.is_true([READY], "Degraded")
    assert conditions.find([READY], "Ready") == READY
