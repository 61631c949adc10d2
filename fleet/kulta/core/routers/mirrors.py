"""Copies of requests: a filter of ours in the rules of a user's route that hold both Services.

Used by `gatewayapi`. The new revision gets a copy of each request, and nobody sees its answers. All
other filters stay. For which Rollouts we added one stands in an annotation:

    {"<rollout>": {"canary": "shop-canary", "port": 80}}
"""

import copy
from collections.abc import Iterable
from typing import Any

from fleet.api import names
from fleet.api.meta import Manifest
from fleet.kulta.core.routers import notes
from fleet.kulta.core.routers.base import Backends

Rule = dict[str, Any]

MOST_FILTERS = 16
"""Filters that a rule may hold."""


def records(route: Manifest) -> dict[str, dict[str, Any]]:
    """What the annotation keeps, Rollout by Rollout; empty where somebody broke it."""
    return notes.read(route, names.MIRRORED)


def is_overfull(rules: Iterable[Rule], backends: Backends) -> bool:
    """Whether one of the rules has no room for a filter of ours."""
    return any(
        len(rule.get("filters") or []) >= MOST_FILTERS and not _has(rule, backends.canary)
        for rule in rules
    )


def applied(route: Manifest, backends: Backends, places: Iterable[int]) -> Manifest | None:
    """The route with our filter in the rules at `places` if there is to be one, else without any of
    ours; None when it is so already."""
    known = records(route).get(backends.rollout)
    if not backends.mirrors:
        return (
            None if known is None else _without(route, backends.rollout, str(known.get("canary")))
        )
    lost = [at for at in places if not _has(route["spec"]["rules"][at], backends.canary)]
    if known is not None and not lost:
        return None
    changed = copy.deepcopy(dict(route))
    for at in lost:
        rule = changed["spec"]["rules"][at]
        rule["filters"] = [*(rule.get("filters") or []), _filter(backends)]
    record = {"canary": backends.canary, "port": backends.port}
    notes.keep(changed, names.MIRRORED, backends.rollout, record)
    return changed


def _without(route: Manifest, rollout: str, canary: str) -> Manifest:
    changed = copy.deepcopy(dict(route))
    for rule in changed["spec"].get("rules") or []:
        if _has(rule, canary):
            left = [item for item in rule["filters"] if not _leads(item, canary)]
            rule["filters"] = left
            if not left:
                del rule["filters"]
    notes.keep(changed, names.MIRRORED, rollout, None)
    return changed


def _filter(backends: Backends) -> dict[str, Any]:
    ref = {"group": "", "kind": "Service", "name": backends.canary, "port": backends.port}
    return {"type": "RequestMirror", "requestMirror": {"backendRef": ref}}


def _has(rule: Rule, canary: str) -> bool:
    return any(_leads(item, canary) for item in rule.get("filters") or [])


def _leads(item: dict[str, Any], canary: str) -> bool:
    ref = (item.get("requestMirror") or {}).get("backendRef") or {}
    return item.get("type") == "RequestMirror" and ref.get("name") == canary
