"""Delivery by the real hub process to three real members: order, halt, faults, fences.

Engines are puppets: a test decides when a cluster completes or fails. What the hub did is judged
from the members' audit logs.
"""

import asyncio
import functools
import json
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from e2e.conftest import MEMBERS
from e2e.ground import member as members
from e2e.ground.proxy import Proxy
from e2e.ground.waiting import until
from e2e.tenancy import NAME, Tenant, World
from fleet.api.names import (
    APPLICATIONS,
    AUTOSCALER,
    ENGINE_NAMESPACE,
    FLEETROLLOUTS,
    FLEETS,
    MEMBERCLUSTERS,
    REQUEST_ANNOTATION,
    ROLLOUTS,
)

WATCHES = 2
"""Connections that stand when the hub has taken a new way to a member."""
PATIENCE = 15.0
"""Seconds after which the hub gives up a request that nobody answers."""
ALL: dict[str, Any] = {"maxConcurrency": 3}
WAVES: dict[str, Any] = {
    "waves": [
        {"name": "canary", "clusters": ["west"]},
        {"name": "rest", "remaining": True, "maxConcurrency": 2},
    ]
}


@pytest.fixture
def tenant(world: World) -> Tenant:
    return world.tenant()


def test_three_members_get_it_wave_by_wave(tenant: Tenant) -> None:
    tenant.deliver("app:v1", overrides=[FEWER], **WAVES)
    tenant.puppets["west"].await_image(tenant.namespace, NAME, "app:v1")
    time.sleep(0.5)
    assert tenant.writes("east") == tenant.writes("north") == []
    tenant.complete("app:v1", "west")
    for name in ("east", "north"):
        tenant.puppets[name].await_image(tenant.namespace, NAME, "app:v1")
    tenant.complete("app:v1", "east", "north")
    status = tenant.await_phase(1, "Succeeded")
    assert status["counts"]["updated"] == 3
    columns = tenant.world.plane.kubectl("get", "fr", "-n", tenant.namespace, "--no-headers")
    assert " Succeeded " in columns
    assert " 3/3 " in columns
    created = {request.resource for request in tenant.writes("east") if request.verb == "create"}
    assert created == {"services"}
    # And a label that an override looks for is a change as well, though nobody asks for another.
    path = MEMBERCLUSTERS.path(tenant.namespace, "east")
    code, answer = tenant.world.plane.call("PATCH", path, {"metadata": {"labels": RING}})
    assert code == 200, answer
    assert begun(tenant, 2) == ("ClusterInputsChanged", [["west"], ["east", "north"]])


def begun(tenant: Tenant, number: int) -> tuple[str, list[list[str]]]:
    """Why that run was begun, once it is there, and who goes in each of its waves."""
    name = f"{NAME}-{number}"
    spec = until(lambda: tenant.get(FLEETROLLOUTS, name), f"there is {name}", within=30)["spec"]
    return spec["trigger"], [wave["clusters"] for wave in spec["plan"]["waves"]]


RING = {"ring": "last"}
FEWER = {
    "clusterSelector": {"matchLabels": RING},
    "patch": [{"op": "replace", "path": "/workload/replicas", "value": 1}],
}


def lacks(tenant: Tenant) -> int:
    """How many members the Fleet names that are not there."""
    return int((tenant.get(FLEETS, "all").get("status") or {}).get("missing", 0))


def is_at_rest(tenant: Tenant) -> bool:
    """Whether the hub has said of the Application that everything is done."""
    status = tenant.get(APPLICATIONS, NAME).get("status") or {}
    return bool(status.get("phase") == "Ready")


def join_late(tenant: Tenant) -> None:
    """The first version goes to two; `north` joins when everything is over, and gets it too."""
    path = MEMBERCLUSTERS.path(tenant.namespace, "north")
    assert tenant.world.plane.call("DELETE", path)[0] == 200
    until(lambda: lacks(tenant) == 1, "the fleet lacks it", within=20)
    tenant.deliver("app:v1", **ALL)
    tenant.complete("app:v1", "east", "west")
    tenant.await_phase(1, "Succeeded")
    until(lambda: is_at_rest(tenant), "nobody looks at it any more", within=20)
    tenant.register("north", members.kubeconfig(tenant.puppets["north"].plane))
    assert begun(tenant, 2) == ("MembersJoined", [["north"]])
    tenant.complete("app:v1", "north")
    tenant.await_phase(2, "Succeeded")
    until(lambda: not lacks(tenant), "the fleet lacks nobody", within=20)


