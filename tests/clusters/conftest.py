"""A server, a session and a client for the tests of `fleet.clusters`."""

from collections.abc import AsyncIterator

import pytest

from fleet.clusters import watch
from fleet.clusters.client import Client, open_session
from fleet.clusters.transport import Session
from tests.clusters import server as servers


@pytest.fixture
async def server() -> AsyncIterator[servers.Server]:
    async with servers.running() as started:
        yield started


@pytest.fixture
async def session() -> AsyncIterator[Session]:
    async with open_session() as opened:
        yield opened


@pytest.fixture
def client(server: servers.Server, session: Session) -> Client:
    return Client("eu-7", server.config(), session, timeout=2.0)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The back-off between reconnects, so short that a test does not wait for it."""
    monkeypatch.setattr(watch, "SHORTEST", 0.01)
