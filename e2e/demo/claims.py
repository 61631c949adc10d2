"""The demo's claims, each judged from outside of what is claimed about.

Evidence: the API servers' audit logs, Envoy's counters, the load generator's answers, the members'
objects. `__main__` prints the verdicts and exits by them.
"""

import json
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise

from e2e.demo.stage import RINGS, Stage
from e2e.demo.story import Moment, Notes, failed_metric
from e2e.ground.audit import Request

Verdict = tuple[bool, str, str]
ENGINE = "system:serviceaccount:kulta-system:kulta-controller"
HUB = "system:serviceaccount:kulta-system:kulta-fleet-hub"
CANARY = next(name for name, ring in RINGS.items() if ring == "canary")
REST = tuple(name for name, ring in RINGS.items() if ring != "canary")
WEIGHTS = (25, 60)
TOLERANCE = 0.12
"""Three standard deviations of a share of 25 % in 150 requests."""
V3 = "v3-errors-40"


def judge(stage: Stage, notes: Notes) -> list[Verdict]:
    """Every claim with its evidence."""
    return [
        *_delivered(stage),
        _one_by_one(stage, notes),
        *_weights(stage, notes),
        _without_a_gap(stage, notes),
        _taken_back(stage, notes),
        _halted(notes),
        _never_seen(stage),
        _counted(stage, notes),
        *_identity(stage),
    ]


def _writes(stage: Stage, member: str, image: str) -> list[Request]:
    """Writes in a member whose body holds that image."""
    return [
        request
        for request in stage.sites[member].plane.audit.read(writes=True)
        if request.body is not None and f'"sample:{image}"' in json.dumps(request.body)
    ]


def _delivered(stage: Stage) -> Iterator[Verdict]:
    for version in ("v1", "v2"):
        created = {name: len(_created(stage, name, version)) for name in RINGS}
        yield (
            all(count == 1 for count in created.values()),
            f"{version} reached every member, in one ReplicaSet each",
            f"ReplicaSets created with sample:{version}, from the audit logs: {created}",
        )


def _created(stage: Stage, member: str, version: str) -> list[Request]:
    return [
        request
        for request in _writes(stage, member, version)
        if (request.verb, request.resource) == ("create", "replicasets.apps")
    ]


def _one_by_one(stage: Stage, notes: Notes) -> Verdict:
    first = {name: _writes(stage, name, "v2")[0].received for name in RINGS}
    done = {name: _completed(stage, name) for name in RINGS}
    order = sorted(RINGS, key=lambda name: first[name])
    apart = all(done[a] <= first[b] for a, b in pairwise(order))
    times = ", ".join(f"{name} {first[name]:%T}–{done[name]:%T}" for name in order)
    return (
        order[0] == CANARY and apart,
        "v2 went cluster by cluster, the canary ring first",
        f"first write of v2 to the engine's Completed, from the audit logs: {times}",
    )


def _completed(stage: Stage, member: str) -> datetime:
    """When the engine wrote Completed for the second time (v2)."""
    begun = _writes(stage, member, "v2")[0].received
    for request in stage.sites[member].plane.audit.read(
        user=ENGINE, resource="rollouts.kulta.io", subresource="status"
    ):
        status = (request.body or {}).get("status") or {}
        if request.received > begun and status.get("phase") == "Completed":
            return request.answered
    raise AssertionError(f"{member}: the engine never wrote Completed after v2 began")


def _weights(stage: Stage, notes: Notes) -> Iterator[Verdict]:
    for weight in WEIGHTS:
        measured = {}
        for name in RINGS:
            since, until = _span(notes.moments[name], "sample:v2", weight)
            measured[name] = stage.load[name].share(since + 0.5, until).get("v2", 0.0)
        yield (
            all(abs(share - weight / 100) <= TOLERANCE for share in measured.values()),
            f"at setWeight {weight} about {weight} % of the requests were answered by v2",
            "measured by the load generator: "
            + ", ".join(f"{name} {share:.0%}" for name, share in measured.items()),
        )


