"""Paths, merges and selectors over plain JSON trees, for the fake API server."""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from fleet.ports import Manifest

Path = tuple[str, ...]


def clone(tree: Any) -> Any:
    """A copy that shares nothing, many times faster than `copy.deepcopy`."""
    return orjson.loads(orjson.dumps(tree))


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Paths to everything that is no mapping; lists are atomic here."""
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif path and not (isinstance(value, Mapping) and path == ("metadata",)):
        yield path, value


def at(body: Any, path: Path) -> Any:
    for step in path:
        if not isinstance(body, Mapping) or step not in body:
            return None
        body = body[step]
    return body


def put(body: dict[str, Any], path: Path, value: Any) -> None:
    for step in path[:-1]:
        if not isinstance(body.get(step), dict):
            body[step] = {}
        body = body[step]
    body[path[-1]] = value


def remove(body: dict[str, Any], path: Path) -> None:
    holder = at(body, path[:-1])
    if isinstance(holder, dict):
        holder.pop(path[-1], None)


def merged(target: Any, change: Any) -> Any:
    """RFC 7386."""
    if not isinstance(change, Mapping):
        return clone(change)
    result: dict[str, Any] = clone(target) if isinstance(target, Mapping) else {}
    for key, value in change.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def matches(manifest: Manifest, selector: str | None) -> bool:
    """`a=b`, `a`, `!a`, joined by commas."""
    labels = manifest["metadata"].get("labels") or {}
    for term in (selector or "").split(","):
        name, equals, value = term.strip().replace("==", "=").partition("=")
        if equals and labels.get(name) != value:
            return False
        if name.startswith("!") and name[1:] in labels:
            return False
        if name and not equals and not name.startswith("!") and name not in labels:
            return False
    return True


def name(manifest: Any) -> str:
    """The name of an object."""
    found: str = manifest["metadata"]["name"]
    return found
