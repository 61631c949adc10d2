"""Fields of our kinds by path (`waves[].before[].soak`), for tests that ask each one what it does.

The paths are those of the CRD, so a new field is asked about from its first day.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from tests.trees import clone

WHOLE = (".template", ".containers")
"""What is changed as a whole: a pod template has hundreds of fields that are not ours."""


def leaves(node: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Paths of everything below `node` that can be written."""
    inner = node.get("properties", {})
    if path.endswith(WHOLE) or not (inner or "items" in node):
        yield path.lstrip(".")
    elif inner:
        for key, item in inner.items():
            yield from leaves(item, f"{path}.{key}")
    else:
        yield from leaves(node["items"], f"{path}[]")


def at(node: Mapping[str, Any], path: str) -> Mapping[str, Any]:
    """The schema of the field at that path."""
    for part in path.split("."):
        node = node["properties"][part.removesuffix("[]")]
        node = node["items"] if part.endswith("[]") else node
    return node


def put(spec: dict[str, Any], path: str, given: Any, parts: Mapping[str, Any]) -> dict[str, Any]:
    """The spec with the field, and around it what of `parts` must stand there: by name."""
    here: Any = spec
    *way, last = path.split(".")
    for part in way:
        key, is_list = part.removesuffix("[]"), part.endswith("[]")
        around = clone(parts.get(part, {}))
        if is_list:
            items = here.setdefault(key, [])
            items.extend([around] if not items else [])
            here = items[0]
        else:
            here = here.setdefault(key, around)
    here[last.removesuffix("[]")] = [given] if last.endswith("[]") else given
    return spec
