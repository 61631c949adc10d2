"""`kubectl fleet …`: the same commands, found by kubectl as a plug-in on the PATH."""

from fleet.cli.main import main

__all__ = ["main"]
