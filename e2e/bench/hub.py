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
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from e2e.bench import copies
from e2e.bench.figures import Figure, Goal
from e2e.bench.fleet import NAMESPACE, World, image, running, waited
from e2e.bench.usage import Pulse, Usage
from fleet.clusters.watch import QUIET

IDLE_SECONDS = 20.0
GLANCE_SECONDS, SCRAPE_SECONDS, STILL_SECONDS = 0.25, 1.0, 2.0
"""Between two looks at how busy a hub is; at least between two at its metrics, which cost it the
more the more members there are, and say nothing that counts while it is busy; after which it is
believed to look at nothing more."""
ALONG_SECONDS = 0.1
"""Who is held so soon after the Rollout arrived has not begun: two writes of one dispatch."""
BUSY_SHARE = 0.5
"""Of a core."""
CALM_SECONDS = 6.0
"""After which nothing that a measurement has begun goes on."""
SETTLED_SECONDS = QUIET[1] + CALM_SECONDS
"""After which every watch of a new hub has been asked for once more: before, it does not know if
its server sends bookmarks."""
SMALL = 5
"""Changes that concern ten members."""
LARGE = 1_000
"""Members for which the design names goals."""
DELIVERED = 2_000
"""ClusterRollouts that the hub delivers itself; more are copied."""
VERDICTS, BREATH = 20, 0.3
VERDICT_GOALS = (Goal(limit=100, percentile=50), Goal(limit=500, percentile=99))
RECONCILED = re.compile(r'fleet_reconciliations_total\{kind="(\w+)",[^}]*\} (\S+)')
LOOKED_AT = ("ClusterRollout", "Application", "FleetRollout")
"""Of these a new hub is through when their number stands still."""
REACHABLE = re.compile(r"fleet_cluster_reachable\{[^}]*\} 1\.0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Halt:
    """Seconds since the verdict."""

    said: float
    """Until the run says it."""
    held: tuple[float, ...]
    """Until each of the others is held."""
    late: tuple[float, ...]
    """Of those that still began."""


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

    async def beside(self, names: Sequence[str], times: int) -> list[float]:
        """Changes while a member is dead and another slow, for the others; the last of all."""
        application, (dead, slow, *others) = self.world.applications[0], names
        await self.ask("moods", **{dead: "dead", slow: "slow"})
        await asyncio.sleep(CALM_SECONDS)
        passed: list[float] = []
        for _ in range(times):
            began, wanted = await self.change(application)
            await self.arrived(application, wanted, others)
            found = self._moments(application, wanted)
            passed += [found[name]["put"] - began for name in others]
            await asyncio.sleep(CALM_SECONDS)
        return passed

    async def verdicts(self, names: Sequence[str]) -> list[float]:
        """One verdict after another while nothing else is under way: until each shows."""
        application = self.world.applications[0]
        wanted = await self._begun(application, names)
        passed: list[float] = []
        for count, name in enumerate(names[:VERDICTS], start=1):
            await self.ask("complete", member=name, namespace=NAMESPACE, application=application)
            shown = await self._shown(wanted, count)
            passed.append(shown - self._moments(application, wanted)[name]["told"])
            await asyncio.sleep(BREATH)
        await self.ask("engines", work=True)
        await self.world.succeeded(application, self.numbers[application])
        return passed

    async def halt(self, names: Sequence[str]) -> Halt:
        """One fails while all others are on their way."""
        application, (failing, *others) = self.world.applications[0], names
        wanted = await self._begun(application, names)
        await self._fail(application, failing)
        return await self._halted(application, wanted, failing, others)

    async def early(self, names: Sequence[str]) -> Halt:
        """One of the first fails while most have not begun: what goes on is begun too late."""
        application = self.world.applications[0]
        await self.ask("engines", work=False)
        _, wanted = await self.change(application)

        def some() -> list[str]:
            found = self._moments(application, wanted)
            return [name for name in names if "put" in found[name]]

        await waited(some, "one of them has begun", every=0.02)
        failing = some()[0]
        await self._fail(application, failing)
        await waited(
            lambda: (wanted, "Halted") in self.world.runs.phases, f"the run of {wanted} halts"
        )
        await asyncio.sleep(CALM_SECONDS)
        others = [name for name in some() if name != failing]
        return await self._halted(application, wanted, failing, others)

    async def restart(
        self, items: int, applications: int, meanwhile: Callable[[], Awaitable[None]]
    ) -> float:
        """Seconds from the start of a new process until it has looked at everything, and need not
        look again."""
        hub, members = self.world.hub, len(self.world.simulation.names)
        await asyncio.to_thread(hub.kill)
        await meanwhile()
        began = time.monotonic()
        await asyncio.to_thread(hub.start)
        pulse = Pulse(Usage(hub.process.pid))
        moments = [(began, 0)]
        """When it had looked how often, the last time that this had grown."""
        scraped = began

        def synced() -> bool:
            nonlocal scraped
            if pulse.share() > BUSY_SHARE or time.monotonic() - scraped < SCRAPE_SECONDS:
                return False
            text = hub.metrics()
            scraped = time.monotonic()  # what it says has happened until now
            looked = _looked(text)
            if looked.total() > moments[-1][1]:
                moments.append((scraped, looked.total()))
                return False
            is_still = scraped - moments[-1][0] >= STILL_SECONDS
            is_all = looked["ClusterRollout"] >= items and looked["Application"] >= applications
            return is_still and is_all and len(REACHABLE.findall(text)) >= members

        await waited(synced, "the new hub has looked at everything", every=GLANCE_SECONDS)
        return moments[-1][0] - began

    async def ask(self, path: str, **body: Any) -> None:
        """An order for the simulation."""
        await asyncio.to_thread(self.world.simulation.ask, path, **body)

    async def _shown(self, wanted: str, count: int) -> float:
        """When so many clusters were first seen to have that image."""
        runs = self.world.runs
        await waited(lambda: runs.updated(wanted, count) is not None, f"{count} have {wanted}")
        return runs.updated(wanted, count) or 0.0

    async def _begun(self, application: str, names: Sequence[str]) -> str:
        """The image of a change that all have, and of which no engine says anything."""
        await self.ask("engines", work=False)
        _, wanted = await self.change(application)
        await self.arrived(application, wanted, names)
        await asyncio.sleep(CALM_SECONDS)
        return wanted

    async def _fail(self, application: str, name: str) -> None:
        await self.ask("fail", member=name, namespace=NAMESPACE, application=application)

    async def _halted(
        self, application: str, wanted: str, failing: str, others: Sequence[str]
    ) -> Halt:
        """Until the run says so and all others are held; engines work again then."""

        def held() -> bool:
            found = self._moments(application, wanted)
            return all("held" in found[name] for name in others)

        await waited(held, f"all but {failing} are held", every=0.25)
        await waited(lambda: (wanted, "Halted") in self.world.runs.phases, f"{wanted} halts")
        found = self._moments(application, wanted)
        await self.ask("engines", work=True)
        told = found[failing]["told"]
        theirs = [found[name] for name in others]
        begun = [one for one in theirs if one["held"] - one["put"] > ALONG_SECONDS]
        return Halt(
            said=self.world.runs.phases[wanted, "Halted"] - told,
            held=tuple(one["held"] - told for one in theirs),
            late=tuple(one["put"] - told for one in begun if one["put"] > told),
        )

    def _moments(self, application: str, wanted: str) -> dict[str, dict[str, float]]:
        return self.world.simulation.moments(application, wanted)


async def measure(folder: Path, number: int, applications: int, changes: int) -> list[Figure]:
    """All figures of a fleet of `number` members with so many Applications in each of them; without
    changes only what it costs to be there, and to begin again."""
    began = time.monotonic()
    delivered = min(applications, max(DELIVERED // number, 2))
    async with running(folder, number, delivered) as world:
        connected = time.monotonic() - began
        story = Story(world)
        usage = Usage(world.hub.process.pid)
        found = [_one(f"{number} members: registered and believed", "s", connected)]
        found.append(
            _one(f"{number} members: hub's RSS before any Application", "MiB", usage.rss_mb())
        )
        found.append(await _idle(story, number, 0))
        began = time.monotonic()
        await world.begin()
        created = time.monotonic() - began
        items, size = await world.items()
        found += [
            _one(f"{number} members: {items} ClusterRollouts, first version", "s", created),
            _one("hub's objects per Application and cluster: bytes in etcd", "bytes", size),
            await _idle(story, number, items, SETTLED_SECONDS),
        ]
        if changes:
            found += await _changes(story, number, changes)
            found += await _halts(story, number)
            await asyncio.sleep(CALM_SECONDS)
        found.append(_one("hub: peak RSS", "MiB", usage.peak_mb()))
        found += await _restart(story, number, applications - delivered, items)
        if changes:
            found += await _beside(story, number, changes)
    return found


async def _halts(story: Story, number: int) -> list[Figure]:
    """Of one that fails last, and of one that fails first."""
    names = story.world.simulation.names
    late = await story.halt(names)
    await asyncio.sleep(CALM_SECONDS)
    early = await story.early(names)
    title, goals = f"{number} members: failed analysis →", (Goal(limit=1_000),)
    started = max(early.late, default=0.0)
    return [
        _many(f"{title} the run says Halted", [late.said, early.said], goals),
        _many(f"{title} the last that still begins", [started], goals),
        _one(f"{title} begun after it, of {number}", "clusters", len(early.late)),
        _many(f"{title} another is held", late.held),
    ]


async def _restart(story: Story, number: int, more: int, items: int) -> list[Figure]:
    """A new process, which finds as many Applications as are wanted."""
    world = story.world
    began = time.monotonic()

    async def meanwhile() -> None:
        if not more:
            return
        # Of all that the hub has delivered, one that has had no change since.
        pattern = await copies.Pattern.of(world, world.applications[1])
        for index in range(more):
            await copies.copy(world, pattern, f"cpy-{index:03}")
        await copies.counted(world, more)

    total = items + more * number
    seconds = await story.restart(total, len(world.applications) + more, meanwhile)
    copied = time.monotonic() - began - seconds
    usage = Usage(world.hub.process.pid)
    goals = (Goal(limit=60),) if number >= LARGE else ()
    found = [
        _one(f"{total} ClusterRollouts: restart → synced", "s", seconds, goals),
        _one(f"{total} ClusterRollouts: CPU of a restart", "s", usage.cpu_seconds()),
        await _idle(story, number, total, SETTLED_SECONDS),
        _one("hub: peak RSS of a restart", "MiB", usage.peak_mb(), (Goal(limit=1_536),)),
        _one("hub: RSS at rest", "MiB", usage.rss_mb(), (Goal(limit=1_536),)),
    ]
    return [_one(f"{more * number} ClusterRollouts copied", "s", copied), *found] if more else found


async def _beside(story: Story, number: int, changes: int) -> list[Figure]:
    """What a dead and a slow member cost the others."""
    names, application = story.world.simulation.names, story.world.applications[0]
    alone: list[float] = []
    for _ in range(changes):
        there, _ = await story.delivered(application, names)
        alone += there
        await asyncio.sleep(CALM_SECONDS)
    beside = await story.beside(names, changes)
    title = f"{number} members: a change → Rollout present in each"
    figures = [_many(title, alone), _many(f"{title} but a dead and a slow one", beside)]
    worse = 100 * (figures[1].percentile(99) / figures[0].percentile(99) - 1)
    name = f"{number} members: p99 of the others is longer by"
    return [*figures, _one(name, "%", worse, (Goal(limit=10),))]


async def _idle(story: Story, number: int, items: int, calm: float = CALM_SECONDS) -> Figure:
    await asyncio.sleep(calm)
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
    quiet = await story.verdicts(names)
    await asyncio.sleep(CALM_SECONDS)
    few: list[float] = []
    spent = usage.cpu_seconds()
    for _ in range(SMALL):
        there, _ = await story.delivered(small, names[:10])
        few += there
    spent = (usage.cpu_seconds() - spent) / SMALL
    return [
        _many(f"{number} members: Application change → Rollout present in each", arrivals),
        _many(f"{number} members: verdict → visible, all at once beside the change", verdicts),
        _many(f"{number} members: verdict → visible, one after another", quiet, VERDICT_GOALS),
        _many(f"{number} members: a change for ten of them → Rollout present", few),
        _one(f"{number} members: hub's CPU of a change for ten of them", "ms", 1_000 * spent),
    ]


def _looked(metrics: str) -> Counter[str]:
    """How often at which kind."""
    found: Counter[str] = Counter()
    for kind, number in RECONCILED.findall(metrics):
        found[kind] += int(float(number)) if kind in LOOKED_AT else 0
    return found


def _one(name: str, unit: str, value: float, goals: tuple[Goal, ...] = ()) -> Figure:
    return Figure(name=name, unit=unit, samples=(round(value, 2),), goals=goals)


def _many(name: str, seconds: Sequence[float], goals: tuple[Goal, ...] = ()) -> Figure:
    samples = tuple(round(1_000 * value, 1) for value in seconds)
    return Figure(name=name, unit="ms", samples=samples, goals=goals)
