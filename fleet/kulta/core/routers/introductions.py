"""No gateway forgets a Service before the requests that go there, nor meets it after them.

A gateway learns of rules and of Services in no order, so a rule that comes or goes together with
the only mention of its Service has its requests refused for a moment. Such rules of ours (`rules`)
come and go in two steps, each taken by the gateway before the next:

    closed: still at the stable Service, its own named with weight 0 → open → closed → gone

A Service that the rest of the route names needs none of this.
"""

from collections.abc import Mapping
from typing import Any

from fleet.api import routes
from fleet.api.meta import Manifest
from fleet.api.routes import Rule
from fleet.kulta.core.routers.base import Backends

FULL = 100


def is_underway(route: Manifest, backends: Backends) -> bool:
    """Whether a rule of ours is closed: there is a next step to be taken, whoever did what."""
    live = routes.rules(route)
    return any(routes.is_closed(live[at], name) for at, name in _ours(route, backends).items())


def leaving(route: Manifest, backends: Backends, *, is_on: bool) -> dict[int, str]:
    """Where rules of ours stand that must be closed before they go, each with its Service."""
    wanted = {branch.service for branch in backends.branches if is_on}
    staying, live = wanted | _elsewhere(route, backends), routes.rules(route)
    found = _ours(route, backends).items()
    return {at: name for at, name in found if name not in staying and _ref(live[at], name)}


def is_open(route: Manifest, places: Mapping[int, str]) -> bool:
    """Whether some of these rules lead anywhere of their own."""
    live = routes.rules(route)
    return not all(routes.is_closed(live[at], name) for at, name in places.items())


def known(route: Manifest, backends: Backends, *, is_taken: bool) -> set[str]:
    """Services that the gateway has met. `is_taken`: it has taken the route as it stands."""
    live = routes.rules(route)
    met = {
        name
        for at, name in _ours(route, backends).items()
        if is_taken or not routes.is_closed(live[at], name)
    }
    return met | _elsewhere(route, backends)


def closed(rule: Rule, service: str, stable: str) -> Rule:
    """The rule with its requests at the stable Service, and `service` named beside it."""
    ref = _ref(rule, service)
    refs = [{**ref, "name": stable, "weight": FULL}, {**ref, "weight": 0}]
    return {**rule, "backendRefs": refs}


def _ours(route: Manifest, backends: Backends) -> dict[int, str]:
    """Where rules of this Rollout stand, and whom each is for."""
    found = routes.spots(route, routes.records(route).get(backends.rollout, ()))
    return {at: str(item.get("service")) for at, item in found.items()}


def _elsewhere(route: Manifest, backends: Backends) -> set[str]:
    """Services that the rest of the route names."""
    own = _ours(route, backends)
    rest = (rule for at, rule in enumerate(routes.rules(route)) if at not in own)
    return {str(ref.get("name")) for rule in rest for ref in rule.get("backendRefs") or []}


def _ref(rule: Rule, service: str) -> dict[str, Any]:
    """The reference to that Service; empty where there is none."""
    refs = rule.get("backendRefs") or []
    return next((ref for ref in refs if ref.get("name") == service), {})
