"""Leader election: the pure decision as a table, then candidates over one API server.

Aspects: who may take a Lease and when, by what was seen to change; what a record holds; deadlines
when the API server is lost; a clean hand-over; that two never lead at once. Real servers: `e2e/`.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from fleet.api.names import LEASES, PROCESS_ANNOTATION
from fleet.clusters import lease
from fleet.clusters.lease import Alone, Elector, Move, Seen, decide, look, record
from fleet.errors import Unreachable
from tests.fakes import FakeClock, FakeKube
from tests.waiting import until

ME, OTHER = "engine-1", "engine-2"
AT = 1_000.0


def held(by: str | None, **spec: Any) -> dict[str, Any]:
    whole = {
        "holderIdentity": by,
        "leaseDurationSeconds": 15,
        "renewTime": "2026-11-20T12:00:00.000000Z",
        "leaseTransitions": 3,
        **spec,
    }
    meta = {"name": "leader", "namespace": "kulta-system", "resourceVersion": "7"}
    return {"metadata": meta, "spec": whole}


@pytest.mark.parametrize(
    ("found", "seconds", "move"),
    [
        pytest.param(None, 0.0, Move.CREATE, id="no Lease is created"),
        pytest.param(held(ME), 0.0, Move.RENEW, id="our own is renewed"),
        pytest.param(held(ME), 99.0, Move.RENEW, id="however old it is"),
        pytest.param(held(OTHER), 5.0, Move.FOLLOW,
                     id="[L8] a record seen to change 5 s ago has not expired"),
        pytest.param(held(OTHER), 15.0, Move.FOLLOW, id="[L9] nor exactly 15 s ago"),
        pytest.param(held(OTHER), 16.0, Move.TAKE, id="[L9] 16 s ago it has"),
        pytest.param(held(OTHER), 20.0, Move.TAKE, id="[L9] and 20 s ago"),
        pytest.param(held(OTHER, renewTime="1999-01-01T00:00:00Z"), 5.0, Move.FOLLOW,
                     id="a holder's clock that is wrong does not matter"),
        pytest.param(held(OTHER, leaseDurationSeconds=60), 59.0, Move.FOLLOW,
                     id="the holder's own duration counts"),
        pytest.param(held(OTHER, renewTime=None), 0.0, Move.TAKE,
                     id="[L10] a record without renewTime binds nobody"),
        pytest.param(held(OTHER, leaseDurationSeconds=None), 0.0, Move.TAKE,
                     id="[L10] nor one without a duration"),
        pytest.param(held(OTHER, renewTime=None, leaseDurationSeconds=None), 0.0, Move.TAKE,
                     id="[L10] nor one without both"),
        pytest.param(held(""), 0.0, Move.TAKE, id="a released Lease is free"),
        pytest.param(held(None), 0.0, Move.TAKE, id="a Lease without a holder is free"),
        pytest.param({"metadata": {}, "spec": None}, 0.0, Move.TAKE, id="so is an empty one"),
    ],
)  # fmt: skip
def test_who_may_take_a_lease(found: dict[str, Any] | None, seconds: float, move: Move) -> None:
    assert decide(found, ME, Seen(("7", OTHER), AT), AT + seconds) is move


def marked(by: str, process: str) -> dict[str, Any]:
    found = held(by)
    found["metadata"]["annotations"] = {PROCESS_ANNOTATION: process}
    return found


@pytest.mark.parametrize(
    ("found", "process", "move"),
    [
        pytest.param(marked(ME, "a"), "a", Move.RENEW, id="this very process holds it"),
        pytest.param(marked(ME, "b"), "a", Move.FOLLOW, id="another process of this host"),
        pytest.param(held(ME), "a", Move.FOLLOW, id="a process of this host without a mark"),
        pytest.param(marked(ME, "b"), "", Move.RENEW, id="a pod's name is its own"),
        pytest.param(marked(OTHER, "a"), "a", Move.FOLLOW, id="another name"),
    ],
)  # fmt: skip
def test_processes_of_one_name(found: dict[str, Any], process: str, move: Move) -> None:
    assert decide(found, ME, Seen(("7", ME), AT), AT + 5, process=process) is move


def test_only_a_change_of_the_record_renews_what_was_seen() -> None:
    first = look(held(OTHER), Seen(), AT)
    again = look(held(OTHER), first, AT + 9)
    changed = held(OTHER)
    changed["metadata"]["resourceVersion"] = "8"
    assert (first.at, again.at, look(changed, again, AT + 9).at) == (AT, AT, AT + 9)


NOW = datetime(2026, 11, 20, 12, 0, 5, 250_000, tzinfo=UTC)
STAMP = "2026-11-20T12:00:05.250000Z"


@pytest.mark.parametrize(
    ("found", "transitions", "acquired"),
    [
        pytest.param(None, 0, STAMP, id="the first record has no transitions"),
        pytest.param(held(ME, acquireTime="then"), 3, "then", id="a renewal keeps them"),
        pytest.param(held(OTHER, acquireTime="then"), 4, STAMP, id="another holder adds one"),
        pytest.param(held("", leaseTransitions=None), 1, STAMP, id="a free one counts from none"),
    ],
)
def test_what_a_record_says(found: dict[str, Any] | None, transitions: int, acquired: str) -> None:
    assert record(found, ME, NOW, 15.0) == {
        "holderIdentity": ME,
        "leaseDurationSeconds": 15,
        "acquireTime": acquired,
        "renewTime": STAMP,
        "leaseTransitions": transitions,
    }


# --- candidates ---------------------------------------------------------------------------------


class Candidate:
    """An elector whose work notes when it runs and when it ended."""

    def __init__(
        self, kube: FakeKube, clock: FakeClock, identity: str, process: str = "", **notes: str
    ) -> None:
        self.elector: Elector | Alone = Elector(
            kube,
            clock,
            lease.LeaseName(namespace="kulta-system", name="leader"),
            lease.Candidate(identity=identity, process=process, annotations=notes),
            period=0.01,
        )
        self.is_working, self.is_done, self.wind_down = False, False, 0.0

    async def work(self) -> None:
        self.is_working = True
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(self.wind_down)
            self.is_working, self.is_done = False, True

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["asyncio.Task[None]"]:
        task = asyncio.create_task(self.elector.run(self.work))
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def kube(clock: FakeClock) -> FakeKube:
    return FakeKube(clock=clock)


def holder(kube: FakeKube) -> str:
    found = kube.peek(LEASES, "leader", "kulta-system")
    assert found is not None
    return str(found["spec"]["holderIdentity"])


async def test_the_first_candidate_leads_and_the_second_follows(
    kube: FakeKube, clock: FakeClock
) -> None:
    one, two = Candidate(kube, clock, "one"), Candidate(kube, clock, "two")
    async with one.running():
        await until(lambda: one.is_working)
        async with two.running():
            before = len(kube.calls)
            await until(lambda: len(kube.calls) > before + 6)
            assert (one.elector.is_leader, two.elector.is_leader, two.is_working) == (
                True,
                False,
                False,
            )


async def test_two_processes_of_one_host_do_not_share_a_lease(
    kube: FakeKube, clock: FakeClock
) -> None:
    one, two = Candidate(kube, clock, "host", "a"), Candidate(kube, clock, "host", "b")
    async with one.running() as task, two.running():
        await until(lambda: one.is_working or two.is_working)
        before = len(kube.calls)
        await until(lambda: len(kube.calls) > before + 6)
        assert one.is_working is not two.is_working
        assert holder(kube) == "host"
        if one.is_working:
            task.cancel()
            await until(lambda: two.is_working)


async def test_the_holder_writes_its_notes_and_keeps_those_of_others(
    kube: FakeKube, clock: FakeClock
) -> None:
    found = marked("", "former")
    found["metadata"]["annotations"] |= {"seen": "yes", "version": "0.9"}
    kube.seed(LEASES, found)
    one = Candidate(kube, clock, "one", version="1.0")
    async with one.running():
        await until(lambda: one.is_working)
        written = kube.peek(LEASES, "leader", "kulta-system")
    assert written is not None
    assert written["metadata"]["annotations"] == {"seen": "yes", "version": "1.0"}


async def test_a_renewal_is_one_request(kube: FakeKube, clock: FakeClock) -> None:
    one = Candidate(kube, clock, "one")
    async with one.running():
        await until(lambda: len(kube.calls) > 6)
    assert [call.verb for call in kube.calls[:6]] == ["get", "create"] + ["replace"] * 4


async def test_stopped_cleanly_the_leader_finishes_and_the_next_leads_at_once(
    kube: FakeKube, clock: FakeClock
) -> None:
    """The clock stands still, so nothing here waits for an expiry."""
    one, two = Candidate(kube, clock, "one"), Candidate(kube, clock, "two")
    one.wind_down = 0.05
    async with one.running() as task:
        await until(lambda: one.is_working)
        async with two.running():
            task.cancel()
            await until(lambda: two.is_working)
            assert (one.is_done, holder(kube)) == (True, "two")


async def test_while_the_work_winds_down_the_lease_is_renewed(
    kube: FakeKube, clock: FakeClock
) -> None:
    one = Candidate(kube, clock, "one")
    one.wind_down = 0.2
    async with one.running() as task:
        await until(lambda: one.is_working)
        task.cancel()
        before = len(kube.calls)
        await until(lambda: len(kube.calls) > before + 3)
        assert (one.is_done, holder(kube)) == (False, "one")


async def test_without_an_answer_the_leader_stops_before_anybody_else_may_begin(
    kube: FakeKube, clock: FakeClock
) -> None:
    one = Candidate(kube, clock, "one")
    async with one.running() as task:
        await until(lambda: one.is_working)
        kube.failures.extend(Unreachable("lost") for _ in range(10_000))
        clock.advance(9.9)
        still = one.elector.is_leader
        clock.advance(0.2)
        await until(task.done)
    assert (still, one.elector.is_leader, one.is_done) == (True, False, True)


async def test_work_that_goes_on_without_leadership_is_overdue(
    kube: FakeKube, clock: FakeClock
) -> None:
    one = Candidate(kube, clock, "one")
    one.wind_down = 0.1
    seen = [one.elector.is_overdue]
    async with one.running() as task:
        await until(lambda: one.is_working)
        seen.append(one.elector.is_overdue)
        await kube.patch(LEASES, "leader", "kulta-system", {"spec": {"holderIdentity": "thief"}})
        await until(lambda: one.elector.is_overdue)
        await until(task.done)
        seen.append(one.elector.is_overdue)
    assert seen == [False, False, False]


async def test_a_lease_that_somebody_took_is_lost_at_once(kube: FakeKube, clock: FakeClock) -> None:
    one = Candidate(kube, clock, "one")
    async with one.running() as task:
        await until(lambda: one.is_working)
        await kube.patch(LEASES, "leader", "kulta-system", {"spec": {"holderIdentity": "thief"}})
        await until(task.done)
    assert (one.is_done, holder(kube)) == (True, "thief")


async def test_a_lease_that_somebody_touched_is_still_ours(
    kube: FakeKube, clock: FakeClock
) -> None:
    one = Candidate(kube, clock, "one")
    async with one.running() as task:
        await until(lambda: one.is_working)
        touch = {"metadata": {"annotations": {"seen": "yes"}}}
        await kube.patch(LEASES, "leader", "kulta-system", touch)
        before = len(kube.calls)
        await until(lambda: len(kube.calls) > before + 5)
        assert (one.elector.is_leader, task.done()) == (True, False)


async def test_a_lease_that_was_deleted_is_made_again(kube: FakeKube, clock: FakeClock) -> None:
    one = Candidate(kube, clock, "one")
    async with one.running() as task:
        await until(lambda: one.is_working)
        await kube.delete(LEASES, "leader", "kulta-system")
        await until(lambda: kube.peek(LEASES, "leader", "kulta-system") is not None)
        assert (one.elector.is_leader, task.done()) == (True, False)


async def test_a_dead_leader_is_followed_after_its_duration(
    kube: FakeKube, clock: FakeClock
) -> None:
    kube.seed(LEASES, held("dead"))
    two = Candidate(kube, clock, "two")
    async with two.running():
        await until(lambda: len(kube.calls) > 1)
        clock.advance(lease.DURATION)
        before = len(kube.calls)
        await until(lambda: len(kube.calls) > before + 2)
        waiting = not two.is_working
        clock.advance(0.1)
        await until(lambda: two.is_working)
    assert waiting


async def test_two_never_lead_at_once(kube: FakeKube, clock: FakeClock) -> None:
    """Twenty times the leader is stopped; whoever leads, leads alone."""
    candidates = [Candidate(kube, clock, f"c{n}") for n in range(3)]
    leading: list[int] = []
    async with contextlib.AsyncExitStack() as stack:
        tasks = [await stack.enter_async_context(one.running()) for one in candidates]
        for turn in range(20):
            await until(lambda: any(one.is_working for one in candidates))
            for _ in range(20):
                clock.advance(0.2)
                leading.append(sum(one.elector.is_leader for one in candidates))
                await asyncio.sleep(0.001)
            leader = next((n for n, one in enumerate(candidates) if one.is_working), None)
            if leader is None:
                continue
            tasks[leader].cancel()
            await asyncio.gather(tasks[leader], return_exceptions=True)
            candidates[leader] = Candidate(kube, clock, f"c{leader}-{turn}")
            tasks[leader] = await stack.enter_async_context(candidates[leader].running())
    assert max(leading) == 1


async def test_what_the_work_raises_is_raised_and_the_lease_is_free(
    kube: FakeKube, clock: FakeClock
) -> None:
    async def broken() -> None:
        raise ValueError("a bug")

    elector = Candidate(kube, clock, "one").elector
    with pytest.raises(ValueError, match="a bug"):
        await elector.run(broken)
    assert (holder(kube), elector.is_leader) == ("", False)


@pytest.mark.parametrize(
    ("election", "lease_of", "works"),
    [
        pytest.param(False, OTHER, True, id="[L13] without an election it reconciles"),
        pytest.param(True, OTHER, False, id="[L13] a follower does not"),
        pytest.param(True, ME, True, id="[L13] a leader does"),
    ],
)
async def test_who_reconciles(
    kube: FakeKube, clock: FakeClock, election: bool, lease_of: str, works: bool
) -> None:
    kube.seed(LEASES, held(lease_of))
    one = Candidate(kube, clock, ME)
    if not election:
        one.elector = Alone()
    async with one.running():
        if election:
            await until(lambda: len(kube.calls) > 3)
        else:
            await until(lambda: one.is_working)
        assert (one.is_working, one.elector.is_leader) == (works, works)
