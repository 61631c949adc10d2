"""How long a key of the work queue rests after it was handled, on a real loop with short times."""

import pytest

from fleet import aio
from fleet.aio import WorkQueue
from tests.test_aio import Handler, working
from tests.waiting import until


async def test_a_key_that_was_handled_rests() -> None:
    """What comes meanwhile is one piece of news; other keys do not wait."""
    queue, handler = WorkQueue[str](calm=3_600), Handler()
    queue.add("a")
    async with working(queue, handler):
        await until(lambda: handler.done == ["a"])
        for _ in range(100):
            queue.add("a")
            queue.add("b")
        await until(lambda: handler.done == ["a", "b"])
        assert handler.done == ["a", "b"]


async def test_a_key_that_has_rested_is_handled_once_for_all_the_news() -> None:
    queue, handler = WorkQueue[str](calm=0.05), Handler()
    queue.add("a")
    async with working(queue, handler):
        await until(lambda: handler.done == ["a"])
        for _ in range(100):
            queue.add("a")
        await until(lambda: handler.done == ["a", "a"])
        assert handler.times[1] - handler.times[0] >= 0.05


@pytest.mark.parametrize("when", ["while it is handled", "while it rests"])
async def test_who_shall_be_first_does_not_rest_for_long(
    when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A verdict that comes while a thousand clusters are let go is looked at first, and soon."""
    monkeypatch.setattr(aio, "rest", lambda calm, worked: 3_600.0)
    queue, handler = WorkQueue[str](calm=0.05), Handler()
    queue.add("a")
    handler.gate.clear()
    async with working(queue, handler):
        await until(lambda: handler.running == 1)
        if when == "while it is handled":
            queue.add("a", first=True)
        handler.gate.set()
        await until(lambda: handler.done == ["a"])
        for _ in range(2):
            queue.add("a", first=when == "while it rests")
        await until(lambda: handler.done == ["a", "a"])
    assert handler.times[1] - handler.times[0] >= 0.05


@pytest.mark.parametrize(
    ("worked", "pause"),
    [
        pytest.param(0.0, 0.1, id="who takes no time rests for a while"),
        pytest.param(0.06, 0.1, id="and so does who takes little"),
        pytest.param(0.24, 0.24, id="who takes long leaves the others half of the time"),
        pytest.param(30.0, 0.5, id="but is not forgotten"),
    ],
)
def test_how_long_a_key_rests(worked: float, pause: float) -> None:
    assert aio.rest(0.1, worked) == pytest.approx(pause)
