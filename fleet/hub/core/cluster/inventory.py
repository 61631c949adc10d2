"""The list of objects that we made or adopted in a member: only these are ever deleted.

Called by `dispatch` and `removal`. An object is listed before it is written, so that a crash
between the two leaves nothing behind; its digest is filled in when it has been seen as it shall be.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fleet.api import ClusterRollout
from fleet.api.clusterrollout import InventoryItem
from fleet.api.names import ROLLOUTS, Resource
from fleet.hub.core.actions import DeleteObject
from fleet.hub.core.cluster import live as lives
from fleet.hub.core.cluster import ownership
from fleet.hub.core.cluster.live import Live
from fleet.hub.core.observed import Place
from fleet.rendering.render import Rendered

Items = tuple[InventoryItem, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Whose objects are deleted: one Application of one namespace of one hub."""

    application: str
    namespace: str
    hub: str

    @classmethod
    def of(cls, item: ClusterRollout, hub: str) -> "Owner":
        return cls(application=item.spec.application, namespace=item.metadata.namespace, hub=hub)


def place(item: InventoryItem) -> Place:
    """Where a listed object is."""
    return (item.plural, item.namespace, item.name)


def planned(items: Items, rendered: Iterable[Rendered], live: Live) -> Items:
    """`items` with everything that is about to be written, not yet confirmed.

    What was looked up and is gone comes again as another object: its uid is forgotten.
    """
    known = {place(item) for item in items}
    gone = {place(item) for item in items if live.others is not None and not live.find(place(item))}
    kept = (
        item.model_copy(update={"uid": "", "digest": ""}) if place(item) in gone else item
        for item in items
    )
    new = (
        InventoryItem(
            group=each.resource.group,
            version=each.resource.version,
            plural=each.resource.plural,
            kind=each.resource.kind,
            namespace=each.namespace,
            name=each.name,
        )
        for each in rendered
        if lives.place(each) not in known
    )
    return (*kept, *new)


def confirmed(items: Items, rendered: Sequence[Rendered], live: Live) -> Items:
    """`items` with uid and digest of those that have been seen as they shall be."""
    wanted = {lives.place(each): each.digest for each in rendered}
    result = []
    for item in items:
        found = live.find(place(item))
        seen = lives.digest(found)
        if found is not None and seen == wanted.get(place(item)):
            item = item.model_copy(update={"uid": lives.uid(found), "digest": seen})  # noqa: PLW2901
        result.append(item)
    return tuple(result)


def surplus(items: Items, rendered: Iterable[Rendered]) -> Items:
    """What is listed and not wanted any more."""
    wanted = {lives.place(each) for each in rendered}
    return tuple(item for item in items if place(item) not in wanted)


def leaving(items: Items, live: Live, owner: Owner) -> tuple[Items, tuple[DeleteObject, ...]]:
    """(what is still there, the deletions that come now).

    Rollouts go first and alone, so that their engine restores Services and routes; these follow in
    reverse order.
    """
    rollouts = tuple(item for item in items if item.plural == ROLLOUTS.plural)
    rest = tuple(reversed([item for item in items if item not in rollouts]))
    left, deletions = doomed(rollouts, live, owner)
    if left:
        return (*left, *reversed(rest)), deletions
    return doomed(rest, live, owner)


def doomed(items: Items, live: Live, owner: Owner) -> tuple[Items, tuple[DeleteObject, ...]]:
    """(those that are still there, the deletions of those that are not going already).

    What became somebody else's, or was made anew by somebody, is let be.
    """
    left: list[InventoryItem] = []
    deletions: list[DeleteObject] = []
    for item in items:
        found = live.find(place(item))
        if found is None or not ownership.is_ours(found, owner.application, owner.namespace):
            continue
        if (item.uid and lives.uid(found) != item.uid) or lives.other_hub(found, owner.hub):
            continue
        left.append(item)
        if lives.is_going(found):
            continue
        deletions.append(
            DeleteObject(
                resource=resource(item),
                namespace=item.namespace,
                name=item.name,
                uid=lives.uid(found),
                version=lives.version(found),
            )
        )
    return tuple(left), tuple(deletions)


def resource(item: InventoryItem) -> Resource:
    """The resource of a listed object."""
    return Resource(group=item.group, version=item.version, plural=item.plural, kind=item.kind)
