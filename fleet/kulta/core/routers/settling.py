"""Routers that do not say when a change is in force: it counts as such a while after the write.

The moment of the write stands in the object itself, so that no crash can lose it. `traffic` stamps
what it writes and compares with the present; used by routers to say until when to wait.
"""

import copy
from datetime import datetime, timedelta

from fleet.api import names
from fleet.api.meta import Manifest, read_time, write_time
from fleet.kulta.core.wait import Wait

PERIOD = timedelta(seconds=5)
"""ingress-nginx reloads at most every 3.3 s, Istio pushes within a second or two."""


def stamped(route: Manifest, now: datetime) -> Manifest:
    """The object, written now."""
    changed = copy.deepcopy(dict(route))
    notes = changed["metadata"].setdefault("annotations", {})
    notes[names.WEIGHTED_AT] = write_time(now)
    return changed


def wait(route: Manifest) -> Wait | None:
    """Until when the last write may not be in force; None where there was none."""
    text = (route["metadata"].get("annotations") or {}).get(names.WEIGHTED_AT)
    at = read_time(text) if text else None
    if at is None:
        return None
    return Wait(
        reason="RoutePending",
        message=f"the weights of {route['kind']} {route['metadata']['name']} may not be in force "
        "everywhere yet",
        until=at + PERIOD,
        is_brief=True,
    )
