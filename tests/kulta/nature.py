"""What the small member does by itself: pods come and become ready, slices and gateways follow.

`world` lets it have its turn after every turn of the engine.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import orjson

from fleet.api import names
from fleet.kulta.core.actions import Plan
from fleet.kulta.core.messages.advisors import Question
from fleet.kulta.core.observed import (
    Consulted,
    Heard,
    Inquiry,
    Measurement,
    Pod,
    ReplicaSet,
    Service,
)
from tests import gen


def turn(world: Any) -> None:
    """Everybody but the engine does what is to be done."""
    for item in world.sets.values():
        replicate(world, item)
    grown = world.now - timedelta(seconds=world.startup)
    left = dict(world.able)
    for key, pod in world.pods.items():
        ready = world.born[key] <= grown and pod.hash not in world.broken
        if ready and pod.hash in left:
            ready, left[pod.hash] = left[pod.hash] > 0, left[pod.hash] - 1
        if ready != pod.ready:
            world.pods[key] = replace(pod, ready=ready)
    counts = Counter(pod.hash for pod in world.pods.values())
    for key, item in world.sets.items():
        own = counts[key]
        if own != item.current:
            world.sets[key] = replace(item, current=own)
    world.hooks.give_up(world.now)
    if world.sliced:
        world.slices = {name: world.addresses(item) for name, item in world.services.items()}
    for key, item in world.routes.items() if world.gateway else ():
        if key not in world.deaf and "parentRefs" in item["spec"]:
            accept(world, key, item)


def state(world: Any) -> tuple[Any, ...]:
    """All that a turn may change."""
    routes = orjson.dumps(world.routes)
    return dict(world.pods), dict(world.sets), routes, world.slices, world.hooks.pending


def births(world: Any) -> list[datetime]:
    """When pods that are not ready yet will be, and hooks that are silent are given up."""
    grown = world.now - (startup := timedelta(seconds=world.startup))
    born = {world.born[key] for key, pod in world.pods.items() if pod.hash not in world.broken}
    return [*(item + startup for item in born if item > grown), *world.hooks.pending.values()]


def addresses(world: Any, item: Service) -> frozenset[str]:
    """Uids of the ready pods that a Service selects."""
    labels = {
        **world.manifest["spec"]
        .get("template", gen.template())
        .get("metadata", {})
        .get("labels", {}),
        names.ROLLOUT_LABEL: world.manifest["metadata"]["name"],
    }
    ready = [pod for pod in world.pods.values() if pod.ready]
    kinds = {(pod.hash, pod.role): pod for pod in ready}
    chosen = {kind for kind, pod in kinds.items() if _selects(item, labels, pod)}
    return frozenset(pod.uid for pod in ready if (pod.hash, pod.role) in chosen)


def split(route: dict[str, Any]) -> tuple[int, int]:
    """What a route gives to the first and to the second Service."""
    if route["kind"] == "Ingress":  # only ours says something
        notes = route["metadata"].get("annotations", {})
        weight = int(notes.get("nginx.ingress.kubernetes.io/canary-weight", 0))
        return 100 - weight, weight
    if route["kind"] == "VirtualService":
        for item in route["spec"]["http"]:
            return item["route"][0]["weight"], item["route"][1].get("weight", 0)
        return 100, 0
    rules = [rule["backendRefs"] for rule in route["spec"]["rules"]]
    divided = next((refs for refs in rules if len(refs) > 1), None)
    if divided is None:  # rules of an experiment stand in front of the user's, or none do
        return 100, 0 if rules[0][0]["name"] == gen.STABLE else 100
    return divided[0]["weight"], divided[1]["weight"]


def measure(world: Any, text: str) -> Measurement:
    """What a source of metrics answers."""
    try:
        return gen.measured(text, world.answer(text), world.now)
    except ConnectionError as error:
        return gen.measured(text, None, world.now, str(error))


def advise(world: Any, question: Question) -> Consulted:
    """How asking the advisor goes: at once, and as the runtime remembers it."""
    said, before = world.advisor(question), world.consulted
    status, answered_at = question.rollout.status, world.now
    about = (status.current_pod_hash, status.current_step_index)
    error = "" if said else "the advisor does not answer"
    if said is None and before is not None and (before.revision, before.step) == about:
        said, answered_at = before.recommendation, before.answered_at
    return Consulted(
        revision=about[0],
        step=about[1],
        is_healthy=question.is_healthy,
        at=world.now,
        error=error,
        recommendation=said,
        answered_at=answered_at if said else None,
    )


def agree(_: str) -> str:
    """What a hook says that has nothing against it."""
    return ""


SILENCE = timedelta(seconds=32)
"""After three attempts a hook that says nothing is given up."""


class Hooks(dict[Inquiry, Heard]):
    """What hooks said: at once, and all of them yes unless `says` tells why not; None: silence."""

    def __init__(self) -> None:
        super().__init__()
        self.says: Callable[[str], str | None] = agree
        self.called: tuple[tuple[str, str], ...] = ()
        """Who was asked, and at which point."""
        self.agreed: frozenset[Inquiry] = frozenset()
        """To what somebody has ever said yes."""
        self.pending: Mapping[Inquiry, datetime] = {}
        """Who is asked now, and when that is given up."""

    def give_up(self, now: datetime) -> None:
        """Of whom nothing was heard for too long."""
        late = [inquiry for inquiry, end in self.pending.items() if end <= now]
        for inquiry in late:
            self[inquiry] = Heard(is_yes=False, at=now, said="no answer within 10 s")
        if late:
            self.pending = {x: end for x, end in self.pending.items() if end > now}

    def clear(self) -> None:
        """The engine's process has ended."""
        super().clear()
        self.pending = {}


