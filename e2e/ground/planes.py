"""Several control planes by name: those that are missing start at the same time, all end together.

Used by the session fixtures and by whoever needs a hub with members.

    with Planes(folder) as planes:
        hub, east, west = planes("hub", "east", "west")
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from e2e.ground.controlplane import ControlPlane, Options


class Planes:
    """Started planes, one folder each below `folder`. Blocking."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._started: dict[str, ControlPlane] = {}

    def __call__(self, *names: str, options: Options | None = None) -> tuple[ControlPlane, ...]:
        """The planes called so; `options` count for those that start now."""
        missing = {
            name: ControlPlane(name, self.folder / name, options)
            for name in names
            if name not in self._started
        }
        self._started |= missing
        if missing:
            with ThreadPoolExecutor(len(missing)) as pool:
                list(pool.map(ControlPlane.start, missing.values()))
        return tuple(self._started[name] for name in names)

    def stop(self) -> None:
        """End all planes."""
        for plane in self._started.values():
            plane.stop()
        self._started.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
