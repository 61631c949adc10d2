"""What a change costs in a large fleet, counted: looks and keys, never seconds.

Nothing here may grow with the members, Applications or Rollouts that do not change.
"""

import asyncio
from typing import Any

import pytest

from fleet import aio
from fleet.api import ClusterRollout
from fleet.api.conditions import condition
from fleet.api.fleetrollout import ClusterPhase, Undo
from fleet.api.names import (
    APPLICATIONS,
    CLUSTERROLLOUTS,
    CRDS,
    ENGINE_LEASE,
    ENGINE_NAMESPACE,
    FLEETROLLOUTS,
    FLEETS,
    LEASES,
    MEMBERCLUSTERS,
    ROLLOUTS,
)
from fleet.clusters.health import Breaker, Circuit
from fleet.clusters.store import Change
from fleet.hub.core.member import freshness
from fleet.hub.runtime import membership, reconcile, schemas, triggers
from fleet.hub.runtime.links import TEXTS
from tests.hub import gen
from tests.hub.runtime.desk import TENANT, Desk, Keys

MEMBERS = tuple(f"eu-{number}" for number in range(1, 9))
LOST = {"type": "Fresh", "status": "False", "lastTransitionTime": "2026-11-20T12:00:00Z"}


@pytest.fixture
async def desk() -> Desk:
    """Eight members that are well, and an Application that all of them have."""
    made = Desk()
    made.put(FLEETS, gen.fleet())
    for name in MEMBERS:
        await membership.reconcile(made.hub, made.register(name))
        made.live(name)
    made.put(APPLICATIONS, {**gen.application().manifest(), "status": {"revision": "rev1"}})
    for name in MEMBERS:
        made.put(CLUSTERROLLOUTS, gen.item(name, ClusterPhase.SUCCEEDED, good=1))
    empty(made)
    return made


def empty(desk: Desk) -> None:
    for queue in vars(desk.queues).values():
        assert isinstance(queue, Keys)
        queue.added.clear()
        queue.later.clear()
        queue.first.clear()


def lose(desk: Desk, name: str) -> None:
    body = desk.kube.peek(MEMBERCLUSTERS, name, TENANT)
    assert body is not None
    desk.put(MEMBERCLUSTERS, {**body, "status": {**body.get("status", {}), "conditions": [LOST]}})


def asked(desk: Desk) -> list[str]:
    return sorted(key[1] for key in desk.queues.applications.added)


async def test_time_alone_makes_nobody_look_at_a_member_that_is_well(desk: Desk) -> None:
    for _ in range(29):
        desk.clock.advance(1)
        assert triggers.restless(desk.hub) == ()
    desk.clock.advance(2)
    assert len(triggers.restless(desk.hub)) == len(MEMBERS), "no Lease changes for 30 s"


async def test_who_is_not_well_is_looked_at_and_nobody_else(desk: Desk) -> None:
    cut, gone = desk.link("eu-3"), desk.link("eu-5")
    desk.member("eu-3").breaker = Breaker(state=Circuit.OPEN, until=desk.clock.monotonic() + 5)
    gone.forget()
    for _ in range(3):
        desk.clock.advance(0.5)
        assert triggers.restless(desk.hub) == (cut, gone)
        triggers.poke(desk.hub, cut)
    assert not cut.told.fresh


async def test_time_makes_nobody_look_at_a_member_whose_turn_has_not_come(desk: Desk) -> None:
    """A hub that begins has a thousand, and twice a second it would look at them all."""
    key = desk.register("eu-99")
    link = desk.link("eu-99")
    assert triggers.restless(desk.hub) == (link,), "what it waits for has to be told first"
    triggers.poke(desk.hub, link)
    assert link.told.connecting
    for _ in range(60):
        desk.clock.advance(0.5)
        desk.hub.links.keep_waiting()
        assert link not in triggers.restless(desk.hub)
        assert link.connectivity(desk.clock.monotonic()) == link.told
    desk.hub.links.begin(key)
    assert link in triggers.restless(desk.hub)


