"""The base of every object that crosses the border to an API server.

Models read with unknown fields tolerated (a newer server may send more) and frozen; they are
written with camelCase names and without nulls. `parse(strict=True)` refuses unknown fields, as the
API server's strict validation does, for files that a person wrote.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Generic, Literal, Self, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from fleet.api import elsewhere, rules, sentences
from fleet.api.rules import Rule
from fleet.errors import UserError
from fleet.kit import durations

Manifest = Mapping[str, Any]
"""An object as it travels: parsed JSON."""


def _complete(schema: dict[str, Any], model: "type[Model]") -> None:
    """What stands beside the fields goes into the schema: their sentences, rules, exceptions."""
    for name, sentence in sentences.under(model).items():
        if name in model.model_fields:
            schema["properties"][model.model_fields[name].alias or name]["description"] = sentence
    rules.add(schema, model.RULES)
    required = [name for name in schema.get("required", ()) if name not in model.REQUIRED_BY_RULE]
    if required:
        schema["required"] = required
    else:
        schema.pop("required", None)


class Model(BaseModel):
    """A part of an object: camelCase outside, snake_case inside, frozen."""

    RULES: ClassVar[tuple[Rule, ...]] = ()
    """Rules between the fields, for the CRD."""
    REQUIRED_BY_RULE: ClassVar[tuple[str, ...]] = ()
    """Required fields whose absence one of `RULES` explains better than the server would."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        frozen=True,
        extra="ignore",
        json_schema_extra=_complete,
    )

    def manifest(self) -> dict[str, Any]:
        """JSON with camelCase names, without nulls and without lists or objects left at default."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=True)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """pydantic's own in half of the time: every look makes a dozen copies, of frozen values."""
        if deep or not update:
            return super().model_copy(update=update, deep=deep)
        copied = self.__class__.__new__(self.__class__)
        object.__setattr__(copied, "__dict__", {**self.__dict__, **update})
        names = self.__pydantic_fields_set__
        if not names.issuperset(update):
            names = names | update.keys()
        object.__setattr__(copied, "__pydantic_fields_set__", names)
        object.__setattr__(copied, "__pydantic_extra__", None)
        object.__setattr__(copied, "__pydantic_private__", None)
        return copied


def read_time(value: Any) -> Any:
    """A time as the models hold it: aware UTC; anything unreadable is None, never a crash."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.replace("Z", "+00:00"))
        except ValueError:
            return None
    if isinstance(value, datetime) and value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    return value


def write_time(value: datetime) -> str:
    """RFC 3339 in UTC with milliseconds, without them where they are zero."""
    text = value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return text.replace(".000Z", "Z")


Time = Annotated[
    datetime | None,
    BeforeValidator(read_time),
    PlainSerializer(lambda value: None if value is None else write_time(value)),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""A moment, or None; never naive."""


class OwnerReference(Model):
    """Who owns an object; the garbage collector follows it."""

    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool = False
    block_owner_deletion: bool = False


