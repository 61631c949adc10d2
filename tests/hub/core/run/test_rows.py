"""What becomes of rows where a run, a member or a wish is not what it was before."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from fleet.api import ClusterRollout
from fleet.api.conditions import condition
from fleet.api.fleetrollout import ClusterPhase, RunPhase, WaveStatus
from fleet.api.names import ClusterName
from fleet.hub.core.actions import StartCluster
from fleet.hub.core.run import plan
from tests.conftest import NOON
from tests.hub import gen
from tests.hub.scene import BAD, DONE, MINUTE, WIDE, begun, did, observed

HOUR = 60 * MINUTE
SOAK = gen.wave("first", "a", "b", soak_seconds=600)
SOAKING = {"name": "first", "phase": "Soaking", "started_at": NOON, "soaking_since": NOON}
WINDOW = {"schedule": {"cron": "0 8 * * *", "duration": "1h"}}


def test_a_wish_for_a_member_that_was_made_anew_is_another_try() -> None:
    item = gen.item("a")
    assert item.spec.want is not None
    want = item.spec.want.model_copy(update={"member": "uid-of-the-former", "attempt": 2})
    item = item.model_copy(update={"spec": item.spec.model_copy(update={"want": want})})
    (start,) = plan.next(gen.run(gen.wave("all", "a")), observed("a", items=[item]), NOON).actions
    assert isinstance(start, StartCluster)
    assert (start.want.attempt, start.want.member) == (3, "uid-of-a")


def traffic(*items: Any) -> str:
    run = gen.run(gen.wave("all", "a", "b", max_concurrency=2), number=1)
    return plan.next(run, observed("a", "b", items=items), NOON).status.display.traffic


def test_whoever_ran_the_revision_before_has_all_its_traffic_on_it() -> None:
    assert traffic(gen.item("a", DONE, number=0, good=1, engine={"replicas": 4})) == "50%"


def test_the_weight_of_another_revision_is_none_of_this_one() -> None:
    half = {"weight": 50, "replicas": 4}
    assert traffic(gen.item("a", engine={**half, "revision": "rev1"})) == "25%"
    assert traffic(gen.item("a", engine={**half, "revision": "rev0"})) == "0%"


def test_what_is_not_known_of_a_cluster_is_as_large_as_it_shall_be() -> None:
    """Four pods, as the Application says."""
    whole = {"weight": 100, "revision": "rev1"}
    assert traffic(gen.item("a", engine={**whole, "replicas": 12})) == "75%"
    assert traffic(gen.item("a", engine=whole)) == "50%"


def test_who_went_back_counts_with_what_it_runs_there() -> None:
    back = sent_back("a", ClusterPhase.PROGRESSING, engine={"replicas": 12})
    done = gen.item("b", DONE, engine={"replicas": 4})
    assert traffic(back, done) == "25%"


def sent_back(name: str, phase: ClusterPhase, **status: Any) -> Any:
    """A cluster that run 1 has sent back to what ran there before."""
    back = gen.item(name, phase, number=0, **status)
    assert back.spec.want is not None
    want = back.spec.want.model_copy(update={"undoes": "checkout-1"})
    return back.model_copy(update={"spec": back.spec.model_copy(update={"want": want})})


def test_the_end_of_a_way_back_names_everybody() -> None:
    run = begun(gen.run(gen.wave("all", *"abcd")), undo={"fleet": True, "message": "asked for"})
    items = [
        sent_back("a", DONE),
        sent_back("b", BAD, reason="Timeout", message="no end"),
        gen.item("c", hold="x"),
        sent_back("d", ClusterPhase.PROGRESSING),
    ]
    answer = plan.next(run, observed(*"abcd", items=items), NOON)
    assert ("Warning", "Timeout", "b failed: no end") in answer.events
    assert (answer.status.message, answer.status.phase) == (
        "rolling back (asked for): waiting for d", "RollingBack",
    )  # fmt: skip
    away = observed(*"abcd", items=items, lost=["d"])
    status = plan.next(run, away, NOON).status
    assert (status.phase, status.message) == (
        "RolledBack",
        "1 of 4 clusters are back; d on return; b failed on the way; c had nothing to go back to "
        "(asked for)",
    )
    rows = {row.name: row.message for row in status.clusters}
    assert rows == {
        "a": "is back", "b": "no end", "c": "", "d": "goes back on its return: connection refused"
    }  # fmt: skip


def test_a_plan_without_waves_is_over_at_once() -> None:
    answer = plan.next(gen.run(), observed("a"), NOON)
    assert (answer.actions, answer.status.phase) == ((), RunPhase.SUCCEEDED)
    assert (answer.status.wave, answer.status.message) == ("", "0 of 0 clusters updated")


def test_a_rollback_takes_back_those_too_that_waited_for_another_chance() -> None:
    run = begun(
        gen.run(WIDE, on_failure="Rollback", halt_on_first_failed_analysis=False),
        retrying=("a",),
        undo=None,
    )
    items = [gen.item(name, BAD, good=7) for name in "abc"]
    answer = plan.next(run, observed("a", "b", "c", "d", items=items), NOON)
    assert answer.status.phase is RunPhase.ROLLING_BACK
    assert sorted(did(answer)) == ["start a", "start b", "start c"]


def test_who_has_nothing_to_go_back_to_is_held_once() -> None:
    run = begun(gen.run(gen.wave("all", "a", "b")), undo={"fleet": True})
    items = [gen.item("a", good=7), gen.item("b", hold="nothing ran well here before this run")]
    answer = plan.next(run, observed("a", "b", items=items), NOON)
    assert did(answer) == ["start a"]
    assert answer.status.message == "rolling back: waiting for a"


def test_one_that_was_done_and_counts_for_its_silence_is_not_held() -> None:
    run = begun(gen.run(SOAK), WaveStatus.model_validate(SOAKING))
    items = [gen.item(name, DONE, finished_at=NOON) for name in "ab"]
    world = observed("a", "b", items=items, lost=["a"])
    answer = plan.next(run, world, NOON + 3 * HOUR)
    assert (did(answer), answer.status.phase) == ([], RunPhase.HALTED)


def test_the_soak_is_not_begun_anew_for_one_that_comes_back() -> None:
    run = begun(gen.run(SOAK), WaveStatus.model_validate(SOAKING))
    world = observed("a", "b", items=[gen.item("a", DONE)])
    status = plan.next(run, world, NOON + MINUTE).status
    (wave,) = status.waves
    assert (wave.phase, wave.soaking_since) == ("Soaking", NOON)
    assert (status.message, status.until) == ("soaking until 12:10:00Z", NOON + 10 * MINUTE)


def test_the_clock_of_a_soak_that_is_over_shows_all_of_it() -> None:
    run = begun(gen.run(SOAK), WaveStatus.model_validate(SOAKING))
    items = [gen.item(name, DONE) for name in "ab"]
    (wave,) = plan.next(run, observed("a", "b", items=items), NOON + 11 * MINUTE).status.waves
    assert (wave.phase, wave.soaking_since, wave.soaked_seconds) == ("Done", None, 600)


def test_a_wave_that_begins_does_not_wait_any_more() -> None:
    waited = WaveStatus(name="all", phase="Waiting", waiting_since=NOON)
    run = begun(gen.run(gen.wave("all", "a")), waited)
    (wave,) = plan.next(run, observed("a"), NOON + MINUTE).status.waves
    assert (wave.started_at, wave.waiting_since) == (NOON + MINUTE, None)


def test_a_wait_after_a_wave_is_not_the_one_before_it() -> None:
    waited = WaveStatus(name="all", phase="Waiting", waiting_since=NOON)
    run = begun(gen.run(gen.wave("all", "a", after=({"paused": True},))), waited)
    status = plan.next(run, observed("a", items=[gen.item("a", DONE)]), NOON + MINUTE).status
    assert (status.waves[0].phase, status.waves[0].waiting_since) == ("Waiting", NOON + MINUTE)


def test_who_joins_a_wave_that_everybody_left_finds_its_gate_closed() -> None:
    run = begun(gen.run(gen.wave("all", "a", before=({"approval": {}},)), membership="Append"))
    left = replace(observed("b"), fleet=frozenset("b"))
    assert plan.next(run, left, NOON).status.appended == ()
    here = replace(observed("a", "b"), fleet=frozenset("ab"))
    assert [one.name for one in plan.next(run, here, NOON).status.appended] == ["b"]


def test_the_next_start_is_looked_at_from_the_one_that_has_just_been() -> None:
    wave = gen.wave("all", "a", "b", max_concurrency=2)
    answer = plan.next(gen.run(wave, min_interval_seconds=120), observed("a", "b"), NOON)
    assert (did(answer), answer.recheck_at) == (["start a"], NOON + 2 * MINUTE)


def test_the_clock_on_the_wall_opens_windows_of_a_run() -> None:
    run, world = gen.run(gen.wave("all", "a", before=(WINDOW,))), observed("a")
    assert did(plan.next(run, world, NOON)) == []
    ahead = replace(world, drift=20.5 * HOUR)
    assert did(plan.next(run, ahead, NOON)) == ["start a"]


def test_nobody_joins_a_run_that_goes_back() -> None:
    run = begun(gen.run(gen.wave("all", "a"), membership="Append"), undo={"fleet": True})
    here = replace(observed("a", "b", items=[gen.item("a", good=7)]), fleet=frozenset("ab"))
    assert plan.next(run, here, NOON).status.appended == ()


def test_a_cluster_is_shown_as_its_engine_says() -> None:
    items = [gen.item("a", ClusterPhase.ANALYZING, message="12 of 100")]
    status = plan.next(gen.run(WIDE), observed(*"abcd", items=items), NOON).status
    shown = {row.name: (row.phase, row.message) for row in status.clusters}
    assert (shown["a"], shown["b"]) == (("Analyzing", "12 of 100"), ("Applying", ""))


def test_a_way_back_waits_for_nobody_who_is_away() -> None:
    run = begun(gen.run(gen.wave("all", "a")), undo={"fleet": True})
    world = observed("a", items=[gen.item("a", good=7)], lost=["a"])
    answer = plan.next(run, world, NOON)
    assert (did(answer), answer.status.phase) == (["start a"], RunPhase.ROLLED_BACK)
    assert answer.status.message == "0 of 1 clusters are back; a on return"


def test_a_wave_that_goes_on_does_not_wait_for_its_gate_any_more() -> None:
    waited = WaveStatus(name="all", phase="Waiting", started_at=NOON, waiting_since=NOON)
    run = begun(gen.run(gen.wave("all", "a", after=({"paused": True},))), waited)
    (wave,) = plan.next(run, observed("a", items=[gen.item("a")]), NOON).status.waves
    assert (wave.phase, wave.waiting_since) == ("Progressing", None)


def test_no_deadline_passes_while_the_hub_suspects_itself_or_a_cluster_waits() -> None:
    run, since = begun(gen.run(gen.wave("all", "a"))), NOON - 31 * MINUTE
    late = observed("a", items=[gen.item("a", since=since)], isolated=True)
    assert plan.next(run, late, NOON).status.counts.failed == 0
    item = gen.item("a", ClusterPhase.PAUSED, waiting_since=NOON)
    answer = plan.next(run, observed("a", items=[item]), NOON + MINUTE)
    assert (answer.status.counts.in_flight, answer.recheck_at) == (1, None)


def test_a_window_is_waited_for_by_those_who_could_go() -> None:
    """It is noon; the window was at eight."""
    run = begun(gen.run(gen.wave("all", "a", "b", before=(WINDOW,))))
    items = [gen.item("b", DONE)]
    away = plan.next(run, observed("a", "b", items=items, lost=["a"]), NOON).status
    assert away.reason == "Deferred"
    back = plan.next(run, observed("a", "b", items=items), NOON).status
    assert back.reason == "OutsideWindow"


def test_a_slot_that_is_free_too_early_is_looked_at_when_it_may_be_taken() -> None:
    wave = gen.wave("all", "a", "b", max_concurrency=2)
    run = begun(gen.run(wave, min_interval_seconds=120))
    answer = plan.next(run, observed("a", "b", items=[gen.item("a")]), NOON + MINUTE)
    assert (did(answer), answer.status.reason) == ([], "WaitingForClusters")
    assert answer.recheck_at == NOON + 2 * MINUTE


def test_who_counts_first_is_looked_at_before_a_window_opens() -> None:
    window = {"schedule": {"cron": "0 16 * * *", "duration": "1h"}}
    run = begun(gen.run(gen.wave("all", "a", "b", after=(window,))))
    world = observed("a", "b", items=[gen.item("a", DONE)], lost=["b"])
    answer = plan.next(run, world, NOON)
    assert (answer.status.reason, answer.status.until) == ("OutsideWindow", NOON + 4 * HOUR)
    assert answer.recheck_at == NOON + 2 * HOUR, "b counts as failed"


def test_one_that_has_counted_is_not_waited_for() -> None:
    seen = condition("Reachable", False, "Unreachable", "connection refused")
    lost = seen.model_copy(update={"last_transition_time": NOON})
    item = gen.item("a", ClusterPhase.UNREACHABLE, conditions=(lost,))
    run = begun(gen.run(gen.wave("all", "a", failure_budget=1)))
    world = observed("a", items=[item], lost=["a"])
    assert plan.next(run, world, NOON + HOUR).recheck_at == NOON + 2 * HOUR
    unknown = observed("a", items=[gen.item("a", ClusterPhase.UNREACHABLE)], lost=["a"])
    assert plan.next(run, unknown, NOON + HOUR).recheck_at is None, "nobody knows since when"
    late = plan.next(run, world, NOON + 3 * HOUR)
    assert (late.status.counts.unreachable, late.recheck_at) == (1, None)


def test_the_end_of_a_doubt_is_remembered() -> None:
    """Who is lost is counted from then on."""
    run = begun(gen.run(WIDE), reason="HubIsolated")
    doubting = plan.next(run, observed("a", isolated=True), NOON)
    assert doubting.status.isolated_until is None
    sure = plan.next(run, observed("a"), NOON + MINUTE)
    assert sure.status.isolated_until == NOON + MINUTE
    later = run.model_copy(update={"status": sure.status})
    found = plan.next(later, observed("a"), NOON + timedelta(minutes=5))
    assert found.status.isolated_until == NOON + MINUTE


def test_who_joined_and_who_left_are_named_together() -> None:
    run = begun(gen.run(gen.wave("all", "a", "b"), membership="Abort"))
    world = replace(observed("a", "c"), fleet=frozenset({"a", "c"}))
    status = plan.next(run, world, NOON).status
    assert (status.phase, status.reason) == (RunPhase.ABORTED, "MembersChanged")
    told = "c joined and b left the fleet: all begins anew (membershipChanges: Abort)"
    assert status.message == told


@pytest.mark.parametrize(
    ("phase", "requests", "is_read"),
    [
        pytest.param(RunPhase.SUCCEEDED, (), False, id="nobody asks"),
        pytest.param(RunPhase.SUPERSEDED, (), False, id="nobody ever will"),
        pytest.param(RunPhase.SUCCEEDED, ("retry/1",), True, id="somebody asks"),
        pytest.param(RunPhase.ABORTED, (), True, id="some may be on their way back"),
        pytest.param(RunPhase.PROGRESSING, (), True, id="it is not over"),
    ],
)
def test_whose_clusters_are_read(phase: RunPhase, requests: tuple[str, ...], is_read: bool) -> None:
    """A restart looks at each run that is over, and has a thousand clusters to read for each."""

    class Counted(dict[ClusterName, ClusterRollout]):
        asked = 0

        def get(self, *given: Any) -> Any:
            Counted.asked += 1
            return super().get(*given)

    end = NOON if phase is not RunPhase.PROGRESSING else None
    run = begun(gen.run(gen.wave("all", "a")), phase=phase, finished_at=end)
    seen = observed("a", items=[gen.item("a", DONE)], requests=requests)
    answer = plan.next(run, replace(seen, clusters=Counted(seen.clusters)), NOON)
    assert bool(Counted.asked) is is_read
    assert answer == plan.next(run, seen, NOON)
    assert is_read or answer.status == run.status
