"""A real Prometheus that scrapes pods as the README documents it.

Pods are discovered by files, which the local node writes with the labels that Kubernetes discovery
would give; `relabel` is the documented text, verbatim, so what users copy is what is tested.

    with Prometheus(folder, relabel=Path("examples/prometheus-relabel.yaml")) as prometheus:
        node_writes_into(prometheus.targets)
        prometheus.query('up{rollout="checkout"}')
"""

import asyncio
import json
import textwrap
import urllib.parse
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from e2e.ground import binaries, ports, processes
from e2e.ground.processes import Process
from e2e.ground.waiting import until

RELABEL = Path(__file__).parents[2] / "examples" / "prometheus-relabel.yaml"
ATTEMPTS = 3
START_LIMIT = 30.0
CONFIG = """\
global:
  scrape_interval: {interval}
  scrape_timeout: {interval}
scrape_configs:
- job_name: pods
  file_sd_configs:
  - files: ["{targets}/*.json"]
    refresh_interval: 1s
"""


class Prometheus:
    """One Prometheus in `folder`; a context manager in both colours, or `start` and `stop`."""

    def __init__(self, folder: Path, *, relabel: Path = RELABEL, interval: str = "1s") -> None:
        """`interval` is a Prometheus duration, e.g. `1s`; `relabel` starts `relabel_configs:`."""
        self.folder = folder
        self.targets = folder / "targets"
        """Who discovers pods writes `*.json` here (file_sd), by renaming."""
        self.url = ""
        self._process: Process | None = None
        self.targets.mkdir(parents=True, exist_ok=True)
        job = textwrap.indent(relabel.read_text(), "  ")
        text = CONFIG.format(interval=interval, targets=self.targets) + job
        (folder / "prometheus.yaml").write_text(text)

    def start(self) -> Self:
        """Start and wait until it is ready to answer; RuntimeError with the end of its log."""
        for _ in range(ATTEMPTS):
            (port,) = ports.free(1)
            self.url = f"http://127.0.0.1:{port}"
            self._process = process = self._run(port)
            try:
                until(self._is_ready, "Prometheus is ready", within=START_LIMIT)
            except BaseException:
                self.stop()
                raise
            if process.alive:
                return self
            self.stop()
            if "address already in use" not in process.tail():
                break
        raise RuntimeError(f"Prometheus ended with {process.code}:\n{process.tail()}")

    def stop(self) -> None:
        """End it; the data stays in the folder."""
        if self._process is not None:
            self._process.stop()
            self._process = None

    def query(self, text: str) -> list[dict[str, Any]]:
        """The result of an instant query: samples with `metric` and `value`."""
        parameters = urllib.parse.urlencode({"query": text})
        with urllib.request.urlopen(f"{self.url}/api/v1/query?{parameters}", timeout=10) as answer:
            result: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        return result

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.start)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self.stop)

    def _run(self, port: int) -> Process:
        argv = [
            str(binaries.find("prometheus")),
            f"--config.file={self.folder / 'prometheus.yaml'}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            # New pods would wait 5 s for their first scrape otherwise.
            "--scrape.discovery-reload-interval=200ms",
            "--log.level=warn",
        ]
        return processes.start("prometheus", argv, log=self.folder / "prometheus.log")

    def _is_ready(self) -> bool:
        """Ready, or ended: both end the waiting."""
        if self._process is None or not self._process.alive:
            return True
        with urllib.request.urlopen(f"{self.url}/-/ready", timeout=2) as answer:
            ready: bool = answer.status == 200
        return ready
