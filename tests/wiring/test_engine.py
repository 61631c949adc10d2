"""How long the engine may take to end; that it does so is shown by `e2e/test_engine_life`."""

from fleet.clusters import lease
from fleet.telemetry import server
from fleet.wiring import engine

KUBELET_SECONDS = 10.0


def test_everything_that_is_waited_for_at_the_end_fits_into_ten_seconds() -> None:
    """After the reconciles comes the Lease, then what was asked of the process itself."""
    waits = (engine.FINISH_SECONDS, lease.RELEASE, server.CLOSE_SECONDS)
    assert sum(waits) <= KUBELET_SECONDS - 1
    assert engine.FLUSH_SECONDS + lease.RELEASE < engine.FINISH_SECONDS, "a flush is not cut short"
