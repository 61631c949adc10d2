"""What the engine's actions do to the small member. `world` gives every action to `act`."""

from dataclasses import replace
from typing import Any

from fleet.api import names
from fleet.kulta.core import actions as kinds
from fleet.kulta.core.observed import ReplicaSet
from tests.kulta import checker
from tests.trees import clone, name


def act(world: Any, action: kinds.Action) -> None:
    """Carry out one action; an Event changes nothing."""
    match action:
        case kinds.CreateReplicaSet(manifest=made):
            _create(world, made)
        case kinds.ScaleReplicaSet(name=name, replicas=size, was=was):
            assert world.sets[name.rsplit("-", 1)[1]].replicas == was
            _change(world, name, replicas=size)
        case kinds.RelabelReplicaSet(name=name, role=role):
            _change(world, name, role=role)
        case kinds.RelabelPod() | kinds.MarkPod() if action.name in world.pods:
            marked = isinstance(action, kinds.MarkPod)
            change = {"leaving": True} if marked else {"role": action.role}
            world.pods[action.name] = replace(world.pods[action.name], **change)
        case kinds.DeleteReplicaSet(name=name):
            world.sets.pop(name.rsplit("-", 1)[1])
        case kinds.SelectService() | kinds.ChangeWorkload():
            _change_theirs(world, action)
        case kinds.WriteRoute() | kinds.DeleteRoute():
            _change_route(world, action)
        case kinds.SetFinalizer(present=present):
            marks = [names.ROLLOUT_FINALIZER] if present else []
            world.manifest["metadata"]["finalizers"] = marks
            world.gone = "deletionTimestamp" in world.manifest["metadata"] and not present
        case kinds.ConsumeRequest(verb=verb):
            world.annotations.pop(f"kulta.io/{verb}", None)
            world.consumed.add(verb)


def _create(world: Any, made: Any) -> None:
    labels = made["spec"]["template"]["metadata"]["labels"]
    key = labels[names.HASH_LABEL]
    assert key not in world.sets
    world.sets[key] = ReplicaSet(
        name=made["metadata"]["name"],
        uid=f"set-{key}",
        hash=key,
        role=labels[names.TYPE_LABEL],
        replicas=made["spec"]["replicas"],
        created_at=world.now,
        number=int(made["metadata"]["annotations"][names.REVISION_ANNOTATION]),
    )


def _change(world: Any, name: str, **changes: Any) -> None:
    key = name.rsplit("-", 1)[1]
    world.sets[key] = replace(world.sets[key], **changes)


def _change_theirs(world: Any, action: kinds.SelectService | kinds.ChangeWorkload) -> None:
    if isinstance(action, kinds.SelectService):
        _select(world, action)
    else:
        world.change_workload(action)


def _select(world: Any, action: kinds.SelectService) -> None:
    known = world.services[action.name]
    assert known.resource_version == action.resource_version
    world.services[action.name] = replace(
        known,
        selector=dict(action.selector),
        original=None if action.original is None else dict(action.original),
        resource_version=str(int(known.resource_version) + 1),
    )


def _change_route(world: Any, action: kinds.WriteRoute | kinds.DeleteRoute) -> None:
    if isinstance(action, kinds.DeleteRoute):
        del world.routes[name(action.manifest)]
    else:
        _route(world, action.manifest)


def _route(world: Any, made: Any) -> None:
    if "resourceVersion" not in made["metadata"]:
        server = {"resourceVersion": "1", "generation": 1, "uid": f"route-{name(made)}"}
        world.routes[name(made)] = {
            **clone(made),
            "metadata": {**clone(made["metadata"]), **server},
        }
        return
    place = next(
        key
        for key, item in world.routes.items()
        if (item["kind"], name(item)) == (made["kind"], name(made))
    )
    known = world.routes[place]
    assert made["metadata"]["resourceVersion"] == known["metadata"]["resourceVersion"]
    changed = clone(made)
    if changed["spec"] != known["spec"]:
        changed["metadata"]["generation"] += 1
    changed["metadata"]["resourceVersion"] = str(int(known["metadata"]["resourceVersion"]) + 1)
    world.routes[place] = changed
    if known["kind"] != "Ingress":
        checker.check_shift(world, known, changed)
