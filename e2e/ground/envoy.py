"""One real Envoy, fed by files: it reads again what is renamed into its folder.

`gateway` offers resources, Envoy takes them. `offer` returns when Envoy's own statistics show that
it has taken them, clusters and endpoints before listeners and routes, so that no request meets a
route whose cluster is not there yet. Clusters stay until Envoy ends: their counters outlive routes.
"""

import asyncio
import json
import re
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from e2e.ground import binaries, files, processes, xds

PATIENCE = 60.0
"""Seconds for Envoy to take what it is offered; it needs a few milliseconds."""
POLL = 0.005
OPTIONS = ("--disable-hot-restart", "--concurrency", "1", "--log-level", "warn")
COUNTER = re.compile(r"cluster\.([^.]+)\.upstream_rq_(completed|[1-5]xx)")


class NotTaken(Exception):
    """Envoy refuses what it is offered, or does not answer; the message holds its words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """Resources by file: `endpoints` and `routes` by the name of their cluster and their port."""

    endpoints: Mapping[str, xds.Resource]
    clusters: Mapping[str, xds.Resource]
    routes: Mapping[str, xds.Resource]
    listeners: Mapping[str, xds.Resource]


@dataclass(slots=True)
class Counters:
    """What Envoy counted of one backend: requests completed, and by class of the answer (2 … 5)."""

    completed: int = 0
    classes: dict[int, int] = field(default_factory=dict)

    @property
    def errors(self) -> int:
        """Answers of class 5xx."""
        return self.classes.get(5, 0)


class Envoy:
    """The process, its files in `folder`, its admin interface."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._versions: dict[str, int] = {}
        self._written: dict[str, list[xds.Resource]] = {}
        self._clusters: dict[str, xds.Resource] = {}
        self._process: processes.Process | None = None
        self._session: aiohttp.ClientSession | None = None
        self._admin = ""

    async def start(self) -> None:
        """Returns when the admin interface answers; NotTaken with the log's end when it ended."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for kind in ("cds", "lds"):
            self._write(kind, [])
        bootstrap, report = self.folder / "bootstrap.json", self.folder / "admin.txt"
        bootstrap.write_text(json.dumps(self._bootstrap()))
        report.unlink(missing_ok=True)
        self._process = await asyncio.to_thread(
            processes.start,
            "envoy",
            [binaries.find("envoy"), *OPTIONS, "--admin-address-path", report, "-c", bootstrap],
            log=self.folder / "envoy.log",
        )
        async with asyncio.timeout(PATIENCE):
            # Envoy makes the file first and writes into it a moment later.
            while not (report.exists() and report.read_text().strip()):
                if not self._process.alive:
                    raise NotTaken(f"Envoy ended: {self._process.tail()}")
                await asyncio.sleep(0.02)
        self._admin = f"http://{report.read_text().strip()}"
        self._session = aiohttp.ClientSession()
        await self._await({"cluster_manager.cds": "cds", "listener_manager.lds": "lds"})

    async def stop(self) -> None:
        """End the process."""
        if self._session is not None:
            await self._session.close()
        if self._process is not None:
            await asyncio.to_thread(self._process.stop, 1.0)

    def source(self, kind: str, name: str = "") -> str:
        """The path of a resource's file."""
        return str(self.folder / f"{self._file(kind, name)}.json")

    async def offer(self, offer: Offer) -> bool:
        """Write what differs; returns when it is in use; False when nothing differed."""
        for name, resource in offer.endpoints.items():
            self._write(self._file("eds", name), [resource])
        self._clusters |= offer.clusters
        if fresh := self._write("cds", [self._clusters[name] for name in sorted(self._clusters)]):
            await self._await({"cluster_manager.cds": "cds"}, warm=True)
        taken = {}
        for name, resource in offer.routes.items():
            if self._write(self._file("rds", name), [resource]):
                taken[f"http.{name}.rds.{name}"] = self._file("rds", name)
        if self._write("lds", [offer.listeners[name] for name in sorted(offer.listeners)]):
            taken["listener_manager.lds"] = "lds"
        if taken:
            await self._await(taken)
        return bool(fresh or taken)

    def counters(self) -> dict[str, Counters]:
        """What each `<namespace>/<service>/<port>` has answered since Envoy's start. Blocking."""
        found: dict[str, Counters] = {}
        query = urllib.parse.urlencode({"format": "json", "filter": r"^cluster\..*upstream_rq_"})
        with urllib.request.urlopen(f"{self._admin}/stats?{query}", timeout=30) as answer:
            rows = json.load(answer)["stats"]
        for row in rows:
            if match := COUNTER.fullmatch(row.get("name", "")):
                counters = found.setdefault(match[1], Counters())
                if match[2] == "completed":
                    counters.completed = row["value"]
                else:
                    counters.classes[int(match[2][0])] = row["value"]
        return found

    async def statistics(self, pattern: str) -> dict[str, Any]:
        """Envoy's statistics whose names match."""
        if self._session is None:
            raise NotTaken("Envoy has not been started")
        parameters = {"format": "json", "filter": pattern}
        async with self._session.get(f"{self._admin}/stats", params=parameters) as answer:
            rows = (await answer.json())["stats"]
        return {row["name"]: row["value"] for row in rows if "name" in row}

    async def _await(self, wanted: Mapping[str, str], *, warm: bool = False) -> None:
        """Until the statistics under each prefix show the version of that file."""
        async with asyncio.timeout(PATIENCE):
            while True:
                shown = await self.statistics(r"(version_text|update_rejected|warming_clusters)$")
                if refused := [key for key in shown if key.endswith("rejected") and shown[key]]:
                    raise NotTaken(f"Envoy refuses {', '.join(refused)}: {self._tail()}")
                current = all(
                    shown.get(f"{prefix}.version_text") == str(self._versions[file])
                    for prefix, file in wanted.items()
                )
                if current and not (warm and shown.get("cluster_manager.warming_clusters")):
                    return
                await asyncio.sleep(POLL)

    def _tail(self) -> str:
        return self._process.tail() if self._process is not None else ""

    @staticmethod
    def _file(kind: str, name: str) -> str:
        return f"{kind}-{name.replace('/', '_')}" if name else kind

    def _write(self, file: str, resources: list[xds.Resource]) -> bool:
        if self._written.get(file) == resources:
            return False
        self._written[file] = resources
        self._versions[file] = self._versions.get(file, 0) + 1
        body = {"version_info": str(self._versions[file]), "resources": resources}
        return files.replace(self.folder / f"{file}.json", json.dumps(body))

    def _bootstrap(self) -> dict[str, Any]:
        return {
            "node": {"id": "local-gateway", "cluster": "local-gateway"},
            "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}}},
            "dynamic_resources": {
                "cds_config": xds.watched(self.source("cds")),
                "lds_config": xds.watched(self.source("lds")),
            },
        }
