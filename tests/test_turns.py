"""The line and the places: who goes next, and that nobody is kept away."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator

import pytest

from fleet import turns


async def test_in_a_line_one_goes_on_per_round_of_the_loop() -> None:
    """However many come at once: who is not in the line is never kept waiting by two of them."""
    line, done, most = turns.Line(), [], 0

    async def work(number: int) -> None:
        await line.turn()
        done.append(number)

    workers = [asyncio.create_task(work(number)) for number in range(200)]
    workers[3].cancel()
    while len(done) < 199:
        before = len(done)
        await asyncio.sleep(0)
        most = max(most, len(done) - before)
    assert most == 1
    assert done == [number for number in range(200) if number != 3]
    await asyncio.wait_for(line.turn(), 1)


@contextlib.contextmanager
def _waiting(kind: str, done: list[str]) -> Iterator[Callable[[str], "asyncio.Task[None]"]]:
    """Work that waits in a line, or for one place that somebody has, and notes who went on."""
    line, places = turns.Line(), turns.Places(1)

    async def work(name: str) -> None:
        if kind == "line":
            await line.turn()
            done.append(name)
            return
        async with places:
            done.append(name)
            await asyncio.sleep(0)

    yield lambda name: asyncio.create_task(work(name))


@pytest.mark.parametrize("kind", ["line", "places"])
async def test_who_presses_goes_first_and_keeps_nobody_away(kind: str) -> None:
    done: list[str] = []
    with _waiting(kind, done) as begin:
        tasks = [begin(f"other {number}") for number in range(4)]
        with turns.pressing():
            tasks += [begin(f"pressing {number}") for number in range(4)]
            with turns.pressing(False):
                tasks.append(begin("other 4"))
        await asyncio.sleep(0)
        tasks[2].cancel()
        tasks[5].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    began = done.pop(0) if kind == "places" else ""  # it had its place before anybody waited
    others = [f"other {number}" for number in (0, 1, 3, 4)]
    others = [name for name in others if name != began]
    pressing = [f"pressing {number}" for number in (0, 2, 3)]
    assert done[:6] == [one for pair in zip(pressing, others, strict=False) for one in pair]
    assert sorted(done) == sorted(pressing + others)


async def test_who_has_time_goes_when_nobody_else_stands_in_line() -> None:
    line, done = turns.Line(), []

    async def work(name: str, times: int, *, has_time: bool = False) -> None:
        for _ in range(times):
            await line.turn(has_time=has_time)
            done.append(name)

    tasks = [asyncio.create_task(work("has time", 2, has_time=True))]
    tasks += [asyncio.create_task(work(f"{number}", 3)) for number in range(2)]
    await asyncio.gather(*tasks)
    assert (len(done), done[-2:]) == (8, ["has time"] * 2)
    await asyncio.wait_for(line.turn(has_time=True), 1)


async def test_a_place_that_is_given_to_whom_is_cancelled_is_free_again() -> None:
    places, gate = turns.Places(1), asyncio.Event()

    async def hold() -> None:
        async with places:
            await gate.wait()

    first, second = asyncio.create_task(hold()), asyncio.create_task(hold())
    await asyncio.sleep(0)
    gate.set()
    await first  # the place is the second one's now, who has not noticed yet
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    async with asyncio.timeout(1), places:
        pass
