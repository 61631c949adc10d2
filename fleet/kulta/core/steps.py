"""Pods and weight of one step: what has to be there before the step counts as reached.

Called by strategies that go by percent. `work` can be repeated at any time: it also mends what was
changed by hand, and takes traffic from a revision that has lost all its pods.
"""

from fleet.kulta.core import promotion, replicas, traffic
from fleet.kulta.core.draft import Draft
from fleet.kulta.core.wait import PODS, Wait, for_pods


def work(draft: Draft, weight: int, was: int | None = None) -> Wait | None:
    """Bring about `weight` percent (0…100) for the current revision; None when it is in force.

    `was`: the weight that has been in force, so that a difference is known to be somebody's doing.
    """
    wait = _routed(draft, weight, was) if draft.traits.is_routed else _counted(draft, weight)
    if wait is not None and wait.reason != PODS:
        draft.detour = wait
    return wait


def _routed(draft: Draft, weight: int, was: int | None) -> Wait | None:
    """A router divides the traffic; the stable revision keeps its pods unless it is told not to.

    Pods of a revision that is given up stay until its traffic is gone; the new ones wait for room.
    """
    look, current, stable = draft.look, draft.current, draft.stable
    wanted = replicas.share(look.total, weight)
    rest = look.total if draft.traits.stable_stays else replicas.split(look.bounds, weight).stable
    if stable in look.sets:
        draft.scale(stable, max(rest, draft.size(stable)) if rest < look.total else rest)
    draft.arrange(dict.fromkeys(promotion.idle(draft), 0))
    taken = draft.size(stable) + sum(draft.size(item) for item in draft.others())
    room = max(look.bounds.most + wanted - taken, 0)
    draft.scale(current, max(min(wanted, room), draft.size(current)))
    wait = _weights(draft, weight, wanted, was)
    if wait is None:
        draft.scale(current, wanted)
        if stable in look.sets:
            draft.scale(stable, rest)
    return wait


def _weights(draft: Draft, weight: int, wanted: int, was: int | None) -> Wait | None:
    current, base = draft.current, draft.stable or draft.current
    ready, aimed = draft.look.ready(current), traffic.aim(draft, base, current)
    if ready == 0 and draft.look.ready(base) and traffic.weight(draft):
        traffic.weigh(draft, 0)
    if aimed is not None and not aimed.is_brief:
        return aimed
    if ready < wanted:
        return pods()
    return (
        aimed
        or traffic.endpoints(draft, draft.traits.canary_service, current, wanted)
        or traffic.weigh(draft, weight, was=was)
    )


def _counted(draft: Draft, weight: int) -> Wait | None:
    """Numbers of pods divide the traffic."""
    look, current, stable = draft.look, draft.current, draft.stable
    split = replicas.split(look.bounds, weight)
    wanted = {current: split.canary, **dict.fromkeys(draft.others(), 0)}
    if stable in look.sets:
        wanted = {stable: split.stable, **wanted}
        if split.stable == 0 and traffic.target(draft, draft.traits.stable_service) == stable:
            wanted[stable] = 1
            wanted[current] = min(split.canary, max(look.bounds.most - 1, 1))
    sizes = promotion.roll(draft, wanted)
    draft.arrange(sizes)
    aimed = traffic.aim(draft, stable or current, current)
    if sizes != wanted or look.ready(current) < wanted[current]:
        return pods()
    return aimed


def pods() -> Wait:
    """The step waits for pods of the current revision."""
    return for_pods("its pods are not ready yet")
