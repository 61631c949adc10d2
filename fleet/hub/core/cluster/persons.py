"""For which request the engine of a cluster waits, read from its Rollout.

Called by `assessment` for the report, and by `asking` before a request is carried there. A pause
that a clock ends waits for nobody.
"""

from collections.abc import Mapping
from typing import Literal

from fleet.api import conditions
from fleet.api.names import request_annotation
from fleet.api.rollout import Phase, Rollout

Awaited = Literal["", "promote", "conclude"]

ANNOTATIONS: Mapping[str, str] = {
    "promote": request_annotation("promote"),
    "conclude": request_annotation("conclude-experiment"),
}
"""How the engine is asked for each of them; it marks what it has heard by the annotation's name."""
YES = "true"
"""The one value by which an engine is asked."""
DECISIONS = frozenset({"AnalysisUndecided", "AdvisorPause"})
"""Pauses in which a person decides, whatever the step says of its length."""
BLIND = frozenset({"MetricsUnavailable", "SamplesInsufficient"})
"""Why a preview is not judged: it has no traffic before its promotion, so this has no end by itself
unless somebody tries it."""


def awaited(rollout: Rollout) -> Awaited:
    """The request that lets the engine go on, or ends its experiment; empty where none would, or
    where the engine goes on by itself."""
    spec, status = rollout.spec, rollout.status
    if spec.hold is not None or spec.paused:
        return ""
    if status.phase is Phase.EXPERIMENTING:
        return "conclude"
    paused = conditions.find(status.conditions, "Paused")
    if paused is not None and paused.status == "True":
        is_endless = paused.reason == "StepPaused" and _is_endless(rollout)
        return "promote" if is_endless or paused.reason in DECISIONS else ""
    if unjudged(rollout):
        return "promote"
    told = conditions.find(status.conditions, "Progressing")
    stands = status.phase in (Phase.PREVIEW, Phase.CONCLUDED)
    if not stands or told is None or told.reason != "AwaitingPromotion":
        return ""
    preview = spec.strategy.blue_green
    return "" if preview is not None and preview.auto_promotion_enabled else "promote"


def unjudged(rollout: Rollout) -> str:
    """Why the metrics cannot judge its preview, as a constant of `api.reasons`; empty where they
    can, or where there is none."""
    told = conditions.find(rollout.status.conditions, "Progressing")
    is_shown = rollout.status.phase is Phase.PREVIEW and told is not None
    return told.reason if is_shown and told and told.reason in BLIND else ""


def has_heard(rollout: Rollout, verb: str) -> bool:
    """Whether somebody asks it for that already, or it is about to take the last such request away:
    another one would be lost with it."""
    note = ANNOTATIONS[verb]
    is_asked = rollout.metadata.annotations.get(note) == YES
    return is_asked or note.partition("/")[2] in rollout.status.handled


def _is_endless(rollout: Rollout) -> bool:
    """Whether the step in work pauses until a person ends that."""
    canary, index = rollout.spec.strategy.canary, rollout.status.current_step_index or 0
    if canary is None or index >= len(canary.way):
        return False
    pause = canary.way[index].pause
    return pause is not None and pause.duration is None
