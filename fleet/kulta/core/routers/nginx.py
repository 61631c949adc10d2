"""The nginx router: a canary Ingress of ours beside the user's, with the weight in an annotation.

Ours has the user's rules for the stable Service, with the canary Service instead; whatever changes
there is taken over. It belongs to the Rollout, is made when there is weight to give and deleted
when there is none any more. The user's Ingress is never written. nginx does not say when it has
taken a change, so a write counts as in force a while later.
"""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from fleet.api import names
from fleet.api.meta import Manifest
from fleet.kit import hashing
from fleet.kulta.core.routers import settling
from fleet.kulta.core.routers.base import Backends, Origin
from fleet.kulta.core.wait import Wait

CLASS = "kubernetes.io/ingress.class"
LONGEST = 253


class NginxRouter:
    """See the module. A `route` is the Ingress of ours, empty while there is none."""

    is_silent = True
    makes = True

    def own(self, rollout: str, name: str) -> str:
        found = f"{rollout}-{name}-canary"
        if len(found) <= LONGEST:
            return found
        return f"{found[: LONGEST - 17]}-{hashing.fnv1a64(found.encode()):016x}"

    def problem(self, route: Manifest, backends: Backends) -> Wait | None:
        if route and backends.rollout not in self.kept(route):
            name = route["metadata"]["name"]
            message = f"Ingress {name} exists and is not ours; delete it or give it another name"
            return Wait(reason="ForeignObject", message=message)
        source = _source(backends)
        if any(_rules(source, backends)):
            return None
        return Wait(
            reason="RouteWithoutServices",
            message=f"no rule of Ingress {source['metadata']['name']} leads to Service "
            f"{backends.stable}; add one",
        )

    def misfit(self, route: Manifest, backends: Backends) -> Wait | None:
        return None

    def weight(self, route: Manifest, backends: Backends) -> int:
        if not route:
            return 0
        notes = route["metadata"].get("annotations") or {}
        text = str(notes.get(f"{_origin(backends).prefix}/canary-weight", ""))
        return min(int(text), 100) if text.isdecimal() else 100

    def weighted(self, route: Manifest, backends: Backends, weight: int) -> Manifest | None:
        if not route and not weight:
            return None
        origin, source = _origin(backends), _source(backends)
        notes, spec = _notes(origin, source, weight), _spec(source, backends)
        found = (route.get("metadata") or {}).get("annotations") or {}
        others = {key: value for key, value in found.items() if not _is_ours(origin, key)}
        if route and route.get("spec") == spec and {**others, **notes} == found:
            return None
        fresh = {
            "name": self.own(backends.rollout, source["metadata"]["name"]),
            "namespace": source["metadata"]["namespace"],
            "labels": {names.MANAGED_LABEL: "true", names.ROLLOUT_LABEL: backends.rollout},
            "ownerReferences": [dict(origin.owner)],
        }
        meta = copy.deepcopy(dict(route["metadata"])) if route else fresh
        return {
            **names.INGRESSES.head,
            "metadata": {**meta, "annotations": {**others, **notes}},
            "spec": spec,
        }

    def pending(self, route: Manifest) -> Wait | None:
        return settling.wait(route) if route else None

    def is_underway(self, route: Manifest, backends: Backends) -> bool:
        return False

    def kept(self, route: Manifest) -> Mapping[str, Backends]:
        labels = route["metadata"].get("labels") or {}
        rollout = labels.get(names.ROLLOUT_LABEL, "")
        if labels.get(names.MANAGED_LABEL) != "true" or not rollout:
            return {}
        return {rollout: Backends(rollout=rollout, stable="", canary="")}

    def restored(self, route: Manifest, backends: Backends) -> Manifest | None:
        """The user's own was never changed; ours is deleted."""
        return None


def _origin(backends: Backends) -> Origin:
    assert backends.origin is not None
    return backends.origin


def _source(backends: Backends) -> Manifest:
    source = _origin(backends).source
    assert source is not None
    return source


def _is_ours(origin: Origin, key: str) -> bool:
    return key == CLASS or key.startswith(f"{origin.prefix}/")


def _notes(origin: Origin, source: Manifest, weight: int) -> dict[str, str]:
    """Without weight nobody gets there by a header either."""
    found = {"canary": "true", "canary-weight": str(weight)}
    if weight:
        found |= origin.notes
    notes = {f"{origin.prefix}/{key}": value for key, value in found.items()}
    known = (source["metadata"].get("annotations") or {}).get(CLASS)
    return notes | ({CLASS: known} if known else {})


def _spec(source: Manifest, backends: Backends) -> dict[str, Any]:
    known = source["spec"].get("ingressClassName")
    chosen = {"ingressClassName": known} if known else {}
    return {**chosen, "rules": list(_rules(source, backends))}


def _rules(source: Manifest, backends: Backends) -> Iterator[dict[str, Any]]:
    """The user's rules as far as they lead to the stable Service, with the canary's instead."""
    for rule in source["spec"].get("rules") or []:
        paths = [
            {
                **path,
                "backend": {"service": {**path["backend"]["service"], "name": backends.canary}},
            }
            for path in (rule.get("http") or {}).get("paths") or []
            if ((path.get("backend") or {}).get("service") or {}).get("name") == backends.stable
        ]
        if paths:
            yield {**{k: v for k, v in rule.items() if k != "http"}, "http": {"paths": paths}}
