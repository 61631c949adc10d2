"""A cast on its way, the engine that leads it, and the way between that and its API server.

Used by the tests that disturb the engine. What befalls it is done here, in the loop of the proxy.

    with perturbed.playing(cluster, place, troupe) as scene:
        scene.play(7)                # everybody to the next version; it dies after 7 writes
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from e2e import routers
from e2e.cast import Actor
from e2e.ground import background
from e2e.ground.controlplane import ControlPlane
from e2e.ground.engine import Engine
from e2e.ground.faults import Brake, Seen
from e2e.ground.proxy import HttpProxy
from e2e.ground.waiting import until
from fleet.api import names


@dataclass(kw_only=True)
class Scene:
    """Some Rollouts in one namespace, an engine, and the way between it and its API server."""

    troupe: tuple[Actor, ...]
    running: Engine
    proxy: HttpProxy
    do: Callable[[Callable[[], object]], None]
    """Changes something of the proxy, in its loop."""
    usual: tuple[int, list[Any]] = (0, [])
    """How many writes an undisturbed way takes, and what is seen at its end."""
    deaths: list[int] = field(default_factory=list)
    phases: Counter[str] = field(default_factory=Counter)
    """In which phases Rollouts were when something befell the engine."""

    @property
    def brake(self) -> Brake:
        return self.proxy.brake

    def rehearse(self) -> None:
        """One version without any trouble: with its way others are compared."""
        before = self.brake.written
        self.play()
        count, first = self.brake.written - before, self.pictures()

        def rests() -> bool:
            nonlocal first
            last, first = first, self.pictures()
            return last == first

        until(rests, "nothing moves", within=10, every=1.0)
        self.usual = count, first

    def play(self, *dies_after: int) -> None:
        """Everybody goes to the next version. The engine dies when it has written so often, counted
        from its last death."""
        left = list(dies_after)
        for actor in self.troupe:
            actor.set_out()
        self.arm(left)

        def is_over() -> bool:
            if self.brake.held.is_set():
                self.deaths.append(self.brake.written)
                self.restart()
                self.arm(left)
            return self.is_over()

        until(is_over, f"the end of {[x.image(x.number) for x in self.troupe]}", within=40)
        self.do(self.brake.release)

    def is_over(self) -> bool:
        """Whether all have come to their end; people come to each of them."""
        return all([actor.comes_to_its_end() for actor in self.troupe])

    def arm(self, left: list[int]) -> None:
        """The next death."""
        if left:
            number = left.pop(0)
            self.do(lambda: self.brake.after(number))

    def restart(self, meanwhile: Callable[[], object] = int) -> None:
        """SIGKILL, and a new process."""
        self.note()
        self.running.kill()
        until(lambda: not self.brake.waiting, "what the dead one asked is gone", within=10)
        self.do(self.brake.release)
        self.do(meanwhile)
        self.running.start(server=self.proxy.url)

    def note(self) -> None:
        """Something befalls the engine now."""
        self.phases.update(str(actor.subject.status.get("phase")) for actor in self.troupe)

    def pictures(self) -> list[Any]:
        """What is seen of each now."""
        return [actor.picture() for actor in self.troupe]

    def end(self, expected: list[Any]) -> list[Any]:
        """What is seen when it looks as `expected`, or does not come to that: the last writes may
        be late."""
        with suppress(TimeoutError):
            until(lambda: self.pictures() == expected, "the end", within=10)
        return self.pictures()

    def twice(self) -> dict[str, int]:
        """ReplicaSets that were made more than once."""
        return {name: count for name, count in self._made().items() if count > 1}

    def unmade(self) -> int:
        """How many that were needed nobody was told to have made: none, where the engine was only
        killed when nothing that it had written was under way."""
        return sum(actor.number for actor in self.troupe) - len(self._made())

    def _made(self) -> Counter[str]:
        return sum((actor.made() for actor in self.troupe), Counter[str]())


@contextmanager
def playing(plane: ControlPlane, place: str, troupe: tuple[Actor, ...]) -> Iterator[Scene]:
    """The engine runs, and everybody has come to the first version."""
    loop = background.Loop()
    brake = Brake(lambda seen: _counts(seen, place))
    proxy = HttpProxy(plane.server, plane.authority, brake)
    loop.call(proxy.__aenter__())

    def do(change: Callable[[], object]) -> None:
        async def done() -> None:
            change()

        loop.call(done())

    running = Engine(plane, plane.folder, name=place)
    made = Scene(troupe=troupe, running=running, proxy=proxy, do=do)
    try:
        with routers.accepted(plane, place, names.HTTPROUTES):
            running.start(server=proxy.url)
            made.play()
            try:
                yield made
            finally:
                running.kill()
    finally:
        loop.call(proxy.__aexit__(None, None, None))
        loop.close()


def _counts(seen: Seen, place: str) -> bool:
    """Whether this is a write to which something would be lost; Events are no state."""
    return seen.is_write and f"/namespaces/{place}/" in seen.path and "/events" not in seen.path
