"""The demo's claims, each judged from outside of what is claimed about.

Evidence: the API servers' audit logs, Envoy's counters, the load generator's answers, the members'
objects. `__main__` prints the verdicts and exits by them. A claim that cannot be judged is broken.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise

from e2e.demo import evidence
from e2e.demo.evidence import ENGINE, HUB
from e2e.demo.stage import RINGS, Stage
from e2e.demo.story import Notes

Verdict = tuple[bool, str, str]
"""Whether it holds, the claim, the evidence."""
CANARY = next(name for name, ring in RINGS.items() if ring == "canary")
REST = tuple(name for name, ring in RINGS.items() if ring != "canary")
WEIGHTS = (25, 60)
DEVIATIONS = 4.5
"""Standard deviations by which a measured share may differ: one run in 25,000 by chance."""
ENOUGH = 100
"""Requests without which a share says nothing."""
V3 = "v3-errors-40"


def judge(stage: Stage, notes: Notes) -> list[Verdict]:
    """Every claim with its evidence."""
    return [verdict for claim in CLAIMS for verdict in _judged(claim, stage, notes)]


def _judged(claim: "Claim", stage: Stage, notes: Notes) -> Iterator[Verdict]:
    try:
        yield from claim(stage, notes)
    except Exception as error:  # noqa: BLE001 - it is this claim's verdict
        yield False, str(claim.__doc__), f"cannot be judged: {type(error).__name__}: {error}"


def _delivered(stage: Stage, notes: Notes) -> Iterator[Verdict]:
    """v1 and v2 reached every member"""
    for version in ("v1", "v2"):
        made = {name: len(evidence.created(stage, name, version)) for name in RINGS}
        yield (
            all(count == 1 for count in made.values()),
            f"{version} reached every member, in one ReplicaSet each",
            f"ReplicaSets created with sample:{version}, from the audit logs: {made}",
        )


def _one_by_one(stage: Stage, notes: Notes) -> Iterator[Verdict]:
    """v2 went cluster by cluster"""
    first = {name: evidence.writes(stage, name, "v2")[0].received for name in RINGS}
    done = {name: evidence.completed(stage, name, "v2") for name in RINGS}
    order = sorted(RINGS, key=lambda name: first[name])
    apart = all(done[a] < first[b] for a, b in pairwise(order))
    times = ", ".join(f"{name} {first[name]:%T}–{done[name]:%T}" for name in order)
    yield (
        order[0] == CANARY and apart,
        "v2 went cluster by cluster, the canary ring first",
        f"first write of v2 to the engine's Completed, from the audit logs: {times}",
    )


def _weights(stage: Stage, notes: Notes) -> Iterator[Verdict]:
    """the traffic followed the weights"""
    for weight in WEIGHTS:
        rows, fine = [], True
        for name in RINGS:
            held = next(h for h in evidence.weights(stage, name, "v2") if h.weight == weight)
            found = evidence.answers(stage, name, held)
            share = sum(one.version == "v2" for one in found) / max(len(found), 1)
            allowed = DEVIATIONS * math.sqrt(weight * (100 - weight) / max(len(found), 1)) / 100
            fine = fine and len(found) >= ENOUGH and abs(share - weight / 100) <= allowed
            rows.append(f"{name} {share:.0%} of {len(found)}, allowed ± {100 * allowed:.0f}")
        yield (
            fine,
            f"at setWeight {weight} about {weight} % of the requests were answered by v2",
            f"measured by the load generator while Envoy had it: {'; '.join(rows)}",
        )


def _without_a_gap(stage: Stage, notes: Notes) -> Iterator[Verdict]:
    """no request failed while v2 was delivered and promoted"""
    since, until = notes.spans["v2"]
    found = [
        (name, one)
        for name, generator in stage.load.items()
        for one in generator.window(since, until)
    ]
    failed = Counter(
        f"{name}: {one.status} by {one.version}" for name, one in found if one.status != 200
    )
    yield (
        bool(found) and not failed,
        "no request failed while v2 was delivered and promoted",
        f"{failed.total()} of {len(found)} requests to three gateways failed"
        + "".join(f"; {count} × {what}" for what, count in failed.items()),
    )


def _taken_back(stage: Stage, notes: Notes) -> Iterator[Verdict]:
    """v3 failed in the canary member and its engine took it back by itself"""
    phase = evidence.rollout(stage, CANARY)["status"]["phase"]
    *_, last = evidence.weights(stage, CANARY, V3)
    after = Counter(one.version for one in evidence.answers(stage, CANARY, last))
    hub = [item for item in evidence.writes(stage, CANARY, V3) if item.user == HUB]
    bad = stage.load[CANARY].tallies(notes.spans[V3][0]).get(V3)
    yield (
        (phase, last.weight, set(after), len(hub)) == ("Failed", 0, {"v2"}, 1)
        and after.total() >= ENOUGH,
        "v3 failed in the canary member and its engine took it back by itself",
        f"{evidence.failed_metric(stage, CANARY)}; {bad.count if bad else 0} requests met v3; "
        f"since weight {last.weight} answers are {dict(after)}; phase {phase}; the hub wrote v3 "
        f"{len(hub)} time(s) and nothing after it",
    )


def _halted(stage: Stage, notes: Notes) -> Iterator[Verdict]:
    """the run halted on the first failed analysis"""
    run = notes.ends[V3]
    status = run["status"]
    yield (
        status["phase"] == "Halted",
        "the run halted on the first failed analysis",
        f"{run['metadata']['name']}: {status['phase']}, {status.get('message', '')}",
    )


def _never_seen(stage: Stage, notes: Notes) -> Iterator[Verdict]:
    """the other members never saw v3"""
    seen = {name: len(evidence.writes(stage, name, V3)) for name in RINGS}
    yield (
        seen[CANARY] > 0 and all(seen[name] == 0 for name in REST),
        "the other members never saw v3",
        f"writes whose body holds sample:{V3}, from the audit logs: {seen}",
    )


def _counted(stage: Stage, notes: Notes) -> Iterator[Verdict]:
    """only the canary Service of the canary member ever answered with an error"""
    errors = {
        (name, service): found.errors
        for name, site in stage.sites.items()
        for service, found in site.gateway.counters().items()
    }
    wrong = {key for key, count in errors.items() if count}
    shown = ", ".join(f"{name} {service} {count}" for (name, service), count in errors.items())
    yield (
        wrong == {(CANARY, "checkout/checkout-canary/80")}
        and {name for name, _ in errors} == {*RINGS},
        "only the canary Service of the canary member ever answered with an error",
        f"5xx by Envoy's counters: {shown}",
    )


def _identity(stage: Stage, notes: Notes) -> Iterator[Verdict]:
    """each engine is the one that the hub brought"""
    for name in RINGS:
        log = stage.sites[name].plane.audit
        engine = log.read(verbs=("create",), resource="replicasets.apps", namespace="checkout")
        users = {item.user for item in engine}
        yield (
            users == {ENGINE},
            f"{name}: the ReplicaSets were made by the engine under its own ServiceAccount",
            f"authors in the audit log: {', '.join(sorted(users))}",
        )
        owners = evidence.owners(stage, name)
        made = {
            item.user
            for item in log.read(writes=True, resource="deployments.apps", subresource="")
            if item.namespace == "kulta-system" and item.code in (200, 201)
        }
        yield (
            owners == ["ReplicaSet", "Deployment kulta-controller"] and HUB in made,
            f"{name}: the engine runs in a pod of the Deployment that the hub wrote",
            f"owners {' → '.join(owners)}; Deployment written by {', '.join(sorted(made))}",
        )


Claim = Callable[[Stage, Notes], Iterator[Verdict]]
CLAIMS: tuple[Claim, ...] = (
    _delivered,
    _one_by_one,
    _weights,
    _without_a_gap,
    _taken_back,
    _halted,
    _never_seen,
    _counted,
    _identity,
)
