"""A live weight by the real hub process, in real members: one write each, and no other run.

Engines are puppets. That nobody is in the hub's own way only a real API server can tell: it knows
what was patched from what was applied.
"""

from functools import partial
from typing import Any

import pytest

from e2e.ground.waiting import until
from e2e.tenancy import NAME, Tenant, World
from fleet.api.names import FLEETROLLOUTS, MEMBERCLUSTERS, ROLLOUTS

SMALL = {"ring": "small"}
FEWER = {
    "clusterSelector": {"matchLabels": SMALL},
    "patch": [{"op": "replace", "path": "/workload/replicas", "value": 1}],
}


@pytest.fixture
def tenant(world: World) -> Tenant:
    return world.tenant()


def test_a_live_weight_follows_and_falls_where_inputs_change(tenant: Tenant) -> None:
    ask(tenant, 10, "app:v1")
    tenant.complete("app:v1")
    tenant.await_phase(1, "Succeeded")
    ask(tenant, 10)
    for name in tenant.puppets:
        until(partial(is_there, tenant, name), f"{name} has run 2", within=20)
    sent = {name: len(applied(tenant, name)) for name in tenant.puppets}
    ask(tenant, 40)
    await_weight(tenant, 40)
    assert {name: len(applied(tenant, name)) for name in tenant.puppets} == {
        name: count + 1 for name, count in sent.items()
    }
    assert tenant.run(2)["externalWeight"] == 40
    # Another label asks for fewer pods: those wait for a run, a lower weight does not.
    before = rollout(tenant, "east")["spec"]
    path = MEMBERCLUSTERS.path(tenant.namespace, "east")
    assert tenant.world.plane.call("PATCH", path, {"metadata": {"labels": SMALL}})[0] == 200
    until(lambda: is_changed(tenant, "east"), "its inputs are others", within=20)
    ask(tenant, 20)
    await_weight(tenant, 20)
    assert rollout(tenant, "east")["spec"]["replicas"] == before["replicas"] > 1
    assert tenant.get(FLEETROLLOUTS, f"{NAME}-3") == {}
    tenant.complete("app:v2")
    tenant.await_phase(2, "Succeeded")
    until(lambda: rollout(tenant, "east")["spec"]["replicas"] == 1, "a run brings it", within=30)
    assert tenant.get(FLEETROLLOUTS, f"{NAME}-3")["spec"]["trigger"] == "ClusterInputsChanged"


def ask(tenant: Tenant, weight: int, image: str = "app:v2") -> None:
    """A live weight, for everybody at once; the steps go."""
    strategy = {"canary": {"externalWeight": weight, "steps": None}}
    tenant.deliver(image, overrides=[FEWER], maxConcurrency=3, strategy=strategy)


def await_weight(tenant: Tenant, weight: int) -> None:
    for name in tenant.puppets:
        until(
            partial(lambda name: weight_in(tenant, name) == weight, name),
            f"{name} has it",
            within=20,
        )


def weight_in(tenant: Tenant, name: str) -> Any:
    """What the member's Rollout is asked for."""
    return rollout(tenant, name)["spec"]["strategy"]["canary"].get("externalWeight")


def is_there(tenant: Tenant, name: str) -> bool:
    """Whether the hub has seen all of run 2 in that member."""
    return bool(tenant.cluster(name).get("appliedRun") == f"{NAME}-2")


def is_changed(tenant: Tenant, name: str) -> bool:
    """Whether the hub has told that other manifests wait for a run there."""
    told = tenant.cluster(name).get("conditions") or ()
    return any(one["type"] == "InputsChanged" and one["status"] == "True" for one in told)


def rollout(tenant: Tenant, name: str) -> Any:
    """The Rollout that the member has."""
    found = tenant.puppets[name].rollout(tenant.namespace, NAME)
    assert found is not None
    return found


def applied(tenant: Tenant, name: str) -> list[Any]:
    """What the hub has applied of Rollouts there."""
    return [one for one in tenant.writes(name) if one.resource.startswith(ROLLOUTS.plural)]
