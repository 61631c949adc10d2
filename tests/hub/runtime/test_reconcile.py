"""The whole way over fake API servers, and what errors become."""

import asyncio
import logging
import time
from typing import Any

import pytest

from fleet import aio
from fleet.api.fleetrollout import ClusterPhase
from fleet.api.names import (
    APPLICATIONS,
    CLUSTERROLLOUTS,
    FLEETROLLOUTS,
    FLEETS,
    REQUEST_ANNOTATION,
    ROLLOUTS,
    Key,
    Resource,
)
from fleet.errors import Conflict, FleetError, Forbidden, Invalid, NotFound, Throttled, Unreachable
from fleet.hub.runtime import dispatching, membership, reconcile
from fleet.hub.runtime.context import RUN_SECONDS, Context, Dispatches, Queues
from tests.hub import gen
from tests.hub.runtime.desk import TENANT, Desk, Keys
from tests.waiting import until

APP: Key = (TENANT, "checkout")
FIRST: Key = (TENANT, "checkout-1")
EAST: Key = (TENANT, "checkout.east")


@pytest.fixture
async def desk() -> Desk:
    made = Desk()
    for name in ("east", "west"):
        key = made.register(name, engine={"mode": "External"})
        await membership.reconcile(made.hub, key)
        made.live(name)
    made.put(FLEETS, gen.fleet())
    made.put(APPLICATIONS, gen.application())
    return made


def known(desk: Desk, resource: Resource, key: Key) -> str:
    """The version of what the hub knows under that key."""
    stores = (desk.hub.stores.items, *desk.hub.stores.watched)
    store = next(one for one in stores if one.resource == resource)
    version: str = store[key].metadata.resource_version
    return version


def status(desk: Desk, resource: Any, name: str) -> dict[str, Any]:
    found = desk.kube.peek(resource, name, TENANT)
    assert found is not None
    said: dict[str, Any] = found.get("status") or {}
    return said


async def test_an_application_becomes_a_run_and_a_run_a_rollout(desk: Desk) -> None:
    await reconcile.application(desk.hub, APP)
    assert status(desk, APPLICATIONS, "checkout")["run"] == "checkout-1"
    await reconcile.run(desk.hub, FIRST)
    assert status(desk, FLEETROLLOUTS, "checkout-1")["phase"] == "Progressing"
    assert desk.kube.peek(CLUSTERROLLOUTS, "checkout.west", TENANT) is None
    await dispatching.dispatch(desk.hub, EAST)
    assert desk.member("east").peek(ROLLOUTS, "checkout", "checkout") is not None
    assert desk.member("west").writes() == []
    assert desk.sent.events != []


async def test_a_run_that_was_given_up_hears_who_is_home(desk: Desk) -> None:
    run = gen.run(gen.wave("all", "east"), number=2).manifest()
    desk.put(FLEETROLLOUTS, {**run, "status": {"phase": "Aborted"}})
    queue = desk.queues.runs
    assert isinstance(queue, Keys)
    for phase in (ClusterPhase.PROGRESSING, ClusterPhase.SUCCEEDED):
        queue.added.clear()
        back = gen.item("east", phase, number=1).manifest()
        back["spec"]["want"]["undoes"] = "checkout-2"
        desk.put(CLUSTERROLLOUTS, back)
    assert queue.names() == {"checkout-2"}


async def test_what_is_settled_is_not_written_again(desk: Desk) -> None:
    for _ in range(2):
        await reconcile.application(desk.hub, APP)
        await reconcile.run(desk.hub, FIRST)
        await dispatching.dispatch(desk.hub, EAST)
    writes, told = len(desk.kube.writes()), len(desk.sent.events)
    for _ in range(3):
        await reconcile.application(desk.hub, APP)
        await reconcile.run(desk.hub, FIRST)
        await dispatching.dispatch(desk.hub, EAST)
        await reconcile.fleet(desk.hub, (TENANT, "production"))
    fleets = [call for call in desk.kube.writes()[writes:] if call.kind != "Fleet"]
    assert fleets == []
    assert len(desk.sent.events) == told


def deletion(desk: Desk) -> dict[str, Any]:
    """What the ClusterRollout in `east` says of its end."""
    found = desk.kube.peek(CLUSTERROLLOUTS, "checkout.east", TENANT)
    assert found is not None
    said: dict[str, Any] = found["spec"].get("deletion") or {}
    return said


