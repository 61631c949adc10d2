"""API objects → the small frozen values that the core sees, and whom they belong to.

Used by `observe` as the decoders of its informers: everything that the engine does not need is
dropped here, so that tens of thousands of pods stay small. Two decoded values that are equal mean
that nothing happened.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, TypeVar

import orjson

from fleet.api import names
from fleet.api.meta import Manifest, read_time
from fleet.api.names import Key, Resource
from fleet.kit.redaction import redact
from fleet.kulta.core import observed

T = TypeVar("T")

_LONGEST_NUMBER = 10

CRASHING, UNSCHEDULABLE = "CrashLoopBackOff", "Unschedulable"
OF_IMAGES = frozenset(
    {"ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"}
)
TROUBLES = {
    "ErrImagePull": "ImagePullBackOff",
    "RegistryUnavailable": "ImagePullBackOff",
    **{item: item for item in OF_IMAGES},
    "CreateContainerConfigError": "CreateContainerConfigError",
    "CreateContainerError": "CreateContainerError",
    CRASHING: CRASHING,
}
"""Why a container waits that will not start by itself → the word for it. What every container waits
for in its beginning is not among them."""
LATER = "PodInitializing"
"""What all others wait for while an init container is at work."""
BEGINNINGS = frozenset({"ContainerCreating", LATER})
"""What containers wait for before they start: in a new sandbox once more, whatever was before."""
CRASHES = 2
"""Before so many restarts a kubelet has waited once: the first is at once, and may be the last."""
STEADY = timedelta(minutes=10)
"""Of a container that ran so long a kubelet has forgotten the crashes before, and so do we."""
OVER = frozenset({"Failed", "Succeeded"})
"""Phases of pods that never run again: others take their place."""

SERVICE_NAME_LABEL = "kubernetes.io/service-name"


@dataclass(frozen=True, slots=True)
class Child(Generic[T]):
    """A value that belongs to a Rollout: by label to its name, by owner to one life of it."""

    rollout: Key
    owner: str
    """The uid of the controlling owner: the Rollout for a ReplicaSet, the set for a pod."""
    value: T


@dataclass(frozen=True, slots=True)
class Slice:
    """One EndpointSlice of a Service."""

    service: Key
    ready: frozenset[str]
    """Uids of the pods that take traffic."""


def replica_set(manifest: Mapping[str, Any]) -> Child[observed.ReplicaSet]:
    """A set that carries our labels."""
    meta, spec, status = manifest["metadata"], manifest["spec"], manifest.get("status") or {}
    labels = meta.get("labels") or {}
    template_labels = (spec.get("template") or {}).get("metadata", {}).get("labels") or {}
    return Child(
        _owner_key(meta, labels),
        _controller(meta),
        observed.ReplicaSet(
            name=meta["name"],
            uid=meta["uid"],
            hash=sys.intern(labels.get(names.HASH_LABEL, "")),
            role=sys.intern(template_labels.get(names.TYPE_LABEL, "")),
            replicas=spec.get("replicas", 1),
            current=status.get("replicas", 0),
            number=_number(meta),
            created_at=read_time(meta.get("creationTimestamp")),
            failure=_failure(status),
        ),
    )


def _failure(status: Mapping[str, Any]) -> str:
    found = (x for x in status.get("conditions") or () if x.get("type") == "ReplicaFailure")
    told: Mapping[str, Any] = next(found, {})
    return redact(str(told.get("message", ""))) if told.get("status") == "True" else ""


def pod(manifest: Mapping[str, Any]) -> Child[observed.Pod]:
    """A pod that carries our labels."""
    meta, status = manifest["metadata"], manifest.get("status") or {}
    labels = meta.get("labels") or {}
    conditions = status.get("conditions") or ()
    found = (item for item in conditions if item.get("type") == "Ready")
    readiness: Mapping[str, Any] = next(found, {})
    ready = readiness.get("status") == "True"
    trouble, image = ("", "") if ready else _trouble(status, readiness.get("lastTransitionTime"))
    return Child(
        _owner_key(meta, labels),
        sys.intern(_controller(meta)),
        observed.Pod(
            name=meta["name"],
            uid=meta["uid"],
            hash=sys.intern(labels.get(names.HASH_LABEL, "")),
            role=sys.intern(labels.get(names.TYPE_LABEL, "")),
            ready=ready,
            deleting="deletionTimestamp" in meta,
            leaving=(meta.get("annotations") or {}).get(names.LEAVING_ANNOTATION) == names.LEAVING,
            trouble=trouble,
            image=sys.intern(image),
        ),
    )


def _trouble(status: Mapping[str, Any], since: Any) -> tuple[str, str]:
    """What keeps a pod from being ready `since` then, and the image that it is about.

    A kubelet's words alternate while it tries again and again; these do not.
    """
    if status.get("phase") in OVER:
        return "", ""
    known = [(item, True) for item in status.get("initContainerStatuses") or ()]
    known += [(item, False) for item in status.get("containerStatuses") or ()]
    left = [item for item, is_init in known if not (is_init and item.get("ready"))]
    is_alone = sum(_awaited(item) != LATER for item in left) == 1
    for item, is_init in known:
        word = TROUBLES.get(_awaited(item), "")
        if not word and _has_crashed(item, is_init) and _is_crashing(item, since, is_alone):
            word = CRASHING
        if word:
            return word, str(item.get("image") or "") if word in OF_IMAGES else ""
    for item in status.get("conditions") or ():
        if item.get("type") == "PodScheduled" and item.get("reason") == UNSCHEDULABLE:
            return UNSCHEDULABLE, ""
    return "", ""


def _awaited(item: Mapping[str, Any]) -> str:
    """What a container waits for."""
    return str(((item.get("state") or {}).get("waiting") or {}).get("reason") or "")


def _is_crashing(item: Mapping[str, Any], since: Any, is_alone: bool) -> bool:
    """Whether a container that has crashed is between two crashes of many, though it does not
    wait just now.

    It has ended after a restart, or runs again and has not been ready in this life: one that has,
    and is no longer, fails its probe, and its crashes are of the past. The pod's word on that is
    this one's only while no other is at work.
    """
    running = (item.get("state") or {}).get("running")
    if running is None:
        return _awaited(item) not in BEGINNINGS
    began, lost = read_time(running.get("startedAt")), read_time(since)
    is_new = began is None or lost is None or began >= lost
    return is_alone and item["restartCount"] >= CRASHES and is_new


def _has_crashed(item: Mapping[str, Any], is_init: bool) -> bool:
    """Whether a container that is not ready has been started again because of how it ended.

    An init container that has done its work runs once more in a new sandbox, and how one ended
    whose node was started anew nobody knows: it has no times.
    """
    if not item.get("restartCount") or item.get("ready"):
        return False
    states = ((item.get(key) or {}).get("terminated") for key in ("state", "lastState"))
    ended: Mapping[str, Any] = next(filter(None, states), {})
    if not ended:
        return True
    began, over = read_time(ended.get("startedAt")), read_time(ended.get("finishedAt"))
    if over is None or (is_init and ended.get("exitCode") == 0):
        return False
    return began is None or over - began < STEADY


def service(manifest: Mapping[str, Any]) -> observed.Service:
    """Any Service of the cluster."""
    meta = manifest["metadata"]
    kept = (meta.get("annotations") or {}).get(names.ORIGINAL_SELECTOR)
    return observed.Service(
        name=meta["name"],
        selector=manifest.get("spec", {}).get("selector") or {},
        original=None if kept is None else _selector(kept),
        resource_version=meta["resourceVersion"],
        uid=meta["uid"],
    )


def workload(manifest: Mapping[str, Any]) -> observed.Workload:
    """Any Deployment."""
    meta, spec, status = manifest["metadata"], manifest["spec"], manifest.get("status") or {}
    notes = meta.get("annotations") or {}
    template = dict(spec["template"])
    about = dict(template.get("metadata") or {})
    about.pop("creationTimestamp", None)
    scaler = _scaler(meta)
    return observed.Workload(
        name=meta["name"],
        uid=meta["uid"],
        resource_version=meta["resourceVersion"],
        generation=meta.get("generation", 0),
        template={**template, "metadata": about},
        selector=spec.get("selector") or {},
        replicas=spec.get("replicas", 1),
        ready=status.get("readyReplicas", 0),
        is_current=status.get("observedGeneration", 0) >= meta.get("generation", 0),
        holder=notes.get(names.HOLDER, ""),
        original=_count(notes.get(names.ORIGINAL_REPLICAS, "")),
        scaler=scaler,
        autoscaled=scaler == names.AUTOSCALER,
        is_going="deletionTimestamp" in meta,
    )


def _scaler(meta: Mapping[str, Any]) -> str:
    """Who wrote `spec.replicas` last. The autoscaler is a part of the controller manager, and that
    writes them for nobody else."""
    for item in meta.get("managedFields") or ():
        fields = (item.get("fieldsV1") or {}).get("f:spec") or {}
        if "f:replicas" in fields:
            return str(item.get("manager", ""))
    return ""


def _count(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) < _LONGEST_NUMBER else None


def endpoint_slice(manifest: Mapping[str, Any]) -> Slice:
    """A slice of a Service that we manage. An endpoint without the condition counts as ready."""
    meta = manifest["metadata"]
    labels = meta.get("labels") or {}
    ready = (
        (item.get("targetRef") or {}).get("uid", "")
        for item in manifest.get("endpoints") or ()
        if (item.get("conditions") or {}).get("ready") is not False
    )
    return Slice(
        (meta["namespace"], labels.get(SERVICE_NAME_LABEL, "")),
        frozenset(uid for uid in ready if uid),
    )


def route(resource: Resource) -> Callable[[Manifest], Manifest]:
    """For routes of that kind: as a whole, since they are written back as a whole. Lists of kinds
    that are built in leave out what their items are."""
    head = resource.head

    def decode(manifest: Manifest) -> Manifest:
        meta = {key: value for key, value in manifest["metadata"].items() if key != "managedFields"}
        return {**manifest, **head, "metadata": meta}

    return decode


def _owner_key(meta: Mapping[str, Any], labels: Mapping[str, str]) -> Key:
    return sys.intern(meta["namespace"]), sys.intern(labels.get(names.ROLLOUT_LABEL, ""))


def _controller(meta: Mapping[str, Any]) -> str:
    owners = meta.get("ownerReferences") or ()
    return next((item["uid"] for item in owners if item.get("controller")), "")


def _number(meta: Mapping[str, Any]) -> int:
    """Of the revision; 0 where there is none, or none that can be read."""
    text = (meta.get("annotations") or {}).get(names.REVISION_ANNOTATION, "")
    return int(text) if text.isdecimal() and len(text) < _LONGEST_NUMBER else 0


def _selector(text: str) -> dict[str, str]:
    """The selector kept in our annotation; one that somebody broke is empty, never a crash."""
    try:
        kept = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    if not isinstance(kept, dict):
        return {}
    return {str(key): str(value) for key, value in kept.items()}
