"""Pods and weight of one step: what has to be there before the step counts as reached.

Called by strategies that go by percent. `work` can be repeated at any time: it also mends what was
changed by hand, and takes traffic from a revision that has lost all its pods.
"""

from dataclasses import dataclass

from fleet.api import conditions
from fleet.api.strategy import Canary, CanaryScale, scale_at, weight_at
from fleet.kulta.core.draft import Draft
from fleet.kulta.core.ending import promotion
from fleet.kulta.core.facts import replicas
from fleet.kulta.core.gates import hooks
from fleet.kulta.core.serving import returns, traffic, workloads
from fleet.kulta.core.wait import PODS, Wait, for_pods


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What a step wants for the current revision."""

    weight: int
    """Percent of the traffic, 0…100."""
    scale: CanaryScale | None = None
    """Pods apart from the weight; only a router can keep the two apart."""
    threshold: int = 100
    """Percent of these pods that must be ready, 1…100; where nothing else serves, all must be."""
    mirrors: bool = False
    """It gets a copy of every request, and no traffic."""

    @property
    def is_beside(self) -> bool:
        """Whether those whom the strategy names may get it already, and not everybody does."""
        return self.weight < 100 and not self.mirrors

    def size(self, total: int) -> int:
        """Pods, where a router divides the traffic; whoever has traffic has one."""
        share = total if self.mirrors else replicas.share(total, self.weight)
        if self.scale is None or self.weight >= 100:
            return share
        asked = self.scale.replicas
        if asked is None:
            asked = replicas.share(total, self.scale.percent or 0)
        return max(min(asked, total), min(share, 1))

    def needed(self, wanted: int) -> int:
        """How many of `wanted` pods must be ready."""
        return wanted if self.weight >= 100 else replicas.share(wanted, self.threshold)

    def __str__(self) -> str:
        """`20%`, or `20%, 3 pods`."""
        return f"{self.weight}%" if self.scale is None else f"{self.weight}%, {self.scale}"


NOTHING = Goal(weight=0)
"""Where no step is in force."""


def goal(canary: Canary, index: int | None) -> Goal:
    """What the step at `index` wants; nothing where there is no such step."""
    if index is None or index >= len(canary.way):
        return NOTHING
    weight = weight_at(canary.way, index)
    return Goal(
        weight=weight,
        scale=scale_at(canary.way, index),
        threshold=canary.ready_threshold,
        mirrors=canary.mirror and weight == 0,
    )


def work(draft: Draft, wish: Goal, *, was_reached: bool = False) -> Wait | None:
    """Bring about what a step wants for the current revision; None when it is in force.

    `was_reached`: it has been in force, so a difference is known to be somebody's doing.
    """
    was = wish.weight if was_reached and not _is_excused(draft) else None
    wait = _routed(draft, wish, was) if draft.traits.is_routed else _counted(draft, wish)
    if wait is not None and wait.reason not in {PODS, *hooks.WAITS}:
        draft.detour = wait
    return wait


def is_next(draft: Draft, wish: Goal) -> bool:
    """Whether a step that begins has its pods, so that its weight comes next. That is written down
    before: whoever carries on after a crash must not take the weight for somebody's doing."""
    is_there = draft.look.ready(draft.current) >= wish.needed(wish.size(draft.look.total))
    return draft.traits.is_routed and is_there


def is_dark(draft: Draft, wish: Goal) -> bool:
    """Whether a step gives nobody the new revision, and no copies to it either."""
    beside, has_pods = draft.traits.beside, wish.size(draft.look.total) > 0
    is_lit = wish.mirrors or (has_pods and beside is not None and beside.ways(0))
    return wish.weight == 0 and not is_lit


def _is_excused(draft: Draft) -> bool:
    """Whether a difference may be our own doing: the spec was edited since the last look, or pods
    were missing, and traffic with them."""
    stored = draft.look.rollout.status
    told = conditions.find(stored.conditions, "Progressing")
    lacked = told is not None and told.reason in (PODS, "EndpointsPending")
    return lacked or stored.observed_generation != draft.look.rollout.metadata.generation


