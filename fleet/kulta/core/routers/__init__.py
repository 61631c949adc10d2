"""Routers: who can divide traffic by percent, one per file, all with the same shape.

A router is pure: it edits the object that it is given and says whether the gateway took it. Add one
by a file here, an entry in `ROUTERS`, and the field in `trafficRouting` that selects it.

    base        their shape, and the values that they are about
    gatewayapi  HTTPRoutes and GRPCRoutes
    istio       VirtualServices
    nginx       a canary Ingress beside the user's
    weights     two weights in a user's object
    rules       rules of ours in a user's route
    introductions  how they come and go without a refused request
    matches     which requests these are for
    cookies     that keep a client with its revision
    mirrors     copies of requests
    notes       what an annotation of a route keeps
    settling    of those that do not say when a change is in force
"""

from collections.abc import Mapping

from fleet.kulta.core.routers.base import Backends, Router
from fleet.kulta.core.routers.gatewayapi import GatewayRouter
from fleet.kulta.core.routers.istio import IstioRouter
from fleet.kulta.core.routers.nginx import NginxRouter

__all__ = ["ROUTERS", "Backends", "Router"]

GATEWAY = GatewayRouter()

ROUTERS: Mapping[str, Router] = {
    "HTTPRoute": GATEWAY,
    "GRPCRoute": GATEWAY,
    "VirtualService": IstioRouter(),
    "Ingress": NginxRouter(),
}
"""By the kind of the object that holds the weights."""
