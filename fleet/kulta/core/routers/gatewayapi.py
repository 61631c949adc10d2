"""The Gateway API router: weights in the rules of an HTTPRoute that hold both Services, or, where
matches divide the traffic, rules of our own beside those of the user (`rules`).

Only `weight` of those two references changes; matches, filters, time-outs, other rules and other
back-ends stay as the user wrote them. The list of rules is atomic, so the whole object is written
back under its resourceVersion, and only when something differs. The weights that we found are kept
in an annotation, for each Rollout that has a part of the route, and put back at the end:

    {"<rollout>": {"stable": …, "canary": …, "port": 80, "weights": [[100, 0]]}}
"""

import contextlib
import copy
import json
from collections.abc import Iterator, Mapping
from typing import Any

from fleet.api import names, routes
from fleet.kulta.core.routers import rules
from fleet.kulta.core.routers.base import Backends, Manifest
from fleet.kulta.core.wait import Wait

Ref = dict[str, Any]
Record = dict[str, Any]

CONDITIONS = ("Accepted", "ResolvedRefs")


class GatewayRouter:
    """See the module."""

    def problem(self, route: Manifest | None, backends: Backends, name: str) -> Wait | None:
        if route is None:
            return Wait(
                reason="RouteNotFound",
                message=f"HTTPRoute {name} does not exist in this namespace; create it, "
                "or correct trafficRouting.gatewayAPI.httpRoute",
            )
        if backends.branches:
            return None if _leads(route, backends) else _unused(name, backends)
        if not any(_pairs(route, backends)):
            return Wait(
                reason="RouteWithoutServices",
                message=f"no rule of HTTPRoute {name} has both Services {backends.stable} and "
                f"{backends.canary} in its backendRefs; add the missing one",
            )
        return None

    def misfit(self, route: Manifest, backends: Backends) -> Wait | None:
        return rules.misfit(route, backends) if backends.branches else None

    def weight(self, route: Manifest, backends: Backends) -> int:
        if backends.branches:
            return 100 if rules.find(route, backends) else 0
        shares = [0]
        for stable, canary in _pairs(route, backends):
            parts = _weight(stable), _weight(canary)
            shares.append(-(-100 * parts[1] // sum(parts)) if any(parts) else 0)
        return max(shares)

    def weighted(self, route: Manifest, backends: Backends, weight: int) -> Manifest | None:
        if backends.branches:
            changed = self._reweighted(route, backends.rollout)
            return rules.applied(changed or route, backends, is_on=weight > 0) or changed
        before = self.kept(route).get(backends.rollout)
        if before not in (None, backends):  # other Services now: those from before are let go
            route = self.restored(route, before) or route
        elif all(
            (stable.get("weight"), canary.get("weight")) == (100 - weight, weight)
            for stable, canary in _pairs(route, backends)
        ):
            return None
        changed = copy.deepcopy(dict(route))
        for stable, canary in _pairs(changed, backends):
            stable["weight"], canary["weight"] = 100 - weight, weight
        if not _is_broken(route) and backends.rollout not in _records(route):
            _note(changed, backends.rollout, _record(route, backends))
        return changed

    def pending(self, route: Manifest) -> Wait | None:
        """Every parent that the spec names must have accepted this generation."""
        name = route["metadata"]["name"]
        reports = (route.get("status") or {}).get("parents") or []
        for parent in route["spec"].get("parentRefs") or [{}]:
            own = [item for item in reports if _same(item.get("parentRef") or {}, parent, route)]
            if not own:
                return _brief(f"no gateway has answered for HTTPRoute {name} yet")
            for report in own:
                wait = _unmet(report, route)
                if wait is not None:
                    return wait
        return None

    def kept(self, route: Manifest) -> Mapping[str, Backends]:
        found = {
            rollout: Backends(rollout=rollout, stable="", canary="")
            for rollout in routes.records(route)
        }
        for rollout, record in _records(route).items():
            with contextlib.suppress(KeyError, TypeError, ValueError):
                found[rollout] = Backends(
                    rollout=rollout,
                    stable=str(record["stable"]),
                    canary=str(record["canary"]),
                    port=int(record["port"]),
                )
        return found

    def restored(self, route: Manifest, backends: Backends) -> Manifest | None:
        stripped = rules.applied(route, backends, is_on=False)
        return self._reweighted(stripped or route, backends.rollout, backends) or stripped

    def _reweighted(
        self, route: Manifest, rollout: str, backends: Backends | None = None
    ) -> Manifest | None:
        """The route with the weights that it had; None where we never changed them."""
        records = _records(route)
        if rollout not in records and (backends is None or not _is_broken(route)):
            return None
        backends = self.kept(route).get(rollout) or backends
        assert backends is not None
        changed = copy.deepcopy(dict(route))
        pairs = list(_pairs(changed, backends))
        found = _read(records.get(rollout))
        if len(found) != len(pairs):
            found = [(100, 0)] * len(pairs)
        for pair, weights in zip(pairs, found, strict=True):
            for ref, value in zip(pair, weights, strict=True):
                if value is None:
                    ref.pop("weight", None)
                else:
                    ref["weight"] = value
        _note(changed, rollout, None)
        return changed


def _pairs(route: Manifest, backends: Backends) -> Iterator[tuple[Ref, Ref]]:
    """References to both Services, rule by rule, where a rule has exactly one of each, or of each
    with the port that the strategy names."""
    for rule in route["spec"].get("rules") or []:
        refs = rule.get("backendRefs") or []
        stable = _meant(refs, backends.stable, backends.port, route)
        canary = _meant(refs, backends.canary, backends.port, route)
        if len(stable) == 1 and len(canary) == 1:
            yield stable[0], canary[0]


def _leads(route: Manifest, backends: Backends) -> bool:
    """Whether any rule leads to the stable Service."""
    return any(rules.reference(rule, backends) for rule in route["spec"].get("rules") or [])


def _unused(name: str, backends: Backends) -> Wait:
    return Wait(
        reason="RouteWithoutServices",
        message=f"no rule of HTTPRoute {name} has Service {backends.stable} in its backendRefs; "
        "add it",
    )


def _meant(refs: list[Ref], service: str, port: int, route: Manifest) -> list[Ref]:
    found = [ref for ref in refs if _names(ref, service, route)]
    return found if len(found) < 2 else [ref for ref in found if ref.get("port") == port]


def _names(ref: Ref, service: str, route: Manifest) -> bool:
    here = route["metadata"].get("namespace")
    return (
        ref.get("name") == service
        and (ref.get("kind") or "Service") == "Service"
        and not ref.get("group")
        and ref.get("namespace") in (None, "", here)
    )


def _weight(ref: Ref) -> int:
    return int(ref.get("weight", 1))


def _record(route: Manifest, backends: Backends) -> Record:
    """What has to be remembered before the first change."""
    return {
        "stable": backends.stable,
        "canary": backends.canary,
        "port": backends.port,
        "weights": [[ref.get("weight") for ref in pair] for pair in _pairs(route, backends)],
    }


def _records(route: Manifest) -> dict[str, Record]:
    """What the annotation keeps, Rollout by Rollout; empty where somebody broke it."""
    text = (route["metadata"].get("annotations") or {}).get(names.ORIGINAL_WEIGHTS)
    try:
        found = json.loads(text) if text else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _is_broken(route: Manifest) -> bool:
    notes = route["metadata"].get("annotations") or {}
    return names.ORIGINAL_WEIGHTS in notes and not _records(route)


def _note(route: dict[str, Any], rollout: str, record: Record | None) -> None:
    """Keep the record of a Rollout in the annotation, or drop it; the last one takes it along."""
    records = {key: value for key, value in _records(route).items() if key != rollout}
    if record is not None:
        records[rollout] = record
    notes = route["metadata"].setdefault("annotations", {})
    if records:
        notes[names.ORIGINAL_WEIGHTS] = json.dumps(records)
    else:
        del notes[names.ORIGINAL_WEIGHTS]


def _read(record: Any) -> list[tuple[int | None, int | None]]:
    """The weights of a record; what somebody broke counts as nothing kept."""
    try:
        return [(_kept(stable), _kept(canary)) for stable, canary in record["weights"]]
    except (KeyError, TypeError, ValueError):
        return []


def _kept(value: Any) -> int | None:
    if value is None:
        return None
    number = int(value)
    if not 0 <= number <= 1_000_000:
        raise ValueError("a weight is 0…1000000")
    return number


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
    name = route["metadata"]["name"]
    generation = route["metadata"].get("generation", 0)
    found = {item.get("type"): item for item in report.get("conditions") or []}
    for kind in CONDITIONS:
        item = found.get(kind)
        if item is None or item.get("observedGeneration", 0) < generation:
            return _brief(f"the gateway has not taken the weights of HTTPRoute {name} yet")
        if item.get("status") != "True":
            gateway = (report.get("parentRef") or {}).get("name", "")
            return Wait(
                reason="RouteNotAccepted",
                message=f"gateway {gateway} does not take HTTPRoute {name}: {kind} is "
                f"{item.get('status')}, {item.get('reason', '')}: {item.get('message', '')}",
            )
    return None


def _brief(message: str) -> Wait:
    return Wait(reason="RoutePending", message=message, is_brief=True)
