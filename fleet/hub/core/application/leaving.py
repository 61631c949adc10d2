"""Clusters that leave the fleet: which go now, which wait for a person, and what each takes along.

    not chosen any more ──few──> pruned
                        ──many─> wait for `confirm-prune/<id>/<digest>` ──> pruned

Called by `decision`. What has been made in a member goes by its ClusterRollout, which therefore
knows the policy: the Application may be gone by then. A fleet that is gone or empty prunes nobody,
nor does a MemberCluster that is gone or going: what is there stays.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from fleet.api import Application, ClusterRollout, conditions
from fleet.api.application import ApplicationStatus
from fleet.api.names import ClusterName
from fleet.hub.core import phases, policy
from fleet.hub.core.actions import PruneCluster, SetDeletion
from fleet.hub.core.application.occasion import Proposal
from fleet.hub.core.observed import ApplicationObserved
from fleet.kit import amounts, hashing, memory, phrases

PRUNED = "Pruned"
"""Condition, only while it is False: clusters that have left wait for a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaving:
    """What is pruned now, and the sentence for what waits."""

    actions: tuple[PruneCluster, ...] = ()
    waits: str = ""


def settled(application: Application, observed: ApplicationObserved) -> tuple[SetDeletion, ...]:
    """Each ClusterRollout learns what becomes of it, also from an Application that is refused.

    Without its fleet only what the Application itself says is known.
    """
    own = application.spec.delivery_policy
    if observed.fleet is None and own.deletion_policy is None:
        return ()
    try:
        wanted = policy.resolve(own, observed.fleet).deletion
    except ValueError:
        return ()  # `validation` says it
    is_other = memory.once(lambda deletion: deletion != wanted)  # most have the very same
    return tuple(
        SetDeletion(name=item.name, deletion=wanted)
        for item in observed.clusters
        if is_other(item.spec.deletion)
    )


def prune(observed: ApplicationObserved, proposal: Proposal) -> Leaving:
    """Those that belong to the fleet no more; all of them, or, if they are many, nobody yet."""
    chosen = frozenset(proposal.chosen)
    others = [item for item in observed.clusters if ClusterName(item.spec.cluster) not in chosen]
    if not others:
        return Leaving()  # as nearly always, and a thousand members need not be asked
    here = {
        name
        for name, member in observed.members.items()
        if member.cluster.metadata.deletion_timestamp is None
    }
    known = [item for item in observed.clusters if item.spec.cluster in here]
    others = [item for item in others if item.spec.cluster in here]
    left = sorted(
        (item for item in others if _has_left(item, observed, proposal)),
        key=lambda item: item.spec.cluster,
    )
    new = [item for item in left if item.metadata.deletion_timestamp is None]
    digest = hashing.digest([item.metadata.uid for item in left], length=8)
    newest = observed.newest
    confirmed = newest is not None and newest.status.prune_confirmed == digest
    if new and len(left) > _most(proposal, len(known)) and not confirmed:
        return Leaving(waits=_question(new, len(known), proposal, digest))
    return Leaving(
        actions=tuple(PruneCluster(name=item.name, uid=item.metadata.uid) for item in new)
    )


def awaited(status: ApplicationStatus) -> str:
    """The digest with which a person would confirm what the condition `Pruned` asks; else ""."""
    asked = conditions.find(status.conditions, PRUNED)
    return asked.message.rpartition("/")[2] if asked is not None else ""


def _has_left(item: ClusterRollout, observed: ApplicationObserved, proposal: Proposal) -> bool:
    """One that is not chosen any more; after a move to another fleet, once that has what it shall
    have."""
    fleet, want = proposal.fleet.name, item.spec.want
    fleets = {run.name: run.spec.application.spec.destination.fleet for run in observed.runs}
    if want is None or fleets.get(want.run, fleet) == fleet:
        return True
    newest = observed.runs[-1]
    return fleets[newest.name] == fleet and newest.status.phase in phases.GOOD_ENDS


def _most(proposal: Proposal, total: int) -> int:
    """How many may go without a question: a percentage lets at least one, unless it is zero."""
    most = proposal.policy.max_prune
    found = amounts.round_down(most, total)
    return found if str(most) in ("0", "0%") else max(1, found)


def _question(new: Sequence[ClusterRollout], total: int, proposal: Proposal, digest: str) -> str:
    names = phrases.listed([item.spec.cluster for item in new])
    return (
        f"{names} left fleet {proposal.fleet.name}: {len(new)} of {total} clusters are more than "
        f"maxPrune: {proposal.policy.max_prune} lets go: take them back into the fleet, or confirm "
        f"with the request confirm-prune/<id>/{digest}"
    )
