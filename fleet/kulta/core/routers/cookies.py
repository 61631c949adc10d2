"""Cookies: a filter of ours on the reference to the canary Service, in the rules that hold both.

Used by `gatewayapi`. Whoever got the new revision is told so by `Set-Cookie` and gets it again by a
rule beside the weights (`rules`). All other filters stay. For which Rollouts we added one stands in
an annotation:

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
    for ref in _refs(rule, canary):
        ref["filters"] = [*(ref.get("filters") or []), _filter(cookie)]


def _strip(route: dict[str, Any], canary: str, cookie: str) -> None:
    for rule in route["spec"].get("rules") or []:
        for ref in _refs(rule, canary):
            left = [item for item in ref.get("filters") or [] if not _gives(item, cookie)]
            if left:
                ref["filters"] = left
            else:
                ref.pop("filters", None)


def _refs(rule: Ref, canary: str) -> list[Ref]:
    return [ref for ref in rule.get("backendRefs") or [] if ref.get("name") == canary]


def _filter(cookie: Cookie) -> dict[str, Any]:
    header = {"name": "Set-Cookie", "value": cookie.text}
    return {"type": "ResponseHeaderModifier", "responseHeaderModifier": {"add": [header]}}


def _gives(item: dict[str, Any], cookie: str) -> bool:
    """Whether a filter does nothing but what ours does."""
    given = (item.get("responseHeaderModifier") or {}).get("add") or []
    return len(given) == 1 and all(
        header.get("name") == "Set-Cookie" and str(header.get("value")).startswith(f"{cookie}=")
        for header in given
    )
