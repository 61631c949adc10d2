"""Runs real programs: each in a process group of its own, with a log file, and never orphaned.

Used by everything in the ground that starts a server. A program starts through a one-line shell
that reports its pid to the guardian *before* it becomes the program, so there is no moment in which
a SIGKILL of this process could leave it behind.
"""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from e2e.ground import guardian

FIRST, SERVER, STORE = range(3)
"""Stages, in the order of ending: clients first, then API servers, then what they store in."""

REPORT_AND_BECOME = 'echo "+$$ $0" >&0 && exec "$@" </dev/null'
INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "XDG_CACHE_HOME", "SSL_CERT_FILE")


class Process:
    """One running program. Blocking, safe to use from any thread."""

    def __init__(self, name: str, popen: "subprocess.Popen[bytes]", log: Path, stage: int) -> None:
        self.name = name
        self.log = log
        self.stage = stage
        self.pid = popen.pid
        self._popen = popen

    def __repr__(self) -> str:
        return f"<{self.name} pid={self.pid} code={self._popen.returncode}>"

    @property
    def code(self) -> int | None:
        """The exit code (negative = signal), None while it runs."""
        return self._popen.poll()

    @property
    def alive(self) -> bool:
        return self.code is None

    def wait(self, timeout: float | None = None) -> int:
        """Block until the program ends; subprocess.TimeoutExpired after `timeout` seconds."""
        return self._popen.wait(timeout)

    async def ended(self) -> int:
        """Await the program's end without a thread and without polling."""
        if (code := self.code) is not None:
            return code
        loop, done = asyncio.get_running_loop(), asyncio.Event()
        handle = os.pidfd_open(self.pid)
        loop.add_reader(handle, done.set)
        try:
            await done.wait()
        finally:
            loop.remove_reader(handle)
            os.close(handle)
        return self.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the whole group; nothing happens when it has ended."""
        if self.alive:
            os.killpg(self.pid, number)

    def stop(self, grace: float = guardian.GRACE) -> None:
        """End the whole group: SIGTERM, and SIGKILL after `grace` seconds."""
        stop(self, grace=grace)

    def tail(self, lines: int = 20) -> str:
        """The last lines of the log, for error messages."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def start(
    name: str,
    argv: Sequence[str | Path],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stage: int = FIRST,
) -> Process:
    """Start `argv` with its output appended to `log`.

    `env` is added to a small fixed environment; variables of the caller (proxies, Python paths) do
    not leak in. Raises FileNotFoundError when the program does not exist.
    """
    if not Path(argv[0]).is_file():
        raise FileNotFoundError(f"{name}: no program {argv[0]}")
    log.parent.mkdir(parents=True, exist_ok=True)
    base = {key: os.environ[key] for key in INHERITED if key in os.environ}
    with log.open("ab") as output:
        popen = subprocess.Popen(
            ["/bin/sh", "-c", REPORT_AND_BECOME, str(stage), *map(str, argv)],
            stdin=_guardian.pipe(),
            stdout=output,
            stderr=output,
            env=base | dict(env or {}),
            cwd=cwd,
            start_new_session=True,
        )
    return Process(name, popen, log, stage)


def stop(*processes: Process, grace: float = guardian.GRACE) -> None:
    """End many groups at once, lower stages first; returns when all are gone and reaped."""
    guardian.end({process.pid: process.stage for process in processes}, grace)
    for process in processes:
        process.wait()
        os.write(_guardian.pipe(), f"-{process.pid}\n".encode())


class _Guardian:
    """The parent's end of the guardian; it starts when the first process needs it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pipe: int | None = None
        self._popen: subprocess.Popen[bytes] | None = None

    def pipe(self) -> int:
        """The end to write to."""
        with self._lock:
            if self._pipe is None:
                read, self._pipe = os.pipe()
                self._popen = subprocess.Popen(
                    [sys.executable, "-E", "-S", guardian.__file__],
                    stdin=read,
                    stdout=subprocess.DEVNULL,
                    cwd="/",
                    start_new_session=True,
                )
                os.close(read)
            return self._pipe

    def forked(self) -> None:
        """A forked child is no parent of ours: it must not keep the pipe open."""
        if self._pipe is not None:
            os.close(self._pipe)
        self._lock, self._pipe, self._popen = threading.Lock(), None, None


_guardian = _Guardian()
os.register_at_fork(after_in_child=_guardian.forked)
