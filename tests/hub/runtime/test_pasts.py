"""A view that is behind: each kind is watched apart, and a new process may be shown a past."""

from typing import Any

import pytest

from fleet.api.names import APPLICATIONS, CLUSTERROLLOUTS, FLEETROLLOUTS, FLEETS, Key, Resource
from fleet.errors import Conflict
from fleet.hub.runtime import membership, reconcile
from tests.hub import gen
from tests.hub.runtime.desk import TENANT, Desk

APP: Key = (TENANT, "checkout")
FIRST: Key = (TENANT, "checkout-1")
EAST: Key = (TENANT, "checkout.east")


@pytest.fixture
async def desk() -> Desk:
    made = Desk()
    key = made.register("east", engine={"mode": "External"})
    await membership.reconcile(made.hub, key)
    made.live("east")
    made.put(FLEETS, gen.fleet())
    made.put(APPLICATIONS, gen.application())
    return made


def manifest(desk: Desk, kind: Resource, name: str) -> dict[str, Any]:
    found = desk.kube.peek(kind, name, TENANT)
    assert found is not None
    return found


async def deliver(desk: Desk, number: int) -> None:
    """That version of the Application, and its run."""
    told = manifest(desk, APPLICATIONS, "checkout")["status"]
    later = gen.application(f"shop:v{number}", generation=number).manifest()
    desk.put(APPLICATIONS, later | {"status": told})
    await reconcile.application(desk.hub, APP)


def succeed(desk: Desk, name: str) -> None:
    """The run has come to its end."""
    run = manifest(desk, FLEETROLLOUTS, name)
    desk.put(FLEETROLLOUTS, run | {"status": run["status"] | {"phase": "Succeeded"}})


async def test_a_run_that_our_view_lacks_is_not_made_again(desk: Desk) -> None:
    """Applications and runs are watched apart: one view may be behind the other."""
    await reconcile.application(desk.hub, APP)
    runs = desk.hub.stores.runs
    runs.correct(FIRST, None, runs.moment)
    assert FIRST not in runs
    await reconcile.application(desk.hub, APP)
    assert FIRST in runs
    assert desk.kube.peek(FLEETROLLOUTS, "checkout-2", TENANT) is None


APPS, RUNS = {APPLICATIONS: ["checkout"]}, {FLEETROLLOUTS: ["checkout-1"]}


@pytest.mark.parametrize(
    "past",
    [
        pytest.param(APPS, id="it alone is old"),
        pytest.param(RUNS, id="its runs alone are old"),
        pytest.param(APPS | RUNS, id="both are old, and the run between is deleted"),
    ],
)
async def test_an_application_in_an_old_view_takes_nothing_back(
    desk: Desk, past: dict[Resource, list[str]]
) -> None:
    """Its wish of the third version has reached a cluster; the view shows the first again."""
    await reconcile.application(desk.hub, APP)
    await reconcile.run(desk.hub, FIRST)
    succeed(desk, "checkout-1")
    seen = {kind: [manifest(desk, kind, name) for name in past[kind]] for kind in past}
    for number in (2, 3):
        await deliver(desk, number)
    for name in ("checkout-2", "checkout-3"):
        await reconcile.run(desk.hub, (TENANT, name))
    assert desk.hub.stores.items[EAST].spec.want.run == "checkout-3"  # type: ignore[union-attr]
    await desk.kube.delete(FLEETROLLOUTS, "checkout-2", TENANT)
    desk.see(FLEETROLLOUTS, "checkout-2")
    for store in desk.hub.stores.watched:
        if store.resource in seen:
            store.replace(seen[store.resource], store.moment)
    writes = len(desk.kube.writes())
    await reconcile.application(desk.hub, APP)
    made = {(call.verb, call.kind) for call in desk.kube.writes()[writes:]}
    assert made <= {("replace", "Application")}, "no run, no end of one"
    assert desk.hub.stores.applications[APP].metadata.generation == 3
    assert manifest(desk, APPLICATIONS, "checkout")["status"]["run"] == "checkout-3"


async def test_clusters_in_an_old_view_do_not_join_once_more(desk: Desk) -> None:
    """They wait for the first version there; in truth the second run has been everywhere."""
    await reconcile.application(desk.hub, APP)
    await reconcile.run(desk.hub, FIRST)
    past = manifest(desk, CLUSTERROLLOUTS, "checkout.east")
    await deliver(desk, 2)
    for name in ("checkout-1", "checkout-2"):
        await reconcile.run(desk.hub, (TENANT, name))
    succeed(desk, "checkout-2")
    items = desk.hub.stores.items
    items.replace([past], items.moment)
    with pytest.raises(Conflict, match="not what they were"):
        await reconcile.application(desk.hub, APP)
    assert items[EAST].spec.want.run == "checkout-2"  # type: ignore[union-attr]
    await reconcile.application(desk.hub, APP)
    assert desk.kube.peek(FLEETROLLOUTS, "checkout-3", TENANT) is None
