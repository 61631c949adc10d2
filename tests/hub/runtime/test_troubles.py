"""One of several members, or something that they share, is missing or ill: the others are served,
and what is mended heals by itself."""

from typing import Any

import pytest

from fleet.api.names import (
    APPLICATIONS,
    CLUSTERROLLOUTS,
    FLEETROLLOUTS,
    FLEETS,
    MEMBERCLUSTERS,
    ROLLOUTS,
    Key,
)
from fleet.errors import FleetError, Forbidden, Unreachable
from fleet.hub.runtime import dispatching, membership, reconcile, triggers
from fleet.hub.runtime.links import Problem
from tests.hub import gen
from tests.hub.runtime.desk import TENANT, Desk, Keys

APP: Key = (TENANT, "checkout")


@pytest.fixture
async def desk() -> Desk:
    made = Desk()
    for name in ("m1", "m2"):
        await join(made, name)
    return made


async def join(desk: Desk, name: str) -> None:
    key = desk.register(name, engine={"mode": "External"})
    await membership.reconcile(desk.hub, key)
    desk.live(name)


def share(desk: Desk, *names: str) -> None:
    """The fleet with these members by name, and an Application that lets all go at once."""
    desk.put(FLEETS, gen.fleet(members={"names": list(names)}))
    desk.put(APPLICATIONS, gen.application(maxConcurrency=len(names)))


def said(desk: Desk, resource: Any, name: str) -> dict[str, Any]:
    found = desk.kube.peek(resource, name, TENANT)
    assert found is not None, name
    status: dict[str, Any] = found.get("status") or {}
    return status


def reason(desk: Desk, resource: Any, name: str, kind: str) -> tuple[str, str]:
    conditions = said(desk, resource, name)["conditions"]
    found = next(item for item in conditions if item["type"] == kind)
    return found["status"], found["reason"]


async def deliver(desk: Desk, run: int = 1) -> None:
    """The Application and its run are looked at once, and every dispatch that follows."""
    await reconcile.application(desk.hub, APP)
    await reconcile.run(desk.hub, (TENANT, f"checkout-{run}"))
    for key in list(desk.hub.stores.items):
        await dispatching.dispatch(desk.hub, key)


def has(desk: Desk, name: str) -> bool:
    return desk.member(name).peek(ROLLOUTS, "checkout", "checkout") is not None


def complete(desk: Desk, name: str) -> None:
    found = desk.member(name).peek(ROLLOUTS, "checkout", "checkout")
    assert found is not None
    found["status"] = {
        "phase": "Completed",
        "observedGeneration": found["metadata"]["generation"],
        "fleetRevision": found["spec"]["fleetRevision"],
    }
    handle = desk.link(name).handle
    assert handle is not None
    handle.informers[ROLLOUTS].store.see(desk.member(name).seed(ROLLOUTS, found))


async def test_one_that_does_not_exist_is_named_and_joins_when_it_is_made(desk: Desk) -> None:
    """[KH-03] The others are served meanwhile."""
    share(desk, "m1", "m2", "m3")
    await reconcile.fleet(desk.hub, (TENANT, "production"))
    assert reason(desk, FLEETS, "production", "Ready") == ("False", "MemberNotFound")
    assert said(desk, FLEETS, "production")["missing"] == 1
    await deliver(desk)
    assert (has(desk, "m1"), has(desk, "m2")) == (True, True)
    for name in ("m1", "m2"):
        complete(desk, name)
    await deliver(desk)
    await reconcile.run(desk.hub, (TENANT, "checkout-1"))
    assert said(desk, FLEETROLLOUTS, "checkout-1")["phase"] == "Succeeded"
    await join(desk, "m3")
    await reconcile.fleet(desk.hub, (TENANT, "production"))
    assert said(desk, FLEETS, "production")["phase"] == "Ready"
    await deliver(desk, run=2)
    assert has(desk, "m3")


async def test_a_secret_without_the_key_concerns_its_member_alone(desk: Desk) -> None:
    """[KH-06] The condition names the key and those that there are; the other one is served."""
    share(desk, "m1", "m2")
    body = desk.kube.peek(MEMBERCLUSTERS, "m2", TENANT)
    assert body is not None
    body["spec"]["kubeconfig"]["secretRef"]["key"] = "value"
    desk.put(MEMBERCLUSTERS, body)
    desk.secret("m2", "")
    await membership.reconcile(desk.hub, (TENANT, "m2"))
    assert reason(desk, MEMBERCLUSTERS, "m2", "Reachable") == ("False", "KubeconfigKeyMissing")
    assert said(desk, MEMBERCLUSTERS, "m2")["message"] == (
        "Secret shop/m2 has no text under the key 'value'; its keys: kubeconfig"
    )
    await deliver(desk)
    assert (has(desk, "m1"), has(desk, "m2")) == (True, False)


