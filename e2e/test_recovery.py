"""Processes killed and members cut off in mid-run, with real engines: it goes on, nothing is twice.

One SIGKILL meets a run in each phase at the same moment: while the hub is dead nothing moves, and
afterwards each run goes on from where it was. What was sent is judged by the members' audit logs.
"""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from e2e.ground import background
from e2e.ground import engine as engines
from e2e.ground import member as members
from e2e.ground.audit import Request
from e2e.ground.faults import Seen
from e2e.ground.member import image_of
from e2e.ground.proxy import HttpProxy, Proxy
from e2e.ground.waiting import until
from e2e.realm import Realm, application, deliver
from e2e.tenancy import Tenant
from fleet.api.names import (
    FLEETROLLOUTS,
    ROLLOUTS,
    request_annotation,
)

NAMES = ("east", "west")
SIMPLE: dict[str, Any] = {"simple": {}}
STEPS = {"canary": {"steps": [{"setWeight": 50, "pause": {}}, {"setWeight": 100}]}}
SOAK = [
    {"name": "first", "clusters": ["east"], "after": [{"soak": "12s"}]},
    {"name": "rest", "remaining": True},
]
NOWHERE = {"nodeSelector": {"no": "such-node"}}
RUNS = {
    "Planned": "planned-1",
    "Progressing": "progressing-2",
    "Soaking": "soaking-1",
    "Paused": "paused-1",
    "Halted": "halted-2",
    "Succeeded": "succeeded-1",
}
"""Phase → the run that is in it when the hub dies."""


def state(tenant: Tenant, run: str) -> dict[str, Any]:
    """The status of a run; a run without one is Planned."""
    found = tenant.get(FLEETROLLOUTS, run)
    return {"phase": "Planned", **(found.get("status") or {})} if found else {}


def is_in(tenant: Tenant, run: str, phase: str, *, within: float = 30) -> None:
    """Wait until a run is in that phase."""
    try:
        until(lambda: state(tenant, run).get("phase") == phase, run, within=within)
    except TimeoutError as error:
        raise TimeoutError(f"{error}: not {phase}, but {state(tenant, run)}") from None


def rollout(tenant: Tenant, member: str, name: str) -> dict[str, Any]:
    """The Rollout in that member; empty when there is none."""
    path = ROLLOUTS.path(tenant.namespace, name)
    code, found = tenant.puppets[member].plane.call("GET", path)
    return found if code == 200 else {}


def promote(tenant: Tenant, member: str, name: str, image: str) -> None:
    """End the pause of that image there, once its engine has come to it."""

    def is_paused() -> bool:
        found = rollout(tenant, member, name)
        status = found.get("status") or {}
        fresh = status.get("observedGeneration") == (found.get("metadata") or {}).get("generation")
        return bool(found) and image_of(found) == image and fresh and status["phase"] == "Paused"

    until(is_paused, f"{name} in {member} is paused with {image}", within=30)
    body = {"metadata": {"annotations": {request_annotation("promote"): "true"}}}
    path = ROLLOUTS.path(tenant.namespace, name)
    assert tenant.puppets[member].plane.call("PATCH", path, body)[0] == 200


def requests(tenant: Tenant, member: str, user: str, resource: str) -> list[Request]:
    """The writes of that user to that resource that the member has accepted."""
    log = tenant.puppets[member].plane.audit
    found = log.read(user=user, resource=resource, namespace=tenant.namespace, writes=True)
    return [item for item in found if item.code < 300 and not item.subresource]


@dataclass(kw_only=True)
class Story:
    """What was seen, for the tests to judge."""

    tenant: Tenant
    at_death: dict[str, str] = field(default_factory=dict)
    """Run → its phase when the hub was killed."""
    while_dead: dict[str, str] = field(default_factory=dict)
    ends: dict[str, str] = field(default_factory=dict)


@pytest.fixture(scope="module")
def story(realm: Realm) -> Story:
    """Bring six runs into their phases, kill the hub, start it again, and lead each to its end."""
    tenant = realm.tenant("recovery", *NAMES)
    told = Story(tenant=tenant)
    realm.hub.stop()
    with background.running(HttpProxy(realm.plane.server, realm.plane.authority)) as proxy:
        realm.hub.start(server=proxy.url)
        _set_out(realm, tenant)
        _plan(tenant, proxy)
        realm.hub.kill()
    told.at_death = {run: state(tenant, run)["phase"] for run in RUNS.values()}
    time.sleep(1)
    told.while_dead = {run: state(tenant, run)["phase"] for run in RUNS.values()}
    realm.hub.start()
    _carry_on(tenant)
    ends = [*RUNS.values(), "halted-3"]
    told.ends = {run: state(tenant, run)["phase"] for run in ends}
    return told


