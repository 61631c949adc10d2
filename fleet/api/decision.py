"""Where a Rollout stands, and the entries of its diary: what the engine decided, when and why.

Parts of `rollout`, which gives them to everybody else. A diary that a newer engine has written
stays readable: its kinds of decisions and its phases may be others.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from fleet.api import newer
from fleet.api.analysis import MetricResult
from fleet.api.meta import Model, Time


class Phase(StrEnum):
    """Where a Rollout stands; legal moves are in `kulta.core.phases`."""

    INITIALIZING = "Initializing"
    """Where the older KULTA began, and an empty status counts as: nothing moves here any more."""
    PROGRESSING = "Progressing"
    PAUSED = "Paused"
    PREVIEW = "Preview"
    EXPERIMENTING = "Experimenting"
    CONCLUDED = "Concluded"
    COMPLETED = "Completed"
    FAILED = "Failed"


ON_THE_WAY = (
    Phase.PROGRESSING,
    Phase.PAUSED,
    Phase.PREVIEW,
    Phase.EXPERIMENTING,
    Phase.CONCLUDED,
)
"""Phases of a revision that has not come to an end."""


class Decision(Model):
    """What the engine decided, when and why; numbered without gaps."""

    sequence: int = 0
    """Counts from 1 in the life of the Rollout."""
    timestamp: Time = None
    """When."""
    action: Annotated[
        str,
        newer.words(
            "Initialize",
            "StepAdvance",
            "Conclude",
            "Promotion",
            "Rollback",
            "Pause",
            "Resume",
            "Complete",
        ),
    ]
    """What was done."""
    reason: Annotated[
        str,
        newer.words(
            "AnalysisPassed",
            "AnalysisFailed",
            "PauseDurationExpired",
            "ManualPromotion",
            "ManualRollback",
            "Timeout",
            "Initialization",
            "MetricsUnavailable",
            "StepCompleted",
            "Superseded",
            "StrategyChanged",
            "DesignChanged",
            "WeightChanged",
            "KnownRevision",
            "HookRefused",
            "HookRollback",
            "SignificanceReached",
            "ConsensusReached",
            "MaxDurationExceeded",
            "ManualConclusion",
            "UserPaused",
            "PauseRequested",
            "Held",
            "Queued",
            "NotPaused",
            "AdvisorPause",
            "AdvisorRollback",
            "AdvisorAdvance",
            "AnalysisUndecided",
        ),
    ]
    """Why, for machines."""
    phase: Annotated[Phase | None, newer.otherwise(None, *Phase)] = None
    """What it led to."""
    generation: int | None = None
    """That of the spec."""
    revision: str = ""
    """Hash of what it is about."""
    image: str = ""
    """That revision's first image."""
    from_step: int | None = None
    """Index of the step before."""
    to_step: int | None = None
    """Index of the step after; equal to the number of steps when all are done."""
    weight: int | None = None
    """Percent of traffic on the new revision after the decision."""
    message: str = ""
    """Why, for people."""
    metrics: Mapping[str, MetricResult] = Field(default_factory=dict)
    """The numbers behind it, by metric name."""
