"""What is told of a run: every entry, its words, its kind, and how many are kept."""

from datetime import timedelta
from typing import Any

import pytest

from fleet.api.fleetrollout import (
    ClusterPhase,
    ClusterRow,
    Entry,
    FleetRolloutStatus,
    Plan,
    RunPhase,
    WaveStatus,
)
from fleet.hub.core.run import story
from fleet.hub.core.run.row import Row
from tests.conftest import NOON
from tests.hub import gen
from tests.hub.scene import MINUTE

EU = gen.wave("eu", "a", "b", "c", max_concurrency=2, failure_budget=1, soak_seconds=60)
PLAN = Plan(waves=(EU, gen.wave("us", "d")))
BEGUN = {"name": "eu", "total": 3, "started_at": NOON}
DONE = {**BEGUN, "phase": "Done", "finished_at": NOON + 5 * MINUTE}


def status(phase: RunPhase | None, *waves: dict[str, Any], **given: Any) -> FleetRolloutStatus:
    found = tuple(WaveStatus.model_validate(wave) for wave in waves)
    return FleetRolloutStatus(phase=phase, waves=found, **given)


GOING = status(RunPhase.PROGRESSING, BEGUN)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        pytest.param(
            status(None), status(RunPhase.PROGRESSING),
            [("Planned", "4 clusters in 2 waves")],
            id="how much there is to do",
        ),
        pytest.param(
            status(RunPhase.PLANNED), GOING,
            [("WaveStarted", "wave eu begins: 3 clusters, 2 at a time, failure budget 1")],
            id="a wave begins",
        ),
        pytest.param(
            status(RunPhase.PLANNED), status(RunPhase.PROGRESSING, {**BEGUN, "total": 1}),
            [("WaveStarted", "wave eu begins: 1 cluster, 2 at a time, failure budget 1")],
            id="one cluster is one",
        ),
        pytest.param(
            status(RunPhase.PLANNED), status(RunPhase.PROGRESSING, {**DONE, "total": 0}),
            [("EmptyWave", "wave eu has no cluster and is passed at once")],
            id="an empty wave is passed, and is never done",
        ),
        pytest.param(
            GOING, status(RunPhase.SOAKING, {**BEGUN, "phase": "Soaking"}),
            [("Soaking", "wave eu soaks for 60 s")],
            id="a wave soaks",
        ),
        pytest.param(
            status(RunPhase.SOAKING, {**BEGUN, "phase": "Soaking"}),
            status(RunPhase.SOAKING, {**BEGUN, "phase": "Soaking"}), [],
            id="and says so once",
        ),
        pytest.param(
            GOING, status(RunPhase.PROGRESSING, {**DONE, "updated": 3}),
            [("WaveDone", "wave eu is done: 3 of 3 updated, took 5m")],
            id="a wave is done",
        ),
        pytest.param(
            GOING, status(RunPhase.PROGRESSING, {**DONE, "updated": 1, "failed": 1}),
            [("WaveDone", "wave eu is done: 1 of 3 updated, 1 failed, 1 put off, took 5m")],
            id="with one that failed and one that waits",
        ),
        pytest.param(
            GOING, status(RunPhase.PROGRESSING, {**DONE, "failed": 1}),
            [("WaveDone", "wave eu is done: 0 of 3 updated, 1 failed, 2 put off, took 5m")],
            id="with nobody that was updated",
        ),
        pytest.param(
            GOING, status(RunPhase.PROGRESSING, DONE),
            [("WaveDone", "wave eu is put off: 0 of 3 updated, 3 put off, took 5m")],
            id="with nobody that went",
        ),
        pytest.param(
            GOING, status(RunPhase.HALTED, BEGUN, reason="BudgetExceeded", message="halted: b"),
            [("BudgetExceeded", "halted: b")],
            id="what stops a run, in its own words",
        ),
        pytest.param(
            status(RunPhase.HALTED, BEGUN),
            status(RunPhase.PROGRESSING, BEGUN, message="waiting for b"),
            [("Progressing", "goes on: waiting for b")],
            id="that it goes on after a halt",
        ),
        pytest.param(
            status(RunPhase.PAUSED, BEGUN), status(RunPhase.SOAKING, BEGUN, message="soaking"),
            [("Progressing", "goes on: soaking")],
            id="and after a pause",
        ),
        pytest.param(
            status(RunPhase.SOAKING, BEGUN), GOING, [], id="not each step of a run that goes well"
        ),
    ],
)  # fmt: skip
def test_what_is_told(
    before: FleetRolloutStatus, after: FleetRolloutStatus, told: list[tuple[str, str]]
) -> None:
    assert list(story.tell(before, after, PLAN, ())) == told