async def test_clusters_know_what_an_application_said_a_moment_before_its_end(desk: Desk) -> None:
    desk.put(APPLICATIONS, gen.application(deletionTimeout="1h"))
    await reconcile.application(desk.hub, APP)
    await reconcile.run(desk.hub, FIRST)
    assert deletion(desk) == {"timeoutSeconds": 3_600}, "from the first"
    desk.put(APPLICATIONS, gen.application(deletionTimeout="2h"))
    await reconcile.application(desk.hub, APP)
    assert deletion(desk) == {"policy": "Delete", "timeoutSeconds": 7_200}
    desk.put(APPLICATIONS, gen.application(deletionPolicy="Orphan"))
    await desk.kube.delete(APPLICATIONS, "checkout", TENANT)
    desk.see(APPLICATIONS, "checkout")
    await reconcile.application(desk.hub, APP)
    assert deletion(desk) == {"policy": "Orphan", "timeoutSeconds": 86_400}
    writes = len(desk.kube.writes())
    await reconcile.application(desk.hub, APP)
    assert len(desk.kube.writes()) == writes, "it is said once"


async def test_who_left_the_fleet_is_deleted_as_it_was_seen(desk: Desk) -> None:
    await reconcile.application(desk.hub, APP)
    await reconcile.run(desk.hub, FIRST)
    desk.put(FLEETS, gen.fleet(members={"names": ["west"]}))
    await reconcile.application(desk.hub, APP)
    (call,) = [one for one in desk.kube.writes() if one.verb == "delete"]
    assert (call.kind, call.name) == ("ClusterRollout", "checkout.east")
    found = desk.kube.peek(CLUSTERROLLOUTS, "checkout.east", TENANT)
    assert found is not None
    assert "deletionTimestamp" in found["metadata"], "what is in the member goes first"


async def test_a_hook_is_asked_and_its_answer_starts_the_wave(desk: Desk) -> None:
    hook = {"hook": {"url": "https://gate.example.com/ok"}}
    waves = [{"name": "all", "remaining": True, "before": [hook]}]
    desk.put(APPLICATIONS, gen.application(waves=waves))
    await reconcile.application(desk.hub, APP)
    await reconcile.run(desk.hub, FIRST)
    assert status(desk, FLEETROLLOUTS, "checkout-1")["reason"] == "AwaitingHook"
    assert desk.kube.peek(CLUSTERROLLOUTS, "checkout.east", TENANT) is None
    await until(lambda: desk.hub.hooks.answers(FIRST))
    await reconcile.run(desk.hub, FIRST)
    assert desk.kube.peek(CLUSTERROLLOUTS, "checkout.east", TENANT) is not None
    assert [url for url, _ in desk.gate.asked] == ["https://gate.example.com/ok"]


async def test_a_request_counts_as_seen_to_when_everybody_has_been_asked(desk: Desk) -> None:
    """Whoever goes on after a crash knows whom it has yet to ask."""
    await reconcile.application(desk.hub, APP)
    await reconcile.run(desk.hub, FIRST)
    engine = {"awaits": "promote", "step": "1/2"}
    waiting = gen.item("east", ClusterPhase.PAUSED, engine=engine).manifest()
    waiting["metadata"] = desk.kube.peek(CLUSTERROLLOUTS, "checkout.east", TENANT)["metadata"]
    desk.put(CLUSTERROLLOUTS, waiting)
    run = desk.kube.peek(FLEETROLLOUTS, "checkout-1", TENANT)
    run["metadata"]["annotations"] = {REQUEST_ANNOTATION: "promote/7"}
    desk.put(FLEETROLLOUTS, run)
    desk.kube.failures.append(("patch", Conflict("somebody was faster")))
    with pytest.raises(Conflict):
        await reconcile.run(desk.hub, FIRST)
    assert "handled" not in status(desk, FLEETROLLOUTS, "checkout-1")
    await reconcile.run(desk.hub, FIRST)
    assert status(desk, FLEETROLLOUTS, "checkout-1")["handled"] == ["7"]
    found = desk.kube.peek(CLUSTERROLLOUTS, "checkout.east", TENANT)
    assert found["spec"]["request"]["id"] == "7"


