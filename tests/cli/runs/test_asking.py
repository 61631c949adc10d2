"""What the verbs write and hear, with the hub's own planner on the other side."""

import pytest

from fleet.api.application import Application
from fleet.api.conditions import Condition
from fleet.cli.main import COMMANDS, RUNS
from fleet.cli.runs import asking
from fleet.cli.runs.asking import Wish
from fleet.errors import UserError
from fleet.hub.core.application.leaving import awaited
from fleet.hub.core.run import requests
from tests.cli.runs import scenes
from tests.cli.runs.scenes import Scene
from tests.hub import world

DONE = [
    pytest.param(Wish(verb="pause"), scenes.progressing, "paused by request", id="a run is paused"),
    pytest.param(Wish(verb="resume"), scenes.paused, "resumed by request", id="and goes on"),
    pytest.param(
        Wish(verb="resume"),
        scenes.halted,
        "resumed by request; accepted as failed: a",
        id="out of a halt",
    ),
    pytest.param(
        Wish(verb="approve"),
        scenes.awaiting_approval,
        "wave canary is approved, plan",
        id="the wave that waits is approved",
    ),
    pytest.param(
        Wish(verb="promote"),
        scenes.awaiting_promotion,
        "wave canary is let through",
        id="the wave that waits is let through",
    ),
    pytest.param(
        Wish(verb="promote", cluster="a"), scenes.pausing, "asked to go on: a", id="an engine"
    ),
    pytest.param(
        Wish(verb="promote", wave="canary"), scenes.pausing, "asked to go on: a", id="or a wave"
    ),
    pytest.param(
        Wish(verb="skip", cluster="b"), scenes.progressing, "left out: b", id="one is left out"
    ),
    pytest.param(
        Wish(verb="skip", wave="rest"), scenes.progressing, "left out: b, c", id="or a wave"
    ),
    pytest.param(Wish(verb="retry"), scenes.halted, "retry of 1: a", id="the failed again"),
    pytest.param(
        Wish(verb="rollback"), scenes.second, "the whole run goes back, asked for", id="all back"
    ),
    pytest.param(
        Wish(verb="rollback", cluster="a"), scenes.second, "a goes back, asked for", id="one back"
    ),
    pytest.param(
        Wish(verb="undo"), scenes.third, "checkout-2 is delivered again, revision", id="the last"
    ),
    pytest.param(
        Wish(verb="undo", to="checkout-1"),
        scenes.third,
        "checkout-1 is delivered again, revision",
        id="a former run",
    ),
    pytest.param(Wish(verb="abort"), scenes.progressing, "aborted by request", id="it is ended"),
]


@pytest.mark.parametrize(("wish", "scene", "words"), DONE)
def test_a_request_is_done_and_its_answer_is_found(wish: Wish, scene: Scene, words: str) -> None:
    _, answer = scenes.asked(scene(), wish)
    assert answer is not None
    assert (answer.refused, answer.text.startswith(words)) == (False, True), answer


@pytest.mark.parametrize("verb", ["pause", "rollback"])
def test_a_run_that_was_rolled_back_is_not_said_to_go_back_once_more(verb: str) -> None:
    back = world.settle(scenes.second(), request="rollback/1")
    assert back.run.status.phase == "RolledBack"
    _, answer = scenes.asked(back, Wish(verb=verb))
    assert answer is not None
    assert answer.text.endswith(
        "; fleet undo checkout-2 delivers a former run again, and a change of Application checkout "
        "begins the next run"
    )


def test_those_who_left_may_go_also_after_the_end() -> None:
    here = scenes.left()
    yes = Wish(verb="confirm-prune", plan=awaited(here.application.status))
    _, answer = scenes.asked(here, yes)
    assert answer == asking.Answer(refused=False, text="those who have left may go")


REFUSED = [
    pytest.param(
        Wish(verb="confirm-prune", plan="00000000"),
        scenes.left,
        "those who wait now are others than 00000000: look at condition Pruned",
        id="a yes to others than those who left",
    ),
    pytest.param(
        Wish(verb="pause"),
        scenes.succeeded,
        "fleet rollback checkout-1 takes it back, and a change of Application checkout begins",
        id="after the end",
    ),
    pytest.param(
        Wish(verb="approve", wave="rest"),
        scenes.awaiting_approval,
        "wave rest does not wait for an approval now",
        id="a wave whose turn has not come",
    ),
    pytest.param(
        Wish(verb="retry", cluster="b"), scenes.halted, "b has not failed in this run", id="no need"
    ),
    pytest.param(
        Wish(verb="undo", to="checkout-9"), scenes.second, "checkout-9", id="a run of no time"
    ),
    pytest.param(
        Wish(verb="skip", cluster="a"), scenes.halted, "no cluster of a still has to go", id="late"
    ),
]


@pytest.mark.parametrize(("wish", "scene", "words"), REFUSED)
def test_a_refusal_of_the_hub_is_told_as_such(wish: Wish, scene: Scene, words: str) -> None:
    _, answer = scenes.asked(scene(), wish)
    assert answer is not None
    assert (answer.refused, words in answer.text) == (True, True), answer


UNWRITTEN = [
    pytest.param(
        Wish(verb="skip", cluster="z"),
        "--cluster z: checkout-1 has none of that name: name one of a, b, c",
        id="a cluster that there is not",
    ),
    pytest.param(
        Wish(verb="approve", wave="eu"), "name one of canary, rest", id="a wave that there is not"
    ),
    pytest.param(
        Wish(verb="approve", plan="00000000"),
        "not 00000000: look at it (fleet describe checkout-1), then fleet approve checkout-1",
        id="a plan that is another one now",
    ),
]


