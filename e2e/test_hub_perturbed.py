"""Perturbations of a hub's view (Sieve, OSDI 2022), with a real hub and three real members.

It dies right after a write of a run; a new one is shown a past that the world has left; events that
come and go between two looks are lost. The end is the same each time and nothing is dispatched
twice: the members' audit logs tell. Some of the writes and pasts here, all in `make check-deep`.
"""

import contextlib
import functools
import itertools
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any

import pytest

from e2e.ground import background
from e2e.ground import member as members
from e2e.ground.faults import Brake, Seen, When, always
from e2e.ground.member import Puppet, image_of
from e2e.ground.proxy import HttpProxy
from e2e.ground.waiting import until
from e2e.tenancy import NAME, Tenant, World
from fleet.api.names import (
    APPLICATIONS,
    CLUSTERROLLOUTS,
    FLEETROLLOUTS,
    ROLLOUTS,
    SERVICES,
    Resource,
)
from tests import search

HUB = "hub"
EACH = 1 if search.MANY > 1_000 else 7
"""The hub dies after every so many-th write."""
SEED = 5
WAVES = [
    {"name": "canary", "clusters": ["west"]},
    {"name": "rest", "remaining": True, "maxConcurrency": 2},
]
SIMPLE: dict[str, Any] = {"strategy": {"simple": {}}, "waves": WAVES}
TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")
UNTOLD = (
    *("history", "revision", "fleetRevision", "planDigest"),
    *("owned", "digest", "uid", "dispatch", "previousGood", "observedGeneration", "waitedSeconds"),
)
"""Keys whose values differ from run to run, and what a new process tells of its own."""


class Ways:
    """All ways of the hub lead through proxies, which share one brake."""

    def __init__(self, world: World, namespace: str) -> None:
        def counts(seen: Seen) -> bool:
            is_ours = f"/namespaces/{namespace}/" in seen.path and "/events" not in seen.path
            return seen.is_write and is_ours

        self._loop = background.Loop()
        self.brake = Brake(counts)
        planes = {HUB: world.plane} | {key: one.plane for key, one in world.puppets.items()}
        self.proxies = {
            name: HttpProxy(plane.server, plane.authority, self.brake)
            for name, plane in planes.items()
        }
        for proxy in self.proxies.values():
            self._loop.call(proxy.__aenter__())

    def do(self, change: Callable[[], object]) -> None:
        """Change something of the proxies, in their loop."""

        async def done() -> None:
            change()

        self._loop.call(done())

    def close(self) -> None:
        """End all proxies."""
        for proxy in self.proxies.values():
            self._loop.call(proxy.__aexit__(None, None, None))
        self._loop.close()


