"""The words and variables of a container's process, as its spec and its image say.

Used by `pods` at each start. `status.podIP` is where the process may listen (127.244.a.b),
everything else is what the API shows.
"""

import base64
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from e2e.ground.containers import Command, NotStartable
from e2e.ground.images import Image
from e2e.ground.probes import Unsupported
from fleet import errors
from fleet.api import names
from fleet.ports import Kube

CONFIGMAPS = names.Resource(group="", version="v1", plural="configmaps", kind="ConfigMap")
REFERENCE = re.compile(r"\$(?:\$|\((?P<name>[^)]+)\))")


def command(container: Mapping[str, Any], image: Image, variables: Mapping[str, str]) -> Command:
    """The image's program with the container's `command` and `args`.

    `args` are appended to the image's words. `command` replaces them; its program is looked for
    beside the image's first (so `fleet` is found next to that `python`).
    """
    own = [expand(word, variables) for word in container.get("command") or ()]
    folder = Path(image.argv[0]).parent
    if own and not Path(own[0]).is_absolute():
        own[0] = str(folder / own[0])
    if own and not Path(own[0]).is_file():
        message = f"exec {own[0]}: no such program beside the image's {image.argv[0]}"
        raise NotStartable("RunContainerError", message)
    arguments = [expand(word, variables) for word in container.get("args") or ()]
    path = f"{folder}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    where = container.get("workingDir")
    return Command(
        argv=(*(own or image.argv), *arguments),
        environment={"PATH": path, **image.environment, **variables},
        cwd=Path(where) if where else image.cwd,
    )


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Kubernetes' `$(NAME)`; unknown names stay as they are, `$$` is a dollar sign."""

    def replacement(match: re.Match[str]) -> str:
        if match["name"] is None:
            return "$"
        return variables.get(match["name"], match[0])

    return REFERENCE.sub(replacement, text)


async def variables(
    container: Mapping[str, Any], pod: Mapping[str, Any], address: str, kube: Kube
) -> dict[str, str]:
    """`env` and `envFrom`; NotStartable when a ConfigMap, a Secret or a key of it is missing."""
    sources = Sources(kube, pod["metadata"]["namespace"])
    found: dict[str, str] = {}
    for entry in container.get("envFrom") or ():
        data = await sources.bulk(entry)
        found |= {entry.get("prefix", "") + key: value for key, value in data.items()}
    for entry in container.get("env") or ():
        source = entry.get("valueFrom")
        if source is None:
            found[entry["name"]] = expand(entry.get("value", ""), found)
        elif "fieldRef" in source:
            found[entry["name"]] = field(source["fieldRef"]["fieldPath"], pod, address)
        elif (value := await sources.single(source)) is not None:
            found[entry["name"]] = value
    return found


def field(path: str, pod: Mapping[str, Any], address: str) -> str:
    """A downward-API field of the pod; Unsupported for one that this node does not know."""
    metadata, spec = pod["metadata"], pod["spec"]
    plain = {
        "metadata.name": metadata["name"],
        "metadata.namespace": metadata["namespace"],
        "metadata.uid": metadata["uid"],
        "spec.nodeName": spec["nodeName"],
        "spec.serviceAccountName": spec.get("serviceAccountName", "default"),
        "status.podIP": address,
        "status.podIPs": address,
        "status.hostIP": "127.0.0.1",
    }
    if path in plain:
        return str(plain[path])
    if match := re.fullmatch(r"metadata\.(labels|annotations)\['([^']+)'\]", path):
        return str((metadata.get(match[1]) or {}).get(match[2], ""))
    raise Unsupported(f"the local node does not know the field {path!r}")


class Sources:
    """Reads the ConfigMaps and Secrets that a container's variables name."""

    def __init__(self, kube: Kube, namespace: str) -> None:
        self._kube = kube
        self._namespace = namespace

    async def bulk(self, entry: Mapping[str, Any]) -> dict[str, str]:
        """All keys of an `envFrom` entry; nothing when it is optional and missing."""
        if "configMapRef" in entry:
            return await self._read(CONFIGMAPS, entry["configMapRef"]) or {}
        return await self._read(names.SECRETS, entry["secretRef"]) or {}

    async def single(self, source: Mapping[str, Any]) -> str | None:
        """The key of a `valueFrom`; None when it is optional and missing."""
        if "configMapKeyRef" in source:
            resource, reference = CONFIGMAPS, source["configMapKeyRef"]
        elif "secretKeyRef" in source:
            resource, reference = names.SECRETS, source["secretKeyRef"]
        else:
            raise Unsupported(f"the local node does not know the source {', '.join(source)}")
        data = await self._read(resource, reference)
        key = reference["key"]
        if data is None or (key not in data and reference.get("optional")):
            return None
        if key not in data:
            message = f"{resource.kind} {reference['name']} has no key {key!r}"
            raise NotStartable("CreateContainerConfigError", message)
        return data[key]

    async def _read(
        self, resource: names.Resource, reference: Mapping[str, Any]
    ) -> dict[str, str] | None:
        try:
            manifest = await self._kube.get(resource, reference["name"], self._namespace)
        except errors.NotFound:
            if reference.get("optional"):
                return None
            message = f"{resource.kind} {self._namespace}/{reference['name']} not found"
            raise NotStartable("CreateContainerConfigError", message) from None
        data: dict[str, str] = dict(manifest.get("data") or {})
        if resource is names.SECRETS:
            return {key: base64.b64decode(value).decode() for key, value in data.items()}
        return data
