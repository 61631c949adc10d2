"""The way back: what begins it forgets of the way there, and who is sent home when a run gives way.

Whole ways back are in `tests/stories/test_hub_rollback`, requests for them in `test_requests`.
"""

from typing import Any

import pytest

from fleet.api import ClusterRollout, FleetRollout
from fleet.api.clusterrollout import LastGood
from fleet.api.fleetrollout import FleetRolloutStatus
from fleet.api.names import ClusterName
from fleet.hub.core.actions import StartCluster
from fleet.hub.core.run import plan, rollback
from fleet.hub.core.run.row import Row
from fleet.hub.core.run.stops import Stop
from tests.conftest import NOON
from tests.hub import gen
from tests.hub.core.run.test_requests import waiting
from tests.hub.scene import FAILED, MINUTE, THREE, begun, did, observed


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


def returning(name: str, run: FleetRollout) -> ClusterRollout:
    """One that `run` has sent back, at a pause without an end on that way."""
    item = waiting(name, good=7)
    assert item.spec.want is not None
    want = item.spec.want.model_copy(update={"undoes": run.name, "run": "checkout-7"})
    return item.model_copy(update={"spec": item.spec.model_copy(update={"want": want})})


@pytest.mark.parametrize(
    ("status", "others"),
    [
        pytest.param({"halted_at": NOON}, [FAILED], id="one that is halted"),
        pytest.param({"paused": True}, [gen.item("a")], id="one that is paused"),
        pytest.param({"phase": "RolledBack", "finished_at": NOON}, [], id="one that has ended"),
    ],
)
def test_who_waits_on_the_way_back_is_let_go_by_any_run(
    status: dict[str, Any], others: list[ClusterRollout]
) -> None:
    """What stops a run holds nobody who goes back; who returns late goes back all the same."""
    undo = {"fleet": True} if not others else {"clusters": ("b",)}
    run = begun(gen.run(gen.wave("all", "a", "b")), undo=undo, **status)
    items = [*others, returning("b", run)]
    answer = plan.next(run, observed("a", "b", items=items, requests=("promote/7/b",)), NOON)
    assert "ask b 1/2" in did(answer)
