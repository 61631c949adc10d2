"""What the members' audit logs and the load generator say, on one clock; judges nothing.

`claims` asks. Times of the audit logs are those of this machine's wall clock, times of the load
generator those of its monotonic clock: `on_load_clock` translates.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from e2e.demo.stage import Stage
from e2e.ground.audit import Request
from e2e.ground.loadgen import Answer
from fleet.api import names

ENGINE = "system:serviceaccount:kulta-system:kulta-controller"
HUB = "system:serviceaccount:kulta-system:kulta-fleet-hub"
GATEWAY = "local-gateway"
ROLLOUTS = "rollouts.kulta.io"
ROUTES = "httproutes.gateway.networking.k8s.io"
SETTLE = 0.3
"""Seconds after which each thread of Envoy has what Envoy says it has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A weight of the canary Service: from when Envoy had it until the engine wrote another."""

    weight: int
    written: datetime
    live: datetime
    until: datetime | None = None


def writes(stage: Stage, member: str, image: str) -> list[Request]:
    """Writes in a member whose body holds that image, refused ones too."""
    return [
        request
        for request in stage.sites[member].plane.audit.read(writes=True)
        if request.body is not None and f'"sample:{image}"' in json.dumps(request.body)
    ]


def created(stage: Stage, member: str, image: str) -> list[Request]:
    """The ReplicaSets of that image that a member has taken."""
    return [
        request
        for request in writes(stage, member, image)
        if (request.verb, request.resource, request.code) == ("create", "replicasets.apps", 201)
    ]


def completed(stage: Stage, member: str, image: str) -> datetime:
    """When the engine first reported that image as complete: the request's arrival, because the
    hub may act on the report before the engine has heard that it was written."""
    hashes = {
        item.body["metadata"]["labels"][names.HASH_LABEL] for item in created(stage, member, image)
    }
    for request in stage.sites[member].plane.audit.read(
        user=ENGINE, resource=ROLLOUTS, subresource="status", code=200
    ):
        status = request.body["status"]
        if status.get("phase") == "Completed" and status.get("stablePodHash") in hashes:
            return request.received
    raise LookupError(f"{member}: the engine never reported {image} as complete")


def weights(stage: Stage, member: str, image: str) -> Iterator[Held]:
    """The canary's weights since the hub wrote that image, in their order."""
    begun = writes(stage, member, image)[0].received
    log = stage.sites[member].plane.audit
    # The gateway's writes are guarded by the version it speaks of: a status that was taken tells
    # that Envoy runs with the route as it was then.
    accepted = log.read(user=GATEWAY, resource=ROUTES, subresource="status", code=200)
    written = log.read(user=ENGINE, resource=ROUTES, subresource="", code=200, writes=True)
    for number, request in enumerate(written):
        if request.received < begun:
            continue
        live = next((item.received for item in accepted if item.received > request.received), None)
        if live is None:
            raise LookupError(f"{member}: the gateway never took weight {_weight(request)}")
        later = written[number + 1].received if number + 1 < len(written) else None
        yield Held(weight=_weight(request), written=request.received, live=live, until=later)


def answers(stage: Stage, member: str, held: Held) -> list[Answer]:
    """The answers to requests that began while this weight was held."""
    since = on_load_clock(held.live) + SETTLE
    until = on_load_clock(held.until) if held.until else float("inf")
    return [one for one in stage.load[member].answers if since <= one.at - one.seconds < until]


def on_load_clock(moment: datetime) -> float:
    """The moment in monotonic seconds."""
    return time.monotonic() - (datetime.now(UTC) - moment).total_seconds()


def rollout(stage: Stage, member: str) -> dict[str, Any]:
    """The member's Rollout as it is now."""
    code, found = stage.sites[member].plane.call("GET", names.ROLLOUTS.path("checkout", "checkout"))
    if code != 200:
        raise LookupError(f"{member}: Rollout checkout: {found}")
    return dict(found)


def failed_metric(stage: Stage, member: str) -> str:
    """The metric that a member's engine judged, with value and threshold, as its status says."""
    for decision in reversed(rollout(stage, member)["status"].get("decisions") or []):
        for name, result in (decision.get("metrics") or {}).items():
            if not result["passed"]:
                return f"{name} {result['value']:.1f} is not below {result['threshold']:g}"
    return "no failed metric in the member's decisions"


def owners(stage: Stage, member: str) -> list[str]:
    """Who owns the engine's pod, and who owns that."""
    plane = stage.sites[member].plane
    space = names.ENGINE_NAMESPACE
    pod = plane.call("GET", names.PODS.path(space))[1]["items"][0]
    owner = pod["metadata"]["ownerReferences"][0]
    found = plane.call("GET", names.REPLICASETS.path(space, owner["name"]))[1]
    above = found["metadata"]["ownerReferences"][0]
    return [owner["kind"], f"{above['kind']} {above['name']}"]


def _weight(request: Request) -> int:
    """What the body of a route gives to the canary Service."""
    (rule, *_) = request.body["spec"]["rules"]
    return sum(
        item.get("weight", 1) for item in rule["backendRefs"] if item["name"].endswith("-canary")
    )
