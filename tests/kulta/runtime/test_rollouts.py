"""The Rollouts: own writes are not parsed again, few are kept parsed, what is refused is named."""

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
        store.known.see(item)
    return store


def replicas(store: Rollouts) -> int | None:
    found = store.get(KEY)
    return None if found is None else found.spec.replicas


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
    store.known.see(manifest(12, replicas=4))
    store.remember(manifest(11), mine)
    assert replicas(store) == 4


def test_only_a_bounded_number_is_kept_parsed() -> None:
    store = Rollouts(parsed=1)
    store.known.see(manifest(1))
    store.known.see(manifest(2) | {"metadata": manifest(2)["metadata"] | {"name": "other"}})
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
