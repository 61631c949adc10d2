"""The engine of a managed member: written when it differs, never under somebody's rollout."""

from dataclasses import replace
from typing import Any

import pytest

from fleet.api.membercluster import MemberCluster
from fleet.api.names import (
    APPLIED_ANNOTATION,
    DEPLOYMENTS,
    ENGINE_LEASE,
    ENGINE_NAME,
    ENGINE_NAMESPACE,
    HUB_LABEL,
    LEASES,
    NAMESPACE_LABEL,
    ROLLOUTS,
    Resource,
)
from fleet.errors import Conflict, Forbidden
from fleet.hub.core.member.engine import DEPLOYMENT
from fleet.hub.runtime import engines, membership
from fleet.hub.runtime.links import Link
from tests.hub.runtime.desk import HUB, TENANT, Desk, Keys

ROLLOUT = {"metadata": {"name": "web", "namespace": "web", "uid": "r1", "resourceVersion": "7"}}


@pytest.fixture
async def desk() -> Desk:
    made = Desk()
    key = made.register("eu-7")
    await membership.reconcile(made.hub, key)
    made.live("eu-7")
    return made


async def keep(desk: Desk, name: str = "eu-7", **engine: Any) -> str:
    """Keep the engine as this MemberCluster wants it; the note."""
    body = desk.hub.stores.memberclusters[TENANT, name].manifest()
    body["spec"]["engine"] = engine
    return await engines.keep(desk.hub, MemberCluster.parse(body), desk.link(name))


def images(desk: Desk, name: str = "eu-7") -> list[str]:
    """The images that were written."""
    return [
        call.body["spec"]["template"]["spec"]["containers"][0]["image"]
        for call in desk.member(name).writes()
        if call.kind == DEPLOYMENTS.kind
    ]


def rolling(link: Link, phase: str) -> None:
    assert link.handle is not None
    link.handle.informers[ROLLOUTS].store.see({**ROLLOUT, "status": {"phase": phase}})


async def test_the_hubs_image_is_written_unless_the_member_names_one(desk: Desk) -> None:
    await keep(desk)
    await keep(desk, image="mirror/kulta:1")
    assert images(desk) == ["kulta-fleet:test", "mirror/kulta:1"]


async def test_it_is_printed_again_where_what_it_is_made_of_has_changed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A member is looked at often, and its engine is seldom another one."""
    printed: list[str] = []
    print_one = engines.engine

    def counted(templates: Any, cluster: Any, setup: Any) -> Any:
        printed.append(setup.image)
        return print_one(templates, cluster, setup)

    monkeypatch.setattr(engines, "engine", counted)
    for image in ("kulta-fleet:test", "mirror/kulta:1"):
        printed.clear()
        for _ in range(3):
            await keep(desk, image=image)
        assert printed == [image, image], "to see that it differs, and to write it"
        assert images(desk)[-1] == image


async def test_what_is_there_already_is_not_written(desk: Desk) -> None:
    await keep(desk)
    await keep(desk)
    assert len(images(desk)) == 1


async def test_an_external_engine_is_never_written(desk: Desk) -> None:
    assert await keep(desk, mode="External") == ""
    assert images(desk) == []


@pytest.mark.parametrize(
    ("phase", "note"),
    [
        pytest.param("Completed", "", id="a completed Rollout does not mind"),
        pytest.param("Failed", "", id="a failed one neither"),
        pytest.param(
            "Progressing",
            "a newer engine waits until Rollout web/web has ended",
            id="one on its way is waited for",
        ),
        pytest.param(
            "Paused", "a newer engine waits until Rollout web/web has ended", id="a paused one too"
        ),
    ],
)
async def test_an_upgrade_waits_for_rollouts(desk: Desk, phase: str, note: str) -> None:
    await keep(desk)
    rolling(desk.link("eu-7"), phase)
    assert await keep(desk, image="kulta-fleet:next") == note
    assert len(images(desk)) == (1 if note else 2)


async def test_a_dead_engine_is_mended_whatever_is_on_its_way(desk: Desk) -> None:
    await keep(desk)
    rolling(desk.link("eu-7"), "Progressing")
    desk.link("eu-7").told = desk.link("eu-7").connectivity(desk.clock.monotonic() + 60)
    assert await keep(desk, image="kulta-fleet:next") == ""
    assert len(images(desk)) == 2


async def test_a_foreign_deployment_is_reported(desk: Desk) -> None:
    conflict = Conflict("conflict", managers=("kubectl-client-side-apply",))
    desk.member("eu-7").failures.append(("apply", conflict))
    assert await keep(desk) == (
        "Deployment kulta-system/kulta-controller belongs to kubectl-client-side-apply: "
        "delete it, or set engine.mode to External"
    )


def change(desk: Desk, name: str, **labels: str) -> None:
    """Somebody changes labels of the Deployment, and the watch tells."""
    member, link = desk.member(name), desk.link(name)
    found = member.peek(DEPLOYMENTS, ENGINE_NAME, ENGINE_NAMESPACE)
    assert found is not None
    assert link.handle is not None
    found["metadata"]["labels"] |= labels
    link.handle.informers[DEPLOYMENTS].store.see(member.seed(DEPLOYMENTS, found))


def come_up(desk: Desk, name: str, holder: str) -> None:
    """The Deployment's new pod is ready and takes the Lease."""
    member, link = desk.member(name), desk.link(name)
    found = member.peek(DEPLOYMENTS, ENGINE_NAME, ENGINE_NAMESPACE)
    assert found is not None
    assert link.handle is not None
    counts = dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas"), 1)
    found["status"] = {"observedGeneration": found["metadata"]["generation"], **counts}
    link.handle.informers[DEPLOYMENTS].store.see(member.seed(DEPLOYMENTS, found))
    lease = {"metadata": {"name": ENGINE_LEASE, "namespace": ENGINE_NAMESPACE}}
    made = member.seed(LEASES, {**lease, "spec": {"holderIdentity": holder}})
    link.handle.informers[LEASES].store.see(made)


