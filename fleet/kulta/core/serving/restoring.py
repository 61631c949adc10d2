"""A Deployment whose pods a Rollout has replaced serves again before the Rollout goes.

It is grown once, and only with the stable template; after that whoever sizes it decides. Asked by
`removal`, which gives back everything else when nothing of this is left to be waited for.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from fleet.api.rollout import Rollout
from fleet.kit import hashing
from fleet.kulta.core.actions import Action
from fleet.kulta.core.facts.traits import Traits
from fleet.kulta.core.observed import Observed, Service, Workload
from fleet.kulta.core.serving import services, workloads
from fleet.kulta.core.wait import Wait

DONE = 0
"""Pods to be given back, once they are: it is not asked to grow again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restoring:
    """What has to be done before a Rollout that is deleted may go. `wait`: it may not go yet."""

    before: tuple[Action, ...] = ()
    wait: Wait | None = None
    after: tuple[Action, ...] = ()
    """To be done together with everything else that is given back."""


def restore(rollout: Rollout, observed: Observed, traits: Traits | None) -> Restoring:
    """The pods of a Deployment that is or was named are back, and behind the Services that select
    them, before it is let go. One that is gone, or that somebody has taken from us, keeps nobody.
    """
    if observed.workloads_unseen is not None:
        why = observed.workloads_unseen
        message = "Deployments cannot be seen" + (why and f": {why}")
        return Restoring(wait=Wait(reason="WorkloadPending", message=message, is_brief=not why))
    held = [x for x in observed.workloads.values() if _is_ours(rollout, x) and not x.is_going]
    if not held:
        return Restoring()
    found = held[0]
    full = max(found.replicas, found.original or 0)
    if found.replicas < full:
        return _grow(rollout, found, full)
    if found.original is not None and not workloads.serves(found, full):
        return Restoring(wait=_pending(found, full))
    lent = tuple(_lent(rollout, observed, traits, found))
    behind = min(found.ready, full)
    wait = Wait(
        reason="WorkloadPending",
        message=f"the Services do not have the pods of Deployment {found.name} yet",
    )
    is_behind = all(
        workloads.strangers(observed, x.name) >= behind for x in _open(observed, traits, found)
    )
    let_go = workloads.changed(found, found.replicas, "", None)
    return Restoring(before=lent, wait=None if is_behind and not lent else wait, after=(let_go,))


def _is_ours(rollout: Rollout, item: Workload) -> bool:
    """Whether we hold it, or have let go of it without another to serve instead."""
    known = rollout.status.workload_ref
    is_kept = known is not None and known.name == item.name and item.original is not None
    return item.holder == rollout.name or (is_kept and not item.holder)


def _grow(rollout: Rollout, found: Workload, full: int) -> Restoring:
    strange = _strange(rollout, found, full)
    if strange is not None:
        return Restoring(wait=strange)
    grown = workloads.changed(found, full, found.holder, DONE)
    return Restoring(before=(grown,), wait=_pending(found, full))


def _strange(rollout: Rollout, found: Workload, full: int) -> Wait | None:
    """Why its pods would not be those that serve: its template is not the stable one."""
    stable = rollout.status.stable_pod_hash
    if not stable or hashing.pod_hash(found.template) == stable:
        return None
    return Wait(
        reason="WorkloadPending",
        message=f"the template of Deployment {found.name} is not that of the stable revision "
        f"{stable}; put that back (kubectl rollout undo deployment/{found.name}), or take this one "
        f"(kubectl scale deployment/{found.name} --replicas={full}), or delete the Deployment",
    )


def _pending(found: Workload, full: int) -> Wait:
    return Wait(
        reason="WorkloadPending",
        message=f"{found.ready} of {full} pods of Deployment {found.name} are ready again; "
        "the Rollout goes when all of them are",
    )


def _open(observed: Observed, traits: Traits | None, found: Workload) -> list[Service]:
    """Services of ours whose own selectors choose pods of the Deployment."""
    known = (_service(observed, name) for name in (traits.services if traits else ()))
    return [x for x in known if x and x.original is not None and workloads.selects(x, found)]


def _service(observed: Observed, name: str) -> Service | None:
    """With the selector that somebody has written since, as it will be given back."""
    item = observed.services.get(name)
    return services.adopted(item) if item is not None else None


def _lent(
    rollout: Rollout, observed: Observed, traits: Traits | None, found: Workload
) -> Iterator[Action]:
    """Their own selectors, while our pods serve beside those of the Deployment."""
    for item in _open(observed, traits, found):
        if item.selector != item.original and not services.is_foreign(item, rollout):
            yield services.lend(item)
