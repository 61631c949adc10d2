"""One cluster with what is in it, for the tests of dispatch."""

import copy
from collections.abc import Mapping
from typing import Any

from fleet.api import ClusterRollout
from fleet.api.clusterrollout import ClusterRolloutStatus
from fleet.api.fleetrollout import ClusterPhase, Snapshot
from fleet.hub.core.actions import DispatchPlan
from fleet.hub.core.cluster import dispatch
from fleet.hub.core.observed import DispatchObserved, Member, Place
from fleet.rendering import render
from tests.conftest import NOON
from tests.hub import engine, gen
from tests.hub.world import TEMPLATES

Objects = dict[Place, dict[str, Any]]
NEW = gen.item("a", ClusterPhase.PENDING).model_copy(update={"status": ClusterRolloutStatus()})


def rendered(number: int = 1, image: str = "shop:v1", **labels: str) -> tuple[render.Rendered, ...]:
    snapshot = Snapshot(name="checkout", spec=gen.application(image).spec)
    cluster = gen.cluster("a", **labels)
    delivery = gen.delivery(snapshot, cluster, revision=f"rev{number}")
    return render.render(TEMPLATES, delivery)


def objects(number: int = 1, sequence: int = 1, hub: str = "hub-1", **status: Any) -> Objects:
    """What is in the member after dispatch `sequence` of run `number`."""
    result: Objects = {}
    for each in rendered(number):
        body: dict[str, Any] = copy.deepcopy(dict(each.manifest))
        body["metadata"] |= {"uid": f"uid-{each.name}", "resourceVersion": "7"}
        if each.resource.plural == "rollouts":
            body["metadata"]["generation"] = 5
            body["spec"]["dispatch"] = {"hub": hub, "sequence": sequence}
            body["status"] = {
                "observedGeneration": 5,
                "fleetRevision": f"rev{number}",
                "phase": "Progressing",
                "currentStepIndex": 0,
                **status,
            }
        result[each.resource.plural, each.namespace, each.name] = body
    return result


def look(
    there: Mapping[Place, Any] | None = None,
    *,
    looked: bool = False,
    member: Member | None = None,
    number: int = 1,
    **given: Any,
) -> DispatchObserved:
    there = there or {}
    fields: dict[str, Any] = {
        "member": member or gen.member("a"),
        "hub": "hub-1",
        "rendered": rendered(number),
        "rollouts": engine.seen(dict(there)),
        "looked_up": dict(there) if looked else None,
        **given,
    }
    return DispatchObserved(**fields)


def did(plan: DispatchPlan) -> list[str]:
    return [type(action).__name__ for action in plan.actions]


def after(item: ClusterRollout, plan: DispatchPlan) -> ClusterRollout:
    return item.model_copy(update={"status": plan.status})


def settled(number: int = 1) -> ClusterRollout:
    """A ClusterRollout whose objects have all been seen."""
    item = after(NEW, dispatch.decide(NEW, look(looked=True), NOON))
    there = objects(number, phase="Completed")
    return after(item, dispatch.decide(item, look(there, looked=True), NOON))
