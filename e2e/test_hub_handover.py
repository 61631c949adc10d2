"""A hub that loses its Lease while a write of it is on its way, on real control planes.

What the former leader has sent arrives late, when the new one has written: the member's own API
server refuses it. That who loses the Lease ends is in `test_hub_members`; every rule of the fence
is in `test_fencing`.
"""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.ground import background
from e2e.ground import hub as hubs
from e2e.ground import member as members
from e2e.ground.faults import Seen
from e2e.ground.hub import Hub
from e2e.ground.member import image_of
from e2e.ground.proxy import HttpProxy
from e2e.ground.waiting import until
from e2e.tenancy import NAME, Tenant, World
from fleet.api.names import HUB_LEASE, LEASES, ROLLOUTS

ALL: dict[str, Any] = {"maxConcurrency": 3}
LEASE = LEASES.path(hubs.NAMESPACE, HUB_LEASE)
LATE = "dispatch.sequence may only grow: a former hub leader wrote this"


@pytest.fixture
def proxy(world: World) -> Iterator[HttpProxy]:
    """The hub's way to `east`."""
    plane = world.puppets["east"].plane
    with background.running(HttpProxy(plane.server, plane.authority)) as opened:
        yield opened


@pytest.fixture
def tenant(world: World, proxy: HttpProxy) -> Iterator[Tenant]:
    """All members have the first version."""
    found, plane = world.tenant(), world.puppets["east"].plane
    found.register("east", members.kubeconfig(plane, server=proxy.url))
    found.await_condition("east", "EngineHealthy", "True")
    found.deliver("app:v1", **ALL)
    found.complete("app:v1")
    found.await_phase(1, "Succeeded")
    yield found
    found.register("east", members.kubeconfig(plane))


@pytest.fixture
def second(world: World, tmp_path: Path) -> Iterator[Hub]:
    """Another replica of the hub, which follows; the first one leads again at the end."""
    with Hub(world.plane, tmp_path, name="second") as follower:
        yield follower
    if world.hub.process.alive:
        world.hub.kill()  # the test has failed, and it may be frozen
    world.hub.start()


def leader(world: World) -> str:
    """Who holds the Lease."""
    code, lease = world.plane.call("GET", LEASE)
    return str(lease["spec"].get("holderIdentity", "")) if code == 200 else ""


def test_a_write_that_the_lease_has_outlived_is_refused_by_the_member(
    world: World, tenant: Tenant, proxy: HttpProxy, second: Hub
) -> None:
    """[MT-23] It was sent in time and arrives late; the newer leader's version stays."""
    path = ROLLOUTS.path(tenant.namespace, NAME)

    def is_dispatch(seen: Seen) -> bool:
        return seen.method == "PATCH" and seen.path.partition("?")[0] == path

    first, plane = world.hub.process, world.puppets["east"].plane
    late = proxy.catch(is_dispatch)
    tenant.deliver("app:v2", **ALL)
    until(lambda: late.has_come, "the leader dispatches v2 to east", within=20)
    first.signal(signal.SIGSTOP)
    until(lambda: leader(world) == second.name, "the other one leads", within=60)
    tenant.deliver("app:v3", **ALL)
    written = tenant.puppets["east"].await_image(tenant.namespace, NAME, "app:v3", within=30)
    late.let_go()
    until(lambda: late.status, "the late write is answered", within=10)
    assert (late.status, LATE in late.answer) == (422, True), late.answer
    first.signal(signal.SIGCONT)
    until(lambda: not first.alive, "the former leader has ended", within=20)
    assert first.code not in (0, None)
    assert "leadership is lost" in world.hub.log()
    tenant.complete("app:v3")
    tenant.await_phase(3, "Succeeded")
    found = tenant.puppets["east"].rollout(tenant.namespace, NAME)
    assert found is not None
    assert image_of(found) == "app:v3"
    assert found["spec"] == written["spec"], "nobody has written anything since"
    refused = plane.audit.read(user=members.HUB_USER, namespace=tenant.namespace, code=422)
    assert [image_of(request.body) for request in refused] == ["app:v2"]
