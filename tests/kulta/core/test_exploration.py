"""Every state of small worlds of the engine, for each strategy: what must not be is never reached.

`moves` says what can happen and what must hold: no weight on a revision without ready pods, never
too few pods that serve, never too many, only legal phases, no traffic for what was taken back; from
every state the Rollout ends when nothing goes wrong any more. One fault or wish at any moment in
small worlds; two of them, and more pods, in `make check-deep`. States and depth are printed.
"""

from collections.abc import Callable
from typing import Any

import pytest

from fleet.api.rollout import Phase
from tests import exploring, gen, search
from tests.kulta import likeness, moves
from tests.kulta.ab import ab_world
from tests.kulta.world import World, blue_green_world, canary_world, furnish

pytestmark = [search.in_time, pytest.mark.hypothesis]

SOON = {"scaleDownDelay": "5s", "progressDeadlineSeconds": 20}
JUDGED = {"analysis": gen.analysis(interval="5s")}
METRICS = ("bad", "nothing")
WORLD = ("flip", "die", "contest")
PEOPLE = ("image", "back", "grow", "shrink", "hold")
REQUESTS = ("abort", "promote-full", "pause", "retry", "restart")
ALL = (*WORLD, *PEOPLE, *REQUESTS)
BUT_RESTART = tuple(x for x in ALL if x != "restart")
"""A new template in the middle of a restart lets go who was marked, whatever the addresses say."""

Made = Callable[[], World]


def canary(**more: Any) -> World:
    return canary_world((50, "5s"), **SOON, **more)


def served(**more: Any) -> World:
    """Whose Services select roles; pods divide the traffic."""
    world = canary(**more)
    furnish(world, (gen.STABLE, "stable"), (gen.CANARY, "canary"), routed=False)
    return world


def dynamic(**more: Any) -> World:
    world = canary(routed=True, **more)
    world.manifest["spec"]["strategy"]["canary"]["dynamicStableScale"] = True
    return world


def blue_green(**more: Any) -> World:
    return blue_green_world(after=5, **SOON, **more)


def ab(**more: Any) -> World:
    return ab_world(maxDuration="30s", **SOON, **more)


def simple(**more: Any) -> World:
    analysis = more.pop("analysis", None)
    strategy = {"simple": {"analysis": analysis} if analysis else {}}
    return World(gen.manifest(strategy=strategy, **SOON, **more))


FEW = ("image", "abort", "flip", "die")

Row = tuple[str, Made, tuple[str, ...], int]
SMALL: tuple[Row, ...] = (
    ("a canary behind a route", lambda: canary(routed=True, replicas=1), ("image", "flip"), 1),
    ("a canary by numbers of pods", lambda: canary(replicas=2), ALL, 1),
    ("a canary behind Services", lambda: served(replicas=1), FEW, 1),
    ("blue-green", lambda: blue_green(replicas=1), FEW, 1),
    ("an experiment", lambda: ab(replicas=1), ("abort",), 1),
    ("a simple one, judged", lambda: simple(replicas=2, **JUDGED), ("flip", "die", "bad"), 1),
)
LARGE: tuple[Row, ...] = (
    ("a canary behind a route, twice", lambda: canary(routed=True, replicas=1), BUT_RESTART, 2),
    ("a stable set that shrinks", lambda: dynamic(replicas=2), ALL, 1),
    ("a canary by numbers of pods, twice", lambda: canary(replicas=2), (*ALL, *METRICS), 2),
    ("a canary behind Services", lambda: served(replicas=2), ALL, 1),
    ("one pod may be missing", lambda: canary(replicas=3, maxSurge=0, maxUnavailable=1), ALL, 1),
    ("a canary, judged", lambda: canary(replicas=2, **JUDGED), (*ALL, *METRICS), 1),
    ("blue-green, twice", lambda: blue_green(replicas=1), BUT_RESTART, 2),
    ("blue-green behind a route", lambda: blue_green(replicas=2, routed=True), ALL, 1),
    ("an experiment", lambda: ab(replicas=1), (*ALL, "conclude-experiment"), 1),
    ("simple, judged, twice", lambda: simple(replicas=2, **JUDGED), (*ALL, *METRICS), 2),
)
ROWS = LARGE if search.MANY > 1_000 else SMALL


@pytest.mark.parametrize(("made", "what", "left"), [pytest.param(*x[1:], id=x[0]) for x in ROWS])
def test_every_state_of_a_small_world(made: Made, what: tuple[str, ...], left: int) -> None:
    world = made().settle()
    if world.status.phase is Phase.CONCLUDED:
        world.annotate("promote")
        world.settle()
    world.image("shop:v2")
    atlas = exploring.explore(moves.small(world, *what, left=left), moves.ways, likeness.identity)
    print(f"{atlas}; at most {left} of {', '.join(what)}")  # noqa: T201 - for people
    assert len(atlas.depths) > 50