async def test_a_lease_that_is_renewed_makes_nobody_look(desk: Desk) -> None:
    """But every half a minute, and when it is taken away."""
    link, looks = desk.link("eu-3"), 0
    assert link.handle is not None
    leases = link.handle.informers[LEASES].store
    meta = {"name": ENGINE_LEASE, "namespace": ENGINE_NAMESPACE, "uid": "lease"}
    before = link.calm_until
    for _ in range(20):
        desk.clock.advance(5)
        for resource in (LEASES, ROLLOUTS):
            link.handle.informers[resource].last_byte = desk.clock.monotonic()
        spec = {"holderIdentity": "engine", "renewTime": desk.clock.now().isoformat()}
        made = desk.member("eu-3").seed(LEASES, {"metadata": meta, "spec": spec})
        leases.see(made)
        assert link.told.fresh
        looks, before = looks + (link.calm_until != before), link.calm_until
    assert looks <= 5
    leases.end(made)
    assert not link.told.fresh


async def test_what_is_known_of_a_calm_member_is_what_a_look_would_tell(desk: Desk) -> None:
    for _ in range(35):
        desk.clock.advance(1)
        now = desk.clock.monotonic()
        assert all(link.believed(now) == link.connectivity(now) for link in desk.hub.links)


async def test_a_member_that_is_lost_concerns_no_application_that_it_has(desk: Desk) -> None:
    lose(desk, "eu-3")
    assert asked(desk) == []


@pytest.mark.parametrize(
    "item",
    [
        pytest.param(None, id="who has not got it"),
        pytest.param(gen.item("eu-3", number=2, good=1), id="who is to get something else"),
        pytest.param(gen.item("eu-3"), id="who has not come to its end"),
        pytest.param(
            gen.item("eu-3", good=1, conditions=[condition("InputsChanged", True, "X")]),
            id="whose labels have changed",
        ),
        pytest.param(gen.item("eu-3", good=1, server="another"), id="who is another cluster now"),
    ],
)
async def test_a_member_that_lacks_it_does(desk: Desk, item: Any) -> None:
    if item is None:
        desk.hub.stores.items.end(desk.hub.stores.items[TENANT, "checkout.eu-3"].manifest())
    else:
        desk.put(CLUSTERROLLOUTS, item)
    empty(desk)
    lose(desk, "eu-3")
    assert asked(desk) == ["checkout"]


async def test_a_member_that_lacks_nothing_but_a_lease_may_get_what_it_lacks(desk: Desk) -> None:
    """There may be a policy that accepts that."""
    desk.hub.stores.items.end(desk.hub.stores.items[TENANT, "checkout.eu-3"].manifest())
    empty(desk)
    link = desk.link("eu-3")
    assert link.handle is not None
    leases = link.handle.informers[LEASES].store
    leases.replace([], leases.moment)
    assert link.told.leaseless
    assert [*desk.queues.applications.later] == [(TENANT, "checkout")]


async def test_an_application_that_waits_for_its_look_anyway_is_not_asked(desk: Desk) -> None:
    """After a restart all of them wait, and a thousand members come back."""
    desk.hub.stores.items.end(desk.hub.stores.items[TENANT, "checkout.eu-3"].manifest())
    empty(desk)
    desk.queues.applications.waiting.add((TENANT, "checkout"))
    lose(desk, "eu-3")
    assert asked(desk) == []


async def test_a_report_of_one_rollout_reads_no_other(desk: Desk) -> None:
    """The store counts who looks: a member may hold hundreds of them."""

    class Counted(dict[Any, Any]):
        looks = 0

        def values(self) -> Any:
            Counted.looks += 1
            return super().values()

    link = desk.link("eu-1")
    assert link.handle is not None
    old = {"metadata": {"name": "checkout"}, "status": {"phase": "Progressing"}}
    new = {**old, "status": {"phase": "Completed"}}
    link.handle.informers[ROLLOUTS].store = Counted()  # type: ignore[assignment]
    for before, after, wakes in ((old, old, False), (old, new, True), (new, new, False)):
        change = Change(type="MODIFIED", key=(TENANT, "checkout"), old=before, new=after)
        triggers.rollout_changed(desk.hub, link, change)
        assert bool(desk.queues.members.later) is wakes
        empty(desk)
    assert Counted.looks == 0


