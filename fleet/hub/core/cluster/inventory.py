"""The list of objects that we made or adopted in a member: only these are ever deleted.

Called by `dispatch` and `removal`. An object is listed before it is written, so that a crash
between the two leaves nothing behind; its digest is filled in when it has been seen as it shall be.
"""

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from fleet.api import ClusterRollout
from fleet.api.clusterrollout import InventoryItem
from fleet.api.meta import Manifest
from fleet.api.names import ROLLOUTS
from fleet.hub.core.actions import DeleteObject
from fleet.hub.core.cluster import live as lives
from fleet.hub.core.cluster import ownership, reverting
from fleet.hub.core.cluster.live import Live
from fleet.hub.core.observed import Place
from fleet.rendering.render import Rendered

Items = tuple[InventoryItem, ...]
Done = TypeVar("Done", bound=reverting.Change)
End = Callable[[InventoryItem, Manifest], Done | None]
"""What is to be written for an object that leaves; None when it is as it shall be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Whose objects are deleted: one Application of one namespace of one hub."""

    application: str
    namespace: str
    hub: str

    @classmethod
    def of(cls, item: ClusterRollout, hub: str) -> "Owner":
        return cls(application=item.spec.application, namespace=item.metadata.namespace, hub=hub)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """What is listed after a look, and what of it goes now."""

    items: Items
    deletions: tuple[DeleteObject, ...] = ()
    is_leaving: bool = False
    """Something that goes is still there: its end is looked for."""


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
            before=reverting.remembered(live.whole(each.place)),
        )
        for each in rendered
        if each.place not in known
    )
    return (*kept, *new)


def confirmed(
    listed: Mapping[Place, InventoryItem], wanted: Mapping[Place, str], live: Live
) -> Items:
    """What is listed, with uid and digest of those that have been seen as they shall be."""
    return tuple(
        [_confirmed(item, live.find(where), wanted.get(where)) for where, item in listed.items()]
    )


def _confirmed(item: InventoryItem, found: Manifest | None, wanted: str | None) -> InventoryItem:
    if found is None:
        return item
    seen = lives.digest(found)
    if seen != wanted:
        return item
    update = {"uid": lives.uid(found), "digest": seen}
    # As a rule it has been seen so before.
    is_known = (item.uid, item.digest) == (update["uid"], seen)
    return item if is_known else item.model_copy(update=update)


def surplus(listed: Mapping[Place, InventoryItem], wanted: Container[Place]) -> Items:
    """What is listed and not wanted any more."""
    return tuple([item for where, item in listed.items() if where not in wanted])


def leaving(items: Items, live: Live, owner: Owner) -> tuple[Items, tuple[DeleteObject, ...]]:
    """(what is still there, the deletions that come now)."""
    return _ordered(items, live, owner, reverting.delete)


def returning(items: Items, live: Live, owner: Owner) -> tuple[Items, tuple[reverting.Change, ...]]:
    """(what is not yet as it was before us, the writes that come now)."""
    return _ordered(items, live, owner, reverting.revert)


def mine(item: InventoryItem, live: Live, owner: Owner) -> Manifest | None:
    """What is listed, as it is there; None where it is gone, became somebody else's, or was made
    anew by somebody: that is let be."""
    found = live.find(place(item))
    if found is None or not ownership.is_ours(found, owner.application, owner.namespace):
        return None
    if (item.uid and lives.uid(found) != item.uid) or lives.other_hub(found, owner.hub):
        return None
    return found


def _ordered(
    items: Items, live: Live, owner: Owner, end: End[Done]
) -> tuple[Items, tuple[Done, ...]]:
    """Rollouts go first and alone, so that their engine restores Services and routes; these follow
    in reverse order."""
    rollouts = tuple(item for item in items if item.plural == ROLLOUTS.plural)
    rest = tuple(reversed([item for item in items if item not in rollouts]))
    left, writes = _ending(rollouts, live, owner, end)
    if left:
        return (*left, *reversed(rest)), writes
    return _ending(rest, live, owner, end)


def _ending(
    items: Items, live: Live, owner: Owner, end: End[Done]
) -> tuple[Items, tuple[Done, ...]]:
    """(those that are still there, the writes for those that are not going already)."""
    left: list[InventoryItem] = []
    writes: list[Done] = []
    for item in items:
        found = mine(item, live, owner)
        if found is None:
            continue
        write = end(item, found)
        if write is None:
            continue  # it is as it shall be
        left.append(item)
        if not lives.is_going(found):
            writes.append(write)
    return tuple(left), tuple(writes)
