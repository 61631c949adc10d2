"""What an engine's report is believed to say, and what stands when nothing is heard."""

from datetime import timedelta
from typing import Any

import pytest

from fleet.api.clusterrollout import Want
from fleet.api.conditions import find
from fleet.api.fleetrollout import ClusterPhase
from fleet.hub.core.cluster import dispatch
from fleet.hub.core.observed import Member
from tests.conftest import NOON
from tests.hub import gen
from tests.hub.place import NEW, after, look, objects, settled

METRIC = {"name": "error-rate", "verdict": "Failed", "value": 12.4, "threshold": 5.0}
DRY = {**METRIC, "name": "latency-p95", "dryRun": True}
UNSURE = {**METRIC, "verdict": "Inconclusive"}
REFUSED = {"type": "InvalidSpec", "status": "True", "message": "steps[0].setWeight is 101"}
STUCK = {"type": "Stalled", "status": "True", "message": "pods are forbidden"}
BACK = {"action": "Rollback", "reason": "AnalysisFailed", "message": "taken back"}


@pytest.mark.parametrize(
    ("status", "fresh", "phase", "reason", "message"),
    [
        pytest.param(
            {"phase": "Completed"}, True, "Succeeded", "Succeeded", "", id="all of it is there"
        ),
        pytest.param(
            {"phase": "Completed", "fleetRevision": "rev0"}, True, "Applying", "Applying",
            "the engine has not taken up the revision yet",
            id="[MT-01] a report of the former revision does not count",
        ),
        pytest.param(
            {"phase": "Completed", "observedGeneration": 4}, True, "Applying", "Applying",
            "the engine has not taken up the revision yet",
            id="[MT-01] a report of the former generation does not count",
        ),
        pytest.param(
            {"phase": "Completed"}, False, "Progressing", "Stale",
            "completed by an old report: no Lease for 43 s",
            id="an old report is not healthy",
        ),
        pytest.param(
            {"phase": "Failed", "decisions": [BACK], "analysis": {"metrics": [METRIC]}},
            True, "Failed", "AnalysisFailed", "error-rate 12.4 is not below 5; taken back",
            id="a failure names the metric",
        ),
        pytest.param(
            {"phase": "Failed", "decisions": [BACK], "analysis": {"metrics": [DRY, METRIC]}},
            True, "Failed", "AnalysisFailed", "error-rate 12.4 is not below 5; taken back",
            id="not the metric that decides nothing",
        ),
        pytest.param(
            {"phase": "Progressing", "analysis": {"metrics": [{**DRY, "verdict": "Error"}]}},
            True, "Progressing", "Progressing", "",
            id="a dry run holds nothing",
        ),
        pytest.param(
            {"phase": "Failed", "decisions": [{**BACK, "message": "error-rate is bad"}],
             "analysis": {"metrics": [METRIC]}},
            True, "Failed", "AnalysisFailed", "error-rate is bad",
            id="once",
        ),
        pytest.param(
            {"phase": "Failed", "message": "taken back", "analysis": {"metrics": [METRIC]}},
            True, "Failed", "RolledBack", "error-rate 12.4 is not below 5; taken back",
            id="also where no decision tells of it",
        ),
        pytest.param(
            {"phase": "Failed", "analysis": {"metrics": [METRIC]}},
            True, "Failed", "RolledBack", "error-rate 12.4 is not below 5",
            id="and where there are no other words",
        ),
        pytest.param(
            {"conditions": [{"type": "Available", "status": "False", "message": "1 of 4 ready"}]},
            True, "Progressing", "Progressing", "1 of 4 ready", id="what its pods lack",
        ),
        pytest.param(
            {"analysis": {"metrics": [{**UNSURE, "message": "12 of 100"}]}},
            True, "Analyzing", "Analyzing", "error-rate: 12 of 100",
            id="what a metric waits for, in its own words",
        ),
        pytest.param(
            {"phase": "Completed", "currentPodHash": "new"},
            True, "Progressing", "Progressing", "completed with pods of no revision, not of new",
            id="no pods at all",
        ),
        pytest.param(
            {"phase": "Completed", "stablePodHash": "old"},
            True, "Progressing", "Progressing", "completed with pods of old, not of any",
            id="pods that nobody asks for",
        ),
        pytest.param(
            {"phase": "Failed",
             "decisions": [{**BACK, "message": "revision 6e02da7a3b was taken back: it is bad"}]},
            True, "Failed", "AnalysisFailed", "it is bad",
            id="the hash of its pods says nothing to who knows revisions of runs",
        ),
        pytest.param(
            {"phase": "Failed", "decisions": [{**BACK, "reason": "Timeout"}]},
            True, "Failed", "Timeout", "taken back",
            id="a failure keeps the engine's reason",
        ),
        pytest.param(
            {"phase": "Failed"}, True, "Failed", "RolledBack", "the engine took it back",
            id="a failure without a decision",
        ),
        pytest.param(
            {"phase": "Paused", "message": "until promoted"}, True, "Paused", "Paused",
            "until promoted", id="a pause",
        ),
        pytest.param(
            {"phase": "Preview", "analysis": {"metrics": [UNSURE]}},
            True, "Paused", "AwaitingPromotion", "the preview waits for its promotion",
            id="a preview, however its analysis stands",
        ),
        pytest.param(
            {"phase": "Experimenting", "message": "v2 is tried"},
            True, "Paused", "Experimenting", "v2 is tried",
            id="an experiment takes its time",
        ),
        pytest.param(
            {"phase": "Concluded"},
            True, "Paused", "AwaitingPromotion",
            "what the experiment has found waits for a person",
            id="a conclusion waits for a person",
        ),
        pytest.param(
            {"analysis": {"metrics": [UNSURE]}, "message": "12 of 100"},
            True, "Analyzing", "Analyzing", "12 of 100", id="a step that waits for samples",
        ),
        pytest.param(
            {"phase": "Completed", "currentPodHash": "new", "stablePodHash": "old"},
            True, "Progressing", "Progressing", "completed with pods of old, not of new",
            id="other pods than the wanted ones are not healthy",
        ),
        pytest.param(
            {"observedGeneration": 4, "conditions": [{**REFUSED, "observedGeneration": 5}]},
            True, "Failed", "InvalidSpec", "the engine refuses it: steps[0].setWeight is 101",
            id="a refusal of this generation is the engine's last word",
        ),
        pytest.param(
            {"observedGeneration": 4, "conditions": [{**REFUSED, "observedGeneration": 4}]},
            True, "Applying", "Applying", "the engine has not taken up the revision yet",
            id="a refusal of the former generation does not count",
        ),
        pytest.param(
            {"observedGeneration": 4, "conditions": [STUCK]},
            True, "Applying", "Stalled", "the engine is stuck: pods are forbidden",
            id="an engine that is stuck before it begins",
        ),
        pytest.param(
            {"conditions": [STUCK]},
            True, "Progressing", "Stalled", "the engine is stuck: pods are forbidden",
            id="an engine that is stuck on its way",
        ),
        pytest.param(
            {"message": "step 1"}, True, "Progressing", "Progressing", "step 1", id="work"
        ),
        pytest.param(
            {"message": "a hook said: token=abc"},
            True, "Progressing", "Progressing", "a hook said: token=…",
            id="an engine that shows a credential",
        ),
    ],
)  # fmt: skip
def test_what_a_report_says(
    status: dict[str, Any], fresh: bool, phase: str, reason: str, message: str
) -> None:
    item = after(NEW, dispatch.decide(NEW, look(looked=True), NOON))
    member = Member(
        cluster=gen.cluster("a"), reachable=True, fresh=fresh, message="no Lease for 43 s"
    )
    plan = dispatch.decide(item, look(objects(**status), looked=True, member=member), NOON)
    found = plan.status
    assert (found.phase, found.reason, found.message) == (phase, reason, message)
    assert "abc" not in found.engine.message


