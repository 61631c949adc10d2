"""The process in which the templates of one tenant print: it can do that, and nothing else.

Started by `cells`, without environment, with three descriptors. A job is a line on its standard
input, the answer a line on its standard output:

    {"files": {name: text}, "names": […], "values": {…}}
    {"documents": [[name, document], …], "names": [every name that the templates write]}
    {"error": "template services.yaml.j2 line 4: …"}

Who takes too long is told so while he is still in Python; the rest is the system's: more memory or
a file is refused, and what cannot be interrupted is ended.
"""

import contextlib
import functools
import resource
import signal
import sys
from typing import Any

import orjson

from fleet.errors import UserError
from fleet.rendering import printing
from fleet.rendering.environment import TemplateSet, environment

MEMORY_BYTES = 256 * 2**20
"""Address space of the whole process."""
PATIENCE = 1.5
"""Times what a job may take, after which it is ended: one step, such as the product of two numbers,
may last for ever."""
LIFE_SECONDS = 60
"""Processor time of the whole process, whatever it has made of the other limits."""

WARM = {"good.j2": "{% set x = 'y' %}{{ {x: [1]} | to_yaml }}", "bad.j2": "{{ x.y }}"}
"""What Python loads for a rendering and for an error it must have when no file can be opened."""


def main(seconds: float) -> None:
    """Answer every line of the standard input until it ends; each may take so much of a
    processor."""
    for name in WARM:
        answer(orjson.dumps({"files": WARM, "names": [name], "values": {}}))
    confine()
    signal.signal(signal.SIGPROF, functools.partial(_overdue, seconds))
    for line in sys.stdin.buffer:
        signal.setitimer(signal.ITIMER_PROF, seconds)
        signal.setitimer(signal.ITIMER_VIRTUAL, seconds * PATIENCE)
        found = answer(line)
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        sys.stdout.buffer.write(found + b"\n")
        sys.stdout.buffer.flush()


def answer(line: bytes) -> bytes:
    """One job."""
    job: dict[str, Any] = orjson.loads(line)
    templates = TemplateSet.of(job["files"])
    try:
        found = list(printing.printed(templates, job["names"], job["values"]))
        names = environment(templates).names(tuple(job["names"]))
        plain = {"documents": found, "names": sorted(names)}
        return orjson.dumps(plain, default=str, option=orjson.OPT_NON_STR_KEYS)
    except orjson.JSONEncodeError as error:
        return orjson.dumps({"error": f"templates: their output is no JSON: {error}"})
    except UserError as error:
        return orjson.dumps({"error": str(error)})
    except (MemoryError, TimeoutError) as error:
        return orjson.dumps({"error": f"templates: {str(error) or printing.TOO_MUCH}"})


def confine() -> None:
    """From now on no other file, no other process, no more memory; not even as root. On other
    systems than a hub's, where a command of a person prints, as far as they know such limits."""
    for limit, most in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CPU, LIFE_SECONDS),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_NOFILE, 3),
    ):
        with contextlib.suppress(*() if sys.platform == "linux" else (OSError, ValueError)):
            resource.setrlimit(limit, (most, most))


def too_long(seconds: float) -> str:
    """In words."""
    return f"more than {seconds:g} s of processor time"


def _overdue(seconds: float, *_: object) -> None:
    raise TimeoutError(too_long(seconds))