async def test_an_event_is_told_only_with_its_status(desk: Desk) -> None:
    await reconcile.application(desk.hub, APP)
    desk.kube.failures.append(("replace", Conflict("somebody was faster")))
    with pytest.raises(Conflict):
        await reconcile.run(desk.hub, FIRST)
    assert desk.sent.events == []


async def test_an_event_is_told_where_somebody_could_not_be_held(desk: Desk) -> None:
    """The status remembers it, so that the next look has nothing to tell."""
    await reconcile.application(desk.hub, APP)
    await reconcile.run(desk.hub, FIRST)
    assert desk.kube.peek(CLUSTERROLLOUTS, "checkout.east", TENANT) is not None
    desk.put(APPLICATIONS, gen.application(paused=True))
    desk.kube.failures.append(("patch", Conflict("somebody was faster")))
    with pytest.raises(Conflict):
        await reconcile.run(desk.hub, FIRST)
    await reconcile.run(desk.hub, FIRST)
    assert status(desk, FLEETROLLOUTS, "checkout-1")["phase"] == "Paused"
    assert desk.sent.reasons().count("Paused") == 1


async def test_an_application_that_our_models_refuse_says_so(desk: Desk) -> None:
    desk.put(APPLICATIONS, {"metadata": {"name": "odd", "generation": 3}, "spec": {"workload": 1}})
    await reconcile.application(desk.hub, (TENANT, "odd"))
    said = status(desk, APPLICATIONS, "odd")
    assert said["phase"] == "Degraded"
    assert {item["reason"] for item in said["conditions"]} == {"InvalidSpec"}
    assert "spec.destination" in said["message"]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        pytest.param(Forbidden("runs are not for us"), "Forbidden", id="a right is lacking"),
        pytest.param(Invalid("spec.plan: too long"), "InvalidSpec", id="the run is not valid"),
    ],
)
async def test_a_run_that_the_api_server_refuses_is_told_to_its_author(
    desk: Desk, error: FleetError, reason: str
) -> None:
    desk.kube.failures.append(("create", error))
    with pytest.raises(type(error)):
        await reconcile.application(desk.hub, APP)
    said = status(desk, APPLICATIONS, "checkout")
    accepted = next(item for item in said["conditions"] if item["type"] == "Accepted")
    assert (accepted["status"], accepted["reason"]) == ("False", reason)
    assert said["message"] == f"checkout-1: {error}"
    await reconcile.application(desk.hub, APP)
    assert status(desk, APPLICATIONS, "checkout")["run"] == "checkout-1"


async def test_a_fleet_that_went_well_forgets_its_back_off(desk: Desk) -> None:
    await reconcile.fleet(desk.hub, (TENANT, "production"))
    assert desk.queues.fleets.forgotten == [(TENANT, "production")]


@pytest.mark.parametrize(
    ("members", "said"),
    [
        pytest.param(
            {"names": ["east", "west"]}, (2, 2, "True", "Accepted", ""), id="all are there"
        ),
        pytest.param(
            {"names": ["east", "north"]},
            (
                1,
                1,
                "False",
                "MemberNotFound",
                "north is named by fleet production, but there is no MemberCluster of that name",
            ),
            id="one is missing",
        ),
        pytest.param(
            {"clusterSelector": {"matchLabels": {"tier": "none"}}},
            (
                0,
                0,
                "False",
                "EmptyFleet",
                "no MemberCluster is named or selected: name one, or give one the labels of "
                "members.clusterSelector",
            ),
            id="nobody belongs to it",
        ),
    ],
)
async def test_fleets(desk: Desk, members: dict[str, Any], said: tuple[Any, ...]) -> None:
    desk.put(FLEETS, gen.fleet(members=members))
    await reconcile.fleet(desk.hub, (TENANT, "production"))
    found = status(desk, FLEETS, "production")
    ready = next(item for item in found["conditions"] if item["type"] == "Ready")
    assert said == (
        found.get("members", 0),
        found.get("reachable", 0),
        ready["status"],
        ready["reason"],
        ready.get("message", ""),
    )


