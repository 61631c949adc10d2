"""The planner, one look at a time: who starts, who is held, what the run says.

Aspects: order and slots, gates, failures and budgets, the end. Requests are in test_requests, lost
members in test_lost, the way of whole runs in tests/stories; here each row is one world and one
answer.
"""

from datetime import timedelta

import pytest

from fleet.api import FleetRollout
from fleet.api.fleetrollout import ClusterPhase, Entry, Pass, RunPhase, WaveStatus
from fleet.hub.core.actions import HoldCluster, ReleaseCluster
from fleet.hub.core.observed import RunObserved
from fleet.hub.core.run import plan
from tests.conftest import NOON
from tests.hub import gen
from tests.hub.scene import BAD, DONE, FAILED, MINUTE, THREE, WIDE, begun, did, observed


@pytest.mark.parametrize(
    ("run", "world", "actions", "phase", "message"),
    [
        pytest.param(
            gen.run(THREE),
            observed("a", "b", "c"),
            ["start a"],
            RunPhase.PROGRESSING,
            "waiting for a",
            id="one at a time unless the plan says otherwise",
        ),
        pytest.param(
            gen.run(gen.wave("all", "a", "b", "c", max_concurrency=2)),
            observed("a", "b", "c", items=[gen.item("a")]),
            ["start b"],
            RunPhase.PROGRESSING,
            "waiting for a, b",
            id="a free slot is used, in the order of the plan",
        ),
        pytest.param(
            gen.run(gen.wave("all", "a", "b", "c", max_concurrency=2)),
            observed("a", "b", "c", items=[gen.item("a", BAD, number=0)]),
            ["start a", "start b"],
            RunPhase.PROGRESSING,
            "waiting for a, b",
            id="[MT-12] a cluster that was broken before takes no slot and goes like the others",
        ),
        pytest.param(
            gen.run(gen.wave("first"), gen.wave("second", "a")),
            observed("a"),
            ["start a"],
            RunPhase.PROGRESSING,
            "waiting for a",
            id="[MT-22] an empty wave is passed at once",
        ),
        pytest.param(
            gen.run(gen.wave("first", soak_seconds=600), gen.wave("second", "a")),
            observed("a"),
            ["start a"],
            RunPhase.PROGRESSING,
            "waiting for a",
            id="[MT-22] an empty wave does not soak",
        ),
        pytest.param(
            gen.run(gen.wave("first", "a", soak_seconds=600), gen.wave("second", "b")),
            observed("a", "b", items=[gen.item("a", DONE)]),
            [],
            RunPhase.SOAKING,
            "soaking until 12:10:00Z",
            id="the next wave waits for the soak",
        ),
        pytest.param(
            gen.run(THREE),
            observed("a", "b", "c", isolated=True),
            [],
            RunPhase.PLANNED,
            "many members went silent at once: the hub suspects its own network and waits",
            id="nothing starts while the hub suspects itself",
        ),
        pytest.param(
            gen.run(THREE),
            observed("a", "b", "c", preceding=("checkout-0",)),
            [],
            RunPhase.PLANNED,
            "waiting for checkout-0 to give way",
            id="an older run gives way first",
        ),
        pytest.param(
            gen.run(THREE),
            observed("a", "b", "c", paused=True, items=[gen.item("a")]),
            ["hold a"],
            RunPhase.PAUSED,
            "paused by deliveryPolicy.paused",
            id="a pause holds what is in flight and starts nothing",
        ),
        pytest.param(
            gen.run(THREE),
            observed("a", "b", "c", items=[gen.item("a", hold="paused")]),
            ["release a"],
            RunPhase.PROGRESSING,
            "waiting for a",
            id="after the pause everything goes on",
        ),
        pytest.param(
            gen.run(gen.wave("all", "a", "b")),
            observed("a", "b", items=[gen.item("a", DONE, observed_generation=0, hold="x")]),
            ["start b", "release a"],
            RunPhase.PROGRESSING,
            "waiting for b",
            id="a hold that comes or goes takes no slot back",
        ),
        pytest.param(
            gen.run(THREE),
            observed("b", "c", items=[gen.item("a")]),
            ["start b"],
            RunPhase.PROGRESSING,
            "waiting for b",
            id="a member that is gone drops out and frees its slot",
        ),
        pytest.param(
            gen.run(THREE),
            observed("a", "b", "c", items=[gen.item(name, DONE) for name in "abc"]),
            [],
            RunPhase.SUCCEEDED,
            "3 of 3 clusters updated",
            id="all done is succeeded",
        ),
        pytest.param(
            gen.run(THREE),
            observed("a", items=[gen.item("a", DONE, number=0)]),
            ["start a"],
            RunPhase.PROGRESSING,
            "waiting for a",
            id="[MT-01] a healthy report of the former run does not count",
        ),
        pytest.param(
            gen.run(gen.wave("all", "a")),
            observed("a", items=[gen.item("a", DONE, observed_generation=0, taken=0)]),
            [],
            RunPhase.PROGRESSING,
            "waiting for a",
            id="[MT-01] a report from before the present wish does not count",
        ),
    ],
)
def test_who_goes(
    run: FleetRollout, world: RunObserved, actions: list[str], phase: RunPhase, message: str
) -> None:
    answer = plan.next(run, world, NOON)
    assert (did(answer), answer.status.phase, answer.status.message) == (actions, phase, message)


