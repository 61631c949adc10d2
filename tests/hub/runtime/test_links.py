"""How far a member is believed: what reaches it, how old its signs of life are."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from fleet.api.membercluster import EngineMode, EngineSpec
from fleet.api.names import (
    ENGINE_LEASE,
    ENGINE_NAMESPACE,
    FLEETROLLOUTS,
    LEASES,
    MEMBERCLUSTERS,
    ROLLOUTS,
)
from fleet.clusters.health import Breaker, Circuit
from fleet.errors import Forbidden, Unauthorized, Unreachable
from fleet.hub.core.member.connectivity import Trouble
from fleet.hub.runtime import membership, observe, triggers
from fleet.hub.runtime.links import Link, Problem
from fleet.hub.runtime.watches import REST_SECONDS, UNREAD_SECONDS, slim
from tests.hub import gen
from tests.hub.runtime.desk import TENANT, Desk

QUIET = "the engine has not renewed its Lease for more than 30 s, or the API server there hangs"


@pytest.fixture
async def desk() -> Desk:
    """With one member that is believed."""
    made = Desk()
    key = made.register("eu-7")
    await membership.reconcile(made.hub, key)
    made.live("eu-7")
    return made


def heard(desk: Desk, link: Link) -> None:
    """A bookmark comes in, and nothing else."""
    assert link.handle is not None
    link.handle.informers[ROLLOUTS].last_byte = desk.clock.monotonic()


def nothing(desk: Desk, link: Link) -> None:
    """As it was."""


def unknown_lease(desk: Desk, link: Link) -> None:
    assert link.handle is not None
    link.signs.lease_changed = float("-inf")


def no_lease(desk: Desk, link: Link) -> None:
    assert link.handle is not None
    store = link.handle.informers[LEASES].store
    store.replace([], store.moment)


def silence(desk: Desk, link: Link) -> None:
    desk.clock.advance(31)
    heard(desk, link)


def deaf(desk: Desk, link: Link) -> None:
    """Leases come, Rollouts do not."""
    desk.clock.advance(91)
    link.signs.lease_changed = desk.clock.monotonic()


def broken(seconds: float, error: Exception) -> Callable[[Desk, Link], None]:
    def breaks(desk: Desk, link: Link) -> None:
        desk.clock.advance(seconds)
        link.signs.problems[ROLLOUTS] = Problem(
            error=error,  # type: ignore[arg-type]
            at=desk.clock.monotonic(),
        )

    return breaks


def mended(desk: Desk, link: Link) -> None:
    broken(10, Unreachable("reset"))(desk, link)
    desk.clock.advance(1)
    heard(desk, link)


def open_circuit(desk: Desk, link: Link) -> None:
    desk.member("eu-7").breaker = Breaker(state=Circuit.OPEN)
    desk.member("eu-7").last_failure = Unreachable("connection refused")


def unlisted(desk: Desk, link: Link) -> None:
    assert link.handle is not None
    link.handle.informers[ROLLOUTS].synced.clear()


def troubled(desk: Desk, link: Link) -> None:
    link.trouble = Trouble(reason="SecretNotFound", message="no Secret")


@pytest.mark.parametrize(
    ("happens", "reachable", "fresh", "reason", "message"),
    [
        pytest.param(nothing, True, True, "Reachable", "", id="all is well"),
        pytest.param(silence, True, False, "Stale", QUIET, id="an engine that is silent"),
        pytest.param(
            unknown_lease,
            True,
            False,
            "EngineUnknown",
            "the engine has not been seen to renew its Lease yet",
            id="a Lease that has not been seen to change",
        ),
        pytest.param(
            no_lease, True, False, "EngineUnknown", "the engine has no Lease", id="no Lease at all"
        ),
        pytest.param(
            deaf,
            True,
            False,
            "Stale",
            "nothing has been heard of its Rollouts for more than 90 s",
            id="a watch that has been silent too long",
        ),
        pytest.param(
            broken(4, Unreachable("reset")), True, True, "Reachable", "", id="a break of 4 s"
        ),
        pytest.param(
            broken(6, Unreachable("reset")), False, False, "Unreachable", "reset", id="of 6 s"
        ),
        pytest.param(mended, True, True, "Reachable", "", id="a break that is over"),
        pytest.param(
            broken(1, Unauthorized("401")),
            False,
            False,
            "Unauthorized",
            "the member does not accept the token of its kubeconfig: "
            "write a new one with `fleet cluster add eu-7 --renew`",
            id="refused credentials count at once",
        ),
        pytest.param(
            broken(1, Forbidden("403")),
            False,
            False,
            "Forbidden",
            "403: give the hub its rights with `fleet cluster add eu-7`",
            id="a lacking right too",
        ),
        pytest.param(
            open_circuit,
            False,
            False,
            "Unreachable",
            "connection refused",
            id="an open circuit",
        ),
        pytest.param(
            unlisted,
            False,
            False,
            "Unreachable",
            "its Rollouts have not been listed yet",
            id="before the first complete list",
        ),
        pytest.param(
            troubled, False, False, "SecretNotFound", "no Secret", id="what membership found"
        ),
    ],
)
async def test_standing(
    desk: Desk,
    happens: Callable[[Desk, Link], None],
    reachable: bool,
    fresh: bool,
    reason: str,
    message: str,
) -> None:
    link = desk.link("eu-7")
    happens(desk, link)
    found = link.connectivity(desk.clock.monotonic())
    assert (found.reachable, found.fresh) == (reachable, fresh)
    assert (found.reason, found.message) == (reason, message)


async def test_an_external_engine_without_a_lease_is_known_to_be_unknown(desk: Desk) -> None:
    link, cluster = desk.link("eu-7"), desk.hub.stores.memberclusters[TENANT, "eu-7"]
    assert link.handle is not None
    link.handle.informers[LEASES].synced.set()
    external = EngineSpec(mode=EngineMode.EXTERNAL)
    spec = cluster.spec.model_copy(update={"engine": external})
    other = cluster.model_copy(update={"spec": spec})
    assert not observe.member(desk.hub, other).has_unknown_engine, "it renews its Lease"
    no_lease(desk, link)
    triggers.poke(desk.hub, link)
    assert observe.member(desk.hub, other).has_unknown_engine
    assert not observe.member(desk.hub, cluster).has_unknown_engine, "the hub keeps it"
    for is_listed, error, is_unknown in (
        (True, Unreachable("reset by peer"), True),
        (True, Forbidden("no"), True),
        (False, Forbidden("no"), True),
        (False, Unreachable("reset by peer"), False),
    ):
        if not is_listed:
            link.handle.informers[LEASES].synced.clear()
        now = desk.clock.monotonic()
        link.signs.problems[LEASES] = Problem(error=error, at=now + 1)
        triggers.poke(desk.hub, link)
        assert observe.member(desk.hub, other).has_unknown_engine is is_unknown


def test_a_member_is_met_when_its_membercluster_is_first_seen() -> None:
    desk = Desk()
    desk.register("eu-7")
    link, now = desk.link("eu-7"), desk.clock.monotonic()
    desk.hub.links.begin(link.key)
    assert link.connectivity(now).connecting
    assert not link.is_settled(now), "before the first attempt nothing can be said"
    assert link.connecting_until == desk.clock.now() + timedelta(seconds=30)
    desk.clock.advance(20)
    desk.see(MEMBERCLUSTERS, "eu-7")
    assert desk.link("eu-7") is link, "met once"
    desk.hub.links.begin(link.key)
    desk.hub.links.keep_waiting()
    assert link.connectivity(now + 29).connecting
    assert not link.connectivity(now + 30).connecting


def test_who_waits_for_its_turn_to_be_connected_loses_no_time() -> None:
    desk = Desk()
    desk.register("eu-7")
    link = desk.link("eu-7")
    for _ in range(10):
        desk.clock.advance(20)
        assert link.connectivity(desk.clock.monotonic()).connecting
        desk.hub.links.keep_waiting()
        assert link.connecting_until == desk.clock.now() + timedelta(seconds=30)
    desk.clock.advance(14)
    desk.hub.links.begin(link.key)
    assert link.connecting_until == desk.clock.now() + timedelta(seconds=30)
    desk.clock.advance(30)
    desk.hub.links.keep_waiting()
    assert not link.connectivity(desk.clock.monotonic()).connecting, "its turn was 30 s ago"


async def test_who_waits_hears_when_the_patience_is_over() -> None:
    desk = Desk()
    desk.put(FLEETROLLOUTS, gen.run(gen.wave("all", "eu-7")))
    desk.register("eu-7")
    triggers.poke(desk.hub, desk.link("eu-7"))
    (cluster,) = desk.hub.stores.memberclusters.values()
    found = observe.member(desk.hub, cluster)
    assert found.connecting_until == desk.clock.now() + timedelta(seconds=30)
    desk.clock.advance(30)
    desk.queues.runs.added.clear()
    triggers.poke(desk.hub, desk.link("eu-7"))
    assert desk.queues.runs.added == [(TENANT, "checkout-1")]
    assert observe.member(desk.hub, cluster).connecting_until is None


async def test_many_lost_at_once_make_the_hub_suspect_itself(desk: Desk) -> None:
    for name in ("eu-8", "eu-9", "us-1"):
        key = desk.register(name)
        await membership.reconcile(desk.hub, key)
        desk.live(name)
    links = [desk.link(name) for name in ("eu-7", "eu-8", "eu-9", "us-1")]
    now = desk.clock.monotonic()
    for link in links[:2]:
        link.lost_at, link.fresh_at = now, None
    assert not desk.hub.links.is_hub_suspect(TENANT, now)
    links[2].lost_at, links[2].fresh_at = now + 30, None
    assert desk.hub.links.is_hub_suspect(TENANT, now + 30)
    assert not desk.hub.links.is_hub_suspect(TENANT, now + 631), "us-1 was well all the time"
    assert not desk.hub.links.is_hub_suspect("team-2", now + 30), "each tenant counts alone"


def test_a_kept_rollout_has_no_pods_and_no_managed_fields() -> None:
    kept = slim(
        {
            "metadata": {"name": "a", "managedFields": [{}]},
            "spec": {"template": {"spec": {}}, "replicas": 2},
        }
    )
    assert kept == {"metadata": {"name": "a"}, "spec": {"template": {}, "replicas": 2}}


def test_of_a_held_rollout_it_is_kept_who_holds_it() -> None:
    hold = {"f:spec": {"f:hold": {"f:reason": {}}}}
    fields = [{"manager": "kubectl-edit", "fieldsV1": hold}, {"manager": "kulta-fleet"}]
    metadata = slim({"metadata": {"managedFields": fields}, "spec": {"hold": {"reason": "x"}}})[
        "metadata"
    ]
    assert [entry["manager"] for entry in metadata["managedFields"]] == ["kubectl-edit"]


async def test_a_member_that_answers_again_is_connected_at_once(desk: Desk) -> None:
    link = desk.link("eu-7")
    link.trouble = Trouble(reason="Unreachable", message="reset")
    link.tried_at = desk.clock.monotonic()
    assert not link.is_back
    desk.clock.advance(1)
    heard(desk, link)
    assert link.is_back
    assert link.key == (TENANT, "eu-7")


@pytest.mark.parametrize(
    "hours",
    [pytest.param(1, id="ahead"), pytest.param(-1, id="behind"), pytest.param(0, id="none")],
)
async def test_the_clock_of_a_member_may_be_an_hour_away(desk: Desk, hours: int) -> None:
    """Its engine writes its own time into the Lease: that it was written is what counts."""
    link = desk.link("eu-7")
    assert link.handle is not None

    def renew() -> None:
        told = desk.clock.now() + timedelta(hours=hours)
        spec = {"holderIdentity": "engine", "renewTime": told.isoformat()}
        meta = {"name": ENGINE_LEASE, "namespace": ENGINE_NAMESPACE}
        made = desk.member("eu-7").seed(LEASES, {"metadata": meta, "spec": spec})
        link.handle.informers[LEASES].store.see(made)  # type: ignore[union-attr]
        heard(desk, link)

    def believed() -> tuple[bool, str]:
        found = link.connectivity(desk.clock.monotonic())
        return found.fresh, found.reason

    for _ in range(4):
        desk.clock.advance(20)
        renew()
        assert believed() == (True, "Reachable")
    desk.clock.advance(31)
    heard(desk, link)
    assert believed() == (False, "Stale"), "within half a minute, whatever time it has there"


@pytest.mark.parametrize(
    ("change", "seconds"),
    [
        pytest.param(nothing, REST_SECONDS, id="of an engine that is well it waits"),
        pytest.param(unknown_lease, 0.0, id="of one that has not been seen to renew it comes now"),
        pytest.param(silence, 0.0, id="of one that is silent it comes at once"),
    ],
)
async def test_when_the_next_renewal_is_looked_at(
    desk: Desk, change: Callable[[Desk, Link], None], seconds: float
) -> None:
    link = desk.link("eu-7")
    assert link.handle is not None
    change(desk, link)
    triggers.poke(desk.hub, link)
    assert link.handle.informers[LEASES].rest() == seconds


async def test_a_renewal_that_nobody_looked_at_is_as_old_as_it_may_be(desk: Desk) -> None:
    """An engine that died right after it is shown half a minute later, not when it was read."""
    link = desk.link("eu-7")
    assert link.handle is not None
    lease = link.handle.informers[LEASES]
    desk.clock.advance(1)
    assert lease.rest() > 0
    desk.clock.advance(REST_SECONDS)
    meta = {"name": ENGINE_LEASE, "namespace": ENGINE_NAMESPACE}
    made = desk.member("eu-7").seed(LEASES, {"metadata": meta, "spec": {"holderIdentity": "two"}})
    lease.store.see(made)
    heard(desk, link)
    assert link.sight(desk.clock.monotonic()).lease_age == REST_SECONDS
    desk.clock.advance(30.1 - REST_SECONDS)
    assert link.connectivity(desk.clock.monotonic()).reason == "Stale"
    lease.store.see(desk.member("eu-7").seed(LEASES, made | {"spec": {"holderIdentity": "three"}}))
    heard(desk, link)
    told = "read again after its rest, the watch tells at once"
    assert link.sight(desk.clock.monotonic()).lease_age == UNREAD_SECONDS, told
