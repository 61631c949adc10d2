"""Stores: own writes count at once, echoes are silent, the deleted stay deleted."""

from typing import Any

import pytest

from fleet.api import Fleet
from fleet.api.names import FLEETS
from fleet.clusters.watch import Change
from fleet.hub.runtime.stores import Index, Store, number


def manifest(version: int, name: str = "all", uid: str = "u1", **spec: Any) -> dict[str, Any]:
    spec = spec or {"members": {"names": ["eu-7"]}}
    meta = {"name": name, "namespace": "shop", "uid": uid, "resourceVersion": str(version)}
    return {"metadata": meta, "spec": spec}


class Told:
    """A store and what it has told."""

    def __init__(self) -> None:
        self.changes: list[str] = []
        self.store: Store[Fleet] = Store(FLEETS, Fleet.parse, on=self._on)

    def _on(self, change: Change[Fleet]) -> None:
        version = change.new.metadata.resource_version if change.new else ""
        self.changes.append(f"{change.type} {change.key[1]} {version}".strip())


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.mark.parametrize(
    ("versions", "changes"),
    [
        pytest.param([5], ["ADDED all 5"], id="a first sight is ADDED"),
        pytest.param([5, 6], ["ADDED all 5", "MODIFIED all 6"], id="a later version is MODIFIED"),
        pytest.param([5, 5], ["ADDED all 5"], id="the echo of what is known is silent"),
        pytest.param([7, 6], ["ADDED all 7"], id="an older version is ignored"),
    ],
)
def test_versions(told: Told, versions: list[int], changes: list[str]) -> None:
    for version in versions:
        told.store.see(manifest(version))
    assert told.changes == changes


def test_an_object_made_anew_under_its_name_is_another(told: Told) -> None:
    told.store.see(manifest(5))
    told.store.see(manifest(9, uid="u2"))
    assert told.changes == ["ADDED all 5", "DELETED all", "ADDED all 9"]


def test_a_late_answer_does_not_revive_the_deleted(told: Told) -> None:
    told.store.see(manifest(5))
    told.store.end(manifest(8))
    told.store.see(manifest(7))
    assert told.changes == ["ADDED all 5", "DELETED all"]
    assert told.store.items == {}


def test_the_end_of_a_former_object_spares_its_successor(told: Told) -> None:
    told.store.see(manifest(9, uid="u2"))
    told.store.end(manifest(8, uid="u1"))
    assert list(told.store.items) == [("shop", "all")]


def names(told: Told) -> dict[str, str]:
    """Name → version of what is known."""
    return {key[1]: item.metadata.resource_version for key, item in told.store.items.items()}


def test_a_list_ends_what_it_lacks_and_spares_what_came_after_it_was_asked_for(
    told: Told,
) -> None:
    told.store.see(manifest(5, name="gone", uid="a"))
    told.store.see(manifest(6, name="changed", uid="d"))
    before = told.store.memory()
    told.store.see(manifest(12, name="new", uid="b"))
    told.store.see(manifest(13, name="changed", uid="d"))
    told.store.replace(
        [manifest(6, name="kept", uid="c"), manifest(6, name="changed", uid="d")], before
    )
    assert names(told) == {"new": "12", "kept": "6", "changed": "13"}


def test_after_a_restore_the_list_wins(told: Told) -> None:
    """An API server that was restored from a backup counts from lower: no ghosts stay."""
    told.store.see(manifest(900, members={"names": ["ghost"]}))
    told.store.see(manifest(905, name="ghost", uid="g"))
    told.store.see(manifest(906, name="deleted", uid="d"))
    told.store.end(manifest(907, name="deleted", uid="d"))
    listed = [manifest(7), manifest(3, name="deleted", uid="d")]
    told.store.replace(listed, told.store.memory())
    assert names(told) == {"all": "7", "deleted": "3"}
    told.store.see(manifest(8, members={"names": ["us-1"]}))
    assert told.store.items["shop", "all"].spec.members.names == ("us-1",)


@pytest.mark.parametrize(
    ("answer", "meanwhile", "known"),
    [
        pytest.param(manifest(3), None, {"all": "3"}, id="an older version: restored"),
        pytest.param(manifest(12), None, {"all": "12"}, id="a newer one: we were behind"),
        pytest.param(None, None, {}, id="it is not there"),
        pytest.param(manifest(3), manifest(12), {"all": "12"}, id="more was learnt meanwhile"),
        pytest.param(None, manifest(12), {"all": "12"}, id="it was made anew meanwhile"),
        pytest.param(manifest(3, uid="u2"), None, {"all": "3"}, id="another under its name"),
    ],
)
def test_what_was_asked_for_wins(
    told: Told,
    answer: dict[str, Any] | None,
    meanwhile: dict[str, Any] | None,
    known: dict[str, str],
) -> None:
    told.store.see(manifest(9))
    before = told.store.mark(("shop", "all"))
    if meanwhile is not None:
        told.store.see(meanwhile)
    told.store.correct(("shop", "all"), answer, before)
    assert names(told) == known


def test_the_same_again_is_silent(told: Told) -> None:
    told.store.see(manifest(9))
    told.store.correct(("shop", "all"), manifest(9), told.store.mark(("shop", "all")))
    told.store.replace([manifest(9)], told.store.memory())
    assert told.changes == ["ADDED all 9"]


@pytest.mark.parametrize(
    ("shown", "behind"),
    [
        pytest.param(manifest(8), True, id="an older version"),
        pytest.param(manifest(9), False, id="the same"),
        pytest.param(manifest(3, uid="u2"), False, id="another object"),
        pytest.param(manifest(3, name="new"), False, id="one that is not known"),
    ],
)
def test_what_gives_doubt(told: Told, shown: dict[str, Any], behind: bool) -> None:
    told.store.see(manifest(9))
    assert told.store.is_behind(shown) is behind


def test_what_cannot_be_read_keeps_its_last_good_value(told: Told) -> None:
    told.store.see(manifest(5))
    told.store.see(manifest(6, members={"names": "eu-7"}))
    assert told.store.items["shop", "all"].spec.members.names == ("eu-7",)
    bad = told.store.unreadable["shop", "all"]
    assert str(bad.error).startswith("spec.members.names must be a list")
    told.store.see(manifest(7))
    assert told.store.unreadable == {}


def test_an_index_follows_its_store(told: Told) -> None:
    index: Index[Fleet] = Index(lambda fleet: fleet.namespace)
    told.store.on = index.update
    told.store.see(manifest(5))
    told.store.see(manifest(6, name="other", uid="u2"))
    assert {key[1] for key in index.get("shop")} == {"all", "other"}
    told.store.end(manifest(9))
    assert {key[1] for key in index.get("shop")} == {"other"}
    assert index.get("elsewhere") == {}


def test_a_version_that_is_no_number_is_the_oldest() -> None:
    assert (number("12"), number(""), number("abc")) == (12, 0, 0)
