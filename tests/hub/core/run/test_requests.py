"""What a person asks of a run, what it does, and how a run gives way to a newer one."""

from dataclasses import replace
from typing import Any

import orjson
import pytest

from fleet.api import ClusterRollout, FleetRollout
from fleet.api.fleetrollout import ClusterPhase, RunPhase, WaveStatus
from fleet.api.names import ClusterName
from fleet.hub.core.actions import AskCluster, StartCluster
from fleet.hub.core.run import plan
from tests.conftest import NOON
from tests.hub import gen
from tests.hub.scene import DONE, FAILED, THREE, begun, did, observed


def waiting(name: str, awaits: str = "promote", step: str = "1/2", **given: Any) -> ClusterRollout:
    """Its engine has stopped there."""
    engine = {"awaits": awaits, "step": step, "revision": "rev1"}
    return gen.item(name, ClusterPhase.PAUSED, reason="StepPaused", engine=engine, **given)


@pytest.mark.parametrize(
    ("request_", "items", "status", "actions", "phase", "told"),
    [
        pytest.param(
            "pause/1", [gen.item("a")], {}, ["hold a"], RunPhase.PAUSED, "paused by request",
            id="pause holds what is in flight",
        ),
        pytest.param(
            "resume/2", [gen.item("a", hold="x")], {"paused": True}, ["start b", "release a"],
            RunPhase.PROGRESSING, "resumed by request",
            id="resume ends a pause",
        ),
        pytest.param(
            "resume/2", [FAILED, gen.item("b", hold="x")], {"halted_at": NOON, "phase": "Halted"},
            ["start c", "release b"], RunPhase.PROGRESSING,
            "resumed by request; accepted as failed: a",
            id="resume out of a halt accepts what has failed",
        ),
        pytest.param(
            "retry/2", [FAILED, gen.item("b", DONE)], {"halted_at": NOON, "phase": "Halted"},
            ["start a", "start c"], RunPhase.PROGRESSING, "retry of 1: a",
            id="retry tries the failed ones again, and only them",
        ),
        pytest.param(
            "retry/2/b", [FAILED], {"halted_at": NOON, "phase": "Halted"}, [], RunPhase.HALTED,
            "nothing to retry: cluster b has not failed in this run",
            id="retry of a cluster that has not failed is refused",
        ),
        pytest.param(
            "skip/2/c", [gen.item("a")], {}, ["start b"], RunPhase.PROGRESSING, "left out: c",
            id="skip leaves out a cluster that has not gone",
        ),
        pytest.param(
            "skip/2/a", [gen.item("a")], {}, ["start b"], RunPhase.PROGRESSING,
            "nothing to skip: no cluster of a still has to go",
            id="skip of a cluster in flight is refused",
        ),
        pytest.param(
            "skip/2/all", [gen.item("a")], {}, [], RunPhase.PROGRESSING, "left out: b, c",
            id="skip of a wave leaves out who has not gone",
        ),
        pytest.param(
            "skip/2/q", [gen.item("a")], {}, ["start b"], RunPhase.PROGRESSING,
            "q is neither a wave of this run (all) nor a cluster of it",
            id="skip of a stranger is answered",
        ),
        pytest.param(
            "rollback/2", [gen.item("a", good=7), gen.item("b")], {}, ["hold b", "start a"],
            RunPhase.ROLLING_BACK, "the whole run goes back, asked for",
            id="rollback sends back who has gone, and holds who has nothing to go back to",
        ),
        pytest.param(
            "abort/2", [gen.item("a", good=7), gen.item("b")], {}, ["start a"], RunPhase.ABORTED,
            "aborted by request",
            id="abort sends those in flight back to what ran well there",
        ),
        pytest.param(
            "abort/2",
            [gen.item("a", good=1, previous_good={"run": "checkout-0", "revision": "rev0"})],
            {}, [], RunPhase.ABORTED, "aborted by request",
            id="abort leaves who had run this very revision well",
        ),
        pytest.param(
            "promote/2", [waiting("a"), waiting("b", step="2/2")], {}, ["ask a 1/2", "ask b 2/2"],
            RunPhase.PROGRESSING, "asked to go on: a, b",
            id="promote asks the engines that wait for a person",
        ),
        pytest.param(
            "promote/2/b", [waiting("a"), waiting("b")], {}, ["ask b 1/2"], RunPhase.PROGRESSING,
            "asked to go on: b",
            id="promote of a cluster asks its engine alone",
        ),
        pytest.param(
            "promote/2", [waiting("a", asked="2"), waiting("b")], {}, ["ask b 1/2"],
            RunPhase.PROGRESSING, "asked to go on: a, b",
            id="who was asked before a crash is not asked again",
        ),
        pytest.param(
            "promote/2", [gen.item("a", asked="2"), gen.item("b")], {}, [],
            RunPhase.PROGRESSING, "asked to go on: a",
            id="nor is who goes on already",
        ),
        pytest.param(
            "conclude/2/all", [waiting("a", "conclude", "experiment"), waiting("b")], {},
            ["ask a experiment"], RunPhase.PROGRESSING, "asked to conclude the experiment: a",
            id="conclude asks the engines whose experiment runs",
        ),
        pytest.param(
            "promote/2/a", [waiting("a", hold="x")], {"paused": True}, [], RunPhase.PAUSED,
            "nothing to promote: a is held: write the request resume",
            id="who is held waits for something else",
        ),
        pytest.param(
            "promote/2", [waiting("a", ""), waiting("b", "conclude"), gen.item("c")], {}, [],
            RunPhase.PROGRESSING,
            "nothing to promote: b waits for another request: write conclude/<id>/all; "
            "a goes on by itself (StepPaused)",
            id="where nobody waits it is said what they do",
        ),
        pytest.param(
            "conclude/2/q", [waiting("a")], {}, ["start b"], RunPhase.PROGRESSING,
            "q is neither a wave of this run (all) nor a cluster of it",
            id="conclude of a stranger is answered",
        ),
        pytest.param(
            "dance/2", [gen.item("a")], {}, ["start b"], RunPhase.PROGRESSING,
            "the request dance/2 is not understood: write <verb>/<id>[/<argument>] with one of "
            "pause, resume, approve, promote, conclude, skip, retry, rollback, undo, abort, "
            "confirm-prune and a new id",
            id="an unknown verb is answered",
        ),
        pytest.param(
            "pause", [gen.item("a")], {}, ["start b"], RunPhase.PROGRESSING,
            "the request pause is not understood: write <verb>/<id>[/<argument>] with one of "
            "pause, resume, approve, promote, conclude, skip, retry, rollback, undo, abort, "
            "confirm-prune and a new id",
            id="a request without an id is answered",
        ),
    ],
)  # fmt: skip
def test_requests(
    request_: str,
    items: list[object],
    status: dict[str, object],
    actions: list[str],
    phase: RunPhase,
    told: str,
) -> None:
    run = begun(gen.run(gen.wave("all", "a", "b", "c", max_concurrency=2)), **status)
    answer = plan.next(run, observed("a", "b", "c", items=items, requests=(request_,)), NOON)
    assert (did(answer), answer.status.phase) == (actions, phase)
    assert told in [entry.message for entry in answer.status.history]


