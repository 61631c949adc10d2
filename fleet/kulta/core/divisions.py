"""Which objects divide a Rollout's traffic at present, and what is wrong with each.

A strategy asks for objects by name or by labels (`Target`); here they are found among those that
were seen. Used by `traffic`, `removal` and, for what a spec asks for, by strategies. Never writes.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from fleet.api.routing import GatewayRouting
from fleet.kulta.core.observed import Observed
from fleet.kulta.core.routers import ROUTERS, Backends, Router
from fleet.kulta.core.routers.base import Branch, Manifest, Place, Target
from fleet.kulta.core.traits import Traits
from fleet.kulta.core.wait import Wait

HTTP, GRPC = "HTTPRoute", "GRPCRoute"


@dataclass(frozen=True, slots=True, kw_only=True)
class Division:
    """One object, the Services between which it divides, and who knows how."""

    target: Target
    place: Place
    router: Router
    route: Manifest | None
    """None: it is not there."""
    parts: Backends


def wanted(routing: GatewayRouting | None) -> tuple[Target, ...]:
    """What a strategy asks for; empty where nobody routes."""
    gateway = routing.gateway_api if routing is not None else None
    if gateway is None:
        return ()
    at = "trafficRouting.gatewayAPI"
    found = []
    if gateway.http_route is not None:
        found.append(Target(kind=HTTP, asked=f"{at}.httpRoute", name=gateway.http_route))
    for kind, key, routes in (
        (HTTP, "httpRoutes", gateway.http_routes),
        (GRPC, "grpcRoutes", gateway.grpc_routes),
    ):
        for item in routes:
            where = f"{at}.{key}"
            found.append(Target(kind=kind, asked=where, name=item.name, rules=item.rules))
    for kind, key, selector in (
        (HTTP, "httpRouteSelector", gateway.http_route_selector),
        (GRPC, "grpcRouteSelector", gateway.grpc_route_selector),
    ):
        if selector is not None:
            labels = selector.match_labels
            found.append(Target(kind=kind, asked=f"{at}.{key}", labels=labels))
    return tuple(found)


def places(targets: Iterable[Target], routes: Mapping[Place, Manifest]) -> dict[Place, Target]:
    """Where the objects that are asked for are, or would be: the first who asks for one counts.

    Labels that nothing has stand for a place without a name.
    """
    found: dict[Place, Target] = {}
    for target in targets:
        for name in [target.name] if target.name else _labelled(target, routes):
            found.setdefault((target.kind, name), target)
    return found


def of(
    rollout: str, traits: Traits, observed: Observed, branches: Collection[Branch] | None = None
) -> tuple[Division, ...]:
    """Every object that divides; `branches`: those of the arms that count, else all."""
    return tuple(
        Division(
            target=target,
            place=place,
            router=ROUTERS[place[0]],
            route=observed.routes.get(place),
            parts=backends(rollout, traits, target, branches),
        )
        for place, target in places(traits.targets, observed.routes).items()
    )


def backends(
    rollout: str, traits: Traits, target: Target, branches: Collection[Branch] | None = None
) -> Backends:
    """Between what the traffic of a Rollout is divided in an object."""
    all_ = tuple(arm.branch for arm in traits.arms)
    return Backends(
        rollout=rollout,
        stable=traits.stable_service,
        canary=traits.canary_service,
        port=traits.port,
        rules=target.rules,
        branches=all_ if branches is None else tuple(branches),
    )


def problem(item: Division, observed: Observed) -> Wait | None:
    """Why nothing can be written into the object."""
    kind, name = item.place
    if kind in observed.unserved:
        return Wait(
            reason="RouterNotInstalled",
            message=f"this cluster does not know {kind}s; install what defines them, "
            f"or take {item.target.asked} out",
        )
    if item.route is not None:
        return item.router.problem(item.route, item.parts)
    if kind in observed.unseen:
        why = observed.unseen[kind]
        message = f"the {kind}s of this cluster have not been seen yet" + (why and f": {why}")
        return Wait(reason="RoutePending", message=message, is_brief=not why)
    if not name:
        labels = ", ".join(f"{key}={value}" for key, value in item.target.labels.items())
        what = f"no {kind} of this namespace has the labels {labels}; label one"
    else:
        what = f"{kind} {name} does not exist in this namespace; create it"
    return Wait(reason="RouteNotFound", message=f"{what}, or correct {item.target.asked}")


def _labelled(target: Target, routes: Mapping[Place, Manifest]) -> list[str]:
    """Names of those that have the labels."""
    found = [
        name
        for (kind, name), route in sorted(routes.items())
        if kind == target.kind
        and target.labels.items() <= (route["metadata"].get("labels") or {}).items()
    ]
    return found or [""]
