"""Rollouts as an API server would show them, made by the real engine in its small world.

Used by the tests of what `fleet rollout` draws and decides.
"""

import json
from collections.abc import Callable
from functools import cache
from typing import Any

from fleet.api import names
from fleet.api.meta import write_time
from fleet.cli.rollouts import family as families
from fleet.cli.rollouts.family import Family
from fleet.kulta.core.facts import revisions
from tests import gen
from tests.kulta.migrating import migrating
from tests.kulta.world import World, blue_green_world, canary_world, furnish

LATENCY = {"name": "latency-p99", "threshold": 500, "failureThreshold": 3}


def paused(pause: str | None = "5m") -> World:
    """A canary at 50 %, in its pause, judged well."""
    analysis = gen.analysis({"name": "error-rate", "threshold": 5.0}, dict(LATENCY))
    world = canary_world(20, (50, pause), 100, routed=True, replicas=5, analysis=analysis)
    world.answer = _measured
    world.settle()
    world.image("shop:v2")
    while world.status.phase != "Paused":
        world.run(10)
    return world


def _measured(text: str) -> float:
    """Five of 1,240 requests to the new revision failed, nine of 1,262 to the stable one."""
    is_stable = gen.revision("shop:v1") in text
    if "histogram" in text:
        return 212.0
    if "rate(" in text:
        return 0.403
    if "5.." in text:
        return 9.0 if is_stable else 5.0
    return 1_262.0 if is_stable else 1_240.0


def broken() -> World:
    """A canary whose pods crash, half a minute old."""
    world = canary_world(20, 50, 100, routed=True, replicas=3, progressDeadlineSeconds=60)
    world.settle()
    world.broken = {gen.revision("shop:v2")}
    world.image("shop:v2")
    world.run(30)
    return world


def failed() -> World:
    """The same after it was taken back."""
    world = broken()
    world.run(300)
    return world


def completed(seconds: float = 25) -> World:
    """A canary that went well, so many seconds after it began."""
    world = canary_world(20, 50, 100, routed=True, replicas=3)
    world.settle()
    world.image("shop:v2")
    world.run(seconds)
    return world


def previewed() -> World:
    """A blue-green preview that promotes itself after ten minutes."""
    world = blue_green_world(routed=True, replicas=2, after=600)
    world.settle()
    world.image("shop:v2")
    world.run(60)
    return world


def experiment(seconds: float = 600) -> World:
    """An A/B test of an hour, so old."""
    strategy = gen.ab_testing(analysis=gen.ab_analysis(), routed=True, maxDuration="1h")
    world = World(gen.manifest(strategy=strategy, replicas=2))
    furnish(world, (gen.STABLE, "variant-a"), (gen.VARIANT, "variant-b"), routed=True)
    world.answer = lambda text: 1000.0
    world.settle()
    world.image("shop:v2")
    world.run(seconds)
    return world


def restarting() -> World:
    """Pods that are replaced, one at a time, half way."""
    world = World(gen.manifest(strategy={"simple": {}}, replicas=3, maxSurge=1)).settle()
    world.annotate("restart")
    world.run(3)
    return world


def held() -> World:
    """A simple rollout that its user has paused before it began."""
    world = World(gen.manifest(strategy={"simple": {}}, replicas=2))
    world.settle()
    world.update(paused=True)
    world.image("shop:v2")
    world.run(30)
    return world


def migrated() -> World:
    """The Deployment's pods have been replaced, and its next template waits for a person."""
    world = migrating(gen.canary(20, (50, None), 100, routed=True), routed=True, replicas=2)
    world.settle()
    world.redeploy("shop:v2")
    world.settle()
    return world


def unmigrated() -> World:
    """There is no such Deployment."""
    world = migrating({"simple": {}}, replicas=2)
    world.workload = None
    world.run(30)
    return world


@cache
def seen(scene: Callable[[], World]) -> Family:
    """What commands make of a scene; made once, since nobody changes it."""
    return family(scene())


def family(world: World, **labels: str) -> Family:
    """What commands make of the world."""
    manifest = rollout(world)
    manifest["metadata"]["labels"] = labels
    return families.of(manifest, sets(world), pods(world))


def rollout(world: World) -> dict[str, Any]:
    """The Rollout with its status."""
    meta = {**world.manifest["metadata"], "creationTimestamp": "2026-11-20T11:00:00Z"}
    status = world.status.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {**world.manifest, "metadata": meta, "status": status}


def sets(world: World) -> list[dict[str, Any]]:
    """Every ReplicaSet; the images are those that the world was asked for."""
    found = []
    for item in world.sets.values():
        template = _template(world, item.hash)
        labels = {names.HASH_LABEL: item.hash, names.TYPE_LABEL: item.role}
        own = {**template, "metadata": {"labels": {**template["metadata"]["labels"], **labels}}}
        notes = {
            names.REVISION_ANNOTATION: str(item.number),
            names.TEMPLATE_ANNOTATION: json.dumps(template),
        }
        found.append(
            {
                "metadata": {
                    "name": item.name,
                    "uid": item.uid,
                    "labels": labels,
                    "annotations": notes,
                    "creationTimestamp": write_time(item.created_at or world.now),
                    "ownerReferences": [_owner(world.manifest["metadata"]["uid"])],
                },
                "spec": {"replicas": item.replicas, "template": own},
            }
        )
    return found


def pods(world: World) -> list[dict[str, Any]]:
    """Every pod, by its set's name and a number."""
    found = []
    for number, (key, item) in enumerate(sorted(world.pods.items())):
        waits = {"waiting": {"reason": "CrashLoopBackOff"}} if item.hash in world.broken else {}
        status = {
            "phase": "Running",
            "podIP": f"10.244.0.{number}",
            "conditions": [{"type": "Ready", "status": str(item.ready)}],
            "containerStatuses": [
                {"ready": item.ready, "restartCount": 3 if waits else 0, "state": waits}
            ],
        }
        metadata = {
            "name": f"{revisions.set_name(gen.NAME, item.hash)}-{number:05d}",
            "annotations": {names.LEAVING_ANNOTATION: names.LEAVING} if item.leaving else {},
            "creationTimestamp": write_time(world.born.get(key, world.now)),
            "ownerReferences": [_owner(world.sets[item.hash].uid)],
        }
        found.append({"metadata": metadata, "spec": {"nodeName": "node-1"}, "status": status})
    return found


def _owner(uid: str) -> dict[str, Any]:
    return {"uid": uid, "controller": True}


def _template(world: World, revision: str) -> dict[str, Any]:
    known = [gen.template(f"shop:v{number}") for number in range(1, 9)]
    found = next((item for item in known if gen.pod_hash(item) == revision), None)
    return found or world.manifest["spec"]["template"]
