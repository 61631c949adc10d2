"""For which request an engine waits: what a person ends, and not what a clock does."""

from typing import Any

import pytest

from fleet.api import Rollout
from fleet.hub.core.cluster import assessment, persons
from tests.hub.place import objects

SERVICES = {"stableService": "checkout", "canaryService": "checkout-canary"}
ENDLESS = {"canary": {"steps": [{"setWeight": 50, "pause": {}}, {"setWeight": 100}], **SERVICES}}
SHORT = {"canary": {"steps": [{"setWeight": 50, "pause": {"duration": "5m"}}], **SERVICES}}
COLOURS = {"activeService": "checkout", "previewService": "checkout-preview"}
BY_HAND: dict[str, Any] = {"blueGreen": COLOURS}
BY_CLOCK = {"blueGreen": {**COLOURS, "autoPromotionEnabled": True, "autoPromotionSeconds": 30}}
ARMS = {
    "abTesting": {
        "variantAService": "checkout",
        "variantBService": "checkout-b",
        "port": 80,
        "variantBMatch": {"cookie": {"name": "variant", "value": "b"}},
    }
}
SINCE = "2026-11-20T12:00:00Z"


def said(kind: str, reason: str) -> dict[str, str]:
    return {"type": kind, "status": "True", "reason": reason, "lastTransitionTime": SINCE}


def rollout(
    phase: str, strategy: dict[str, Any], spec: dict[str, Any] | None = None, **status: Any
) -> Rollout:
    conditions = status.pop("conditions", ())
    there = objects(phase=phase, conditions=list(conditions), **status)
    body = there["rollouts", "checkout", "checkout"]
    body["spec"] |= {"strategy": strategy, **(spec or {})}
    return Rollout.parse(body)


PAUSED, PREVIEW = said("Paused", "StepPaused"), said("Progressing", "AwaitingPromotion")


@pytest.mark.parametrize(
    ("found", "awaited"),
    [
        pytest.param(
            rollout("Paused", ENDLESS, conditions=[PAUSED], pauseStartTime=SINCE), "promote",
            id="a pause without an end",
        ),
        pytest.param(
            rollout("Paused", SHORT, conditions=[PAUSED], pauseStartTime=SINCE), "",
            id="a pause that a clock ends",
        ),
        pytest.param(
            rollout("Paused", SHORT, conditions=[PAUSED]), "",
            id="a pause that has lost its beginning, and gets another",
        ),
        pytest.param(
            rollout("Paused", SHORT, conditions=[said("Paused", "AnalysisUndecided")]), "promote",
            id="what is neither good nor bad",
        ),
        pytest.param(
            rollout("Paused", ENDLESS, conditions=[said("Paused", "PauseRequested")]), "",
            id="somebody there who resumes it there",
        ),
        pytest.param(
            rollout("Paused", ENDLESS, {"paused": True}, conditions=[PAUSED]), "",
            id="the spec, which goes before requests",
        ),
        pytest.param(
            rollout("Paused", ENDLESS, {"hold": {"reason": "x", "sequence": 1}},
                    conditions=[PAUSED]), "",
            id="the hub's own hold",
        ),
        pytest.param(
            rollout("Preview", BY_HAND, conditions=[PREVIEW]), "promote",
            id="a preview that nobody has promoted",
        ),
        pytest.param(
            rollout("Preview", BY_CLOCK, conditions=[PREVIEW]), "", id="a preview with a clock"
        ),
        pytest.param(
            rollout("Preview", BY_HAND, conditions=[said("Progressing", "PodsPending")]), "",
            id="a preview that has lost its pods",
        ),
        pytest.param(
            rollout("Preview", BY_HAND, conditions=[said("Progressing", "SamplesInsufficient")]),
            "promote",
            id="a preview that nobody has tried",
        ),
        pytest.param(
            rollout("Preview", BY_CLOCK, conditions=[said("Progressing", "MetricsUnavailable")]),
            "promote",
            id="a preview that stands before its clock, for want of metrics",
        ),
        pytest.param(
            rollout("Preview", BY_HAND, conditions=[said("Progressing", "Analyzing")]), "",
            id="a preview that is being judged",
        ),
        pytest.param(
            rollout("Progressing", SHORT, conditions=[said("Progressing", "SamplesInsufficient")]),
            "",
            id="a step with too few requests, which gets some",
        ),
        pytest.param(rollout("Experimenting", ARMS), "conclude", id="an experiment that runs"),
        pytest.param(
            rollout("Concluded", ARMS, conditions=[PREVIEW]), "promote", id="what it has found"
        ),
        pytest.param(rollout("Progressing", ENDLESS), "", id="who is on his way"),
        pytest.param(rollout("Completed", ENDLESS), "", id="who is through"),
    ],
)  # fmt: skip
def test_what_an_engine_waits_for(found: Rollout, awaited: str) -> None:
    assert persons.awaited(found) == awaited
    assert assessment.report(found, "rev1").awaits == awaited
    assert assessment.report(found, "rev2").awaits == "", "it is about another revision"


def test_a_step_that_there_is_not_waits_for_nobody() -> None:
    far = rollout("Paused", ENDLESS, conditions=[PAUSED], currentStepIndex=7)
    other = rollout("Paused", BY_HAND, conditions=[PAUSED])
    assert (persons.awaited(far), persons.awaited(other)) == ("", "")
