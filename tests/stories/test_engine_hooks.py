"""Stories of hooks: who must say yes before a rollout goes on, who takes it back, who is told.

What is said on the wire, and by whom, is tested in `tests/kulta/runtime/test_hooks.py`.
"""

from collections.abc import Callable
from typing import Any

import pytest

from fleet.api.rollout import Phase, RolloutStatus
from fleet.kulta.core.feedback import validation
from fleet.kulta.core.messages import webhooks
from tests import gen
from tests.kulta.ab import ab_world
from tests.kulta.world import World, blue_green_world, canary_world

URL = "http://gate.shop:8080/check"
ALL = (
    "confirm-rollout",
    "pre-rollout",
    "rollout",
    "confirm-traffic-increase",
    "confirm-promotion",
    "post-rollout",
    "rollback",
    "event",
)
ENTRY, PODS = ("confirm-rollout", "entry"), ("pre-rollout", "pods")


def hooks(*types: str) -> list[dict[str, Any]]:
    """One of each type, called like it."""
    return [{"name": item, "type": item, "url": URL} for item in types]


def refusing(*names: str) -> Callable[[str], str]:
    return lambda name: "not yet" if name in names else ""


def hooked(world: World, *types: str, no: tuple[str, ...] = ("rollback",)) -> World:
    """A world whose first revision is complete, which asked nobody; `no`: who refuses."""
    world.update(hooks=hooks(*(types or ALL)))
    world.hooks.says = refusing(*no)
    world.settle()
    assert world.status.phase is Phase.COMPLETED
    assert world.hooks.called == ()
    return world


def asked(world: World) -> list[tuple[str, str]]:
    """Who was asked and where, in order, each once, those aside that are asked all the time."""
    return [x for x in dict.fromkeys(world.hooks.called) if x[0] != "rollback"]


def waits(world: World) -> tuple[str | None, str]:
    """Phase, and why it stands there."""
    reason = (world.condition("Progressing") or ("", ""))[1]
    paused = (world.condition("Paused") or ("", ""))[1]
    return world.status.phase, paused if world.status.phase is Phase.PAUSED else reason


def test_a_canary_asks_each_hook_where_it_belongs() -> None:
    world = hooked(canary_world((20, "1m"), (50, "1m"), 100, routed=True))
    world.image("shop:v2")
    world.settle()
    assert world.status.phase is Phase.COMPLETED
    each = [
        [("rollout", f"step {index}"), ("confirm-traffic-increase", f"step {index}")]
        for index in range(3)
    ]
    last = ("confirm-promotion", "step 2")
    assert asked(world) == [ENTRY, PODS, *each[0], *each[1], *each[2], last]
    assert ("rollback", "rollback") in world.hooks.called


@pytest.mark.parametrize(
    ("refuses", "pods", "weight", "phase"),
    [
        pytest.param("confirm-rollout", 0, 0, Phase.PAUSED, id="before there are pods"),
        pytest.param("pre-rollout", 1, 0, Phase.PROGRESSING, id="before there is traffic"),
        pytest.param("rollout", 1, 20, Phase.PROGRESSING, id="at the first step"),
        pytest.param("confirm-traffic-increase", 1, 20, Phase.PROGRESSING, id="before more of it"),
        pytest.param("confirm-promotion", 2, 50, Phase.PROGRESSING, id="before the promotion"),
    ],
)
def test_a_refusal_holds_and_heals(refuses: str, pods: int, weight: int, phase: Phase) -> None:
    """For as long as it lasts, beyond the deadline; asked again every ten seconds."""
    world = hooked(canary_world((20, "1s"), (50, "1s"), routed=True), no=("rollback", refuses))
    world.image("shop:v2")
    world.run(700)
    assert (world.ready("shop:v2"), world.split()[1]) == (pods, weight)
    assert waits(world) == (phase, "HookRefused")
    assert f"hook {refuses} says no: not yet" in world.status.message
    times = [name for name, _ in world.hooks.called].count(refuses)
    assert 65 <= times <= 71
    world.hooks.says = refusing("rollback")
    world.settle()
    assert world.status.phase is Phase.COMPLETED


def test_where_pods_are_the_traffic_all_is_asked_before_them() -> None:
    world = hooked(canary_world((50, "1s"), 100), "pre-rollout", no=("pre-rollout",))
    world.image("shop:v2")
    world.run(60)
    assert (world.size("shop:v2"), waits(world)) == (0, (Phase.PAUSED, "HookRefused"))


