"""One ClusterRollout over fake API servers: the order of writes, and what refusals mean."""

import json
from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from fleet.api.names import (
    APPLICATION_LABEL,
    CLUSTERROLLOUT_FINALIZER,
    CLUSTERROLLOUTS,
    CRDS,
    FLEETROLLOUTS,
    FLEETS,
    HTTPROUTES,
    MANAGED_BY,
    MEMBERCLUSTERS,
    NAMESPACE_LABEL,
    ROLLOUTS,
    SERVICES,
)
from fleet.errors import Conflict, Forbidden, Throttled, Unreachable
from fleet.hub.runtime import dispatching, membership, schemas
from tests import trees
from tests.hub import gen
from tests.hub.runtime.desk import TENANT, Desk
from tests.readme import ROOT

KEY = (TENANT, "checkout.east")


@pytest.fixture
async def desk() -> Desk:
    """A run that has let the member `east` go, and nothing of it done yet."""
    made = Desk()
    await membership.reconcile(made.hub, made.register("east", engine={"mode": "External"}))
    made.live("east")
    made.put(FLEETS, gen.fleet())
    made.put(FLEETROLLOUTS, gen.run(gen.wave("all", "east")))
    body = gen.item("east").manifest()
    body["status"] = {}
    made.put(CLUSTERROLLOUTS, body)
    return made


def status(desk: Desk) -> Mapping[str, Any]:
    found = desk.kube.peek(CLUSTERROLLOUTS, KEY[1], TENANT)
    assert found is not None
    said: Mapping[str, Any] = found.get("status") or {}
    return said


def rollout(desk: Desk) -> dict[str, Any]:
    found = desk.member("east").peek(ROLLOUTS, "checkout", "checkout")
    assert found is not None
    return found


def report(desk: Desk, phase: str) -> None:
    """The engine's report, and the hub's watch of it."""
    found = rollout(desk)
    found["status"] = {
        "phase": phase,
        "observedGeneration": found["metadata"]["generation"],
        "fleetRevision": found["spec"]["fleetRevision"],
    }
    seen = desk.member("east").seed(ROLLOUTS, found)
    link = desk.link("east")
    assert link.handle is not None
    link.handle.informers[ROLLOUTS].store.see(seen)


async def test_the_fence_is_taken_before_the_member_is_touched(desk: Desk) -> None:
    desk.member("east").failures.append(("apply", Unreachable("cut off")))
    with pytest.raises(Unreachable):
        await dispatching.dispatch(desk.hub, KEY)
    assert status(desk)["dispatch"]["sequence"] == 1
    assert desk.member("east").writes()[0].verb == "apply"
    assert status(desk)["phase"] == "Applying"


async def test_one_key_brings_everything_and_reports_it(desk: Desk) -> None:
    await dispatching.dispatch(desk.hub, KEY)
    member = desk.member("east")
    assert [(call.verb, call.kind) for call in member.writes()] == [
        ("apply", "Rollout"),
        ("create", "Service"),
        ("create", "Service"),
        ("create", "HTTPRoute"),
    ]
    assert rollout(desk)["spec"]["dispatch"] == {"hub": "hub-1", "sequence": 1}
    for resource, name in (
        (SERVICES, "checkout"),
        (SERVICES, "checkout-canary"),
        (HTTPROUTES, "checkout"),
    ):
        assert member.peek(resource, name, "checkout") is not None
    said = status(desk)
    assert (said["phase"], said["appliedRun"]) == ("Applying", "checkout-1")
    assert len(said["inventory"]) == 4


async def test_a_run_that_is_not_seen_yet_is_read(desk: Desk) -> None:
    """Runs are watched apart: the wish for one may be seen first, and no cluster fails of that."""
    runs = desk.hub.stores.runs
    runs.correct((TENANT, "checkout-1"), None, runs.moment)
    await dispatching.dispatch(desk.hub, KEY)
    assert rollout(desk)["spec"]["dispatch"] == {"hub": "hub-1", "sequence": 1}
    assert status(desk)["phase"] == "Applying"


async def test_a_run_that_somebody_deleted_is_named(desk: Desk) -> None:
    await desk.kube.delete(FLEETROLLOUTS, "checkout-1", TENANT)
    runs = desk.hub.stores.runs
    runs.correct((TENANT, "checkout-1"), None, runs.moment)
    await dispatching.dispatch(desk.hub, KEY)
    assert "run checkout-1 does not exist any more" in str(status(desk))
    assert not desk.member("east").writes()


async def test_what_is_done_is_not_done_again(desk: Desk) -> None:
    await dispatching.dispatch(desk.hub, KEY)
    hub, member = len(desk.kube.writes()), len(desk.member("east").calls)
    for _ in range(3):
        await dispatching.dispatch(desk.hub, KEY)
    assert (len(desk.kube.writes()), len(desk.member("east").calls)) == (hub, member)


