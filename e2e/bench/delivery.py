"""From an Application's change to its members, from their verdicts back, and from a failure to the
halt: measured on real API servers by their audit logs.

    change   the Application's patch is answered ──> the last member has stored the Rollout
    verdict  an engine's status write is stored  ──> a watch of FleetRollouts shows it
    halt     an engine's Failed write is stored  ──> the first, and the last, `hold` elsewhere
"""

import asyncio
from datetime import datetime
from pathlib import Path

from e2e.bench.figures import Figure, Goal
from e2e.bench.seeing import patiently
from e2e.bench.usage import Usage
from e2e.bench.world import World, image_of_run, phase_of, running, updated_by
from e2e.ground.audit import Request
from e2e.ground.controlplane import ADMIN, ControlPlane
from e2e.ground.member import HUB_USER
from fleet.api.names import APPLICATIONS, ROLLOUTS

BREATH = 0.15
"""Seconds between a change and the next, so that one sample does not pay for another."""
CHANGE_GOALS = {3: Goal(limit=250, percentile=90), 20: Goal(limit=1_000, percentile=90)}
VERDICT_GOALS = (Goal(limit=100, percentile=50), Goal(limit=500, percentile=99))
HALT_GOALS = (Goal(limit=1_000, percentile=99),)
WARM_UP = 3


class Story:
    """One world, and the versions that go through it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.number = 0
        self.changes: list[float] = []
        self.verdicts: list[float] = []
        self.first_holds: list[float] = []
        self.last_holds: list[float] = []

    async def deliver(self) -> str:
        """The next version; its image."""
        self.number += 1
        image = f"app:v{self.number}"
        await self.world.deliver(image)
        return image

    async def begin(self) -> None:
        """A first version everywhere, and a few more until everything is warm."""
        for _ in range(WARM_UP):
            await self.world.complete(await self.deliver())

    async def change(self) -> None:
        """One change and the verdicts on it, member by member."""
        marks = self._marks()
        image = await self.deliver()
        await self.world.everywhere(image)
        await asyncio.sleep(BREATH)
        asked = _one(self._hub_writes(marks), resource=_name(APPLICATIONS), verb="patch")
        arrived = [_dispatch(self._member_writes(name, marks), image) for name in marks[1]]
        self.changes.append(_milliseconds(asked.answered, max(item.answered for item in arrived)))
        for count, name in enumerate(self.world.members, start=1):
            self.verdicts.append(await self._verdict(name, image, count))

    async def halt(self) -> None:
        """One member fails while the others are in flight; then a good version ends it."""
        image = await self.deliver()
        await self.world.everywhere(image)
        await asyncio.sleep(BREATH)
        marks = self._marks()
        failing, *others = self.world.members
        await self.world.members[failing].fail()
        await self.world.runs.seen(
            lambda run: image_of_run(run) == image and phase_of(run) == "Halted", "a halt"
        )
        for name in others:
            await self.world.members[name].rollouts.seen(
                lambda found: "hold" in found["spec"], f"{name} is held"
            )
        await asyncio.sleep(BREATH)
        failed = _status(self._member_writes(failing, marks))
        holds = [_hold(self._member_writes(name, marks)) for name in others]
        times = [_milliseconds(failed.answered, item.answered) for item in holds]
        self.first_holds.append(min(times))
        self.last_holds.append(max(times))
        await self.world.complete(await self.deliver())

    async def _verdict(self, name: str, image: str, count: int) -> float:
        member = self.world.members[name]
        mark = member.plane.audit.mark()
        shown = self.world.runs.when(
            lambda run: image_of_run(run) == image and updated_by(run) >= count
        )
        await member.complete()
        sighting = await patiently(shown, f"{name}'s verdict is visible")
        await asyncio.sleep(BREATH)
        written = _status(member.plane.audit.read(since=mark, writes=True))
        return (sighting.at - written.answered.timestamp()) * 1_000

    def _marks(self) -> tuple[int, dict[str, int]]:
        members = self.world.members.items()
        return self.world.plane.audit.mark(), {
            name: member.plane.audit.mark() for name, member in members
        }

    def _hub_writes(self, marks: tuple[int, dict[str, int]]) -> tuple[Request, ...]:
        return self.world.plane.audit.read(since=marks[0], user=ADMIN, writes=True)

    def _member_writes(self, name: str, marks: tuple[int, dict[str, int]]) -> tuple[Request, ...]:
        plane: ControlPlane = self.world.members[name].plane
        return plane.audit.read(since=marks[1][name], writes=True)


async def measure(folder: Path, number: int, *, changes: int, halts: int) -> list[Figure]:
    """Changes with their verdicts, then halts, in one world of `number` members."""
    async with running(folder, number) as world:
        story = Story(world)
        await story.begin()
        usage = Usage(world.hub.process.pid)
        spent = usage.cpu_seconds()
        for _ in range(changes):
            await story.change()
        spent = usage.cpu_seconds() - spent
        for _ in range(halts):
            await story.halt()
        rss = usage.peak_mb()
    return _figures(story, number, spent, rss)


def _figures(story: Story, number: int, spent: float, rss: float) -> list[Figure]:
    result = []
    if story.changes:
        goals = tuple(goal for most, goal in CHANGE_GOALS.items() if number == most)
        result += [
            Figure(
                name=f"Application change → Rollout present in {number} members",
                unit="ms",
                samples=_rounded(story.changes),
                goals=goals,
            ),
            Figure(
                name="member verdict → visible in kubectl get fleetrollouts",
                unit="ms",
                samples=_rounded(story.verdicts),
                goals=VERDICT_GOALS,
            ),
            Figure(
                name=f"hub: CPU of one change with its {number} verdicts",
                unit="ms",
                samples=(round(spent * 1_000 / len(story.changes), 1),),
            ),
        ]
    if story.first_holds:
        result += [
            Figure(
                name="failed analysis → first other member held",
                unit="ms",
                samples=_rounded(story.first_holds),
                goals=HALT_GOALS,
            ),
            Figure(
                name="failed analysis → all members held",
                unit="ms",
                samples=_rounded(story.last_holds),
            ),
        ]
    return [*result, Figure(name="hub: peak RSS", unit="MiB", samples=(round(rss, 1),))]


def _dispatch(requests: tuple[Request, ...], image: str) -> Request:
    """The hub's write that brought the image."""
    return next(
        item
        for item in requests
        if (item.user, item.resource, item.subresource) == (HUB_USER, _name(ROLLOUTS), "")
        and item.code < 300
        and f'"{image}"' in str(item.body).replace("'", '"')
    )


def _hold(requests: tuple[Request, ...]) -> Request:
    """The hub's first write that holds."""
    return next(
        item
        for item in requests
        if (item.user, item.resource, item.subresource) == (HUB_USER, _name(ROLLOUTS), "")
        and item.code < 300
        and ((item.body or {}).get("spec") or {}).get("hold")
    )


def _status(requests: tuple[Request, ...]) -> Request:
    """The imitated engine's write."""
    return _one(requests, user=ADMIN, resource=_name(ROLLOUTS), subresource="status")


def _one(requests: tuple[Request, ...], **equal: str) -> Request:
    (found,) = (item for item in requests if all(getattr(item, key) == equal[key] for key in equal))
    return found


def _name(resource: object) -> str:
    return f"{resource.plural}.{resource.group}"  # type: ignore[attr-defined]


def _milliseconds(begin: datetime, end: datetime) -> float:
    return (end - begin).total_seconds() * 1_000


def _rounded(values: list[float]) -> tuple[float, ...]:
    return tuple(round(value, 1) for value in values)
