"""An engine in a dozen lines, and the little of an API server that it needs.

One step a tick: take up a new generation, go through the steps, complete; fail a bad revision (an
image whose name contains `bad`) at its second step; wait while held. It keeps the promises that the
hub builds on: the generation counts, an old dispatch sequence is refused, the revision is echoed.
"""

import copy
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from fleet.api.meta import write_time
from fleet.api.names import HUB_MANAGER, MANAGED_BY, request_annotation
from fleet.hub.core.observed import Place

RETRY = request_annotation("retry")
Manifest = dict[str, Any]


def watched(where: Place, manifest: Mapping[str, Any]) -> bool:
    """Whether the hub's watch in the member shows it."""
    labels = manifest["metadata"].get("labels") or {}
    return where[0] == "rollouts" and labels.get(MANAGED_BY) == HUB_MANAGER


def apply(objects: dict[Place, Manifest], wanted: Mapping[str, Any]) -> None:
    """Server-side apply of a Rollout, with the transition rule of its CRD."""
    meta = wanted["metadata"]
    key = ("rollouts", str(meta["namespace"]), str(meta["name"]))
    old = objects.get(key)
    new = copy.deepcopy(dict(wanted))
    before = (old or {}).get("spec", {})
    seen = before.get("dispatch", {}).get("sequence", 0)
    assert new["spec"]["dispatch"]["sequence"] >= seen, "a former leader's write is refused"
    assert new["spec"]["dispatch"]["sequence"] != seen, "the same dispatch came twice"
    if "hold" in before:
        new["spec"]["hold"] = before["hold"]
    new["metadata"]["uid"] = f"uid-{key[1]}-{key[2]}"
    generation = (old or {}).get("metadata", {}).get("generation", 0)
    new["metadata"]["generation"] = generation + (new["spec"] != before)
    new["status"] = (old or {}).get("status", {})
    objects[key] = new


def hold(rollout: Manifest, reason: str, sequence: int) -> None:
    """Server-side apply of `spec.hold` alone."""
    before = copy.deepcopy(rollout["spec"])
    rollout["spec"].pop("hold", None)
    if reason:
        rollout["spec"]["hold"] = {"reason": reason, "sequence": sequence}
    rollout["metadata"]["generation"] += rollout["spec"] != before


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
        status["currentWeight"] = weights[status["currentStepIndex"]]
        status["currentStepIndex"] += 1


def is_gone(_rollout: Manifest) -> bool:
    """This engine has no finalizer: what is deleted is gone at once."""
    return False
