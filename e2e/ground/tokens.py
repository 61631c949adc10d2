"""The ServiceAccount volume of a pod: token, CA and namespace as files, the token kept fresh.

`pods` writes it before the containers start and lets `renew` run beside them. The folder is bound
into each container, so a renamed file is seen there at once.
"""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from e2e.ground import files, kubelet
from e2e.ground.environment import field
from e2e.ground.probes import Unsupported
from fleet import errors
from fleet.clusters.client import Client

ROOT_CA = "kube-root-ca.crt"
RETRY = 10.0
RENEW_AT = 0.8
"""The share of its life after which a token is replaced."""


class TokenVolume:
    """The projected volume that the ServiceAccount admission plug-in adds to a pod."""

    def __init__(
        self, client: Client, pod: Mapping[str, Any], volume: Mapping[str, Any], folder: Path
    ) -> None:
        self.folder = folder
        self._client = client
        self._pod = pod
        self._sources = volume["projected"]["sources"]

    async def write(self) -> float:
        """Write all files; seconds after which they want to be written again."""
        self.folder.mkdir(parents=True, exist_ok=True)
        due = float("inf")
        for source in self._sources:
            if "serviceAccountToken" in source:
                due = min(due, await self._token(source["serviceAccountToken"]))
            elif "downwardAPI" in source:
                for item in source["downwardAPI"]["items"]:
                    text = field(item["fieldRef"]["fieldPath"], self._pod, "")
                    files.replace(self.folder / item["path"], text)
            elif source.get("configMap", {}).get("name") == ROOT_CA:
                files.replace(self.folder / "ca.crt", self._client.config.ca or "")
            else:
                raise Unsupported(f"the local node cannot project {', '.join(source)}")
        return due

    async def renew(self, due: float) -> None:
        """Write again whenever it is time, for ever."""
        while True:
            await asyncio.sleep(min(due, 86_400))
            try:
                due = await self.write()
            except errors.FleetError:
                # the pod's own requests show it when this does not heal before the old one ends
                due = RETRY

    async def _token(self, source: Mapping[str, Any]) -> float:
        seconds = source.get("expirationSeconds", 3600)
        text, expiry = await kubelet.token(self._client, self._pod, source.get("audience"), seconds)
        files.replace(self.folder / source["path"], text)
        return (expiry - datetime.now(UTC)).total_seconds() * RENEW_AT
