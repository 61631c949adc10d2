"""The runtime's part in HTTP gates: whom it asks, what it sends, and what it makes of answers."""

import asyncio

import pytest

from fleet.errors import FleetError, TemporaryError
from fleet.hub.core.actions import AskHook
from tests.hub import gen
from tests.hub.runtime.desk import Desk

KEY = ("shop", "checkout-1")
URL = "https://gate.example.com/ok"


async def asked(desk: Desk, url: str = URL, times: int = 1) -> tuple[bool, str]:
    """The answer that is kept."""
    run = gen.run(gen.wave("eu", "a"))
    ask = AskHook(wave="eu", gate="before[0]", url=url, seconds=5)
    for _ in range(times):
        desk.hub.hooks.ask(run, (ask,), desk.queues.runs)  # type: ignore[arg-type]
    await asyncio.sleep(0.01)
    answer = desk.hub.hooks.answers(KEY)["eu/before[0]"]
    assert answer.at == desk.clock.now()
    return answer.yes, answer.message


@pytest.mark.parametrize(
    ("answer", "yes", "message"),
    [
        pytest.param((204, ""), True, "it answered 204", id="every 2xx is a yes"),
        pytest.param((403, "freeze until Monday"), False,
                     "it answered 403: freeze until Monday", id="anything else is a no"),
        pytest.param((302, ""), False, "it answered 302", id="a redirect is not followed"),
        pytest.param((500, "x" * 999), False, f"it answered 500: {'x' * 182}…",
                     id="long words are cut"),
        pytest.param(TemporaryError("https://gate.example.com/ok did not answer within 5 s"),
                     False, "https://gate.example.com/ok did not answer within 5 s",
                     id="silence is a no"),
    ],
)  # fmt: skip
async def test_answers(answer: tuple[int, str] | FleetError, yes: bool, message: str) -> None:
    desk = Desk()
    desk.gate.answer = answer
    assert await asked(desk) == (yes, message)
    assert desk.queues.runs.added == [KEY], "the run is looked at again"


@pytest.mark.parametrize(
    ("url", "is_asked"),
    [
        pytest.param("https://gate.example.com/ok", True, id="a host that is named"),
        pytest.param("http://GATE.example.com:8080/", True, id="in capitals, at a port"),
        pytest.param("https://a.corp.example/", True, id="one below a domain that is named"),
        pytest.param("https://corp.example/", False, id="the domain itself is another"),
        pytest.param("https://evil.example/gate.example.com", False, id="a name in the path"),
        pytest.param("https://gate.example.com@evil.example/", False, id="a name as a user"),
        pytest.param("http://169.254.169.254/latest", False, id="the metadata of a cloud"),
    ],
)
async def test_only_hosts_that_an_administrator_names(url: str, is_asked: bool) -> None:
    desk = Desk()
    yes, message = await asked(desk, url)
    assert (yes, bool(desk.gate.asked)) == (is_asked, is_asked)
    assert is_asked or message.startswith("it is not asked, for an administrator has not named it")


async def test_what_is_sent_and_how_often() -> None:
    desk = Desk()
    await asked(desk, times=3)
    ((url, body),) = desk.gate.asked
    assert (url, body) == (
        URL,
        {
            "application": "checkout",
            "namespace": "shop",
            "run": "checkout-1",
            "revision": "rev1",
            "wave": "eu",
            "gate": "before[0]",
        },
    )
    desk.hub.hooks.forget(KEY)
    assert desk.hub.hooks.answers(KEY) == {}
