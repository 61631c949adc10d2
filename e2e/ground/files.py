"""Writes files that others are watching: never half, never twice the same."""

import os
from pathlib import Path


def replace(path: Path, text: str) -> bool:
    """Write beside and rename; False when the file already says so and stays untouched."""
    try:
        if path.read_text() == text:
            return False
    except FileNotFoundError:
        pass
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(text)
    beside.rename(path)
    return True
