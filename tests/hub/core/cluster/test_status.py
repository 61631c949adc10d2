"""The whole status of a ClusterRollout, from its first wish to the next."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from fleet.api import ClusterRollout
from fleet.api.clusterrollout import Want
from fleet.hub.core.actions import DispatchPlan
from fleet.hub.core.cluster import dispatch, standing
from tests.conftest import NOON
from tests.hub import gen
from tests.hub.place import NEW, after, did, look, objects

MEMBER = replace(gen.member("a"), server="server-1")
OTHER = replace(MEMBER, server="server-2")
MINUTES_5 = NOON + timedelta(minutes=5)
MINUTES_7 = NOON + timedelta(minutes=7)
ALL = ["rollouts checkout", "services checkout", "services checkout-canary", "httproutes checkout"]
TAKEN = {"sequence": 1, "run": "checkout-1", "revision": "rev1", "rollout": 1}
REACHABLE = {
    "type": "Reachable",
    "status": "True",
    "reason": "Reachable",
    "observedGeneration": 1,
    "lastTransitionTime": "2026-11-20T12:05:00Z",
}
GOOD = {"run": "checkout-1", "revision": "rev1"}
PAUSED = {
    "phase": "Paused",
    "step": "1/2",
    "currentWeight": 50,
    "currentPodHash": "h1",
    "readyReplicas": 3,
    "message": "until promoted",
    "decisions": [{"action": "Advance", "reason": "StepDone"}],
}


def told(plan: DispatchPlan) -> dict[str, Any]:
    """All that is not at its default; of the inventory names alone, and no digest of content."""
    body = plan.status.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    body.get("dispatch", {}).pop("digest", None)
    names = [f"{one['plural']} {one['name']}" for one in body.get("inventory", [])]
    return body | {"inventory": names}


def sent() -> ClusterRollout:
    return after(NEW, dispatch.decide(NEW, look(looked=True, member=MEMBER), NOON))


def paused() -> DispatchPlan:
    return dispatch.decide(sent(), look(objects(**PAUSED), looked=True, member=MEMBER), MINUTES_5)


def done() -> ClusterRollout:
    item = after(sent(), paused())
    return after(item, dispatch.decide(item, look(objects(phase="Completed"), member=MEMBER),
                                       MINUTES_7))  # fmt: skip


def wishing(item: ClusterRollout) -> ClusterRollout:
    """The same with the wish of the next run."""
    want = Want(run="checkout-2", revision="rev2", since=NOON, attempt=1)
    meta = item.metadata.model_copy(update={"generation": 2})
    spec = item.spec.model_copy(update={"want": want})
    return item.model_copy(update={"spec": spec, "metadata": meta})


def test_a_wish_that_is_sent() -> None:
    plan = dispatch.decide(NEW, look(looked=True, member=MEMBER), NOON)
    assert did(plan) == ["ApplyRollout", *["CreateObject"] * 3]
    assert (plan.fence, plan.finalizer, plan.events, plan.wake_at) == (True, None, (), None)
    assert told(plan) == {
        "observedGeneration": 1,
        "phase": "Applying",
        "reason": "Applying",
        "dispatch": TAKEN,
        "server": "server-1",
        "inventory": ALL,
    }


def test_a_wish_on_its_way() -> None:
    plan = paused()
    assert (plan.actions, plan.fence, plan.events, plan.wake_at) == ((), False, (), None)
    assert told(plan) == {
        "observedGeneration": 1,
        "phase": "Paused",
        "reason": "Paused",
        "message": "until promoted",
        "dispatch": TAKEN,
        "server": "server-1",
        "appliedRun": "checkout-1",
        "inventory": ALL,
        "engine": {
            "phase": "Paused",
            "revision": "rev1",
            "podHash": "h1",
            "step": "1/2",
            "weight": 50,
            "replicas": 4,
            "ready": 3,
            "reason": "StepDone",
            "message": "until promoted",
        },
        "waitingSince": "2026-11-20T12:05:00Z",
        "conditions": [REACHABLE],
    }


def test_a_wish_that_has_come_true() -> None:
    assert told(DispatchPlan(status=done().status)) == {
        "observedGeneration": 1,
        "phase": "Succeeded",
        "reason": "Succeeded",
        "dispatch": TAKEN,
        "server": "server-1",
        "appliedRun": "checkout-1",
        "inventory": ALL,
        "engine": {"phase": "Completed", "revision": "rev1", "replicas": 4},
        "lastGood": GOOD,
        "finishedAt": "2026-11-20T12:07:00Z",
        "waitedSeconds": 120.0,
        "conditions": [REACHABLE],
    }


def test_the_next_wish_keeps_what_is_there_and_nothing_of_the_way() -> None:
    item = wishing(done())
    plan = dispatch.decide(item, look(objects(), number=2, member=MEMBER), MINUTES_7)
    assert (did(plan), plan.fence) == (["ApplyRollout"], True)
    assert told(plan) == {
        "observedGeneration": 2,
        "phase": "Applying",
        "reason": "Applying",
        "dispatch": {
            "sequence": 2, "run": "checkout-2", "revision": "rev2", "attempt": 1, "rollout": 2,
        },
        "server": "server-1",
        "inventory": ALL,
        "engine": {"phase": "Completed", "replicas": 4},
        "lastGood": GOOD,
        "conditions": [REACHABLE],
    }  # fmt: skip


def test_the_next_wish_forgets_the_words_of_the_last() -> None:
    item = wishing(after(sent(), paused()))
    plan = dispatch.decide(item, look(objects(), number=2, member=MEMBER), MINUTES_7)
    assert (plan.status.phase, plan.status.message) == ("Applying", "")
    assert (plan.status.waiting_since, plan.status.waited_seconds) == (None, 0.0)


def test_another_api_server_receives_nothing_and_the_former_is_remembered() -> None:
    plan = dispatch.decide(done(), look(looked=True, member=OTHER), MINUTES_7)
    assert plan.actions == ()
    assert told(plan) == {
        "observedGeneration": 1,
        "reason": "MemberReplaced",
        "message": "another API server answers as a than the one that was written to: it receives "
        "nothing before a run lets it go",
        "dispatch": TAKEN,
        "server": "server-1",
        "appliedRun": "checkout-1",
        "inventory": ALL,
        "conditions": [REACHABLE],
    }


def test_one_that_is_held_waits_on_another_api_server_too() -> None:
    item = done()
    item = item.model_copy(update={"spec": item.spec.model_copy(update={"hold": "halted"})})
    plan = dispatch.decide(item, look(looked=True, member=OTHER), MINUTES_7)
    assert plan.status.waiting_since == MINUTES_7


def test_a_membercluster_that_is_gone_is_not_reached() -> None:
    seen = standing.reachable(None)
    assert (seen.status, seen.reason) == ("False", "Released")
    assert seen.message == "the MemberCluster is gone; what is there stays"


def test_another_api_server_begins_from_nothing_when_a_run_lets_it_go() -> None:
    plan = dispatch.decide(wishing(done()), look(looked=True, member=OTHER), MINUTES_7)
    assert plan.actions == ()
    assert told(plan) == {
        "dispatch": {"sequence": 1},
        "inventory": [],
        "conditions": [REACHABLE],
    }
