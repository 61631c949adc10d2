"""The whole status of a run: all that a person sees, and all that the planner keeps."""

from typing import Any

from fleet.api.fleetrollout import FleetRolloutStatus, RunPhase, WaveStatus
from fleet.hub.core.run import plan
from tests.conftest import NOON
from tests.hub import gen
from tests.hub.scene import BAD, DONE, MINUTE, begun, observed

AT_NOON, LATER = "2026-11-20T12:00:00Z", "2026-11-20T12:01:00Z"
EU = gen.wave("eu", "a", "b", "c", max_concurrency=2, failure_budget=1)
RUN = begun(
    gen.run(EU, gen.wave("us", "d")), WaveStatus(name="eu", phase="Progressing", started_at=NOON)
)


def told(status: FleetRolloutStatus) -> dict[str, Any]:
    """All that is not at its default, but for the digest of the plan."""
    body = status.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    assert len(body.pop("planDigest")) == 8
    return body


def conditions(reason: str, message: str, *, going: str, good: str) -> list[dict[str, Any]]:
    common = {
        "reason": reason,
        "message": message,
        "observedGeneration": 1,
        "lastTransitionTime": LATER,
    }
    return [
        {"type": "Progressing", "status": going, **common},
        {"type": "Succeeded", "status": good, **common},
    ]


def test_a_run_on_its_way() -> None:
    half = {"step": "1/2", "weight": 50, "revision": "rev1", "replicas": 8}
    items = [
        gen.item("a", DONE, engine={"replicas": 4}),
        gen.item("b", engine=half),
        gen.item("c", BAD, reason="Timeout", message="no end"),
    ]
    answer = plan.next(RUN, observed("a", "b", "c", "d", items=items), NOON + MINUTE)
    assert answer.recheck_at == NOON + 30 * MINUTE
    assert answer.events == (("Warning", "Timeout", "c failed: no end"),)
    message = "waiting for b (step 1/2)"
    assert told(answer.status) == {
        "observedGeneration": 1,
        "phase": "Progressing",
        "reason": "WaitingForClusters",
        "message": message,
        "since": LATER,
        "unblock": "the end of one of them, or its deadline",
        "wave": "eu",
        "counts": {"total": 4, "updated": 1, "inFlight": 1, "failed": 1, "pending": 1},
        "waves": [
            {
                "name": "eu",
                "phase": "Progressing",
                "total": 3,
                "updated": 1,
                "failed": 1,
                "startedAt": AT_NOON,
            },
            {"name": "us", "total": 1},
        ],
        "clusters": [
            {"name": "c", "wave": "eu", "phase": "Failed", "message": "no end"},
            {"name": "b", "wave": "eu", "phase": "Progressing", "step": "1/2"},
            {"name": "d", "wave": "us"},
        ],
        "display": {
            "revision": "rev1",
            "wave": "1/2 eu",
            "updated": "1/4",
            "traffic": "40%",
            "strategy": "canary",
        },
        "startedAt": AT_NOON,
        "nextCheck": "2026-11-20T12:30:00Z",
        "history": [{"time": LATER, "reason": "Timeout", "message": "c failed: no end"}],
        "conditions": conditions("WaitingForClusters", message, going="True", good="Unknown"),
    }


def test_a_run_at_its_end() -> None:
    items = [gen.item(name, DONE) for name in "abcd"]
    answer = plan.next(RUN, observed("a", "b", "c", "d", items=items), NOON + MINUTE)
    assert (answer.actions, answer.recheck_at) == ((), None)
    message, done = "4 of 4 clusters updated", {"phase": "Done", "finishedAt": LATER}
    assert told(answer.status) == {
        "observedGeneration": 1,
        "phase": "Succeeded",
        "reason": "Succeeded",
        "message": message,
        "since": LATER,
        "wave": "us",
        "counts": {"total": 4, "updated": 4},
        "waves": [
            {"name": "eu", "total": 3, "updated": 3, "startedAt": AT_NOON, **done},
            {"name": "us", "total": 1, "updated": 1, "startedAt": LATER, **done},
        ],
        "display": {
            "revision": "rev1",
            "wave": "2/2 us",
            "updated": "4/4",
            "traffic": "100%",
            "strategy": "canary",
        },
        "startedAt": AT_NOON,
        "finishedAt": LATER,
        "history": [
            {"time": LATER, "reason": reason, "message": text}
            for reason, text in (
                ("WaveDone", "wave eu is done: 3 of 3 updated, took 60s"),
                ("WaveStarted", "wave us begins: 1 cluster, 1 at a time, failure budget 0"),
                ("WaveDone", "wave us is done: 1 of 1 updated, took 0s"),
                ("Succeeded", message),
            )
        ],
        "conditions": conditions("Succeeded", message, going="False", good="True"),
    }


def test_a_run_that_waits_for_a_person_does_not_go_on_by_itself() -> None:
    items = [gen.item("a", BAD, message="bad"), gen.item("b", BAD)]
    status = plan.next(RUN, observed("a", "b", "c", "d", items=items), NOON + MINUTE).status
    assert (status.phase, status.halted_at) == (RunPhase.HALTED, NOON + MINUTE)
    message = "halted: 2 failed in wave eu, its budget is 1: a: bad"
    assert told(status)["conditions"] == conditions(
        "BudgetExceeded", message, going="False", good="Unknown"
    )


def test_a_run_with_failures_has_not_succeeded() -> None:
    items = [gen.item("a", BAD), *(gen.item(name, DONE) for name in "bcd")]
    status = plan.next(RUN, observed("a", "b", "c", "d", items=items), NOON + MINUTE).status
    assert [one.status for one in status.conditions] == ["False", "False"]
    assert (status.reason, status.message) == (
        "SucceededWithFailures",
        "3 of 4 clusters updated, 1 failed: a",
    )
