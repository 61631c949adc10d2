"""YAML of strangers: what is read, what is refused, and that no depth ends the process."""

import contextlib
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from fleet.kit import documents

DEEP = 40_000
"""Levels that overflow the stack of the loader of libyaml."""


@pytest.mark.parametrize(
    ("text", "read"),
    [
        pytest.param("a: 1\n---\n---\n- b\n", [{"a": 1}, None, ["b"]], id="several documents"),
        pytest.param("", [], id="an empty text"),
        pytest.param("a:\n- b:\n  - c\n", [{"a": [{"b": ["c"]}]}], id="lists as far in as keys"),
        pytest.param("[" * 50 + "]" * 50, [yaml.safe_load("[" * 50 + "]" * 50)], id="fifty levels"),
        pytest.param(f"a: {'{} ' * 3_000!r}", [{"a": "{} " * 3_000}], id="a text full of braces"),
    ],
)
def test_what_is_yaml_is_read(text: str, read: list[Any]) -> None:
    assert list(documents.every(text)) == read


@pytest.mark.parametrize(
    "level",
    [
        pytest.param("[", id="lists in brackets"),
        pytest.param("{a: ", id="mappings in braces"),
        pytest.param("- ", id="lists on one line"),
        pytest.param("? ", id="keys on one line"),
        pytest.param("-\t", id="lists with tabs"),
    ],
)
def test_what_is_nested_too_deeply_is_an_error(level: str) -> None:
    with pytest.raises((RecursionError, yaml.YAMLError)):
        documents.one(level * DEEP)


