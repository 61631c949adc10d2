"""What the metrics say of runs, from their statuses and decisions."""

from datetime import timedelta

from prometheus_client.parser import text_string_to_metric_families

from fleet.api import FleetRollout
from fleet.api.fleetrollout import Pass, RunPhase, WaveStatus
from fleet.clusters.store import Change
from fleet.hub.core.run import plan as plans
from fleet.hub.runtime import measures, triggers
from tests.conftest import NOON
from tests.hub import gen
from tests.hub.runtime.desk import Desk
from tests.hub.scene import FAILED, THREE, begun, observed

MINUTES_5 = timedelta(minutes=5)


def samples(desk: Desk, name: str) -> dict[tuple[str, ...], float]:
    """Values of that metric by their labels, without namespace and application."""
    families = text_string_to_metric_families(desk.hub.metrics.exposition().decode())
    return {
        tuple(
            value for key, value in sample.labels.items() if key in ("state", "phase", "action")
        ): (sample.value)
        for family in families
        for sample in family.samples
        if sample.name == name
    }


async def test_a_decision_is_counted_and_a_status_is_shown() -> None:
    desk, run = Desk(), begun(gen.run(THREE))
    plan = plans.next(run, observed("a", "b", "c"), NOON)
    measures.written(desk.hub, run, plan)
    after: FleetRollout = run.model_copy(update={"status": plan.status})
    measures.shown(desk.hub, after)
    assert samples(desk, "fleet_decisions_total") == {("start",): 1.0}
    assert samples(desk, "fleet_rollout_phase") == {("Progressing",): 1.0}
    states = samples(desk, "fleet_rollout_clusters")
    assert (states["in_flight",], states["pending",], sum(states.values())) == (1, 2, 3)
    assert samples(desk, "fleet_rollout_status_bytes_count") == {(): 1.0}


async def test_waves_and_the_wait_for_a_person_are_measured_once() -> None:
    desk = Desk()
    waiting = WaveStatus(name="all", total=1, started_at=NOON, waiting_since=NOON)
    run = begun(gen.run(THREE), waiting)
    passed = waiting.model_copy(
        update={
            "finished_at": NOON + MINUTES_5,
            "passes": (Pass(gate="after[0]", by="jane", time=NOON + MINUTES_5),),
        }
    )
    plan = plans.next(run, observed("a", "b", "c"), NOON)
    after = plan.status.model_copy(update={"waves": (passed,)})
    for before in (run, run.model_copy(update={"status": after})):
        measures.written(desk.hub, before, plans.RunPlan(status=after))
    for name in ("fleet_wave_seconds", "fleet_approval_wait_seconds"):
        assert samples(desk, f"{name}_count") == {(): 1.0}
        assert samples(desk, f"{name}_sum") == {(): 300.0}


async def test_the_time_to_halt_ends_when_the_halt_is_written() -> None:
    desk, run = Desk(), begun(gen.run(THREE))
    desk.hub.stores.items.see(
        {
            **FAILED.manifest(),
            "metadata": {**FAILED.metadata.manifest(), "uid": "u", "resourceVersion": "1"},
        }
    )
    desk.hub.timers.failed(("shop", FAILED.name))
    desk.clock.advance(0.3)
    plan = plans.next(run, observed("a", "b", "c", items=[FAILED]), NOON)
    assert plan.status.phase is RunPhase.HALTED
    measures.written(desk.hub, run, plan)
    (seconds,) = samples(desk, "fleet_time_to_halt_seconds_sum").values()
    assert round(seconds, 3) == 0.3


async def test_a_verdict_on_what_nobody_wished_begins_no_time_to_halt() -> None:
    """A hub that begins sees the members before it knows what they shall have."""
    desk = Desk()
    desk.register("a")
    labels = {
        "fleet.kulta.io/namespace": "shop",
        "fleet.kulta.io/cluster": "a",
        "fleet.kulta.io/application": "checkout",
    }
    failed = {"metadata": {"labels": labels}, "status": {"phase": "Failed"}}
    change = Change(type="ADDED", key=("checkout", "checkout"), old=None, new=failed)
    triggers.rollout_changed(desk.hub, desk.link("a"), change)
    desk.hub.timers.halted([("shop", "checkout.a")])
    assert samples(desk, "fleet_time_to_halt_seconds_count") == {(): 0.0}
