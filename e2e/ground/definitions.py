"""Installs custom resource definitions in a second, where kubectl would first read schemas.

Used by the ground's preparations. That `kubectl apply -f crds/` works is what `test_crds` shows.
"""

import functools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from e2e.ground.controlplane import ControlPlane

COLLECTION = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
LIMIT = 60.0


def install(plane: ControlPlane, *places: Path) -> None:
    """Create what these files and folders define, one definition a file, and wait until all are
    served; what is there already is changed by kubectl."""
    files = [file for place in places for file in _files(place)]
    with ThreadPoolExecutor(len(files)) as pool:
        made = list(pool.map(functools.partial(_create, plane), files))
    for file, is_made in zip(files, made, strict=True):
        if not is_made:
            plane.apply(file)
    plane.await_crds()


def _files(place: Path) -> list[Path]:
    return sorted(place.glob("*.yaml")) if place.is_dir() else [place]


def _create(plane: ControlPlane, file: Path) -> bool:
    """Whether it was made; False where it exists. RuntimeError for any other answer."""
    headers = {
        "Authorization": f"Bearer {plane.admin_token}",
        "Content-Type": "application/yaml",
    }
    with plane.connections.one(plane.port, timeout=LIMIT) as connection:
        connection.request("POST", COLLECTION, file.read_bytes(), headers)
        answer = connection.getresponse()
        text = answer.read().decode()
    if answer.status not in (201, 409):
        raise RuntimeError(f"{plane.name}: {file.name}: {answer.status} {text}")
    return answer.status == 201
