"""The processes in which the templates of tenants print: what they may do, and how they end."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from fleet.errors import FleetError, TemporaryError, UserError
from fleet.wiring import cells
from fleet.wiring.cells import Cells

MIB = 2**20
LOOP = "{% for a in range(9999) %}" * 3 + "{% endfor %}" * 3


@pytest.fixture
async def press() -> AsyncIterator[Cells]:
    made = Cells(2, seconds=0.2)
    yield made
    await made.close()


async def printed(press: Cells, text: str, tenant: str = "shop", **values: Any) -> Any:
    files = {"t.j2": text, "m.j2": "{% macro twice(x) %}{{ x * 2 }}{% endmacro %}"}
    found = await press.print(tenant, files, ["t.j2"], values)
    return [body for _, body in found.documents], found.names


async def error(press: Cells, text: str) -> str:
    with pytest.raises(UserError) as caught:
        await printed(press, text)
    assert caught.value.reason == "TemplateError"
    return str(caught.value)


def pids(press: Cells) -> set[int]:
    return {one.process.pid for one in press._idle.values()}


async def test_what_is_printed_comes_back_with_every_name_that_was_read(press: Cells) -> None:
    text = '{% import "m.j2" as m %}a: {{ m.twice(x) }}\n---\n{1: [b]}'
    documents, names = await printed(press, text, x=2, y=3)
    assert documents == [{"a": 4}, {"1": ["b"]}]
    assert "x" in names
    assert "y" not in names


async def test_what_is_printed_is_weighed(press: Cells) -> None:
    """A list of a thousand empty objects is 3 KB of text, and 200 KB of objects."""
    for text, least in (("a: 1", 100), (f"a: [{','.join(['{}'] * 1000)}]", 200_000)):
        found = await press.print("shop", {"t.j2": text}, ["t.j2"], {})
        assert least < found.weight < 2 * least + 1_000


async def test_a_process_has_neither_files_nor_environment_nor_a_way_to_more(
    press: Cells,
) -> None:
    await printed(press, "a: 1")
    (pid,) = pids(press)
    place = Path(f"/proc/{pid}")
    assert place.joinpath("environ").read_bytes() == b""
    assert {item.name for item in place.joinpath("fd").iterdir()} == {"0", "1", "2"}
    limits = {
        line[:26].strip(): line[26:].split()[:2]
        for line in place.joinpath("limits").read_text().splitlines()
    }
    assert limits["Max open files"] == ["3", "3"]
    assert limits["Max file size"] == limits["Max processes"] == ["0", "0"]
    assert limits["Max address space"] == [str(256 * MIB)] * 2
    assert limits["Max cpu time"] == ["60", "60"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param(
            f"\n{LOOP}", "template t.j2 line 2: more than 0.2 s of processor time", id="a long loop"
        ),
        pytest.param(
            "{{ 10 ** (10 ** 10) }}",
            "templates: more than 0.2 s of processor time",
            id="one step that takes for ever",
        ),
        pytest.param(
            "{{ 'a' * 1000000000 }}",
            "template t.j2 line 1: more memory than there is",
            id="a gigabyte",
        ),
        pytest.param(
            "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
            "template t.j2 line 1: calls itself too often",
            id="a macro that calls itself",
        ),
        pytest.param(
            "a: " + "9" * 40,
            "templates: their output is no JSON: Integer exceeds 64-bit range",
            id="a number that no API server takes",
        ),
    ],
)
async def test_who_takes_too_much_ends_his_process(press: Cells, text: str, words: str) -> None:
    assert await error(press, text) == words
    assert pids(press) == set()


async def test_a_process_is_kept_for_its_tenant_and_never_serves_another(press: Cells) -> None:
    await printed(press, "a: 1")
    first = pids(press)
    await printed(press, "a: 2")
    assert pids(press) == first
    await printed(press, "a: 1", tenant="bank")
    await printed(press, "a: 1", tenant="mill")
    assert len(pids(press)) == 2
    assert not first & pids(press), "it has made room"


async def test_a_process_that_is_gone_is_replaced(press: Cells) -> None:
    await printed(press, "a: 1")
    (one,) = press._idle.values()
    await one.end()
    assert (await printed(press, "a: 1"))[0] == [{"a": 1}]


async def test_who_gives_no_answer_is_no_fault_of_the_template(
    press: Cells, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine may stand still; it is asked once more."""
    monkeypatch.setattr(cells, "PATIENCE_SECONDS", 0.0)
    with pytest.raises(TemporaryError) as caught:
        await printed(press, "a: 1")
    assert str(caught.value) == "no answer from the process for templates in 0 s"
    monkeypatch.setattr(cells, "BEGIN", "import os; os.kill(os.getpid(), 9)")
    monkeypatch.setattr(cells, "PATIENCE_SECONDS", 60.0)
    with pytest.raises(TemporaryError):
        await printed(press, "a: 1")


async def test_a_rendering_that_nobody_waits_for_any_more_is_ended(press: Cells) -> None:
    waiting = asyncio.create_task(printed(press, LOOP))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert press._busy == 0


async def test_more_than_an_answer_may_hold_is_refused(
    press: Cells, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cells, "MOST_BYTES", 1_000)
    with pytest.raises(FleetError, match="more than 1000 bytes of output"):
        await printed(press, f"a: {'x' * 5_000}")
