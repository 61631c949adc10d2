"""A person asks the hub, and the hub asks the engines: each of those who wait, once.

The engines are real ones. What they do with a request is told in their own stories; here it is who
hears it, and that nobody hears it twice, wherever the hub dies.
"""

import copy
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import Any

import pytest

from fleet.api.fleetrollout import ClusterPhase, RunPhase
from fleet.api.names import ClusterName, request_annotation
from tests.hub import engine, world
from tests.hub.real import Real
from tests.hub.world import World

NAMES = ("a", "b", "c")
PLACE = ("rollouts", "checkout", "checkout")
WAVES = {
    "waves": [
        {"name": "first", "clusters": ["a", "b"], "maxConcurrency": 2},
        {"name": "rest", "remaining": True},
    ]
}
PAUSES: Mapping[str, Any] = {
    "canary": {
        "steps": [
            {"setWeight": 20, "pause": {}},
            {"setWeight": 50, "pause": {"duration": "30m"}},
            {"setWeight": 80, "pause": {}},
        ]
    }
}
TWICE: Mapping[str, Any] = {
    "canary": {"steps": [{"setWeight": 20, "pause": {}}, {"setWeight": 80, "pause": {}}]}
}
ARMS: Mapping[str, Any] = {
    "abTesting": {"variantBMatch": {"cookie": {"name": "variant", "value": "b"}}}
}
JUDGED: Mapping[str, Any] = {
    "blueGreen": {
        "analysis": {
            "prometheus": {"address": "http://prometheus:9090"},
            "metrics": [{"name": "error-rate", "threshold": 5.0}],
        }
    }
}
STRATEGIES = {"paused": PAUSES, "twice": TWICE, "previewed": {"blueGreen": {}}, "tried": ARMS}


def begun(strategy: Mapping[str, Any], engines: Real | None = None) -> World:
    """Run 2 waits in the first wave."""
    here = world.new(*NAMES, strategy=strategy, **WAVES)
    here.engines = engines or Real()
    here = world.settle(here)
    assert here.run.status.phase is RunPhase.SUCCEEDED
    here = world.settle(world.deliver(here, "shop:v2", strategy=strategy, **WAVES))
    return replace(here, log=[], writes=0)


@cache
def made(name: str) -> World:
    return begun(STRATEGIES[name])


def given(name: str) -> World:
    """A world of one's own, engines and all."""
    return copy.deepcopy(made(name))


def asked(here: World, request: str) -> World:
    return world.settle(replace(here, request=request))


def places(here: World) -> dict[str, str]:
    """Where the engines are that have begun."""
    found = ((name, here.items[ClusterName(name)].status.engine) for name in NAMES)
    return {name: one.step for name, one in found if one.step and one.phase != "Completed"}


def asks(here: World) -> list[str]:
    return [" ".join(line.split()[:2]) for line in here.log if " ask " in line]


def told(here: World, reason: str) -> list[str]:
    return [entry.message for entry in here.run.status.history if entry.reason == reason]


def test_a_wait_says_what_to_write() -> None:
    status = given("paused").run.status
    assert status.message == (
        "waiting for a (step 1/3), b (step 1/3); a waits for a person: write the request "
        "promote/<id>/first"
    )
    assert status.unblock == "the request promote/<id>/first"
    assert [row.message for row in status.clusters][:1] == [
        "waits for a person: write the request promote/<id>/first"
    ]


@pytest.mark.parametrize(
    ("request_", "after", "heard"),
    [
        pytest.param("promote/7", {"a": "2/3", "b": "2/3"}, ["a ask", "b ask"], id="all"),
        pytest.param("promote/7/first", {"a": "2/3", "b": "2/3"}, ["a ask", "b ask"], id="a wave"),
        pytest.param("promote/7/b", {"a": "1/3", "b": "2/3"}, ["b ask"], id="a cluster"),
    ],
)
def test_who_waits_is_let_go(request_: str, after: dict[str, str], heard: list[str]) -> None:
    here = asked(given("paused"), request_)
    assert (places(here), asks(here)) == (after, heard)
    names = ", ".join(line.split()[0] for line in heard)
    assert told(here, "Promoted") == [f"asked to go on: {names}"]


@pytest.mark.parametrize(("strategy", "steps"), [("twice", 2), ("previewed", 1)])
def test_a_way_back_that_waits_for_a_person_says_so_and_is_let_go(
    strategy: str, steps: int
) -> None:
    """Who was done goes the steps of the strategy again, and these may wait for somebody."""
    here = given(strategy)
    for number in range(steps):
        here = asked(here, f"promote/{number}/a")
    here = replace(asked(here, "rollback/7"), log=[])
    assert here.run.status.phase is RunPhase.ROLLING_BACK
    assert here.run.status.message.endswith(
        "a waits for a person: write the request promote/<id>/first"
    )
    assert here.run.status.unblock == "the request promote/<id>/first"
    for number in range(steps):
        assert here.run.status.phase is RunPhase.ROLLING_BACK
        here = asked(here, f"promote/{8 + number}")
    assert here.run.status.phase is RunPhase.ROLLED_BACK
    assert (asks(here), here.image("a")) == (["a ask"] * steps, "shop:v1")
    assert told(here, "RequestRefused") == []


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        pytest.param(
            "promote/8",
            "nothing to promote: a goes on by itself (Paused); b goes on by itself (Paused)",
            id="a clock ends it",
        ),
        pytest.param("promote/8/c", "nothing to promote: c is Pending", id="who has not begun"),
        pytest.param(
            "promote/8/q",
            "q is neither a wave of this run (first, rest) nor a cluster of it",
            id="a stranger",
        ),
        pytest.param(
            "conclude/8/a", "nothing to conclude: a goes on by itself (Paused)", id="no experiment"
        ),
    ],
)
def test_who_waits_for_nobody_is_not_asked(request_: str, why: str) -> None:
    here = asked(given("paused"), "promote/7")
    before = len(here.log)
    here = asked(here, request_)
    assert (told(here, "RequestRefused"), here.log[before:]) == ([why], [])