async def test_an_interrupted_dispatch_goes_on_with_the_same_sequence(desk: Desk) -> None:
    desk.member("east").failures.append(("create", Unreachable("cut off")))
    with pytest.raises(Unreachable):
        await dispatching.dispatch(desk.hub, KEY)
    await dispatching.dispatch(desk.hub, KEY)
    applied = [call for call in desk.member("east").writes() if call.verb == "apply"]
    assert [call.body["spec"]["dispatch"]["sequence"] for call in applied] == [1]
    assert len(status(desk)["inventory"]) == 4


async def test_the_engines_verdict_is_reported(desk: Desk) -> None:
    await dispatching.dispatch(desk.hub, KEY)
    report(desk, "Completed")
    assert desk.queues.dispatches.added[-1] == KEY
    await dispatching.dispatch(desk.hub, KEY)
    assert status(desk)["phase"] == "Succeeded"
    assert status(desk)["lastGood"]["run"] == "checkout-1"


async def test_a_stale_view_of_the_clusterrollout_touches_no_member(desk: Desk) -> None:
    desk.kube.failures.append(("replace", Conflict("somebody was faster")))
    with pytest.raises(Conflict):
        await dispatching.dispatch(desk.hub, KEY)
    assert desk.member("east").writes() == []


async def test_a_refusal_is_reported_and_tried_again(desk: Desk) -> None:
    conflict = Conflict("conflict with kubectl", managers=("kubectl",))
    desk.member("east").failures.append(("apply", conflict))
    with pytest.raises(Conflict):
        await dispatching.dispatch(desk.hub, KEY)
    said = status(desk)
    assert (said["phase"], said["reason"]) == ("Conflict", "Conflict")
    assert said["message"] == (
        "kubectl owns fields of the Rollout: let them go, or set deliveryPolicy.onConflict: Force"
    )
    await dispatching.dispatch(desk.hub, KEY)
    report(desk, "Completed")
    await dispatching.dispatch(desk.hub, KEY)
    assert status(desk)["phase"] == "Succeeded"


async def test_what_could_not_be_deleted_stays_in_the_inventory(desk: Desk) -> None:
    await dispatching.dispatch(desk.hub, KEY)
    before = status(desk)["inventory"]
    found = desk.hub.stores.items[KEY]
    await dispatching._failed(desk.hub, found, Forbidden("403"))
    said = status(desk)
    assert (said["phase"], said["reason"]) == ("Failed", "Forbidden")
    assert said["inventory"] == before
    assert said["finishedAt"] == "2026-11-20T12:00:00Z"


async def test_one_that_goes_stands_where_it_stood_while_a_server_is_busy(desk: Desk) -> None:
    await dispatching.dispatch(desk.hub, KEY)
    report(desk, "Completed")
    await dispatching.dispatch(desk.hub, KEY)
    await desk.kube.delete(CLUSTERROLLOUTS, KEY[1], TENANT)
    desk.see(CLUSTERROLLOUTS, KEY[1])
    desk.member("east").failures.append(("patch", Throttled("429")))
    with pytest.raises(Throttled):
        await dispatching.dispatch(desk.hub, KEY)
    assert status(desk)["phase"] == "Succeeded"


async def test_a_deleted_clusterrollout_takes_its_objects_along(desk: Desk) -> None:
    await dispatching.dispatch(desk.hub, KEY)
    await desk.kube.delete(CLUSTERROLLOUTS, KEY[1], TENANT)
    desk.see(CLUSTERROLLOUTS, KEY[1])
    await dispatching.dispatch(desk.hub, KEY)
    member = desk.member("east")
    assert member.peek(ROLLOUTS, "checkout", "checkout") is None
    # The watch tells that the Rollout is gone; only then the rest follows.
    link = desk.link("east")
    assert link.handle is not None
    store = link.handle.informers[ROLLOUTS].store
    store.replace([], store.moment)
    await dispatching.dispatch(desk.hub, KEY)
    assert member.peek(SERVICES, "checkout", "checkout") is None
    assert member.peek(HTTPROUTES, "checkout", "checkout") is None
    assert desk.kube.peek(CLUSTERROLLOUTS, KEY[1], TENANT) is None


