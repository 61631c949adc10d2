"""One container of a pod as a real process: starts, is probed, restarts with back-off, ends.

`pods` owns it and reports its `state`, which has the API's own form. The process gets a mount
namespace in which `/etc/hosts` and the ServiceAccount's directory are its own; the machine's files
are never touched: missing mount points are made in a tmpfs inside that namespace.
"""

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from e2e.ground import probes, processes

RESET = 600.0
"""A container that ran this many seconds starts its back-off from the beginning."""
NOTICED = 0.7
"""Seconds after which a container without probes is seen to run: a kubelet looks once a second."""

ENTER = """
hosts=$1 name=$2; shift 2
mount --bind "$hosts" /etc/hosts
hostname "$name"
while [ "$1" != -- ]; do
  if [ ! -d "$2" ]; then
    case $2 in
      /run/* | /var/run/*) ;;
      *) echo "the local node mounts only at folders and below /var/run, not at $2" >&2; exit 1;;
    esac
    if [ -z "${top-}" ]; then
      top=$(readlink -f /var/run)
      [ ! -d "$top/secrets" ] || top=$top/secrets
      mount -t tmpfs -o mode=755 tmpfs "$top"
    fi
    mkdir -p "$2"
  fi
  mount --bind "$1" "$2"; shift 2
done
shift; exec "$@"
"""
"""HOSTS NAME [SOURCE TARGET]… -- PROGRAM ARGUMENT…, run in a new mount and UTS namespace."""


class NotStartable(Exception):
    """A container cannot start now; `reason` is what its waiting state says, as a kubelet's."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What to run: words, variables and where."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    cwd: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a pod gives its containers: `address` is where they listen (127.244.a.b)."""

    pod: str
    address: str
    directory: Path
    hosts: Path
    mounts: tuple[tuple[Path, str], ...] = ()
    backoff: tuple[float, float] = (10.0, 300.0)
    """Seconds of the first back-off and of the longest."""
    grace: float = 30.0
    """Seconds between SIGTERM and SIGKILL when a liveness probe has failed."""