def test_a_preview_takes_over_and_the_next_one_waits() -> None:
    here = asked(given("previewed"), "promote/7/first")
    assert [here.phase(name) for name in "ab"] == [ClusterPhase.SUCCEEDED] * 2
    assert places(here) == {"c": "preview"}, "it has not been asked: nobody had seen it"
    here = asked(here, "promote/8")
    assert here.run.status.phase is RunPhase.SUCCEEDED
    assert asks(here) == ["a ask", "b ask", "c ask"]


class Silent(Real):
    """Previews that nobody has asked for anything: their metrics have no data."""

    def rate(self, image: str, *, bad: bool) -> float | None:
        return None


def test_a_preview_that_nobody_has_tried_is_promoted_by_a_person() -> None:
    here = begun(JUDGED, Silent())
    status = here.run.status
    assert status.message == (
        "waiting for a (preview), b (preview); a is not judged (SamplesInsufficient): "
        "what promotes it all the same is the request promote/<id>/first"
    )
    assert status.unblock == "the request promote/<id>/first"
    assert here.cluster("a").status.reason == "SamplesInsufficient"
    here = asked(here, "conclude/6/a")
    assert told(here, "RequestRefused") == [
        "nothing to conclude: a waits for another request: write promote/<id>/first"
    ]
    here = asked(here, "promote/7/first")
    assert [here.phase(name) for name in "ab"] == [ClusterPhase.SUCCEEDED] * 2


def test_an_experiment_is_concluded_and_then_promoted() -> None:
    here = given("tried")
    assert (
        "a runs its experiment; what ends that at once is the request conclude/<id>/first"
        in here.run.status.message
    )
    here = asked(here, "promote/6")
    assert told(here, "RequestRefused") == [
        "nothing to promote: a waits for another request: write conclude/<id>/first; "
        "b waits for another request: write conclude/<id>/first"
    ]
    here = asked(here, "conclude/7/a")
    assert [here.cluster(name).status.engine.phase for name in "ab"] == [
        "Concluded",
        "Experimenting",
    ]
    assert told(here, "Concluded") == ["asked to conclude the experiment: a"]
    here = asked(asked(here, "promote/8/first"), "conclude/9")
    assert here.phase("a") is ClusterPhase.SUCCEEDED
    assert here.cluster("b").status.engine.phase == "Concluded"
    assert asks(here) == ["a ask", "a ask", "b ask"]


def writes() -> int:
    return asked(given("paused"), "promote/7").writes


@pytest.mark.parametrize("crash_at", range(1, writes() + 1))
def test_wherever_the_hub_dies_each_is_asked_once(crash_at: int) -> None:
    """After each single write from the request on, also in the midst of those who are asked."""
    here = asked(replace(given("paused"), crash_at=crash_at), "promote/7")
    assert here.crash_at is None
    assert (places(here), asks(here)) == ({"a": "2/3", "b": "2/3"}, ["a ask", "b ask"])
    assert (told(here, "Promoted"), here.run.status.handled) == (["asked to go on: a, b"], ("7",))


def test_a_hub_that_dies_in_between_asks_nobody_who_has_gone_on() -> None:
    """The run could not say any more that it had asked a, which stands at another pause by now."""
    here = world.tick(replace(given("twice"), request="promote/7", crash_at=1))
    assert here.run.status.handled == ()
    here = world.settle(here)
    assert (places(here), asks(here)) == ({"a": "2/2", "b": "2/2"}, ["a ask", "b ask"])


def carried(here: World, **changes: Any) -> World:
    """The run has asked, and something happens before the clusters hear it."""
    after = world.tick(replace(here, request="promote/7", crash_at=3))
    assert asks(after) == []
    assert after.cluster("b").spec.request is not None
    return replace(after, **changes)


def test_who_cannot_be_reached_is_asked_soon_or_not_at_all() -> None:
    here = world.lose(carried(given("paused")), "b")
    here = world.tick(world.tick(here))
    assert asks(here) == ["a ask"]
    soon = world.settle(world.regain(copy.deepcopy(here), "b"))
    assert asks(soon) == ["a ask", "b ask"]
    late = replace(here, now=here.now + timedelta(minutes=6))
    late = world.settle(world.regain(late, "b"))
    assert (asks(late), places(late)["b"]) == (["a ask"], "1/3")
    assert told(asked(late, "promote/8"), "Promoted")[-1] == "asked to go on: b"


def test_a_request_dies_with_what_it_was_about() -> None:
    here = carried(given("paused"), request="rollback/8")
    assert asks(world.settle(here)) == []
    stopped = world.settle(carried(given("paused"), request="pause/8"))
    here = world.settle(replace(stopped, request="resume/9"))
    assert (places(here), asks(here)) == ({"a": "1/3", "b": "1/3"}, [])


def test_somebody_who_asks_the_engine_himself_is_enough() -> None:
    """His is the one that counts: the pause behind it is nobody's request."""
    here = carried(given("twice"))
    one = engine.own(here.objects[ClusterName("b")], *PLACE)
    one["metadata"]["annotations"][request_annotation("promote")] = "true"
    here = world.settle(here)
    assert (places(here), asks(here)) == ({"a": "2/2", "b": "2/2"}, ["a ask"])
