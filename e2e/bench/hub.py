"""What a fleet of many members costs the hub: real hub, simulated members, sizes side by side.

    change    the Application's patch is answered ──> each member has the Rollout
    verdict   the engine has given it             ──> a watch of FleetRollouts shows it
    halt      an engine has failed                ──> the others are held
    restart   the hub's process begins            ──> it has looked at everything again

A change that concerns ten members is measured in each size: what it costs must not grow with the
members that it does not concern. One dead and one slow member must not cost the others anything.
"""

import asyncio
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from e2e.bench.figures import Figure, Goal
from e2e.bench.fleet import NAMESPACE, World, image, running, waited
from e2e.bench.usage import Usage

IDLE_SECONDS = 20.0
CALM_SECONDS = 6.0
"""After which nothing that a measurement has begun goes on."""
SMALL = 5
"""Changes that concern ten members."""
LARGE = 1_000
"""Members for which the design names goals."""
RECONCILED = re.compile(r'fleet_reconciliations_total\{kind="ClusterRollout",[^}]*\} (\S+)')
REACHABLE = re.compile(r"fleet_cluster_reachable\{[^}]*\} 1\.0")


@dataclass(eq=False, slots=True)
class Story:
    """One world, and the versions that go through it."""

    world: World
    numbers: dict[str, int] = field(default_factory=dict)

    async def change(self, application: str) -> tuple[float, str]:
        """The next version; when its change was answered, and its image."""
        number = self.numbers.get(application, 1) + 1
        self.numbers[application] = number
        began = await self.world.change(application, number)
        return began, image(application, number)

    async def delivered(
        self, application: str, names: Sequence[str]
    ) -> tuple[list[float], list[float]]:
        """One change through `names`: until each has it, and from each verdict until it shows."""
        began, wanted = await self.change(application)
        await self.arrived(application, wanted, names)
        await self.world.succeeded(application, self.numbers[application])
        found = self._moments(application, wanted)
        told = sorted(found[name]["told"] for name in names)
        shown = [self.world.runs.updated(wanted, count) for count in range(1, len(told) + 1)]
        visible = [end - start for start, end in zip(told, shown, strict=True) if end is not None]
        return [found[name]["put"] - began for name in names], visible

    async def arrived(self, application: str, wanted: str, names: Sequence[str]) -> None:
        """Until all of them have the image."""

        def there() -> bool:
            found = self._moments(application, wanted)
            return all("put" in found[name] for name in names)

        await waited(there, f"{wanted} in {len(names)} members", every=0.25)

    async def beside(self, names: Sequence[str]) -> list[float]:
        """One change while a member is dead and another slow, for the others; the last of all."""
        application, (dead, slow, *others) = self.world.applications[0], names
        simulation = self.world.simulation
        await asyncio.to_thread(simulation.ask, "moods", **{dead: "dead", slow: "slow"})
        await asyncio.sleep(CALM_SECONDS)
        began, wanted = await self.change(application)
        await self.arrived(application, wanted, others)
        found = self._moments(application, wanted)
        return [found[name]["put"] - began for name in others]

    async def halt(self, names: Sequence[str]) -> list[float]:
        """One fails while all others are on their way: until each of them is held."""
        application, (failing, *others) = self.world.applications[0], names
        simulation = self.world.simulation
        await asyncio.to_thread(simulation.ask, "engines", work=False)
        _, wanted = await self.change(application)
        await self.arrived(application, wanted, names)
        await asyncio.sleep(CALM_SECONDS)
        key = {"namespace": NAMESPACE, "application": application}
        await asyncio.to_thread(simulation.ask, "fail", member=failing, **key)

        def held() -> bool:
            found = self._moments(application, wanted)
            return all("held" in found[name] for name in others)

        await waited(held, f"all but {failing} are held", every=0.25)
        found = self._moments(application, wanted)
        await asyncio.to_thread(simulation.ask, "engines", work=True)
        return [found[name]["held"] - found[failing]["told"] for name in others]

    async def restart(self, items: int) -> float:
        """Seconds from the start of a new process until it has looked at everything."""
        hub, members = self.world.hub, len(self.world.simulation.names)
        await asyncio.to_thread(hub.kill)
        began = time.monotonic()
        await asyncio.to_thread(hub.start)

        def synced() -> bool:
            text = hub.metrics()
            looked = sum(float(number) for number in RECONCILED.findall(text))
            return looked >= items and len(REACHABLE.findall(text)) >= members

        await waited(synced, "the new hub has looked at everything", every=0.5)
        return time.monotonic() - began

    def _moments(self, application: str, wanted: str) -> dict[str, dict[str, float]]:
        return self.world.simulation.moments(application, wanted)


