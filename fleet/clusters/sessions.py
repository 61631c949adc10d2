"""A session that reaches one API server only, for a library that sends its own requests.

Given to kopf by both `handlers` (its login): the same TLS, credentials, proxy and name as our own
client, and a token file that is re-read, so that a rotated token never ends a watch. The receiver
closes it.
"""

import time
from collections.abc import Callable

import aiohttp

from fleet.clusters import tls
from fleet.clusters.bearer import Bearer
from fleet.clusters.config import ClientConfig

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


class _Ear:
    """Hears that the server has taken a watch; the list that goes before it has been read then."""

    def __init__(self, watching: Callable[[], None]) -> None:
        self._watching = watching

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        answer = await handler(request)
        if "watch" in request.url.query and answer.ok:
            self._watching()
        return answer


def dedicated(
    config: ClientConfig, *, user_agent: str, watching: Callable[[], None] = lambda: None
) -> aiohttp.ClientSession:
    """A new session for `config.server`, which calls `watching` at the start of every watch;
    needs a running loop."""
    connector = aiohttp.TCPConnector(
        limit=MOST_CONNECTIONS,
        keepalive_timeout=60,
        ssl=tls.context(config.ca, config.certificate, config.key),
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": user_agent},
        proxy=config.proxy_url,
        middlewares=(_Ear(watching), _Proof(config)),
    )
