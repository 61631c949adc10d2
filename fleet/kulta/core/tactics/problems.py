"""What is wrong with the parts of a strategy that only a Rollout has: Services and routers.

Called by `Strategy.problems`; each sentence names field, value and correction. What an Application
says too is told of by `api.faults`; here it gets the path at which it stands.
"""

from collections.abc import Iterable, Iterator, Mapping

from fleet.api.faults import Fault, Router
from fleet.api.rollout import GatewayAPI, GatewayRouting, TrafficRouting
from fleet.api.routing import NO_ROUTE


def told(at: str, found: Iterable[Fault]) -> Iterator[str]:
    """The sentences of faults of what stands at `at`."""
    return (f"{at}.{path} {sentence}" for path, sentence in found)


def services(at: str, named: Mapping[str, str]) -> Iterator[str]:
    """Every Service has a name, and no two have the same. `named`: field → name."""
    seen: dict[str, str] = {}
    for field, name in named.items():
        if not name:
            yield f"{at}.{field} cannot be empty; write the name of a Service in this namespace"
        elif name in seen:
            yield f"{at}.{seen[name]} and {field} are both {name}; write two different Services"
        else:
            seen[name] = field


def routing(at: str, wanted: GatewayRouting | None) -> Iterator[str]:
    """The router's objects have names, and nobody but the engine says how much."""
    gateway = wanted.gateway_api if wanted is not None else None
    if gateway is not None and gateway.http_route == "":
        yield (
            f"{at}.trafficRouting.gatewayAPI.httpRoute cannot be empty; "
            "write the name of an HTTPRoute of this namespace, or leave out trafficRouting"
        )
    elif gateway == GatewayAPI():
        yield f"{at}.trafficRouting.gatewayAPI is empty; {NO_ROUTE}"
    nginx = wanted.nginx if isinstance(wanted, TrafficRouting) else None
    for key in nginx.additional_ingress_annotations if nginx is not None else ():
        if not key.startswith("canary-by-"):
            yield (
                f"{at}.trafficRouting.nginx.additionalIngressAnnotations: {key} is not for the "
                "canary Ingress; write canary-by-header, canary-by-cookie and the like, "
                "without the prefix"
            )


def router(at: str, wanted: TrafficRouting | None) -> Router:
    """Who divides the traffic of the strategy that stands at `at`."""
    return Router(
        kinds=frozenset(wanted.manifest()) if wanted is not None else frozenset(),
        anyone=f"{at}.trafficRouting",
        gateway=f"{at}.trafficRouting.gatewayAPI",
        is_wanted=wanted is not None,
    )
