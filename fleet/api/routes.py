"""Which rules of a route are the engine's: what an annotation keeps of them, and where they are.

Written by the engine's router, read by it and by the hub, which changes the rest of the route and
must leave these alone. Rules have no names in many installations, and servers fill in defaults, so
a rule is known by what it asks for and whom it leads to:

    {"<rollout>": [{"name": "variant-b", "service": "shop-b", "stable": "shop", "matches": […]}]}

Open, such a rule leads to its Service alone; closed, it leads to the stable one, and names its own
last, with weight 0.
"""

import json
from collections.abc import Iterable
from typing import Any

from fleet.api import names
from fleet.api.meta import Manifest

Rule = dict[str, Any]
Record = dict[str, Any]


def records(route: Manifest) -> dict[str, list[Record]]:
    """What the annotation keeps, Rollout by Rollout; empty where somebody broke it."""
    text = (route["metadata"].get("annotations") or {}).get(names.MANAGED_RULES)
    try:
        found = json.loads(text) if text else {}
    except ValueError:
        return {}
    kept = found.items() if isinstance(found, dict) else ()
    return {
        key: [item for item in value if isinstance(item, dict)]
        for key, value in kept
        if isinstance(value, list)
    }


def is_broken(route: Manifest) -> bool:
    """Whether there is an annotation that nobody can read."""
    notes = route["metadata"].get("annotations") or {}
    return names.MANAGED_RULES in notes and not records(route)


def record(name: str, rule: Rule, stable: str) -> Record:
    """What is remembered of a rule, open or closed, and which Service is the stable one."""
    service = rule["backendRefs"][-1]["name"]
    return {"name": name, "service": service, "stable": stable, "matches": rule["matches"]}


def stable(route: Manifest, rollout: str) -> str:
    """The Service that the rules of a Rollout stand in for; empty where nobody remembers."""
    kept = records(route).get(rollout, ())
    return next((str(item["stable"]) for item in kept if item.get("stable")), "")


def note(route: dict[str, Any], rollout: str, kept: list[Record]) -> None:
    """Keep the records of a Rollout in the annotation; the last Rollout takes it along."""
    known = {key: value for key, value in records(route).items() if key != rollout}
    if kept:
        known[rollout] = kept
    notes = route["metadata"].setdefault("annotations", {})
    if known:
        notes[names.MANAGED_RULES] = json.dumps(known)
    else:
        notes.pop(names.MANAGED_RULES, None)


def rules(route: Manifest) -> list[Rule]:
    """All rules."""
    return list((route.get("spec") or {}).get("rules") or [])


def find(route: Manifest, kept: Iterable[Record]) -> list[int]:
    """Where in the route the rules of these records stand."""
    return sorted(spots(route, kept))


def spots(route: Manifest, kept: Iterable[Record]) -> dict[int, Record]:
    """Where in the route they stand, each with its record."""
    live, found = rules(route), dict[int, Record]()
    for item in kept:
        free = (n for n, x in enumerate(live) if n not in found and _is_it(x, item))
        found |= {spot: item for spot in [next(free, None)] if spot is not None}
    return found


def leads(rule: Rule, service: str) -> bool:
    """Whether `rule` leads to that Service alone."""
    return [ref.get("name") for ref in rule.get("backendRefs") or []] == [service]


def is_closed(rule: Rule, service: str) -> bool:
    """Whether `rule` names that Service and sends it nothing."""
    refs = rule.get("backendRefs") or [{}]
    return (refs[-1].get("name"), refs[-1].get("weight")) == (service, 0)


def is_same(found: Rule, wanted: Rule) -> bool:
    """Whether a rule as the server has it says what is wanted, defaults and its name aside."""
    said = {key for key, value in found.items() if value and key != "name"}
    return said <= wanted.keys() and all(
        _holds(found.get(key), value) for key, value in wanted.items() if key != "name"
    )


def _is_it(rule: Rule, kept: Record) -> bool:
    """Whether `rule` is the one that was remembered, whatever a server has filled in."""
    if rule.get("name") and rule["name"] == kept.get("name"):
        return True
    service, same = str(kept.get("service")), _holds(rule.get("matches"), kept.get("matches"))
    return same and (leads(rule, service) or is_closed(rule, service))


def _holds(found: Any, wanted: Any) -> bool:
    """Whether `found` is `wanted`, or has only more keys somewhere inside."""
    if isinstance(wanted, dict):
        known = found if isinstance(found, dict) else {}
        return all(_holds(known.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list):
        pairs = zip(found, wanted, strict=False) if isinstance(found, list) else ()
        same = isinstance(found, list) and len(found) == len(wanted)
        return same and all(_holds(one, other) for one, other in pairs)
    return bool(found == wanted)
