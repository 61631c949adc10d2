"""Cookies: a header of ours in a filter on the reference to the canary Service, in the rules that
hold both. A reference has at most one such filter: where the user has one, ours is added to it.

Used by `gatewayapi`. Whoever got the new revision is told so by `Set-Cookie` and gets it again by a
rule beside the weights (`rules`). All else in filters stays. For which Rollouts we added one stands
in an annotation:

    {"<rollout>": {"canary": "shop-canary", "cookie": "version"}}
"""

import copy
from collections.abc import Iterable
from typing import Any

from fleet.api import names
from fleet.api.meta import Manifest
from fleet.kulta.core.routers import notes
from fleet.kulta.core.routers.base import Backends, Cookie

Ref = dict[str, Any]

FILTER, KEY = "ResponseHeaderModifier", "responseHeaderModifier"
"""A filter's type, and where it holds what it does."""


def records(route: Manifest) -> dict[str, dict[str, Any]]:
    """What the annotation keeps, Rollout by Rollout; empty where somebody broke it."""
    return notes.read(route, names.STICKY)


def applied(route: Manifest, backends: Backends, places: Iterable[int]) -> Manifest | None:
    """The route with our filter in the rules at `places` if there is to be one, else without any of
    ours; None when it is so already."""
    known, rollout = records(route).get(backends.rollout), backends.rollout
    wanted = backends.beside.cookie if backends.beside is not None else None
    if known is None and wanted is None:
        return None
    changed = copy.deepcopy(dict(route))
    if known is not None:
        _strip(changed, str(known.get("canary")), str(known.get("cookie")))
    if wanted is not None:
        _strip(changed, backends.canary, wanted.name)
        for at in places:
            _add(changed["spec"]["rules"][at], backends.canary, wanted)
    record = {"canary": backends.canary, "cookie": wanted.name} if wanted is not None else None
    notes.keep(changed, names.STICKY, rollout, record)
    return changed if changed != route else None


def _add(rule: Ref, canary: str, cookie: Cookie) -> None:
    header = {"name": "Set-Cookie", "value": cookie.text}
    for ref in _refs(rule, canary):
        filters = ref.get("filters") or []
        known = next((item for item in filters if item.get("type") == FILTER), None)
        if known is None:
            filters = [*filters, {"type": FILTER, KEY: {"add": [header]}}]
        else:
            told = known.get(KEY) or {}
            known[KEY] = {**told, "add": [*(told.get("add") or []), header]}
        ref["filters"] = filters


def _strip(route: dict[str, Any], canary: str, cookie: str) -> None:
    for rule in route["spec"].get("rules") or []:
        for ref in _refs(rule, canary):
            filters = (_without(item, cookie) for item in ref.get("filters") or [])
            left = [item for item in filters if item is not None]
            if left:
                ref["filters"] = left
            else:
                ref.pop("filters", None)


def _refs(rule: Ref, canary: str) -> list[Ref]:
    return [ref for ref in rule.get("backendRefs") or [] if ref.get("name") == canary]


def _without(item: dict[str, Any], cookie: str) -> dict[str, Any] | None:
    """A filter without our header; None where nothing else was in it."""
    told = item.get(KEY) or {}
    given = told.get("add") or []
    others = [header for header in given if not _gives(header, cookie)]
    if len(others) == len(given):
        return item
    rest = {key: value for key, value in told.items() if key != "add"}
    if others:
        rest["add"] = others
    return {**item, KEY: rest} if any(rest.values()) else None


def _gives(header: dict[str, Any], cookie: str) -> bool:
    is_cookie = header.get("name") == "Set-Cookie"
    return is_cookie and str(header.get("value")).startswith(f"{cookie}=")
