"""The Gateway API router: weights in the rules of an HTTPRoute or GRPCRoute that hold both
Services, or, where matches divide the traffic, rules of our own beside the user's (`rules`); a
canary may have both.

Matches, filters, time-outs, other rules and other back-ends stay as the user wrote them. The list
of rules is atomic, so the whole object is written back under its resourceVersion, and only when
something differs. `weights` remembers what was there.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from fleet.api import names, routes
from fleet.api.meta import Manifest
from fleet.kit.redaction import redact
from fleet.kulta.core.routers import cookies, introductions, mirrors, rules, weights
from fleet.kulta.core.routers.base import Backends, Beside
from fleet.kulta.core.wait import Wait

Ref = dict[str, Any]

CONDITIONS = ("Accepted", "ResolvedRefs")
PARTLY = "PartiallyInvalid"
"""Beside a yes: some rules are left out, and nobody says which. They may be those with weights."""


class GatewayRouter:
    """See the module."""

    is_silent = False
    makes = False

    def own(self, rollout: str, name: str) -> str:
        return name

    def problem(self, route: Manifest, backends: Backends) -> Wait | None:
        named = {rule.get("name") for rule in routes.rules(route)}
        lost = next((name for name in backends.rules if name not in named), None)
        if lost is not None:
            return _unfit(f"{_title(route)} has no rule named {lost}; correct the name")
        if backends.branches:
            if any(rules.reference(rule, backends) for rule in rules.ours(route, backends)):
                return None
            return _unfit(
                f"no rule of {_title(route)} has Service {backends.stable} in its backendRefs; "
                "add it"
            )
        if any(_pairs(route, backends)):
            both = (routes.rules(route)[at] for at in _places(route, backends))
            return (
                _crowded(route)
                if backends.mirrors and mirrors.is_overfull(both, backends)
                else None
            )
        return _unfit(
            f"no rule of {_title(route)} has both Services {backends.stable} and "
            f"{backends.canary} in its backendRefs; add the missing one"
        )

    def misfit(self, route: Manifest, backends: Backends) -> Wait | None:
        if backends.beside is not None:
            backends = replace(backends, branches=_beside(route, backends).ways(100))
        return rules.misfit(route, backends) if backends.branches else None

    def weight(self, route: Manifest, backends: Backends) -> int:
        if backends.branches:
            return 100 if rules.find(route, backends) else 0
        return weights.share(_pairs(route, backends))

    def weighted(self, route: Manifest, backends: Backends, weight: int) -> Manifest | None:
        if backends.branches:
            changed = weights.restored(route, backends.rollout, _pairs)
            return _stepped(route, changed or route, backends, is_on=weight > 0) or changed
        ruled = _ruled(route, backends, weight)
        changed = weights.written(ruled or route, backends, weight, _pairs) or ruled
        places = _places(changed or route, backends)
        parts = backends
        if backends.beside is not None:
            parts = replace(backends, beside=_beside(route, backends))
        changed = cookies.applied(changed or route, parts, places) or changed
        return mirrors.applied(changed or route, backends, places) or changed

    def pending(self, route: Manifest) -> Wait | None:
        """Every parent that the spec names must have accepted this generation. One that refuses it
        is told of while others have not answered."""
        waits = list(_waits(route))
        return next((wait for wait in waits if not wait.is_brief), waits[0] if waits else None)

    def is_underway(self, route: Manifest, backends: Backends) -> bool:
        return introductions.is_underway(route, backends)

    def kept(self, route: Manifest) -> Mapping[str, Backends]:
        branched = {
            rollout: Backends(rollout=rollout, stable=routes.stable(route, rollout), canary="")
            for known in (routes, mirrors, cookies)
            for rollout in known.records(route)
        }
        return {**branched, **weights.kept(route)}

    def restored(self, route: Manifest, backends: Backends) -> Manifest | None:
        stripped = (
            _stepped(route, route, backends, is_on=False)
            if backends.stable
            else rules.removed(route, backends)
        )
        changed = (
            weights.restored(stripped or route, backends.rollout, _pairs, backends) or stripped
        )
        plain = replace(backends, mirrors=False, beside=None)
        changed = cookies.applied(changed or route, plain, ()) or changed
        return mirrors.applied(changed or route, plain, ()) or changed


def _beside(route: Manifest, backends: Backends) -> Beside:
    """What is wanted beside the weights in that kind of route: gRPC knows no cookies."""
    wish = backends.beside or Beside()
    return wish if route["kind"] == "HTTPRoute" else Beside(branches=wish.branches)


def _ruled(route: Manifest, backends: Backends, weight: int) -> Manifest | None:
    """The route with the rules that stand beside the weights; None when it has just these."""
    ways = _beside(route, backends).ways(weight)
    if not ways and backends.rollout not in routes.records(route):
        return None
    return _stepped(route, route, replace(backends, branches=ways), is_on=bool(ways))


def _stepped(
    live: Manifest, route: Manifest, backends: Backends, *, is_on: bool
) -> Manifest | None:
    """The next step of our rules in `route`, by what gateways say of the `live` one."""
    waits = list(_waits(live))
    is_answered = not any(wait.is_brief for wait in waits)
    return rules.applied(route, backends, is_on=is_on, is_taken=not waits, is_answered=is_answered)


def _waits(route: Manifest) -> Iterator[Wait]:
    """Parent by parent: who has not answered for this generation, or not with a yes."""
    reports = (route.get("status") or {}).get("parents") or []
    for parent in route["spec"].get("parentRefs") or [{}]:
        own = [item for item in reports if _same(item.get("parentRef") or {}, parent, route)]
        if not own:
            yield _brief(f"no gateway has answered for {_title(route)} yet")
        yield from (wait for wait in (_unmet(report, route) for report in own) if wait is not None)


def _pairs(route: Manifest, backends: Backends) -> Iterator[tuple[Ref, Ref]]:
    """References to both Services, rule by rule, where a rule has exactly one of each, or of each
    with the port that the strategy names."""
    for rule in rules.ours(route, backends):
        yield from _pair(rule, route, backends)


def _pair(rule: Ref, route: Manifest, backends: Backends) -> Iterator[tuple[Ref, Ref]]:
    refs = rule.get("backendRefs") or []
    stable = _meant(refs, backends.stable, backends.port, route)
    canary = _meant(refs, backends.canary, backends.port, route)
    if len(stable) == 1 and len(canary) == 1:
        yield stable[0], canary[0]


def _places(route: Manifest, backends: Backends) -> list[int]:
    """Which rules hold both Services."""
    ours = rules.ours(route, backends)
    return [
        at
        for at, rule in enumerate(routes.rules(route))
        if rule in ours and any(_pair(rule, route, backends))
    ]


def _crowded(route: Manifest) -> Wait:
    message = f"a rule of {_title(route)} has {mirrors.MOST_FILTERS} filters, which is the most; "
    return Wait(reason="RouteFull", message=f"{message}take one out, or mirror: true")


def _unfit(message: str) -> Wait:
    return Wait(reason="RouteWithoutServices", message=message)


def _title(route: Manifest) -> str:
    return f"{route['kind']} {route['metadata']['name']}"


def _meant(refs: list[Ref], service: str, port: int, route: Manifest) -> list[Ref]:
    found = [ref for ref in refs if ref.get("name") == service and _is_service(ref, route)]
    return found if len(found) < 2 else [ref for ref in found if ref.get("port") == port]


def _is_service(ref: Ref, route: Manifest) -> bool:
    """Whether it is a Service of the route's namespace."""
    return (
        (ref.get("kind") or "Service") == "Service"
        and not ref.get("group")
        and ref.get("namespace") in (None, "", route["metadata"].get("namespace"))
    )