def consult(world: Any, plan: Plan) -> bool:
    """Ask the advisor and the hooks, as the plan wants it; whether anybody was asked."""
    for question in plan.questions:
        world.questions.append(question)
        world.consulted = advise(world, question)
    hooks = world.hooks
    due = [item for item in plan.errands if item.inquiry not in hooks.pending]
    for errand in due:
        inquiry, why = errand.inquiry, hooks.says(errand.hook.name)
        hooks.called += ((inquiry.hook, inquiry.point),)
        if why is None:
            kept = {x: end for x, end in hooks.pending.items() if x.revision == inquiry.revision}
            hooks.pending = {**kept, inquiry: world.now + SILENCE}
            continue
        hooks[inquiry] = Heard(is_yes=not why, at=world.now, said=why)
        hooks.agreed |= frozenset() if why else {inquiry}
    return bool(plan.questions or due)


def replicate(world: Any, item: ReplicaSet) -> None:
    """The set makes the pods that it lacks, and gives up the newest of those that are too many."""
    own = [key for key, pod in world.pods.items() if pod.hash == item.hash]
    if len(own) == item.replicas:
        return
    for _ in range(item.replicas - len(own)):
        number = world.named
        world.named += 1
        name = f"{item.name}-{number}"
        world.pods[name] = Pod(
            name=name, uid=f"pod-{number}", hash=item.hash, role=item.role, ready=False
        )
        world.born[name] = world.now
    own.reverse()
    own.sort(key=lambda key: (world.pods[key].ready, not world.pods[key].leaving))
    for key in own[: max(len(own) - item.replicas, 0)]:
        del world.pods[key]


def accept(world: Any, key: str, item: dict[str, Any]) -> None:
    """The gateway takes the route as it is."""
    generation = item["metadata"]["generation"]
    parents = [gen.report(ref, generation) for ref in item["spec"]["parentRefs"]]
    if item["status"]["parents"] != parents:
        item["status"]["parents"] = parents
        world.weights.append(world.split(key)[1])


def _selects(item: Service, labels: dict[str, str], pod: Pod) -> bool:
    own = {names.HASH_LABEL: pod.hash, names.TYPE_LABEL: pod.role}
    return item.selector.items() <= {**labels, **own}.items()
