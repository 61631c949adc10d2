"""Advisor: who outside may say something about a revision on its way, and what it said last.

Part of a Rollout's spec; the status half is written by the engine. Whatever an advisor says, a
revision whose metrics fail is taken back, and silence changes nothing.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from fleet.api import newer
from fleet.api.meta import Model, Time
from fleet.api.providers import ADDRESS
from fleet.api.rules import Rule, Rules


class Level(StrEnum):
    """How much an advisor may do."""

    OFF = "Off"
    CONTEXT = "Context"
    ADVISED = "Advised"
    PLANNED = "Planned"
    DRIVEN = "Driven"


ASKED = frozenset({Level.ADVISED, Level.PLANNED, Level.DRIVEN})
"""Levels at which the endpoint is asked."""
NEEDS_ENDPOINT = (
    "is required from level Advised on: write the URL of the advisor, or level Off or Context"
)

Endpoint = Annotated[
    str,
    Field(max_length=512, pattern=ADDRESS),
    Rules(
        Rule(
            rule=f"self.matches(r'{ADDRESS}')",
            message="write a URL: http://host:port/path or https://host:port/path",
        ),
        instead_of=("pattern",),
    ),
]


class Advisor(Model):
    """External advice about a revision on its way."""

    RULES = (
        Rule(
            rule="!has(self.level) || self.level in ['Off', 'Context'] || has(self.endpoint)",
            message=f"advisor.endpoint {NEEDS_ENDPOINT}",
            field=".endpoint",
        ),
    )

    level: Level = Level.OFF
    """Context: more in occurrences; Advised: advice is recorded; Planned: it may hold a step;
    Driven: it may roll back and end timed pauses."""
    endpoint: Endpoint | None = None
    """Where the advisor is asked, by POST."""
    timeout_seconds: Annotated[int, Field(ge=1, le=60)] = 10
    """How long an answer may take."""


class Advice(Model):
    """What the advisor said last."""

    action: Annotated[str, newer.words("Continue", "Pause", "Rollback", "Advance")]
    """What it would do."""
    to_weight: int | None = None
    """Where it would advance to."""
    confidence: float = 0.0
    """How sure it is; below 0.5 nothing follows."""
    reasoning: str = ""
    """Why, in its words."""
    at: Time = None
    """When it said so first."""
    revision: str = ""
    """Of what it spoke."""
    step: int | None = None
    """Where it was asked, from 0."""
    metrics_healthy: bool = True
    """What it was told."""
    is_followed: bool = False
    """Whether something follows from it."""
