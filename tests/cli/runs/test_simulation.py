"""`fleet simulate` plays what the hub does: the same order as the whole hub, on its own clock."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from fleet.api.fleetrollout import ClusterPhase, RunPhase
from fleet.cli.runs import inputs, planned, simulation, tale
from fleet.cli.runs.imitation import Habits
from fleet.cli.runs.simulation import Loss, Script, Tale
from fleet.errors import UserError
from fleet.hub.core import phases
from tests import search
from tests.cli.rollouts.test_pictures import on_paper
from tests.cli.runs import scenes
from tests.conftest import NOON, Golden
from tests.hub import world
from tests.hub.core.run.test_properties import policy
from tests.hub.world import World

FOLDER = Path(__file__).parents[2] / "golden" / "runs"
NAMES = ("a", "b", "c", "d", "e")
REST: Mapping[str, Any] = {"name": "rest", "remaining": True, "maxConcurrency": 2}
CANARY: Mapping[str, Any] = {"name": "canary", "clusters": ["c"]}


def told(here: World, script: Script) -> Tale:
    found = scenes.known(here)
    return simulation.play(found, inputs.due(found), script, here.now)


def ran(here: World) -> World:
    """Ticks until the newest run is over or halted; soaks and intervals are waited for."""
    for _ in range(100):
        here = world.tick(here)
        if here.run.status.phase in {*phases.ENDS, RunPhase.HALTED}:
            break
    return here


def before(**policy: Any) -> World:
    """Everybody has v1, and v2 is asked for."""
    here = ran(world.new(*NAMES, **policy))
    assert here.run.status.phase is RunPhase.SUCCEEDED
    return world.deliver(here, "shop:v2", **policy)


SAME = [
    pytest.param({}, (), (), id="one after the other"),
    pytest.param({"waves": [CANARY, REST]}, (), (), id="waves"),
    pytest.param({"waves": [CANARY, REST]}, ("c",), (), id="a halt in the first wave"),
    pytest.param(
        {"waves": [CANARY, {**REST, "failureBudget": 1}], "haltOnFirstFailedAnalysis": False},
        ("a",),
        (),
        id="a failure that the budget bears",
    ),
    pytest.param(
        {"waves": [CANARY, REST], "onFailure": "Rollback", "haltOnFirstFailedAnalysis": False},
        ("d",),
        (),
        id="a way back",
    ),
    pytest.param({"waves": [CANARY, REST]}, (), ("a",), id="one that is put off"),
    pytest.param(
        {"waves": [CANARY, REST], "unavailableClusters": {"policy": "Block"}},
        (),
        ("a",),
        id="one for which its wave waits",
    ),
    pytest.param(
        {"waves": [CANARY, REST], "unavailableClusters": {"policy": "Skip"}},
        (),
        ("c",),
        id="one that is left out",
    ),
    pytest.param({"limits": {"minInterval": "2m"}, "maxConcurrency": 3}, (), (), id="an interval"),
    pytest.param({"waves": [{**CANARY, "after": [{"soak": "5m"}]}, REST]}, (), (), id="a soak"),
]


@pytest.mark.parametrize(("policy", "bad", "lost"), SAME)
def test_the_order_is_that_of_the_hub(
    policy: dict[str, Any], bad: tuple[str, ...], lost: tuple[str, ...]
) -> None:
    here = before(**policy)
    known = len(here.started)
    script = Script(
        habits=Habits(each=40.0, failing=frozenset(bad)), losses=[Loss(names=frozenset(lost))]
    )
    played = told(here, script)
    real = ran(world.lose(replace(here, bad=frozenset(bad)), *lost))
    assert [str(name) for name in real.started[known:]] == list(played.started)[
        : len(real.started) - known
    ]
    if not lost:  # the simulation goes on to time-outs, the world stops where nothing moves
        assert played.run.status.phase is real.run.status.phase
        assert len(played.started) == len(real.started) - known


def test_a_soak_and_an_approval_take_their_time() -> None:
    """40 s, a soak of ten minutes, and twice 40 s after somebody has said yes."""
    played = told(scenes.new({"soak": "10m"}, {"approval": {}}), Script(habits=Habits(each=40.0)))
    assert played.run.status.phase is RunPhase.SUCCEEDED
    assert played.length == timedelta(seconds=40 + 600 + 80)
    assert [
        item.reason for item in played.happenings if item.reason in ("Approved", "Soaking")
    ] == [
        "Soaking",
        "Approved",
    ]


def test_a_paused_gate_is_opened_and_a_hook_says_yes() -> None:
    hook = {"hook": {"url": "https://gate.example.com/ok"}}
    played = told(scenes.new({"paused": True}, hook), Script(habits=Habits(each=10.0)))
    assert played.run.status.phase is RunPhase.SUCCEEDED
    assert "Promoted" in {item.reason for item in played.happenings}


def test_a_policy_that_is_paused_stands_still() -> None:
    played = told(scenes.new(paused=True), Script(habits=Habits(each=10.0)))
    assert (played.is_over, played.started) == (False, ())
    assert played.run.status.phase is RunPhase.PAUSED


def test_one_that_comes_back_goes_last() -> None:
    away = Loss(names=frozenset({"b"}), begin=0.0, end=3600.0)
    played = told(before(), Script(habits=Habits(each=60.0), losses=[away]))
    assert played.started == ("a", "c", "d", "e", "b")
    assert played.run.status.phase is RunPhase.SUCCEEDED
    assert played.length == timedelta(seconds=3660)


def test_one_that_is_lost_on_its_way_counts_in_the_end() -> None:
    away = Loss(names=frozenset({"a"}), begin=30.0)
    played = told(before(), Script(habits=Habits(each=60.0), losses=[away]))
    assert played.run.status.phase is RunPhase.HALTED
    assert played.length == timedelta(hours=2, seconds=30)


def test_a_deadline_is_played_too() -> None:
    """Two hours for a cluster are too long for a wave that gives it thirty minutes."""
    played = told(before(), Script(habits=Habits(each=7200.0)))
    assert played.run.status.phase is RunPhase.HALTED
    assert played.items["a"].status.phase is ClusterPhase.PROGRESSING
    assert any(item.reason == "TimedOut" for item in played.happenings)


def test_a_hub_that_loses_many_at_once_suspects_itself() -> None:
    away = Loss(names=frozenset({"a", "b", "c"}), begin=30.0, end=600.0)
    played = told(before(), Script(habits=Habits(each=60.0), losses=[away]))
    assert played.run.status.phase is RunPhase.SUCCEEDED
    assert not {"TimedOut", "Unreachable"} & {item.reason for item in played.happenings}


def test_a_story_is_as_it_was_read(golden: Golden) -> None:
    """With the clock of a test: the beginning is noon."""
    here = replace(
        before(
            waves=[CANARY, {**REST, "failureBudget": 1}],
            haltOnFirstFailedAnalysis=False,
            onFailure="Rollback",
        ),
        now=NOON,
    )
    script = Script(
        habits=Habits(each=600.0, failing=frozenset({"d"})),
        losses=[Loss(names=frozenset({"a"}), begin=60.0)],
    )
    guess = planned.Estimate(seconds=600.0, source="as you say")
    played = told(here, script)
    text = on_paper(tale.lines(played, script, guess, 100), 100)
    golden.check(FOLDER / "story.txt", scenes.lasting(text, played.run))


WRITTEN = [
    pytest.param("a", frozenset("a"), 0.0, None, id="one by name"),
    pytest.param("ring=rest@10m", frozenset("bc"), 600.0, None, id="some by label, later"),
    pytest.param("a@10m-2h", frozenset("a"), 600.0, 7200.0, id="for a while"),
    pytest.param("a@-2h", frozenset("a"), 0.0, 7200.0, id="till then"),
]


@pytest.mark.parametrize(("word", "names", "begin", "end"), WRITTEN)
def test_losses_are_written_so(
    word: str, names: frozenset[str], begin: float, end: float | None
) -> None:
    members = {str(name): one for name, one in scenes.new().members.items()}
    assert tale.losses([word], members) == [Loss(names=names, begin=begin, end=end)]


@pytest.mark.parametrize(
    ("word", "said"),
    [
        pytest.param("z", "name one of a, b, c, or write label=value", id="nobody"),
        pytest.param("a@", "a@: write NAME or label=value, @10m for later", id="a time left out"),
        pytest.param("a@soon", "@10m for later, @10m-2h for a while", id="no time"),
        pytest.param("a@9999m", "out of range", id="too late"),
        pytest.param("a@2h-1h", "it would end before it begins", id="backwards"),
    ],
)
def test_a_loss_that_cannot_be_is_a_typing_error(word: str, said: str) -> None:
    members = {str(name): one for name, one in scenes.new().members.items()}
    with pytest.raises(UserError, match=said) as error:
        tale.losses([word], members)
    assert error.value.reason == "Usage"


START = world.settle(world.new(*NAMES, maxConcurrency=5))
"""Everybody has v1."""
ALONE = ("soak", "schedule")
"""Gates that time opens, without anybody."""


def in_order(seed: int) -> None:
    """A random world, played and lived; when a halt or a time-out comes is not the same in both."""
    dice = Random(seed)
    given = policy(dice, NAMES)
    for wave in given["waves"]:
        for side in ("before", "after"):
            wave[side] = [gate for gate in wave.get(side, ()) if next(iter(gate)) in ALONE]
    bad = frozenset(dice.choice(["", "", "b", "cd"]))
    lost = dice.choice([(), (), ("a",), ("b", "e")])
    here = world.deliver(START, "shop:v2", **given)
    known = len(here.started)
    script = Script(habits=Habits(each=40.0, failing=bad), losses=[Loss(names=frozenset(lost))])
    played = told(here, script)
    real = ran(world.lose(replace(here, bad=bad), *lost))
    lived = [str(name) for name in real.started[known:]]
    told_by_both = min(len(lived), len(played.started))
    assert lived[:told_by_both] == list(played.started[:told_by_both]), f"seed {seed}: {given}"
    assert bad or lost or len(lived) == len(played.started), f"seed {seed}: {given}"


def test_random_worlds_go_in_the_order_of_the_hub() -> None:
    for seed in range(400 if search.MANY > 1_000 else 4):
        in_order(seed)