def test_a_yes_of_the_hook_that_takes_back() -> None:
    world = hooked(canary_world((20, None), 100, routed=True), "rollback")
    world.image("shop:v2")
    world.run(60)
    assert world.status.phase is Phase.PAUSED
    world.hooks.says = refusing()
    world.settle()
    assert (world.status.phase, world.split()) == (Phase.FAILED, (100, 0))
    last = world.status.decisions[-1]
    assert (last.action, last.reason) == ("Rollback", "HookRollback")
    before = len(world.hooks.called)
    world.run(100)
    assert len(world.hooks.called) == before, "nobody is asked of what is over"


def test_what_was_said_of_a_former_attempt_says_nothing() -> None:
    """Neither who let it through then nor who took it back; nor once a status is lost."""
    world = hooked(canary_world((20, None), 100, routed=True), *ALL[:2], "rollback", no=())
    world.image("shop:v2")
    world.run(60)
    assert world.status.phase is Phase.FAILED
    before = len(world.hooks.called)
    world.hooks.says = refusing("confirm-rollout", "rollback")
    world.annotate("retry")
    world.run(60)
    assert waits(world) == (Phase.PAUSED, "HookRefused")
    world.hooks.says = refusing("rollback")
    world.run(60)
    assert (world.state, world.split()) == ((Phase.PAUSED, 0, 20), (80, 20))
    again = set(world.hooks.called[before:])
    assert again == {ENTRY, PODS, ("rollback", "rollback")}
    before = len(world.hooks.called)
    world.status = RolloutStatus()
    world.run(60)
    assert (world.state, world.split()) == ((Phase.PAUSED, 0, 20), (80, 20))
    assert PODS in world.hooks.called[before:]


def test_a_step_asks_the_hooks_that_it_names() -> None:
    """A kind of step of its own, or beside a weight; at the weight that is in force."""
    world = canary_world(routed=True)
    steps = [{"setWeight": 20}, {"hooks": ["load"]}, {"setWeight": 60, "hooks": ["load", "smoke"]}]
    world.manifest["spec"]["strategy"] = gen.canary(routed=True, steps=steps)
    named = [{"name": name, "url": URL} for name in ("load", "smoke", "other")]
    world.update(hooks=named)
    world.settle()
    world.hooks.says = refusing("load")
    world.image("shop:v2")
    world.run(60)
    assert (world.state, waits(world)[1]) == ((Phase.PROGRESSING, 1, 20), "HookRefused")
    world.hooks.says = refusing()
    world.settle()
    assert world.status.phase is Phase.COMPLETED
    assert asked(world) == [("load", "step 1"), ("load", "step 2"), ("smoke", "step 2")]


def test_a_person_who_promotes_does_not_wait_for_hooks() -> None:
    world = hooked(canary_world((20, "1s"), routed=True), "rollout", no=("rollout",))
    world.image("shop:v2")
    world.run(60)
    assert waits(world)[1] == "HookRefused"
    world.annotate("promote")
    world.settle()
    assert world.status.phase is Phase.COMPLETED


WORLDS = {
    "canary": lambda: canary_world((20, "1s"), 100, routed=True),
    "canary without a route": lambda: canary_world((20, "1s"), 100),
    "blueGreen": blue_green_world,
    "abTesting": ab_world,
    "simple": lambda: World(gen.manifest(strategy={"simple": {}})),
}


@pytest.mark.parametrize("make", WORLDS.values(), ids=WORLDS)
@pytest.mark.parametrize("refuses", ["confirm-rollout", "pre-rollout"])
def test_who_comes_at_once_asks_nobody(make: Callable[[], World], refuses: str) -> None:
    """As somebody asks for it, and as its revision is known."""
    world = hooked(make(), refuses, no=(refuses,))
    world.update(rollbackWindow=1)
    world.image("shop:v2")
    world.run(30)
    assert waits(world)[1] == "HookRefused"
    world.annotate("promote-full")
    world.settle()
    assert (world.status.phase, world.ready("shop:v2")) == (Phase.COMPLETED, 4)
    world.run(60)
    before = len(world.hooks.called)
    world.hooks.clear()
    world.image("shop:v1")
    world.run(120)
    assert (world.status.phase, world.ready("shop:v1")) == (Phase.COMPLETED, 4)
    assert len(world.hooks.called) == before


@pytest.mark.parametrize("refuses", ["confirm-rollout", "pre-rollout"])
def test_a_person_who_promotes_waits_for_what_comes_before_the_step(refuses: str) -> None:
    world = hooked(canary_world((20, None), routed=True), refuses, no=(refuses,))
    world.image("shop:v2")
    world.run(10)
    world.annotate("promote")
    world.run(60)
    assert (waits(world)[1], world.split()) == ("HookRefused", (100, 0))
    world.hooks.says = refusing()
    world.settle()
    assert world.status.phase is Phase.COMPLETED


