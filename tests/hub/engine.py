"""A member in a few lines: the little of an API server that the hub needs, and an engine.

`Imitation` takes one step a tick: it takes up a new generation, goes through the steps, completes;
fails a bad revision (an image whose name contains `bad`) at its second step; waits while held, and
at a step with a pause until it is asked to go on. It keeps the promises that the hub builds on: the
generation counts, an old dispatch sequence is refused, the revision is echoed. `tests.hub.real`
puts the real engine in its place.
"""

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, Protocol

import orjson

from fleet.api.meta import write_time
from fleet.api.names import HUB_MANAGER, MANAGED_BY, request_annotation
from fleet.hub.core.actions import (
    ApplyRollout,
    CreateObject,
    DeleteObject,
    FenceRollout,
    HoldRollout,
    ReleaseRollout,
    UpdateObject,
)
from fleet.hub.core.observed import Place

RETRY, PROMOTE = request_annotation("retry"), request_annotation("promote")
WAITING = ("Paused", "Preview", "Experimenting", "Concluded")
Manifest = dict[str, Any]
Objects = dict[Place, Manifest]


class Engine(Protocol):
    """What is done in members between two looks of the hub."""

    def step(self, cluster: str, objects: Objects, now: datetime, *, bad: bool) -> None:
        """One tick of the engine in that cluster."""


def watched(where: Place, manifest: Mapping[str, Any]) -> bool:
    """Whether the hub's watch in the member shows it."""
    labels = manifest["metadata"].get("labels") or {}
    return where[0] == "rollouts" and labels.get(MANAGED_BY) == HUB_MANAGER


def seen(objects: Objects) -> dict[tuple[str, str], Manifest]:
    """The Rollouts that the hub's watch shows, by namespace and name: the same as long as nothing
    has changed, as an informer keeps them."""
    found = ((key, one) for key, one in objects.items() if watched(key, one))
    return {key[1:]: _known(orjson.dumps(one)) for key, one in found}


@lru_cache(maxsize=1_000)
def _known(text: bytes) -> Manifest:
    known: Manifest = orjson.loads(text)
    return known


def own(objects: Objects, *place: str) -> Manifest:
    """The object at that place, to be changed: a former world keeps the one that it has."""
    plural, namespace, name = place
    copied = objects[plural, namespace, name] = clone(objects[plural, namespace, name])
    return copied


def clone(manifest: Mapping[str, Any]) -> Manifest:
    """A copy that shares nothing."""
    copied: Manifest = orjson.loads(orjson.dumps(manifest))
    return copied


# --- the API server ---------------------------------------------------------------------------


def do(cluster: str, objects: Objects, action: Any) -> str:
    """One write of the hub; what it was, in words."""
    match action:
        case ApplyRollout():
            apply(objects, action.manifest)
            force = " by force" if action.force else ""
            return f"apply {action.manifest['spec']['dispatch']['sequence']}{force}"
        case HoldRollout():
            rollout = own(objects, "rollouts", action.namespace, action.name)
            hold(rollout, action.reason, action.sequence)
            return f"hold {action.sequence} {action.reason}"
        case ReleaseRollout():
            rollout = own(objects, "rollouts", action.namespace, action.name)
            assert rollout["metadata"]["resourceVersion"] == action.version
            hold(rollout, "", 0)
            return "release"
        case FenceRollout():
            rollout = own(objects, "rollouts", action.namespace, action.name)
            fence(rollout, action)
            return f"{'ask' if action.request else 'fence'} {action.sequence}"
        case CreateObject() | UpdateObject():
            body = clone(action.manifest)
            meta = body["metadata"]
            key = (action.resource.plural, meta["namespace"], meta["name"])
            created = isinstance(action, CreateObject)
            assert created == (key not in objects)
            meta.setdefault("uid", f"{cluster}-{'-'.join(key)}")
            objects[key] = written(body)
            return f"{'create' if created else 'update'} {key[0]}/{key[2]}"
        case DeleteObject():
            key = (action.resource.plural, action.namespace, action.name)
            meta = objects[key]["metadata"]
            assert (meta["uid"], meta["resourceVersion"]) == (action.uid, action.version)
            del objects[key]
            return f"delete {key[0]}/{key[2]}"
    raise AssertionError(action)


def written(manifest: Manifest) -> Manifest:
    """`manifest` with its next resource version."""
    version = int(manifest["metadata"].get("resourceVersion", "0")) + 1
    manifest["metadata"]["resourceVersion"] = str(version)
    return manifest


