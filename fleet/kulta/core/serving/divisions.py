"""Which objects divide a Rollout's traffic at present, and what is wrong with each.

A strategy asks for objects by name or by labels (`Target`); here they are found among those that
were seen. Used by `traffic`, `removal` and, for what a spec asks for, by strategies. Never writes.
"""

from collections.abc import Iterable, Iterator, Mapping

from fleet.api.meta import Manifest
from fleet.api.rollout import Rollout
from fleet.api.routing import GatewayAPI, GatewayRouting, TrafficRouting
from fleet.kulta.core.facts import revisions
from fleet.kulta.core.facts.traits import Traits
from fleet.kulta.core.observed import Observed
from fleet.kulta.core.routers import ROUTERS, Backends
from fleet.kulta.core.routers.base import Division, Origin, Place, Spot, Target
from fleet.kulta.core.wait import Wait

HTTP, GRPC, VIRTUAL, INGRESS = "HTTPRoute", "GRPCRoute", "VirtualService", "Ingress"


def wanted(routing: GatewayRouting | None) -> tuple[Target, ...]:
    """What a strategy asks for; empty where nobody routes."""
    found: list[Target] = []
    if routing is not None and routing.gateway_api is not None:
        found += _gateway(routing.gateway_api)
    if isinstance(routing, TrafficRouting) and routing.istio is not None:
        at = "trafficRouting.istio.virtualServices"
        for item in routing.istio.virtual_services:
            found.append(Target(kind=VIRTUAL, asked=at, name=item.name, rules=item.routes))
    if isinstance(routing, TrafficRouting) and routing.nginx is not None:
        at, wish = "trafficRouting.nginx.stableIngresses", routing.nginx
        notes = wish.additional_ingress_annotations
        for name in wish.stable_ingresses:
            prefix = wish.annotation_prefix
            found.append(Target(kind=INGRESS, asked=at, name=name, prefix=prefix, notes=notes))
    return tuple(found)


def _gateway(gateway: GatewayAPI) -> Iterator[Target]:
    at = "trafficRouting.gatewayAPI"
    if gateway.http_route is not None:
        yield Target(kind=HTTP, asked=f"{at}.httpRoute", name=gateway.http_route)
    for item in gateway.http_routes:
        yield Target(kind=HTTP, asked=f"{at}.httpRoutes", name=item.name, rules=item.rules)
    for item in gateway.grpc_routes:
        yield Target(kind=GRPC, asked=f"{at}.grpcRoutes", name=item.name, rules=item.rules)
    for kind, key, selector in (
        (HTTP, "httpRouteSelector", gateway.http_route_selector),
        (GRPC, "grpcRouteSelector", gateway.grpc_route_selector),
    ):
        if selector is not None:
            yield Target(kind=kind, asked=f"{at}.{key}", labels=selector.match_labels)


def spots(
    rollout: str, targets: Iterable[Target], routes: Mapping[Place, Manifest]
) -> tuple[Spot, ...]:
    """Where the objects that are asked for are, or would be: the first who asks for one counts."""
    found: dict[Place, Spot] = {}
    for target in targets:
        kind = target.kind
        for name in [target.name] if target.name else _labelled(target, routes):
            place = (kind, ROUTERS[kind].own(rollout, name))
            found.setdefault(place, Spot(target=target, named=(kind, name), place=place))
    return tuple(found.values())


def of(rollout: Rollout, traits: Traits, observed: Observed) -> tuple[Division, ...]:
    """Every object that divides, with the branches of all arms. Nobody gets copies of requests."""
    return tuple(
        Division(
            spot=spot,
            router=ROUTERS[spot.place[0]],
            source=observed.routes.get(spot.named),
            route=observed.routes.get(spot.place),
            parts=backends(rollout, traits, spot, observed),
        )
        for spot in spots(rollout.name, traits.targets, observed.routes)
    )


def backends(rollout: Rollout, traits: Traits, spot: Spot, observed: Observed) -> Backends:
    """Between what the traffic of a Rollout is divided in an object."""
    target = spot.target
    origin = Origin(
        source=observed.routes.get(spot.named),
        owner=revisions.owner(rollout),
        prefix=target.prefix,
        notes=target.notes,
    )
    return Backends(
        rollout=rollout.name,
        stable=traits.stable_service,
        canary=traits.canary_service,
        port=traits.port,
        rules=target.rules,
        branches=tuple(arm.branch for arm in traits.arms),
        origin=origin,
    )


def problem(item: Division, observed: Observed) -> Wait | None:
    """Why nothing can be written into the object."""
    (kind, name), target = item.spot.named, item.spot.target
    if kind in observed.unserved:
        return Wait(
            reason="RouterNotInstalled",
            message=f"this cluster does not know {kind}s; install what defines them, "
            f"or take {target.asked} out",
        )
    if item.source is not None:
        return item.router.problem(item.route or {}, item.parts)
    if kind in observed.unseen:
        why = observed.unseen[kind]
        message = f"no {kind} of this cluster has been seen yet" + (why and f": {why}")
        return Wait(reason="RoutePending", message=message, is_brief=not why)
    what = f"{kind} {name} does not exist in this namespace; create it"
    if not name:
        labels = ", ".join(f"{key}={value}" for key, value in target.labels.items())
        what = f"no {kind} of this namespace has the labels {labels}; label one"
    return Wait(reason="RouteNotFound", message=f"{what}, or correct {target.asked}")


def _labelled(target: Target, routes: Mapping[Place, Manifest]) -> list[str]:
    """Names of those that have the labels."""
    found = [
        name
        for (kind, name), route in sorted(routes.items())
        if kind == target.kind
        and target.labels.items() <= (route["metadata"].get("labels") or {}).items()
    ]
    return found or [""]
