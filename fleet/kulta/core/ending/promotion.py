"""The end of a rollout that went well: the new revision becomes the stable one, without a gap.

    all its pods ready → stable Service points at them → its addresses are those pods →
    weights 100/0 → taken by the gateway → roles change → Completed → later the old pods go

`promote` does as much of that as the world allows and can be called again and again; `settle` keeps
a completed Rollout as it should be. Where nobody routes and no Service has to be switched, the old
set shrinks while the new one grows, as bounds allow.
"""

from fleet.api.rollout import Phase
from fleet.kit import durations
from fleet.kulta.core.actions import DeleteReplicaSet
from fleet.kulta.core.draft import Draft
from fleet.kulta.core.facts import replicas
from fleet.kulta.core.observed import ReplicaSet
from fleet.kulta.core.record import deadlines, decisions
from fleet.kulta.core.serving import returns, traffic, workloads
from fleet.kulta.core.wait import PODS, Wait, for_pods

PROVEN = 11
"""Revisions that are remembered: the present one, and as many as a rollback window can have."""


def promote(draft: Draft) -> bool:
    """Make the current revision the stable one; whether that is done."""
    draft.detour = traffic.survey(draft)
    wait = exchange(draft)
    if wait is not None:
        draft.progress = wait
        if wait.reason != PODS:
            draft.detour = wait
        deadlines.run(draft)
        return False
    complete(draft)
    return True


def exchange(draft: Draft) -> Wait | None:
    """Pods and traffic of the current revision in place of the old one's; None when done."""
    needed = grow(draft)
    return clear(draft) or _missing(draft, needed) or _switch(draft, needed) or _outlived(draft)


def settle(draft: Draft) -> None:
    """Keep a completed Rollout: all pods, its traffic, no old pods after their time, short history.

    Nothing here is progress; whatever somebody changed by hand is put back.
    """
    current, total, stays = draft.current, draft.look.total, keeps(draft)
    old = {item: min(draft.look.replicas(item), total) if stays else 0 for item in draft.others()}
    if draft.traits.is_counted:
        draft.arrange(roll(draft, {current: total, **old}))
        if draft.size(current) < total:
            draft.arrange(roll(draft, {current: total, **dict.fromkeys(old, 0)}))
    else:
        draft.arrange({current: total, **old})
    draft.detour = traffic.aim(draft, current, current) or traffic.weigh(draft, 0, was=0)


def keeps(draft: Draft) -> bool:
    """Whether pods that had the traffic stay for a while, since it could come back to them."""
    promoted = draft.status.promoted_at
    if promoted is None or (draft.traits.is_counted and not traffic.is_managed(draft)):
        return False
    until = promoted + durations.parse(draft.look.spec.scale_down_delay, allow_zero=True)
    if draft.now < until:
        draft.wake(until)
    return draft.now < until


def returnable(draft: Draft) -> str:
    """The revision that the last promotion replaced, while it can take over again at once."""
    before = draft.status.previous_pod_hash
    there = draft.traits.cuts_over and draft.phase is Phase.COMPLETED and keeps(draft)
    return before if there and draft.look.replicas(before) else ""


def roll(draft: Draft, wanted: dict[str, int]) -> dict[str, int]:
    """The next sizes within the bounds; revisions without a set are left out unless wanted."""
    known = {key: size for key, size in wanted.items() if key}
    have = {key: draft.look.count(key) for key in known}
    return dict(replicas.roll(draft.look.bounds, have, known))


def history(draft: Draft) -> list[DeleteReplicaSet]:
    """Old empty sets beyond the limit, the oldest first."""
    old = [
        item
        for item in draft.look.observed.replica_sets
        if item.hash not in (draft.current, draft.stable)
        and not (item.replicas or item.current or draft.size(item.hash))
    ]
    old.sort(key=_age, reverse=True)
    limit = draft.look.spec.revision_history_limit
    return [DeleteReplicaSet(name=item.name, uid=item.uid) for item in old[limit:]]


def _age(item: ReplicaSet) -> tuple[float, str]:
    return (item.created_at.timestamp() if item.created_at else 0.0, item.name)


def grow(draft: Draft) -> int:
    """Sizes on the way to the full number of pods; how many must be ready before the switch."""
    current, total = draft.current, draft.look.total
    if not draft.traits.is_counted:
        if draft.traits.cuts_over and draft.size(draft.stable) > total:
            draft.scale(draft.stable, total)
        draft.arrange(dict.fromkeys(idle(draft), 0))
        draft.scale(current, max(min(total, _room(draft)), draft.size(current)))
        return min(total, 1) if draft.stable == current else total
    kept = behind(draft, current)
    wanted = {current: total, **dict.fromkeys(draft.others(), 0)}
    if draft.stable != current and draft.stable in draft.look.sets:
        wanted[draft.stable] = 0
    if kept in wanted:
        wanted[kept] = 1
    draft.arrange(roll(draft, wanted))
    if draft.stable == current:
        return 0
    if kept and draft.size(kept) > 0:
        return min(total, max(draft.look.bounds.most - 1, 1))
    return total


