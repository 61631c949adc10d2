"""What APP and RUN may look like, and what is meant by them."""

import contextlib
from collections.abc import Mapping
from typing import Any

import pytest

from fleet.api import names
from fleet.api.fleetrollout import Appended, FleetRollout
from fleet.cli.runs import place, show
from fleet.cli.runs.place import Place, Target
from fleet.errors import UserError
from tests.cli.runs import scenes
from tests.shell import fleet


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        pytest.param("checkout", None, id="a name alone"),
        pytest.param("fapp/checkout", names.APPLICATIONS, id="the short form of Applications"),
        pytest.param("Application/checkout", names.APPLICATIONS, id="their kind"),
        pytest.param(
            "applications.fleet.kulta.io/checkout", names.APPLICATIONS, id="as kubectl prints them"
        ),
        pytest.param("fr/checkout", names.FLEETROLLOUTS, id="the short form of runs"),
        pytest.param(
            "fleetrollout.fleet.kulta.io/checkout", names.FLEETROLLOUTS, id="as get -o name does"
        ),
    ],
)
def test_a_name_may_have_its_kind(word: str, kind: names.Resource | None) -> None:
    assert place.plain(word) == (kind, "checkout")


@pytest.mark.parametrize("word", ["ro/checkout", "fr/"])
def test_another_kind_is_a_mistake(word: str) -> None:
    with pytest.raises(UserError, match="write fapp/NAME, fr/NAME or NAME") as error:
        place.plain(word)
    assert error.value.reason == "Usage"


def test_an_application_is_seen_once_the_hub_has_looked_at_its_spec() -> None:
    before, after = scenes.unseen(), scenes.second()
    assert Target(application=before.application, run=before.run).is_unseen
    assert not Target(application=after.application, run=after.run).is_unseen
    assert not Target(application=None, run=after.run).is_unseen


def test_who_joined_is_a_cluster_of_the_run() -> None:
    run = scenes.second().run
    joined = run.status.model_copy(update={"appended": (Appended(name="d", wave="rest"),)})
    assert place.clusters_of(run.model_copy(update={"status": joined})) == ["a", "b", "c", "d"]


LINES = [
    pytest.param([], "ch", ["checkout", "checkout-1", "checkout-2"], id="everything with a name"),
    pytest.param([], "fapp/", ["fapp/checkout"], id="Applications alone"),
    pytest.param([], "fr/", ["fr/checkout-1", "fr/checkout-2"], id="runs alone"),
    pytest.param([], "ro/", [], id="what a hub does not have"),
    pytest.param(["checkout", "--wave"], "", ["canary", "rest"], id="after the name"),
    pytest.param(["-n", "shop", "checkout", "--wave"], "r", ["rest"], id="after an option more"),
    pytest.param(["checkout", "-n", "shop", "--cluster"], "", ["a", "b", "c"], id="clusters"),
    pytest.param(["--cluster"], "", [], id="before anything is named"),
]


@pytest.mark.parametrize(("words", "begun", "offered"), LINES)
def test_a_shell_is_offered_what_the_hub_has(
    monkeypatch: pytest.MonkeyPatch, words: list[str], begun: str, offered: list[str]
) -> None:
    """It asks in the middle of a line, where an option has no value yet."""

    class Hub:
        namespace = "shop"

        def applications(self) -> list[dict[str, Any]]:
            return [{"metadata": {"name": "checkout"}}]

        def all_runs(self, _: str) -> list[FleetRollout]:
            return list(scenes.second().runs.values())

        def target(self, word: str) -> Target:
            if word != "checkout":
                raise UserError("NotFound", word)
            return Target(application=None, run=scenes.second().run)

    monkeypatch.setattr(place, "reached", lambda *_: contextlib.nullcontext(Hub()))
    line = " ".join(["fleet", "rollback", *words, begun])
    done = fleet(
        COMP_WORDS=line,
        COMP_CWORD=str(len(words) + 2),
        _FLEET_COMPLETE="complete_bash",
    )
    assert done.stdout.split() == offered


class Emptied:
    """A hub whose runs have gone since the command looked first."""

    def request(self, method: str, path: str, *, query: Mapping[str, str]) -> dict[str, Any]:
        return {"items": []}


def test_a_run_that_goes_meanwhile_is_told() -> None:
    hub = Place(access=Emptied(), namespace="shop")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="checkout-2 was deleted meanwhile") as error:
        show.seen(hub, Target(application=None, run=scenes.second().run))
    assert error.value.reason == "NotFound"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(("skip", "checkout"), "write --cluster NAME or --wave NAME", id="nobody"),
        pytest.param(
            ("rollback", "x", "--wave", "w", "--cluster", "c"), "write one of them", id="two"
        ),
        pytest.param(("wait", "x", "--for", "luck"), "--for luck: write one of", id="no phase"),
        pytest.param(("wait", "x", "--timeout", "soon"), "--timeout: 'soon'", id="no time"),
        pytest.param(("watch", "x", "-o", "json"), "write table or wide", id="no such form"),
        pytest.param(("simulate", "x", "--each", "soon"), "--each: 'soon'", id="no length"),
    ],
)
def test_a_typing_error_is_told_before_anybody_is_asked(words: tuple[str, ...], said: str) -> None:
    done = fleet(*words)
    assert (done.returncode, said in done.stderr) == (2, True), done
