"""A member whose objects are none: whatever it sends, it breaks nothing but the view of itself.

API servers check what they store, so this is a proxy, an aggregated server or somebody who tries.
Each part of each kind that is watched is, one after another, each thing that it should not be.
"""

import contextlib
import copy
from collections.abc import Iterator
from typing import Any

import pytest

from fleet.api.clusterrollout import ClusterRolloutStatus
from fleet.api.names import (
    APPLICATION_LABEL,
    APPLICATIONS,
    CLUSTER_LABEL,
    CLUSTERROLLOUTS,
    DEPLOYMENTS,
    ENGINE_LEASE,
    ENGINE_NAME,
    ENGINE_NAMESPACE,
    FLEETS,
    HUB_MANAGER,
    LEASES,
    NAMESPACE_LABEL,
    ROLLOUTS,
    SERVICES,
    VERSION,
    Resource,
)
from fleet.errors import FleetError, Unreachable
from fleet.hub.runtime import dispatching, membership, reconcile
from tests.hub import gen
from tests.hub.runtime.desk import TENANT, Desk

WRONG: tuple[Any, ...] = (None, "x", 7, ["x"], [{"a": 1}], {"a": []})
EAST = (TENANT, "checkout.east")

OWN = {"manager": HUB_MANAGER, "operation": "Apply", "fieldsV1": {"f:spec": {"f:hold": {}}}}
ROLLOUT = {
    "metadata": {
        "name": "checkout",
        "namespace": "checkout",
        "labels": {
            APPLICATION_LABEL: "checkout",
            CLUSTER_LABEL: "east",
            NAMESPACE_LABEL: TENANT,
        },
        "annotations": {},
        "managedFields": [OWN],
    },
    "spec": {"hold": {"reason": "x"}, "dispatch": {"hub": "hub-1", "sequence": 1}},
    "status": {
        "phase": "Failed",
        "fleetRevision": "rev1",
        "conditions": [{"type": "Degraded"}],
        "decisions": [{"sequence": 1, "reason": "AnalysisFailed"}],
    },
}
LEASE = {
    "metadata": {
        "name": ENGINE_LEASE,
        "namespace": ENGINE_NAMESPACE,
        "annotations": {VERSION: "1"},
    },
    "spec": {"holderIdentity": "engine", "renewTime": "now"},
}
DEPLOYMENT = {
    "metadata": {"name": ENGINE_NAME, "namespace": ENGINE_NAMESPACE, "labels": {}},
    "status": {"replicas": 1, "updatedReplicas": 1, "availableReplicas": 1},
}


def mistaken(value: Any, *path: Any) -> Iterator[Any]:
    """`value` with one of its parts replaced, each in turn; what names the object stays."""
    if path and path not in (("metadata",), ("metadata", "name"), ("metadata", "namespace")):
        yield from ((path, wrong) for wrong in WRONG)
    parts = list(enumerate(value)) if isinstance(value, list) else []
    for key, part in value.items() if isinstance(value, dict) else parts:
        yield from mistaken(part, *path, key)


def replaced(value: Any, path: tuple[Any, ...], wrong: Any) -> Any:
    result = copy.deepcopy(value)
    place = result
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = copy.deepcopy(wrong)
    return result


@pytest.fixture
async def desk() -> Desk:
    """`east` has been dispatched to; `west` is well."""
    made = Desk()
    for name in ("east", "west"):
        await membership.reconcile(made.hub, made.register(name))
        made.live(name)
    made.put(FLEETS, gen.fleet())
    made.put(APPLICATIONS, gen.application(maxConcurrency=2))
    await reconcile.application(made.hub, (TENANT, "checkout"))
    await reconcile.run(made.hub, (TENANT, "checkout-1"))
    await dispatching.dispatch(made.hub, EAST)
    return made


@pytest.mark.parametrize(
    ("resource", "good"),
    [
        pytest.param(ROLLOUTS, ROLLOUT, id="Rollouts"),
        pytest.param(LEASES, LEASE, id="the engine's Lease"),
        pytest.param(DEPLOYMENTS, DEPLOYMENT, id="the engine's Deployment"),
    ],
)
async def test_objects_that_are_none_break_nothing(
    desk: Desk, resource: Resource, good: dict[str, Any]
) -> None:
    handle = desk.link("east").handle
    assert handle is not None
    for number, (path, wrong) in enumerate(mistaken(good)):
        body = replaced(good, path, wrong)
        body["metadata"] |= {"uid": "u", "resourceVersion": str(10_000 + number)}
        handle.informers[resource].store.see(body)
        await membership.reconcile(desk.hub, (TENANT, "east"))
        if resource == ROLLOUTS:
            with contextlib.suppress(FleetError):  # which is told; nothing else is raised
                await dispatching.dispatch(desk.hub, EAST)
    await dispatching.dispatch(desk.hub, (TENANT, "checkout.west"))
    assert desk.member("west").peek(ROLLOUTS, "checkout", "checkout") is not None


async def test_a_service_that_is_none_is_no_service(desk: Desk) -> None:
    await dispatching.dispatch(desk.hub, (TENANT, "checkout.west"))
    desk.put(APPLICATIONS, gen.application("shop:v2", generation=2, maxConcurrency=2))
    meta = {"name": "checkout", "namespace": "checkout", "labels": ["x"]}
    desk.member("east").seed(SERVICES, {"metadata": meta})
    desk.hub.stores.items.end(desk.hub.stores.items[EAST].manifest())
    item = gen.item("east").model_copy(update={"status": ClusterRolloutStatus()})
    desk.put(CLUSTERROLLOUTS, item)
    with pytest.raises(Unreachable, match=r"Service checkout/checkout makes no sense: .*labels"):
        await dispatching.dispatch(desk.hub, EAST)
