"""The session that kopf is given: it brings our credentials, and tells when a watch begins."""

from typing import Any

import pytest

from fleet.clusters import sessions
from tests.clusters.server import TOKEN, Server, status


@pytest.mark.parametrize(
    ("query", "code", "heard"),
    [
        pytest.param({}, 200, 0, id="a list is no watch"),
        pytest.param({"watch": "true"}, 200, 1, id="a watch that the server takes"),
        pytest.param({"watch": "true"}, 403, 0, id="a watch that it refuses"),
    ],
)
async def test_a_watch_is_told_of_once_it_has_begun(
    server: Server, query: dict[str, str], code: int, heard: int
) -> None:
    told = list[Any]()
    server.answer(status(code))
    session = sessions.dedicated(
        server.config(), user_agent="test", watching=lambda: told.append(None)
    )
    async with session, session.get(f"{server.url}/apis", params=query) as answer:
        assert answer.status == code
    assert len(told) == heard
    assert server.requests[0].headers["Authorization"] == f"Bearer {TOKEN}"
