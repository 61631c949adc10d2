"""A member whose etcd is restored from a backup: it gets again what it has lost, and it is told."""

from pathlib import Path

from e2e.ground import backup
from e2e.ground.waiting import until
from e2e.tenancy import NAME, Tenant, World
from fleet.api.names import EVENTS

ALL = {"maxConcurrency": 3}


def told(tenant: Tenant, reason: str) -> list[str]:
    """The messages of Events for that reason."""
    _, found = tenant.world.plane.call("GET", EVENTS.path(tenant.namespace))
    return [item["message"] for item in found["items"] if item["reason"] == reason]


def test_a_member_restored_from_an_old_backup_is_brought_up_to_date(
    world: World, tmp_path: Path
) -> None:
    tenant = world.tenant()
    plane = tenant.puppets["west"].plane
    tenant.deliver("app:v1", **ALL)
    tenant.complete("app:v1")
    tenant.await_phase(1, "Succeeded")
    copy = backup.take(plane, tmp_path)
    tenant.deliver("app:v2", **ALL)
    tenant.complete("app:v2")
    tenant.await_phase(2, "Succeeded", within=30)
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