def apply(objects: Objects, wanted: Mapping[str, Any]) -> None:
    """Server-side apply of a Rollout, with the transition rule of its CRD."""
    meta = wanted["metadata"]
    key = ("rollouts", str(meta["namespace"]), str(meta["name"]))
    old = objects.get(key, {"metadata": {}, "spec": {}})
    new = clone(wanted)
    seen = old["spec"].get("dispatch", {}).get("sequence", 0)
    assert new["spec"]["dispatch"]["sequence"] >= seen, "a former leader's write is refused"
    assert new["spec"]["dispatch"]["sequence"] != seen, "the same dispatch came twice"
    if "hold" in old["spec"]:
        new["spec"]["hold"] = old["spec"]["hold"]
    new["metadata"] |= {
        "uid": f"uid-{key[1]}-{key[2]}",
        "generation": old["metadata"].get("generation", 0) + (new["spec"] != old["spec"]),
        "resourceVersion": old["metadata"].get("resourceVersion", "0"),
        "finalizers": old["metadata"].get("finalizers", []),
    }
    new["status"] = old.get("status", {})
    objects[key] = written(new)


def fence(rollout: Manifest, action: FenceRollout) -> None:
    """A merge patch of the dispatch, and of what goes with it, for the version that was seen."""
    assert rollout["metadata"]["resourceVersion"] == action.version
    assert rollout["spec"]["dispatch"]["sequence"] < action.sequence
    rollout["spec"]["dispatch"] = {"hub": action.hub, "sequence": action.sequence}
    if action.released:
        rollout["spec"]["dispatch"]["released"] = True
        if not action.spares_hold:
            rollout["spec"].pop("hold", None)
    if action.weight is not None:
        rollout["spec"]["strategy"]["canary"]["externalWeight"] = action.weight
    if action.request:
        notes = rollout["metadata"].setdefault("annotations", {})
        assert action.request not in notes, "nobody is asked twice"
        assert rollout["status"]["phase"] in WAITING, "nobody is asked who does not wait"
        notes[action.request] = "true"
    rollout["metadata"]["generation"] += 1
    written(rollout)


def hold(rollout: Manifest, reason: str, sequence: int) -> None:
    """Server-side apply of `spec.hold` alone."""
    before = clone(rollout["spec"])
    rollout["spec"].pop("hold", None)
    if reason:
        rollout["spec"]["hold"] = {"reason": reason, "sequence": sequence}
    rollout["metadata"]["generation"] += rollout["spec"] != before
    written(rollout)


# --- the engine -------------------------------------------------------------------------------


class Imitation:
    """An engine without pods, for stories about the hub."""

    def step(self, cluster: str, objects: Objects, now: datetime, *, bad: bool) -> None:
        """One tick. It has no finalizer: what is deleted is gone at once."""
        for key, manifest in list(objects.items()):
            if key[0] == "rollouts":
                after = clone(manifest)
                step(after, now, bad=bad)
                if after != manifest:
                    objects[key] = after
                if after["status"] != manifest["status"]:
                    written(after)


def step(rollout: Manifest, now: datetime, *, bad: bool = False) -> None:
    """What the engine does in one tick."""
    spec, status, metadata = rollout["spec"], rollout["status"], rollout["metadata"]
    image = spec["template"]["spec"]["containers"][0]["image"]
    retried = metadata["annotations"].pop(RETRY, None) == "true"
    if retried or status.get("hash") != image:
        was = status.get("stable", "")
        rollout["status"] = {
            "phase": "Completed" if image == was else "Progressing",
            "hash": image,
            "stable": was,
            "currentStepIndex": 0,
            "currentWeight": 0,
            "decisions": [],
        }
    elif "hold" not in spec and status["phase"] == "Paused":
        if metadata["annotations"].pop(PROMOTE, None) == "true":
            status |= {"phase": "Progressing", "conditions": [], "step": ""}
    elif "hold" not in spec and status["phase"] == "Progressing":
        _advance(rollout, image, now, bad=bad or "bad" in image)
    rollout["status"] |= {
        "observedGeneration": metadata["generation"],
        "fleetRevision": spec["fleetRevision"],
        "readyReplicas": spec["replicas"],
    }


def _advance(rollout: Manifest, image: str, now: datetime, *, bad: bool) -> None:
    status = rollout["status"]
    canary = rollout["spec"]["strategy"].get("canary")
    weights = [item["setWeight"] for item in canary["steps"]] if canary else [100]
    if bad and status["stable"] and status["currentStepIndex"] >= 1:
        message = "error-rate 12.4 is not below 5"
        status |= {"phase": "Failed", "currentWeight": 0, "message": message}
        decision = {"sequence": 1, "action": "Rollback", "reason": "AnalysisFailed"}
        status["decisions"] = [{**decision, "timestamp": write_time(now), "message": message}]
    elif status["currentStepIndex"] >= len(weights):
        status |= {"phase": "Completed", "stable": image}
    else:
        at = status["currentStepIndex"]
        status["currentWeight"] = weights[at]
        status["currentStepIndex"] += 1
        if status["stable"] and canary and "pause" in canary["steps"][at]:
            paused = {"type": "Paused", "status": "True", "reason": "AdvisorPause"}
            paused["lastTransitionTime"] = write_time(now)
            status |= {
                "phase": "Paused",
                "conditions": [paused],
                "step": f"{at + 1}/{len(weights)}",
            }