async def test_a_secret_concerns_who_names_it_without_a_search(desk: Desk) -> None:
    found = desk.hub.stores.clusters_of
    assert list(found.get((TENANT, "eu-3"))) == [(TENANT, "eu-3")]
    body = desk.kube.peek(MEMBERCLUSTERS, "eu-3", TENANT)
    assert body is not None
    spec = {**body["spec"], "kubeconfig": {"secretRef": {"name": "other"}}}
    desk.put(MEMBERCLUSTERS, {**body, "spec": spec})
    assert not found.get((TENANT, "eu-3"))
    assert list(found.get((TENANT, "other"))) == [(TENANT, "eu-3")]
    desk.hub.stores.memberclusters.end(desk.hub.stores.memberclusters[TENANT, "eu-3"].manifest())
    assert not found.get((TENANT, "other"))


def test_a_thousand_that_are_lost_at_once_are_compared_a_few_times_each() -> None:
    class Moment(float):
        compared = 0

        def __lt__(self, other: float) -> bool:
            Moment.compared += 1
            return super().__lt__(other)

    lost = [Moment(second) for second in range(1_000)]
    assert not freshness.is_isolated(lost, [0.0] * 3_000, 4_000, 1_000.0)
    assert Moment.compared < 20 * len(lost)


async def test_news_stop_what_a_run_begins(desk: Desk) -> None:
    """Sixteen begin at a time; what fails meanwhile is looked at before the others go."""
    run = gen.run(gen.wave("all", *(f"eu-{n}" for n in range(40)), max_concurrency=40), number=2)
    desk.put(FLEETROLLOUTS, run)
    for number in range(9, 40):
        name = f"eu-{number}"
        await membership.reconcile(desk.hub, desk.register(name))
        desk.live(name)
    empty(desk)
    key = (TENANT, run.name)
    create, made = desk.kube.create, []

    async def fails(resource: Any, manifest: Any) -> Any:
        if resource == CLUSTERROLLOUTS:
            made.append(manifest["metadata"]["name"])
            await asyncio.sleep(0)
            if not desk.queues.runs.first:
                desk.queues.runs.add(key, first=True)
        return await create(resource, manifest)

    desk.kube.create = fails  # type: ignore[method-assign]
    status = desk.hub.stores.runs[key].status
    await reconcile.run(desk.hub, key)
    assert 0 < len(made) <= reconcile.ABREAST
    assert desk.hub.stores.runs[key].status == status, "nothing is said of those that did not go"
    desk.queues.runs.first.clear()
    for _ in range(2):
        await reconcile.run(desk.hub, key)
    assert desk.hub.stores.runs[key].status.counts.total == 39


async def test_a_run_that_halts_says_so_before_it_holds_the_others(desk: Desk) -> None:
    desk.put(FLEETROLLOUTS, gen.run(gen.wave("all", *MEMBERS, max_concurrency=8), number=2))
    key = (TENANT, "checkout-2")
    for name in MEMBERS:
        phase = ClusterPhase.FAILED if name == "eu-7" else ClusterPhase.PROGRESSING
        reason = "AnalysisFailed" if name == "eu-7" else ""
        desk.put(CLUSTERROLLOUTS, gen.item(name, phase, number=2, reason=reason))
    await reconcile.run(desk.hub, key)
    kinds = [call.kind for call in desk.kube.writes()]
    assert kinds[-8:] == ["FleetRollout"] + ["ClusterRollout"] * 7
    assert desk.hub.stores.runs[key].status.phase == "Halted"


async def test_what_goes_back_waits_no_more_than_a_hold(desk: Desk) -> None:
    run = gen.run(gen.wave("all", *MEMBERS, max_concurrency=8), number=2)
    status = run.status.model_copy(update={"undo": Undo(fleet=True)})
    desk.put(FLEETROLLOUTS, gen.run(gen.wave("all", *MEMBERS)))
    desk.put(FLEETROLLOUTS, run.model_copy(update={"status": status}))
    for name in MEMBERS:
        desk.put(CLUSTERROLLOUTS, gen.item(name, number=2, good=1))
    key = (TENANT, run.name)
    desk.queues.runs.add(key, first=True)
    await reconcile.run(desk.hub, key)
    wants = [one.spec.want for one in desk.hub.stores.items.values()]
    assert [want.run for want in wants if want is not None] == ["checkout-1"] * 8
    assert desk.hub.stores.runs[key].status.phase == "RollingBack"


