"""What a running process has used, from /proc. Asked by the benchmarks, changes nothing."""

import os
import time
from dataclasses import dataclass, field
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Usage:
    """One process; its children are not counted."""

    pid: int

    def cpu_seconds(self) -> float:
        """User and system time since its start, exact to 10 ms."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def rss_mb(self) -> float:
        """Resident memory now, in MiB."""
        return self._memory("VmRSS")

    def peak_mb(self) -> float:
        """The most resident memory that it ever had, in MiB."""
        return self._memory("VmHWM")

    def _memory(self, name: str) -> float:
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


@dataclass(slots=True)
class Pulse:
    """How busy a process is; asking costs it nothing."""

    usage: Usage
    _asked: float = field(default_factory=time.monotonic, init=False)
    _spent: float = field(init=False)

    def __post_init__(self) -> None:
        self._spent = self.usage.cpu_seconds()

    def share(self) -> float:
        """Of one core since the last question."""
        before = self._asked, self._spent
        self._asked, self._spent = time.monotonic(), self.usage.cpu_seconds()
        return (self._spent - before[1]) / max(self._asked - before[0], 0.01)
