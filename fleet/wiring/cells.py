"""Processes for the templates of tenants: started, asked, and ended when they misbehave.

Made by `hub`, used through `ports.Press`. A process serves one tenant only, so that nobody who gets
out of the sandbox meets the values of another; it goes when another tenant needs its place, and
with its first error, whatever that was.
"""

import asyncio
import contextlib
import signal
import sys
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

import fleet
from fleet.errors import TemporaryError
from fleet.ports import Printed
from fleet.rendering import printing
from fleet.wiring import cell

BEGIN = """
import sys
sys.path.insert(0, sys.argv[1])
from fleet.wiring import cell
cell.main(float(sys.argv[2]))
"""
ROOT = str(Path(fleet.__file__).parents[1])

MOST_BYTES = 4 * printing.OUTPUT_LIMIT
"""Of an answer: as JSON the documents are a little longer, or shorter, than as YAML."""
SECONDS = 1.0
"""Processor time of one job."""
PART_BYTES = 100
"""What an object, a list, or a part of one takes beside its text: `[{},{},{}]` is mostly that."""
MOST_WORDS = 2_000
"""Letters of an error."""
PATIENCE_SECONDS = 60.0
"""Time for an answer: many times what a job may compute, for a machine that has much to do."""
OVERDUE = (signal.SIGVTALRM, signal.SIGPROF, signal.SIGXCPU)


class Cells:
    """See `ports.Press`. At most `most` processes, each job with so many `seconds` of a processor;
    `close` ends them."""

    def __init__(self, most: int, seconds: float = SECONDS) -> None:
        self._most, self._seconds = most, seconds
        self._idle: OrderedDict[str, _Cell] = OrderedDict()
        self._busy = 0

    async def print(
        self,
        tenant: str,
        files: Mapping[str, str],
        names: Sequence[str],
        values: Mapping[str, Any],
    ) -> Printed:
        """As the port says; no more than `most` at a time."""
        job = orjson.dumps({"files": files, "names": names, "values": values})
        found = self._idle.pop(tenant, None)
        self._busy += 1
        try:
            if found is None or found.is_over:
                found = await self._new()
            result = _read(await found.ask(job))
        except BaseException:
            if found is not None:
                await found.end()
            raise
        finally:
            self._busy -= 1
        self._idle[tenant] = found
        return result

    async def close(self) -> None:
        """End all that are idle."""
        while self._idle:
            await self._idle.popitem()[1].end()

    async def _new(self) -> "_Cell":
        """A process that nobody has used; the one that was idle longest makes room."""
        while self._idle and len(self._idle) + self._busy > self._most:
            await self._idle.popitem(last=False)[1].end()
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-B", "-c", BEGIN, ROOT, str(self._seconds)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env={},
                cwd="/",
                limit=MOST_BYTES,
            )
        except OSError as error:
            raise TemporaryError(f"no process for templates: {error.strerror}") from None
        return _Cell(process, self._seconds)


@dataclass(frozen=True, slots=True)
class _Cell:
    process: asyncio.subprocess.Process
    seconds: float

    @property
    def is_over(self) -> bool:
        return self.process.returncode is not None

    async def ask(self, job: bytes) -> bytes:
        """The answer to one job. Raises UserError for what the templates made of the process,
        TemporaryError where it was something else."""
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                with contextlib.suppress(ConnectionError):
                    stdin.write(job + b"\n")
                    await stdin.drain()
                return await stdout.readuntil(b"\n")
        except asyncio.LimitOverrunError:
            raise printing.error(f"templates: more than {MOST_BYTES} bytes of output") from None
        except asyncio.IncompleteReadError:
            raise self._fault(await self.process.wait()) from None
        except TimeoutError:
            words = f"no answer from the process for templates in {PATIENCE_SECONDS:g} s"
            raise TemporaryError(words) from None

    def _fault(self, code: int) -> Exception:
        if -code in OVERDUE:
            return printing.error(f"templates: {cell.too_long(self.seconds)}")
        if -code == signal.SIGKILL:
            return TemporaryError("the process for templates was killed")
        return printing.error(f"templates: they ended the process in which they print ({code})")

    async def end(self) -> None:
        """Kill it, whatever it does, and wait until it is gone."""
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        stdin.close()
        await stdout.read()  # what is left in the pipe would keep it open
        await self.process.wait()


def _read(answer: bytes) -> Printed:
    """Raises UserError where it is an error, or no answer: who has got out may write anything."""
    try:
        found = dict(orjson.loads(answer))
        if "error" not in found:
            documents = tuple((str(name), dict(body)) for name, body in found["documents"])
            return Printed(
                documents=documents,
                names=frozenset(map(str, found["names"])),
                weight=len(answer) + PART_BYTES * sum(answer.count(sign) for sign in b"{[,"),
            )
    except (KeyError, TypeError, ValueError):
        raise printing.error("templates: their process gave no answer") from None
    raise printing.error(str(found["error"])[:MOST_WORDS])
