"""Files that a person names with `-f`: a file, a folder of YAML files, or `-` for standard input.

Called by every command that has `-f`. What the objects in them are is for others to say.
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from fleet.errors import UserError
from fleet.kit import documents

STDIN = "-"
ENDINGS = (".yaml", ".yml")
NOT_TEXT = "is no text in UTF-8: save it as such"
UNREADABLE = (yaml.YAMLError, ValueError, RecursionError)
"""What `text` and `documents.every` raise."""


def found(names: Sequence[str | Path]) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file. Raises UserError for one that is not there, OSError for one
    that cannot be read."""
    for name in map(str, names):
        if name == STDIN:
            yield "stdin", sys.stdin.buffer.read()
            continue
        path = Path(name)
        if not path.exists():
            raise UserError("Usage", f"--file {name}: there is no such file")
        inside = sorted(filter(_is_meant, path.rglob("*"))) if path.is_dir() else [path]
        if not inside:
            text = f"--file {name}: the folder holds no file that ends with {' or '.join(ENDINGS)}"
            raise UserError("Usage", text)
        for item in inside:
            yield str(item), item.read_bytes()


def text(content: bytes) -> str:
    """What a file says. Raises ValueError with a sentence that says what to do."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(NOT_TEXT) from None


def fault(error: Exception) -> str:
    """What is wrong with a file that could not be read for one of `UNREADABLE`, in a sentence."""
    if isinstance(error, RecursionError):
        return "is nested too deeply"
    said = documents.fault(error)
    return said if said == NOT_TEXT else f"is no YAML: {said}"


def read(names: Sequence[str | Path]) -> list[tuple[str, Any]]:
    """The documents of all files, those inside of a List too, each with the name of its file; empty
    ones are left out. Keys may be no texts. Raises UserError that names the file."""
    result = []
    for name, content in found(names):
        try:
            given = [item for item in documents.every(text(content), once=True) if item]
            items = [item for document in given for item in inside(document)]
        except UNREADABLE as error:
            raise UserError("InvalidSpec", f"{name}: {fault(error)}") from None
        result += [(name, item) for item in items]
    return result


def inside(document: Any) -> list[Any]:
    """The objects of a List, or the one object."""
    if not isinstance(document, dict) or document.get("kind") != "List":
        return [document]
    items = document.get("items")
    return items if isinstance(items, list) else []


def _is_meant(path: Path) -> bool:
    return path.suffix in ENDINGS and path.is_file()