def test_a_preview_asks_before_its_gate_and_before_the_traffic() -> None:
    world = hooked(
        blue_green_world(after=60),
        "confirm-rollout",
        "pre-rollout",
        "rollout",
        "confirm-promotion",
        no=("confirm-promotion",),
    )
    world.image("shop:v2")
    world.run(30)
    assert asked(world) == [ENTRY, ("pre-rollout", "preview"), ("rollout", "preview")]
    world.run(600)
    assert waits(world) == (Phase.PREVIEW, "HookRefused")
    assert world.behind(gen.ACTIVE) == {gen.revision("shop:v1")}
    world.hooks.says = refusing()
    world.settle()
    assert world.status.phase is Phase.COMPLETED


def test_a_rolling_update_is_confirmed_before_it_counts() -> None:
    world = hooked(
        World(gen.manifest(strategy={"simple": {}})),
        "confirm-rollout",
        "confirm-promotion",
        no=("confirm-promotion",),
    )
    world.image("shop:v2")
    world.run(700)
    assert (world.ready("shop:v2"), waits(world)) == (4, (Phase.PROGRESSING, "HookRefused"))
    world.annotate("promote")
    world.settle()
    assert (world.status.phase, world.annotations) == (Phase.COMPLETED, {})
    assert asked(world) == [ENTRY, ("confirm-promotion", "end")]


def test_an_engine_that_starts_asks_again() -> None:
    """What a hook said is not remembered beyond the process; what came of it is."""
    world = hooked(canary_world((20, None), 100, routed=True), "confirm-rollout", "pre-rollout")
    world.image("shop:v2")
    world.run(10)
    world.restart()
    world.hooks.says = refusing("confirm-rollout", "pre-rollout")
    world.run(60)
    assert (world.status.phase, world.split()) == (Phase.PAUSED, (80, 20))
    assert asked(world) == [ENTRY, PODS]


def test_a_superseded_revision_loses_its_traffic_while_a_hook_refuses_the_next() -> None:
    world = hooked(canary_world((50, None), 100, routed=True), "confirm-rollout", no=())
    world.image("shop:v2")
    world.run(10)
    assert world.split() == (50, 50)
    world.hooks.says = refusing("confirm-rollout")
    world.image("shop:v3")
    world.run(60)
    assert (world.split(), world.size("shop:v3")) == ((100, 0), 0)
    assert waits(world) == (Phase.PAUSED, "HookRefused")


def test_who_is_told_of_what() -> None:
    """Every decision to `event`, the end to `post-rollout`; the same again has the same id."""
    world = hooked(canary_world((20, "1s"), 100, routed=True), "event", "post-rollout")
    world.heard.clear()
    world.image("shop:v2")
    world.settle()
    told = [(hook.type, body) for item in world.heard for hook, body in webhooks.told(item)]
    ends = [body for kind, body in told if kind == "post-rollout"]
    assert [body["action"] for body in ends] == ["Complete"]
    assert ends[0]["phase"] == "Completed"
    events = [body for kind, body in told if kind == "event"]
    assert len(events) == len(world.heard) == len({body["id"] for body in events})
    assert events[0]["metadata"] == {
        "eventMessage": world.heard[0].decision.message,
        "eventType": "Normal",
        "timestamp": "2026-11-20T12:00:02Z",
    }
    again = [body for item in world.heard for _, body in webhooks.told(item)]
    assert [body["id"] for body in again] == [body["id"] for _, body in told]


PROBLEMS = [
    pytest.param(
        gen.manifest(hooks=hooks("event", "event"), strategy=gen.canary(20)),
        "spec.hooks[1].name: event comes twice; write another name",
        id="two hooks of one name",
    ),
    pytest.param(
        gen.manifest(hooks=hooks("confirm-traffic-increase"), strategy={"simple": {}}),
        "spec.hooks[0].type: simple never calls confirm-traffic-increase; write ",
        id="a hook that nobody would ever call",
    ),
    pytest.param(
        gen.manifest(strategy=gen.canary(steps=[{"setWeight": 20, "hooks": ["load"]}])),
        "spec.strategy.canary.steps[0].hooks: there is no load in spec.hooks; add ",
        id="a step that names a hook that there is not",
    ),
]


@pytest.mark.parametrize(("manifest", "words"), PROBLEMS)
def test_hooks_that_cannot_be(manifest: dict[str, Any], words: str) -> None:
    (problem,) = validation.of_manifest(manifest)
    assert problem.startswith(words)