def test_a_failure_outlives_a_hold_that_goes() -> None:
    """Else who has failed would be in flight again for a moment, one more than may be."""
    failed = settled()
    status = failed.status.model_copy(update={"phase": ClusterPhase.FAILED})
    there = objects(phase="Failed", observedGeneration=4, decisions=[BACK])
    plan = dispatch.decide(failed.model_copy(update={"status": status}), look(there), NOON)
    assert plan.status.phase is ClusterPhase.FAILED


def test_a_success_outlives_a_generation_that_the_engine_has_not_seen() -> None:
    there = objects(phase="Completed", observedGeneration=4)
    assert dispatch.decide(settled(), look(there), NOON).status.phase is ClusterPhase.SUCCEEDED


def test_success_is_remembered_as_the_last_good() -> None:
    status = settled().status
    assert (status.last_good.run, status.last_good.revision) == ("checkout-1", "rev1")
    assert status.finished_at == NOON


@pytest.mark.parametrize("step", ["2/2", "preview", ""])
def test_the_report_is_kept_for_people_in_the_engines_words(step: str) -> None:
    item = settled()
    plan = dispatch.decide(item, look(objects(currentWeight=50, step=step)), NOON)
    engine = plan.status.engine
    assert (engine.step, engine.weight, engine.replicas) == (step, 50, 4)


def test_an_engine_that_has_not_begun_says_nothing() -> None:
    plan = dispatch.decide(settled(), look(objects(phase=None)), NOON)
    assert plan.status.engine.phase == ""


