"""Who is active is counted from what is known; whoever came first is next."""

from fleet.api.conditions import condition
from fleet.api.names import Key
from fleet.api.rollout import RolloutStatus
from fleet.kulta.runtime.turns import Turns

ACTIVE = RolloutStatus(phase="Progressing", current_pod_hash="b", updated_replicas=1)
QUEUED = RolloutStatus(
    phase="Paused", current_pod_hash="b", conditions=(condition("Paused", True, "Queued"),)
)
DONE = RolloutStatus(phase="Completed", current_pod_hash="b", stable_pod_hash="b")
ONE, TWO, THREE = (("shop", name) for name in ("one", "two", "three"))


def test_no_limit_counts_nobody() -> None:
    turns = Turns(0, lambda: 1 / 0, lambda _: None)  # type: ignore[arg-type, return-value]
    turns.note(ONE, ACTIVE)
    assert not turns.is_full(TWO)


def test_an_engine_that_starts_counts_who_is_active() -> None:
    turns = Turns(1, lambda: [(ONE, ACTIVE), (TWO, DONE)], lambda _: None)
    assert not turns.is_full(ONE)
    assert turns.is_full(TWO)


def test_the_first_who_waits_is_next() -> None:
    woken: list[Key] = []
    turns = Turns(1, list, woken.append)
    assert not turns.is_full(ONE)
    turns.note(ONE, ACTIVE)
    for key in (TWO, THREE):
        assert turns.is_full(key)
        turns.note(key, QUEUED)
    assert woken == []
    turns.note(ONE, DONE)
    assert woken == [TWO]
    turns.note(TWO, ACTIVE)
    assert (turns.is_full(THREE), woken) == (True, [TWO])
    turns.forget(TWO)
    assert woken == [TWO, THREE]


def test_who_could_begin_and_does_not_keeps_nobody_waiting() -> None:
    """Its spec has become invalid, or it is being deleted: its status says still that it waits."""
    woken: list[Key] = []
    turns = Turns(1, list, woken.append)
    turns.is_full(ONE)
    for key, status in ((ONE, ACTIVE), (TWO, QUEUED), (THREE, QUEUED), (TWO, QUEUED)):
        turns.note(key, status)
    turns.note(ONE, DONE)
    assert woken == [TWO]
    for _ in range(3):
        assert not turns.is_full(TWO)
        turns.note(TWO, QUEUED)
    assert set(woken[1:]) == {THREE}
    turns.note(THREE, ACTIVE)
    turns.note(TWO, QUEUED)
    turns.note(THREE, DONE)
    assert woken[-1] == TWO, "it waits again as long as it must"


def test_a_revision_without_pods_yet_keeps_the_place_of_the_one_that_it_replaces() -> None:
    turns = Turns(1, list, lambda _: None)
    turns.is_full(ONE)
    replaced = ACTIVE.model_copy(update={"updated_replicas": 0})
    turns.note(ONE, replaced, has_pods=True)
    assert not turns.is_full(TWO), "what a completed rollout leaves for a while counts for nothing"
    turns.note(ONE, ACTIVE)
    turns.note(ONE, replaced, has_pods=True)
    assert turns.is_full(TWO)
    turns.note(ONE, replaced)
    assert not turns.is_full(TWO)