def _room(draft: Draft) -> int:
    """Pods that the current revision may have beside all others."""
    total, traits = draft.look.total, draft.traits
    if _is_stranded(draft):
        return total
    sides = 1 + len(traits.arms) if traits.arms else 2
    most = sides * total + (0 if traits.arms or traits.cuts_over else draft.look.bounds.surge)
    return most - sum(draft.size(x) for x in {draft.stable, *draft.others()} - {draft.current, ""})


def clear(draft: Draft) -> Wait | None:
    """Where what was given up leaves no room, it loses its traffic first, and then its pods."""
    current = draft.current
    if draft.traits.is_counted or draft.size(current) >= draft.look.total or _is_stranded(draft):
        return None
    left = returns.remaining(draft) if returns.is_given_up(draft) else 0
    return traffic.aim(draft, workloads.base(draft), current, left=left)


def _is_stranded(draft: Draft) -> bool:
    """Whether the stable revision lacks pods to take back what one that is given up serves: the new
    pods come beside both then, since to serve counts more than the bounds of pods. Where only its
    addresses lag, they will follow."""
    is_short = draft.look.ready(draft.stable) < draft.look.total
    return is_short and returns.is_given_up(draft) and returns.remaining(draft) > 0


def idle(draft: Draft) -> list[str]:
    """Old revisions that get nothing by any Service, by its selector or by addresses that have not
    followed that yet: their pods have nothing left to do."""
    pointed = {traffic.target(draft, name) for name in draft.traits.services}
    busy = pointed.union(*(returns.reached(draft, name) for name in draft.traits.services))
    return [item for item in draft.others() if item not in busy]


def behind(draft: Draft, but: str) -> str:
    """The revision, not `but`, that the stable Service still has, by its selector or by addresses
    that have not followed that yet; empty when there is none."""
    name = draft.traits.stable_service
    if not name:
        return ""
    known = {item for item in draft.look.sets if item != but}
    found = traffic.target(draft, name)
    return found if found in known else min(returns.reached(draft, name) & known, default="")


def _missing(draft: Draft, needed: int) -> Wait | None:
    if draft.look.ready(draft.current) >= needed:
        return None
    return for_pods(f"not all of its {draft.look.total} pods are ready yet")


def _switch(draft: Draft, needed: int) -> Wait | None:
    """Point Services and routes at the new revision, in the order that leaves no gap."""
    if not draft.traits.stable_service:
        return None
    left = returns.remaining(draft) if draft.stable == draft.current else 0
    wait = traffic.collect(draft, draft.current, needed, left)
    if wait is None and left:
        return traffic.taking_back(draft.stable)
    return wait or traffic.follow(draft, draft.current)


def _outlived(draft: Draft) -> Wait | None:
    """Where nothing is switched, the rollout is over when the old pods are gone."""
    if not draft.traits.is_counted or traffic.is_managed(draft):
        return None
    old = [item for item in (draft.stable, *draft.others()) if item and item != draft.current]
    if all(draft.size(item) == 0 for item in old):
        return None
    return for_pods("the old revision's pods go as the new one's become ready")


def complete(draft: Draft) -> None:
    """The current revision is the stable one from now on."""
    revision, before = draft.current, draft.stable
    replaced = before if before != revision else ""
    has_left = bool(replaced) or workloads.is_replaced(draft)
    message = f"revision {revision} is stable"
    if replaced:
        message = f"revision {revision} was promoted and is stable; it replaced {before}"
    decisions.note(
        draft,
        "Complete",
        "StepCompleted" if before else "Initialization",
        message,
        phase=Phase.COMPLETED,
        to_step=draft.status.current_step_index,
        weight=draft.status.current_weight,
    )
    proven = (item for item in draft.status.proven_pod_hashes if item != revision)
    draft.set(
        stable_pod_hash=revision,
        proven_pod_hashes=(revision, *proven)[:PROVEN],
        previous_pod_hash=replaced,
        promoted_at=draft.now if has_left else draft.status.promoted_at,
        pause_start_time=None,
        progress_started_at=None,
        pause_requested=False,
    )
    draft.move(Phase.COMPLETED)
