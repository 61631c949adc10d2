"""What a structural schema says against a value: every problem, with its path and what to write.

The part of an API server's validation that needs no server: types, required and unknown fields,
enumerations, ranges, lengths, keys that come twice; and what it makes of a value that is right.
Called by linting, and by all that reads our objects from files. CEL rules are not evaluated here;
the cores have the same rules in their own words.
"""

import copy
import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fleet.api import elsewhere, rules

Schema = Mapping[str, Any]

SHOWN = 60
"""Longest part of a wrong value that a message repeats."""
QUANTITY = "must be a quantity, for example 2, 500m or 256Mi"
"""What a number with a unit is; the only pattern of values that may be a number too."""
FEW = 2
"""Most fields of an object that a message names."""
TYPES: Mapping[str, tuple[tuple[type, ...], str]] = {
    "object": ((dict,), "must be an object"),
    "array": ((list,), "must be a list"),
    "string": ((str,), "must be a text: put it into quotes"),
    "integer": ((int,), "must be a whole number"),
    "number": ((int, float), "must be a number"),
    "boolean": ((bool,), "must be true or false"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong: where, and what to write instead."""

    path: str
    """`spec.strategy.canary.steps[0].setWeight`."""
    text: str
    is_taken: bool = False
    """Whether an API server and the engine take it all the same."""

    def __str__(self) -> str:
        joint = "" if self.text.startswith(":") or not self.path else " "
        return f"{self.path}{joint}{self.text}"


def unquoted(value: Any, path: str) -> Iterator[Problem]:
    """Keys that YAML takes for a number or a truth value: `on`, for example. A part that stands in
    several places, as an alias does, is told of in the first."""
    yield from _unquoted(value, path, set())


def _unquoted(value: Any, path: str, seen: set[int]) -> Iterator[Problem]:
    if not isinstance(value, dict | list) or id(value) in seen:
        return
    seen.add(id(value))
    for key, part in value.items() if isinstance(value, dict) else ():
        if not isinstance(key, str):
            told = f"has a key that is no text: put it into quotes (is {key!r})"
            yield Problem(path=path, text=told)
        yield from _unquoted(part, f"{path}.{key}" if path else str(key), seen)
    for number, part in enumerate(value if isinstance(value, list) else ()):
        yield from _unquoted(part, f"{path}[{number}]", seen)


def problems(schema: Schema, value: Any, path: str) -> Iterator[Problem]:
    """Everything that `schema` has against `value`, which stands at `path`."""
    if schema.get("x-kubernetes-int-or-string"):
        yield from _either(schema, value, path)
        return
    kinds, words = TYPES.get(schema.get("type", ""), ((), ""))
    is_bool = isinstance(value, bool)
    if kinds and (not isinstance(value, kinds) or (is_bool and bool not in kinds)):
        yield _problem(path, f"{words}{_inside(schema)}", value, _rule(schema))
        return
    if "enum" in schema and value not in schema["enum"]:
        yield _problem(path, f"must be one of {', '.join(map(str, schema['enum']))}", value)
    for check in (_range, _length):
        yield from check(schema, value, path)
    if isinstance(value, dict):
        yield from _object(schema, value, path)
    elif isinstance(value, list):
        yield from _list(schema, value, path)


def stored(schema: Schema, value: Any) -> Any:
    """`value`, in which nothing is wrong, as an API server gives it back: with the defaults of the
    schema, and its keys in order."""
    if isinstance(value, list):
        return [stored(schema.get("items", {}), item) for item in value]
    if not isinstance(value, dict):
        return value
    known, more = schema.get("properties", {}), schema.get("additionalProperties")
    given = {key: item for key, item in value.items() if item is not None}
    defaults = {key: inner["default"] for key, inner in known.items() if "default" in inner}
    filled = {**copy.deepcopy(defaults), **given}
    other = more if isinstance(more, Mapping) else {}
    return {key: stored(known.get(key, other), filled[key]) for key in sorted(filled)}


def _either(schema: Schema, value: Any, path: str) -> Iterator[Problem]:
    """A number or a text, which a quantity is."""
    is_one = isinstance(value, int | str) and not isinstance(value, bool)
    if not (is_one and re.search(schema.get("pattern", ""), str(value))):
        words = QUANTITY if "pattern" in schema else "must be a whole number or a text"
        yield _problem(path, words, value)


def _range(schema: Schema, value: Any, path: str) -> Iterator[Problem]:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    if "minimum" in schema and value < schema["minimum"]:
        yield _problem(path, f"must be >= {schema['minimum']}", value)
    if "maximum" in schema and value > schema["maximum"]:
        yield _problem(path, f"must be <= {schema['maximum']}", value)


def _length(schema: Schema, value: Any, path: str) -> Iterator[Problem]:
    if not isinstance(value, str | list | dict):
        return
    kind = {str: "Length", list: "Items", dict: "Properties"}[type(value)]
    unit = {"Length": "character", "Items": "item", "Properties": "key"}[kind]
    least, most = schema.get(f"min{kind}", 0), schema.get(f"max{kind}")
    if len(value) < least:
        keys = ", ".join(schema.get("properties", ())) if isinstance(value, dict) else ""
        known = f": write one of {keys}" if keys else ""
        yield _problem(path, f"must have at least {amount(least, unit)}{known}", value)
    if most is not None and len(value) > most:
        yield _problem(path, f"must have at most {amount(most, unit)}, it has {len(value)}", None)
    if isinstance(value, str) and "pattern" in schema and not re.search(schema["pattern"], value):
        yield _problem(path, f"must match {schema['pattern']}", value)


def amount(number: int, unit: str) -> str:
    """`1 item`, `2 items`."""
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"


def _object(schema: Schema, value: Mapping[str, Any], path: str) -> Iterator[Problem]:
    known, more = schema.get("properties", {}), schema.get("additionalProperties")
    for key in schema.get("required", ()):
        if value.get(key) is None:
            yield Problem(path=f"{path}.{key}".lstrip("."), text="is required")
    for key, item in value.items():
        where = f"{path}.{key}".lstrip(".")
        if key in known:
            inner = known[key]
        elif isinstance(more, Mapping):
            inner = more
        else:
            if known:
                yield unknown(where, str(key), tuple(known))
            continue
        if item is not None:
            yield from problems(inner, item, where)


def _inside(schema: Schema) -> str:
    """What an object of few fields holds, for who wrote its one value instead."""
    known = tuple(schema.get("properties", ()))
    return f" with {' and '.join(known)}" if 0 < len(known) <= FEW else ""


def _rule(schema: Schema) -> str:
    """What to write for a text of a certain form, such as a duration."""
    found = schema.get(rules.VALIDATIONS, ()) if schema.get("type") == "string" else ()
    return f": {found[0]['message']}" if found else ""


def unknown(path: str, key: str, known: Sequence[str]) -> Problem:
    """A field that there is not, with the one that was meant, perhaps."""
    if said := elsewhere.words(path):
        return Problem(path=path, text=f": unknown field; {said}")
    close = difflib.get_close_matches(key, known, 1) or [
        name for name in known if name.lower() == key.lower()
    ]
    hint = f"; did you mean {close[0]}?" if close else ""
    return Problem(path=path, text=f": unknown field{hint}")


def _list(schema: Schema, value: Sequence[Any], path: str) -> Iterator[Problem]:
    keys, items = schema.get("x-kubernetes-list-map-keys", ()), schema.get("items", {})
    seen: set[tuple[Any, ...]] = set()
    for number, item in enumerate(value):
        where = f"{path}[{number}]"
        yield from problems(items, item, where)
        if not keys or not isinstance(item, dict):
            continue
        mark = tuple(str(item.get(key, _default(items, key))) for key in keys)
        if mark in seen:
            said = ", ".join(f"{key} {text}" for key, text in zip(keys, mark, strict=True))
            yield Problem(path=where, text=f"comes twice ({said}): keep one")
        seen.add(mark)


def _default(items: Schema, key: str) -> Any:
    return items.get("properties", {}).get(key, {}).get("default", "")


def _problem(path: str, words: str, value: Any, more: str = "") -> Problem:
    if value is None:
        return Problem(path=path, text=words)
    shown = repr(value)
    shown = shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}…"
    return Problem(path=path, text=f"{words} (is {shown}){more}")