@pytest.mark.parametrize(
    ("after", "runs", "dispatches"),
    [
        pytest.param(gen.item("eu-3", ClusterPhase.ANALYZING, number=2), 0, 0, id="a report"),
        pytest.param(gen.item("eu-3", ClusterPhase.FAILED, number=2), 1, 0, id="a failure"),
        pytest.param(gen.item("eu-3", number=2, hold="halted"), 0, 1, id="a hold"),
    ],
)
async def test_what_may_stop_others_goes_first(
    desk: Desk, after: ClusterRollout, runs: int, dispatches: int
) -> None:
    desk.put(FLEETROLLOUTS, gen.run(gen.wave("all", *MEMBERS, max_concurrency=8), number=2))
    desk.put(CLUSTERROLLOUTS, gen.item("eu-3", number=2))
    empty(desk)
    meta = after.metadata.model_copy(update={"generation": 1 + dispatches})
    desk.put(CLUSTERROLLOUTS, after.model_copy(update={"metadata": meta}))
    assert len(desk.queues.runs.first) == runs
    assert len(desk.queues.dispatches.first) == dispatches


async def test_a_restart_looks_at_one_key_per_round_of_the_event_loop(desk: Desk) -> None:
    """Of all queues together: most looks wait for nothing, and the Lease has to be renewed."""
    looked: list[str] = []

    async def look(_: Any, key: tuple[str, str]) -> None:
        looked.append(key[1])

    queues = [aio.WorkQueue[tuple[str, str]](concurrency=4) for _ in range(25)]
    tasks = []
    for queue in queues:
        for number in range(8):
            queue.add((TENANT, f"checkout.{number}"))
        guarded = reconcile._guarded(desk.hub, CLUSTERROLLOUTS, look, queue)
        tasks.append(asyncio.create_task(queue.run(guarded)))
    most = 0
    while len(looked) < 200:
        before = len(looked)
        await asyncio.sleep(0)
        most = max(most, len(looked) - before)
    await aio.cancel(*tasks)
    assert most == 1


async def test_a_member_that_connects_is_held_against_its_twins_alone(desk: Desk) -> None:
    link, other = desk.link("eu-3"), desk.link("eu-5")
    assert [key for key, _ in membership._alike(desk.hub, link)] == [link.key]
    desk.hub.links.identify(other, link.uid)
    assert [key for key, _ in membership._alike(desk.hub, link)] == [link.key, other.key]
    desk.hub.links.drop(other.key)
    assert desk.hub.links.alike(link) == {link.key}
    desk.hub.links.identify(link, "")
    assert desk.hub.links.alike(link) == set()


def test_a_definition_that_all_members_have_is_read_once() -> None:
    links, read = Desk().hub.links, []

    def fields(text: bytes) -> frozenset[str]:
        read.append(text)
        return frozenset({text.decode()})

    for text in (b"old", b"new", b"old", b"new"):
        found = links.definitions.shared(text, lambda text=text: fields(text))  # type: ignore[misc]
        assert found == {text.decode()}
    assert read == [b"old", b"new"]
    for number in range(TEXTS):
        links.definitions.shared(b"%d" % number, frozenset)
    links.definitions.shared(b"new", lambda: fields(b"new"))
    assert read == [b"old", b"new", b"new"], "only so many are kept"


async def test_a_definition_is_the_same_whatever_converts_it(desk: Desk) -> None:
    """An issuer of certificates puts another one into the definition of each member."""
    found = [desk.link(name) for name in ("eu-3", "eu-5")]
    said = {"properties": {"spec": {"properties": {"replicas": {}}}}}
    version = {"name": ROLLOUTS.version, "schema": {"openAPIV3Schema": said}}
    for number, link in enumerate(found):
        webhook = {"clientConfig": {"caBundle": f"{number}"}}
        spec = {"versions": [version], "conversion": {"webhook": webhook}}
        crd = {"metadata": {"name": schemas.CRD}, "spec": spec}
        desk.member(link.key[1]).seed(CRDS, crd)
        await schemas.learn(desk.hub, link)
    assert found[0].fields == {"spec", "spec.replicas"}
    assert found[0].fields is found[1].fields
