"""Every state of small fleets: what must not be is never reached, and every run comes to its end.

`moves` says what can happen; the promises are those of `test_properties`. One fault or wish at any
moment; two of them, soaks, approvals, and other policies in `make check-deep`. States and depth are
printed.
"""

from typing import Any

import pytest

from fleet.api.fleetrollout import FleetRollout
from fleet.api.waves import Gate
from tests import exploring, search
from tests.hub import gen, moves

pytestmark = [search.in_time, pytest.mark.hypothesis]

WORLD = ("fail", "lose", "die")
PEOPLE = ("deliver", "late", "pause", "abort", "rollback", "retry")
ALL = (*WORLD, *PEOPLE)
SOON = {"progress_deadline_seconds": 60}


def two(**plan: Any) -> FleetRollout:
    """One after the other."""
    waves = (gen.wave("first", "a", **SOON), gen.wave("rest", "b", **SOON))
    return gen.run(*waves, number=2, **plan)


def three(*, after: tuple[Gate, ...] = (), soak: int = 0, **plan: Any) -> FleetRollout:
    """One, then two at once, of which one may fail."""
    first = gen.wave("first", "a", soak_seconds=soak, after=after, **SOON)
    rest = gen.wave("rest", "b", "c", max_concurrency=2, failure_budget=1, **SOON)
    return gen.run(first, rest, number=2, **plan)


APPROVAL = (Gate.model_validate({"approval": {"expiresAfter": "1m"}}),)

Row = tuple[str, FleetRollout, tuple[str, ...], int]
SMALL: tuple[Row, ...] = (
    ("two clusters", two(), (*WORLD, "deliver", "abort"), 1),
    ("what fails takes all back", two(on_failure="Rollback"), WORLD, 1),
)
LARGE: tuple[Row, ...] = (
    ("two clusters, twice", two(), ALL, 2),
    ("three clusters", three(), ALL, 1),
    ("a budget of one", three(halt_on_first_failed_analysis=False), WORLD, 2),
    ("what fails takes all back", three(on_failure="Rollback"), ALL, 1),
    ("a soak and an approval", three(after=APPROVAL, soak=30), ALL, 1),
    ("who is lost blocks", three(unavailable="Block", unavailable_timeout_seconds=60), ALL, 1),
    ("who is lost is left out", three(unavailable="Skip"), ALL, 1),
)
ROWS = LARGE if search.MANY > 1_000 else SMALL


@pytest.mark.parametrize(("run", "what", "left"), [pytest.param(*x[1:], id=x[0]) for x in ROWS])
def test_every_state_of_a_small_fleet(run: FleetRollout, what: tuple[str, ...], left: int) -> None:
    here = moves.small(run, *what, left=left)
    atlas = exploring.explore(here, moves.ways, moves.identity)
    print(f"{atlas}; at most {left} of {', '.join(what)}")  # noqa: T201 - for people
    assert len(atlas.depths) > 100
