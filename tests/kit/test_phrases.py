"""Parts of sentences."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from fleet.kit import phrases


@pytest.mark.parametrize(
    ("names", "text"),
    [
        pytest.param([], "", id="nobody"),
        pytest.param(["a", "b"], "a, b", id="all of a few"),
        pytest.param(["a", "b", "c", "d"], "a, b, c and 1 more", id="the first of many"),
    ],
)
def test_names(names: list[str], text: str) -> None:
    assert phrases.listed(names, most=3) == text


@pytest.mark.parametrize(
    ("text", "short"),
    [
        pytest.param("as it is", "as it is", id="what fits stays"),
        pytest.param("two\n lines", "two lines", id="lines become one"),
        pytest.param("one too many", "one too m…", id="what is too long is cut"),
    ],
)
def test_cuts(text: str, short: str) -> None:
    assert phrases.short(text, 10) == short


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param(datetime(2026, 3, 1, 14, 20, 5, 900_000, tzinfo=UTC), id="cut to seconds"),
        pytest.param(
            datetime(2026, 3, 1, 16, 20, 5, tzinfo=timezone(timedelta(hours=2))),
            id="told in UTC wherever it was taken",
        ),
    ],
)
def test_the_time_of_day(moment: datetime) -> None:
    assert phrases.clock(moment) == "14:20:05Z"