def _set_out(realm: Realm, tenant: Tenant) -> None:
    """Everything but the run that is only planned; an engine dies in mid-step on the way."""
    stuck = application("halted", "app:v2", SIMPLE, progressDeadline="3s")
    stuck["spec"]["workload"]["template"]["spec"] |= NOWHERE
    both = {"maxConcurrency": 2}
    deliver(
        tenant,
        application("progressing", "app:v1", STEPS, **both),
        application("halted", "app:v1", SIMPLE, **both),
        application("succeeded", "app:v1", SIMPLE, **both),
        application("paused", "app:v1", SIMPLE, paused=True),
    )
    for run in ("progressing-1", "halted-1", "succeeded-1"):
        is_in(tenant, run, "Succeeded")
    deliver(tenant, application("progressing", "app:v2", STEPS, maxConcurrency=1), stuck)
    east = realm.members["east"]
    assert east.engine is not None
    until(lambda: len(_made(tenant, "east", "progressing")) == 2, "it has begun", within=20)
    east.engine.kill()
    east.engine.start()
    is_in(tenant, "halted-2", "Halted")
    is_in(tenant, "paused-1", "Paused")
    deliver(tenant, application("soaking", "app:v1", SIMPLE, waves=SOAK))
    is_in(tenant, "soaking-1", "Soaking")


def _plan(tenant: Tenant, proxy: HttpProxy) -> None:
    """A run whose first status the hub could not write yet."""

    def is_its_status(seen: Seen) -> bool:
        return seen.is_write and "/fleetrollouts/planned-1/status" in seen.path

    proxy.fail(503, times=1000, when=is_its_status)
    deliver(tenant, application("planned", "app:v1", SIMPLE))
    until(lambda: any(map(is_its_status, proxy.seen)), "it is planned", within=10, every=0.005)


def _carry_on(tenant: Tenant) -> None:
    deliver(tenant, application("paused", "app:v1", SIMPLE, paused=False))
    fresh = application("halted", "app:v3", SIMPLE, progressDeadline="10m")
    fresh["spec"]["workload"]["template"]["spec"]["nodeSelector"] = None
    deliver(tenant, fresh)
    for name in NAMES:
        promote(tenant, name, "progressing", "app:v2")
    for run in ("progressing-2", "planned-1", "soaking-1", "paused-1", "halted-3"):
        is_in(tenant, run, "Succeeded")


def _made(tenant: Tenant, member: str, name: str) -> list[str]:
    """The ReplicaSets that the engine there has made for that Rollout."""
    found = requests(tenant, member, engines.USER, "replicasets.apps")
    made = [item.body["metadata"]["name"] for item in found if item.verb == "create"]
    return [one for one in made if one.rpartition("-")[0] == name]


@pytest.mark.parametrize(
    ("phase", "end"),
    [
        pytest.param("Planned", "Succeeded", id="[MT-02] planned"),
        pytest.param("Progressing", "Succeeded", id="[MT-02] progressing, an engine paused"),
        pytest.param("Soaking", "Succeeded", id="[MT-02] soaking"),
        pytest.param("Paused", "Succeeded", id="[MT-02] paused, and resumed afterwards"),
        pytest.param("Halted", "Superseded", id="[MT-02] halted, until a better revision comes"),
        pytest.param("Succeeded", "Succeeded", id="[MT-02] ended"),
    ],
)
def test_a_hub_killed_in_any_phase_goes_on(story: Story, phase: str, end: str) -> None:
    run = RUNS[phase]
    assert story.at_death[run] == story.while_dead[run] == phase
    assert story.ends[run] == end


def test_no_cluster_was_skipped(story: Story) -> None:
    images = {
        name: [image_of(rollout(story.tenant, member, name)) for member in NAMES]
        for name in ("planned", "progressing", "soaking", "paused", "halted", "succeeded")
    }
    old, new = ["app:v1", "app:v1"], ["app:v2", "app:v2"]
    assert images == {
        "planned": old,
        "progressing": new,
        "soaking": old,
        "paused": old,
        "halted": ["app:v3", "app:v3"],
        "succeeded": old,
    }


@pytest.mark.parametrize("member", NAMES)
def test_nothing_was_dispatched_twice(story: Story, member: str) -> None:
    """One PATCH of a Rollout for each sequence, one POST of a ReplicaSet for each revision."""
    patches = requests(story.tenant, member, members.HUB_USER, "rollouts.kulta.io")
    sent = Counter((item.name, *_sent(item)) for item in patches if item.verb == "patch")
    del sent["halted", "release", 0]  # the end of a hold has no sequence
    assert len(sent) >= 7
    assert {one: count for one, count in sent.items() if count > 1} == {}
    posts = requests(story.tenant, member, engines.USER, "replicasets.apps")
    made = Counter(item.body["metadata"]["name"] for item in posts if item.verb == "create")
    assert len(made) >= 8 - NAMES.index(member)
    assert {one: count for one, count in made.items() if count > 1} == {}