@pytest.mark.parametrize(
    ("conditions", "available"),
    [
        pytest.param([], None, id="an engine that does not say it"),
        pytest.param([{"type": "Available", "status": "True"}], True, id="enough pods serve"),
        pytest.param([{"type": "Available", "status": "False"}], False, id="pods crash"),
        pytest.param([{"type": "Available", "status": "Unknown"}], False, id="unknown is not good"),
    ],
)
def test_whether_enough_pods_serve_is_kept(
    conditions: list[dict[str, str]], available: bool | None
) -> None:
    there = objects(phase="Completed", conditions=conditions)
    status = dispatch.decide(settled(), look(there), NOON).status
    assert (status.phase, status.engine.available) == (ClusterPhase.SUCCEEDED, available)


def test_a_members_texts_are_cut() -> None:
    there = objects(message="x" * 2_000_000, currentPodHash="h" * 5_000)
    engine = dispatch.decide(settled(), look(there), NOON).status.engine
    assert (len(engine.message), len(engine.pod_hash)) == (500, 64)


def test_a_rollout_that_cannot_be_read_is_said_so() -> None:
    there = objects()
    there["rollouts", "checkout", "checkout"]["spec"]["replicas"] = "many"
    plan = dispatch.decide(settled(), look(there), NOON)
    assert (plan.status.phase, plan.status.reason) == (ClusterPhase.PROGRESSING, "EngineTooOld")
    told = "the Rollout in the member cannot be read: its CRD or its content is not ours"
    assert plan.status.message == told


def test_a_second_look_says_the_same() -> None:
    item = settled()
    plan = dispatch.decide(item, look(objects(phase="Completed")), NOON + timedelta(hours=1))
    assert (plan.actions, plan.status) == ((), item.status)


# --- lost members ---------------------------------------------------------------------------------

GONE = Member(cluster=gen.cluster("a"), reason="Unauthorized", message="the token is not accepted")


def test_an_empty_list_after_a_credentials_error_deletes_nothing() -> None:
    """[MT-07] The cluster is unknown with the reason, and its inventory stays."""
    item = after(NEW, dispatch.decide(NEW, look(looked=True), NOON))
    plan = dispatch.decide(item, look({}, member=GONE), NOON)
    assert plan.actions == ()
    assert plan.status.inventory == item.status.inventory
    assert plan.status.phase is ClusterPhase.UNREACHABLE
    assert (plan.status.reason, plan.status.message) == (
        "Unauthorized",
        "the token is not accepted",
    )
    seen = find(plan.status.conditions, "Reachable")
    assert seen is not None
    assert (seen.status, seen.reason) == ("False", "Unauthorized")


def test_a_success_stands_when_the_member_is_lost() -> None:
    """[MT-05] After its turn: succeeded, and that nothing is heard is shown beside it."""
    plan = dispatch.decide(settled(), look({}, member=GONE), NOON)
    assert plan.status.phase is ClusterPhase.SUCCEEDED
    seen = find(plan.status.conditions, "Reachable")
    assert seen is not None
    assert (seen.status, seen.reason) == ("False", "Unauthorized")


def test_a_new_wish_is_not_succeeded_by_the_old_one() -> None:
    item = settled()
    want = Want(run="checkout-2", revision="rev2", since=NOON)
    item = item.model_copy(update={"spec": item.spec.model_copy(update={"want": want})})
    assert dispatch.decide(item, look({}, member=GONE), NOON).status.phase == "Unreachable"


def test_time_out_of_reach_and_in_pauses_is_counted_apart() -> None:
    item = after(NEW, dispatch.decide(NEW, look(looked=True), NOON))
    item = after(item, dispatch.decide(item, look({}, member=GONE), NOON))
    assert item.status.waiting_since == NOON
    later = NOON + timedelta(seconds=90)
    item = after(item, dispatch.decide(item, look(objects(), looked=True), later))
    assert (item.status.waiting_since, item.status.waited_seconds) == (None, 90)
    item = after(item, dispatch.decide(item, look(objects(phase="Paused")), later))
    assert item.status.waiting_since == later
    item = after(item, dispatch.decide(item, look(objects()), later))
    assert (item.status.waiting_since, item.status.waited_seconds) == (None, 90), "no time at all"


def test_time_out_of_reach_counts_before_anything_has_arrived_too() -> None:
    item = after(NEW, dispatch.decide(NEW, look(looked=True), NOON))
    item = after(item, dispatch.decide(item, look({}, member=GONE), NOON))
    plan = dispatch.decide(item, look(looked=True), NOON + timedelta(seconds=30))
    assert plan.actions
    assert (plan.status.phase, plan.status.waited_seconds) == (ClusterPhase.APPLYING, 30)
    assert (plan.status.reason, plan.status.message) == ("Applying", "")
