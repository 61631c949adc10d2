"""Pods, Services and rules of an experiment: what has to be there before it begins, and after.

Called by the A/B strategy. `work` can be repeated at any time: it also mends what was changed by
hand, and takes traffic from an arm that has lost all its pods. There are never more pods than arms
times replicas.
"""

from collections.abc import Iterable

from fleet.kulta.core.draft import Draft
from fleet.kulta.core.ending import promotion
from fleet.kulta.core.facts.traits import Arm
from fleet.kulta.core.serving import traffic
from fleet.kulta.core.wait import Wait, for_pods


def work(draft: Draft) -> Wait | None:
    """Bring all arms about; None when each has its pods, and traffic for those who ask for it."""
    known = draft.status.ab_experiment
    misfit = traffic.room(draft) if known is None else None
    if misfit is not None:
        return misfit
    control = draft.stable or draft.current
    _populate(draft, control)
    targets = {arm.branch.service: arm.revision for arm in draft.traits.arms}
    aimed = traffic.aim(draft, control, targets)
    if aimed is not None and not aimed.is_brief:
        return aimed
    if known is not None:
        return aimed or _keep(draft)
    for arm in draft.traits.arms:
        if draft.look.ready(arm.revision) < draft.look.total:
            message = f"not all pods of variant {arm.name} are ready yet"
            return for_pods(message, arm.revision)
    return aimed or _enter(draft)


def _populate(draft: Draft, control: str) -> None:
    """As many pods for each arm as for the control; those of other revisions first go."""
    total = draft.look.total
    most = (1 + len(draft.traits.arms)) * total
    wanted = [x for x in dict.fromkeys(arm.revision for arm in draft.traits.arms) if x != control]
    if traffic.pending(draft) is None:
        idle = [item for item in promotion.idle(draft) if item not in wanted]
        draft.arrange(dict.fromkeys(idle, 0))
    strangers = [item for item in draft.others() if item not in wanted and item != control]
    taken = sum(draft.size(item) for item in {*strangers, *wanted})
    if control in draft.look.sets or control == draft.current:
        # One that has nobody to serve with does not wait for others to go.
        left = max(most - taken, draft.size(control)) if draft.look.ready(control) else total
        draft.scale(control, min(total, left))
    room = max(most - taken - draft.size(control), 0)
    for revision in wanted:
        have = draft.size(revision)
        more = min(max(total - have, 0), room)
        draft.scale(revision, min(have, total) + more)
        room -= more


def _enter(draft: Draft) -> Wait | None:
    """All arms at once, when their Services have all their pods."""
    arms = draft.traits.arms
    waits = (
        traffic.endpoints(draft, arm.branch.service, arm.revision, draft.look.total) for arm in arms
    )
    wait = next((item for item in waits if item is not None), None)
    return wait or traffic.branch(draft, _names(arms))


def _keep(draft: Draft) -> Wait | None:
    """Traffic for the arms that have anybody to answer it."""
    known = draft.status.ab_experiment
    assert known is not None
    able = _names(arm for arm in draft.traits.arms if _is_able(draft, arm))
    before = {item.name for item in known.arms[1:] if item.is_live}
    wait = traffic.branch(draft, able, was=able == before)
    if wait is None and able != before:
        live = (x.model_copy(update={"is_live": x.name in able}) for x in known.arms[1:])
        draft.set(ab_experiment=known.model_copy(update={"arms": (known.arms[0], *live)}))
    lost = {arm.name: arm.revision for arm in draft.traits.arms if arm.name not in able}
    if wait is None and lost:
        message = f"variant {' and '.join(lost)} has lost its pods; A has its traffic"
        return for_pods(message, next(iter(lost.values())))
    return wait


def _is_able(draft: Draft, arm: Arm) -> bool:
    there = draft.look.observed.services.get(arm.branch.service)
    addresses = draft.look.observed.endpoints.get(arm.branch.service)
    return draft.look.ready(arm.revision) > 0 and bool(addresses or there is None)


def _names(arms: Iterable[Arm]) -> frozenset[str]:
    return frozenset(arm.name for arm in arms)