def stamp() -> str:
    """The present, as the API writes times."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Container:
    """`run` returns when the container is over for good; `changed` is called at each new state."""

    def __init__(
        self,
        spec: Mapping[str, Any],
        place: Place,
        *,
        policy: str,
        command: Callable[[], Awaitable[Command]],
        changed: Callable[[], None],
    ) -> None:
        self.spec = spec
        self.place = place
        self.state: dict[str, Any] = {"waiting": {"reason": "ContainerCreating"}}
        self.last: dict[str, Any] = {}
        self.restarts = 0
        self.ready = self.started = False
        self._policy = policy
        self._command = command
        self._changed = changed
        self.process: processes.Process | None = None
        self._stopping = asyncio.Event()
        self._doomed = asyncio.Event()
        self._booted = asyncio.Event()

    @property
    def name(self) -> str:
        return str(self.spec["name"])

    @property
    def is_new(self) -> bool:
        """Nothing has happened yet that is worth a report."""
        return bool(self.state.get("waiting", {}).get("reason") == "ContainerCreating")

    async def run(self) -> None:
        """Start, and start again as the restart policy says, until over or stopped."""
        crashes = refusals = lives = 0
        while not self._stopping.is_set():
            try:
                command = await self._command()
                checks = self._probes()
            except (NotStartable, probes.Unsupported) as error:
                refusals += 1
                await self._refused(error, refusals)
                continue
            seconds = await self._live(command, checks, lives)
            lives += 1
            if self._stopping.is_set() or self._over():
                return
            crashes = 1 if seconds >= RESET else crashes + 1
            await self._back_off(crashes)

    async def stop(self, grace: float) -> None:
        """End the process, by force after `grace` seconds; `run` returns soon after."""
        self._stopping.set()
        self.ready = False
        sleep = ((self.spec.get("lifecycle") or {}).get("preStop") or {}).get("sleep")
        if sleep and self.process is not None:
            await asyncio.sleep(min(sleep["seconds"], grace))
            grace -= min(sleep["seconds"], grace)
        await self._end(grace)

    async def _live(
        self, command: Command, checks: Mapping[str, probes.Probe], before: int
    ) -> float:
        """One life of the process, after `before` others; how many seconds it lasted."""
        loop = asyncio.get_running_loop()
        begin, since = loop.time(), stamp()
        self._doomed.clear()
        self._booted.clear()
        self.process = process = await asyncio.to_thread(self._start, command)
        if self._stopping.is_set():
            await self._end(0)
        self.started = "startupProbe" not in checks
        self.restarts = before
        self._become({"running": {"startedAt": since}})
        async with asyncio.TaskGroup() as tasks:
            ended = tasks.create_task(process.ended())
            others = [
                tasks.create_task(self._check(checks)),
                tasks.create_task(self._doomed.wait()),
            ]
            await asyncio.wait({ended, others[1]}, return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                await self._end(self.place.grace)
            code = await ended
            for task in others:
                task.cancel()
        self.process = None
        await asyncio.to_thread(processes.stop, process, grace=0)
        self.ready = self.started = False
        self._become({"terminated": _terminated(code, since)})
        return loop.time() - begin

    def _start(self, command: Command) -> processes.Process:
        place = self.place
        mounts = [str(word) for mount in place.mounts for word in mount]
        own = "-mu" if os.geteuid() == 0 else "-rmu"
        hosts = str(place.hosts)
        enter = [_program("unshare"), own, "/bin/sh", "-ec", ENTER, "sh", hosts, place.pod]
        return processes.start(
            f"{place.pod}/{self.name}",
            [*enter, *mounts, "--", *command.argv],
            log=self.log,
            env=command.environment,
            cwd=command.cwd,
        )

    @property
    def log(self) -> Path:
        """Where its output goes, of all its lives."""
        return self.place.directory / f"{self.name}.log"

    async def _end(self, grace: float) -> None:
        """SIGTERM to the process itself, as a container runtime does; SIGKILL to its group."""
        process = self.process
        if process is None or not process.alive:
            return
        os.kill(process.pid, signal.SIGTERM)
        try:
            await asyncio.wait_for(process.ended(), grace)
        except TimeoutError:
            process.signal(signal.SIGKILL)
            await process.ended()

    def _probes(self) -> dict[str, probes.Probe]:
        names = [n for n in ("startupProbe", "readinessProbe", "livenessProbe") if self.spec.get(n)]
        return {n: probes.parse(self.spec[n], self.spec, self.place.address) for n in names}

    async def _check(self, checks: Mapping[str, probes.Probe]) -> None:
        """Run the probes; the startup probe alone first, as long as it has not succeeded."""
        if startup := checks.get("startupProbe"):
            async with asyncio.TaskGroup() as tasks:
                asking = tasks.create_task(probes.watch(startup, self._on_startup, eager=True))
                await self._booted.wait()
                asking.cancel()
        async with asyncio.TaskGroup() as tasks:
            if readiness := checks.get("readinessProbe"):
                tasks.create_task(probes.watch(readiness, self._on_readiness, eager=True))
            if liveness := checks.get("livenessProbe"):
                tasks.create_task(probes.watch(liveness, self._on_liveness, eager=False))
            if not checks.keys() & {"startupProbe", "readinessProbe"}:
                await asyncio.sleep(NOTICED)
                self._on_readiness(True)

    def _on_startup(self, good: bool) -> None:
        if not good:
            self._doomed.set()
            return
        self._booted.set()
        self.started = True
        self._on_readiness("readinessProbe" not in self.spec)

    def _on_readiness(self, good: bool) -> None:
        self.ready = good and not self._stopping.is_set()
        self._changed()

    def _on_liveness(self, good: bool) -> None:
        if not good:
            self._doomed.set()

    def _over(self) -> bool:
        failed = self.state["terminated"]["exitCode"] != 0
        return self._policy == "Never" or (self._policy == "OnFailure" and not failed)

    def _become(self, state: dict[str, Any]) -> None:
        if "terminated" in self.state:
            self.last = self.state
        self.state = state
        self._changed()

    async def _refused(self, error: Exception, count: int) -> None:
        """Show why it cannot start and try again later, as a kubelet does."""
        reason = error.reason if isinstance(error, NotStartable) else "CreateContainerError"
        if reason == "ErrImagePull":
            if count == 1:
                self._become({"waiting": {"reason": reason, "message": str(error)}})
                await self._sleep(min(1.0, self.place.backoff[0]))
            reason = "ImagePullBackOff"
        wanted = {"waiting": {"reason": reason, "message": str(error)}}
        if self.state != wanted:
            self._become(wanted)
        await self._sleep(self._delay(count))

    async def _back_off(self, crashes: int) -> None:
        if crashes == 1:
            return
        delay = self._delay(crashes - 1)
        message = f"back-off {delay:g}s restarting failed container={self.name}"
        self._become({"waiting": {"reason": "CrashLoopBackOff", "message": message}})
        await self._sleep(delay)

    def _delay(self, count: int) -> float:
        first, longest = self.place.backoff
        return min(first * 2.0 ** min(count - 1, 16), longest)

    async def _sleep(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)


def _terminated(code: int, since: str) -> dict[str, Any]:
    """`code` is negative for a signal; a runtime reports 128 + its number."""
    shown = code if code >= 0 else 128 - code
    reason = "Completed" if shown == 0 else "Error"
    return {"exitCode": shown, "reason": reason, "startedAt": since, "finishedAt": stamp()}


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise FileNotFoundError(f"the local node needs the program {name!r} (package util-linux)")
    return found
