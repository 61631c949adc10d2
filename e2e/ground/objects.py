"""Creates what manifests describe by plain requests, for preparations.

kubectl would first read the server's whole schema, which costs the API server a second of work
after each new definition. Called by `ControlPlane.apply`, which leaves to kubectl what this cannot
do, so its words and its way of changing objects are the same.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

Manifest = Mapping[str, Any]
Call = Callable[[str, str, object], tuple[int, Any]]
"""`ControlPlane.call`: method, path and body to status code and answer."""
APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def read(*sources: str | Path | Manifest) -> Iterator[Manifest]:
    """The objects of files, folders, YAML texts and objects, in that order."""
    for source in sources:
        if isinstance(source, Path):
            files = sorted(source.glob("*.yaml")) if source.is_dir() else [source]
            yield from read(*(file.read_text() for file in files))
        elif isinstance(source, str):
            yield from (one for one in yaml.safe_load_all(source) if one)
        else:
            yield source


def create(call: Call, manifests: Iterable[Manifest]) -> Iterator[Manifest]:
    """Create each; those that the server did not take are returned: it has them, or refuses."""
    known: dict[tuple[str, str], tuple[str, bool]] = {}
    for manifest in manifests:
        version = manifest["apiVersion"]
        if not any(asked == version for asked, _ in known):
            known |= _kinds(call, version)
        plural, is_namespaced = known.get((version, manifest["kind"]), ("", False))
        namespace = manifest["metadata"].get("namespace", "default")
        where = f"namespaces/{namespace}/{plural}" if is_namespaced else plural
        path = f"{_root(version)}/{where}?fieldValidation=Strict"
        if not plural or call("POST", path, _noted(manifest))[0] != 201:
            yield manifest


def _kinds(call: Call, version: str) -> dict[tuple[str, str], tuple[str, bool]]:
    """Kind → plural and whether it is namespaced, of one group and version."""
    code, found = call("GET", _root(version), None)
    return {
        (version, item["kind"]): (item["name"], item["namespaced"])
        for item in (found["resources"] if code == 200 else ())
        if "/" not in item["name"]
    }


def _root(version: str) -> str:
    return f"/apis/{version}" if "/" in version else f"/api/{version}"


def _noted(manifest: Manifest) -> Manifest:
    """With what `kubectl apply` notes of itself, to know later which fields were taken out."""
    metadata = manifest["metadata"]
    notes = metadata.get("annotations") or {}
    note = json.dumps({**manifest, "metadata": {**metadata, "annotations": notes}})
    return {**manifest, "metadata": {**metadata, "annotations": {**notes, APPLIED: note}}}
