"""The store: own writes count at once, echoes are silent, the deleted stay deleted, and who has
asked is believed.

Aspects: versions, ends, whole lists, single answers, both after a restore; objects that make no
sense; indexes. What no table holds, the interplay of all of these, is `test_store_properties`.
"""

from typing import Any

import pytest

from fleet.api.names import FLEETS
from fleet.clusters.store import Change, Index, Store
from fleet.errors import UserError

ALL = ("shop", "all")


def manifest(
    version: int | str, name: str = "all", uid: str = "u1", weight: Any = 1
) -> dict[str, Any]:
    meta = {"name": name, "namespace": "shop", "uid": uid, "resourceVersion": str(version)}
    return {"metadata": meta, "spec": {"weight": weight}}


def read(found: Any) -> str:
    """The version, if the weight makes sense."""
    if found["spec"]["weight"] == "refused":
        raise UserError("InvalidSpec", "spec.weight is refused")
    int(found["spec"]["weight"])
    return str(found["metadata"]["resourceVersion"])


class Told:
    """A store and what it has told."""

    def __init__(self) -> None:
        self.changes: list[str] = []
        self.store: Store[str] = Store(FLEETS, read, self._on)

    def _on(self, change: Change[str]) -> None:
        self.changes.append(f"{change.type} {change.key[1]} {change.new or ''}".strip())

    @property
    def names(self) -> dict[str, str]:
        """Name → version of what is known."""
        return {key[1]: version for key, version in self.store.items()}


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.mark.parametrize(
    ("seen", "changes"),
    [
        pytest.param([manifest(5)], ["ADDED all 5"], id="a first sight is ADDED"),
        pytest.param(
            [manifest(5), manifest(6)],
            ["ADDED all 5", "MODIFIED all 6"],
            id="a later version is MODIFIED",
        ),
        pytest.param(
            [manifest(5), manifest(5)], ["ADDED all 5"], id="the echo of what is known is silent"
        ),
        pytest.param([manifest(7), manifest(6)], ["ADDED all 7"], id="an older one is ignored"),
        pytest.param(
            [manifest(5), manifest(9, uid="u2")],
            ["ADDED all 5", "DELETED all", "ADDED all 9"],
            id="an object made anew under its name is another",
        ),
        pytest.param(
            [manifest(9, uid="u2"), manifest(8)],
            ["ADDED all 9"],
            id="a late answer does not bring back a predecessor",
        ),
        pytest.param(
            [manifest("x"), manifest("y"), manifest("y")],
            ["ADDED all x", "MODIFIED all y"],
            id="versions that cannot be compared count as they come",
        ),
    ],
)
def test_what_is_told(told: Told, seen: list[Any], changes: list[str]) -> None:
    news = [told.store.see(item) for item in seen]
    assert told.changes == changes
    assert sum(news) == len([change for change in changes if "DELETED" not in change])


# --- ends -----------------------------------------------------------------------------------------


def test_a_late_answer_does_not_revive_the_deleted(told: Told) -> None:
    told.store.see(manifest(5))
    assert told.store.end(manifest(8))
    assert not told.store.see(manifest(7))
    assert told.changes == ["ADDED all 5", "DELETED all"]
    assert told.store == {}


def test_nor_what_was_never_known_before_its_end(told: Told) -> None:
    assert not told.store.end(manifest(8))
    told.store.see(manifest(7))
    assert told.names == {}


def test_the_end_of_a_former_object_spares_its_successor(told: Told) -> None:
    told.store.see(manifest(9, uid="u2"))
    assert not told.store.end(manifest(8, uid="u1"))
    assert told.names == {"all": "9"}


def test_where_all_is_told_in_order_what_comes_from_before_is_no_more(told: Told) -> None:
    told.store.reached = "20"
    told.store.see(manifest(20))
    told.store.see(manifest(21, name="new"))
    assert told.names == {"new": "21"}


def test_what_leaves_the_selection_may_come_back(told: Told) -> None:
    told.store.reached = "20"
    told.store.see(manifest(21))
    told.store.end(manifest(22))
    told.store.see(manifest(23))
    assert told.names == {"all": "23"}


