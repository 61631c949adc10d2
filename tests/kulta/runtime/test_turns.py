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
