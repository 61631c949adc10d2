"""What a run says while nothing starts: why, in which words, until when, and what would end it.

Gates before and after waves are in `test_waits`.
"""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from fleet.api import FleetRollout
from fleet.api.fleetrollout import RunPhase, WaveStatus
from fleet.api.names import ClusterName
from fleet.hub.core.observed import Member, RunObserved
from fleet.hub.core.run import plan
from tests.conftest import NOON
from tests.hub import gen
from tests.hub.scene import BAD, DONE, MINUTE, THREE, WIDE, begun, observed

ONE, TWO = gen.wave("all", "a"), gen.wave("all", "a", "b")
MANY = gen.wave("all", "a", "b", "c", "d", "e", max_concurrency=4)
SOAK = gen.wave("first", "a", soak_seconds=600)
SOAKING = WaveStatus(name="first", phase="Soaking", started_at=NOON, soaking_since=NOON)
JUDGED = [gen.item(name, BAD, reason="AnalysisFailed", message=f"rate of {name}") for name in "abc"]
LATE = [gen.item(name, BAD, reason="Timeout") for name in "ab"]
STEPS = [gen.item("a", engine={"step": "2/4"}), gen.item("b", engine={"step": "preview"})]
FIRST = gen.item("a", DONE, since=NOON - MINUTE / 2)
WEIGHED = gen.item("a", DONE, engine={"replicas": 1})
BLOCK = {"unavailable": "Block", "unavailable_timeout_seconds": 3_600}
BACK = {"undo": {"fleet": True, "message": "asked for"}}
WAYS_OUT = "the request resume, retry, rollback or abort"
NETWORK = "many members went silent at once: the hub suspects its own network and waits"
TRUST = "members that answer again, or ten minutes in which most of the others do"