async def measure(folder: Path, number: int, applications: int, changes: int) -> list[Figure]:
    """All figures of a fleet of `number` members with so many Applications in each of them."""
    began = time.monotonic()
    async with running(folder, number, applications) as world:
        connected = time.monotonic() - began
        story, names = Story(world), world.simulation.names
        began = time.monotonic()
        await world.begin()
        created = time.monotonic() - began
        items, size = await world.items()
        found = [
            _one(f"{number} members: registered and believed", "s", connected),
            _one(f"{number} members: {items} ClusterRollouts, first version", "s", created),
            _one("hub's objects per Application and cluster: bytes in etcd", "bytes", size),
            await _idle(story, number, items),
        ]
        found += await _changes(story, number, changes)
        held = await story.halt(names)
        halts = Goal(limit=1_000, percentile=50)
        found.append(_many(f"{number} members: failed analysis → another is held", held, (halts,)))
        await asyncio.sleep(CALM_SECONDS)
        found.append(_one("hub: peak RSS", "MiB", Usage(world.hub.process.pid).peak_mb()))
        goals = (Goal(limit=60),) if number >= LARGE else ()
        seconds = await story.restart(items)
        found.append(_one(f"{items} ClusterRollouts: restart → synced", "s", seconds, goals))
        rss = Usage(world.hub.process.pid).peak_mb()
        found.append(_one("hub: peak RSS of a restart", "MiB", rss, (Goal(limit=1_536),)))
        await asyncio.sleep(CALM_SECONDS)
        alone, _ = await story.delivered(world.applications[0], names)
        beside = await story.beside(names)
        title = f"{number} members: a change → Rollout present in each"
        found += [_many(title, alone), _many(f"{title} but a dead and a slow one", beside)]
    return found


async def _idle(story: Story, number: int, items: int) -> Figure:
    await asyncio.sleep(CALM_SECONDS)
    usage = Usage(story.world.hub.process.pid)
    spent = usage.cpu_seconds()
    await asyncio.sleep(IDLE_SECONDS)
    share = 100 * (usage.cpu_seconds() - spent) / IDLE_SECONDS
    name = f"hub: idle with {number} members, {items} ClusterRollouts"
    return _one(name, "% of a core", share, (Goal(limit=5),))


async def _changes(story: Story, number: int, changes: int) -> list[Figure]:
    """To everybody, and to ten."""
    names = story.world.simulation.names
    first, *_, small = story.world.applications
    usage = Usage(story.world.hub.process.pid)
    arrivals: list[float] = []
    verdicts: list[float] = []
    for _ in range(changes):
        there, visible = await story.delivered(first, names)
        arrivals += there
        verdicts += visible
    await asyncio.sleep(CALM_SECONDS)
    few: list[float] = []
    spent = usage.cpu_seconds()
    for _ in range(SMALL):
        there, _ = await story.delivered(small, names[:10])
        few += there
    spent = (usage.cpu_seconds() - spent) / SMALL
    return [
        _many(f"{number} members: Application change → Rollout present in each", arrivals),
        _many(f"{number} members: verdict → visible in FleetRollouts", verdicts),
        _many(f"{number} members: a change for ten of them → Rollout present", few),
        _one(f"{number} members: hub's CPU of a change for ten of them", "ms", 1_000 * spent),
    ]


def _one(name: str, unit: str, value: float, goals: tuple[Goal, ...] = ()) -> Figure:
    return Figure(name=name, unit=unit, samples=(round(value, 2),), goals=goals)


def _many(name: str, seconds: Sequence[float], goals: tuple[Goal, ...] = ()) -> Figure:
    samples = tuple(round(1_000 * value, 1) for value in seconds)
    return Figure(name=name, unit="ms", samples=samples, goals=goals)
