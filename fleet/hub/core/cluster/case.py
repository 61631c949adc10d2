"""One look at one cluster: what it shall have, what is there, and what follows from both.

Made by `dispatch` once a wish, manifests and a member that answers are there; everybody who decides
about the writes looks at it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from fleet.api import ClusterRollout
from fleet.api.clusterrollout import InventoryItem, Want
from fleet.api.names import ROLLOUTS
from fleet.hub.core.cluster import inventory, schema, standing
from fleet.hub.core.cluster.live import Live
from fleet.hub.core.observed import DispatchObserved, Member, Place
from fleet.kit import hashing
from fleet.rendering.render import Rendered


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One look at one cluster that has a wish, manifests, and a member that answers."""

    item: ClusterRollout
    want: Want
    member: Member
    observed: DispatchObserved
    live: Live
    wanted: Mapping[Place, str]
    """The digest of each rendered object."""
    listed: Mapping[Place, InventoryItem]
    """The inventory."""
    digest: str
    """Of all rendered objects."""
    bar: tuple[str, str] | None
    """Reason and sentence, where nothing may be written anew."""
    is_taken: bool
    """This wish has its dispatch sequence."""
    is_applied: bool
    """All its objects have been seen in the member."""
    stays: bool
    """What has arrived stays as it is: only its hold moves, and its weight, which falls."""
    now: datetime

    @classmethod
    def of(
        cls,
        item: ClusterRollout,
        want: Want,
        member: Member,
        observed: DispatchObserved,
        now: datetime,
    ) -> "Case":
        """The case for what is observed."""
        is_taken = standing.is_taken(item)
        is_applied = is_taken and item.status.applied_run == want.run
        wanted = {each.place: each.digest for each in observed.rendered}
        digest, bar = digest_of(wanted), _bar(member, observed, wanted, is_applied=is_applied)
        return cls(
            item=item,
            want=want,
            member=member,
            observed=observed,
            live=Live.of(item, observed),
            wanted=wanted,
            listed={inventory.place(each): each for each in item.status.inventory},
            digest=digest,
            bar=bar,
            is_taken=is_taken,
            is_applied=is_applied,
            stays=bar is not None or (is_applied and item.status.dispatch.digest != digest),
            now=now,
        )

    @property
    def has_arrived(self) -> bool:
        """The live Rollout carries the dispatch of this wish."""
        taken = self.item.status.dispatch.rollout
        return self.is_taken and 0 < taken <= self.live.sequence

    @property
    def next_sequence(self) -> int:
        """Of the next dispatch: a hub that was restored from a backup is not locked out."""
        return max(self.item.status.dispatch.sequence, self.live.sequence) + 1

    @property
    def inputs_changed(self) -> bool:
        """Rendered today it would be different; that goes through a run, never by itself."""
        return self.stays and self.bar is None

    @property
    def rollout(self) -> Rendered:
        return next(each for each in self.observed.rendered if each.resource is ROLLOUTS)


def digest_of(wanted: Mapping[Place, str]) -> str:
    """Of all of them together: equal digest = nothing to dispatch."""
    return hashing.of_texts(
        [[plural, name, digest] for (plural, _, name), digest in wanted.items()]
    )


def _bar(
    member: Member, observed: DispatchObserved, wanted: Iterable[Place], *, is_applied: bool
) -> tuple[str, str] | None:
    """Why nothing may be written: no manifests, a namespace that is closed, or a CRD too old."""
    if not observed.rendered:
        return "TemplateError", observed.render_error or "nothing is rendered for this cluster"
    allowed = member.cluster.spec.allowed_namespaces
    closed = sorted([namespace for _, namespace, _ in wanted if namespace not in allowed])
    if not closed:  # and what has arrived was understood
        return None if is_applied else schema.too_old(member, observed)
    return (
        "NamespaceNotAllowed",
        f"namespace {closed[0]} is not allowed in {member.name}: an administrator adds it to "
        "spec.allowedNamespaces of the MemberCluster",
    )
