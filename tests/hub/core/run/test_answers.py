"""The words with which requests are answered, and what stays of them in the status.

What requests do is in `test_requests`.
"""

import pytest

from fleet.hub.core.run import plan
from tests.conftest import NOON
from tests.hub import gen
from tests.hub.scene import BAD, begun, observed

SIX = "abcdef"
LONG = "x" * 300
BROKEN = [gen.item(name, BAD, reason="Timeout") for name in SIX]


@pytest.mark.parametrize(
    ("request_", "items", "status", "told"),
    [
        pytest.param("retry/2", [gen.item("a")], {}, "nothing to retry: none has failed",
                     id="nobody has failed"),
        pytest.param("retry/2", BROKEN, {"halted_at": NOON, "phase": "Halted"},
                     "retry of 6: a, b, c, d, e, by jane", id="five of those that are tried again"),
        pytest.param("resume/2", BROKEN, {"halted_at": NOON, "phase": "Halted"},
                     "resumed by request of jane; accepted as failed: a, b, c, d, e",
                     id="five of those that are accepted"),
        pytest.param("resume/2", BROKEN[:1], {"paused": True},
                     "resumed by request of jane", id="the end of a pause accepts nobody"),
        pytest.param("skip/2", [], {}, "nothing is neither a wave of this run (all) nor a cluster "
                     "of it", id="nobody to leave out"),
        pytest.param("skip/2/a", [], {}, "left out: a, by jane", id="one that is left out"),
        pytest.param("pause/2", [], {}, "paused by request of jane", id="who has paused it"),
        pytest.param("abort/2", [], {}, "aborted by request of jane", id="who has ended it"),
        pytest.param("rollback/2/q", [], {}, "q is neither a wave of this run (all) nor a cluster "
                     "of it", id="a stranger to send back"),
        pytest.param("rollback/2", [], {}, "nothing to roll back: no cluster has been updated",
                     id="nobody to send back"),
        pytest.param("rollback/2/b", [gen.item("a", good=7)], {},
                     "nothing to roll back: no cluster of it has been updated",
                     id="nobody of that name to send back"),
        pytest.param("rollback/2", [gen.item("a"), gen.item("b")], {},
                     "nothing to roll back: nothing ran well before this run in a, b",
                     id="nowhere to send them"),
        pytest.param("rollback/2/a", [gen.item("a", good=7)], {}, "a goes back, asked for by jane",
                     id="a cluster goes back"),
        pytest.param("rollback/2/all", [gen.item("a", good=7)], {},
                     "all goes back, asked for by jane", id="a wave goes back"),
        pytest.param("promote/2", [gen.item("a")], {},
                     "nothing to promote: a is Progressing; b is Pending",
                     id="nothing to let through"),
        pytest.param(f"approve/2/{LONG}:x", [], {}, f"the approval is for plan x, this run's is "
                     f"{{digest}}: look at it, then write approve/<id>/{LONG}:{{digest}}",
                     id="another plan"),
        pytest.param("approve/2", [], {}, "an approval names wave and plan: write "
                     "approve/<id>/<wave>:{digest}", id="an approval of nothing"),
        pytest.param(f"approve/2/all:{LONG}", [], {}, f"the approval is for plan {LONG[:64]}, this "
                     "run's is {digest}: look at it, then write approve/<id>/all:{digest}",
                     id="a plan of many words"),
        pytest.param(f"promote/2/{LONG}", [], {},
                     f"{LONG[:64]} is neither a wave of this run (all) nor a cluster of it",
                     id="no wave"),
        pytest.param(f"undo/2/{LONG}", [], {},
                     f"{LONG[:64]} is no former run of this Application: there is no former one",
                     id="no run"),
        pytest.param(LONG, [], {}, f"the request {LONG[:100]} is not understood", id="no request"),
        pytest.param("resume/2", [], {"phase": "AwaitingApproval", "message": "wave b waits"},
                     "nothing to resume: wave b waits", id="a resume of what waits for a person"),
        pytest.param("resume/2", [], {}, "nothing to resume: nobody has paused it",
                     id="a resume of what goes on"),
        pytest.param("pause/2", [gen.item("a", good=7)], {"undo": {"fleet": True}},
                     "the request pause came too late: the run is rolled back",
                     id="a pause of a way back"),
    ],
)  # fmt: skip
def test_what_is_answered(
    request_: str, items: list[object], status: dict[str, object], told: str
) -> None:
    run = begun(gen.run(gen.wave("all", *SIX, max_concurrency=6)), **status)
    world = observed(*SIX, items=items, requests=(request_,), authors={request_: "jane"})
    found = plan.next(run, world, NOON).status
    wanted = told.format(digest=found.plan_digest)[:150]
    messages = [entry.message[:150] for entry in found.history]
    assert any(text == wanted or text.startswith(f"{wanted}: write ") for text in messages)
    assert found.handled == (("2",) if "/" in request_ else (LONG[:253],))


def test_a_retry_forgets_only_those_that_are_tried_again() -> None:
    status = {"halted_at": NOON, "phase": "Halted", "accepted": ("a", "b"), "retrying": ("c",)}
    run = begun(gen.run(gen.wave("all", *SIX)), **status)
    waiting = observed(*SIX, items=BROKEN, requests=("retry/2/a",), isolated=True)
    after = plan.next(run, waiting, NOON).status
    assert (after.accepted, after.retrying) == (("b",), ("a", "c"))


