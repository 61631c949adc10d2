"""Answers that are worked out once for each value."""

import pytest

from fleet.kit import memory


class Value:
    """Equal to every other one."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Value)

    def __hash__(self) -> int:
        return 0


def test_the_same_value_is_worked_on_once_and_an_equal_one_for_itself() -> None:
    asked: list[Value] = []
    answer = memory.once(lambda value: asked.append(value) or len(asked))
    one, other = Value(), Value()
    assert [answer(one), answer(other), answer(one)] == [1, 2, 1]


def test_only_the_newest_are_remembered() -> None:
    asked: list[Value] = []
    answer = memory.once(lambda value: asked.append(value) or len(asked), kept=2)
    values = [Value() for _ in range(3)]
    assert [answer(value) for value in values] == [1, 2, 3]
    assert [answer(value) for value in reversed(values)] == [3, 2, 4]


def test_what_fails_is_tried_again() -> None:
    results = iter([ZeroDivisionError(), None])

    def work(value: object) -> str:
        error = next(results)
        if error is not None:
            raise error
        return "done"

    answer, value = memory.once(work), Value()
    with pytest.raises(ZeroDivisionError):
        answer(value)
    assert answer(value) == "done"


def test_of_two_values_each_counts() -> None:
    asked: list[Value] = []
    answer = memory.of_two(lambda value, other: asked.append(value) or len(asked), kept=2)
    one, other = Value(), Value()
    assert [answer(one, other), answer(other, one), answer(one, other)] == [1, 2, 1]
    assert [answer(one, one), answer(one, other)] == [3, 4]