GATED = gen.wave("eu", "a", before=({"approval": {}}, {"paused": True}))
NEXT = gen.wave("us", "b", before=({"approval": {}},))


@pytest.mark.parametrize(
    ("text", "told", "passes"),
    [
        pytest.param(
            "approve/1/eu:{digest}", "wave eu is approved, plan {digest} by jane", ["before[0]"],
            id="an approval opens the wave that waits for it",
        ),
        pytest.param(
            "promote/1", "wave eu is let through by jane", ["before[1]"],
            id="a promotion is for the wave in work",
        ),
        pytest.param(
            "approve/1/eu",
            "an approval names wave and plan: write approve/<id>/eu:{digest}", [],
            id="an approval without a plan",
        ),
        pytest.param(
            "approve/1/eu:00000000",
            "the approval is for plan 00000000, this run's is {digest}: look at it, then write "
            "approve/<id>/eu:{digest}", [],
            id="[MT-10] an approval of another plan",
        ),
        pytest.param(
            "approve/1/us:{digest}", "wave us does not wait for an approval now", [],
            id="an approval of a wave whose turn has not come",
        ),
        pytest.param(
            "approve/1/asia:{digest}", "asia is no wave of this run: name one of eu, us", [],
            id="an approval of an unknown wave",
        ),
    ],
)  # fmt: skip
def test_gates_are_opened_by_request(text: str, told: str, passes: list[str]) -> None:
    run = gen.run(GATED, NEXT)
    digest = plan.next(run, observed("a", "b"), NOON).status.plan_digest
    request_ = text.format(digest=digest)
    world = observed("a", "b", requests=(request_,), authors={request_: "jane"})
    status = plan.next(run, world, NOON).status
    assert told.format(digest=digest) in [entry.message for entry in status.history]
    assert [one.gate for one in status.waves[0].passes] == passes
    assert status.waves[1].passes == (), "another wave is not let through"
    assert all(one.time == NOON for one in status.waves[0].passes)
    assert {one.by for one in status.waves[0].passes} <= {"jane"}