def unheard(message: str) -> RunObserved:
    """The hub does not know since when `a` is away."""
    here = observed("a", "b")
    lost = Member(cluster=gen.cluster("a"), message=message)
    return replace(here, members={**here.members, ClusterName("a"): lost})


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("run", "world", "reason", "message", "until", "unblock"),
    [
        pytest.param(
            gen.run(THREE), observed("a", isolated=True), "HubIsolated", NETWORK, None, TRUST,
            id="the hub suspects itself",
        ),
        pytest.param(
            gen.run(THREE), observed("a", preceding=("checkout-0", "checkout-x")), "GivingWay",
            "waiting for checkout-0, checkout-x to give way", None, "the end of the older run",
            id="older runs are on their way",
        ),
        pytest.param(
            begun(gen.run(THREE, number=2), undo_to="checkout-1"), observed("a", newest=2),
            "GivingWay", "gives way: checkout-1 is delivered again", None,
            "the run that delivers it; the Application says what hinders that",
            id="a former run is delivered again",
        ),
        pytest.param(
            begun(gen.run(THREE), paused=True), observed("a", paused=True), "Paused",
            "paused by request: write the request resume", None, "the request resume",
            id="a person has paused it",
        ),
        pytest.param(
            begun(gen.run(THREE)), observed("a", paused=True), "Paused",
            "paused by deliveryPolicy.paused", None, "deliveryPolicy.paused: false",
            id="its policy pauses it",
        ),
        pytest.param(
            begun(gen.run(THREE), halted_at=NOON, phase=RunPhase.HALTED),
            observed("a", items=[gen.item("a", DONE)]), "Halted",
            "halted; what failed has recovered: request resume, retry, rollback or abort", None,
            WAYS_OUT, id="what halted it has recovered",
        ),
        pytest.param(
            begun(gen.run(WIDE)), observed("a", items=JUDGED[:1]), "AnalysisFailed",
            "halted: a failed its analysis: rate of a", None, WAYS_OUT,
            id="an analysis has failed",
        ),
        pytest.param(
            begun(gen.run(WIDE)), observed("a", "b", "c", items=JUDGED), "AnalysisFailed",
            "halted: a failed its analysis: rate of a (and 2 more)", None, WAYS_OUT,
            id="three have failed theirs",
        ),
        pytest.param(
            begun(gen.run(WIDE)), observed("a", "b", items=LATE), "BudgetExceeded",
            "halted: 2 failed in wave all, its budget is 1: a: Timeout", None, WAYS_OUT,
            id="a budget is overspent",
        ),
        pytest.param(
            gen.run(SOAK, gen.wave("second", "b")),
            observed("a", "b", items=[gen.item("a", DONE)]), "Soaking",
            "soaking until 12:11:00Z", at(11), "the end of the soak",
            id="a wave soaks",
        ),
        pytest.param(
            begun(gen.run(SOAK), SOAKING),
            observed("a", items=[gen.item("a", DONE)], lost=["a"]), "Soaking",
            "soak stands still: a: connection refused", None,
            "fresh reports of a that it runs well", id="a soak waits for news",
        ),
        pytest.param(
            gen.run(MANY), observed("a", "b", "c", "d", "e", items=STEPS), "WaitingForClusters",
            "waiting for a (step 2/4), b (preview), c and 1 more", None,
            "the end of one of them, or its deadline", id="all slots are taken",
        ),
        pytest.param(
            begun(gen.run(TWO, min_interval_seconds=120)), observed("a", "b", items=[FIRST]),
            "MinInterval", "the next cluster may start at 12:01:30Z", at(1.5),
            "the end of limits.minInterval", id="the last start was a moment ago",
        ),
        pytest.param(
            begun(gen.run(TWO, gen.wave("rest", "c"), traffic_percent=30, traffic_wave="rest")),
            observed("a", "b", "c", items=[WEIGHED]), "TrafficShare",
            "with b 55% of the fleet would run the revision, and before wave rest at most 30% may",
            None, "the request skip/<id>/b", id="too much of the fleet would run it",
        ),
        pytest.param(
            begun(gen.run(TWO, **BLOCK)), observed("a", "b", lost=["a"]), "Blocked",
            "a cannot be reached and blocks: connection refused; counts as failed at 13:00:00Z",
            at(60), "the return of its member, or the request skip/<id>/a",
            id="one that is away blocks",
        ),
        pytest.param(
            begun(gen.run(TWO, **BLOCK)), unheard("never heard of"), "Blocked",
            "a cannot be reached and blocks: never heard of; counts as failed at 13:01:00Z",
            at(61), "the return of its member, or the request skip/<id>/a",
            id="one that was never heard of blocks as long",
        ),
        pytest.param(
            begun(gen.run(ONE)), observed("a", lost=["a"]), "Deferred",
            "waiting for a: connection refused; counts as failed at 14:00:00Z", at(120),
            "the return of its member", id="one that is away is put off",
        ),
        pytest.param(
            begun(gen.run(ONE)), unheard(""), "Deferred", "waiting for a", None,
            "the return of its member", id="one that was never heard of is put off",
        ),
        pytest.param(
            begun(gen.run(THREE), **BACK), observed("a", items=[gen.item("a", good=7)]),
            "RollingBack", "rolling back (asked for): waiting for a", None,
            "the end of one of them, or its deadline", id="it goes back",
        ),
        pytest.param(
            begun(gen.run(THREE), **BACK),
            observed("a", items=[gen.item("a", good=7)], isolated=True), "HubIsolated", NETWORK,
            None, TRUST, id="it goes back when the hub trusts itself again",
        ),
    ],
)  # fmt: skip
def test_what_a_run_waits_for(
    run: FleetRollout,
    world: RunObserved,
    reason: str,
    message: str,
    until: datetime | None,
    unblock: str,
) -> None:
    status = plan.next(run, world, NOON + MINUTE).status
    assert (status.reason, status.message, status.until) == (reason, message, until)
    assert status.unblock == unblock
    if until is not None:
        assert status.next_check == until
