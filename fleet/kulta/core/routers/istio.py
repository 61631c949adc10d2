"""The Istio router: weights in the HTTP routes of a VirtualService that hold both Services.

Everything else in it stays as its owner wrote it; `weights` remembers what was there. Istio does
not say when its proxies have taken a change, so a write counts as in force a while later.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from fleet.api.meta import Manifest
from fleet.kulta.core.routers import settling, weights
from fleet.kulta.core.routers.base import Backends
from fleet.kulta.core.wait import Wait

Ref = dict[str, Any]


class IstioRouter:
    """See the module."""

    is_silent = True
    makes = False

    def own(self, rollout: str, name: str) -> str:
        return name

    def problem(self, route: Manifest, backends: Backends) -> Wait | None:
        title = f"VirtualService {route['metadata']['name']}"
        named = {item.get("name") for item in _routes(route)}
        lost = next((name for name in backends.rules if name not in named), None)
        if lost is not None:
            message = f"{title} has no HTTP route named {lost}; correct the name"
            return Wait(reason="RouteWithoutServices", message=message)
        if any(_pairs(route, backends)):
            return None
        return Wait(
            reason="RouteWithoutServices",
            message=f"no HTTP route of {title} has both {backends.stable} and {backends.canary} as "
            "hosts of its destinations; add the missing one",
        )

    def misfit(self, route: Manifest, backends: Backends) -> Wait | None:
        return None

    def weight(self, route: Manifest, backends: Backends) -> int:
        return weights.share(_pairs(route, backends), unsaid=0)

    def weighted(self, route: Manifest, backends: Backends, weight: int) -> Manifest | None:
        return weights.written(route, backends, weight, _pairs)

    def pending(self, route: Manifest) -> Wait | None:
        return settling.wait(route)

    def is_underway(self, route: Manifest, backends: Backends) -> bool:
        return False

    def kept(self, route: Manifest) -> Mapping[str, Backends]:
        return weights.kept(route)

    def restored(self, route: Manifest, backends: Backends) -> Manifest | None:
        return weights.restored(route, backends.rollout, _pairs, backends)


def _routes(route: Manifest) -> list[Ref]:
    return list((route.get("spec") or {}).get("http") or [])


def _pairs(route: Manifest, backends: Backends) -> Iterator[tuple[Ref, Ref]]:
    """Destinations of both Services, route by route, where one has exactly one of each, or of each
    with the port that the strategy names."""
    here = str(route["metadata"].get("namespace"))
    for item in _routes(route):
        if backends.rules and item.get("name") not in backends.rules:
            continue
        refs = item.get("route") or []
        stable = _meant(refs, backends.stable, backends.port, here)
        canary = _meant(refs, backends.canary, backends.port, here)
        if len(stable) == 1 and len(canary) == 1:
            yield stable[0], canary[0]


def _meant(refs: list[Ref], service: str, port: int, namespace: str) -> list[Ref]:
    found = [ref for ref in refs if _leads(ref, service, namespace)]
    return found if len(found) < 2 else [ref for ref in found if _port(ref) == port]


def _port(ref: Ref) -> Any:
    return ((ref.get("destination") or {}).get("port") or {}).get("number")


def _leads(ref: Ref, service: str, namespace: str) -> bool:
    """Whether the host is that Service of this namespace, in short or in full."""
    host = str((ref.get("destination") or {}).get("host", ""))
    whole = f"{service}.{namespace}"
    return host in (service, whole, f"{whole}.svc") or host.startswith(f"{whole}.svc.")
