"""Ends process groups when the process that started them is gone, however it went.

`processes` runs this file as a program of its own session, holding the read end of a pipe. Each
child writes `+<pid> <stage>` into the pipe before it becomes its program (a shell does, see
`processes`), the parent writes `-<pid>` once a group has ended. The end of the pipe means that the
parent is gone, by exit, Ctrl-C, crash or SIGKILL: then all groups that are left end, lower stages
first. The file imports nothing of ours, so that it runs without a path to the package.
"""

import os
import signal
import sys
import time
from collections.abc import Collection, Mapping
from pathlib import Path

GRACE = 3.0
"""Seconds between SIGTERM and SIGKILL."""


def end(stages: Mapping[int, int], grace: float = GRACE) -> None:
    """End the process groups (keys), lower stages (values) first; SIGKILL after `grace` seconds."""
    for stage in sorted(set(stages.values())):
        groups = {group for group, own in stages.items() if own == stage}
        _signal(groups, signal.SIGTERM)
        if left := _outlive(groups, grace):
            _signal(left, signal.SIGKILL)
            _outlive(left, grace)


def living(groups: Collection[int]) -> set[int]:
    """The groups that still have a member other than zombies, which only wait to be reaped."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        state, group, _ = _facts(stat)
        if group in groups and state not in "ZX":
            found.add(group)
    return found


def began(pid: int) -> str:
    """When `pid` started, in kernel ticks; empty when there is no such process."""
    return _facts(Path(f"/proc/{pid}/stat"))[2]


def _facts(stat: Path) -> tuple[str, int, str]:
    """State, process group and start of a process; state X when it has gone meanwhile."""
    try:
        fields = stat.read_text().rpartition(")")[2].split()
    except OSError:
        return "X", 0, ""
    return fields[0], int(fields[2]), fields[19]


def _signal(groups: Collection[int], number: signal.Signals) -> None:
    for group in groups:
        try:
            os.killpg(group, number)
        except ProcessLookupError:
            continue


def _outlive(groups: Collection[int], seconds: float) -> set[int]:
    """Wait for the groups' end; those that are still there after `seconds`."""
    deadline = time.monotonic() + seconds
    while (left := living(groups)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return left


def watch() -> None:
    """Keep the book of groups until the pipe ends, then end what is left."""
    book: dict[int, tuple[int, str]] = {}
    for line in sys.stdin:
        pid, _, stage = line[1:].strip().partition(" ")
        if line.startswith("+"):
            book[int(pid)] = int(stage), began(int(pid))
        else:
            book.pop(int(pid), None)
    # A pid that started at another time is somebody else's by now.
    end({pid: stage for pid, (stage, start) in book.items() if began(pid) in ("", start)})


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    watch()