@pytest.mark.parametrize(
    ("owner", "writes"),
    [
        pytest.param({}, 1, id="our own"),
        pytest.param({NAMESPACE_LABEL: "team-2"}, 1, id="a namespace's that has let go"),
        pytest.param({HUB_LABEL: "hub-2"}, 0, id="another hub's"),
    ],
)
async def test_only_its_owner_writes_an_engine(
    desk: Desk, owner: dict[str, str], writes: int
) -> None:
    await keep(desk)
    come_up(desk, "eu-7", "pod-1")
    change(desk, "eu-7", **owner)
    before = len(images(desk))
    for _ in range(3):
        note = await keep(desk, image="kulta-fleet:next")
        assert ("only watched here" in note) is not writes
    assert len(images(desk)) - before == writes


async def test_two_namespaces_with_one_member_do_not_fight(desk: Desk) -> None:
    """Who wrote it first keeps it, as long as it is there."""
    await keep(desk)
    come_up(desk, "eu-7", "pod-1")
    other = desk.hub.links.make(("team-2", "eu-7"))
    body = desk.hub.stores.memberclusters[TENANT, "eu-7"].manifest()
    body["metadata"] |= {"namespace": "team-2", "uid": "another"}
    desk.hub.stores.memberclusters.see(body)
    cluster = desk.hub.stores.memberclusters["team-2", "eu-7"]
    link = desk.link("eu-7")
    other.handle, other.uid, other.told = link.handle, link.uid, link.told
    for _ in range(3):
        assert "kept by namespace shop" in await engines.keep(desk.hub, cluster, other)
        assert await keep(desk) == ""
    assert len(images(desk)) == 1
    desk.hub.stores.memberclusters.end(desk.hub.stores.memberclusters[TENANT, "eu-7"].manifest())
    desk.hub.links.drop((TENANT, "eu-7"))
    assert await engines.keep(desk.hub, cluster, other) == ""
    assert len(images(desk)) == 2


async def test_a_new_label_is_no_exchange(desk: Desk) -> None:
    """What an older hub made has no owner; to write that restarts nothing, so nobody waits."""
    await keep(desk)
    come_up(desk, "eu-7", "pod-1")
    member = desk.member("eu-7")
    found = member.peek(DEPLOYMENTS, ENGINE_NAME, ENGINE_NAMESPACE)
    assert found is not None
    found["metadata"] |= {"labels": {}, "annotations": {APPLIED_ANNOTATION: "older"}}
    handle = desk.link("eu-7").handle
    assert handle is not None
    handle.informers[DEPLOYMENTS].store.see(member.seed(DEPLOYMENTS, found))
    assert await keep(desk) == ""
    written = member.peek(DEPLOYMENTS, ENGINE_NAME, ENGINE_NAMESPACE)
    assert written is not None
    assert written["metadata"]["labels"][HUB_LABEL] == HUB
    assert desk.link("eu-7").exchange is None


@pytest.fixture
async def three(desk: Desk) -> Desk:
    """Three members with engines that work."""
    for name in ("eu-8", "eu-9"):
        key = desk.register(name)
        await membership.reconcile(desk.hub, key)
        desk.live(name)
    for name in ("eu-7", "eu-8", "eu-9"):
        await keep(desk, name)
        come_up(desk, name, f"{name}-old")
    return desk


