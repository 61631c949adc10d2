"""Actions: one write each, repeatable, guarded, and only where something differs."""

from datetime import timedelta
from typing import Any

import pytest

from fleet.api import ClusterRollout
from fleet.api.clusterrollout import Request, Want
from fleet.api.fleetrollout import ClusterPhase
from fleet.api.names import (
    APPLICATIONS,
    CLUSTERROLLOUT_FINALIZER,
    CLUSTERROLLOUTS,
    FLEETROLLOUTS,
    ROLLOUTS,
    SERVICES,
    ClusterName,
)
from fleet.errors import AlreadyExists, Conflict, NotFound, Unreachable
from fleet.hub.core.actions import (
    ApplyRollout,
    AskCluster,
    CreateObject,
    CreateRun,
    DeleteObject,
    DeleteRun,
    FenceRollout,
    HoldCluster,
    HoldRollout,
    LookUp,
    ReleaseCluster,
    ReleaseRollout,
    RunAction,
    StartCluster,
    UpdateObject,
)
from fleet.hub.runtime import apply, membership
from tests.conftest import NOON
from tests.hub import gen
from tests.hub.runtime.desk import TENANT, Desk

EAST = ClusterName("east")
WANT = Want(run="checkout-1", revision="rev1", since=NOON)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def stored(desk: Desk) -> dict[str, Any]:
    found = desk.kube.peek(CLUSTERROLLOUTS, "checkout.east", TENANT)
    assert found is not None
    return found


def known(desk: Desk, **spec: Any) -> ClusterRollout:
    """A ClusterRollout that the hub knows."""
    item = gen.item("east")
    body = item.manifest()
    body["spec"] |= spec
    desk.put(CLUSTERROLLOUTS, body)
    return desk.hub.stores.items[TENANT, "checkout.east"]


async def test_an_equal_status_is_not_written(desk: Desk) -> None:
    item = known(desk)
    assert not await apply.write_status(desk.hub, CLUSTERROLLOUTS, item, item.status)
    assert desk.kube.writes() == []


async def test_a_status_is_written_guarded_and_known_at_once(desk: Desk) -> None:
    item = known(desk)
    status = item.status.model_copy(update={"phase": ClusterPhase.SUCCEEDED})
    assert await apply.write_status(desk.hub, CLUSTERROLLOUTS, item, status)
    (call,) = desk.kube.writes()
    assert (call.verb, call.sub) == ("replace", "status")
    assert call.body["metadata"]["resourceVersion"] == item.metadata.resource_version
    assert set(call.body) == {"apiVersion", "kind", "metadata", "status"}
    assert desk.hub.stores.items[TENANT, "checkout.east"].status.phase is ClusterPhase.SUCCEEDED
    late = item.status.model_copy(update={"phase": ClusterPhase.FAILED})
    with pytest.raises(Conflict):
        await apply.write_status(desk.hub, CLUSTERROLLOUTS, item, late)


async def test_a_run_belongs_to_its_application_and_is_made_once(desk: Desk) -> None:
    owner = gen.application()
    action = CreateRun(name="checkout-1", spec=gen.run(gen.wave("all", "east")).spec)
    for _ in range(2):
        await apply.application(desk.hub, owner, action)
    found = desk.kube.peek(FLEETROLLOUTS, "checkout-1", TENANT)
    assert found is not None
    (reference,) = found["metadata"]["ownerReferences"]
    assert (reference["kind"], reference["name"], reference["uid"]) == (
        APPLICATIONS.kind,
        "checkout",
        "app-1",
    )
    assert (TENANT, "checkout-1") in desk.hub.stores.runs


async def test_an_old_run_is_deleted(desk: Desk) -> None:
    desk.put(FLEETROLLOUTS, gen.run(gen.wave("all", "east")))
    await apply.application(desk.hub, gen.application(), DeleteRun(name="checkout-1"))
    assert desk.kube.peek(FLEETROLLOUTS, "checkout-1", TENANT) is None


