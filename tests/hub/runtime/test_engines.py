"""The engine of a managed member: written when it differs, never under somebody's rollout."""

from typing import Any

import pytest

from fleet.api.membercluster import MemberCluster
from fleet.api.names import DEPLOYMENTS, ENGINE_NAME, ENGINE_NAMESPACE, LEASES, ROLLOUTS
from fleet.errors import Conflict, Forbidden
from fleet.hub.runtime import engines, membership
from fleet.hub.runtime.links import Link
from tests.hub.runtime.desk import TENANT, Desk

ROLLOUT = {"metadata": {"name": "web", "namespace": "web", "uid": "r1", "resourceVersion": "7"}}


@pytest.fixture
async def desk() -> Desk:
    made = Desk()
    key = made.register("eu-7")
    await membership.reconcile(made.hub, key)
    made.live("eu-7")
    return made


async def keep(desk: Desk, **engine: Any) -> str:
    """Keep the engine as this MemberCluster wants it; the note."""
    body = desk.hub.stores.memberclusters.items[TENANT, "eu-7"].manifest()
    body["spec"]["engine"] = engine
    return await engines.keep(desk.hub, MemberCluster.parse(body), desk.link("eu-7"))


def images(desk: Desk) -> list[str]:
    """The images that were written."""
    return [
        call.body["spec"]["template"]["spec"]["containers"][0]["image"]
        for call in desk.member("eu-7").writes()
        if call.kind == DEPLOYMENTS.kind
    ]


def rolling(link: Link, phase: str) -> None:
    assert link.handle is not None
    link.handle.informers[ROLLOUTS].remember({**ROLLOUT, "status": {"phase": phase}})


async def test_the_hubs_image_is_written_unless_the_member_names_one(desk: Desk) -> None:
    await keep(desk)
    await keep(desk, image="mirror/kulta:1")
    assert images(desk) == ["kulta-fleet:test", "mirror/kulta:1"]


async def test_what_is_there_already_is_not_written(desk: Desk) -> None:
    await keep(desk)
    await keep(desk)
    assert len(images(desk)) == 1


async def test_an_external_engine_is_never_written(desk: Desk) -> None:
    assert await keep(desk, mode="External") == ""
    assert images(desk) == []


@pytest.mark.parametrize(
    ("phase", "note"),
    [
        pytest.param("Completed", "", id="a completed Rollout does not mind"),
        pytest.param("Failed", "", id="a failed one neither"),
        pytest.param(
            "Progressing",
            "a newer engine waits until Rollout web/web has ended",
            id="one on its way is waited for",
        ),
        pytest.param(
            "Paused", "a newer engine waits until Rollout web/web has ended", id="a paused one too"
        ),
    ],
)
async def test_an_upgrade_waits_for_rollouts(desk: Desk, phase: str, note: str) -> None:
    await keep(desk)
    rolling(desk.link("eu-7"), phase)
    assert await keep(desk, image="kulta-fleet:next") == note
    assert len(images(desk)) == (1 if note else 2)


async def test_a_dead_engine_is_mended_whatever_is_on_its_way(desk: Desk) -> None:
    await keep(desk)
    rolling(desk.link("eu-7"), "Progressing")
    desk.link("eu-7").told = desk.link("eu-7").standing(desk.clock.monotonic() + 60)
    assert await keep(desk, image="kulta-fleet:next") == ""
    assert len(images(desk)) == 2


async def test_a_foreign_deployment_is_reported(desk: Desk) -> None:
    conflict = Conflict("conflict", managers=("kubectl-client-side-apply",))
    desk.member("eu-7").failures.append(("apply", conflict))
    assert await keep(desk) == (
        "Deployment kulta-system/kulta-controller belongs to kubectl-client-side-apply: "
        "delete it, or set engine.mode to External"
    )


def stop_lease(desk: Desk) -> None:
    link = desk.link("eu-7")
    assert link.handle is not None
    link.handle.informers[LEASES].store.clear()
    link.told = link.standing(desk.clock.monotonic())


def deploy(desk: Desk, available: int) -> None:
    link = desk.link("eu-7")
    assert link.handle is not None
    meta = {"name": ENGINE_NAME, "namespace": ENGINE_NAMESPACE, "uid": "d1"}
    labels = {"app.kubernetes.io/version": "0.9"}
    body = {"metadata": {**meta, "resourceVersion": "9", "labels": labels}}
    status = {"availableReplicas": available}
    link.handle.informers[DEPLOYMENTS].remember({**body, "status": status})


@pytest.mark.parametrize(
    ("mode", "available", "healthy", "message"),
    [
        pytest.param(
            "External",
            None,
            None,
            "there is no Lease kulta-system/kulta-controller-leader: is an engine running with "
            "leader election?",
            id="an external engine without a Lease is unknown",
        ),
        pytest.param(
            "Managed",
            None,
            False,
            "Deployment kulta-system/kulta-controller is not there yet",
            id="a managed engine before its Deployment",
        ),
        pytest.param(
            "Managed",
            0,
            False,
            "Deployment kulta-system/kulta-controller has no ready pod",
            id="a Deployment without a ready pod",
        ),
        pytest.param(
            "Managed",
            1,
            False,
            "Deployment kulta-system/kulta-controller has not taken its Lease yet",
            id="a pod that does not lead yet",
        ),
    ],
)
async def test_an_engine_without_a_lease(
    desk: Desk, mode: str, available: int | None, healthy: bool | None, message: str
) -> None:
    stop_lease(desk)
    if available is not None:
        deploy(desk, available)
    body = desk.hub.stores.memberclusters.items[TENANT, "eu-7"].manifest()
    body["spec"]["engine"] = {"mode": mode}
    found = engines.report(MemberCluster.parse(body), desk.link("eu-7"), "")
    assert (found.healthy, found.message) == (healthy, message)


async def test_a_lease_that_may_not_be_read_is_said(desk: Desk) -> None:
    stop_lease(desk)
    desk.link("eu-7").lease_problem = Forbidden("403 leases")
    cluster = desk.hub.stores.memberclusters.items[TENANT, "eu-7"]
    found = engines.report(cluster, desk.link("eu-7"), "")
    assert found.healthy is None
    assert found.message.endswith("kulta-controller-leader cannot be read: 403 leases")


async def test_a_healthy_engine_shows_its_version(desk: Desk) -> None:
    deploy(desk, 1)
    cluster = desk.hub.stores.memberclusters.items[TENANT, "eu-7"]
    found = engines.report(cluster, desk.link("eu-7"), "")
    assert (found.healthy, found.version, found.message) == (True, "0.9", "")