def test_the_notes_of_a_plan_are_told_with_it() -> None:
    plan = Plan(waves=(EU,), notes=("wave x is empty", "z is left out"))
    told = story.tell(status(None), status(RunPhase.PROGRESSING), plan, ())
    assert told == (("Planned", "3 clusters in 1 wave: wave x is empty; z is left out"),)


def failed(name: str, **given: Any) -> Row:
    return Row(name=name, wave="eu", phase=ClusterPhase.FAILED, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("row", "told"),
    [
        pytest.param(failed("b", reason="Timeout", message="no end"),
                     [("Timeout", "b failed: no end")], id="with its reason and its words"),
        pytest.param(failed("b", reason="Timeout"), [("Timeout", "b failed: Timeout")],
                     id="with its reason where it has no words"),
        pytest.param(failed("b"), [("Failed", "b failed: ")], id="with nothing"),
        pytest.param(failed("a", message="as before"), [], id="not again"),
        pytest.param(Row(name="b", wave="eu"), [], id="not of one that has not failed"),  # type: ignore[arg-type]
    ],
)  # fmt: skip
def test_who_failed_is_told_once(row: Row, told: list[tuple[str, str]]) -> None:
    known = ClusterRow(name="a", wave="eu", phase=ClusterPhase.FAILED)
    before = status(RunPhase.PROGRESSING, BEGUN, clusters=(known,))
    assert list(story.tell(before, GOING, PLAN, (row,))) == told


def test_the_history_keeps_the_last_fifty_and_cuts_what_is_long() -> None:
    old = tuple(Entry(time=NOON, reason="Old", message=str(number)) for number in range(50))
    later = NOON + timedelta(seconds=7)
    told = [("New", "x" * 300), ("Newer", "y")]
    kept = story.history(status(None, history=old), told, later)
    assert (len(kept), kept[0].message) == (50, "2")
    assert (kept[-2].time, kept[-2].reason, len(kept[-2].message)) == (later, "New", 200)
    assert (kept[-1].reason, kept[-1].message) == ("Newer", "y")


def test_what_went_wrong_is_a_warning() -> None:
    """Also for reasons of the member's API server, or of an engine of tomorrow."""
    bad = ("AnalysisFailed", "Forbidden", "EngineTooOld", "HookRollback", "Halted", "Tomorrows")
    assert [kind for kind, *_ in story.events([(reason, "x") for reason in bad])] == (
        ["Warning"] * len(bad)
    )
    assert story.events([("WaveDone", "done")]) == (("Normal", "WaveDone", "done"),)


@pytest.mark.parametrize(
    ("before", "told"),
    [
        pytest.param(status(None), "deleted while Planned: begins", id="before it was looked at"),
        pytest.param(status(RunPhase.HALTED, message="halted: b"),
                     "deleted while Halted: halted: b", id="on its way"),
    ],
)  # fmt: skip
def test_a_run_that_was_deleted_says_where_it_stood(before: FleetRolloutStatus, told: str) -> None:
    assert story.deleted(before) == ("Aborted", told)
    assert len(story.deleted(status(None, message="x" * 300))[1]) == story.LENGTH