@pytest.mark.parametrize(
    ("error", "level", "later"),
    [
        pytest.param(Conflict("behind"), logging.DEBUG, {}, id="a conflict looks again"),
        pytest.param(NotFound("gone"), logging.DEBUG, {}, id="so does what is gone"),
        pytest.param(Unreachable("down"), logging.INFO, {}, id="an outage backs off"),
        pytest.param(
            Throttled("slowly", retry_after=7.0),
            logging.INFO,
            {EAST: 7.0},
            id="a server that says when is heard",
        ),
        pytest.param(Forbidden("403"), logging.ERROR, {}, id="a lacking right is loud"),
    ],
)
async def test_errors_become_waiting(
    desk: Desk,
    error: FleetError,
    level: int,
    later: dict[Key, float],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, logger="fleet.hub")
    queue = Keys()

    async def fail(hub: Context, key: Key) -> None:
        raise error

    guarded = reconcile._guarded(desk.hub, CLUSTERROLLOUTS, fail, queue)  # type: ignore[arg-type]
    await guarded(EAST)
    assert queue.retried == [EAST]
    assert queue.later == later
    assert [record.levelno for record in caplog.records] == [level]
    text = desk.hub.metrics.exposition().decode()
    assert 'fleet_reconciliations_total{kind="ClusterRollout",result="error"} 1.0' in text


async def test_a_storm_of_reports_makes_few_statuses_of_a_run() -> None:
    """At most one each tenth of a second, the first at once."""
    runs, handled = Queues().runs, 0
    began = time.monotonic()

    async def handle(_: Key) -> None:
        nonlocal handled
        handled += 1

    task = asyncio.create_task(runs.run(handle))
    for _ in range(1_000):
        runs.add(FIRST)
        await asyncio.sleep(0)
    await until(lambda: handled >= 2)
    await aio.cancel(task)
    assert handled <= 2 + (time.monotonic() - began) / RUN_SECONDS


async def test_a_dead_member_delays_nobody_else() -> None:
    dispatches = Dispatches()
    handled: list[Key] = []

    async def handle(key: Key) -> None:
        if key[1].endswith(".dead"):
            await asyncio.get_running_loop().create_future()
        handled.append(key)

    task = asyncio.create_task(dispatches.run(handle))
    for number in range(20):
        dispatches.add((TENANT, f"app-{number}.dead"))
    dispatches.add((TENANT, "app.alive"))
    await until(lambda: handled)
    assert handled == [(TENANT, "app.alive")]
    await dispatches.close((TENANT, "dead"))
    await aio.cancel(task)


async def test_what_comes_again_comes_in_its_members_queue() -> None:
    dispatches, other = Dispatches(), (TENANT, "app.west")
    assert dispatches.retry(EAST) > 0
    dispatches.add_after(other, 60.0)
    waiting = [list(dispatches.queue(key)._timers) for key in (EAST, other)]
    assert waiting == [[EAST], [other]]
    for key in (EAST, other):
        dispatches.queue(key)._timers[key].handle.cancel()


@pytest.mark.parametrize(
    ("resource", "key", "handle"),
    [
        pytest.param(APPLICATIONS, APP, reconcile.application, id="an Application"),
        pytest.param(FLEETS, (TENANT, "production"), reconcile.fleet, id="a Fleet"),
        pytest.param(FLEETROLLOUTS, FIRST, reconcile.run, id="a run"),
        pytest.param(CLUSTERROLLOUTS, EAST, dispatching.dispatch, id="a ClusterRollout"),
    ],
)
async def test_a_restored_api_server_is_believed_after_one_conflict(
    desk: Desk, resource: Resource, key: Key, handle: reconcile.Handle
) -> None:
    """What is remembered has versions that the server never had: every write is refused."""
    await reconcile.application(desk.hub, APP)
    await reconcile.run(desk.hub, FIRST)
    await dispatching.dispatch(desk.hub, EAST)
    found = desk.kube.peek(resource, key[1], TENANT)
    assert found is not None
    real = found["metadata"]["resourceVersion"]
    found["metadata"]["resourceVersion"] = "900000"
    found["status"] = {}
    stores = (desk.hub.stores.items, *desk.hub.stores.watched)
    next(store for store in stores if store.resource == resource).see(found)
    queue = Keys()
    await reconcile._guarded(desk.hub, resource, handle, queue)(key)  # type: ignore[arg-type]
    assert queue.retried == [key]
    assert known(desk, resource, key) == real
    await reconcile._guarded(desk.hub, resource, handle, queue)(key)  # type: ignore[arg-type]
    assert queue.retried == [key], "the second try goes well"
