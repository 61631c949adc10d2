"""A session that reaches one API server only, for a library that sends its own requests.

Given to kopf by both `handlers` (its login): the same TLS, credentials, proxy and name as our own
client, and a token file that is re-read, so that a rotated token never ends a watch. The receiver
closes it. What a watch says can be sifted before the library takes it to pieces.

kopf goes on where it was, however long nobody has answered. Meanwhile the server may have been
restored from a backup: it would keep such a watch open, and tell nothing. So it is asked in a way
that makes it answer 410, upon which kopf lists anew. A new login makes a new session, and kopf goes
on across that too: no session trusts what it has not listed itself.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import aiohttp

from fleet.clusters import errors
from fleet.clusters.bearer import Bearer
from fleet.clusters.config import ClientConfig

LONG_AGO = "1"
"""A version that no server goes on from."""
MOST_CONNECTIONS = 20
"""A watch for each kind that kopf looks at, and room to spare."""


class _Proof:
    """Puts the credentials of the moment into every request; only to our own server."""

    def __init__(self, config: ClientConfig) -> None:
        self._config, self._bearer = config, Bearer(config)

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        request.server_hostname = self._config.tls_server_name
        token = self._current()
        if token and str(request.url).startswith(f"{self._config.server}/"):
            request.headers["Authorization"] = f"Bearer {token}"
        return await handler(request)

    def _current(self) -> str | None:
        try:
            return self._bearer.current(time.monotonic())
        except OSError:
            # The last token goes on: the server's 401 is the clearer message.
            return self._bearer.last


class _Sieve:
    """The body of a watch without the lines that are no news: a library spends fifty times on each
    what it takes to know. In all else it is the body itself. `broke` is called when the server
    has not ended it in order."""

    def __init__(
        self,
        content: aiohttp.StreamReader,
        is_news: Callable[[bytes], bool],
        broke: Callable[[], None],
    ) -> None:
        self._content, self._is_news, self._broke = content, is_news, broke

    def __getattr__(self, name: str) -> Any:
        return getattr(self._content, name)

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        """As of any body, by which kopf reads it; in whole lines, but for what a server that went
        away left of the last one."""
        rest = b""
        try:
            async for part in self._content.iter_chunked(size):
                whole, newline, rest = (rest + part).rpartition(b"\n")
                lines = whole.split(b"\n") if newline else ()
                if found := [line for line in lines if line and self._is_news(line)]:
                    yield b"\n".join(found) + b"\n"
        except (aiohttp.ClientError, TimeoutError, OSError):
            # Not a cancellation, by which kopf gives up what is silent: a server has no bookmark
            # to send while nothing moves, and would be asked for a list each minute.
            self._broke()
            raise
        if rest:
            yield rest


class _Ear:
    """Hears that a list is asked for, and that the server has taken a watch; the list that goes
    before it has been read then."""

    def __init__(
        self,
        listing: Callable[[], None],
        watching: Callable[[], None],
        is_news: Callable[[bytes], bool],
        broke: Callable[[], None],
    ) -> None:
        self._listing, self._watching = listing, watching
        self._is_news, self._broke = is_news, broke

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        if _begins_list(request):
            self._listing()
        answer = await handler(request)
        if "watch" in request.url.query and answer.ok:
            sieve = _Sieve(answer.content, self._is_news, self._broke)
            answer.content = cast(aiohttp.StreamReader, sieve)
            self._watching()
        return answer


class _Doubt:
    """Lets no watch go on from a list that is older than the last request which nobody answered,
    or that another session has seen: what failed there, and after which list, nobody knows here."""

    def __init__(self) -> None:
        self._failures = 0
        self._listed: dict[str, int] = {}
        """Failures before the last list, by its path."""

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        path, query = request.url.path, request.url.query
        if _begins_list(request):
            self._listed[path] = self._failures
        elif {"watch", "resourceVersion"} <= query.keys() and self._is_doubted(path):
            request.url = request.url.update_query(resourceVersion=LONG_AGO)
        try:
            answer = await handler(request)
        except (aiohttp.ClientError, TimeoutError, OSError, asyncio.CancelledError):
            # Cancelled: kopf has waited long enough for a first word.
            self.fail()
            raise
        if answer.status in errors.SERVER_FAILURES:
            self.fail()
        return answer

    def fail(self) -> None:
        """Nobody has answered, or not to the end."""
        self._failures += 1

    def _is_doubted(self, path: str) -> bool:
        return self._listed.get(path, -1) < self._failures


def _begins_list(request: aiohttp.ClientRequest) -> bool:
    """Whether it asks for a list, not for a further page of one."""
    return not {"watch", "continue"} & request.url.query.keys()


def dedicated(
    config: ClientConfig,
    *,
    user_agent: str,
    listing: Callable[[], None] = lambda: None,
    watching: Callable[[], None] = lambda: None,
    is_news: Callable[[bytes], bool] = lambda _: True,
) -> aiohttp.ClientSession:
    """A new session for `config.server`, which calls `listing` before it asks for a list and
    `watching` at the start of every watch, and keeps the lines to itself of which `is_news` says
    no; needs a running loop."""
    doubt = _Doubt()
    ear = _Ear(listing, watching, is_news, doubt.fail)
    connector = aiohttp.TCPConnector(
        limit=MOST_CONNECTIONS,
        keepalive_timeout=60,
        ssl=config.tls,
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": user_agent},
        proxy=config.proxy_url,
        middlewares=(ear, doubt, _Proof(config)),
    )
