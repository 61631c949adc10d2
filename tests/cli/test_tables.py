"""Tables, spans and documents as commands print them."""

import json
from datetime import datetime, timedelta

import pytest
import yaml

from fleet.cli import tables
from fleet.errors import UserError


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    rows = [{"NAME": "eu-7", "AGE": "12d"}, {"NAME": "a-longer-name", "AGE": ""}]
    assert tables.aligned(rows) == (
        "NAME            AGE\n"
        "eu-7            12d\n"
        "a-longer-name   -\n"
    )  # fmt: skip


def test_no_rows_are_no_table() -> None:
    assert tables.aligned([]) == ""


def test_an_object_is_printed_without_its_book_keeping() -> None:
    stored = {"metadata": {"name": "a", "managedFields": [{}]}, "status": {"failed": 0}}
    assert tables.bare(stored) == {"metadata": {"name": "a"}, "status": {"failed": 0}}


@pytest.mark.parametrize(
    ("distance", "text"),
    [
        (timedelta(seconds=40), "40s"),
        (timedelta(minutes=12, seconds=59), "12m"),
        (timedelta(hours=5), "5h"),
        (timedelta(days=6, hours=23), "6d"),
        (-timedelta(days=2), "2d"),
    ],
)
def test_a_span_is_told_in_its_largest_unit(now: datetime, distance: timedelta, text: str) -> None:
    assert tables.span((now - distance).isoformat(), now) == text


def test_nothing_has_no_span(now: datetime) -> None:
    assert tables.span(None, now) == ""


@pytest.mark.parametrize(("form", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_documents_can_be_read_back(form: str, read: object) -> None:
    assert callable(read)
    assert read(tables.document([{"a": 1}], form)) == [{"a": 1}]


def test_an_unknown_form_names_those_that_are_known() -> None:
    with pytest.raises(UserError, match="--output xml: write json or yaml"):
        tables.check("xml", ("json", "yaml"))
