"""Tells Prometheus about running pods by file, with the labels that its Kubernetes discovery gives.

The node calls `Targets.update` at each change; the file follows a moment later, written beside and
renamed. One target per declared container port, as `role: pod` has it; addresses are where the
processes listen.
"""

import asyncio
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from e2e.ground import files

DEBOUNCE = 0.1
"""Seconds in which changes are gathered."""

META = "__meta_kubernetes_"


def sanitise(name: str) -> str:
    """A label name as Prometheus writes it: everything but letters, digits and `_` becomes `_`."""
    return re.sub(r"[^a-zA-Z0-9_]", "_", name)


def targets(pod: Mapping[str, Any], status: Mapping[str, Any], address: str) -> list[Any]:
    """The file_sd entries of a pod that runs with `status` and listens on `address`."""
    common = _labels(pod, status)
    entries = []
    for container in pod["spec"]["containers"]:
        base = common | {
            f"{META}pod_container_name": container["name"],
            f"{META}pod_container_image": container["image"],
            f"{META}pod_container_init": "false",
        }
        for port in container.get("ports") or ():
            labels = base | {
                f"{META}pod_container_port_name": port.get("name", ""),
                f"{META}pod_container_port_number": str(port["containerPort"]),
                f"{META}pod_container_port_protocol": port.get("protocol", "TCP"),
            }
            entries.append({"targets": [f"{address}:{port['containerPort']}"], "labels": labels})
        if not container.get("ports"):
            entries.append({"targets": [address], "labels": base})
    return entries


def _labels(pod: Mapping[str, Any], status: Mapping[str, Any]) -> dict[str, str]:
    metadata = pod["metadata"]
    ready = {c["type"]: c["status"] for c in status["conditions"]}.get("Ready", "False")
    labels = {
        f"{META}namespace": metadata["namespace"],
        f"{META}pod_name": metadata["name"],
        f"{META}pod_uid": metadata["uid"],
        f"{META}pod_ip": status["podIP"],
        f"{META}pod_host_ip": status["hostIP"],
        f"{META}pod_node_name": pod["spec"]["nodeName"],
        f"{META}pod_phase": status["phase"],
        f"{META}pod_ready": ready.lower(),
    }
    for kind in ("label", "annotation"):
        for name, value in (metadata.get(f"{kind}s") or {}).items():
            labels[f"{META}pod_{kind}_{sanitise(name)}"] = value
            labels[f"{META}pod_{kind}present_{sanitise(name)}"] = "true"
    for owner in metadata.get("ownerReferences") or ():
        if owner.get("controller"):
            labels[f"{META}pod_controller_kind"] = owner["kind"]
            labels[f"{META}pod_controller_name"] = owner["name"]
    return labels


class Targets:
    """The file of one node. `update` is cheap; `run` writes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries: dict[str, list[Any]] = {}
        self._changed = asyncio.Event()
        files.replace(path, "[]\n")

    def update(self, uid: str, entries: list[Any]) -> None:
        """What the file shall say about one pod; nothing = the pod leaves it."""
        if self._entries.get(uid, []) != entries:
            self._entries[uid] = entries
            self._changed.set()

    async def run(self) -> None:
        """Write whenever something has changed, for ever."""
        while True:
            await self._changed.wait()
            await asyncio.sleep(DEBOUNCE)
            self._changed.clear()
            rows = [row for uid in sorted(self._entries) for row in self._entries[uid]]
            files.replace(self._path, json.dumps(rows, indent=1, sort_keys=True) + "\n")