def test_a_change_is_in_all_members_within_the_limit(tenant: Tenant) -> None:
    """Also in one that has joined late."""
    join_late(tenant)
    times = []
    for number in (3, 4, 5):
        began = time.monotonic()
        tenant.deliver(f"app:v{number}", **ALL)
        for puppet in tenant.puppets.values():
            puppet.await_image(tenant.namespace, NAME, f"app:v{number}")
        times.append(time.monotonic() - began)
        tenant.complete(f"app:v{number}")
        tenant.await_phase(number, "Succeeded")
    # The goal is 0.25 s (`make bench` judges it); a busy machine must not make this test fail.
    assert min(times) < 5.0, times


def test_a_failed_analysis_halts_the_run(tenant: Tenant) -> None:
    tenant.deliver("app:v1", **ALL)
    tenant.complete("app:v1")
    tenant.await_phase(1, "Succeeded")
    tenant.deliver("app:v2", maxConcurrency=2)
    for name in ("east", "north"):
        tenant.puppets[name].await_image(tenant.namespace, NAME, "app:v2")
    tenant.puppets["east"].fail(tenant.namespace, NAME)
    status = tenant.await_phase(2, "Halted", within=2)
    assert status["message"] == "halted: east failed its analysis: error-rate 37.5 is not below 5"

    def is_held() -> bool:
        found = tenant.puppets["north"].rollout(tenant.namespace, NAME)
        return found is not None and "hold" in found["spec"]

    until(is_held, "north is held", within=5)
    west = tenant.puppets["west"].rollout(tenant.namespace, NAME)
    assert west is not None
    assert members.image_of(west) == "app:v1"
    assert "app:v2" not in json.dumps([request.body for request in tenant.writes("west")])
    path = FLEETROLLOUTS.path(tenant.namespace, f"{NAME}-2")
    resume = {"metadata": {"annotations": {REQUEST_ANNOTATION: "resume/1"}}}
    tenant.world.plane.call("PATCH", path, resume)
    until(lambda: not is_held(), "north is let go", within=5)


async def test_a_member_that_cannot_be_reached_is_put_off_and_comes_back(tenant: Tenant) -> None:
    plane = tenant.puppets["east"].plane
    async with Proxy(plane.port) as proxy:

        def register() -> None:
            tenant.register("east", members.kubeconfig(plane, server=proxy.url))
            until(lambda: len(proxy.links) >= WATCHES, "the hub has come by this way", within=10)
            tenant.await_condition("east", "EngineHealthy", "True")

        await asyncio.to_thread(register)
        await proxy.refuse()
        await asyncio.to_thread(tenant.await_condition, "east", "Reachable", "False")

        def others() -> None:
            tenant.deliver("app:v1", maxConcurrency=1)
            tenant.complete("app:v1", "north")
            tenant.complete("app:v1", "west")
            until(
                lambda: tenant.run(1).get("counts", {}).get("updated") == 2,
                "the two others are done",
                within=10,
            )

        await asyncio.to_thread(others)
        status = await asyncio.to_thread(tenant.run, 1)
        assert status["phase"] == "Progressing"
        assert status["reason"] == "Deferred"
        assert tenant.writes("east") == []
        await proxy.heal()
        await asyncio.to_thread(tenant.complete, "app:v1", "east")
        await asyncio.to_thread(tenant.await_phase, 1, "Succeeded", within=30)
        await asyncio.to_thread(tenant.register, "east", members.kubeconfig(plane))