async def test_a_first_start_makes_the_clusterrollout_with_our_finalizer(desk: Desk) -> None:
    desk.put(APPLICATIONS, gen.application())
    await apply.run(desk.hub, gen.run(), StartCluster(cluster=EAST, want=WANT))
    found = stored(desk)
    assert found["metadata"]["finalizers"] == [CLUSTERROLLOUT_FINALIZER]
    assert found["metadata"]["labels"] == {
        "fleet.kulta.io/application": "checkout",
        "fleet.kulta.io/cluster": "east",
    }
    assert found["spec"]["namespace"] == "checkout"
    assert found["spec"]["want"]["run"] == "checkout-1"
    assert desk.queues.dispatches.names() == {"checkout.east"}


async def test_a_clusterrollout_that_we_did_not_know_is_looked_at_again(desk: Desk) -> None:
    desk.kube.failures.append(("create", AlreadyExists("taken")))
    with pytest.raises(Conflict):
        await apply.run(desk.hub, gen.run(), StartCluster(cluster=EAST, want=WANT))


async def test_nothing_of_the_wish_before_stays(desk: Desk) -> None:
    """Or a cluster that was sent back would count as such for ever, and start again and again."""
    known(desk, want={**WANT.manifest(), "run": "checkout-0", "undoes": "checkout-1", "wave": 2})
    start = StartCluster(cluster=EAST, want=WANT)
    await apply.run(desk.hub, gen.run(gen.wave("all", "east")), start)
    assert stored(desk)["spec"]["want"] == WANT.manifest()


async def test_a_start_sets_the_wish_and_lets_go(desk: Desk) -> None:
    known(desk, hold="halted")
    want = Want(run="checkout-2", revision="rev2", since=NOON + timedelta(seconds=1))
    await apply.run(desk.hub, gen.run(), StartCluster(cluster=EAST, want=want))
    spec = stored(desk)["spec"]
    assert spec["want"]["run"] == "checkout-2"
    assert "hold" not in spec
    assert len(desk.kube.writes()) == 1


async def test_a_request_is_written_once_and_gone_with_the_wish_that_it_was_about(
    desk: Desk,
) -> None:
    known(desk)
    request = Request(id="7", verb="promote", step="1/2", time=NOON)
    for _ in range(2):
        await apply.run(desk.hub, gen.run(), AskCluster(cluster=EAST, request=request))
    assert stored(desk)["spec"]["request"] == request.manifest()
    assert len(desk.kube.writes()) == 1
    await apply.run(desk.hub, gen.run(number=2), AskCluster(cluster=EAST, request=request))
    assert len(desk.kube.writes()) == 1, "another run has let nobody go there"
    want = Want(run="checkout-1", revision="rev1", since=NOON, attempt=1)
    await apply.run(desk.hub, gen.run(), StartCluster(cluster=EAST, want=want))
    assert "request" not in stored(desk)["spec"]


async def test_a_request_reaches_who_is_on_the_way_back_from_that_run(desk: Desk) -> None:
    known(desk)
    back = Want(run="checkout-1", revision="rev1", since=NOON, undoes="checkout-2")
    await apply.run(desk.hub, gen.run(number=2), StartCluster(cluster=EAST, want=back))
    request = Request(id="7", verb="promote", step="1/2", time=NOON)
    await apply.run(desk.hub, gen.run(number=2), AskCluster(cluster=EAST, request=request))
    assert stored(desk)["spec"]["request"] == request.manifest()


@pytest.mark.parametrize(
    ("before", "action", "after"),
    [
        pytest.param("", HoldCluster(cluster=EAST, reason="halted"), "halted", id="a hold is set"),
        pytest.param("halted", ReleaseCluster(cluster=EAST), "", id="a hold is let go"),
    ],
)
async def test_holds(desk: Desk, before: str, action: RunAction, after: str) -> None:
    known(desk, **({"hold": before} if before else {}))
    for _ in range(2):
        await apply.run(desk.hub, gen.run(), action)
    assert stored(desk)["spec"].get("hold", "") == after
    assert len(desk.kube.writes()) == 1


