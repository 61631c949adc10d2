"""CEL rules beside the models: what a JSON schema cannot say, with a sentence that helps.

A rule stands where its value stands: on a type (`Annotated[str, Rules(...)]`) or on a model
(`RULES = (Rule(...),)`). `api.schema` carries both into the CRDs as `x-kubernetes-validations`; the
API server evaluates them, nothing here does. Only functions of Kubernetes 1.28's CEL may be used,
and whatever a rule touches needs a bound (`max_length`), or the server refuses its cost.
"""

import re
from dataclasses import dataclass
from typing import Any

from pydantic import GetJsonSchemaHandler
from pydantic_core import CoreSchema

VALIDATIONS = "x-kubernetes-validations"

_TEXT = re.compile(r"""(r?"[^"]*"|r?'[^']*')""")
_AIRY = re.compile(r"\s*(&&|\|\||[=!<>]=|[?:,+<>])\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One CEL rule; `message` says what to write instead, `field` what it is about (`.steps`)."""

    rule: str
    message: str
    field: str = ""

    def as_json(self) -> dict[str, str]:
        """The rule as it stands in a CRD."""
        result = {"rule": compact(self.rule), "message": self.message}
        return result | ({"fieldPath": self.field} if self.field else {})


@dataclass(frozen=True, slots=True, init=False)
class Rules:
    """Metadata of a type: its rules, schema keywords that they replace, and keywords to add.

    Replacing (`instead_of=("pattern",)`) leaves one clear message instead of two; the model keeps
    its own check.
    """

    rules: tuple[Rule, ...]
    instead_of: tuple[str, ...]
    keywords: tuple[tuple[str, Any], ...]

    def __init__(self, *rules: Rule, instead_of: tuple[str, ...] = (), **keywords: Any) -> None:
        object.__setattr__(self, "rules", rules)
        object.__setattr__(self, "instead_of", instead_of)
        object.__setattr__(self, "keywords", tuple(keywords.items()))

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Called by pydantic while it makes the JSON schema."""
        schema = dict(handler(core_schema))
        for keyword in self.instead_of:
            schema.pop(keyword, None)
        schema.update(self.keywords)
        add(schema, self.rules)
        return schema


def compact(rule: str) -> str:
    r"""The same expression without the blanks around its operators, and with short digits in its
    raw texts, which are patterns of RE2 (there `\d` is ASCII): a CRD has to fit `kubectl apply`."""
    parts = _TEXT.split(rule)
    return "".join(
        _brief(part) if number % 2 else _AIRY.sub(r"\1", part) for number, part in enumerate(parts)
    )


def _brief(text: str) -> str:
    return text.replace("[0-9]", r"\d") if text.startswith("r") else text


def add(schema: dict[str, Any], rules: tuple[Rule, ...]) -> None:
    """Append `rules` to those that `schema` already has."""
    if rules:
        schema[VALIDATIONS] = [*schema.get(VALIDATIONS, []), *(item.as_json() for item in rules)]


def exactly_one(*names: str) -> str:
    """The CEL expression that exactly one of these optional fields is set."""
    given = ", ".join(f"has(self.{name})" for name in names)
    return f"[{given}].exists_one(it, it)"


def choice(*names: str) -> Rule:
    """The rule that exactly one of these optional fields is set."""
    return Rule(
        rule=exactly_one(*names),
        message=f"write exactly one of {', '.join(names[:-1])} and {names[-1]}",
    )
