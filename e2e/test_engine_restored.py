"""An engine whose cluster's etcd is restored from a backup: it follows what comes afterwards."""

from pathlib import Path

from e2e.ground import backup, engine
from e2e.ground.controlplane import LEAN
from e2e.ground.engine import Engine
from e2e.ground.planes import Planes
from e2e.ground.subject import Subject
from e2e.ground.waiting import until


def images(subject: Subject) -> set[str]:
    """What the sets of that Rollout run."""
    specs = (item["spec"]["template"]["spec"] for item in subject.sets().values())
    return {spec["containers"][0]["image"] for spec in specs}


def test_an_engine_in_a_restored_cluster_follows_what_comes_next(
    planes: Planes, tmp_path: Path
) -> None:
    """A watch from what the API server has yet to reach would stay open, and say nothing of it."""
    (plane,) = planes("restored", options=LEAN)
    engine.prepare(plane)
    web = Subject(plane=plane, namespace="default", name="web", strategy={"simple": {}})
    web.replicas = 0
    with Engine(plane, plane.folder):
        web.apply("app:v1")
        until(lambda: images(web) == {"app:v1"}, "v1 has a set", within=10)
        copy = backup.take(plane, tmp_path)
        backup.count_on(plane)
        web.apply("app:v2")
        until(lambda: "app:v2" in images(web), "v2 has a set", within=10)
        backup.restore(plane, copy)
        assert images(web) == {"app:v1"}
        web.apply("app:v3")
        until(lambda: "app:v3" in images(web), "v3 has a set", within=20)
