"""The small values that several kinds share: durations, amounts, names, ports, pod templates.

Each type carries its CEL rule, so that the API server's message says what to write instead. The
models themselves accept a little more than the CRDs do; the cores check again (`*/core/validation`)
and name the index, which CEL cannot.
"""

from typing import Annotated, Any

from pydantic import Field

from fleet.api.rules import Rule, Rules
from fleet.kit import amounts, durations

Duration = Annotated[
    str,
    Field(max_length=16, pattern=durations.PATTERN),
    Rules(
        Rule(rule=f"self.matches(r'{durations.EXACT}')", message=durations.HELP),
        instead_of=("pattern",),
    ),
]
"""`30s`, `5m`, `2h`, `7d`: a whole number and one unit."""

Span = Annotated[
    str,
    Field(max_length=16, pattern=durations.PATTERN),
    Rules(
        Rule(rule=f"self.matches(r'{durations.ROUGH}')", message=durations.BRIEF),
        instead_of=("pattern",),
    ),
]
"""A Duration where it stands often: the CRD has no room for all ranges, the cores check them."""

Delay = Annotated[
    str,
    Field(max_length=16, pattern=durations.PATTERN),
    Rules(
        Rule(
            rule=f"self.matches(r'{durations.ROUGH_OR_ZERO}')",
            message=f"{durations.BRIEF}, or 0s for none",
        ),
        instead_of=("pattern",),
    ),
]
"""A Duration that may be `0s`; its range is checked by the cores."""

Amount = Annotated[
    str | int,
    Rules(
        Rule(
            rule=f"string(self).matches(r'{amounts.PATTERN}')",
            message="write a whole number from 0, or a percentage from 0% to 100%",
        ),
        **{"x-kubernetes-int-or-string": True, "maxLength": 9},
    ),
]
"""A whole number, or a percentage `0%`…`100%` of a total."""

AtLeastOne = Annotated[
    Amount,
    Rules(
        Rule(
            rule="type(self) == int ? self != 0 : !self.matches(r'^0+%?$')",
            message="cannot be 0: write at least 1; `paused: true` holds a whole run",
        ),
    ),
]
"""An Amount of clusters that may go at once."""

PodTemplate = Annotated[dict[str, Any], Field(json_schema_extra={"x-kulta-schema": "podtemplate"})]
"""A core/v1 PodTemplateSpec; its complete schema is put in by `api.schema`."""

LABEL = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"

Name = Annotated[str, Field(min_length=1, max_length=63, pattern=LABEL)]
"""A DNS label."""

Namespace = Annotated[
    Name,
    Rules(
        Rule(
            rule="!self.startsWith('kube-') && self != 'kulta-system'",
            message="kube-* and kulta-system are not for Applications: name another namespace",
        ),
    ),
]
"""A namespace that Applications may use."""

APPLICATION_LENGTH = 50
"""Most characters of an Application's name: with `-<number>` it names runs, in labels too."""
SERVICE_LENGTH = 63 - len("-preview")
"""Most characters of the name of a Service that gets a second one beside it."""


def letters(most: int) -> str:
    """The pattern of a name that begins with a letter, of at most `most` characters."""
    return f"^[a-z]([-a-z0-9]{{0,{most - 2}}}[a-z0-9])?$"


ServiceBase = Annotated[
    Name,
    Rules(
        Rule(
            rule=f"self.matches(r'{letters(SERVICE_LENGTH)}')",
            message=f"a Service's name begins with a letter and has at most {SERVICE_LENGTH} "
            "characters here, because <name>-canary or <name>-preview is made beside it",
        ),
    ),
]
"""The name of a Service that gets a second one beside it."""

Port = Annotated[int, Field(ge=1, le=65_535)]


def named(field: str, what: str) -> Rules:
    """The rule that the text `field` cannot be empty; `what` says what it names."""
    return Rules(Rule(rule="self != ''", message=f"{field} cannot be empty: {what}"))
