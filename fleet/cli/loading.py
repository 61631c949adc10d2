"""Loads the module of the command that is meant, quickly: used by `main` and `run` only.

Half of what a short command takes is loading. Modules live as long as the process, so looking for
garbage meanwhile finds none; and some libraries load others for what nobody here asks of them.
"""

import contextlib
import gc
import importlib
import sys
from collections.abc import Iterator
from types import ModuleType

COMMAND_LINE = "httpx._main"
"""httpx is a program of its own too; this is its half."""


def command(name: str) -> ModuleType:
    """The module of that name below `fleet.cli`."""
    with quickly(COMMAND_LINE):
        return importlib.import_module(f"fleet.cli.{name}")


@contextlib.contextmanager
def quickly(*without: str) -> Iterator[None]:
    """For imports that take long. The modules `without` seem not to be installed meanwhile, where
    nobody has loaded them yet; they are there again afterwards."""
    hidden = [name for name in without if name not in sys.modules]
    looked = gc.isenabled()
    gc.disable()
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
        if looked:
            gc.enable()
