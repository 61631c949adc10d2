"""How an engine is put together, and how long it may take to end; that it does so is shown by
`e2e/test_engine_life`."""

from dataclasses import replace
from pathlib import Path

import pytest

from fleet.api import names
from fleet.clusters import lease
from fleet.clusters.client import open_session
from fleet.clusters.config import ClientConfig
from fleet.errors import Deposed
from fleet.settings import Connection, EngineSettings
from fleet.telemetry import server
from fleet.telemetry.metrics import EngineMetrics
from fleet.telemetry.server import Health
from fleet.wiring import engine

KUBELET_SECONDS = 10.0
CHOSEN = EngineSettings(
    identity="engine-0",
    connection=Connection(kubeconfig=Path("nowhere")),
    leader_election=True,
    prometheus="http://metrics:9090",
    occurrences=None,
)


def test_everything_that_is_waited_for_at_the_end_fits_into_ten_seconds() -> None:
    """After the reconciles comes the Lease, then what was asked of the process itself."""
    waits = (engine.FINISH_SECONDS, lease.RELEASE, server.CLOSE_SECONDS)
    assert sum(waits) <= KUBELET_SECONDS - 1
    assert engine.FLUSH_SECONDS + lease.RELEASE < engine.FINISH_SECONDS, "a flush is not cut short"


async def test_the_parts_are_told_what_the_settings_say() -> None:
    """Who does not lead yet writes nothing; who names no Prometheus gets that of the engine."""
    async with open_session() as session:
        config = ClientConfig(server="http://127.0.0.1:9")
        made = engine.compose(CHOSEN, config, session, Health(), EngineMetrics())
        with pytest.raises(Deposed):
            await made.kube.delete(names.REPLICASETS, "web", "shop")
        assert made.reconciler.default_prometheus == "http://metrics:9090"
        await made.close()


@pytest.mark.parametrize("url", ["", "http://sink:8080/"], ids=["without a sink", "with one"])
async def test_events_for_nobody_are_not_sent_in_silence(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    chosen = replace(CHOSEN, cdevents=True, cdevents_sink=url)
    async with open_session() as session:
        config = ClientConfig(server="http://127.0.0.1:9")
        made = engine.compose(chosen, config, session, Health(), EngineMetrics())
        await made.close()
    assert ("KULTA_CDEVENTS_SINK_URL is not set" in caplog.text) is (not url)