async def test_an_api_server_that_stops_answering_degrades_its_fleet(desk: Desk) -> None:
    """[KH-07] Of two that were well, one is silent: seen within a probe period, and told."""
    share(desk, "m1", "m2")
    await reconcile.fleet(desk.hub, (TENANT, "production"))
    assert said(desk, FLEETS, "production")["phase"] == "Ready"
    fleets = desk.queues.fleets
    assert isinstance(fleets, Keys)
    fleets.added.clear()
    desk.clock.advance(6)
    problem = Problem(error=Unreachable("connection refused"), at=desk.clock.monotonic())
    desk.link("m1").signs.problems[ROLLOUTS] = problem
    triggers.poke(desk.hub, desk.link("m1"))
    assert set(fleets.added) == {(TENANT, "production")}
    await reconcile.fleet(desk.hub, (TENANT, "production"))
    found = said(desk, FLEETS, "production")
    assert (found["phase"], found["message"]) == ("Degraded", "m1: connection refused")
    assert (found["members"], found["reachable"]) == (2, 1)


async def test_a_fleet_that_is_missing_is_named_and_waited_for(desk: Desk) -> None:
    """[KH-32] There is no run and no ClusterRollout until somebody makes it."""
    desk.put(APPLICATIONS, gen.application())
    await reconcile.application(desk.hub, APP)
    assert reason(desk, APPLICATIONS, "checkout", "Accepted") == ("False", "FleetNotFound")
    assert (dict(desk.hub.stores.runs), dict(desk.hub.stores.items)) == ({}, {})
    applications = desk.queues.applications
    assert isinstance(applications, Keys)
    applications.added.clear()
    desk.put(FLEETS, gen.fleet())
    assert APP in applications.added, "nobody has to ask again after a while"
    await deliver(desk)
    assert reason(desk, APPLICATIONS, "checkout", "Accepted") == ("True", "Accepted")
    assert has(desk, "m1")


async def test_one_that_cannot_be_reached_delays_nobody(desk: Desk) -> None:
    """[KH-33] The other one is brought up to date and reported within one pass."""
    share(desk, "m1", "m2")
    await deliver(desk)
    complete(desk, "m1")
    desk.clock.advance(91)
    desk.live("m1")
    body = desk.kube.peek(MEMBERCLUSTERS, "m2", TENANT)
    assert body is not None
    desk.secret("m2", "no kubeconfig")
    await membership.reconcile(desk.hub, (TENANT, "m2"))
    await deliver(desk)
    assert said(desk, CLUSTERROLLOUTS, "checkout.m1")["phase"] == "Succeeded"
    assert said(desk, CLUSTERROLLOUTS, "checkout.m2")["phase"] == "Unreachable"
    await reconcile.run(desk.hub, (TENANT, "checkout-1"))
    counts = said(desk, FLEETROLLOUTS, "checkout-1")["counts"]
    assert (counts["updated"], counts["unreachable"]) == (1, 1)


async def test_a_rollout_that_is_missing_in_one_hinders_no_report(desk: Desk) -> None:
    """[KH-76] The other one is reported; the lost one is brought again, and an Event says so."""
    share(desk, "m1", "m2")
    await deliver(desk)
    complete(desk, "m2")
    await deliver(desk)
    await desk.member("m2").delete(ROLLOUTS, "checkout", "checkout")
    handle = desk.link("m2").handle
    assert handle is not None
    store = handle.informers[ROLLOUTS].store
    store.replace([], store.moment)
    complete(desk, "m1")
    await deliver(desk)
    assert said(desk, CLUSTERROLLOUTS, "checkout.m1")["phase"] == "Succeeded"
    assert said(desk, CLUSTERROLLOUTS, "checkout.m2")["phase"] == "Applying"
    assert has(desk, "m2")
    (told,) = [event for event in desk.sent.events if event.reason == "Redispatched"]
    assert told.message == "the Rollout of dispatch 1 is gone from m2: dispatched again"


WEBHOOK = 'PATCH: 500 failed calling webhook "policy"'


@pytest.mark.parametrize(
    ("verb", "error", "reason", "message"),
    [
        pytest.param("get", Forbidden("GET: 403"), "Forbidden",
                     "the hub lacks a right there: GET: 403",
                     id="what may not be read, be it for a moment"),
        pytest.param("apply", Unreachable(WEBHOOK), "WriteRefused",
                     f"an admission webhook there does not answer; it is tried again: {WEBHOOK}",
                     id="what waits for a webhook"),
    ],
)  # fmt: skip
async def test_one_that_answers_and_cannot_go_on_says_why(
    desk: Desk, verb: str, error: FleetError, reason: str, message: str
) -> None:
    share(desk, "m1", "m2")
    desk.member("m2").failures.append((verb, error))
    with pytest.raises(type(error)):
        await deliver(desk)
    told = said(desk, CLUSTERROLLOUTS, "checkout.m2")
    assert (told["phase"], told["reason"], told["message"]) == ("Applying", reason, message)
    assert (has(desk, "m1"), has(desk, "m2")) == (True, False)
    await deliver(desk)
    assert has(desk, "m2")
    assert said(desk, CLUSTERROLLOUTS, "checkout.m2")["reason"] == "Applying"
