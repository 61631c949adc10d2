"""The way back: what begins it forgets of the way there, and who is sent home when a run gives way.

Whole ways back are in `tests/stories/test_hub_rollback`, requests for them in `test_requests`.
"""

from fleet.api.clusterrollout import LastGood
from fleet.api.fleetrollout import FleetRolloutStatus
from fleet.api.names import ClusterName
from fleet.hub.core.actions import StartCluster
from fleet.hub.core.run import plan, rollback
from fleet.hub.core.run.row import Row
from fleet.hub.core.run.stops import Stop
from tests.conftest import NOON
from tests.hub import gen
from tests.hub.scene import MINUTE, THREE, begun, observed


def test_a_way_back_is_no_halt_any_more_and_tries_nobody_again() -> None:
    stood = FleetRolloutStatus(halted_at=NOON, retrying=("a",))
    why = Stop(reason="BudgetExceeded", message=f"halted: {'x' * 600}", unblock="a person")
    status = rollback.begin(stood, why)
    assert (status.halted_at, status.retrying) == (None, ())
    assert status.undo is not None
    assert status.undo.fleet
    assert status.undo.message.startswith("xxx")
    assert len(status.undo.message) == 512


def test_who_is_sent_home_by_a_run_that_gives_way_has_its_time_from_now() -> None:
    """The deadline of the way home does not count from when it went the other way."""
    run = begun(gen.run(THREE, number=2))
    world = observed("a", "b", "c", items=[gen.item("a", number=2, good=1)], newest=3)
    decided = plan.next(run, world, NOON + MINUTE)
    (action,) = decided.actions
    assert isinstance(action, StartCluster)
    assert (action.want.run, action.want.since) == ("checkout-1", NOON + MINUTE)


def test_nobody_who_was_just_sent_home_is_waited_for() -> None:
    row = Row(name=ClusterName("a"), wave="all", held="halted", awaits="promote", mine=True)
    gone = rollback.sent(row, LastGood(run="checkout-1", revision="rev1"), answers=True)
    assert (gone.awaits, gone.held, gone.is_going_back) == ("", "", True)
