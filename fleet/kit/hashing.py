"""Stable digests of JSON values: the pod hash, the fleet revision, the plan digest.

FNV-1a 64 for the pod hash (the KULTA reference's algorithm, so hashes agree with it); SHA-256 where
a collision could be provoked by a tenant.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import orjson

_OFFSET, _PRIME, _MASK = 0xCBF29CE484222325, 0x100000001B3, 0xFFFFFFFFFFFFFFFF


def canonical(value: Any) -> str:
    """`value` as compact JSON with sorted keys and without nulls: one text for one meaning."""
    text = _dumped(value)
    return _dumped(without_nulls(value)) if "null" in text else text  # few hold any


_dumped: Callable[[Any], str] = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False
).encode
"""Made once: `json.dumps` would make an encoder for each call."""


def without_nulls(value: Any) -> Any:
    """`value` without dictionary members that are None, at any depth."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value


def fnv1a64(data: bytes) -> int:
    """The FNV-1a hash of `data`, 64 bits."""
    result = _OFFSET
    for byte in data:
        result = ((result ^ byte) * _PRIME) & _MASK
    return result


def pod_hash(template: Any) -> str:
    """Ten hexadecimal digits that name the revision of a pod template as the user wrote it."""
    return _pod_hash(canonical(template))


@lru_cache(maxsize=2_048)  # byte by byte takes its time, and the same templates come again
def _pod_hash(text: str) -> str:
    return f"{fnv1a64(text.encode()):016x}"[:10]


def parts(value: Mapping[str, Any]) -> dict[str, str]:
    """The canonical form of each member of an object, its name before it: what does not change is
    worked out once."""
    return {
        name: f"{_dumped(name)}:{canonical(item)}"
        for name, item in value.items()
        if item is not None
    }


def joined(forms: Mapping[str, str]) -> str:
    """The canonical form of an object whose `parts` these are."""
    return f"{{{','.join([forms[name] for name in sorted(forms)])}}}"


def of_texts(value: Any, length: int = 12) -> str:
    """As `digest`, many times faster, of what holds names and texts alone: of numbers there is more
    than one way to write them, and of null a way not to."""
    return hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hexdigest()[:length]


def digest(value: Any, length: int = 12) -> str:
    """The first `length` hexadecimal digits of the SHA-256 of `value` in canonical form."""
    return short(canonical(value), length)


def short(text: str, length: int = 12) -> str:
    """The same of what is in canonical form already."""
    return hashlib.sha256(text.encode()).hexdigest()[:length]
