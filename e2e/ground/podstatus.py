"""The status of a pod, computed from what its containers say; pure.

`pods` writes what this builds. Conditions keep their transition time as long as they do not change.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from e2e.ground.containers import Container

Status = dict[str, Any]


def build(
    pod: Mapping[str, Any],
    containers: Sequence[Container],
    *,
    address: str,
    host: str,
    now: str,
    before: Mapping[str, Any],
) -> Status:
    """What a kubelet would report; `before` is the last report."""
    known = {condition["type"]: condition for condition in before.get("conditions", ())}
    return {
        "phase": phase(pod, containers),
        "hostIP": host,
        "hostIPs": [{"ip": host}],
        "podIP": address,
        "podIPs": [{"ip": address}],
        "startTime": before.get("startTime", now),
        "containerStatuses": [_container(container) for container in containers],
        "conditions": [
            _stamped(condition, known, now) for condition in _conditions(pod, containers)
        ],
    }


def phase(pod: Mapping[str, Any], containers: Sequence[Container]) -> str:
    """Pending until each container has run once; Succeeded or Failed when all are over for good."""
    policy = pod["spec"].get("restartPolicy", "Always")
    ends = [container.state.get("terminated") for container in containers]
    if policy != "Always" and all(ends):
        failed = any(end and end["exitCode"] for end in ends)
        if not failed:
            return "Succeeded"
        if policy == "Never":
            return "Failed"
    fresh = any("waiting" in c.state and not c.last and not c.restarts for c in containers)
    return "Pending" if fresh else "Running"


def is_overruled(pod: Mapping[str, Any], status: Mapping[str, Any]) -> bool:
    """Whether somebody else has changed what we report, as the node controller does when it has
    not heard of the node for a while."""
    live = {c["type"]: c["status"] for c in pod.get("status", {}).get("conditions", ())}
    ours = {c["type"]: c["status"] for c in status["conditions"]}
    return any(live.get(kind) != value for kind, value in ours.items())


def is_ready(pod: Mapping[str, Any], containers: Sequence[Container]) -> bool:
    """All containers ready, all readiness gates open, and not on its way out."""
    given = {c["type"]: c["status"] for c in pod.get("status", {}).get("conditions", ())}
    gates = [gate["conditionType"] for gate in pod["spec"].get("readinessGates") or ()]
    return (
        "deletionTimestamp" not in pod["metadata"]
        and all(container.ready for container in containers)
        and all(given.get(gate) == "True" for gate in gates)
    )


def _conditions(pod: Mapping[str, Any], containers: Sequence[Container]) -> list[dict[str, Any]]:
    unready = [container.name for container in containers if not container.ready]
    why = {}
    if unready:
        message = f"containers with unready status: [{' '.join(unready)}]"
        why = {"reason": "ContainersNotReady", "message": message}
    elif "deletionTimestamp" in pod["metadata"]:
        why = {"reason": "Terminating", "message": "the pod is being deleted"}
    return [
        {"type": "PodReadyToStartContainers", "status": "True"},
        {"type": "Initialized", "status": "True"},
        {"type": "ContainersReady", "status": str(not unready)} | (why if unready else {}),
        {"type": "Ready", "status": str(is_ready(pod, containers))} | why,
    ]


def _stamped(
    condition: dict[str, Any], known: Mapping[str, Mapping[str, Any]], now: str
) -> dict[str, Any]:
    before = known.get(condition["type"])
    same = before is not None and before["status"] == condition["status"]
    when = before["lastTransitionTime"] if before is not None and same else now
    # null clears what an earlier report said: the patch merges conditions by their type
    blank = {"reason": None, "message": None}
    return blank | condition | {"lastTransitionTime": when}


def _container(container: Container) -> dict[str, Any]:
    image = container.spec["image"]
    return {
        "name": container.name,
        "image": image,
        "imageID": f"local://{image}",
        "ready": container.ready,
        "started": container.started,
        "restartCount": container.restarts,
        "state": container.state,
        "lastState": container.last,
    }