async def test_what_stays_behind_is_told_when_a_member_is_let_go(desk: Desk) -> None:
    """[MT-16] An orphan is an Event: its ClusterRollout is gone with the finalizer."""
    await dispatching.dispatch(desk.hub, KEY)
    await desk.kube.delete(CLUSTERROLLOUTS, KEY[1], TENANT)
    desk.see(CLUSTERROLLOUTS, KEY[1])
    await desk.kube.delete(MEMBERCLUSTERS, "east", TENANT)
    desk.see(MEMBERCLUSTERS, "east")
    await dispatching.dispatch(desk.hub, KEY)
    (told,) = [event for event in desk.sent.events if event.reason == "Released"]
    assert (told.about, told.kind) == (KEY[1], "Warning")
    assert told.message.startswith(
        "the MemberCluster is gone; left behind in the member: Rollout checkout/checkout, "
    )
    assert desk.kube.peek(CLUSTERROLLOUTS, KEY[1], TENANT) is None


async def test_a_member_that_was_restored_is_told_of_once(desk: Desk) -> None:
    """It has an older Rollout than had arrived there: dispatched again, and an Event says why."""
    await dispatching.dispatch(desk.hub, KEY)
    report(desk, "Completed")
    await dispatching.dispatch(desk.hub, KEY)
    old = rollout(desk)
    old["spec"]["dispatch"]["sequence"] = 0
    link = desk.link("east")
    assert link.handle is not None
    link.handle.informers[ROLLOUTS].store.see(desk.member("east").seed(ROLLOUTS, old))
    for _ in range(2):
        await dispatching.dispatch(desk.hub, KEY)
    assert rollout(desk)["spec"]["dispatch"]["sequence"] == 2
    told = [event.message for event in desk.sent.events if event.reason == "Redispatched"]
    assert told == [
        "east has the Rollout of dispatch 0 where 1 had arrived: it was restored from a backup: "
        "dispatched again"
    ]


async def test_a_clusterrollout_without_our_finalizer_gets_it_first(desk: Desk) -> None:
    found = desk.kube.peek(CLUSTERROLLOUTS, KEY[1], TENANT)
    assert found is not None
    found["metadata"]["finalizers"] = []
    desk.put(CLUSTERROLLOUTS, found)
    await dispatching.dispatch(desk.hub, KEY)
    found = desk.kube.peek(CLUSTERROLLOUTS, KEY[1], TENANT)
    assert found is not None
    assert found["metadata"]["finalizers"] == [CLUSTERROLLOUT_FINALIZER]
    assert rollout(desk)["spec"]["dispatch"]["sequence"] == 1


async def test_a_key_of_nothing_is_nothing(desk: Desk) -> None:
    await dispatching.dispatch(desk.hub, (TENANT, "gone.east"))
    assert desk.kube.writes() == [] or desk.kube.writes()[-1].kind == "MemberCluster"


def see(desk: Desk, *managers: str, **spec: Any) -> None:
    """The member's server says who owns what: `replicas` is the last one's."""
    found = rollout(desk)
    found["spec"] |= spec
    entries = [
        {"manager": name, "operation": "Apply", "fieldsV1": {"f:spec": {f"f:{name}": {}}}}
        for name in managers
    ]
    entries[-1]["fieldsV1"]["f:spec"]["f:replicas"] = {}
    found["metadata"]["managedFields"] = entries
    link = desk.link("east")
    assert link.handle is not None
    link.handle.informers[ROLLOUTS].store.see(desk.member("east").seed(ROLLOUTS, found))


async def test_what_somebody_took_away_is_told_and_left_without_force(desk: Desk) -> None:
    """It has no owner, so that no server would refuse to have it written again."""
    await dispatching.dispatch(desk.hub, KEY)
    see(desk, "kulta-fleet")
    report(desk, "Completed")
    await dispatching.dispatch(desk.hub, KEY)
    writes = len(desk.member("east").writes())
    see(desk, "kulta-fleet", "kulta-fleet-hold")
    for _ in range(2):
        await dispatching.dispatch(desk.hub, KEY)
    assert len(desk.member("east").writes()) == writes
    told = [event.message for event in desk.sent.events if event.reason == "Drifted"]
    assert told == ["somebody changed what the hub had written into the Rollout: left as it is"]


async def test_what_somebody_edited_is_restored_by_force_and_told(desk: Desk) -> None:
    """[KH-81] Fields of others stay; the Event names who it was."""
    desk.put(FLEETROLLOUTS, gen.run(gen.wave("all", "east"), on_conflict="Force"))
    await dispatching.dispatch(desk.hub, KEY)
    see(desk, "kulta-fleet")
    report(desk, "Completed")
    await dispatching.dispatch(desk.hub, KEY)
    see(desk, "kulta-fleet", "kubectl-edit", replicas=9, paused=True)
    await dispatching.dispatch(desk.hub, KEY)
    found = rollout(desk)["spec"]
    assert (found["replicas"], found["paused"], found["dispatch"]["sequence"]) == (4, True, 1)
    told = [event.message for event in desk.sent.events if event.reason == "Drifted"]
    assert told == ["kubectl-edit changed what the hub had written into the Rollout: restored"]


