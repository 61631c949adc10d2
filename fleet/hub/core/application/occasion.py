"""Whether a run is due: what would be delivered now, against what the newest run has delivered.

Called by `decision`, and by commands. A member that left is never a reason: its ClusterRollout may
stay behind. One that cannot be heard now is none either; it is when it is back.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from fleet.api import Application, ClusterRollout, Fleet, FleetRollout, conditions
from fleet.api.application import ApplicationSpec
from fleet.api.fleetrollout import RunPhase
from fleet.api.names import ClusterName
from fleet.hub.core import phases, policy, weights
from fleet.hub.core.application import aside
from fleet.hub.core.cluster import standing
from fleet.hub.core.observed import ApplicationObserved, Member
from fleet.hub.core.policy import FEW, ResolvedPolicy
from fleet.hub.core.run import waves
from fleet.hub.core.run.membership import MEMBERS_CHANGED
from fleet.kit import hashing, memory
from fleet.rendering import tenant

OF_CLUSTERS = frozenset({"ClusterInputsChanged", "MembersJoined"})
"""Triggers that stand in what clusters say, not in what the Application asks for."""

REPLICAS = "ReplicasChanged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """An accepted spec: what a run made of it now would be."""

    fleet: Fleet
    policy: ResolvedPolicy
    spec: ApplicationSpec
    chosen: tuple[ClusterName, ...]
    templates: Mapping[str, str]
    """What replaces the hub's."""
    revision: str
    """Of the newest run, while that was made of the same."""
    instead_of: str = ""
    """Digest of what the Application asks for, where a former run stands in for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Occasion:
    """A run that is due."""

    trigger: str
    """Why: a constant of `api.reasons`."""
    clusters: tuple[ClusterName, ...]
    revision: str
    soak: bool = True


def find(
    observed: ApplicationObserved, proposal: Proposal, known: Mapping[ClusterName, ClusterRollout]
) -> Occasion | None:
    """Why a run of the proposal is due now; None while the newest run serves. `known` are the
    clusters for which its revision was wished (`wished`)."""
    newest = observed.newest
    everybody = proposal.chosen
    if newest is None or newest.status.undo_to:
        trigger = "Undone" if newest else "SpecChanged"
        return Occasion(trigger=trigger, clusters=everybody, revision=proposal.revision)
    if newest.spec.revision != proposal.revision:
        trigger = _trigger(newest, observed, proposal)
        is_trusted = trigger == REPLICAS and newest.status.phase is RunPhase.SUCCEEDED
        return Occasion(
            trigger=trigger,
            clusters=everybody,
            revision=proposal.revision,
            soak=not is_trusted,
        )
    if newest.status.phase is RunPhase.ABORTED and newest.status.reason == MEMBERS_CHANGED:
        return Occasion(trigger="MembersJoined", clusters=everybody, revision=proposal.revision)
    if newest.status.phase not in phases.GOOD_ENDS:
        return None
    return _given_by_clusters(newest, observed, proposal, known)


def _given_by_clusters(
    newest: FleetRollout,
    observed: ApplicationObserved,
    proposal: Proposal,
    known: Mapping[ClusterName, ClusterRollout],
) -> Occasion | None:
    """The run that is due because of what clusters say after the end of the newest one."""
    left = _left_out(newest, observed)
    here = (name for name in proposal.chosen if name not in left)
    answering = tuple(name for name in here if _answers(observed.members[name], proposal))
    changed = tuple(
        name
        for name in answering
        if name in known
        and conditions.is_true(known[name].status.conditions, standing.INPUTS_CHANGED)
    )
    if _placed(changed, observed, proposal):
        # Templates may be among what has changed.
        fresh = revision(proposal.spec, observed.templates, proposal.templates)
        return Occasion(trigger="ClusterInputsChanged", clusters=proposal.chosen, revision=fresh)
    joined = _placed([name for name in answering if name not in known], observed, proposal)
    if not joined:
        return None
    return Occasion(trigger="MembersJoined", clusters=joined, revision=proposal.revision)


def _answers(member: Member, proposal: Proposal) -> bool:
    """Whether a run would let it go."""
    accepts = proposal.policy.unavailable_clusters.accept_unknown_engine
    return (member.accepted if accepts else member).fresh


def weight(
    application: Application, fleet: Fleet | None, run: FleetRollout, newest: int
) -> int | None:
    """The live weight that the Application asks for, where that run, the newest one, delivers what
    it asks for else; None where another one is due, or a former one stands in for it."""
    if run.spec.number < newest or run.spec.instead_of or run.status.undo_to:
        return None
    made = run.spec.application.spec
    if weights.of(made) is None:
        return None
    now = policy.resolve(application.spec.delivery_policy, fleet).frozen(application.spec)
    return weights.of(now) if revision(now, "") == revision(made, "") else None


def is_past(application: Application, runs: Iterable[FleetRollout]) -> bool:
    """Whether one of the runs was made of this Application as it was written later: what we see of
    it is old, and a run made of that would take back what has been delivered since."""
    meta = application.metadata
    made = (run.spec.application for run in runs)
    return any(one.uid == meta.uid and one.generation > meta.generation for one in made)


def _left_out(newest: FleetRollout, observed: ApplicationObserved) -> frozenset[str]:
    """Clusters that a person left out of the newest run, or sent back from it."""
    back = [
        item.spec.cluster
        for item in observed.clusters
        if item.spec.want is not None and item.spec.want.undoes == newest.name
    ]
    return frozenset({*newest.status.skipped, *back})


def wished(observed: ApplicationObserved, revision_: str) -> dict[ClusterName, ClusterRollout]:
    """The clusters for which that revision was wished, and not for others of their names."""
    return {
        ClusterName(item.spec.cluster): item
        for item in observed.clusters
        if _is_for(item, revision_, observed)
    }


def _is_for(item: ClusterRollout, revision_: str, observed: ApplicationObserved) -> bool:
    want = item.spec.want
    if want is None or want.revision != revision_:
        return False
    member = observed.members.get(ClusterName(item.spec.cluster))
    if member is None or not member.is_meant(want):
        return False
    return not standing.is_replaced(item, member)


def _placed(
    names: Sequence[ClusterName], observed: ApplicationObserved, proposal: Proposal
) -> tuple[ClusterName, ...]:
    """Those that a run would let go: who belongs to no wave and is left out makes no run."""
    if not names or proposal.policy.unmatched_clusters != "Ignore":
        return tuple(names)
    taken, _ = waves.assign(proposal.policy.waves, names, observed.members)
    return tuple(name for name in names if name in taken)


def _trigger(newest: FleetRollout, observed: ApplicationObserved, proposal: Proposal) -> str:
    """What makes another revision of it than the newest run's."""
    before, after = newest.spec.application, proposal.spec
    if before.templates != proposal.templates:
        same = revision(before.spec, "") == revision(after, "")
        return "ClusterInputsChanged" if same else "SpecChanged"
    if newest.spec.revision != revision(before.spec, observed.templates, before.templates):
        return "SpecChanged"
    contents: list[Mapping[str, Any]] = []
    for spec in (before.spec, after):
        body = aside.content(spec)
        contents.append({**body, "workload": {**body["workload"], "replicas": 0}})
    return REPLICAS if contents[0] == contents[1] else "SpecChanged"


def standing_revision(
    observed: ApplicationObserved, spec: ApplicationSpec, own: Mapping[str, str]
) -> str:
    """The revision of what is asked for: the newest run's, if that was made of the same.

    Other templates of the hub alone, as a newer one brings them, are no other revision: whether
    they make anything else of it is looked at in each cluster (`standing.INPUTS_CHANGED`).
    """
    asked = revision(spec, observed.templates, own)
    newest = observed.newest
    if newest is None:
        return asked
    before = newest.spec.application
    made = revision(before.spec, observed.templates, before.templates)
    return newest.spec.revision if made == asked else asked


def revision(
    spec: ApplicationSpec, templates: str, own: Mapping[str, str] = MappingProxyType({})
) -> str:
    """The digest of what clusters receive: not of the order in which they do. `templates` is the
    digest of the hub's, `own` what replaces them."""
    return _revising(spec)(f"{templates}+{tenant.digest(own)}" if own else templates)


@memory.once
def _revising(spec: ApplicationSpec) -> Callable[[str], str]:
    content = aside.content(spec)
    return lru_cache(FEW)(
        lambda templates: hashing.digest({"spec": content, "templates": templates}, length=10)
    )
