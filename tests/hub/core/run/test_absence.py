"""The planner and members that the hub has just met: waited for, for a while, and not longer."""

from dataclasses import replace
from datetime import timedelta

import pytest

from fleet.api.fleetrollout import RunPhase, WaveStatus
from fleet.api.names import ClusterName
from fleet.hub.core.observed import RunObserved
from fleet.hub.core.run import plan
from tests.conftest import NOON
from tests.hub import gen
from tests.hub.scene import BAD, DONE, FAILED, begun, did, observed

UNTIL = NOON + timedelta(seconds=30)
CANARY, REST = gen.wave("canary", "a", soak_seconds=60), gen.wave("rest", "b", "c")
BOTH = gen.wave("all", "a", "b")
WIDE = gen.wave("all", "a", "b", "c", max_concurrency=2)


def meeting(*names: str, items: object = (), lost: object = ()) -> RunObserved:
    """All of a, b and c are there, but `names` have just been met."""
    here = observed("a", "b", "c", items=items, lost=lost)
    new = {ClusterName(name): gen.meet(gen.member(name), UNTIL) for name in names}
    return replace(here, members={**here.members, **new})


@pytest.mark.parametrize(
    ("waves", "here", "actions", "phases", "reason", "message"),
    [
        pytest.param(
            (CANARY, REST), meeting("a"), [], {"a": "Pending", "b": "Pending", "c": "Pending"},
            "Connecting", "waiting for a to be connected, until 12:00:30Z at the latest",
            id="its wave waits for it, and so do those behind",
        ),
        pytest.param(
            (CANARY, REST), meeting("a", "b", "c"), [],
            {"a": "Pending", "b": "Pending", "c": "Pending"},
            "Connecting", "waiting for a to be connected, until 12:00:30Z at the latest",
            id="only those of the wave in work are waited for",
        ),
        pytest.param(
            (BOTH,), meeting("a"), [], {"a": "Pending", "b": "Pending"},
            "Connecting", "waiting for a to be connected, until 12:00:30Z at the latest",
            id="it keeps its place in the order of its wave",
        ),
        pytest.param(
            (WIDE,), meeting("a"), ["start b"], {"a": "Pending", "b": "Applying", "c": "Pending"},
            "WaitingForClusters", "waiting for b",
            id="and others take the slots that are left",
        ),
        pytest.param(
            (BOTH,), meeting("b"), ["start a"], {"a": "Applying", "b": "Pending"},
            "WaitingForClusters", "waiting for a",
            id="those before it go",
        ),
        pytest.param(
            (CANARY, REST), meeting("c", lost=["a"]), ["start b"],
            {"a": "Deferred", "b": "Applying", "c": "Pending"},
            "WaitingForClusters", "waiting for b",
            id="a lost one is put off at once",
        ),
        pytest.param(
            (BOTH,), meeting("a", lost=["b"]), [], {"a": "Pending", "b": "Deferred"},
            "Connecting", "waiting for a to be connected, until 12:00:30Z at the latest",
            id="who is about to come is named before who is put off",
        ),
    ],
)  # fmt: skip
def test_members_that_have_just_been_met(
    waves: tuple[gen.PlannedWave, ...],
    here: RunObserved,
    actions: list[str],
    phases: dict[str, str],
    reason: str,
    message: str,
) -> None:
    answer = plan.next(gen.run(*waves), here, NOON)
    assert did(answer) == actions
    assert {row.name: row.phase for row in answer.status.clusters} == phases
    assert (answer.status.reason, answer.status.message) == (reason, message)
    if reason == "Connecting":
        assert (answer.status.until, answer.status.unblock) == (UNTIL, "its connection")


def test_the_run_looks_again_when_the_patience_is_over() -> None:
    answer = plan.next(gen.run(CANARY, REST), meeting("a"), NOON)
    assert answer.recheck_at == UNTIL
    (row, *_) = answer.status.clusters
    assert row.message == "being connected: not connected yet"


def test_it_looks_again_too_while_others_are_on_their_way() -> None:
    answer = plan.next(gen.run(WIDE), meeting("a"), NOON)
    assert (did(answer), answer.recheck_at) == (["start b"], UNTIL)


def test_a_retry_is_not_forgotten_while_its_member_is_being_connected() -> None:
    run = begun(gen.run(BOTH), halted_at=NOON, phase=RunPhase.HALTED)
    asked = replace(meeting("a", items=[FAILED]), requests=("retry/1",))
    first = plan.next(run, asked, NOON)
    assert (first.status.retrying, did(first)) == (("a",), [])
    later = run.model_copy(update={"status": first.status})
    assert did(plan.next(later, observed("a", "b", items=[FAILED]), NOON)) == ["start a"]


@pytest.mark.parametrize(
    ("items", "lost", "phase", "ends"),
    [
        pytest.param([gen.item("a", DONE)], [], "Soaking", [], id="what was updated soaks"),
        pytest.param([], ["a"], "Done",
                     ["wave canary is put off: 0 of 1 updated, 1 put off, took 0s"],
                     id="what was put off does not"),
        pytest.param([gen.item("a", BAD, message="bad")], [], "Done",
                     ["wave canary is done: 0 of 1 updated, 1 failed, took 0s"],
                     id="nor does what has failed within the budget"),
    ],
)  # fmt: skip
def test_a_wave_soaks_if_there_is_something_to_soak(
    items: list[object], lost: list[str], phase: str, ends: list[str]
) -> None:
    wave = CANARY.model_copy(update={"failure_budget": 1})
    run = begun(gen.run(wave, REST), WaveStatus(name="canary", started_at=NOON))
    answer = plan.next(run, observed("a", "b", "c", items=items, lost=lost), NOON)
    assert answer.status.waves[0].phase == phase
    told = [entry.message for entry in answer.status.history if entry.reason == "WaveDone"]
    assert told == ends