@pytest.mark.parametrize(
    "action", [HoldCluster(cluster=EAST, reason="x"), ReleaseCluster(cluster=EAST)]
)
async def test_who_was_never_let_go_is_not_held(desk: Desk, action: RunAction) -> None:
    await apply.run(desk.hub, gen.run(), action)
    assert desk.kube.writes() == []


async def test_only_our_finalizer_is_taken_away(desk: Desk) -> None:
    item = known(desk)
    item = item.model_copy(
        update={
            "metadata": item.metadata.model_copy(
                update={"finalizers": ("theirs", CLUSTERROLLOUT_FINALIZER)}
            )
        }
    )
    await apply.remove_finalizer(desk.hub, item)
    assert stored(desk)["metadata"]["finalizers"] == ["theirs"]


async def engaged(desk: Desk) -> Any:
    key = desk.register("east")
    await membership.reconcile(desk.hub, key)
    return desk.live("east").handle


def manifest(name: str = "checkout", kind: str = "Service") -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": name, "namespace": "checkout"}, "spec": {}}


async def test_a_members_actions_go_in_order_and_stop_at_the_first_error(desk: Desk) -> None:
    handle = await engaged(desk)
    member = desk.member("east")
    member.failures.append(("create", Unreachable("gone")))
    outcomes = await apply.member(
        handle,
        [
            ApplyRollout(manifest=manifest(kind="Rollout")),
            CreateObject(resource=SERVICES, manifest=manifest()),
            CreateObject(resource=SERVICES, manifest=manifest("checkout-canary")),
        ],
    )
    assert [type(one.action).__name__ for one in outcomes] == ["ApplyRollout", "CreateObject"]
    assert [one.error is None for one in outcomes] == [True, False]
    assert member.peek(SERVICES, "checkout-canary", "checkout") is None
    assert ("checkout", "checkout") in handle.informers[ROLLOUTS].store


async def test_a_hold_is_a_field_of_its_own_manager(desk: Desk) -> None:
    handle = await engaged(desk)
    member = desk.member("east")
    await apply.member(handle, [ApplyRollout(manifest=manifest(kind="Rollout"))])
    hold = HoldRollout(name="checkout", namespace="checkout", reason="halted", sequence=3)
    await apply.member(handle, [hold])
    found = member.peek(ROLLOUTS, "checkout", "checkout")
    assert found is not None
    assert found["spec"]["hold"] == {"reason": "halted", "sequence": 3}
    old = ReleaseRollout(name="checkout", namespace="checkout", version="1")
    (late,) = await apply.member(handle, [old])
    assert isinstance(late.error, Conflict), "a release is for the version that was seen"
    version = found["metadata"]["resourceVersion"]
    free = ReleaseRollout(name="checkout", namespace="checkout", version=version)
    await apply.member(handle, [free])
    found = member.peek(ROLLOUTS, "checkout", "checkout")
    assert found is not None
    assert not found["spec"].get("hold")


@pytest.mark.parametrize(
    ("managers", "is_ours"),
    [
        pytest.param(("kulta-fleet-hub",), True, id="what the hub has patched it takes back"),
        pytest.param(("kulta-fleet-hub", "kubectl"), False, id="what others have it does not"),
    ],
)
async def test_whose_fields_are_taken_back(
    desk: Desk, managers: tuple[str, ...], is_ours: bool
) -> None:
    handle = await engaged(desk)
    member = desk.member("east")
    await member.apply(ROLLOUTS, manifest(kind="Rollout"), manager="kulta-fleet")
    member.failures.append(("apply", Conflict("409", managers=managers)))
    (found,) = await apply.member(handle, [ApplyRollout(manifest=manifest(kind="Rollout"))])
    assert (found.error is None) is is_ours