@pytest.mark.parametrize(("wish", "words"), UNWRITTEN)
def test_what_stands_in_no_plan_is_not_written(wish: Wish, words: str) -> None:
    with pytest.raises(UserError) as error:
        asking.text(wish, scenes.awaiting_approval().run, 1, "x1")
    assert words in str(error.value)


def test_a_run_that_listens_no_more_names_the_one_that_does() -> None:
    old = scenes.second().runs["checkout-1"]
    with pytest.raises(UserError, match="checkout-2 is the newest run: fleet pause checkout"):
        asking.text(Wish(verb="pause"), old, 2, "x1")


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        pytest.param(Wish(verb="skip"), "skip whom?", id="nobody is named"),
        pytest.param(
            Wish(verb="rollback", wave="rest", cluster="a"), "write one of them", id="two are"
        ),
    ],
)
def test_a_wish_that_could_mean_anything_is_a_typing_error(wish: Wish, words: str) -> None:
    with pytest.raises(UserError, match=words) as error:
        asking.checked(wish)
    assert error.value.reason == "Usage"


def test_no_answer_is_heard_before_it_is_given() -> None:
    run = scenes.progressing().run
    assert asking.answer(run.status.history, run, "pause", "x1") is None


def test_an_answer_is_found_in_a_history_that_is_full() -> None:
    here = scenes.progressing()
    entries = here.run.status.history * 20
    full = here.run.status.model_copy(update={"history": entries[:50]})
    here.runs["checkout-1"] = here.run.model_copy(update={"status": full})
    _, answer = scenes.asked(here, Wish(verb="pause"))
    assert answer == asking.Answer(refused=False, text="paused by request")


ASKED = (
    "ap-1, ap-2 left fleet production: 2 of 5 clusters are more than maxPrune: 25% lets go: take "
    "them back into the fleet, or confirm with the request confirm-prune/<id>/3f2a9c01"
)


@pytest.mark.parametrize(
    ("waits", "plan", "said"),
    [
        pytest.param(False, "3f2a9c01", "nobody waits to be let go", id="nobody has left"),
        pytest.param(True, "00000000", "confirm-prune checkout --plan 3f2a9c01", id="others have"),
        pytest.param(True, "", "ap-1, ap-2 left fleet production", id="nothing is named"),
    ],
)
def test_a_yes_to_nobodys_question_is_not_given(waits: bool, plan: str, said: str) -> None:
    application = leaving(waits)
    with pytest.raises(UserError, match=said):
        asking.check_leaving(Wish(verb="confirm-prune", plan=plan), application)


def test_a_yes_to_the_question_is() -> None:
    asking.check_leaving(Wish(verb="confirm-prune", plan="3f2a9c01"), leaving(True))


def leaving(waits: bool) -> Application:
    """One whose clusters have left, if they wait for an answer."""
    found = scenes.succeeded().application
    asked = Condition(type="Pruned", status="False", reason="PruneNeedsConfirmation", message=ASKED)
    status = found.status.model_copy(update={"conditions": (asked,) if waits else ()})
    return found.model_copy(update={"status": status})


SPOKEN = [
    pytest.param(
        "the request approve/<id>/canary:3f9c21d0",
        "fleet approve checkout-4 --wave canary --plan 3f9c21d0",
        id="an approval",
    ),
    pytest.param(
        "for a person: write the request promote/<id>/eu",
        "for a person: fleet promote checkout-4 --wave eu",
        id="a promotion",
    ),
    pytest.param(
        "a waits for a person: write the request promote/<id>/eu",
        "a waits for a person: fleet promote checkout-4 --wave eu",
        id="a pause",
    ),
    pytest.param(
        "what ends that at once is the request conclude/<id>/eu",
        "what ends that at once is fleet conclude checkout-4 --wave eu",
        id="an experiment",
    ),
    pytest.param(
        "confirm with the request confirm-prune/<id>/3f2a9c01",
        "confirm with fleet confirm-prune checkout-4 --plan 3f2a9c01",
        id="a confirmation",
    ),
    pytest.param(
        "the request skip/<id>/eu-7", "fleet skip checkout-4 --cluster eu-7", id="a cluster"
    ),
    pytest.param(
        "paused by request: write the request resume",
        "paused by request: fleet resume checkout-4",
        id="a verb alone",
    ),
    pytest.param(
        "the request pause came after the end of the run: Succeeded",
        "the request pause came after the end of the run: Succeeded",
        id="what was asked for stays as it was asked",
    ),
    pytest.param("write <verb>/<id>", "write <verb>/<id>", id="what names no verb stays"),
    pytest.param("a/<id>", "a/<id>", id="nor does a word that is none"),
]


@pytest.mark.parametrize(("words", "spoken"), SPOKEN)
def test_requests_are_told_as_commands(words: str, spoken: str) -> None:
    assert asking.spoken(words, "checkout-4") == spoken


def test_what_the_run_waits_for_is_told_as_a_command_that_works() -> None:
    run = scenes.awaiting_approval().run
    digest = run.status.plan_digest
    assert asking.spoken(run.status.unblock, run.name) == (
        f"fleet approve checkout-1 --wave canary --plan {digest}"
    )


def test_the_hub_understands_every_verb_that_is_a_command() -> None:
    assert set(asking.VERBS) <= set(requests.VERBS)
    verbs = {name for name, module in RUNS.items() if module == "verbs"}
    assert verbs == set(asking.VERBS)
    assert set(RUNS) <= set(COMMANDS)