def _sent(request: Request) -> tuple[str, int]:
    """What a patch is, and its sequence; a release is guarded by the version that it ends."""
    spec = request.body.get("spec") or {}
    for kind in ("dispatch", "hold"):
        if spec.get(kind):
            return kind, int(spec[kind]["sequence"])
    return "release", int(request.body["metadata"].get("resourceVersion", 0))


def test_two_revisions_within_a_second(realm: Realm, story: Story) -> None:
    """[MT-08] One run is superseded, one goes on, and every cluster ends at the second."""
    tenant, both = story.tenant, {"maxConcurrency": 2}
    deliver(tenant, application("twice", "app:v1", STEPS, **both))
    is_in(tenant, "twice-1", "Succeeded")
    deliver(tenant, application("twice", "app:v2", STEPS, **both))
    until(lambda: state(tenant, "twice-2"), "a run for v2", within=5, every=0.005)
    deliver(tenant, application("twice", "app:v3", STEPS, **both))  # some 0.1 s after v2
    is_in(tenant, "twice-2", "Superseded")
    for name in NAMES:
        promote(tenant, name, "twice", "app:v3")
    is_in(tenant, "twice-3", "Succeeded")
    assert tenant.get(FLEETROLLOUTS, "twice-4") == {}
    for name in NAMES:
        assert image_of(rollout(tenant, name, "twice")) == "app:v3"
    assert state(tenant, "twice-2")["phase"] == "Superseded"


@pytest.fixture
def way(realm: Realm) -> Iterator[tuple[background.Loop, Proxy]]:
    """The hub's way to the member `east`, and the loop in which it can be cut."""
    loop, proxy = background.Loop(), Proxy(realm.members["east"].plane.port)
    loop.call(proxy.heal())
    yield loop, proxy
    loop.call(proxy.refuse())
    loop.close()


def test_a_member_is_cut_off_before_during_and_after_its_turn(
    realm: Realm, way: tuple[background.Loop, Proxy]
) -> None:
    """[MT-05] It is put off and then counts; it keeps its slot and then counts; its success stands.

    When it is back before the run has ended, what was in flight there goes on.
    """
    loop, proxy = way
    tenant = realm.tenant("cut", *NAMES, east=proxy.url)
    late = {"maxConcurrency": 1, "failureBudget": 1, "unavailableClusters": {"timeout": "3s"}}
    deliver(
        tenant,
        application("during", "app:v1", STEPS, maxConcurrency=2),
        application("after", "app:v1", SIMPLE, maxConcurrency=2),
    )
    for run in ("during-1", "after-1"):
        is_in(tenant, run, "Succeeded")
    deliver(tenant, application("during", "app:v2", STEPS, **late))
    tenant.await_cluster("east", "Paused", application="during")
    lost = time.monotonic()
    loop.call(proxy.refuse())
    tenant.await_cluster("east", "Unreachable", application="during")
    deliver(tenant, application("before", "app:v1", SIMPLE, **late))
    until(lambda: state(tenant, "before-1"), "a run", within=10)
    until(lambda: _has(tenant, "west", "during", "app:v2"), "west's turn comes", within=20)
    assert time.monotonic() - lost > 2, "the lost member kept its slot until the time-out"
    assert state(tenant, "during-2")["counts"]["failed"] == 0
    assert state(tenant, "during-2")["counts"]["unreachable"] == 1
    is_in(tenant, "before-1", "SucceededWithFailures")
    assert rollout(tenant, "east", "before") == {}
    after = tenant.cluster("east", "after")
    assert after["phase"] == "Succeeded"
    assert _reachable(after) == "False"
    assert state(tenant, "after-1")["phase"] == "Succeeded"
    loop.call(proxy.heal())
    tenant.await_cluster("east", "Paused", application="during", within=30)
    for name in NAMES:
        promote(tenant, name, "during", "app:v2")
    is_in(tenant, "during-2", "Succeeded")


def _has(tenant: Tenant, member: str, name: str, image: str) -> bool:
    found = rollout(tenant, member, name)
    return bool(found) and image_of(found) == image


def _reachable(status: dict[str, Any]) -> str:
    found = {item["type"]: item["status"] for item in status.get("conditions") or ()}
    return str(found.get("Reachable", ""))
