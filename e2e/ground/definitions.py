"""Installs custom resource definitions in a second, where kubectl would first read schemas.

Used by the ground's preparations. That `kubectl apply -f crds/` works is what `test_crds` shows.
"""

import functools
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from e2e.ground.controlplane import ControlPlane

COLLECTION = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
LIMIT = 60.0
MARK = re.compile(r"^---\s*$", re.MULTILINE)


def install(plane: ControlPlane, *places: Path) -> None:
    """Create what these files and folders define, and wait until all are served; what is there
    already is changed by kubectl."""
    texts = [text for place in places for file in _files(place) for text in _texts(file)]
    with ThreadPoolExecutor(len(texts)) as pool:
        made = list(pool.map(functools.partial(_create, plane), texts))
    for text, is_made in zip(texts, made, strict=True):
        if not is_made:
            plane.apply(text)
    plane.await_crds()


def _files(place: Path) -> list[Path]:
    return sorted(place.glob("*.yaml")) if place.is_dir() else [place]


def _texts(file: Path) -> list[str]:
    """Its documents; what stands before the first mark may be nothing but comments."""
    return [text for text in MARK.split(file.read_text()) if "CustomResourceDefinition" in text]


def _create(plane: ControlPlane, text: str) -> bool:
    """Whether it was made; False where it exists. RuntimeError for any other answer."""
    headers = {
        "Authorization": f"Bearer {plane.admin_token}",
        "Content-Type": "application/yaml",
    }
    with plane.connections.one(plane.port, timeout=LIMIT) as connection:
        connection.request("POST", COLLECTION, text.encode(), headers)
        answer = connection.getresponse()
        said = answer.read().decode()
    if answer.status not in (201, 409):
        raise RuntimeError(f"{plane.name}: a definition: {answer.status} {said}")
    return answer.status == 201