class ObjectMeta(Model):
    """The metadata that we use; the rest is tolerated and never written."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    labels: Mapping[str, str] = Field(default_factory=dict)
    annotations: Mapping[str, str] = Field(default_factory=dict)
    finalizers: tuple[str, ...] = ()
    owner_references: tuple[OwnerReference, ...] = ()
    creation_timestamp: Time = None
    deletion_timestamp: Time = None


_SAID = {"missing": "is required", "extra_forbidden": ": unknown field"}
"""Problems that need no value."""
_SHAPES = {
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "dict_type": "must be an object",
    "mapping_type": "must be an object",
    "tuple_type": "must be a list",
}
"""What pydantic calls by the names of Python."""
_SHOWN = 60
"""Longest part of a wrong value that a message repeats."""
_TRIED_TYPES = ("str", "int")
"""pydantic puts them into the path of a value that may be either."""

Spec = TypeVar("Spec", bound=Model)
Status = TypeVar("Status", bound=Model)


class Object(Model, Generic[Spec, Status]):
    """An object with identity, wish and report."""

    ALIKE: ClassVar[tuple[tuple[str, str], ...]] = ()
    """Section and field of parts that many objects have in common, word for word."""

    api_version: str = ""
    kind: str = ""
    metadata: ObjectMeta = ObjectMeta()
    spec: Spec
    status: Status

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def namespace(self) -> str:
        return self.metadata.namespace

    @classmethod
    def parse(cls, manifest: Mapping[str, Any], *, strict: bool = False) -> Self:
        """The object in `manifest`; UserError `InvalidSpec` names every field that is wrong.

        `strict` refuses unknown fields too.
        """
        body = {**manifest, "status": manifest.get("status") or {}}
        try:
            return cls.model_validate(body, extra="forbid" if strict else "ignore")
        except ValidationError as error:
            raise UserError("InvalidSpec", explain(error)) from None


def explain(error: ValidationError) -> str:
    """One sentence per problem: the field's path as the user wrote it, its value, what to write.

    A value that fits none of several types is one problem, said once.
    """
    problems = (f"{path}{_joint(text)}{text}".lstrip() for path, text in explained(error))
    return "; ".join(dict.fromkeys(problems))


def explained(error: ValidationError) -> list[tuple[str, str]]:
    """The path of each problem, and what is wrong there."""
    return [(_path(item["loc"]), _explain(item)) for item in error.errors(include_url=False)]


def _joint(text: str) -> str:
    return "" if text.startswith(":") else " "


def _explain(item: ErrorDetails) -> str:
    kind = item["type"]
    if kind in _SAID:
        known = elsewhere.words(_path(item["loc"])) if kind == "extra_forbidden" else ""
        return f"{_SAID[kind]}; {known}" if known else _SAID[kind]
    value = repr(item["input"])
    shown = value if len(value) <= _SHOWN else f"{value[:_SHOWN]}…"
    if kind == "string_pattern_mismatch" and item["ctx"]["pattern"] == durations.PATTERN:
        return f"invalid (is {shown}): {durations.HELP}"
    words = _SHAPES.get(kind, item["msg"].removeprefix("Value error, "))
    words = words.replace("Input should be", "must be", 1)
    words = words.replace("greater than or equal to", ">=").replace("less than or equal to", "<=")
    return f"{words} (is {shown})"


def _path(location: tuple[int | str, ...]) -> str:
    """`spec.steps[1].setWeight`; the names of tried types are no part of it."""
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part not in _TRIED_TYPES:
            path += f".{part}" if path else part
    return path


class LabelSelectorRequirement(Model):
    """One expression of a label selector."""

    RULES = (
        Rule(
            rule="(self.operator in ['In', 'NotIn']) == "
            "(has(self.values) && self.values.size() > 0)",
            message="In and NotIn need values; Exists and DoesNotExist take none",
            field=".values",
        ),
    )

    key: Annotated[str, Field(min_length=1, max_length=317)]
    """The label's key."""
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    """How the label is compared."""
    values: Annotated[tuple[Annotated[str, Field(max_length=63)], ...], Field(max_length=64)] = ()
    """What the label may (In) or may not (NotIn) be."""

    @property
    def is_complete(self) -> bool:
        """Whether it has values if, and only if, its operator takes some."""
        return (self.operator in ("In", "NotIn")) == bool(self.values)


class LabelSelector(Model):
    """Kubernetes' label selector; an empty one matches nothing with us, never everything."""

    RULES = (
        Rule(
            rule="(has(self.matchLabels) && self.matchLabels.size() > 0) || "
            "(has(self.matchExpressions) && self.matchExpressions.size() > 0)",
            message="a selector cannot be empty: write matchLabels or matchExpressions",
        ),
    )

    match_labels: Annotated[
        Mapping[str, Annotated[str, Field(max_length=63)]], Field(max_length=64)
    ] = Field(default_factory=dict)
    """Labels that must be equal; all of them."""
    match_expressions: Annotated[tuple[LabelSelectorRequirement, ...], Field(max_length=32)] = ()
    """Expressions that must hold; all of them, and `matchLabels` too."""

    @property
    def is_empty(self) -> bool:
        return not self.match_labels and not self.match_expressions

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether `labels` satisfy every requirement; an empty selector matches nothing."""
        if self.is_empty:
            return False
        for key, value in self.match_labels.items():  # asked of each member at each look
            if labels.get(key) != value:
                return False
        return all([_holds(item, labels) for item in self.match_expressions])


def _holds(item: LabelSelectorRequirement, labels: Mapping[str, str]) -> bool:
    match item.operator:
        case "In":
            return labels.get(item.key) in item.values
        case "NotIn":
            return labels.get(item.key) not in item.values
        case "Exists":
            return item.key in labels
        case _:
            return item.key not in labels
