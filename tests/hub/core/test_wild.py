"""Wild Applications, Fleets and members, valid by their schemas: never a crash, always a why.

What the hub takes it can plan and render, or it says of which cluster it cannot; and what it
renders the engine takes. A few hundred here, 5,000 in `make check-deep`; how they end is printed.
"""

from collections import Counter
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from fleet.api import Application, Fleet, FleetRollout, MemberCluster, Rollout
from fleet.api.meta import ObjectMeta
from fleet.api.names import ClusterName
from fleet.errors import UserError
from fleet.hub.core.actions import CreateRun
from fleet.hub.core.application import decision
from fleet.hub.core.member import report, selection
from fleet.hub.core.observed import ApplicationObserved, Member, RunObserved
from fleet.hub.core.run import plan
from fleet.kulta.core.feedback import validation
from fleet.rendering import render
from fleet.rendering.tenant import Own
from tests import search, wild
from tests.conftest import NOON
from tests.hub import gen, world

pytestmark = [search.in_time, pytest.mark.hypothesis]

COUNT = 5_000 if search.MANY > 1_000 else 100
NAMES = ("a", "b")


def sane(dice: Random) -> dict[str, Any]:
    """Parts that make sense, of which most objects have most."""
    policy, workload = "spec.deliveryPolicy", "spec.workload"
    known = gen.spec()
    return {
        "spec.destination": known["destination"],
        workload: known["workload"] if dice.random() < 0.7 else wild_workload(dice),
        f"{workload}.template": known["workload"]["template"],
        f"{policy}.strategy": dice.choice([gen.CANARY, {"simple": {}}]),
        f"{policy}.waves": [{"name": "all", "remaining": True}],
        f"{policy}.maxConcurrency": dice.choice([1, "50%"]),
        f"{policy}.failureBudget": 0,
        f"{policy}.progressDeadline": "30m",
        f"{policy}.maxPrune": 1,
        f"{policy}.deletionTimeout": "24h",
        f"{policy}.unavailableClusters": {"policy": "Skip"},
        f"{policy}.limits": {"minInterval": "1m"},
        "spec.overrides": [],
    }


def wild_workload(dice: Random) -> dict[str, Any]:
    node = wild.of("applications")["properties"]["spec"]["properties"]["workload"]
    found: dict[str, Any] = wild.value(node, dice)
    return found


def application(dice: Random) -> dict[str, Any]:
    body = gen.application().manifest()
    body["spec"] = wild.value(wild.of("applications")["properties"]["spec"], dice)
    body["spec"].setdefault("deliveryPolicy", {})
    wild.put(body, sane(dice), dice, dice.choice([0.5, 0.9, 0.95, 1.0]))
    wild.check("applications", "spec", body["spec"])
    return body


def fleet(dice: Random) -> dict[str, Any]:
    body = gen.fleet().manifest()
    spec = wild.value(wild.of("fleets")["properties"]["spec"], dice)
    members = {"names": list(NAMES)} if dice.random() < 0.9 else spec.get("members", {})
    body["spec"] = {**spec, "members": members} if dice.random() < 0.4 else {"members": members}
    wild.check("fleets", "spec", body["spec"])
    return body


def member(name: str, dice: Random) -> dict[str, Any]:
    body = gen.cluster(name).manifest()
    if dice.random() < 0.3:
        spec = wild.value(wild.of("memberclusters")["properties"]["spec"], dice)
        wild.put({"spec": spec}, {"spec.allowedNamespaces": ["checkout"]}, dice, 0.8)
        body["spec"] = spec
    wild.check("memberclusters", "spec", body["spec"])
    return body


def lived(dice: Random) -> tuple[str, str]:
    """How far it came, and the sentence that says why no farther."""
    try:
        wanted = Application.parse(application(dice))
        known = Fleet.parse(fleet(dice))
        clusters = [MemberCluster.parse(member(name, dice)) for name in NAMES]
    except UserError as error:
        return "refused", str(error)
    answers = gen.member("a")
    members = {ClusterName(item.name): replace(answers, cluster=item) for item in clusters}
    seen = report.fleet(known, members, NOON)
    wild.check("fleets", "status", seen.manifest())
    assert seen.conditions
    looked = ApplicationObserved(fleet=known, members=members, templates="t", own=Own())
    decided = decision.decide(wanted, looked, NOON)
    wild.check("applications", "status", decided.status.manifest())
    made = [action for action in decided.actions if isinstance(action, CreateRun)]
    if not made:
        return "not accepted", decided.status.message
    meta = ObjectMeta(name=made[0].name, namespace="shop", generation=1)
    run = FleetRollout(metadata=meta, spec=made[0].spec)
    wild.check("fleetrollouts", "spec", run.spec.manifest())
    return planned(run, known, members)


def planned(run: FleetRollout, known: Fleet, members: dict[ClusterName, Member]) -> tuple[str, str]:
    """The first looks at the run, and what each cluster would get."""
    chosen = selection.select(known, members).chosen
    looked = RunObserved(members=members, newest=run.spec.number, fleet=frozenset(chosen) or None)
    for _ in range(2):
        decided = plan.next(run, looked, NOON)
        wild.check("fleetrollouts", "status", decided.status.manifest())
        run = run.model_copy(update={"status": decided.status})
    for name in chosen:
        cluster = members[name].cluster
        delivery = gen.delivery(run.spec.application, cluster, known)
        try:
            found = render.render(world.TEMPLATES, delivery)
        except UserError as error:
            return "not rendered", str(error)
        rollout = Rollout.parse(found[0].manifest, strict=True)
        assert validation.problems(rollout.spec, rollout.name) == ()
    return f"planned: {run.status.phase}", run.status.message


def test_no_object_breaks_the_hub() -> None:
    ends: Counter[str] = Counter()
    for seed in range(COUNT):
        try:
            end, why = lived(Random(seed))
            assert why
            ends[end] += 1
        except Exception as error:
            error.add_note(f"seed {seed}")
            raise
    print(f"{COUNT} wild fleets:", ", ".join(f"{n} {c}" for n, c in sorted(ends.items())))  # noqa: T201
    assert {"refused", "not accepted", "planned: Progressing"} <= ends.keys()
