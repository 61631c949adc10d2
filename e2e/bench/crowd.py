"""N Rollouts of one control plane: made, changed over 8 connections, watched until all are well.

Used by the benchmarks of the engine and of its peer. Never acts for either.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from e2e.bench.seeing import Manifest
from e2e.ground.controlplane import ControlPlane
from e2e.ground.subject import Subject
from fleet.api import names
from fleet.api.names import Resource
from fleet.clusters.client import Client
from fleet.clusters.store import Change
from fleet.clusters.watch import Informer

CONNECTIONS = 8
NAMESPACE = "bench"


class Member(Protocol):
    """One Rollout, of whatever kind."""

    @property
    def name(self) -> str: ...

    def manifest(self, image: str) -> dict[str, Any]:
        """The object as a user writes it."""


def is_completed(status: Mapping[str, Any], generation: int) -> bool:
    """Whether one of our Rollouts is as its spec wants it."""
    over = status.get("phase") == "Completed"
    fresh = status.get("observedGeneration") == generation
    return over and fresh and status.get("stablePodHash") == status.get("currentPodHash")


@dataclass(eq=False, slots=True)
class Crowd:
    """See the module. Run `informer` beside."""

    client: Client
    subjects: Sequence[Member]
    resource: Resource = names.ROLLOUTS
    is_over: Callable[[Mapping[str, Any], int], bool] = is_completed
    """Whether a status says that the spec of that generation is in force."""
    informer: Informer[Manifest] = field(init=False)
    _done: dict[str, str] = field(default_factory=dict)
    """Rollout → the image that it has completed."""
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.informer = Informer(self.client, self.resource, decode=dict, on=self._see)

    async def create(self, image: str) -> None:
        """Make them all."""
        await self._each("POST", image)

    async def change(self, image: str) -> None:
        """Give them all another image, by merge patches."""
        await self._each("PATCH", image)

    async def healthy(self, image: str) -> None:
        """Until all are completed with `image`."""
        while sum(found == image for found in self._done.values()) < len(self.subjects):
            self._changed.clear()
            await self._changed.wait()

    async def _each(self, method: str, image: str) -> None:
        waiting = iter(self.subjects)

        async def work() -> None:
            for subject in waiting:
                manifest = subject.manifest(image)
                if method == "POST":
                    await self.client.create(self.resource, manifest)
                else:
                    body = {"spec": {"template": manifest["spec"]["template"]}}
                    await self.client.patch(self.resource, subject.name, NAMESPACE, body)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(CONNECTIONS):
                tasks.create_task(work())

    def _see(self, change: Change[Manifest]) -> None:
        if change.new is None:
            return
        status, meta = change.new.get("status") or {}, change.new["metadata"]
        is_over = self.is_over(status, meta["generation"])
        image = change.new["spec"]["template"]["spec"]["containers"][0]["image"]
        self._done[meta["name"]] = image if is_over else ""
        self._changed.set()


def subjects(
    plane: ControlPlane, number: int, strategy: Callable[[str], Mapping[str, Any]], replicas: int
) -> tuple[Subject, ...]:
    """So many Rollouts, alike but for their names, of which their strategy is made."""
    titles = [f"bench-{index:05}" for index in range(number)]
    return tuple(
        Subject(
            plane=plane,
            namespace=NAMESPACE,
            name=title,
            replicas=replicas,
            strategy=strategy(title),
        )
        for title in titles
    )