def test_an_end_from_before_our_own_write_is_none(told: Told) -> None:
    """It left the selection, and we have put it back."""
    told.store.reached = "20"
    told.store.see(manifest(23))
    assert not told.store.end(manifest(22))
    assert told.names == {"all": "23"}


# --- whole lists and single answers ---------------------------------------------------------------


def test_a_list_ends_what_it_lacks_and_spares_what_came_after_it_was_asked_for(
    told: Told,
) -> None:
    told.store.see(manifest(5, name="gone", uid="a"))
    told.store.see(manifest(6, name="changed", uid="d"))
    told.store.see(manifest(7, name="ended", uid="e"))
    since = told.store.moment
    told.store.see(manifest(12, name="new", uid="b"))
    told.store.see(manifest(13, name="changed", uid="d"))
    told.store.end(manifest(14, name="ended", uid="e"))
    told.store.end(manifest(15, name="short", uid="f"))
    names = {"kept": "c", "changed": "d", "ended": "e", "short": "f"}
    told.store.replace([manifest(6, name, uid) for name, uid in names.items()], since)
    assert told.names == {"new": "12", "kept": "6", "changed": "13"}


def test_a_list_that_is_later_than_an_answer_wins_over_it(told: Told) -> None:
    since = told.store.moment
    told.store.see(manifest(12, name="gone"))
    told.store.see(manifest(15, name="new"))
    told.store.replace([], since, "14")
    assert told.names == {"new": "15"}


def test_after_a_restore_the_list_wins(told: Told) -> None:
    """An API server that was restored from a backup counts from lower: no ghosts stay."""
    told.store.see(manifest(900))
    told.store.see(manifest(905, name="ghost", uid="g"))
    told.store.see(manifest(906, name="deleted", uid="d"))
    told.store.end(manifest(907, name="deleted", uid="d"))
    listed = [manifest(7), manifest(3, name="deleted", uid="d")]
    told.store.replace(listed, told.store.moment)
    assert told.names == {"all": "7", "deleted": "3"}
    told.store.see(manifest(8))
    assert told.names == {"all": "8", "deleted": "3"}


@pytest.mark.parametrize(
    ("answer", "meanwhile", "known"),
    [
        pytest.param(manifest(3), None, {"all": "3"}, id="an older version: restored"),
        pytest.param(manifest(12), None, {"all": "12"}, id="a newer one: we were behind"),
        pytest.param(None, None, {}, id="it is not there"),
        pytest.param(manifest(3), manifest(12), {"all": "12"}, id="more was learnt meanwhile"),
        pytest.param(None, manifest(12, uid="u2"), {"all": "12"}, id="it was made anew meanwhile"),
        pytest.param(manifest(3, uid="u2"), None, {"all": "3"}, id="another under its name"),
    ],
)
def test_what_was_asked_for_wins(
    told: Told, answer: dict[str, Any] | None, meanwhile: dict[str, Any] | None, known: Any
) -> None:
    told.store.see(manifest(9))
    since = told.store.moment
    if meanwhile is not None:
        told.store.see(meanwhile)
    told.store.correct(ALL, answer, since)
    assert told.names == known


@pytest.mark.parametrize(
    ("is_before", "known"),
    [
        pytest.param(True, {"all": "3"}, id="before it was asked for: a restore brought it back"),
        pytest.param(False, {}, id="meanwhile: the answer is from before"),
    ],
)
def test_what_was_asked_for_and_ended(told: Told, is_before: bool, known: Any) -> None:
    told.store.see(manifest(2))
    since = told.store.moment
    told.store.end(manifest(9))
    told.store.correct(ALL, manifest(3), told.store.moment if is_before else since)
    assert told.names == known


def test_an_answer_from_before_a_list_that_lacks_it_is_none(told: Told) -> None:
    told.store.reached = "9"
    since = told.store.moment
    told.store.replace([], told.store.moment, "14")
    told.store.reached = "14"
    told.store.correct(ALL, manifest(12), since)
    assert told.names == {}


def test_an_answer_about_what_has_ended_does_not_supersede_its_predecessor(told: Told) -> None:
    """Both are gone, and of the first we have yet to hear."""
    told.store.see(manifest(5))
    since = told.store.moment
    told.store.end(manifest(14, uid="u2"))
    told.store.correct(ALL, manifest(12, uid="u2"), since)
    assert told.names == {"all": "5"}


