"""Counting pods: shares, splits, bounds, and the next sizes on the way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.kulta.core.facts import replicas
from fleet.kulta.core.facts.replicas import Count, Split


@pytest.mark.parametrize(
    ("total", "weight", "stable", "canary"),
    [
        pytest.param(3, 0, 3, 0, id="[S1] no weight"),
        pytest.param(3, 10, 2, 1, id="[S2] a tenth of three"),
        pytest.param(3, 33, 2, 1, id="[S3] a third of three"),
        pytest.param(3, 50, 1, 2, id="[S4] half of three"),
        pytest.param(3, 100, 0, 3, id="[S5] all of three"),
        pytest.param(10, 25, 7, 3, id="[S6] a quarter of ten"),
        pytest.param(10, 20, 8, 2, id="[S7] a fifth of ten"),
        pytest.param(10, 50, 5, 5, id="[S7] half of ten"),
        pytest.param(1, 20, 1, 1, id="[S13] one pod: one of each kind"),
        pytest.param(3, 80, 1, 3, id="[S14] stable keeps a pod of three"),
        pytest.param(2, 80, 1, 2, id="[S14] stable keeps a pod of two"),
        pytest.param(0, 50, 0, 0, id="[S15] none at all"),
        pytest.param(100, 29, 71, 29, id="[S16] exact for round numbers"),
        pytest.param(100, 1, 99, 1, id="the smallest weight has a pod"),
        pytest.param(8, 88, 1, 8, id="a little more than seven pods are eight"),
    ],
)
def test_split(total: int, weight: int, stable: int, canary: int) -> None:
    limits = replicas.bounds(total, "25%", "0")
    assert replicas.split(limits, weight) == Split(stable=stable, canary=canary)


@pytest.mark.parametrize(
    ("surge", "unavailable", "least", "most"),
    [
        pytest.param("25%", "0", 10, 13, id="[S9] surge of a quarter"),
        pytest.param("0", "25%", 7, 10, id="[S10] a quarter may be missing"),
        pytest.param("0", "0", 10, 10, id="[S11] neither"),
        pytest.param("25%", "0", 10, 13, id="[S12] the defaults"),
        pytest.param("50%", "0", 10, 15, id="[S17] surge of a half"),
    ],
)
def test_half_of_ten_stays_within_bounds(
    surge: str, unavailable: str, least: int, most: int
) -> None:
    limits = replicas.bounds(10, surge, unavailable)
    assert (limits.least, limits.most) == (least, most)
    found = replicas.split(limits, 50)
    assert least <= found.stable + found.canary <= most


@pytest.mark.parametrize(
    ("surge", "unavailable", "canary"),
    [
        pytest.param("0", "1", 1, id="[S17] without surge one pod is given up first"),
        pytest.param("50%", "0", 5, id="[S17] with half as surge all five come at once"),
    ],
)
def test_first_move_towards_half_of_ten(surge: str, unavailable: str, canary: int) -> None:
    limits = replicas.bounds(10, surge, unavailable)
    have = {"old": Count(replicas=10, ready=10), "new": Count(replicas=0, ready=0)}
    sizes = replicas.roll(limits, have, {"old": 5, "new": 5})
    assert sizes["new"] == canary
    assert sum(sizes.values()) <= limits.most


def test_without_room_for_two_the_only_pod_is_the_new_one() -> None:
    limits = replicas.bounds(1, "0", "1")
    assert replicas.split(limits, 20) == Split(stable=0, canary=1)


def test_unready_pods_may_always_go() -> None:
    limits = replicas.bounds(4, "25%", "0")
    have = {"new": Count(replicas=1, ready=0), "broken": Count(replicas=4, ready=0)}
    assert replicas.roll(limits, have, {"new": 4, "broken": 0}) == {"new": 4, "broken": 0}


@given(
    total=st.integers(0, 30),
    weight=st.integers(0, 100),
    surge=st.integers(0, 10),
    unavailable=st.integers(0, 10),
)
def test_split_keeps_the_bounds(total: int, weight: int, surge: int, unavailable: int) -> None:
    limits = replicas.bounds(total, surge, unavailable)
    found = replicas.split(limits, weight)
    assert total <= found.stable + found.canary <= limits.most
    if 0 < weight < 100 and total > 0:
        assert found.canary >= 1
        assert found.stable >= 1 or limits.most < 2


@given(
    total=st.integers(1, 20),
    surge=st.integers(0, 5),
    unavailable=st.integers(0, 5),
    weight=st.integers(1, 100),
)
def test_rolling_arrives_and_never_leaves_the_bounds(
    total: int, surge: int, unavailable: int, weight: int
) -> None:
    limits = replicas.bounds(total, surge, unavailable if surge else max(unavailable, 1))
    aim = replicas.split(limits, weight)
    wanted = {"old": aim.stable, "new": aim.canary}
    have = {"old": Count(replicas=total, ready=total), "new": Count(replicas=0, ready=0)}
    for _ in range(3 * total + 3):
        sizes = replicas.roll(limits, have, wanted)
        assert sum(sizes.values()) <= limits.most
        ready = sum(min(sizes[key], have[key].ready) for key in sizes)
        assert ready >= limits.least
        have = {key: Count(replicas=size, ready=size) for key, size in sizes.items()}
    assert sizes == wanted


def test_pods_that_go_do_not_count_for_those_that_go_next() -> None:
    """Four must be ready, three of the new ones are: of two old revisions one pod stays."""
    have = {
        "new": Count(replicas=3, ready=3),
        "old": Count(replicas=4, ready=4),
        "older": Count(replicas=2, ready=2),
    }
    limits = replicas.bounds(4, 1, 0)
    assert replicas.roll(limits, have, {"new": 4, "old": 0, "older": 0}) == {
        "new": 4,
        "old": 1,
        "older": 0,
    }
