"""The process stands still while several Rollouts are looked at, and only then."""

import asyncio

import pytest

from fleet.kulta.runtime import breath
from fleet.kulta.runtime.breath import Breath

LINGER = 0.1


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long each breath was that has been taken."""
    found = list[float]()
    monkeypatch.setattr(breath.time, "sleep", found.append)
    monkeypatch.setattr(breath, "LINGER_SECONDS", LINGER)
    return found


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        pytest.param(1, set[float](), id="one alone never waits"),
        pytest.param(2, {0.008}, id="two"),
        pytest.param(16, {0.008}, id="many"),
    ],
)
async def test_who_looks_at_several_takes_breaths(
    taken: list[float], looks: int, expected: set[float]
) -> None:
    shared = Breath(0.008)

    async def look() -> None:
        with shared:
            await asyncio.sleep(0)

    for _ in range(2):
        await asyncio.gather(*[look() for _ in range(looks)])
        await asyncio.sleep(2 * LINGER)
        assert set(taken) == expected
        assert len(taken) <= LINGER / (0.008 * breath.SHARE) + 1  # one after another
        ended = len(taken)
        await asyncio.sleep(LINGER)
        assert len(taken) == ended
        taken.clear()


async def test_looks_one_after_another_never_wait(taken: list[float]) -> None:
    shared = Breath(0.008)
    for _ in range(5):
        with shared:
            await asyncio.sleep(0.01)
    assert taken == []


async def test_it_goes_on_for_as_long_as_looks_begin(taken: list[float]) -> None:
    shared = Breath(0.008)
    with shared:
        for _ in range(6):
            with shared:
                taken.clear()
                await asyncio.sleep(LINGER / 2)
                assert taken
