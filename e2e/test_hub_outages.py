"""Members that are slow, and so many that fall silent at once that the hub doubts itself.

A member that is lost alone is in `test_hub_delivery` and `test_recovery`.
"""

import time
from collections.abc import Iterator
from statistics import median
from typing import Any

import pytest

from e2e.ground import background
from e2e.ground import member as members
from e2e.ground.member import Puppet, image_of
from e2e.ground.proxy import Proxy
from e2e.ground.waiting import until
from e2e.tenancy import NAME, Tenant, World
from fleet.api.names import APPLICATIONS, FLEETS

ALL: dict[str, Any] = {"maxConcurrency": 4}
SLOW = 5.0
"""Seconds for each call."""
PATIENCE = 5
"""Seconds after which a lost member counts."""
HOME = "home"
"""The hub's own cluster as a member: the one that is not lost."""


class Ways:
    """Members of a tenant behind proxies, which live in a loop of their own."""

    def __init__(self) -> None:
        self._loop = background.Loop()
        self._proxies: dict[str, Proxy] = {}
        self._tenant: Tenant | None = None

    def open(self, tenant: Tenant, *names: str) -> None:
        """Register these members through proxies."""
        self._tenant = tenant
        for name in names:
            proxy = self._proxies[name] = Proxy(tenant.puppets[name].plane.port)
            self._loop.call(proxy.heal())
            self._register(name, proxy.url)
            tenant.await_condition(name, "EngineHealthy", "True")

    def slow(self, seconds: float) -> None:
        """Each call takes so long."""
        for proxy in self._proxies.values():
            proxy.latency = seconds / 2

    def cut(self) -> None:
        """Nobody answers."""
        for proxy in self._proxies.values():
            self._loop.call(proxy.refuse())

    def heal(self) -> None:
        """Everybody answers again, and new credentials spare the hub its back-off."""
        for name, proxy in self._proxies.items():
            self._loop.call(proxy.heal())
            self._register(name, proxy.url)

    def close(self) -> None:
        """Direct ways again."""
        for name in self._proxies:
            self._register(name)
        self.cut()
        self._loop.close()

    def _register(self, name: str, server: str | None = None) -> None:
        tenant = self._tenant
        assert tenant is not None
        text = members.kubeconfig(tenant.puppets[name].plane, server=server)
        tenant.register(name, text)


@pytest.fixture
def ways() -> Iterator[Ways]:
    opened = Ways()
    yield opened
    opened.close()


def small(name: str) -> dict[str, Any]:
    """An Application of that name, for all members at once."""
    containers = [{"name": "app", "image": "app:v1"}]
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": containers}}
    policy = {"strategy": {"simple": {}}, **ALL}
    workload = {"replicas": 1, "template": template}
    spec = {"destination": {"fleet": "all"}, "workload": workload, "deliveryPolicy": policy}
    return {"metadata": {"name": name}, "spec": spec}


def delivered(tenant: Tenant, names: list[str], *where: str) -> list[float]:
    """Deliver so many Applications one after the other; how long each took to be there."""
    times = []
    for name in names:
        began = time.monotonic()
        tenant.put(APPLICATIONS, small(name))
        for member in where:
            tenant.puppets[member].await_image(tenant.namespace, name, "app:v1")
        times.append(time.monotonic() - began)
    return times


def test_a_slow_member_makes_nobody_else_slow(world: World, ways: Ways) -> None:
    """[MT-06] Each of its calls takes 5 s; the others' deliveries take as long as before."""
    tenant = world.tenant()
    ways.open(tenant, "east")
    east, others = tenant.puppets["east"], ("north", "west")
    before = delivered(tenant, [f"before-{number}" for number in range(10)], "east", *others)
    ways.slow(SLOW)
    began = time.monotonic()
    during = delivered(tenant, [f"during-{number}" for number in range(10)], *others)
    assert east.rollout(tenant.namespace, "during-9") is None
    assert median(during) < median(before) + SLOW / 2, (before, during)
    east.await_image(tenant.namespace, "during-0", "app:v1", within=60)
    assert time.monotonic() - began >= SLOW
    assert tenant.condition("east", "Reachable")[0] == "True"
    ways.slow(0)
    east.await_image(tenant.namespace, "during-9", "app:v1", within=60)


@pytest.fixture
def home(world: World) -> Iterator[Puppet]:
    """The hub's cluster, made a member for the next tenant."""
    members.prepare(world.plane, f"team-{world.tenants + 1}")
    with Puppet(world.plane) as puppet:
        yield puppet


def test_a_hub_that_loses_most_members_at_once_doubts_itself(
    world: World, ways: Ways, home: Puppet
) -> None:
    """[MT-24] Three of four: the fourth does not start, and nobody counts as failed."""
    tenant = world.tenant()
    names = [*tenant.puppets, HOME]
    ways.open(tenant, *tenant.puppets)
    tenant.register(HOME, members.kubeconfig(world.plane))
    tenant.await_condition(HOME, "EngineHealthy", "True")
    tenant.put(FLEETS, {"metadata": {"name": "all"}, "spec": {"members": {"names": names}}})
    tenant.deliver("app:v1", **ALL)
    tenant.complete("app:v1")
    home.complete(tenant.namespace, NAME, "app:v1")
    tenant.await_phase(1, "Succeeded")
    tenant.deliver("app:v2", maxConcurrency=1, unavailableClusters={"timeout": f"{PATIENCE}s"})
    tenant.puppets["east"].await_image(tenant.namespace, NAME, "app:v2")
    ways.cut()
    until(lambda: tenant.run(2).get("reason") == "HubIsolated", "it doubts itself", within=30)
    time.sleep(PATIENCE + 2)
    status = tenant.run(2)
    assert (status["phase"], status["reason"]) == ("Progressing", "HubIsolated")
    assert (status["counts"]["failed"], status["counts"]["unreachable"]) == (0, 3)
    assert tenant.condition(HOME, "Reachable")[0] == "True"
    assert image_of(home.rollout(tenant.namespace, NAME) or {}) == "app:v1"
    ways.heal()
    tenant.complete("app:v2", "east")  # by name, `home` is the second
    home.complete(tenant.namespace, NAME, "app:v2")
    tenant.complete("app:v2", "north", "west")
    assert tenant.await_phase(2, "Succeeded", within=60)["counts"]["failed"] == 0
