"""The hub's rights, here and in its members: none is lacking, and none is granted in vain.

One delivery from birth to removal, judged by the audit logs of all that the shared hub has done.
"""

from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.ground import binaries, definitions
from e2e.ground import hub as hubs
from e2e.ground import member as members
from e2e.ground.controlplane import ControlPlane
from e2e.ground.waiting import until
from e2e.tenancy import NAME, STEPS, Tenant, World
from fleet.api.names import (
    APPLICATIONS,
    DEPLOYMENTS,
    ENGINE_NAME,
    ENGINE_NAMESPACE,
    EVENTS,
    FLEETROLLOUTS,
    FLEETS,
    SECRETS,
)
from fleet.clusters import tokens
from fleet.clusters.client import Client, open_session
from fleet.clusters.config import load_kubeconfig, parse_kubeconfig
from fleet.hub.runtime import credentials

WHERE = "north"
GATEWAYS = [{"name": "public", "namespace": "gateways"}]


def granted(path: Path) -> set[tuple[str, str]]:
    """(verb, resource.group[/subresource]) of every rule in that file."""
    return {
        (verb, _named(resource, group))
        for document in yaml.safe_load_all(path.read_text())
        for rule in document.get("rules", ())
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def used(user: str, *planes: ControlPlane) -> set[tuple[str, str]]:
    """The same of every request that this account made; an apply that made something needs the
    right to create as well."""
    requests = [request for plane in planes for request in plane.audit.read(user=user)]
    found = {
        (item.verb, f"{item.resource}/{item.subresource}".rstrip("/"))
        for item in requests
        if item.code != 403
    }
    made = {("create", item.resource) for item in requests if item.code == 201}
    return found | made


def _named(resource: str, group: str) -> str:
    plural, _, sub = resource.partition("/")
    whole = f"{plural}.{group}" if group else plural
    return f"{whole}/{sub}" if sub else whole


@pytest.fixture
def tenant(world: World) -> Tenant:
    """One whose Fleet is a single member, with routes."""
    definitions.install(world.puppets[WHERE].plane, binaries.find("gateway-api"))
    found = world.tenant()
    fleet = {"members": {"names": [WHERE]}}
    found.put(FLEETS, {"metadata": {"name": "all"}, "spec": fleet})
    return found


def deliver(tenant: Tenant, number: int, *, paused: bool = False) -> None:
    """That revision: each has another port and another host name."""
    containers = [{"name": "app", "image": f"app:v{number}"}]
    workload: dict[str, Any] = {
        "replicas": 1,
        "template": {"metadata": {"labels": {"app": NAME}}, "spec": {"containers": containers}},
        "service": {"name": NAME, "port": 80 + number},
        "route": {"parentRefs": GATEWAYS, "hostnames": [f"v{number}.example.com"]},
    }
    policy = {"strategy": STEPS, "revisionHistoryLimit": 1, "paused": paused}
    spec = {"destination": {"fleet": "all"}, "workload": workload, "deliveryPolicy": policy}
    tenant.put(APPLICATIONS, {"metadata": {"name": NAME}, "spec": spec})


def pause(tenant: Tenant, number: int) -> None:
    """That revision waits from now on."""
    deliver(tenant, number, paused=True)
    tenant.await_phase(number, "Paused")


def events(tenant: Tenant) -> list[dict[str, Any]]:
    """The Events of the tenant's namespace."""
    code, found = tenant.world.plane.call("GET", EVENTS.path(tenant.namespace))
    assert code == 200
    items: list[dict[str, Any]] = found["items"]
    return items


async def renew(tenant: Tenant) -> None:
    """Renew the token with the hub's own accounts, as it does once a day."""
    path = tenant.world.hub.folder / "hub.kubeconfig"
    async with open_session() as session:
        own = Client("hub", load_kubeconfig(path), session)
        secret = await own.get(SECRETS, WHERE, tenant.namespace)
        text = tokens.decoded(secret, "kubeconfig")
        assert text is not None
        member = Client(WHERE, parse_kubeconfig(text), session)
        await credentials.renew(own, member, (tenant.namespace, WHERE), "kubeconfig")


async def test_every_right_is_used_and_none_is_lacking(world: World, tenant: Tenant) -> None:
    plane = world.puppets[WHERE].plane
    kubeconfig = members.kubeconfig(plane)
    tenant.register(WHERE, kubeconfig, engine={"mode": "Managed", "image": "kulta-fleet:test"})
    path = DEPLOYMENTS.path(ENGINE_NAMESPACE, ENGINE_NAME)
    until(lambda: plane.call("GET", path)[0] == 200, "the engine is there", within=10)
    await renew(tenant)
    for number in (1, 2, 3):
        deliver(tenant, number)
        tenant.complete(f"app:v{number}", WHERE)
        tenant.await_phase(number, "Succeeded")
    until(lambda: not tenant.get(FLEETROLLOUTS, f"{NAME}-1"), "the first run is gone", within=10)
    deliver(tenant, 4)
    pause(tenant, 4)

    def is_told_once_more() -> bool:
        deliver(tenant, 4)
        tenant.await_phase(4, "Progressing")
        pause(tenant, 4)
        return any(item["count"] > 1 for item in events(tenant) if item["reason"] == "Paused")

    until(is_told_once_more, "the pause is told, and once more", within=10)
    others = [name for name in world.puppets if name != WHERE]
    tenant.put(FLEETS, {"metadata": {"name": "all"}, "spec": {"members": {"names": others}}})
    until(lambda: not tenant.cluster(WHERE), "nothing is left in the member", within=15)
    world.plane.call("DELETE", APPLICATIONS.path(tenant.namespace, NAME))
    every = [puppet.plane for puppet in world.puppets.values()]
    here = granted(hubs.ROOT / "deploy/hub/rbac.yaml")
    there = granted(hubs.ROOT / "clusters/member-rbac.yaml")
    renewal = ("update", "leases.coordination.k8s.io")
    until(lambda: renewal in used(hubs.USER, world.plane), "the hub renews its Lease", within=10)
    assert here - used(hubs.USER, world.plane) == set()
    assert there - used(members.HUB_USER, *every) == set()
    for account, planes in ((hubs.USER, [world.plane]), (members.HUB_USER, every)):
        refused = [one for each in planes for one in each.audit.read(user=account, code=403)]
        assert [(request.verb, request.uri) for request in refused] == []