def test_a_run_that_went_elsewhere_is_named_with_its_place() -> None:
    before = begun(gen.run(gen.wave("all", "a"), number=1), phase="Succeeded", finished_at=NOON)
    there = before.spec.application.spec.destination.model_copy(update={"namespace": None})
    spec = before.spec.application.spec.model_copy(update={"destination": there})
    snapshot = before.spec.application.model_copy(update={"spec": spec})
    before = before.model_copy(
        update={"spec": before.spec.model_copy(update={"application": snapshot})}
    )
    run = begun(gen.run(gen.wave("all", "a"), number=2))
    world = observed("a", newest=2, former=(before,), requests=("undo/5",))
    status = plan.next(run, world, NOON).status
    assert status.history[-1].message == (
        "checkout-1 went to fleet production, namespace its own, checkout-2 does not: change "
        "spec.destination of the Application"
    )


def test_of_a_run_that_was_given_up_no_part_goes_back() -> None:
    run = begun(gen.run(gen.wave("all", "a")), phase="Aborted", finished_at=NOON)
    world = observed("a", items=[gen.item("a", good=7)], requests=("rollback/2/a",))
    answer = plan.next(run, world, NOON)
    (entry,) = answer.status.history
    told = "the run was aborted: only all of it can be rolled back"
    assert (answer.actions, entry.reason, entry.message) == ((), "RequestRefused", told)


def test_a_long_answer_about_those_who_leave_is_cut() -> None:
    world = observed("a", requests=(f"confirm-prune/2/{LONG}",), leaving="3f2a")
    status = plan.next(begun(gen.run(gen.wave("all", "a"))), world, NOON).status
    told = f"those who wait now are others than {LONG[:64]}: look at condition Pruned, then "
    assert any(entry.message.startswith(told) for entry in status.history)


@pytest.mark.parametrize(("by", "end"), [("jane", ", asked for by jane"), ("", "")])
def test_an_undo_says_what_comes_and_who_has_asked(by: str, end: str) -> None:
    good = {"phase": "Succeeded", "finished_at": NOON}
    before = begun(gen.run(gen.wave("all", "a"), number=1), **good)
    run = begun(gen.run(gen.wave("all", "a"), number=2))
    authors = {"undo/5": by} if by else {}
    world = observed("a", newest=2, former=(before,), requests=("undo/5",), authors=authors)
    status = plan.next(run, world, NOON).status
    assert status.undo_to == "checkout-1"
    told = f"checkout-1 is delivered again, revision rev1{end}"
    assert ("Undone", told) in [(entry.reason, entry.message) for entry in status.history]


def test_a_way_back_ends_a_halt() -> None:
    status = {"halted_at": NOON, "phase": "Halted", "retrying": ("a",)}
    run = begun(gen.run(gen.wave("all", "a", "b")), **status)
    items = [gen.item("a", BAD, good=7), gen.item("b", good=7)]
    world = observed("a", "b", items=items, requests=("rollback/2",))
    status = plan.next(run, world, NOON).status
    assert (status.halted_at, status.retrying, status.phase) == (None, (), "RollingBack")


@pytest.mark.parametrize(
    ("argument", "undo"),
    [
        pytest.param("", {"fleet": True}, id="the whole run"),
        pytest.param("/eu", {"waves": ["eu"]}, id="a wave"),
        pytest.param("/a", {"clusters": ["a"]}, id="a cluster"),
    ],
)
def test_what_goes_back_is_remembered(argument: str, undo: dict[str, object]) -> None:
    run = begun(gen.run(gen.wave("eu", "a", "b"), gen.wave("us", "c")))
    world = observed(
        "a", "b", "c", items=[gen.item("a", good=7)], requests=(f"rollback/2{argument}",)
    )
    status = plan.next(run, world, NOON).status
    assert status.undo is not None
    known = status.undo.model_dump(by_alias=True, exclude_defaults=True, mode="json")
    assert known == {**undo, "message": "asked for"}
    more = begun(run, undo={"waves": ["us"], "clusters": ["c"]})
    again = plan.next(more, world, NOON).status.undo
    assert again is not None
    assert (again.waves, again.clusters) == (
        ("us", *undo.get("waves", ())), ("c", *undo.get("clusters", ()))  # type: ignore[misc]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("verb", "undo_to", "refused"),
    [
        pytest.param("abort", "checkout-0", False, id="an undo that is hindered is given up"),
        pytest.param("pause", "checkout-0", True, id="nothing else is done about it"),
        pytest.param("abort", "", True, id="without one there is nothing to give up"),
    ],
)
def test_after_the_end_only_an_undo_is_given_up(verb: str, undo_to: str, refused: bool) -> None:
    run = begun(gen.run(gen.wave("all", "a")), phase="Succeeded", finished_at=NOON, undo_to=undo_to)
    answer = plan.next(run, observed("a", requests=(f"{verb}/1",)), NOON)
    late = f"the request {verb} came after the end of the run: Succeeded"
    assert (late in [entry.message for entry in answer.status.history]) is refused
    assert answer.status.undo_to == (undo_to if refused else "")