async def test_a_member_that_answers_nothing_delays_nobody(tenant: Tenant) -> None:
    plane = tenant.puppets["east"].plane
    async with Proxy(plane.port) as proxy:

        def register() -> None:
            tenant.register("east", members.kubeconfig(plane, server=proxy.url))
            until(lambda: len(proxy.links) >= WATCHES, "the hub has come by this way", within=10)
            tenant.await_condition("east", "EngineHealthy", "True")
            time.sleep(1)

        await asyncio.to_thread(register)
        proxy.black_hole()
        began = time.monotonic()
        await asyncio.to_thread(tenant.deliver, "app:v1", **ALL)
        for name in ("north", "west"):
            puppet = tenant.puppets[name]
            await asyncio.to_thread(puppet.await_image, tenant.namespace, NAME, "app:v1")
        assert time.monotonic() - began < PATIENCE, "nobody waited for its answer"
        await proxy.heal()
        await asyncio.to_thread(tenant.complete, "app:v1")
        await asyncio.to_thread(tenant.await_phase, 1, "Succeeded", within=30)
        assert len(tenant.dispatches("east")) == 1
        await asyncio.to_thread(tenant.register, "east", members.kubeconfig(plane))


def test_a_hub_killed_in_mid_run_goes_on_and_sends_nothing_twice(tenant: Tenant) -> None:
    tenant.deliver("app:v1", **ALL)
    tenant.puppets["east"].await_image(tenant.namespace, NAME, "app:v1")
    tenant.world.hub.kill()
    tenant.world.hub.start()
    tenant.complete("app:v1")
    tenant.await_phase(1, "Succeeded", within=30)
    tenant.deliver("app:v2", maxConcurrency=1)
    tenant.puppets["east"].await_image(tenant.namespace, NAME, "app:v2")
    tenant.world.hub.kill()
    tenant.complete("app:v2", "east")
    tenant.world.hub.start()
    for name in ("north", "west"):
        tenant.puppets[name].complete(tenant.namespace, NAME, "app:v2")
    tenant.await_phase(2, "Succeeded", within=30)
    for name in MEMBERS:
        sequences = tenant.dispatches(name)
        assert len(sequences) == len(set(sequences)) == 2, (name, sequences)
        assert sequences == sorted(sequences)


def test_a_second_application_does_not_take_the_object_of_the_first(tenant: Tenant) -> None:
    tenant.deliver("app:v1", **ALL)
    tenant.complete("app:v1")
    tenant.await_phase(1, "Succeeded")
    tenant.deliver("other:v1", name="search", **ALL)
    status = tenant.await_cluster("east", "Conflict", application="search")
    assert status["reason"] == "ForeignObject"
    assert status["message"] == (
        f"Service {NAME} in namespace {tenant.namespace} belongs to the Application "
        f"{tenant.namespace}/{NAME}: rename one of the two, or give them different namespaces in "
        "destination"
    )
    until(
        lambda: (
            (tenant.get(FLEETROLLOUTS, "search-1").get("status") or {}).get("phase") == "Halted"
        ),
        "a conflict counts against the budget",
        within=5,
    )
    assert tenant.puppets["east"].rollout(tenant.namespace, "search") is None


def test_a_foreign_manager_of_a_field_is_named_and_not_fought(tenant: Tenant) -> None:
    """[MT-17] Conflict in that cluster; the others go on, and so does it when it is let go."""
    tenant.deliver("app:v1", **ALL)
    tenant.complete("app:v1")
    tenant.await_phase(1, "Succeeded")
    east = tenant.puppets["east"]
    owned = functools.partial(gitops, tenant, "east")
    owned(replicas=9)
    autoscaled(tenant, "north", 7)
    tenant.deliver("app:v2", failureBudget=1, **ALL)
    tenant.complete("app:v2", "north", "west")
    status = tenant.await_cluster("east", "Conflict")
    assert (status["reason"], status["message"]) == (
        "Conflict",
        "gitops owns fields of the Rollout: let them go, or set deliveryPolicy.onConflict: Force",
    )
    run = tenant.await_phase(2, "SucceededWithFailures")
    assert (run["counts"]["updated"], run["counts"]["failed"]) == (2, 1)
    north = tenant.puppets["north"].rollout(tenant.namespace, NAME)
    assert north is not None
    assert north["spec"]["replicas"] == 7, "what an autoscaler says is no conflict, and stays"
    assert tenant.dispatches("east") == [1], "nothing of ours was written over it"
    found = east.rollout(tenant.namespace, NAME)
    assert found is not None
    assert (members.image_of(found), found["spec"]["replicas"]) == ("app:v1", 9)
    owned()
    tenant.complete("app:v2", "east")
    found = east.rollout(tenant.namespace, NAME)
    assert found is not None
    assert found["spec"]["replicas"] == 2
    tenant.await_cluster("east", "Succeeded")
    _restored_by_force(tenant, owned)


