"""Members that are slow. One that is lost is in `test_hub_delivery` and `test_recovery`."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from e2e.ground import background
from e2e.ground import member as members
from e2e.ground.proxy import Proxy
from e2e.tenancy import Tenant, World
from fleet.api.names import APPLICATIONS

ALL = {"maxConcurrency": 4}
SLOW = 5.0
"""Seconds for each call."""


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
            plane = tenant.puppets[name].plane
            tenant.register(name, members.kubeconfig(plane, server=proxy.url))
            tenant.await_condition(name, "EngineHealthy", "True")

    def slow(self, seconds: float) -> None:
        """Each call takes so long."""
        for proxy in self._proxies.values():
            proxy.latency = seconds / 2

    def close(self) -> None:
        """Direct ways again."""
        for name in self._proxies if self._tenant else ():
            plane = self._tenant.puppets[name].plane
            self._tenant.register(name, members.kubeconfig(plane))
        for proxy in self._proxies.values():
            self._loop.call(proxy.refuse())
        self._loop.close()


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
    """[MT-06] Each of its calls takes 5 s; the slowest of the others' deliveries is as before."""
    tenant = world.tenant()
    ways.open(tenant, "east")
    east, others = tenant.puppets["east"], ("north", "west")
    before = delivered(tenant, [f"before-{number}" for number in range(10)], "east", *others)
    ways.slow(SLOW)
    began = time.monotonic()
    during = delivered(tenant, [f"during-{number}" for number in range(10)], *others)
    assert east.rollout(tenant.namespace, "during-9") is None
    assert max(during) < max(before) + SLOW / 2, (before, during)
    east.await_image(tenant.namespace, "during-0", "app:v1", within=60)
    assert time.monotonic() - began >= SLOW
    assert tenant.condition("east", "Reachable")[0] == "True"
    ways.slow(0)
    east.await_image(tenant.namespace, "during-9", "app:v1", within=60)
