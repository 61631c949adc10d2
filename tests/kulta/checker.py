"""What must never be, checked by the small world after every single action."""

from typing import Any

from fleet.api import names, reasons
from fleet.api.rollout import RolloutSpec
from fleet.kit import memory
from fleet.kulta.core.actions import Plan
from fleet.kulta.core.facts import replicas
from fleet.kulta.core.messages.emit import Emit
from fleet.kulta.core.observed import Service
from tests import gen


class Impossible(AssertionError):
    """The engine let happen what must never happen."""


def check(world: Any) -> None:
    """No more pods than allowed; no traffic for a revision without ready pods."""
    spec = world.rollout.spec
    limits = _limits(spec)
    sizes = [item.replicas for item in world.sets.values()]
    is_failing = bool(world.plans) and world.plans[-1].status.phase == "Failed"
    most = limits.most + (max(sizes, default=0) if world.routes or is_failing else 0)
    if spec.strategy.blue_green is not None:
        most = 2 * spec.replicas
    if spec.strategy.ab_testing is not None:
        most = (2 + len(spec.strategy.ab_testing.variants)) * spec.replicas
    most += spec.replicas if _is_stranded(world) else 0
    before, world.wished = world.wished, sum(sizes)
    if before < world.wished > most:  # what was there before somebody scaled down is no fault
        raise Impossible(f"{sizes} pods, at most {most}")
    for name, item in world.services.items():
        if spec.strategy.ab_testing is not None:
            _check_rule(world, name, item)
        else:
            _check_weight(world, name, item, cuts_over=spec.strategy.blue_green is not None)
    _check_failed(world)
    _check_reasons(world)


@memory.once
def _limits(spec: RolloutSpec) -> replicas.Bounds:
    return replicas.bounds(spec.replicas, *spec.amounts.values())


def _is_stranded(world: Any) -> bool:
    """Whether a third revision has traffic that the stable one lacks the pods for."""
    status = world.plans[-1].status if world.plans else world.status
    stable, known = status.stable_pod_hash, (status.stable_pod_hash, status.current_pod_hash)
    ready = [pod.hash for pod in world.pods.values() if pod.ready]
    thirds = {item for item in ready if item not in known and share(world, item)}
    return bool(thirds and world.routes and ready.count(stable) < world.rollout.spec.replicas)


def check_shift(world: Any, before: Any, after: Any) -> None:
    """No weight goes from pods that are ready to a Service that has none."""
    if "deletionTimestamp" in world.manifest["metadata"] or not world.rollout.spec.replicas:
        return
    had, has = _weights(before), _weights(after)
    ready = {name: world.addresses(world.services[name]) for name in has if name in world.services}
    lost = [name for name in ready if has[name] < had.get(name, 0) and ready[name]]
    won = [name for name in ready if has[name] > had.get(name, 0) and not ready[name]]
    if lost and won:
        raise Impossible(f"weight goes from {lost} to {won}, without a ready pod: {had} → {has}")
    _check_mentions(before, after)


def _check_mentions(before: Any, after: Any) -> None:
    """A Service is named before it gets requests, and after it got them."""
    for one, other, what in ((after, before, "was not"), (before, after, "is not")):
        if strange := _served(one) - _named(other):
            raise Impossible(f"{strange} gets requests, and {what} named in the route beside that")


def _served(route: Any) -> set[str]:
    return {ref["name"] for ref in _refs(route) if ref.get("weight", 1)}


def _named(route: Any) -> set[str]:
    return {ref["name"] for ref in _refs(route)}


def _refs(route: Any) -> list[Any]:
    rules = route["spec"].get("rules") or []
    return [ref for rule in rules for ref in rule.get("backendRefs") or []]


def _weights(route: Any) -> dict[str, int]:
    """Service → weight, where a rule divides the traffic."""
    rules = [rule.get("backendRefs") or [] for rule in route["spec"].get("rules") or []]
    return {ref["name"]: ref.get("weight", 1) for refs in rules if len(refs) > 1 for ref in refs}


def _check_reasons(world: Any) -> None:
    """What people and machines are told is one of the listed reasons."""
    if unlisted := _unlisted(world.plans[-1]) if world.plans else None:
        raise Impossible(f"no such reason: {unlisted}")


@memory.once
def _unlisted(plan: Plan) -> set[str]:
    status = plan.status
    said = {item.reason for item in (*status.conditions, *status.decisions[-1:])}
    said |= {item.reason for item in plan.after if isinstance(item, Emit)}
    return said - reasons.SENTENCES.keys()


def share(world: Any, revision: str) -> int:
    """Percent of the traffic that Services and route send to a revision."""
    splits = [world.split(key) for key in world.routes] or [(100, 0)]
    split = max(splits, key=lambda item: item[1])
    shares = zip((gen.STABLE, gen.CANARY), split, strict=True)
    if gen.PREVIEW in world.services:
        shares = zip((gen.ACTIVE, gen.PREVIEW), split, strict=True)
    known = ((world.services[name], part) for name, part in shares if name in world.services)
    return sum(part for item, part in known if item.selector.get(names.HASH_LABEL) == revision)


def _check_failed(world: Any) -> None:
    """A revision that was taken back gets no traffic again, only less."""
    status = world.plans[-1].status if world.plans else world.status
    failed = status.failed_pod_hash if status.phase == "Failed" else ""
    before, after = world.failed.get(failed), share(world, failed) if failed else 0
    if before is not None and after > before:
        raise Impossible(f"{after}% to {failed}, which was taken back")
    world.failed = {failed: after} if failed else {}


def leads(world: Any) -> list[str]:
    """Whom each rule of the route leads to."""
    rules = world.routes[gen.ROUTE]["spec"]["rules"]
    return [ref["name"] for rule in rules for ref in rule["backendRefs"] if ref["weight"]]


def _check_rule(world: Any, name: str, item: Service) -> None:
    """Whom a rule leads to has a ready pod, unless it has just lost them all."""
    if not world.routes or item.original is None or name not in leads(world):
        return
    if not any(pod.ready for pod in world.pods.values()):
        return
    held = any(pod.hash == item.selector.get(names.HASH_LABEL) for pod in world.pods.values())
    if not world.addresses(item) and not held and world.rollout.spec.replicas:
        raise Impossible(f"a rule leads to Service {name}, which has no pod at all")


def _check_weight(world: Any, name: str, item: Service, *, cuts_over: bool) -> None:
    """A back-end that gets traffic has a ready pod, once there is one at all."""
    if item.original is None or not (world.routes or cuts_over):
        return
    ours = {f"{gen.NAME}-{key}-canary": key for key in world.routes}
    # A user's Ingress leaves to ours what that one says.
    covered = {key for made, key in ours.items() if made in world.routes}
    splits = [world.split(key) for key in world.routes if key not in covered] or [(100, 0)]
    share = max(split[0 if name == gen.STABLE else 1] for split in splits)
    # Who was taken back, and has no traffic any more, gets none for want of others.
    back = {revision for revision, part in world.failed.items() if not part}
    if not share or not any(pod.ready and pod.hash not in back for pod in world.pods.values()):
        return
    if not world.addresses(item) and world.rollout.spec.replicas:
        raise Impossible(f"{share}% to Service {name}, which has no ready pod")