def _restored_by_force(tenant: Tenant, owned: Callable[..., None]) -> None:
    """[KH-81] A policy that forces takes its fields back at once; what was added stays."""
    tenant.deliver("app:v3", onConflict="Force", **ALL)
    tenant.complete("app:v3")
    tenant.await_phase(3, "Succeeded")
    owned(replicas=9, progressDeadlineSeconds=700)

    def spec() -> dict[str, Any]:
        found = tenant.puppets["east"].rollout(tenant.namespace, NAME)
        return found["spec"] if found else {}

    until(lambda: spec()["replicas"] == 2, "the hub has taken it back", within=30)
    assert spec()["progressDeadlineSeconds"] == 700


def autoscaled(tenant: Tenant, name: str, replicas: int) -> None:
    """A HorizontalPodAutoscaler in that member has scaled the Rollout."""
    path = f"{ROLLOUTS.path(tenant.namespace, NAME)}/scale?fieldManager={AUTOSCALER}"
    body = {"spec": {"replicas": replicas}}
    code, answer = tenant.puppets[name].plane.call("PATCH", path, body)
    assert code == 200, answer


def gitops(tenant: Tenant, name: str, **spec: Any) -> None:
    """Another tool owns exactly these fields of the Rollout in that member."""
    manifest = {
        "apiVersion": ROLLOUTS.api_version,
        "kind": ROLLOUTS.kind,
        "metadata": {"name": NAME, "namespace": tenant.namespace},
        "spec": spec,
    }
    command = ("apply", "--server-side", "--field-manager=gitops", "--force-conflicts", "-f", "-")
    tenant.puppets[name].plane.kubectl(*command, stdin=json.dumps(manifest))


def test_a_deposed_leader_is_refused_by_the_member(tenant: Tenant) -> None:
    tenant.deliver("app:v1", **ALL)
    tenant.complete("app:v1")
    tenant.await_phase(1, "Succeeded")
    plane = tenant.puppets["east"].plane
    stale = tenant.writes("east")
    body = next(request.body for request in stale if request.resource == "rollouts.kulta.io")
    tenant.deliver("app:v2", **ALL)
    tenant.complete("app:v2")
    tenant.await_phase(2, "Succeeded")
    # The write of the former leader arrives late, with the hub's own credentials and manager.
    text = json.dumps(body)
    token = plane.mint(members.ACCOUNT, ENGINE_NAMESPACE)
    path = plane.write_kubeconfig(plane.folder / "late.kubeconfig", token)
    with pytest.raises(Exception, match=r"dispatch\.sequence may only grow"):
        plane.kubectl(
            *("apply", "--server-side", "--field-manager=kulta-fleet", "--force-conflicts"),
            *(f"--kubeconfig={path}", "-f", "-"),
            stdin=text,
        )
    found = tenant.puppets["east"].rollout(tenant.namespace, NAME)
    assert found is not None
    assert members.image_of(found) == "app:v2"


def test_a_deleted_application_is_taken_away(tenant: Tenant) -> None:
    tenant.deliver("app:v1", **ALL)
    tenant.complete("app:v1")
    tenant.await_phase(1, "Succeeded")
    call = tenant.world.plane.call
    # The garbage collector deletes what the Application owns; here the test does, without one.
    for name in MEMBERS:
        path = f"/apis/fleet.kulta.io/v1alpha1/namespaces/{tenant.namespace}/clusterrollouts"
        call("DELETE", f"{path}/{NAME}.{name}")
    call("DELETE", APPLICATIONS.path(tenant.namespace, NAME))
    for name, puppet in tenant.puppets.items():
        until(partial(lambda n: not tenant.cluster(n), name), f"{name} is clean", within=15)
        assert puppet.rollout(tenant.namespace, NAME) is None
        assert (
            puppet.plane.call("GET", f"/api/v1/namespaces/{tenant.namespace}/services/{NAME}")[0]
            == 404
        )
