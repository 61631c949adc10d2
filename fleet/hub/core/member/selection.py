"""Who belongs to a fleet: by name, by label, or both; everybody else with the reason.

Called by `application`. An empty answer is an answer, never a wish to delete.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from fleet.api import Fleet
from fleet.api.names import ClusterName
from fleet.hub.core.observed import Member


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Chosen members in the order of their names, and why others are not."""

    chosen: tuple[ClusterName, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)


def select(fleet: Fleet, members: Mapping[ClusterName, Member]) -> Selection:
    """The fleet's members among the MemberClusters of its namespace."""
    wanted = fleet.spec.members
    named = frozenset(wanted.names)
    chosen: list[ClusterName] = []
    left_out: dict[str, str] = {
        name: f"{name} is named by fleet {fleet.name}, but there is no MemberCluster of that name"
        for name in wanted.names
        if name not in members
    }
    selector = wanted.cluster_selector
    for name in sorted(members):
        meta = members[name].cluster.metadata
        if meta.deletion_timestamp is not None:
            left_out[name] = f"{name} is being deleted"
        elif name in named or (selector is not None and selector.matches(meta.labels)):
            chosen.append(name)
        else:
            left_out[name] = f"{name} is neither named nor selected by fleet {fleet.name}"
    return Selection(chosen=tuple(chosen), left_out=left_out)
