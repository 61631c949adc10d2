"""Applications side by side in one namespace of one member: each has its own names and objects."""

import copy
from typing import Any

from fleet.api.fleetrollout import Snapshot
from fleet.api.names import CLUSTERROLLOUT_FINALIZER
from fleet.api.values import APPLICATION_LENGTH
from fleet.hub.core.actions import DeleteObject, FenceRollout
from fleet.hub.core.cluster import dispatch
from fleet.rendering import render
from tests.conftest import NOON
from tests.hub import gen
from tests.hub.place import Objects, look, objects, settled
from tests.hub.world import TEMPLATES

LABEL, NAME = 63, 253
"""Most characters of a Service's name, and of a custom object's."""


def rendered(name: str) -> tuple[render.Rendered, ...]:
    """What the Application of that name is in the member `a`."""
    snapshot = Snapshot(name=name, spec=gen.application().spec)
    return render.render(TEMPLATES, gen.delivery(snapshot, gen.cluster("a")))


def live(name: str) -> Objects:
    found: Objects = {}
    for each in rendered(name):
        body: dict[str, Any] = copy.deepcopy(dict(each.manifest))
        body["metadata"] |= {"uid": f"uid-{each.name}", "resourceVersion": "7"}
        found[each.place] = body
    return found


def test_one_that_goes_takes_only_its_own_objects_along() -> None:
    """[KH-27] The inventory names them one by one: no index, no label that others have too."""
    item = settled()
    meta = item.metadata.model_copy(update={"deletion_timestamp": NOON})
    item = item.model_copy(update={"metadata": meta})
    mine, theirs = objects(), live("till")
    assert not mine.keys() & theirs.keys()
    gone: set[Any] = set()
    for _ in range(6):
        there = {**mine, **theirs}
        plan = dispatch.decide(item, look(there, looked=True), NOON)
        item = item.model_copy(update={"status": plan.status})
        for action in plan.actions:
            if isinstance(action, FenceRollout):
                mine["rollouts", "checkout", "checkout"]["spec"]["dispatch"]["sequence"] = (
                    action.sequence
                )
            if isinstance(action, DeleteObject):
                where = (action.resource.plural, action.namespace, action.name)
                gone.add(where)
                del mine[where]
    assert mine == {}
    assert not gone & theirs.keys()
    assert CLUSTERROLLOUT_FINALIZER in item.metadata.finalizers


def test_long_names_that_differ_at_their_end_stay_apart() -> None:
    """[KH-28] None is cut: the longest that is allowed fits with all that is hung on to it."""
    first, second = ("a" * (APPLICATION_LENGTH - 1) + end for end in "xy")
    names = [{each.place for each in rendered(name)} for name in (first, second)]
    assert not names[0] & names[1]
    services = [name for where in names for kind, _, name in where if kind == "services"]
    assert len(services) == 4
    assert max(map(len, services)) <= LABEL
    clusters = ["c" * (LABEL - 1) + end for end in "xy"]
    items = {f"{name}.{cluster}" for name in (first, second) for cluster in clusters}
    assert len(items) == 4
    assert max(map(len, items)) <= NAME