@dataclass(kw_only=True)
class Scene:
    """One tenant whose Application gets one version after the other."""

    tenant: Tenant
    ways: Ways
    number: int = 0
    deaths: Counter[str] = field(default_factory=Counter)
    """Phases in which the hub died."""

    @functools.cached_property
    def usual(self) -> tuple[int, Any]:
        """How many writes a run takes that nothing befalls, and the picture at its end."""
        before = self.ways.brake.written
        picture = self.play()
        return self.ways.brake.written - before, picture

    def play(self, dies_after: int = 0) -> Any:
        """The picture at the end of a run of the next version; the hub may die in its midst."""
        self.set_out(dies_after)
        self.come_to_the_end()
        self.ways.do(self.ways.brake.release)
        return self.picture()

    def set_out(self, dies_after: int = 0) -> None:
        """The next version is asked for; the hub stands still after so many writes."""
        self.number += 1
        if dies_after:
            self.ways.do(lambda: self.ways.brake.after(dies_after))
        self.tenant.deliver(self.image, **SIMPLE)

    def ends_as(self, expected: Any, what: str) -> None:
        """Wait for that picture; what differs is told where it does not come."""
        with contextlib.suppress(TimeoutError):
            until(lambda: self.picture() == expected, what, within=10)
        assert self.picture() == expected, what

    def come_to_the_end(self) -> None:
        """Engines do what they are told, and a hub that has died is started again."""

        def is_over() -> bool:
            if self.ways.brake.held.is_set():
                self.deaths[self.tenant.run(self.number).get("phase", "no run")] += 1
                self.restart()
            return self.is_over()

        until(is_over, f"the end of run {self.number}", within=30, every=0.02)

    def is_over(self) -> bool:
        """Whether the run has come to its end; engines do what they are told meanwhile."""
        for puppet in self.tenant.puppets.values():
            self._work(puppet)
        return bool(self.tenant.run(self.number).get("phase") == "Succeeded")

    def restart(self, meanwhile: Callable[[], object] = int) -> None:
        """SIGKILL, and a new process."""
        hub, brake = self.tenant.world.hub, self.ways.brake
        hub.kill()
        until(lambda: not brake.waiting, "what the dead one asked is gone", within=10)
        self.ways.do(brake.release)
        self.ways.do(meanwhile)
        hub.start(server=self.ways.proxies[HUB].url)

    @property
    def image(self) -> str:
        return f"app:v{self.number}"

    def _work(self, puppet: Puppet) -> None:
        """What an engine does at once: everything."""
        found = puppet.rollout(self.tenant.namespace, NAME)
        if found is None or image_of(found) != self.image:
            return
        status = found.get("status") or {}
        if status.get("observedGeneration") != found["metadata"]["generation"]:
            done = {"stablePodHash": "0123456789", "currentWeight": 100}
            puppet.report(self.tenant.namespace, NAME, "Completed", **done)

    def picture(self) -> Any:
        """Everything that anybody can see, but for times and for what tells runs apart."""
        members_ = {name: self._member(one) for name, one in self.tenant.puppets.items()}
        items = {name: self.tenant.cluster(name) for name in members_}
        told = [self.tenant.run(self.number), items, members_]
        text = json.dumps(_plain(told)).replace(f"{NAME}-{self.number}", "RUN")
        return json.loads(TIME.sub("TIME", text.replace(self.image, "IMAGE")))

    def _member(self, puppet: Puppet) -> Any:
        where = SERVICES.path(self.tenant.namespace)
        services = puppet.plane.call("GET", where)[1]["items"]
        rollout = puppet.rollout(self.tenant.namespace, NAME) or {}
        return [rollout["spec"], rollout["status"]["phase"], [one["spec"] for one in services]]

    def sent(self) -> dict[str, list[int]]:
        """The sequences that each member has been sent and has taken."""
        return {name: self.tenant.dispatches(name) for name in self.tenant.puppets}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if key not in UNTOLD}
    return [_plain(item) for item in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def scene(world: World) -> Iterator[Scene]:
    """Every way leads through a proxy, and the first two versions are there."""
    tenant = world.tenant()
    ways = Ways(world, tenant.namespace)
    for name, puppet in tenant.puppets.items():
        text = members.kubeconfig(puppet.plane, server=ways.proxies[name].url)
        tenant.register(name, text)
    made = Scene(tenant=tenant, ways=ways)
    made.restart()
    made.play()
    yield made
    for name, puppet in tenant.puppets.items():
        tenant.register(name, members.kubeconfig(puppet.plane))
    world.hub.kill()
    world.hub.start()
    ways.close()


@pytest.mark.hypothesis
def test_a_hub_that_dies_after_a_write_changes_nothing_of_the_end(scene: Scene) -> None:
    writes, expected = scene.usual
    first = Random(SEED).randint(1, EACH)
    points = range(first, writes + 1, EACH)
    for number in points:
        scene.play(dies_after=number)
        scene.ends_as(expected, f"the hub died after write {number}")
    every = list(range(1, scene.number + 1))
    assert scene.sent() == dict.fromkeys(scene.tenant.puppets, every), "nothing came twice"
    died = ", ".join(f"{phase} {count}" for phase, count in scene.deaths.items())
    print(f"seed {SEED}: {writes} writes; the hub died after {list(points)}: {died}")
    # A run that is disturbed may come out with fewer writes, for what is due is written at once.
    assert scene.deaths.total() >= max(1, len(points) // 2)


def of(*resources: Resource) -> When:
    """Requests about these kinds."""
    return lambda seen: any(f"/{item.plural}" in seen.path for item in resources)


def whole(*resources: Resource) -> When:
    """Lists and watches of these kinds. Caches that lag are those; whoever is asked for a name, or
    for what belongs to one, tells the truth."""
    return lambda seen: of(*resources)(seen) and "Selector=" not in seen.path


PASTS = (
    (APPLICATIONS, FLEETROLLOUTS, CLUSTERROLLOUTS),
    (APPLICATIONS,),
    (FLEETROLLOUTS,),
    (CLUSTERROLLOUTS,),
    (APPLICATIONS, CLUSTERROLLOUTS),
)
"""Kinds that a new hub is shown as they were."""
BLIND_SECONDS = 1.0
"""So long it may act on that."""


@pytest.mark.hypothesis
@pytest.mark.timeout(3_600)
def test_a_past_that_the_world_has_left_changes_nothing(scene: Scene) -> None:
    """A hub dies on its way, or later; the next one sees what was before that way, for a while."""
    hub, held = scene.ways.proxies[HUB], scene.ways.brake.held
    writes, expected = scene.usual
    later = writes + 1
    moments = [*range(1, later, 4), later] if EACH == 1 else [Random(SEED).randint(2, writes - 1)]
    for kinds, at in itertools.product(PASTS if EACH == 1 else PASTS[:1], moments):
        if EACH == 1:
            scene.restart()  # it asks for its lists: they will be the past, else older ones
        scene.set_out(dies_after=at)
        until(lambda: scene.is_over() or held.is_set(), f"write {at}", within=20)
        scene.restart(partial(lambda kinds: hub.view.show_past(whole(*kinds)), kinds))
        time.sleep(BLIND_SECONDS)
        scene.ways.do(hub.view.show_present)
        scene.come_to_the_end()

        what = f"the past of {[kind.plural for kind in kinds]} after write {at}"
        scene.ends_as(expected, what)
        every = list(range(1, scene.number + 1))
        assert scene.sent() == dict.fromkeys(scene.tenant.puppets, every), what
        assert scene.tenant.get(FLEETROLLOUTS, f"{NAME}-{scene.number + 1}") == {}, what
    print(f"seed {SEED}: {writes} writes; pasts after {moments}")


@pytest.mark.hypothesis
@pytest.mark.timeout(3_600)
def test_events_that_nobody_sees_change_nothing(scene: Scene) -> None:
    """In the midst of a run neither the hub's own plane nor any member tells of what happens."""
    brake, proxies = scene.ways.brake, scene.ways.proxies.values()
    writes, expected = scene.usual
    dice = Random(SEED)
    for at in [dice.randint(1, writes - 1) for _ in range(10 if EACH == 1 else 1)]:
        before, wanted = scene.sent(), brake.written + at
        scene.set_out()
        until(
            partial(lambda wanted: scene.is_over() or brake.written >= wanted, wanted),
            f"{at}",
            within=20,
        )
        for proxy in proxies:
            scene.ways.do(partial(proxy.view.miss, always))
        end = time.monotonic() + BLIND_SECONDS
        while time.monotonic() < end:
            scene.is_over()
        for proxy in proxies:
            scene.ways.do(proxy.view.show_present)
            scene.ways.do(proxy.expire_watches)
        scene.come_to_the_end()

        what = f"nobody saw what followed write {at}"
        scene.ends_as(expected, what)
        once = {name: [*known, known[-1] + 1] for name, known in before.items()}
        assert scene.sent() == once, what
    print(f"seed {SEED}: {writes} writes; the last one after {at} of them")


def test_events_that_are_lost_are_made_good_by_the_next_list(scene: Scene) -> None:
    """An Application changes twice, a Rollout goes, and the hub hears of nothing."""
    tenant, ways = scene.tenant, scene.ways
    hub, west = ways.proxies[HUB], ways.proxies["west"]
    ways.do(lambda: hub.view.miss(of(APPLICATIONS)))
    ways.do(lambda: west.view.miss(of(ROLLOUTS)))
    before = scene.sent()
    scene.number += 1
    tenant.deliver("app:missed", **SIMPLE)
    tenant.deliver(scene.image, **SIMPLE)
    path = ROLLOUTS.path(tenant.namespace, NAME)
    assert tenant.puppets["west"].plane.call("DELETE", path)[0] == 200
    for proxy in (hub, west):
        ways.do(proxy.view.show_present)
        ways.do(proxy.expire_watches)
    scene.come_to_the_end()
    after = scene.sent()
    for name in ("east", "north"):
        assert after[name] == [*before[name], scene.number]
    new = after["west"][len(before["west"]) :]
    assert new == sorted(set(new)), "once each"
    assert scene.tenant.get(FLEETROLLOUTS, f"{NAME}-{scene.number + 1}") == {}