async def test_a_weight_moves_with_its_fence_and_nothing_else(desk: Desk) -> None:
    handle = await engaged(desk)
    member = desk.member("east")
    strategy = {"canary": {"externalWeight": 40, "stableService": "checkout"}}
    body = {**manifest(kind="Rollout"), "spec": {"replicas": 3, "strategy": strategy}}
    version = member.seed(ROLLOUTS, body)["metadata"]["resourceVersion"]
    where: dict[str, Any] = {"name": "checkout", "namespace": "checkout", "hub": "hub-1"}
    weigh = FenceRollout(**where, version=version, sequence=4, weight=5)
    good, late = [(await apply.member(handle, [weigh]))[0] for _ in range(2)]
    assert good.answer is not None
    assert good.answer["spec"] == {
        "replicas": 3,
        "strategy": {"canary": {"externalWeight": 5, "stableService": "checkout"}},
        "dispatch": {"hub": "hub-1", "sequence": 4},
    }
    assert isinstance(late.error, Conflict), "it is for the version that was seen"


async def test_a_request_goes_with_its_sequence_in_one_write(desk: Desk) -> None:
    handle = await engaged(desk)
    member = desk.member("east")
    body = {**manifest(kind="Rollout"), "spec": {"replicas": 3}}
    body["metadata"]["annotations"] = {"team": "shop"}
    version = member.seed(ROLLOUTS, body)["metadata"]["resourceVersion"]
    where: dict[str, Any] = {"name": "checkout", "namespace": "checkout", "hub": "hub-1"}
    ask = FenceRollout(**where, version=version, sequence=4, request="kulta.io/promote")
    good, late = [(await apply.member(handle, [ask]))[0] for _ in range(2)]
    assert good.answer is not None
    assert good.answer["metadata"]["annotations"] == {"team": "shop", "kulta.io/promote": "true"}
    assert good.answer["spec"] == {"replicas": 3, "dispatch": {"hub": "hub-1", "sequence": 4}}
    assert isinstance(late.error, Conflict), "it is for the version that was seen to wait"


async def test_objects_are_updated_and_deleted_only_as_they_were_read(desk: Desk) -> None:
    handle = await engaged(desk)
    member = desk.member("east")
    read = member.seed(SERVICES, manifest())
    update = UpdateObject(resource=SERVICES, manifest={**read, "spec": {"type": "ClusterIP"}})
    (good,) = await apply.member(handle, [update])
    assert good.error is None
    (late,) = await apply.member(handle, [update])
    assert isinstance(late.error, Conflict)
    assert good.answer is not None
    meta = good.answer["metadata"]
    for uid, version in (("other", meta["resourceVersion"]), (meta["uid"], "1")):
        wrong = DeleteObject(
            resource=SERVICES, namespace="checkout", name="checkout", uid=uid, version=version
        )
        (refused,) = await apply.member(handle, [wrong])
        assert isinstance(refused.error, Conflict)
    (nothing,) = await apply.member(handle, [LookUp()])
    assert nothing.error is None


async def test_a_look_reads_each_object_once_and_skips_a_known_rollout(desk: Desk) -> None:
    handle = await engaged(desk)
    member = desk.member("east")
    member.seed(SERVICES, manifest())
    wanted = [
        (ROLLOUTS, "checkout", "checkout"),
        (SERVICES, "checkout", "checkout"),
        (SERVICES, "checkout", "gone"),
        (SERVICES, "checkout", "checkout"),
    ]
    before = len(member.calls)
    found = await apply.look(handle, wanted, {("checkout", "checkout")})
    assert list(found) == [("services", "checkout", "checkout")]
    assert len(member.calls) - before == 2
    before = len(member.calls)
    await apply.look(handle, wanted, ())
    assert len(member.calls) - before == 3


async def test_a_vanished_clusterrollout_needs_no_finalizer(desk: Desk) -> None:
    item = gen.item("east")
    desk.kube.failures.append(("patch", NotFound("gone")))
    await apply.remove_finalizer(desk.hub, item)
    assert desk.hub.stores.items == {}