async def test_a_rollout_that_is_handed_over_is_remembered_with_its_pods(desk: Desk) -> None:
    """What the watch shows of it has none; `deletionPolicy: Revert` brings back what was read."""
    mine = {"replicas": 3, "template": {"spec": {"containers": [{"name": "app", "image": "old"}]}}}
    labels = {
        MANAGED_BY: "kulta-fleet",
        APPLICATION_LABEL: "checkout",
        NAMESPACE_LABEL: TENANT,
    }
    meta = {"name": "checkout", "namespace": "checkout", "labels": labels}
    link = desk.link("east")
    assert link.handle is not None
    seeded = desk.member("east").seed(ROLLOUTS, {"metadata": meta, "spec": mine})
    link.handle.informers[ROLLOUTS].store.see(seeded)
    assert link.rollouts["checkout", "checkout"]["spec"]["template"] == {}
    await dispatching.dispatch(desk.hub, KEY)
    kept = [entry["before"] for entry in status(desk)["inventory"] if entry.get("before")]
    assert [json.loads(text)["spec"] for text in kept] == [mine]


@pytest.mark.parametrize(
    ("manager", "stays"),
    [
        pytest.param("kulta-fleet-hold", False, id="ours goes with us"),
        pytest.param("kubectl-edit", True, id="a person's stays"),
    ],
)
async def test_the_hold_of_a_rollout_that_is_let_go(desk: Desk, manager: str, stays: bool) -> None:
    await dispatching.dispatch(desk.hub, KEY)
    found, link = rollout(desk), desk.link("east")
    found["spec"]["hold"] = {"reason": "wait", "sequence": 1}
    entry = {"manager": manager, "fieldsV1": {"f:spec": {"f:hold": {}}}}
    found["metadata"]["managedFields"] = [entry]
    assert link.handle is not None
    link.handle.informers[ROLLOUTS].store.see(desk.member("east").seed(ROLLOUTS, found))
    item = desk.kube.peek(CLUSTERROLLOUTS, KEY[1], TENANT)
    assert item is not None
    item["metadata"]["deletionTimestamp"] = "2026-11-20T12:00:00Z"
    item["spec"]["deletion"] = {"policy": "Orphan"}
    desk.put(CLUSTERROLLOUTS, item)
    await dispatching.dispatch(desk.hub, KEY)
    spec = rollout(desk)["spec"]
    assert spec["dispatch"]["released"] is True
    assert bool(spec.get("hold")) is stays


async def outdated(desk: Desk) -> dict[str, Any]:
    """The hub has met the member with a CRD that knows no strategy; the present one."""
    crd: dict[str, Any] = orjson.loads((ROOT / "crds/rollouts.yaml").read_bytes())
    older = trees.clone(crd)
    for version in older["spec"]["versions"]:
        del version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["strategy"]
    desk.member("east").seed(CRDS, older)
    await schemas.learn(desk.hub, desk.link("east"))
    return crd


async def test_a_crd_is_looked_at_again_before_a_cluster_fails_of_it(desk: Desk) -> None:
    """What the hub knows of it may be as old as the connection."""
    desk.member("east").seed(CRDS, await outdated(desk))
    desk.clock.advance(31)
    desk.live("east")
    await dispatching.dispatch(desk.hub, KEY)
    assert status(desk)["phase"] == "Applying"
    assert rollout(desk)["spec"]["dispatch"]["sequence"] == 1


async def test_a_crd_that_is_too_old_is_named_and_looked_at_again(desk: Desk) -> None:
    """Nothing is sent that the member would not know; when its CRD is new, it goes on by itself."""
    member = desk.member("east")
    crd = await outdated(desk)
    await dispatching.dispatch(desk.hub, KEY)
    assert (status(desk)["phase"], status(desk)["reason"]) == ("Failed", "EngineTooOld")
    assert status(desk)["message"] == (
        "the Rollout CRD of east does not know spec.strategy: run `fleet cluster add east` again, "
        "or leave that out"
    )
    assert desk.queues.dispatches.later[KEY] == pytest.approx(60, abs=0.1)
    assert member.writes() == []
    member.seed(CRDS, crd)
    await dispatching.dispatch(desk.hub, KEY)
    assert member.writes() == [], "it is not read at each look"
    desk.clock.advance(31)
    desk.live("east")
    await dispatching.dispatch(desk.hub, KEY)
    assert rollout(desk)["spec"]["dispatch"]["sequence"] == 1
    assert status(desk)["phase"] == "Applying"