def _same(one: Ref, other: Ref, route: Manifest) -> bool:
    """Whether two parent references mean the same parent; what is left out has its default."""
    here = route["metadata"].get("namespace")
    defaults = {
        "group": names.GATEWAYS.group,
        "kind": "Gateway",
        "namespace": here,
        "name": None,
        "sectionName": None,
        "port": None,
    }
    return all(
        (one.get(key) or default) == (other.get(key) or default)
        for key, default in defaults.items()
    )


def _unmet(report: Ref, route: Manifest) -> Wait | None:
    """Why this parent's report does not say yes to this generation."""
    generation = route["metadata"].get("generation", 0)
    found = {item.get("type"): item for item in report.get("conditions") or []}
    gateway = (report.get("parentRef") or {}).get("name", "")
    for kind in CONDITIONS:
        item = found.get(kind)
        if item is None or item.get("observedGeneration", 0) < generation:
            return _brief(f"the gateway has not taken the weights of {_title(route)} yet")
        if item.get("status") != "True":
            return Wait(
                reason="RouteNotAccepted",
                message=f"gateway {gateway} does not take {_title(route)}: {kind} is "
                f"{item.get('status')}, {_words(item)}",
            )
    partly = found.get(PARTLY, {})
    if partly.get("status") != "True" or partly.get("observedGeneration", 0) < generation:
        return None
    return Wait(
        reason="RouteNotAccepted",
        message=f"gateway {gateway} leaves out rules of {_title(route)}: {PARTLY} is True, "
        f"{_words(partly)}",
    )


def _words(condition: Mapping[str, Any]) -> str:
    """A gateway's own, without credentials."""
    return redact(f"{condition.get('reason', '')}: {condition.get('message', '')}")


def _brief(message: str) -> Wait:
    return Wait(reason="RoutePending", message=message, is_brief=True)
