"""The planner and members that do not answer: put off, kept waiting for, counted, back again."""

from dataclasses import replace

import pytest

from fleet.api.conditions import condition, updated
from fleet.api.fleetrollout import ClusterPhase, RunPhase, WaveStatus
from fleet.api.membercluster import EngineStatus
from fleet.hub.core.run import plan
from tests.conftest import NOON
from tests.hub import gen
from tests.hub.scene import DONE, MINUTE, begun, did, observed


def lost_since(moment: object) -> tuple[object, ...]:
    seen = condition("Reachable", False, "Unreachable", "connection refused")
    return (seen.model_copy(update={"last_transition_time": moment}),)


@pytest.mark.parametrize(
    ("items", "lost", "minutes", "actions", "phases", "message"),
    [
        pytest.param(
            [], ["a"], 0, ["start b"], {"a": "Deferred", "b": "Applying"}, "waiting for b",
            id="[MT-05] before its turn it is put off, and the next one goes",
        ),
        pytest.param(
            [gen.item("b", DONE)], ["a"], 5, [], {"a": "Deferred"},
            "waiting for a: connection refused; counts as failed at 14:00:00Z",
            id="[MT-05] put off to the end, with the time at which it counts",
        ),
        pytest.param(
            [gen.item("b", DONE)], ["a"], 120, [], {"a": "Unreachable"},
            "halted: 1 failed in wave all, its budget is 0: a: connection refused",
            id="[MT-05] after the time-out it counts against the budget",
        ),
        pytest.param(
            [gen.item("a")], ["a"], 5, [], {"a": "Unreachable", "b": "Pending"}, "waiting for a",
            id="[MT-05] lost in flight it keeps its slot",
        ),
        pytest.param(
            [gen.item("a", ClusterPhase.UNREACHABLE, conditions=lost_since(NOON))],
            ["a"], 121, ["hold a"], {"a": "Unreachable", "b": "Pending"},
            "halted: 1 failed in wave all, its budget is 0: a: connection refused",
            id="[MT-05] lost in flight for too long it counts",
        ),
        pytest.param(
            [gen.item("a", DONE)], ["a"], 5, ["start b"], {"b": "Applying"}, "waiting for b",
            id="[MT-05] lost after its turn it stays succeeded",
        ),
    ],
)  # fmt: skip
def test_lost_members(
    items: list[object],
    lost: list[str],
    minutes: int,
    actions: list[str],
    phases: dict[str, str],
    message: str,
) -> None:
    run = begun(gen.run(gen.wave("all", "a", "b", progress_deadline_seconds=86_400)))
    world = observed("a", "b", items=items, lost=lost)
    answer = plan.next(run, world, NOON + minutes * MINUTE)
    assert did(answer) == actions
    assert {row.name: row.phase for row in answer.status.clusters} == phases
    assert answer.status.message == message


def test_one_that_is_left_out_until_it_is_back_says_so() -> None:
    run = begun(gen.run(gen.wave("all", "a", "b"), unavailable="Skip"))
    answer = plan.next(run, observed("a", "b", items=[gen.item("b", DONE)], lost=["a"]), NOON)
    (row,) = answer.status.clusters
    assert (row.phase, row.message) == ("Skipped", "left out until it is back: connection refused")
    assert answer.status.message == "1 of 2 clusters updated, 1 skipped: a"


def test_one_whose_engine_was_never_known_is_lost_when_its_api_server_is() -> None:
    member = gen.lose(gen.member("a"), NOON - 600 * MINUTE)
    status = member.cluster.status
    known = updated(status.conditions, lost_since(NOON), NOON + 5 * MINUTE)
    status = status.model_copy(update={"conditions": known})
    member = replace(member, cluster=member.cluster.model_copy(update={"status": status}))
    run = begun(gen.run(gen.wave("all", "a"), accept_unknown_engine=True))
    answer = plan.next(run, replace(observed("a"), members={member.name: member}), NOON)
    assert answer.status.message.endswith("counts as failed at 14:05:00Z")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"healthy": False}, id="its Lease is there"),
        pytest.param({"version": "1.2.0"}, id="it has told its version"),
    ],
)
def test_one_whose_engine_was_known_is_lost_when_the_engine_is(body: dict[str, object]) -> None:
    member = gen.lose(gen.unknown(gen.member("a")), reachable=True)
    status = member.cluster.status.model_copy(update={"engine": EngineStatus(**body)})  # type: ignore[arg-type]
    cluster = member.cluster.model_copy(update={"status": status})
    member = replace(member, cluster=cluster, has_unknown_engine=False)
    run = begun(gen.run(gen.wave("all", "a"), accept_unknown_engine=True))
    answer = plan.next(run, replace(observed("a"), members={member.name: member}), NOON)
    assert answer.status.message.endswith("counts as failed at 14:00:00Z")


def test_an_isolated_hub_counts_nobody_as_failed() -> None:
    run = begun(gen.run(gen.wave("all", "a", "b")))
    items = [gen.item("a", conditions=lost_since(NOON))]
    world = observed("a", "b", items=items, lost=["a", "b"], isolated=True)
    answer = plan.next(run, world, NOON + 600 * MINUTE)
    assert (answer.status.phase, answer.status.reason) == (RunPhase.PROGRESSING, "HubIsolated")
    assert (answer.status.counts.unreachable, answer.actions) == (2, ())


def test_those_put_off_go_at_the_end_when_they_are_back() -> None:
    waves = (gen.wave("one", "a"), gen.wave("two", "b"))
    done = WaveStatus(name="one", phase="Done", started_at=NOON, finished_at=NOON)
    run = begun(gen.run(*waves), done, WaveStatus(name="two", started_at=NOON))
    back = observed("a", "b", items=[gen.item("b")])
    assert did(plan.next(run, back, NOON)) == []
    end = observed("a", "b", items=[gen.item("b", DONE)])
    assert did(plan.next(run, end, NOON)) == ["start a"]