@pytest.mark.parametrize(
    ("run", "items", "actions", "phase", "reason"),
    [
        pytest.param(
            gen.run(WIDE),
            [FAILED, gen.item("b")],
            ["hold b"],
            RunPhase.HALTED,
            "AnalysisFailed",
            id="the first failed analysis halts, and holds what is in flight",
        ),
        pytest.param(
            gen.run(WIDE, halt_on_first_failed_analysis=False),
            [FAILED, gen.item("b")],
            ["start c"],
            RunPhase.PROGRESSING,
            "WaitingForClusters",
            id="[MT-13] a budget exactly met lets the run go on",
        ),
        pytest.param(
            gen.run(WIDE, halt_on_first_failed_analysis=False),
            [gen.item("a", BAD, reason="Timeout"), gen.item("b", BAD), gen.item("c")],
            ["hold c"],
            RunPhase.HALTED,
            "BudgetExceeded",
            id="[MT-14] a budget overspent starts nothing and holds those in flight",
        ),
        pytest.param(
            gen.run(WIDE, halt_on_first_failed_analysis=False, on_failure="Continue"),
            [gen.item("a", BAD), gen.item("b", BAD), gen.item("c", BAD)],
            ["start d"],
            RunPhase.PROGRESSING,
            "WaitingForClusters",
            id="onFailure Continue goes on",
        ),
        pytest.param(
            gen.run(WIDE, on_failure="Continue"),
            [FAILED],
            [],
            RunPhase.HALTED,
            "AnalysisFailed",
            id="onFailure Continue does not outvote the halt on a failed analysis",
        ),
        pytest.param(
            gen.run(WIDE),
            [gen.item("a", ClusterPhase.CONFLICT, reason="ForeignObject")],
            ["start b", "start c"],
            RunPhase.PROGRESSING,
            "WaitingForClusters",
            id="a conflict counts against the budget and frees its slot",
        ),
        pytest.param(
            gen.run(WIDE),
            [gen.item("a", since=NOON - 31 * MINUTE), gen.item("b", since=NOON - 31 * MINUTE)],
            ["hold a", "hold b"],
            RunPhase.HALTED,
            "BudgetExceeded",
            id="clusters over their deadline count, and are held with the rest",
        ),
        pytest.param(
            gen.run(WIDE),
            [gen.item("a", since=NOON - 31 * MINUTE, waited_seconds=120)],
            ["start b"],
            RunPhase.PROGRESSING,
            "WaitingForClusters",
            id="pauses are no part of the deadline",
        ),
        pytest.param(
            gen.run(WIDE),
            [gen.item("a", since=NOON - 31 * MINUTE, waiting_since=NOON - 20 * MINUTE)],
            ["start b"],
            RunPhase.PROGRESSING,
            "WaitingForClusters",
            id="the deadline's clock stands still in a pause",
        ),
        pytest.param(
            gen.run(gen.wave("all", "a", "b")),
            [
                gen.item(
                    "a",
                    ClusterPhase.PAUSED,
                    since=NOON - 90 * MINUTE,
                    waiting_since=NOON - 59 * MINUTE,
                    hold="halted: a",
                )
            ],
            [],
            RunPhase.HALTED,
            "BudgetExceeded",
            id="a hold that came after the deadline brings nobody back",
        ),
        pytest.param(
            gen.run(gen.wave("all", "a", "b")),
            [
                gen.item(
                    "a",
                    since=NOON - 31 * MINUTE,
                    taken=0,
                    observed_generation=0,
                    waiting_since=NOON - 31 * MINUTE,
                )
            ],
            ["hold a"],
            RunPhase.HALTED,
            "BudgetExceeded",
            id="waiting for the former wish is none for this one",
        ),
    ],
)
def test_failures(
    run: FleetRollout, items: list[object], actions: list[str], phase: RunPhase, reason: str
) -> None:
    answer = plan.next(begun(run), observed("a", "b", "c", "d", items=items), NOON)
    assert (did(answer), answer.status.phase, answer.status.reason) == (actions, phase, reason)


def test_a_halt_names_cluster_and_metric() -> None:
    answer = plan.next(begun(gen.run(WIDE)), observed("a", "b", items=[FAILED]), NOON)
    assert answer.status.message == "halted: a failed its analysis: error-rate 9 is not below 5"
    assert answer.status.halted_at == NOON
    assert ("Warning", "AnalysisFailed", answer.status.message) in answer.events


# --- the end, and quiet ---------------------------------------------------------------------------


def test_the_end_with_failures_names_them() -> None:
    run = begun(gen.run(WIDE), accepted=("a",))
    items = [FAILED, *(gen.item(name, DONE) for name in "bcd")]
    status = plan.next(run, observed("a", "b", "c", "d", items=items), NOON).status
    assert status.phase is RunPhase.SUCCEEDED_WITH_FAILURES
    assert status.message == "3 of 4 clusters updated, 1 failed: a"