def test_that_a_list_or_an_answer_says_the_same_is_silent(told: Told) -> None:
    told.store.see(manifest(9))
    assert not told.store.correct(ALL, manifest(9), told.store.moment)
    told.store.replace([manifest(9)], told.store.moment)
    assert told.changes == ["ADDED all 9"]


def test_an_answer_that_counts_from_lower_tells_of_a_restore_until_all_is_listed(
    told: Told,
) -> None:
    told.store.see(manifest(9))
    told.store.correct(ALL, manifest(12), told.store.moment)
    assert not told.store.is_restored
    told.store.correct(ALL, manifest(3), told.store.moment)
    assert told.store.is_restored
    told.store.replace([manifest(3)], told.store.moment)
    assert not told.store.is_restored


@pytest.mark.parametrize(
    ("shown", "behind", "known"),
    [
        pytest.param(manifest(8), True, False, id="an older version"),
        pytest.param(manifest(9), False, True, id="the same"),
        pytest.param(manifest(10), False, False, id="a newer one"),
        pytest.param(manifest(3, uid="u2"), True, False, id="a predecessor"),
        pytest.param(manifest(3, name="new"), False, False, id="one that is not known"),
    ],
)
def test_comparing(told: Told, shown: dict[str, Any], behind: bool, known: bool) -> None:
    told.store.see(manifest(9))
    assert (told.store.is_behind(shown), told.store.is_known(shown)) == (behind, known)


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        pytest.param(manifest(8), True, id="an older version"),
        pytest.param(manifest(9), True, id="the same"),
        pytest.param(manifest(10), False, id="a newer one"),
        pytest.param(manifest(3, name="new"), False, id="one that is not known"),
    ],
)
def test_only_what_was_learnt_since_is_settled(
    told: Told, shown: dict[str, Any], expected: bool
) -> None:
    told.store.see(manifest(5))
    before = told.store.moment
    told.store.see(manifest(9))
    assert told.store.is_settled(shown, before) == expected
    assert not told.store.is_settled(shown, told.store.moment)


# --- objects that make no sense, and indexes ------------------------------------------------------


@pytest.mark.parametrize(
    ("weight", "why"),
    [
        pytest.param("refused", "spec.weight is refused", id="our models refuse it"),
        pytest.param("many", "invalid literal", id="it is no such value"),
        pytest.param(None, "int() argument", id="it is of another type"),
    ],
)
def test_what_cannot_be_read_keeps_its_last_good_value(told: Told, weight: Any, why: str) -> None:
    told.store.see(manifest(5))
    told.store.see(manifest(6, weight=weight))
    assert told.names == {"all": "5"}
    assert str(told.store.unreadable[ALL].error).startswith(why)
    assert told.store.unreadable[ALL].error.reason == "InvalidSpec"
    told.store.see(manifest(7))
    assert told.store.unreadable == {}
    assert told.changes == ["ADDED all 5", "UNREADABLE all", "MODIFIED all 7"]


def test_the_end_of_what_was_never_readable_is_silent(told: Told) -> None:
    told.store.see(manifest(6, weight="many"))
    told.store.end(manifest(7))
    assert (told.changes, told.store.unreadable) == (["UNREADABLE all"], {})


def test_an_index_follows_its_store(told: Told) -> None:
    index: Index[str] = Index(lambda key, version: None if version == "9" else int(version) % 2)
    told.store.on = index.update
    for item in (manifest(5), manifest(7, name="other"), manifest(8, name="even")):
        told.store.see(item)
    assert {group: index.of(group) for group in (0, 1, 2)} == {0: ["8"], 1: ["5", "7"], 2: []}
    told.store.see(manifest(10, name="other"))
    told.store.see(manifest(11, name="even", weight="many"))
    assert dict(index.get(0)) == {("shop", "other"): "10", ("shop", "even"): "8"}
    told.store.see(manifest(9))
    told.store.end(manifest(12, name="other"))
    told.store.end(manifest(12, name="even"))
    assert [index.of(group) for group in (None, 0, 1)] == [[], [], []]
