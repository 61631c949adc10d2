"""The sandbox in which templates run, and the set of templates that it may load.

`render` is the only caller. A template sees plain values and the filters below; it cannot reach a
file, an attribute of a Python object, or another template than those of its set. An undefined name
is an error, never an empty text.
"""

import functools
import json
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from jinja2 import FunctionLoader, StrictUndefined, TemplateSyntaxError, Undefined, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

from fleet.errors import UserError
from fleet.kit import hashing

SUFFIX = ".j2"
PLAIN = (str, int, float, bool, Undefined)
"""What may be printed as it is; an undefined name raises by itself."""

TEMPLATES = ("rollout.yaml.j2", "services.yaml.j2", "httproute.yaml.j2")
"""What makes a member's objects, in their order."""
SHARED = "_macros.j2"
"""What these import."""

RANGE = 10_000
"""Longest `range()` of a template."""


@dataclass(frozen=True, slots=True)
class TemplateSet:
    """Templates by name (`rollout.yaml.j2`, `engine/deployment.yaml.j2`), frozen by content."""

    files: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, files: Mapping[str, str]) -> "TemplateSet":
        """A set from name → text."""
        return cls(tuple(sorted(files.items())))

    @property
    def digest(self) -> str:
        """Twelve digits for the content of all templates that make an Application's objects."""
        return _digest(self)

    def replaced(self, own: Mapping[str, str]) -> "TemplateSet":
        """These with an Application's own in their place; nothing of an engine."""
        return TemplateSet.of({**{n: text for n, text in self.files if "/" not in n}, **own})

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.files)


def read(folder: Path) -> TemplateSet:
    """All templates below `folder`, by their relative path. Raises OSError for one that cannot be
    read, UserError where there is none, or one is no text."""
    found = {
        path.relative_to(folder).as_posix(): _text(path)
        for path in sorted(folder.rglob(f"*{SUFFIX}"))
    }
    if not found:
        raise UserError("TemplateError", f"{folder}: no templates (*{SUFFIX}) there")
    return TemplateSet.of(found)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UserError("TemplateError", f"{path}: is no text in UTF-8: save it as such") from None


@lru_cache(maxsize=64)
def _digest(templates: TemplateSet) -> str:
    return hashing.digest({name: text for name, text in templates.files if "/" not in name})


@lru_cache(maxsize=64)
def environment(templates: TemplateSet) -> "Sandbox":
    """The sandbox for this set; compiled templates are kept with it."""
    return Sandbox(templates)


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja without its dangers: strict, bounded, plain values only.

    `kept` is what its templates made of values lately, for `render`, which bounds it.
    """

    def __init__(self, templates: TemplateSet) -> None:
        super().__init__(
            loader=FunctionLoader(functools.partial(_load, dict(templates.files))),
            undefined=StrictUndefined,
            finalize=_finalize,
            autoescape=False,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            auto_reload=False,
        )
        self.kept: OrderedDict[str, Any] = OrderedDict()
        self._texts = dict(templates.files)
        self._names: dict[tuple[str, ...], frozenset[str]] = {}
        self.globals = {"range": _range}
        self.filters = {
            name: self.filters[name]
            for name in ("default", "indent", "join", "length", "list", "lower", "replace", "trim")
        } | {"to_json": _to_json, "to_yaml": _to_yaml}

    def names(self, roots: tuple[str, ...]) -> frozenset[str]:
        """Every name that stands in these templates or in one that they load: what is not here,
        none of them reads."""
        if roots not in self._names:
            self._names[roots] = frozenset(self._written(roots))
        return self._names[roots]

    def _written(self, roots: tuple[str, ...]) -> Iterator[str]:
        waiting, seen = list(roots), set[str]()
        while waiting:
            name = waiting.pop()
            if name in seen or name not in self._texts:
                continue
            seen.add(name)
            try:
                tokens = list(self.lex(self._texts[name]))
                loaded = list(meta.find_referenced_templates(self.parse(self._texts[name])))
            except TemplateSyntaxError:
                continue  # it prints nothing, and whoever renders it says so
            yield from (str(value) for _, kind, value in tokens if kind == "name")
            for one in loaded:
                waiting += [one] if one is not None else self._texts


def _load(texts: Mapping[str, str], name: str) -> tuple[str, str, None] | None:
    """A template of the set and nothing else; in a traceback each goes by its name."""
    return (texts[name], name, None) if name in texts else None


def _range(*bounds: int) -> range:
    result = range(*bounds)
    if len(result) > RANGE:
        raise ValueError(f"range() of {len(result)} items: at most {RANGE}")
    return result


def _finalize(value: Any) -> Any:
    """Only plain scalars may be printed as they are; the rest needs `to_json` or `to_yaml`."""
    if isinstance(value, PLAIN):
        return value
    kind = "null" if value is None else "a list" if isinstance(value, list) else "an object"
    raise ValueError(f"{kind} cannot be printed: use the filter to_json or to_yaml")


def _to_json(value: Any) -> str:
    """`value` as JSON, which is YAML on one line and safe in any place of it."""
    if isinstance(value, Undefined):
        value._fail_with_undefined_error()
    return json.dumps(value, ensure_ascii=False)


def _to_yaml(value: Any, indent: int = 0) -> str:
    """`value` as block YAML, each line after the first indented by `indent` blanks."""
    if isinstance(value, Undefined):
        value._fail_with_undefined_error()
    text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=4_096)
    return text.rstrip("\n").removesuffix("\n...").replace("\n", "\n" + " " * indent)