def _routed(draft: Draft, wish: Goal, was: int | None) -> Wait | None:
    """A router divides the traffic; the stable revision keeps its pods unless it is told not to.

    Pods of a revision that is given up stay until its traffic is gone; the new ones wait for room.
    """
    look, current, stable = draft.look, draft.current, draft.stable
    wanted, rest = wish.size(look.total), look.total
    if not draft.traits.stable_stays and not returns.is_given_up(draft):
        least = replicas.split(look.bounds, wish.weight).stable
        rest = max(least, look.total - wanted)
    if stable in look.sets:
        draft.scale(stable, max(rest, min(draft.size(stable), look.total)))
    draft.arrange(dict.fromkeys(promotion.idle(draft), 0))
    taken = draft.size(stable) + sum(draft.size(item) for item in draft.others())
    room = max(look.bounds.most + wanted - taken, 0)
    draft.scale(current, max(min(wanted, room), draft.size(current)))
    wait = _weights(draft, wish, wanted, was)
    if wait is None:
        _shrink(draft, wanted, rest)
    return wait


def _shrink(draft: Draft, wanted: int, rest: int) -> None:
    """What is too much goes, as long as the pods that are ready are enough without it."""
    look, current, stable = draft.look, draft.current, draft.stable
    if draft.traits.stable_stays or stable not in look.sets:
        draft.scale(current, max(wanted, _lent(draft)))
    else:
        kept = min(look.bounds.least - look.ready(stable), draft.size(current))
        draft.scale(current, max(wanted, kept))
    if stable in look.sets:
        kept = min(look.bounds.least - look.ready(current), draft.size(stable))
        draft.scale(stable, max(rest, kept))


def _lent(draft: Draft) -> int:
    """Pods of the current revision that stand in for those that the Deployment has not any more."""
    if draft.stable or draft.look.reference is None:
        return 0
    return min(draft.look.bounds.least - workloads.ready(draft), draft.size(draft.current))


def _weights(draft: Draft, wish: Goal, wanted: int, was: int | None) -> Wait | None:
    current, base = draft.current, workloads.base(draft)
    is_given_up = returns.is_given_up(draft)
    left, ready = returns.remaining(draft), draft.look.ready(current)
    aimed = traffic.aim(draft, base, current, left=left if is_given_up else 0)
    is_served = wish.mirrors or draft.traits.beside or traffic.weight(draft)
    if ready == 0 and draft.look.ready(base) and is_served and not is_given_up:
        traffic.weigh(draft, 0)
    if aimed is not None and not aimed.is_brief:
        return aimed
    needed = wish.needed(wanted)
    if ready < needed:
        return pods()
    return (
        aimed
        or traffic.endpoints(draft, draft.traits.canary_service, current, needed)
        or (hooks.before_traffic(draft) if wanted else None)
        or traffic.weigh(
            draft,
            max(wish.weight, left),
            was=was,
            mirrors=wish.mirrors,
            beside=wish.is_beside and wanted > 0,
        )
        or (
            traffic.taking_back(base)
            if left > wish.weight and draft.stable in draft.look.sets
            else None
        )
    )


def _counted(draft: Draft, wish: Goal) -> Wait | None:
    """Numbers of pods divide the traffic."""
    look, current, stable = draft.look, draft.current, draft.stable
    split = replicas.split(look.bounds, wish.weight)
    wanted = {current: split.canary, **dict.fromkeys(draft.others(), 0)}
    kept = promotion.behind(draft, stable)
    if kept in wanted and kept != current:  # until the Service has others again
        wanted[kept] = 1 if stable else draft.size(kept)
    if stable in look.sets:
        wanted = {stable: split.stable, **wanted}
        if split.stable == 0 and traffic.target(draft, draft.traits.stable_service) == stable:
            wanted[stable] = 1
            wanted[current] = min(split.canary, max(look.bounds.most - 1, 1))
    sizes = promotion.roll(draft, wanted)
    draft.arrange(sizes)
    aimed = traffic.aim(draft, workloads.base(draft), current)
    if sizes != wanted or look.ready(current) < wish.needed(wanted[current]):
        return pods()
    return aimed


def pods() -> Wait:
    """The step waits for pods of the current revision."""
    return for_pods("its pods are not ready yet")
