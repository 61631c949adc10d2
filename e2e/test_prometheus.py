"""The documented relabelling, verbatim, in a real Prometheus: which pods, port, path and labels."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.ground.prometheus import RELABEL, Prometheus
from e2e.ground.waiting import until

POD = "__meta_kubernetes_pod"


class Page(BaseHTTPRequestHandler):
    """A pod's metrics: one series that names the path it was asked for."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(f'pages_total{{path="{self.path}"}} 3\n'.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent."""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory, port: int) -> Iterator[Prometheus]:
    with Prometheus(tmp_path_factory.mktemp("prometheus")) as started:
        pods = [
            pod(port, "two-ports", declared="127.0.0.1:9"),
            pod(port, "two-ports", declared="127.0.0.1:10"),
            pod(port, "no-port", declared="127.0.0.1"),
            pod(port, "own-path", **{f"{POD}_annotation_prometheus_io_path": "/own"}),
            pod(port, "unasked", **{f"{POD}_annotation_prometheus_io_scrape": ""}),
        ]
        fresh = started.targets / "pods.new"
        fresh.write_text(json.dumps(pods))
        fresh.rename(started.targets / "pods.json")
        until(lambda: len(started.query("pages_total")) >= 3, "all are scraped", within=15)
        yield started


def pod(port: int, rollout: str, declared: str = "127.0.0.1:1", **more: str) -> dict[str, Any]:
    labels = {
        "__meta_kubernetes_namespace": "shop",
        f"{POD}_label_rollouts_kulta_io_rollout": rollout,
        f"{POD}_label_rollouts_kulta_io_hash": "6f9c2d",
        f"{POD}_annotation_prometheus_io_scrape": "true",
        f"{POD}_annotation_prometheus_io_port": str(port),
    }
    return {"targets": [declared], "labels": labels | more}


@pytest.mark.parametrize(
    ("rollout", "paths"),
    [
        pytest.param("two-ports", ["/metrics"], id="one target for a pod with two ports"),
        pytest.param("no-port", ["/metrics"], id="a pod that declares no port"),
        pytest.param("own-path", ["/own"], id="a path of its own"),
        pytest.param("unasked", [], id="a pod that did not ask is left alone"),
    ],
)
def test_pods_are_scraped_as_they_ask(
    prometheus: Prometheus, rollout: str, paths: list[str]
) -> None:
    found = prometheus.query(f'pages_total{{rollout="{rollout}"}}')
    assert [series["metric"]["path"] for series in found] == paths


def test_series_say_which_revision_they_belong_to(prometheus: Prometheus, port: int) -> None:
    (series,) = prometheus.query('pages_total{rollout="no-port"}')
    assert series["metric"] == {
        "__name__": "pages_total",
        "instance": f"127.0.0.1:{port}",
        "job": "pods",
        "namespace": "shop",
        "path": "/metrics",
        "revision": "6f9c2d",
        "rollout": "no-port",
    }


def test_prometheus_runs_with_the_documented_text(prometheus: Prometheus) -> None:
    config = yaml.safe_load((prometheus.folder / "prometheus.yaml").read_text())
    (job,) = config["scrape_configs"]
    assert job["relabel_configs"] == yaml.safe_load(RELABEL.read_text())["relabel_configs"]


def test_a_wrong_text_is_told_with_the_reason(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("relabel_configs: [{action: dance}]\n")
    with pytest.raises(RuntimeError, match="dance"):
        Prometheus(tmp_path / "p", relabel=wrong).start()
