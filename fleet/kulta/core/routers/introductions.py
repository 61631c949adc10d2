"""No gateway forgets a Service before the requests that go there, nor meets it after them.

A gateway learns of rules and of Services in no order, so a rule that comes or goes together with
the only mention of its Service has its requests refused for a moment. Such rules of ours (`rules`)
come and go in two steps, each taken by the gateway before the next:

    closed: still at the stable Service, its own named with weight 0 → open → closed → gone

A Service that the rest of the route names needs none of this.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from fleet.api import routes
from fleet.api.meta import Manifest
from fleet.api.routes import Rule
from fleet.kulta.core.routers.base import Backends

FULL = 100

Backend = tuple[str, str, str, str, int | None]
"""Group, kind, namespace, name and port."""


def is_underway(route: Manifest, backends: Backends) -> bool:
    """Whether a rule of ours is closed: there is a next step to be taken, whoever did what."""
    live = routes.rules(route)
    return any(routes.is_closed(live[at], name) for at, name in _ours(route, backends).items())


def leaving(route: Manifest, backends: Backends, wanted: Iterable[Rule]) -> dict[int, str]:
    """Where rules of ours stand that must be closed before they go, each with its Service.
    `wanted`: rules of ours, open, that are to stand there."""
    staying = {_backend(route, rule["backendRefs"][-1]) for rule in wanted}
    staying, live = staying | _elsewhere(route, backends), routes.rules(route)
    return {
        at: name
        for at, name in _ours(route, backends).items()
        if (ref := _ref(live[at], name)) and _backend(route, ref) not in staying
    }


def is_open(route: Manifest, places: Mapping[int, str]) -> bool:
    """Whether some of these rules lead anywhere of their own."""
    live = routes.rules(route)
    return not all(routes.is_closed(live[at], name) for at, name in places.items())


def met(route: Manifest, backends: Backends, *, is_taken: bool) -> set[Backend]:
    """What the gateway knows of what rules lead to. `is_taken`: it has taken the route as it
    stands."""
    live, found = routes.rules(route), _elsewhere(route, backends)
    for at, name in _ours(route, backends).items():
        if (is_taken or not routes.is_closed(live[at], name)) and (ref := _ref(live[at], name)):
            found.add(_backend(route, ref))
    return found


def coming(route: Manifest, rule: Rule, known: Collection[Backend], stable: str) -> Rule:
    """An open rule of ours as it may stand now: closed, where the gateway does not know whom it
    leads to."""
    (ref,) = rule["backendRefs"]
    return rule if _backend(route, ref) in known else closed(rule, ref["name"], stable)


def closed(rule: Rule, service: str, stable: str) -> Rule:
    """The rule with its requests at the stable Service, and `service` named beside it."""
    ref = _ref(rule, service)
    refs = [{**ref, "name": stable, "weight": FULL}, {**ref, "weight": 0}]
    return {**rule, "backendRefs": refs}


def _ours(route: Manifest, backends: Backends) -> dict[int, str]:
    """Where rules of this Rollout stand, and whom each is for."""
    found = routes.spots(route, routes.records(route).get(backends.rollout, ()))
    return {at: str(item.get("service")) for at, item in found.items()}


def _elsewhere(route: Manifest, backends: Backends) -> set[Backend]:
    """What the rest of the route names."""
    own = _ours(route, backends)
    rest = (rule for at, rule in enumerate(routes.rules(route)) if at not in own)
    return {_backend(route, ref) for rule in rest for ref in rule.get("backendRefs") or []}


def _backend(route: Manifest, ref: Mapping[str, Any]) -> Backend:
    """What a gateway tells apart."""
    return (
        str(ref.get("group") or ""),
        str(ref.get("kind") or "Service"),
        str(ref.get("namespace") or route["metadata"].get("namespace")),
        str(ref.get("name")),
        ref.get("port"),
    )


def _ref(rule: Rule, service: str) -> dict[str, Any]:
    """The reference to that Service; empty where there is none."""
    refs = rule.get("backendRefs") or []
    return next((ref for ref in refs if ref.get("name") == service), {})