def _span(moments: list[Moment], image: str, weight: int) -> tuple[float, float]:
    """From the first report of that weight to the first report of another."""
    began = None
    for moment in moments:
        if moment.image != image:
            continue
        if began is None and moment.weight == weight and moment.phase == "Paused":
            began = moment.at
        elif began is not None and moment.weight != weight:
            return began, moment.at
    raise AssertionError(f"no member report of weight {weight} with {image}")


def _without_a_gap(stage: Stage, notes: Notes) -> Verdict:
    since, until = notes.spans["v2"]
    count = errors = 0
    for generator in stage.load.values():
        for tally in generator.tallies(since, until).values():
            count, errors = count + tally.count, errors + tally.errors
    return (
        count > 0 and errors == 0,
        "no request failed while v2 was delivered and promoted",
        f"{errors} of {count} requests to three gateways failed",
    )


def _taken_back(stage: Stage, notes: Notes) -> Verdict:
    _, until = notes.spans[V3]
    last = notes.moments[CANARY][-1]
    shares = stage.load[CANARY].share(until + 1.5)
    hub = [item for item in _writes(stage, CANARY, V3) if item.user == HUB]
    bad = stage.load[CANARY].tallies(notes.spans[V3][0]).get(V3)
    return (
        last.phase == "Failed" and set(shares) == {"v2"} and len(hub) == 1,
        "v3 failed in the canary member and its engine took it back by itself",
        f"{failed_metric(notes, CANARY)}; {bad.count if bad else 0} requests met v3; afterwards "
        f"v2 answers {shares.get('v2', 0):.0%}; the hub wrote v3 once and nothing after it",
    )


def _halted(notes: Notes) -> Verdict:
    status = notes.ends[V3]["status"]
    return (
        status["phase"] == "Halted",
        "the run halted on the first failed analysis",
        f"{notes.ends[V3]['metadata']['name']}: {status['phase']}, {status.get('message', '')}",
    )


def _never_seen(stage: Stage) -> Verdict:
    seen = {name: len(_writes(stage, name, V3)) for name in RINGS}
    return (
        seen[CANARY] > 0 and all(seen[name] == 0 for name in REST),
        "the other members never saw v3",
        f"writes whose body holds sample:{V3}, from the audit logs: {seen}",
    )


def _counted(stage: Stage, notes: Notes) -> Verdict:
    rows = []
    fine = True
    for name in REST:
        errors = stage.sites[name].gateway.counters()["checkout/checkout/80"].errors
        fine = fine and errors == 0
        rows.append(f"{name} {errors}")
    canary = stage.sites[CANARY].gateway.counters()["checkout/checkout-canary/80"].errors
    return (
        fine and canary > 0,
        "only the canary Service of the canary member ever answered with an error",
        f"5xx by Envoy's counters: {', '.join(rows)}; {CANARY}'s canary Service {canary}",
    )


def _identity(stage: Stage) -> Iterator[Verdict]:
    for name in RINGS:
        plane = stage.sites[name].plane
        engine = plane.audit.read(writes=True, resource="replicasets.apps", namespace="checkout")
        users = {item.user for item in engine if item.verb == "create"}
        yield (
            users == {ENGINE},
            f"{name}: the ReplicaSets were made by the engine under its own ServiceAccount",
            f"authors in the audit log: {', '.join(sorted(users))}",
        )
        owners = _owners(stage, name)
        made = {
            item.user
            for item in plane.audit.read(writes=True, resource="deployments.apps")
            if item.namespace == "kulta-system" and item.code in (200, 201) and not item.subresource
        }
        hub = HUB in made
        yield (
            owners == ["ReplicaSet", "Deployment kulta-controller"] and hub,
            f"{name}: the engine runs in a pod of the Deployment that the hub wrote",
            f"owners {' → '.join(owners)}; Deployment written by {', '.join(sorted(made))}",
        )


def _owners(stage: Stage, member: str) -> list[str]:
    plane = stage.sites[member].plane
    pods = json.loads(plane.kubectl("-n", "kulta-system", "get", "pods", "-o", "json"))["items"]
    owner = pods[0]["metadata"]["ownerReferences"][0]
    found = json.loads(
        plane.kubectl("-n", "kulta-system", "get", "replicaset", owner["name"], "-o", "json")
    )
    above = found["metadata"]["ownerReferences"][0]
    return [owner["kind"], f"{above['kind']} {above['name']}"]
