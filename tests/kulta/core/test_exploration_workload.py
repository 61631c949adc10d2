"""Every state of small worlds in which a Rollout takes over a Deployment: what must not be is never
reached, and from every state it ends well when nothing goes wrong any more.

The Deployment is there, deleted and made again, changed, scaled, unseen; the Rollout is deleted in
the midst of it. More of all that in `make check-deep`; states and depth are printed.
"""

from collections.abc import Callable
from typing import Any

import pytest

from tests import exploring, gen, search
from tests.kulta import moves, treks
from tests.kulta.migrating import Migrating, migrating

pytestmark = [search.in_time, pytest.mark.hypothesis]

SOON = {"scaleDownDelay": "5s", "progressDeadlineSeconds": 20}
THEIRS = ("image", "gone", "theirs", "rescale", "blind")
WAYS = ("keep", "roll", "swap")
ALL = ("delete", "die", "flip", "hold", "abort", "retry", "back", "grow", *THEIRS, *WAYS)
TWO = ("delete", "die", "image", "hold", "abort", "grow", "roll")
"""Two of these; where the Deployment's own pods are lost as well, nobody who is given up just then
stays for them."""

Made = Callable[[], Migrating]


def canary(way: str, **more: Any) -> Migrating:
    routed = more.get("routed", False)
    steps = gen.canary((50, "5s"), routed=routed)
    return migrating(steps, scale_down=way, **SOON, **more)


def simple(way: str, **more: Any) -> Migrating:
    return migrating({"simple": {}}, scale_down=way, **SOON, **more)


def blue_green(way: str, **more: Any) -> Migrating:
    return migrating(gen.blue_green(after=5), scale_down=way, **SOON, **more)


FEW = ("delete", "image", "gone")
STEPWISE = {"stepsOnFirstRollout": True, "replicas": 1}

Row = tuple[str, Made, tuple[str, ...], int]
SMALL: tuple[Row, ...] = (
    ("at once", lambda: canary("OnSuccess", replicas=1), FEW, 1),
    ("pod by pod", lambda: simple("Progressively", replicas=2), ("delete", "image"), 1),
    ("beside each other", lambda: blue_green("Never", replicas=1), ("delete", "gone"), 1),
)
LARGE: tuple[Row, ...] = (
    ("at once, twice", lambda: canary("OnSuccess", replicas=1), TWO, 2),
    ("at once, step by step", lambda: canary("OnSuccess", routed=True, **STEPWISE), TWO, 2),
    ("pod by pod", lambda: simple("Progressively", replicas=2), TWO, 2),
    ("pod by pod, steps", lambda: canary("Progressively", replicas=2), ALL, 1),
    ("one pod may be missing", lambda: simple("Progressively", replicas=2, **ONE_LESS), ALL, 1),
    ("beside each other, twice", lambda: blue_green("Never", replicas=1), TWO, 2),
    ("blue-green, at once", lambda: blue_green("OnSuccess", replicas=1), TWO, 2),
)
ONE_LESS = {"maxSurge": 0, "maxUnavailable": 1}
ROWS = LARGE if search.MANY > 1_000 else SMALL


@pytest.mark.parametrize(("made", "what", "left"), [pytest.param(*x[1:], id=x[0]) for x in ROWS])
def test_every_state_of_a_small_migration(made: Made, what: tuple[str, ...], left: int) -> None:
    world = treks.trek(made(), *what, left=left)
    atlas = exploring.explore(world, moves.ways, lambda item: item.likeness())
    print(f"{atlas}; at most {left} of {', '.join(what)}")  # noqa: T201 - for people
    assert len(atlas.depths) > 50
