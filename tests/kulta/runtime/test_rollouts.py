"""The store of Rollouts: newer wins, the dead stay dead, what our models refuse is named."""

from typing import Any

import pytest

from fleet.errors import UserError
from fleet.kulta.runtime.rollouts import Rollouts

KEY = ("shop", "checkout")


def manifest(version: int, *, uid: str = "u1", replicas: object = 1, **meta: Any) -> dict[str, Any]:
    return {
        "apiVersion": "kulta.io/v1beta1",
        "kind": "Rollout",
        "metadata": {
            "namespace": KEY[0],
            "name": KEY[1],
            "uid": uid,
            "resourceVersion": str(version),
            "managedFields": [{"manager": "kubectl"}],
            **meta,
        },
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "checkout"}},
            "template": {"spec": {"containers": []}},
            "strategy": {"simple": {}},
        },
    }


def known(*manifests: dict[str, Any]) -> Rollouts:
    store = Rollouts()
    for item in manifests:
        store.put(item)
    return store


def replicas(store: Rollouts) -> int | None:
    found = store.get(KEY)
    return None if found is None else found.spec.replicas


@pytest.mark.parametrize(
    ("second", "wanted"),
    [
        pytest.param(manifest(11, replicas=5), 5, id="a newer version counts"),
        pytest.param(manifest(10, replicas=5), 2, id="the echo of the same version is nothing"),
        pytest.param(manifest(9, replicas=5), 2, id="an older version is nothing"),
        pytest.param(manifest(12, uid="u2", replicas=7), 7, id="a successor of the same name"),
    ],
)
def test_newer_wins(second: dict[str, Any], wanted: int) -> None:
    store = known(manifest(10, replicas=2))
    assert store.put(second) is (wanted != 2)
    assert replicas(store) == wanted


def test_a_late_answer_revives_nobody() -> None:
    store = known(manifest(10))
    store.drop(KEY, "u1")
    assert store.put(manifest(12)) is False
    assert replicas(store) is None


class TestRestoredServer:
    """Versions begin anew where an API server was restored from a backup."""

    def test_a_list_wins_over_a_newer_version(self) -> None:
        store = known(manifest(100, replicas=2))
        assert store.listed(manifest(9, replicas=5)) is True
        assert replicas(store) == 5
        assert store.put(manifest(10, replicas=6)) is True
        assert replicas(store) == 6

    def test_a_list_that_says_the_same_is_nothing_new(self) -> None:
        assert known(manifest(10)).listed(manifest(10)) is False

    def test_a_list_revives_who_was_deleted_after_the_backup(self) -> None:
        store = known(manifest(100, replicas=2))
        store.drop(KEY, "u1")
        assert store.listed(manifest(9, replicas=5)) is True
        assert replicas(store) == 5

    def test_an_answer_wins_over_a_newer_version(self) -> None:
        store = known(manifest(100, replicas=2))
        assert store.read(manifest(9, replicas=5), store.version(KEY)) is True
        assert replicas(store) == 5

    def test_an_answer_loses_to_what_came_while_it_was_under_way(self) -> None:
        store = known(manifest(10, replicas=2))
        before = store.version(KEY)
        store.put(manifest(12, replicas=4))
        assert store.read(manifest(11, replicas=3), before) is False
        assert replicas(store) == 4


def test_the_end_of_a_predecessor_leaves_the_successor() -> None:
    store = known(manifest(12, uid="u2"))
    assert store.drop(KEY, "u1") is False
    assert KEY in store


def test_an_own_write_is_known_without_parsing_again() -> None:
    store = known(manifest(10))
    before = store.get(KEY)
    assert before is not None
    mine = before.model_copy(update={"spec": before.spec.model_copy(update={"replicas": 9})})
    store.remember(manifest(11), mine)
    assert store.get(KEY) is mine


def test_an_own_write_that_changed_nothing_is_known_too() -> None:
    store = known(manifest(10))
    mine = store.get(KEY)
    assert mine is not None
    mine = mine.model_copy()
    store.remember(manifest(10), mine)
    assert store.get(KEY) is mine


def test_the_answer_to_an_own_write_loses_to_something_newer() -> None:
    store = known(manifest(10))
    mine = store.get(KEY)
    assert mine is not None
    store.put(manifest(12, replicas=4))
    store.remember(manifest(11), mine)
    assert replicas(store) == 4


def test_only_a_bounded_number_is_kept_parsed() -> None:
    store = Rollouts(parsed=1)
    store.put(manifest(1))
    store.put(manifest(2) | {"metadata": manifest(2)["metadata"] | {"name": "other"}})
    first = store.get(KEY)
    store.get(("shop", "other"))
    assert store.get(KEY) is not first
    assert store.get(KEY) == first


def test_what_cannot_be_read_says_so_and_keeps_its_text() -> None:
    store = known(manifest(10, replicas="many"))
    with pytest.raises(UserError, match=r"spec\.replicas"):
        store.get(KEY)
    kept = store.manifest(KEY)
    assert kept is not None
    assert kept["spec"]["replicas"] == "many"
    assert "managedFields" not in kept["metadata"]
