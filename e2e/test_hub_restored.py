"""A member whose etcd is restored from a backup: it gets again what it has lost, and it is told."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.ground import background, backup
from e2e.ground import member as members
from e2e.ground.controlplane import ControlPlane
from e2e.ground.proxy import Proxy
from e2e.ground.waiting import until
from e2e.tenancy import NAME, Tenant, World
from fleet.api.names import EVENTS

ALL: dict[str, Any] = {"maxConcurrency": 3}


def told(tenant: Tenant, reason: str) -> list[str]:
    """The messages of Events for that reason."""
    _, found = tenant.world.plane.call("GET", EVENTS.path(tenant.namespace))
    return [item["message"] for item in found["items"] if item["reason"] == reason]


def deliver_beyond_a_backup(tenant: Tenant, plane: ControlPlane, folder: Path) -> Path:
    """v1, a backup of that member, and v2, which it does not have; where the backup is."""
    tenant.deliver("app:v1", **ALL)
    tenant.complete("app:v1")
    tenant.await_phase(1, "Succeeded")
    copy = backup.take(plane, folder)
    backup.count_on(plane)
    tenant.deliver("app:v2", **ALL)
    tenant.complete("app:v2")
    tenant.await_phase(2, "Succeeded", within=30)
    return copy


@pytest.fixture
def balancer(world: World) -> Iterator[tuple[Proxy, background.Loop]]:
    """A way to `west`, and the loop that it lives in."""
    loop, proxy = background.Loop(), Proxy(world.puppets["west"].plane.port)
    loop.call(proxy.heal())
    yield proxy, loop
    loop.call(proxy.refuse())
    loop.close()


def test_a_member_restored_from_an_old_backup_is_brought_up_to_date(
    world: World, tmp_path: Path
) -> None:
    tenant = world.tenant()
    plane = tenant.puppets["west"].plane
    copy = deliver_beyond_a_backup(tenant, plane, tmp_path)
    backup.restore(plane, copy)
    tenant.complete("app:v2", "west")
    tenant.await_cluster("west", "Succeeded", within=30)
    assert tenant.dispatches("west") == [1, 2, 3], "after what it has, and after what it had"
    for name in ("east", "north"):
        assert tenant.dispatches(name) == [1, 2]
    (message,) = until(lambda: told(tenant, "Redispatched"), "it is told", within=10)
    assert message == (
        "west has the Rollout of dispatch 1 where 2 had arrived: it was restored from a backup: "
        "dispatched again"
    )
    assert tenant.run(2)["phase"] == "Succeeded", f"{NAME}-2 has been everywhere"


def test_a_member_restored_behind_its_load_balancer_is_brought_up_to_date(
    world: World, tmp_path: Path, balancer: tuple[Proxy, background.Loop]
) -> None:
    """Which holds what comes until the API server is there again: no attempt fails, and the hub's
    watch is open on a server that has yet to reach its version."""
    tenant = world.tenant()
    plane = tenant.puppets["west"].plane
    proxy, loop = balancer
    tenant.register("west", members.kubeconfig(plane, server=proxy.url))
    copy = deliver_beyond_a_backup(tenant, plane, tmp_path)
    proxy.black_hole()
    backup.restore(plane, copy)
    loop.call(proxy.heal())
    tenant.complete("app:v2", "west")
    tenant.await_cluster("west", "Succeeded", within=30)
    tenant.register("west", members.kubeconfig(plane))