def test_growing_indentation_is_an_error_too() -> None:
    text = "".join(f"{' ' * depth}a:\n" for depth in range(3_000))
    with pytest.raises(RecursionError):
        documents.one(text)


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        pytest.param("a: &a [1]\nb: *a\n", True, id="an alias"),
        pytest.param("a: '*'\nb: x*y # *a\n", False, id="asterisks"),
    ],
)
def test_aliases_are_read_where_they_are_allowed(text: str, is_one: bool) -> None:
    assert list(documents.every(text)) == [yaml.safe_load(text)]
    refused = pytest.raises(yaml.YAMLError, match="an alias is not allowed here")
    with refused if is_one else contextlib.nullcontext():
        assert list(documents.every(text, aliases=False)) == [yaml.safe_load(text)]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a: b: c", id="no YAML"),
        pytest.param("!!python/object/apply:os.system [ls]", id="what would run something"),
        pytest.param("a: 1\n---\nb: 2\n", id="a second document"),
    ],
)
def test_what_is_no_document_is_refused(text: str) -> None:
    with pytest.raises(yaml.YAMLError):
        documents.one(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("a: 1\nb: 2\na: 3\n", "line 3, column 1: a key comes twice: keep one",
                     id="a key"),
        pytest.param("a: 1\n---\n- {b: {c: 1, c: 2}}\n",
                     "line 3, column 14: a key comes twice: keep one", id="one further in"),
        pytest.param("a:\n\tb: 1\n",
                     f"line 2, column 1: {documents.ODD}{documents.PERHAPS}", id="a tab"),
        pytest.param("a: b: c", "line 1, column 5: mapping values are not allowed in this context",
                     id="two colons"),
        pytest.param("a:\n  b: 1\n c: 2\n",
                     "line 3, column 2: did not find expected key, in the block mapping of line 1",
                     id="half an indentation"),
        pytest.param("a: 1\nb: .inf\n", f"line 2, column 4: {documents.UNREAL}", id="no JSON"),
        pytest.param("a: !!int b\n", f"line 1, column 4: {documents.UNREAL}", id="another tag"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_file_of_a_person_is_told_in_a_line(text: str, said: str) -> None:
    with pytest.raises((yaml.YAMLError, ValueError)) as refusal:
        list(documents.every(text, once=True))
    assert documents.fault(refusal.value) == said


def test_what_has_no_place_is_told_without() -> None:
    with pytest.raises(ValueError, match="day is out of range") as refusal:
        list(documents.every("a: 2026-02-31"))
    assert documents.fault(refusal.value) == "day is out of range for month"


SAME = "yEs tRUE nULL inf nan . = << 2001-12-14 1:30 0o19 0x 1e 1e400 1d 1.2.3"
MEANT: Mapping[str, Any] = {
    "y Y yes Yes YES on On ON true True TRUE": True,
    "n N no No NO off Off OFF false False FALSE": False,
    "~ null Null NULL": None,
    "0o17 0O17 017 +017 0xF 0XF 0b1111 1_5 15. 15.0 1.5e1 0_17": 15,
    "08 0_8 8e0 +8": 8,
    "1_000 1e3 1E3 1.e+3": 1000,
    "-.5 -0.5 -5e-1 -0_0.5": -0.5,
    "0 00 -0.0": 0,
    "9223372036854775808": 2.0**63,
}
KUBECTL = [
    *((word, word) for word in SAME.split()),
    *((word, value) for words, value in MEANT.items() for word in words.split()),
    ("!!str y", "y"),
    ("'y'", "y"),
    ("!!bool y", True),
    ("!!float 3", 3),
]
"""What `kubectl annotate --local -f - -o json` of 1.36 has made of them."""


@pytest.mark.parametrize(("text", "value"), KUBECTL)
def test_files_of_people_say_what_they_say_to_kubectl(text: str, value: Any) -> None:
    ((found,),) = documents.every(f"- {text}", once=True)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize("text", [text for text, _ in KUBECTL])
def test_what_is_written_is_the_same_text_to_every_reader(text: str) -> None:
    said = documents.written({text: [text]})
    assert list(documents.every(said, once=True)) == list(documents.every(said)) == [{text: [text]}]


def test_what_is_written_needs_no_more_quotes_than_before() -> None:
    known = {"a": "shop:v1", "b": [1, 2.5, True, None], "c": {"d": "5m"}}
    assert documents.written(known) == yaml.safe_dump(known, sort_keys=False)


def test_what_is_merged_may_come_twice() -> None:
    text = "x: &x {b: 1}\nw: &w\n  <<: *x\n  b: 2\nz: {<<: *w, b: 3}\nu:\n  <<: *x\n  <<: *w\n"
    assert list(documents.every(text, once=True)) == list(documents.every(text))


def test_who_is_not_a_person_may_say_a_thing_twice() -> None:
    assert list(documents.every("a: 1\na: 2\n")) == [{"a": 2}]


def doubled(times: int, first: str) -> str:
    """A text each line of which stands for twice what the line before does."""
    lines = (f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, times + 1))
    return f"a0: &a0 {first}\n{''.join(lines)}"


@pytest.mark.parametrize("times", [20, 80])
def test_aliases_that_stand_for_too_much_are_refused_in_files_of_people(times: int) -> None:
    text = doubled(times, "[x]")
    with pytest.raises(yaml.YAMLError, match="its aliases stand for too much") as caught:
        list(documents.every(f"b: 1\n---\n{text}", once=True))
    assert documents.fault(caught.value).startswith("line 3, column 1: ")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a: &a [*a]", id="a list that is in itself"),
        pytest.param("a: &a {b: [*a]}", id="a mapping that is in itself"),
        pytest.param(
            "- &a0 [x]\n" + "".join(f"- &a{n} [*a{n - 1}]\n" for n in range(1, 3_000)),
            id="one in another, by aliases",
        ),
    ],
)
def test_aliases_that_lead_too_deep_are_refused_in_files_of_people(text: str) -> None:
    with pytest.raises(RecursionError):
        list(documents.every(text, once=True))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(doubled(10, "[x]"), id="a few thousand values"),
        pytest.param("a: &a {b: c}\nd: {<<: *a, e: *a}\n", id="merged"),
        pytest.param(f"[{'a, ' * 200_000}]", id="much, and all of it written"),
    ],
)
def test_aliases_of_people_are_read(text: str) -> None:
    assert list(documents.every(text, once=True)) == [yaml.load(text, yaml.CSafeLoader)]
