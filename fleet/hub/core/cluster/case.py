"""One look at one cluster: what it shall have, what is there, and what follows from both.

Made by `dispatch` once a wish, manifests and a member that answers are there; everybody who decides
about the writes looks at it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from fleet.api import ClusterRollout
from fleet.api.clusterrollout import Want
from fleet.api.names import ROLLOUTS
from fleet.hub.core.cluster import schema, standing
from fleet.hub.core.cluster.live import Live
from fleet.hub.core.observed import DispatchObserved, Member
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
    digest: str
    """Of all rendered objects."""
    bar: tuple[str, str] | None
    """Reason and sentence, where nothing may be written anew."""
    is_applied: bool
    """All objects of this wish have been seen in the member."""
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
        return cls(
            item=item,
            want=want,
            member=member,
            observed=observed,
            live=Live.of(item, observed),
            digest=digest_of(observed.rendered),
            bar=_bar(item, member, observed),
            is_applied=standing.is_taken(item) and item.status.applied_run == want.run,
            now=now,
        )

    @property
    def has_arrived(self) -> bool:
        """The live Rollout carries the dispatch of this wish."""
        taken = self.item.status.dispatch.rollout
        return standing.is_taken(self.item) and 0 < taken <= self.live.sequence

    @property
    def next_sequence(self) -> int:
        """Of the next dispatch: a hub that was restored from a backup is not locked out."""
        return max(self.item.status.dispatch.sequence, self.live.sequence) + 1

    @property
    def inputs_changed(self) -> bool:
        """Rendered today it would be different; that goes through a run, never by itself."""
        return (
            self.bar is None and self.is_applied and self.item.status.dispatch.digest != self.digest
        )

    @property
    def stays(self) -> bool:
        """What has arrived stays as it is: only its hold moves, and its weight, which falls."""
        return self.bar is not None or self.inputs_changed

    @property
    def rollout(self) -> Rendered:
        return next(each for each in self.observed.rendered if each.resource is ROLLOUTS)


def digest_of(rendered: Iterable[Rendered]) -> str:
    """Of all of them together: equal digest = nothing to dispatch."""
    return hashing.of_texts([[each.resource.plural, each.name, each.digest] for each in rendered])


def _bar(
    item: ClusterRollout, member: Member, observed: DispatchObserved
) -> tuple[str, str] | None:
    """Why nothing may be written: no manifests, a namespace that is closed, or a CRD too old."""
    if not observed.rendered:
        return "TemplateError", observed.render_error or "nothing is rendered for this cluster"
    allowed = member.cluster.spec.allowed_namespaces
    closed = sorted({each.namespace for each in observed.rendered} - set(allowed))
    if not closed:
        return schema.too_old(item, member, observed)
    return (
        "NamespaceNotAllowed",
        f"namespace {closed[0]} is not allowed in {member.name}: an administrator adds it to "
        "spec.allowedNamespaces of the MemberCluster",
    )
