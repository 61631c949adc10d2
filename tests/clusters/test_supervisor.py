"""Engaging and leaving clusters: a lifetime each, and none touches another."""

import contextlib
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from fleet.api.names import ROLLOUTS, ClusterName
from fleet.clusters import supervisor
from fleet.clusters.client import Client
from fleet.clusters.config import ClientConfig
from fleet.clusters.store import Change
from fleet.clusters.supervisor import Supervisor
from fleet.clusters.transport import Session
from fleet.clusters.watch import Informer
from fleet.errors import UnexpectedState
from tests.clusters import server as servers
from tests.clusters.server import Server, rollout, status
from tests.waiting import until

EU, US = ClusterName("eu-7"), ClusterName("us-1")


@dataclass
class Fleet:
    """A supervisor with two servers, and what its informers told."""

    supervisor: Supervisor
    eu: Server
    us: Server
    told: list[tuple[ClusterName, str, str]] = field(default_factory=list)
    faults: int = 0

    def heard(self, name: ClusterName, change: Change[str]) -> None:
        self.told.append((name, change.type, change.key[1]))
        if self.faults:
            self.faults -= 1
            raise UnexpectedState("a bug in a consumer")


@pytest.fixture
async def fleet(server: Server, session: Session) -> AsyncIterator[Fleet]:

    def connect(name: ClusterName, config: ClientConfig) -> Client:
        return Client(name, config, session)

    def equip(name: ClusterName, client: Client) -> list[Informer[Any]]:
        def on(change: Change[str]) -> None:
            made.heard(name, change)

        return [Informer(client, ROLLOUTS, decode=lambda m: m["metadata"]["uid"], on=on)]

    async with servers.running() as other:
        for one in (server, other):
            one.objects = [rollout("a", 5)]
        supervisor = Supervisor(connect=connect, equip=equip)
        made = Fleet(supervisor=supervisor, eu=server, us=other)
        async with supervisor:
            yield made


async def test_an_engaged_cluster_is_watched(fleet: Fleet) -> None:
    handle = await fleet.supervisor.engage(EU, fleet.eu.config())
    before = handle.age(ROLLOUTS)
    await until(lambda: fleet.eu.watches)
    assert (before, handle.age(ROLLOUTS) < 5) == (float("inf"), True)
    assert (fleet.supervisor.handles, fleet.told) == ({EU: handle}, [(EU, "ADDED", "a")])


async def test_a_cluster_is_watched_over_the_connection_by_which_it_was_met(fleet: Fleet) -> None:
    handle = await fleet.supervisor.engage(EU, fleet.eu.config(), is_met=False)
    await handle.client.list(ROLLOUTS)
    assert len(fleet.eu.requests) == 1, "nobody asks beside that"
    handle.met.set()
    await until(lambda: fleet.eu.watches)
    ways = {
        request.transport and request.transport.get_extra_info("peername")
        for request in fleet.eu.requests
    }
    assert len(ways) == 1


async def test_a_cluster_that_does_not_answer_is_watched_all_the_same(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "MEETING_SECONDS", 0.05)
    await fleet.supervisor.engage(EU, fleet.eu.config(), is_met=False)
    await until(lambda: fleet.eu.watches)


async def test_the_same_connection_again_changes_nothing(fleet: Fleet) -> None:
    first = await fleet.supervisor.engage(EU, fleet.eu.config())
    await until(lambda: fleet.eu.watches)
    again = await fleet.supervisor.engage(EU, fleet.eu.config())
    assert (again is first, len(fleet.eu.requests)) == (True, 2)


async def test_new_credentials_keep_what_is_known(fleet: Fleet) -> None:
    first = await fleet.supervisor.engage(EU, fleet.eu.config())
    await until(lambda: fleet.eu.watches)
    again = await fleet.supervisor.engage(EU, replace(fleet.eu.config(), token="the-next-one"))
    await until(lambda: len(fleet.eu.requests) == 4)
    last = fleet.eu.requests[-1]
    assert (again is first, last.query.get("watch"), last.headers["Authorization"]) == (
        True,
        "true",
        "Bearer the-next-one",
    )
    assert fleet.told == [(EU, "ADDED", "a")]


async def test_another_server_is_another_cluster(fleet: Fleet) -> None:
    first = await fleet.supervisor.engage(EU, fleet.eu.config())
    await until(lambda: fleet.eu.watches)
    again = await fleet.supervisor.engage(EU, fleet.us.config())
    await until(lambda: fleet.us.watches)
    assert (again is first, fleet.told) == (False, [(EU, "ADDED", "a"), (EU, "ADDED", "a")])


async def test_a_cluster_that_was_left_is_forgotten_and_not_watched(fleet: Fleet) -> None:
    await fleet.supervisor.engage(EU, fleet.eu.config())
    await until(lambda: fleet.eu.watches)
    await fleet.supervisor.disengage(EU)
    await fleet.supervisor.disengage(EU)
    fleet.eu.push("ADDED", rollout("late", 20))
    assert (fleet.supervisor.handles, fleet.told) == ({}, [(EU, "ADDED", "a")])


async def test_a_cluster_that_cannot_start_is_not_half_registered(fleet: Fleet) -> None:
    def broken(name: ClusterName, config: ClientConfig) -> Client:
        raise UnexpectedState(f"no client for {name}")

    supervisor = Supervisor(connect=broken, equip=lambda *_: [])
    with pytest.raises(UnexpectedState):
        await supervisor.engage(EU, fleet.eu.config())
    assert supervisor.handles == {}


async def test_a_dead_cluster_costs_the_others_nothing(fleet: Fleet) -> None:
    fleet.eu.answer(*(status(503) for _ in range(50)))
    await fleet.supervisor.engage(EU, fleet.eu.config())
    await fleet.supervisor.engage(US, fleet.us.config())
    await until(lambda: fleet.us.watches)
    assert fleet.told == [(US, "ADDED", "a")]


async def test_a_bug_in_one_cluster_restarts_that_one_alone(
    fleet: Fleet, caplog: pytest.LogCaptureFixture
) -> None:
    await fleet.supervisor.engage(US, fleet.us.config())
    await until(lambda: fleet.us.watches)
    fleet.faults = 1
    with caplog.at_level(logging.ERROR):
        await fleet.supervisor.engage(EU, fleet.eu.config())
        await until(lambda: fleet.eu.watches)
    assert ("a bug in a consumer" in caplog.text, len(fleet.us.requests)) == (True, 2)


async def test_leaving_the_supervisor_leaves_all(fleet: Fleet) -> None:
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(fleet.supervisor)
        await fleet.supervisor.engage(EU, fleet.eu.config())
        await fleet.supervisor.engage(US, fleet.us.config())
    assert fleet.supervisor.handles == {}
