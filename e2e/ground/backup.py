"""A backup of what a control plane stores, and the plane restored from it: it has forgotten since.

    copy = backup.take(plane, folder)
    backup.count_on(plane)
    backup.restore(plane, copy)

As when an administrator restores etcd: versions count from lower again, and whoever has seen later
ones has to notice. The API server answers nobody meanwhile.
"""

import shutil
from pathlib import Path

from e2e.ground.controlplane import ControlPlane
from e2e.ground.waiting import until

STORE, SERVER = "etcd", "kube-apiserver"
LATER = 100
"""Versions: more than an API server and a test use up until whoever watched has asked again."""


def take(plane: ControlPlane, folder: Path) -> Path:
    """Copy the store into `folder`; where it is then."""
    plane.kill(STORE)
    copy = Path(shutil.copytree(plane.folder / STORE, folder / plane.name))
    plane.restart(STORE)
    return copy


def count_on(plane: ControlPlane) -> None:
    """Write so often that the plane is far beyond its backup."""
    path = "/api/v1/namespaces/default/configmaps"
    body = {"metadata": {"name": "count"}}
    until(lambda: plane.call("POST", path, body)[0] in (201, 409), "it stores again", within=10)
    for number in range(LATER):
        code, answer = plane.call("PATCH", f"{path}/count", {"data": {"number": str(number)}})
        assert code == 200, answer


def restore(plane: ControlPlane, copy: Path) -> None:
    """Put the copy in the place of the store, and wait until the plane answers."""
    plane.kill(SERVER)
    plane.kill(STORE)
    shutil.rmtree(plane.folder / STORE)
    shutil.copytree(copy, plane.folder / STORE)
    plane._run(STORE)
    plane.restart(SERVER)
