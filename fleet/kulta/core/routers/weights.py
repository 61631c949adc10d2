"""Two weights in a user's object: how they are written, remembered and put back.

Used by routers that edit an object which somebody else owns; each finds the pairs of references
itself (`Pairs`). Only `weight` of those references changes. What we found is kept in an annotation,
for each Rollout that has a part of the object, and put back at the end:

    {"<rollout>": {"stable": …, "canary": …, "port": 80, "rules": […], "weights": [[100, 0]]}}
"""

import contextlib
import copy
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from fleet.api import names
from fleet.api.meta import Manifest
from fleet.kulta.core.routers.base import Backends

Ref = dict[str, Any]
Record = dict[str, Any]
Pairs = Callable[[Manifest, Backends], Iterator[tuple[Ref, Ref]]]
"""References to both Services, rule by rule."""

MOST = 1_000_000
"""What the Gateway API takes as the weight of one reference."""


def share(pairs: Iterator[tuple[Ref, Ref]], unsaid: int = 1) -> int:
    """The greatest part of the second ones, in percent rounded up; `unsaid`: a weight left out."""
    shares = [0]
    for pair in pairs:
        stable, canary = (int(ref.get("weight", unsaid)) for ref in pair)
        shares.append(-(-100 * canary // (stable + canary)) if stable + canary else 0)
    return max(shares)


def written(route: Manifest, backends: Backends, weight: int, pairs: Pairs) -> Manifest | None:
    """The object with the canary at `weight` percent; None when it says so already."""
    before = kept(route).get(backends.rollout)
    plain = replace(backends, branches=()) if backends.branches else backends
    if before not in (None, plain):  # what it had before is let go
        route = restored(route, backends.rollout, pairs, before) or route
    elif all(
        (stable.get("weight"), canary.get("weight")) == (100 - weight, weight)
        for stable, canary in pairs(route, backends)
    ):
        return None
    changed = copy.deepcopy(dict(route))
    for stable, canary in pairs(changed, backends):
        stable["weight"], canary["weight"] = 100 - weight, weight
    if not is_broken(route) and backends.rollout not in _records(route):
        _note(changed, backends.rollout, _record(route, backends, pairs))
    return changed


def restored(
    route: Manifest, rollout: str, pairs: Pairs, backends: Backends | None = None
) -> Manifest | None:
    """The object with the weights that it had; None where we never changed them."""
    records = _records(route)
    if rollout not in records and (backends is None or not is_broken(route)):
        return None
    backends = kept(route).get(rollout) or backends
    assert backends is not None
    changed = copy.deepcopy(dict(route))
    live = list(pairs(changed, backends))
    found = _read(records.get(rollout))
    if len(found) != len(live):
        found = [(100, 0)] * len(live)
    for pair, weights in zip(live, found, strict=True):
        for ref, value in zip(pair, weights, strict=True):
            if value is None:
                ref.pop("weight", None)
            else:
                ref["weight"] = value
    _note(changed, rollout, None)
    return changed


def kept(route: Manifest) -> Mapping[str, Backends]:
    """Rollouts whose weights the object has, and between what they divide."""
    found: dict[str, Backends] = {}
    for rollout, record in _records(route).items():
        with contextlib.suppress(KeyError, TypeError, ValueError):
            found[rollout] = Backends(
                rollout=rollout,
                stable=str(record["stable"]),
                canary=str(record["canary"]),
                port=int(record["port"]),
                rules=tuple(map(str, record.get("rules", ()))),
            )
    return found


def is_broken(route: Manifest) -> bool:
    """Whether there is an annotation that nobody can read."""
    notes = route["metadata"].get("annotations") or {}
    return names.ORIGINAL_WEIGHTS in notes and not _records(route)


def _record(route: Manifest, backends: Backends, pairs: Pairs) -> Record:
    """What has to be remembered before the first change."""
    return {
        "stable": backends.stable,
        "canary": backends.canary,
        "port": backends.port,
        **({"rules": backends.rules} if backends.rules else {}),
        "weights": [[ref.get("weight") for ref in pair] for pair in pairs(route, backends)],
    }


def _records(route: Manifest) -> dict[str, Record]:
    """What the annotation keeps, Rollout by Rollout; empty where somebody broke it."""
    text = (route["metadata"].get("annotations") or {}).get(names.ORIGINAL_WEIGHTS)
    try:
        found = json.loads(text) if text else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _note(route: dict[str, Any], rollout: str, record: Record | None) -> None:
    """Keep the record of a Rollout in the annotation, or drop it; the last one takes it along."""
    records = {key: value for key, value in _records(route).items() if key != rollout}
    if record is not None:
        records[rollout] = record
    notes = route["metadata"].setdefault("annotations", {})
    if records:
        notes[names.ORIGINAL_WEIGHTS] = json.dumps(records)
    else:
        del notes[names.ORIGINAL_WEIGHTS]
        notes.pop(names.WEIGHTED_AT, None)


def _read(record: Any) -> list[tuple[int | None, int | None]]:
    """The weights of a record; what somebody broke counts as nothing kept."""
    try:
        return [(_value(stable), _value(canary)) for stable, canary in record["weights"]]
    except (KeyError, TypeError, ValueError):
        return []


def _value(kept_: Any) -> int | None:
    if kept_ is None:
        return None
    number = int(kept_)
    if not 0 <= number <= MOST:
        raise ValueError(f"a weight is 0…{MOST}")
    return number
