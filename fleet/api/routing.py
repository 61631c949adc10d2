"""Who divides a Rollout's traffic, and which of their objects hold the weights.

Part of the strategies that have a route. A router is a model here, a member of `TrafficRouting`,
and a file in `kulta.core.routers`.
"""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from fleet.api.meta import Model
from fleet.api.rules import Rules
from fleet.api.values import named

ObjectName = Annotated[str, Field(min_length=1, max_length=253)]
"""The name of an object of the Rollout's namespace."""

MOST_OBJECTS, MOST_RULES = 16, 16
"""Objects of one kind that one Rollout may name; rules of one of them."""

NO_ROUTE = "name a route: httpRoute, httpRoutes, grpcRoutes, httpRouteSelector or grpcRouteSelector"


class Route(Model):
    """A route, or some of its rules."""

    name: ObjectName
    """Its name."""
    rules: Annotated[tuple[str, ...], Field(max_length=MOST_RULES)] = ()
    """Only rules of these names."""


Routes = Annotated[tuple[Route, ...], Field(min_length=1, max_length=MOST_OBJECTS)]
Labels = Annotated[Mapping[str, str], Field(min_length=1)]


class RouteSelector(Model):
    """Routes by their labels."""

    match_labels: Labels
    """All of these."""


class GatewayAPI(Model):
    """Traffic through routes of the same namespace; several have their weights at once."""

    http_route: (
        Annotated[
            str,
            Field(max_length=253),
            named("httpRoute", "name an HTTPRoute of this namespace, or leave out trafficRouting"),
        ]
        | None
    ) = Field(default=None, alias="httpRoute")
    """The HTTPRoute in which the engine writes the weights of both Services."""
    http_routes: Routes = Field(default=(), alias="httpRoutes")
    """More of them."""
    grpc_routes: Routes = Field(default=(), alias="grpcRoutes")
    """GRPCRoutes."""
    http_route_selector: RouteSelector | None = Field(default=None, alias="httpRouteSelector")
    """All HTTPRoutes with these labels."""
    grpc_route_selector: RouteSelector | None = Field(default=None, alias="grpcRouteSelector")
    """All GRPCRoutes with these labels."""


class GatewayRouting(Model):
    """Who divides the traffic by headers and cookies."""

    gateway_api: Annotated[GatewayAPI | None, Rules(minProperties=1)] = Field(
        default=None, alias="gatewayAPI"
    )


class Nginx(Model):
    """Traffic through ingress-nginx: the engine makes a canary Ingress beside each of these."""

    stable_ingresses: Annotated[
        tuple[ObjectName, ...], Field(min_length=1, max_length=MOST_OBJECTS)
    ]
    """Ingresses of this namespace that lead to the stable Service; they are never written."""
    annotation_prefix: Annotated[str, Field(max_length=253)] = "nginx.ingress.kubernetes.io"
    """What nginx's annotations begin with."""
    additional_ingress_annotations: Annotated[Mapping[str, str], Field(max_length=16)] = Field(
        default_factory=dict
    )
    """Who gets the new revision besides: `canary-by-header`, `canary-by-cookie` and the like."""


class VirtualService(Model):
    """A VirtualService, or some of its HTTP routes."""

    name: ObjectName
    """Its name."""
    routes: Annotated[tuple[str, ...], Field(max_length=MOST_RULES)] = ()
    """Only HTTP routes of these names."""


class Istio(Model):
    """Traffic through Istio."""

    virtual_services: Annotated[
        tuple[VirtualService, ...], Field(min_length=1, max_length=MOST_OBJECTS)
    ]
    """VirtualServices in which the engine writes the weights of both Services."""


class TrafficRouting(GatewayRouting):
    """Who divides the traffic; without it, weights are replica counts."""

    nginx: Nginx | None = None
    istio: Istio | None = None