@pytest.mark.parametrize(
    ("argument", "wanted", "told", "kept"),
    [
        pytest.param("3f2a", "3f2a", "those who have left may go", "3f2a", id="those who wait"),
        pytest.param(
            "0bad", "3f2a",
            "those who wait now are others than 0bad: look at condition Pruned, then write "
            "confirm-prune/<id>/3f2a", "",
            id="others than those who wait",
        ),
        pytest.param(
            "", "3f2a",
            "those who wait now are others than nobody: look at condition Pruned, then write "
            "confirm-prune/<id>/3f2a", "",
            id="nobody is named",
        ),
        pytest.param(
            "3f2a", "", "nobody waits to be let go: condition Pruned would say so", "",
            id="nobody waits",
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("phase", [RunPhase.PROGRESSING, RunPhase.SUCCEEDED])
def test_who_has_left_goes_by_a_yes_about_them_alone(
    argument: str, wanted: str, told: str, kept: str, phase: RunPhase
) -> None:
    over = {"finished_at": NOON} if phase is RunPhase.SUCCEEDED else {}
    run = begun(gen.run(THREE), phase=phase, **over)
    asked = (f"confirm-prune/1/{argument}".rstrip("/"),)
    world = observed("a", "b", "c", items=[gen.item("a")], requests=asked, leaving=wanted)
    status = plan.next(run, world, NOON).status
    assert (status.prune_confirmed, status.handled) == (kept, ("1",))
    assert told in [entry.message for entry in status.history]


def test_a_request_is_acted_on_once() -> None:
    """[MT-25] The same id twice, also after a resume, is one request."""
    run = begun(gen.run(THREE))
    world = observed("a", "b", "c", items=[gen.item("a")], requests=("pause/77",))
    paused = plan.next(run, world, NOON)
    run = run.model_copy(update={"status": paused.status})
    assert plan.next(run, world, NOON).status == paused.status
    resumed = plan.next(run, observed("a", "b", "c", requests=("resume/78",)), NOON)
    run = run.model_copy(update={"status": resumed.status})
    again = plan.next(run, world, NOON)
    assert again.status.paused is False, "77 was acted on before 78"
    assert again.status.handled == ("77", "78")


def older(number: int, seen: str, *handled: str) -> FleetRollout:
    """The run of that number, which found the request `seen` there and has answered others."""
    run = gen.run(gen.wave("all", "a"), number=number)
    run = run.model_copy(update={"spec": run.spec.model_copy(update={"request_seen": seen})})
    return begun(run, handled=handled)


@pytest.mark.parametrize(
    ("number", "former", "told"),
    [
        pytest.param(1, [], True, id="nobody was there to answer it"),
        pytest.param(3, [older(2, "76", "75")], True, id="the run before has not answered it"),
        pytest.param(3, [older(2, "76", "77")], False, id="the run before has"),
        pytest.param(3, [older(2, "77")], False, id="it was old then already"),
        pytest.param(3, [older(1, "76")], False, id="the run before is gone"),
    ],
)
def test_a_request_from_before_the_run_is_not_for_it(
    number: int, former: list[FleetRollout], told: bool
) -> None:
    """It is refused, unless that was done before."""
    run, given = older(number, "77"), {"newest": number, "former": tuple(former)}
    status = plan.next(run, observed("a", requests=("pause/77",), **given), NOON).status
    assert (status.paused, status.handled) == (False, ("77",) if told else ())
    refused = "the request pause/77 is older than this run: use a new id"
    assert (refused in [entry.message for entry in status.history]) is told
    assert plan.next(run, observed("a", requests=("pause/78",), **given), NOON).status.paused


def test_two_requests_are_answered_one_after_the_other() -> None:
    run = begun(gen.run(THREE))
    world = observed("a", "b", "c", requests=("pause/1", "resume/2"))
    for handled, paused in (("1",), True), (("1", "2"), False), (("1", "2"), False):
        status = plan.next(run, world, NOON).status
        assert (status.handled, status.paused) == (handled, paused)
        run = run.model_copy(update={"status": status})


def test_a_request_that_still_stands_is_never_forgotten() -> None:
    run = begun(gen.run(THREE), handled=("old", *(f"id-{number}" for number in range(19))))
    world = observed("a", "b", "c", requests=("pause/new", "abort/old"))
    status = plan.next(run, world, NOON).status
    assert (len(status.handled), status.paused) == (20, True)
    run = run.model_copy(update={"status": status})
    assert plan.next(run, world, NOON).status.phase is RunPhase.PAUSED, "it is not aborted"


def test_retry_counts_attempts_up() -> None:
    run = begun(gen.run(gen.wave("all", "a")), halted_at=NOON, phase=RunPhase.HALTED)
    answer = plan.next(run, observed("a", items=[FAILED], requests=("retry/5",)), NOON)
    (start,) = answer.actions
    assert isinstance(start, StartCluster)
    assert (start.want.run, start.want.attempt) == ("checkout-1", 1)
    assert answer.status.retrying == ()


def test_retry_opens_a_run_that_ended_with_failures() -> None:
    status = {"phase": RunPhase.SUCCEEDED_WITH_FAILURES, "finished_at": NOON, "accepted": ("a",)}
    done = WaveStatus(name="all", phase="Done", started_at=NOON, finished_at=NOON)
    run = begun(gen.run(gen.wave("all", "a")), done, **status)
    assert plan.next(run, observed("a", items=[FAILED]), NOON).status == run.status
    answer = plan.next(run, observed("a", items=[FAILED], requests=("retry/5",)), NOON)
    assert (did(answer), answer.status.phase) == (["start a"], RunPhase.PROGRESSING)


def test_one_who_waits_in_vain_is_not_thought_to_wait() -> None:
    """Nothing that is silent is asked: nobody knows where it stands."""
    world = observed("a", items=[waiting("a")], requests=("promote/2",))
    silent = {"a": gen.lose(gen.member("a"), reachable=True)}
    world = replace(world, members={ClusterName(name): one for name, one in silent.items()})
    answer = plan.next(begun(gen.run(gen.wave("all", "a"))), world, NOON)
    assert answer.status.history[-1].reason == "RequestRefused"


def test_a_thousand_who_wait_are_asked_at_once_and_told_of_in_short() -> None:
    names = [f"c{number:04}" for number in range(1_000)]
    run = begun(gen.run(gen.wave("all", *names, max_concurrency=1_000)))
    world = observed(*names, items=[waiting(name) for name in names], requests=("promote/2",))
    answer = plan.next(run, world, NOON)
    assert sum(isinstance(action, AskCluster) for action in answer.actions) == 1_000
    assert answer.status.history[-1].message == (
        "asked to go on: c0000, c0001, c0002, c0003, c0004 and 995 more"
    )
    assert len(orjson.dumps(answer.status.manifest())) < 100_000


# --- giving way -----------------------------------------------------------------------------------


def test_a_newer_run_sends_those_in_flight_back() -> None:
    items = [gen.item("a", DONE), gen.item("b", good=7, hold="x"), gen.item("c")]
    run = begun(gen.run(gen.wave("all", "a", "b", "c", "d", max_concurrency=4)))
    answer = plan.next(run, observed("a", "b", "c", "d", items=items, newest=2), NOON)
    assert (answer.status.phase, answer.status.finished_at) == (RunPhase.SUPERSEDED, NOON)
    (back,) = answer.actions
    assert isinstance(back, StartCluster)
    assert (back.cluster, back.want.run, back.want.revision) == ("b", "checkout-7", "rev7")


def test_an_application_that_is_deleted_aborts_its_run() -> None:
    answer = plan.next(
        begun(gen.run(THREE)), observed("a", items=[gen.item("a", good=7)], deleting=True), NOON
    )
    assert (answer.status.phase, answer.actions) == (RunPhase.ABORTED, ())
    told = (answer.status.reason, answer.status.message)
    assert told == ("Aborted", "the Application is being deleted")


@pytest.mark.parametrize(
    ("phase", "request_", "told"),
    [
        pytest.param(
            RunPhase.SUCCEEDED, "pause/1",
            "the request pause came after the end of the run: Succeeded",
            id="pause",
        ),
        pytest.param(
            RunPhase.ABORTED, "retry/1",
            "the request retry came after the end of the run: Aborted",
            id="retry of a run that was given up",
        ),
    ],
)  # fmt: skip
def test_a_run_that_is_over_answers(phase: RunPhase, request_: str, told: str) -> None:
    run = begun(gen.run(gen.wave("all", "a")), phase=phase, finished_at=NOON)
    answer = plan.next(run, observed("a", requests=(request_,)), NOON)
    assert (answer.actions, answer.status.phase) == ((), phase)
    assert [entry.message for entry in answer.status.history] == [told]
    assert answer.events == (("Warning", "RequestRefused", told),)
    assert answer.status.history[-1].time == NOON
    again = run.model_copy(update={"status": answer.status})
    assert plan.next(again, observed("a", requests=(request_,)), NOON).status == answer.status


def test_only_the_newest_run_listens() -> None:
    run = begun(gen.run(gen.wave("all", "a")))
    answer = plan.next(run, observed("a", requests=("pause/1",), newest=2), NOON)
    assert answer.status.handled == ()
