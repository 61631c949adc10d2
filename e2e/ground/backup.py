"""A backup of what a control plane stores, and the plane restored from it: it has forgotten since.

    copy = backup.take(plane, folder)
    …
    backup.restore(plane, copy)

As when an administrator restores etcd: versions count from lower again, and whoever has seen later
ones has to notice. The API server answers nobody meanwhile.
"""

import shutil
from pathlib import Path

from e2e.ground.controlplane import ControlPlane

STORE, SERVER = "etcd", "kube-apiserver"


def take(plane: ControlPlane, folder: Path) -> Path:
    """Copy the store into `folder`; where it is then."""
    plane.kill(STORE)
    copy = Path(shutil.copytree(plane.folder / STORE, folder / plane.name))
    plane.restart(STORE)
    return copy


def restore(plane: ControlPlane, copy: Path) -> None:
    """Put the copy in the place of the store, and wait until the plane answers."""
    plane.kill(SERVER)
    plane.kill(STORE)
    shutil.rmtree(plane.folder / STORE)
    shutil.copytree(copy, plane.folder / STORE)
    plane._run(STORE)
    plane.restart(SERVER)