@pytest.mark.parametrize(
    "world",
    [
        pytest.param(observed("a", "b", "c", items=[gen.item("a")]), id="in flight"),
        pytest.param(observed("a", "b", "c", items=[FAILED]), id="halted"),
        pytest.param(observed("a", "b", "c", paused=True), id="paused"),
        pytest.param(observed("a", "b", "c", lost=["a", "b", "c"]), id="put off"),
    ],
)
def test_a_second_look_at_the_same_world_says_the_same(world: RunObserved) -> None:
    first = plan.next(gen.run(THREE), world, NOON)
    run = gen.run(THREE).model_copy(update={"status": first.status})
    again = plan.next(run, world, NOON + timedelta(seconds=7))
    assert again.status == first.status
    assert again.events == ()


def test_a_run_wakes_when_time_changes_something() -> None:
    run = gen.run(gen.wave("all", "a", progress_deadline_seconds=60))
    answer = plan.next(run, observed("a", items=[gen.item("a")]), NOON)
    assert answer.recheck_at == answer.status.next_check == NOON + MINUTE


def test_holds_and_releases_are_not_repeated() -> None:
    run = begun(gen.run(THREE), halted_at=NOON, phase=RunPhase.HALTED)
    world = observed("a", "b", "c", items=[FAILED, gen.item("b", hold="halted: a")])
    kinds = [type(action) for action in plan.next(run, world, NOON).actions]
    assert HoldCluster not in kinds
    assert ReleaseCluster not in kinds


def test_a_thousand_clusters_that_a_person_has_accepted_fit() -> None:
    """[MT-18] The worst case: the longest names, all remembered one by one, every wave let through
    by somebody, a full history. Fewer rows are listed, the counts stay exact."""
    names = [f"c{number:04}-{'x' * 57}" for number in range(1_000)]
    gate = {"approval": {}}
    waves = [gen.wave(f"w{n:02}", *names[n * 20 : n * 20 + 20], after=(gate,)) for n in range(50)]
    passed = Pass(gate="after[0]", by="system:serviceaccount:shop:releases", time=NOON)
    done = [
        WaveStatus(
            name=wave.name,
            phase="Done",
            total=20,
            failed=20,
            started_at=NOON,
            finished_at=NOON,
            passes=(passed,),
        )
        for wave in waves
    ]
    told = tuple(Entry(time=NOON, reason="AnalysisFailed", message="h" * 200) for _ in range(50))
    run = begun(gen.run(*waves), *done, halted_at=NOON, phase=RunPhase.HALTED, history=told)
    items = [gen.item(name, BAD, reason="AnalysisFailed", message="m" * 1_000) for name in names]
    world = observed(*names, items=items, requests=("resume/2",))
    status = plan.next(run, world, NOON).status
    assert (len(status.accepted), status.counts.failed) == (1_000, 1_000)
    assert (len(status.clusters), status.clusters_omitted) == (10, 990)
    assert len(status.model_dump_json(by_alias=True)) < 100_000


def test_a_failure_stops_most_of_a_thousand_that_may_go_at_once() -> None:
    """A hundred begin in one look: the next one sees what became of them."""
    names = [f"c{number:04}" for number in range(1_000)]
    run = begun(gen.run(gen.wave("all", *names, max_concurrency=1_000)))
    assert did(plan.next(run, observed(*names), NOON)) == [f"start {one}" for one in names[:100]]
    items = [gen.item(one) for one in names[:100]]
    answer = plan.next(run, observed(*names, items=items), NOON)
    assert did(answer) == [f"start {one}" for one in names[100:200]]
    items[7] = gen.item(names[7], BAD)
    answer = plan.next(run, observed(*names, items=items), NOON)
    assert answer.status.phase is RunPhase.HALTED
    assert [one for one in did(answer) if one.startswith("start")] == []


def test_a_thousand_clusters_fit() -> None:
    """[MT-18] 1,000 clusters with the longest names, all failing: exact counts, under 100 KB."""
    names = [f"c{number:04}-{'x' * 57}" for number in range(1_000)]
    waves = [gen.wave(f"w{n}", *names[n * 20 : n * 20 + 20], max_concurrency=20) for n in range(50)]
    run = gen.run(*waves, on_failure="Continue", halt_on_first_failed_analysis=False)
    items = [
        gen.item(name, BAD if place % 10 else DONE, message="m" * 1_000)
        for place, name in enumerate(names)
    ]
    status = plan.next(run, observed(*names, items=items), NOON).status
    for _ in range(3):
        run = run.model_copy(update={"status": status})
        status = plan.next(run, observed(*names, items=items), NOON).status
    numbers = status.counts
    assert (numbers.total, numbers.updated, numbers.failed) == (1_000, 100, 900)
    assert (len(status.clusters), status.clusters_omitted) == (100, 800)
    assert len(status.model_dump_json(by_alias=True)) < 100_000
