"""New pods for the revision that serves, a few at a time: `kulta.io/restart`.

    every pod is marked → the set grows by `maxSurge` → the new ones are ready → the set shrinks,
    and marked pods go first → again, until none is left

The marks are the only memory: Kubernetes' own annotation by which a ReplicaSet prefers whom it
gives up, so whoever carries on after a crash sees what is left to do. Where no pod may be added
(`maxSurge` 0), the set shrinks by `maxUnavailable` first. It waits while anything is on its way.
"""

from fleet.kulta.core.actions import MarkPod
from fleet.kulta.core.draft import Draft
from fleet.kulta.core.messages.emit import Emit
from fleet.kulta.core.observed import Pod
from fleet.kulta.core.serving import returns


def begin(draft: Draft) -> bool:
    """Mark every pod of the revision that serves; False where there is none."""
    revision = _serving(draft)
    pods = _pods(draft, revision)
    if not pods:
        return False
    draft.before.extend(MarkPod(name=item.name) for item in pods if not item.leaving)
    draft.again()  # that our own marks are seen wakes nobody
    message = f"{len(pods)} pods of revision {revision} are replaced, as asked for"
    draft.after.append(Emit(kind="Normal", reason="Restarting", message=message))
    return True


def go_on(draft: Draft) -> None:
    """The next size on the way to a set without marked pods; nothing where there are none.

    A move is made when the one before has arrived: the set has its pods, the new ones are ready,
    and they have their traffic.
    """
    revision = _serving(draft)
    own = _pods(draft, revision)
    old, new = [x for x in own if x.leaving], [x for x in own if not x.leaving]
    if not old or _is_crowded(draft, revision):
        return
    size, limits = draft.look.replicas(revision), draft.look.bounds
    surge = min(limits.surge, limits.total, len(old))
    high = limits.total + surge
    low = limits.total - (0 if surge else min(limits.unavailable, len(old)))
    if not low <= size <= high:
        return  # somebody has changed `replicas`: that comes first
    has_arrived = len(own) == size and all(item.ready for item in new)
    if has_arrived and size == high and surge:  # who goes is missed by nobody
        has_arrived = returns.is_served(draft, revision, [item.uid for item in new])
    draft.scale(revision, size if not has_arrived else high if size == low else low)


def _serving(draft: Draft) -> str:
    return draft.stable or draft.current


def _pods(draft: Draft, revision: str) -> list[Pod]:
    found = draft.look.observed.pods
    return [item for item in found if item.hash == revision and not item.deleting]


def _is_crowded(draft: Draft, revision: str) -> bool:
    """Whether another revision still has pods, which count against the same bounds."""
    known = draft.look.observed.replica_sets
    return any(draft.size(item.hash) or item.replicas for item in known if item.hash != revision)
