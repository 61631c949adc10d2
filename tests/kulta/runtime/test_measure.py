"""Measurements: asked in the background, once for each text, remembered with their time."""

import asyncio

from fleet.api.analysis import Analysis
from fleet.errors import TemporaryError
from fleet.kulta.core.actions import Query
from fleet.kulta.runtime.measure import KEPT, Measurements
from tests.fakes import NOON, FakeClock, Samples

KEY = ("shop", "checkout")


def query(text: str = "up") -> Query:
    return Query(address="http://prometheus:9090", text=text)


class Slow(Samples):
    """Answers when it is let go."""

    def __init__(self) -> None:
        super().__init__({"up": 1.0})
        self.go = asyncio.Event()

    async def query(self, address: str, text: str) -> float | None:
        self.asked.append((address, text))
        await self.go.wait()
        return 1.0


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_an_answer_wakes_its_rollout_and_is_remembered() -> None:
    woken: list[tuple[str, str]] = []
    measurements = Measurements(Samples({"up": 2.5}), FakeClock(), woken.append)
    measurements.ask(KEY, [query()])
    await settle()
    found = measurements.of(KEY)["up"]
    assert (found.value, found.error, found.at) == (2.5, "", NOON)
    assert woken == [KEY]


async def test_no_data_is_neither_a_value_nor_an_error() -> None:
    measurements = Measurements(Samples({"up": None}), FakeClock(), lambda _: None)
    measurements.ask(KEY, [query()])
    await settle()
    assert (measurements.of(KEY)["up"].value, measurements.of(KEY)["up"].error) == (None, "")


async def test_an_error_is_remembered_as_a_sentence() -> None:
    source = Samples({"up": TemporaryError("prometheus is on fire")})
    measurements = Measurements(source, FakeClock(), lambda _: None)
    measurements.ask(KEY, [query()])
    await settle()
    assert measurements.of(KEY)["up"].error == "prometheus is on fire"


async def test_one_text_is_asked_once_at_a_time() -> None:
    source = Slow()
    measurements = Measurements(source, FakeClock(), lambda _: None)
    measurements.ask(KEY, [query(), query()])
    await settle()
    measurements.ask(KEY, [query()])
    await settle()
    assert len(source.asked) == 1
    source.go.set()
    await settle()
    measurements.ask(KEY, [query()])
    await settle()
    assert len(source.asked) == 2


async def test_old_texts_fade() -> None:
    texts = [f"up[{number}s]" for number in range(KEPT + 10)]
    measurements = Measurements(Samples(dict.fromkeys(texts, 1.0)), FakeClock(), lambda _: None)
    for text in texts:
        measurements.ask(KEY, [query(text)])
        await settle()
    assert list(measurements.of(KEY)) == texts[10:]


async def test_a_whole_round_of_the_largest_analysis_is_kept() -> None:
    """20 metrics with 5 texts each, beside those of the round before."""
    most = next(item.max_length for item in Analysis.model_fields["metrics"].metadata)
    assert 2 * 5 * most <= KEPT


async def test_closing_ends_what_is_under_way() -> None:
    source = Slow()
    measurements = Measurements(source, FakeClock(), lambda _: None)
    measurements.ask(KEY, [query()])
    await settle()
    await measurements.close()
    assert measurements.of(KEY) == {}
    measurements.ask(KEY, [query()])
    await settle()
    assert len(source.asked) == 2
    await measurements.close()
