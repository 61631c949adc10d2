"""What is taken of the words of those who are asked by HTTP: metrics sources, hooks, sinks."""

import pytest

from fleet.clusters import web
from fleet.clusters.web import Answer, Web
from fleet.errors import FleetError, PermanentError, TemporaryError
from fleet.wiring.gatekeeper import Gatekeeper

ECHO = b'{"error":"refused","request":"{\\"token\\":\\"abc\\"}"}'


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        pytest.param(503, TemporaryError, id="for a while"),
        pytest.param(400, PermanentError, id="for good"),
    ],
)
def test_an_answer_that_echoes_a_credential_is_told_without_it(
    status: int, kind: type[FleetError]
) -> None:
    with pytest.raises(kind) as raised:
        web.check(Answer(status=status, body=ECHO), "the hook", 200)
    words = '{"error":"refused","request":"{\\"token\\":…}"}'
    assert str(raised.value) == f"the hook answered {status}: {words}"


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        pytest.param("x" * 20, "x" * 20, id="what fits stays"),
        pytest.param("x" * 21, "x" * 19 + "…", id="what does not is cut"),
        pytest.param("Basic " + "x" * 200, "Basic …", id="half a password is one, too"),
    ],
)
def test_words_are_cut(words: str, shown: str) -> None:
    assert web.cut(words, 20) == shown


async def test_the_path_of_a_gate_may_be_its_secret() -> None:
    net = Web(user_agent="test")
    try:
        with pytest.raises(TemporaryError) as raised:
            await Gatekeeper(net).ask("http://127.0.0.1:1/T0/abc", {}, 5.0)
    finally:
        await net.close()
    assert str(raised.value).startswith("http://127.0.0.1:1 is refused")