async def test_engines_are_exchanged_in_waves(three: Desk) -> None:
    new = {"image": "kulta-fleet:next"}
    assert await keep(three, "eu-7", **new) == ""
    assert await keep(three, "eu-8", **new) == (
        "a newer engine waits until that of eu-7 is healthy"
    )
    three.queues.members.added.clear()
    engines.wake(three.hub)
    assert three.queues.members.names() == set(), "it is not its turn yet"
    come_up(three, "eu-7", "eu-7-old")
    assert "waits until that of eu-7" in await keep(three, "eu-8", **new), "the old one's Lease"
    come_up(three, "eu-7", "eu-7-new")
    await keep(three, "eu-9", **new)
    assert [len(images(three, name)) for name in ("eu-7", "eu-8", "eu-9")] == [2, 1, 2]
    come_up(three, "eu-9", "eu-9-new")
    engines.wake(three.hub)
    assert "eu-8" in three.queues.members.names()
    await keep(three, "eu-8", **new)
    come_up(three, "eu-8", "eu-8-new")
    three.queues.members.added.clear()
    engines.wake(three.hub)
    assert three.queues.members.names() == set(), "nobody waits any more"


async def test_who_leaves_while_it_waits_keeps_nobody_waiting(three: Desk) -> None:
    new = {"image": "kulta-fleet:next"}
    for name in ("eu-7", "eu-8", "eu-9"):
        await keep(three, name, **new)
    await membership.leave(three.hub, three.link("eu-8").key)
    come_up(three, "eu-7", "eu-7-new")
    three.queues.members.added.clear()
    engines.wake(three.hub)
    assert three.queues.members.names() == {"eu-9"}


async def test_an_engine_that_does_not_come_up_stops_the_others(three: Desk) -> None:
    new = {"image": "kulta-fleet:broken"}
    await keep(three, "eu-7", **new)
    for _ in range(5):
        three.clock.advance(60)
        for name in ("eu-8", "eu-9"):
            three.live(name)
            assert "waits until that of eu-7" in await keep(three, name, **new)


async def test_a_write_that_failed_takes_nobodys_turn(three: Desk) -> None:
    three.member("eu-7").failures.append(("apply", Conflict("no", managers=("kubectl",))))
    assert "belongs to kubectl" in await keep(three, "eu-7", image="kulta-fleet:next")
    assert await keep(three, "eu-8", image="kulta-fleet:next") == ""


async def test_after_a_restart_of_the_hub_an_engine_is_first_seen_to_live(desk: Desk) -> None:
    """Not seen yet is not dead: its Rollout would be interrupted."""
    await keep(desk)
    rolling(desk.link("eu-7"), "Progressing")
    link = desk.link("eu-7")
    link.signs.lease_changed = float("-inf")
    link.told = link.connectivity(desk.clock.monotonic())
    assert await keep(desk, image="kulta-fleet:next") == (
        "a newer engine waits: the engine has not been seen to renew its Lease yet"
    )
    assert len(images(desk)) == 1


@pytest.mark.parametrize(
    ("resource", "told"),
    [
        pytest.param(LEASES, "", id="a Lease that may not be read is not the Deployment's fault"),
        pytest.param(DEPLOYMENTS, f"{DEPLOYMENT} cannot be read: 403", id="a Deployment"),
    ],
)
async def test_what_may_not_be_watched_is_told_by_its_name(
    desk: Desk, resource: Resource, told: str
) -> None:
    link = desk.link("eu-7")
    assert link.handle is not None
    await keep(desk)
    desk.clock.advance(1)
    link.handle.informers[resource].on_error(Forbidden("403"))
    assert await keep(desk) == told


async def test_an_engine_is_current_once_the_new_pod_has_taken_over(desk: Desk) -> None:
    link = desk.link("eu-7")
    assert engines.is_current(desk.hub, link) is None
    await keep(desk)
    come_up(desk, "eu-7", "pod-1")
    assert engines.is_current(desk.hub, link) is True
    await keep(desk, image="kulta-fleet:next")
    assert engines.is_current(desk.hub, link) is False
    come_up(desk, "eu-7", "pod-2")
    assert engines.is_current(desk.hub, link) is True
    await keep(desk, mode="External")
    assert engines.is_current(desk.hub, link) is None


async def test_an_engine_whose_lease_has_the_same_holder_is_current_in_time(desk: Desk) -> None:
    """Nothing else would wake the member then: the Lease goes on as before."""
    link, queue = desk.link("eu-7"), desk.queues.members
    assert isinstance(queue, Keys)
    await keep(desk)
    come_up(desk, "eu-7", "pod-1")
    assert engines.takeover_left(desk.hub, link) == 0, "the first one replaces nobody"
    await keep(desk, image="kulta-fleet:next")
    come_up(desk, "eu-7", "pod-1")
    desk.hub.engine = replace(desk.hub.engine, image="kulta-fleet:next")
    for passed, left in ((20, 40), (40, None)):
        desk.clock.advance(passed)
        desk.live("eu-7")
        queue.later.clear()
        await membership.reconcile(desk.hub, link.key)
        assert queue.later.get(link.key) == left, "whatever wakes it meanwhile takes no time away"
    assert engines.is_current(desk.hub, link) is True
