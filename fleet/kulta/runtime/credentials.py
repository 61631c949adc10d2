"""Credentials for metrics sources, from Secrets that the Rollout's namespace lets the engine read.

Called by `sources` for queries that name a Secret; nobody else reads one. A Secret is read by name
when it is needed and kept in memory for a minute: no list, no watch, so that `get` on one name is
all the right that it takes. Its content goes into requests and nowhere else: sentences that hold a
part of it are blackened.
"""

import asyncio
import base64
import binascii
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fleet.api import names
from fleet.api.names import Key
from fleet.clusters import tls
from fleet.errors import FleetError, Forbidden, NotFound, TemporaryError
from fleet.ports import Clock, Kube

KEPT_SECONDS = 60.0
MOST = 1_000
"""Secrets that are remembered."""
KEYS = "token, or username and password; header.<name>; ca.crt"

OURS = frozenset({"host", "connection", "content-length", "transfer-encoding", "upgrade"})
"""Headers that belong to the transport: another request could be hidden behind them."""

_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_|~-]+")
_VALUE = re.compile(r"[\x20-\x7e]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What goes into a request."""

    headers: Mapping[str, str] = field(default_factory=dict)
    authority: str = ""
    """The CA that signed the server's certificate, PEM; empty: one of the system's."""
    hidden: tuple[str, ...] = ()
    """What nobody may read in a sentence."""

    def blackened(self, sentence: str) -> str:
        """`sentence` without secrets, which a server may repeat in its answer."""
        for item in self.hidden:
            sentence = sentence.replace(item, "***")
        return sentence


OPEN = Access()
"""No credentials."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    until: float
    access: asyncio.Future[Access]


class Credentials:
    """`of`, then `forget` what a server did not take."""

    def __init__(self, kube: Kube, clock: Clock) -> None:
        self._kube = kube
        self._clock = clock
        self._known: dict[Key, _Kept] = {}

    async def of(self, namespace: str, name: str) -> Access:
        """Raises TemporaryError with a sentence for a Secret that is missing, may not be read or
        makes no sense; the next call reads it again."""
        where, now = (namespace, name), self._clock.monotonic()
        known = self._known.get(where)
        if known is None or now >= known.until:
            reading = asyncio.ensure_future(self._read(where))
            reading.add_done_callback(_seen)
            known = _Kept(until=now + KEPT_SECONDS, access=reading)
            self._known.pop(where, None)
            self._known[where] = known
            while len(self._known) > MOST:
                del self._known[next(iter(self._known))]
        try:
            return await asyncio.shield(known.access)
        except TemporaryError:
            if self._known.get(where) is known:
                del self._known[where]
            raise

    def forget(self, namespace: str, name: str) -> None:
        """Read it anew next time."""
        self._known.pop((namespace, name), None)

    async def _read(self, where: Key) -> Access:
        told = f"the Secret {where[1]} of {where[0]}"
        try:
            secret = await self._kube.get(names.SECRETS, where[1], where[0])
        except NotFound:
            raise TemporaryError(f"{told} does not exist: create it with {KEYS}") from None
        except Forbidden:
            raise TemporaryError(
                f"the engine may not read {told}: grant it `get` on that name, as the README says"
            ) from None
        except FleetError as error:
            raise TemporaryError(f"{told} cannot be read: {error}") from None
        try:
            return read(secret)
        except ValueError as error:
            raise TemporaryError(f"{told} {error}") from None


def read(secret: Mapping[str, Any]) -> Access:
    """What a Secret says. Raises ValueError with words that hold nothing of its content."""
    data = {key: _text(key, value) for key, value in (secret.get("data") or {}).items()}
    headers = {
        key.removeprefix("header."): _line(key, value)
        for key, value in data.items()
        if key.startswith("header.")
    }
    for name in headers:
        if not _NAME.fullmatch(name) or name.lower() in OURS:
            raise ValueError(f"has the key header.{name}, which names no header of a user's")
    hidden = [*headers.values(), *(data[key] for key in ("token", "password") if key in data)]
    authorization = _authorization(data)
    if authorization:
        headers["Authorization"] = authorization
        hidden.append(authorization.partition(" ")[2])
    authority = data.get("ca.crt", "")
    if authority:
        try:
            tls.context(authority, None, None)
        except (ssl.SSLError, ValueError):
            raise ValueError("has a ca.crt that is no certificate in PEM") from None
    if not headers and not authority:
        raise ValueError(f"has none of the keys {KEYS}")
    longest_first = sorted({item for item in hidden if item}, key=len, reverse=True)
    return Access(headers=headers, authority=authority, hidden=tuple(longest_first))


def _authorization(data: Mapping[str, str]) -> str:
    if "token" in data and ("username" in data or "password" in data):
        raise ValueError("has a token beside username and password; keep one of them")
    if "token" in data:
        return f"Bearer {_line('token', data['token'])}"
    if ("username" in data) != ("password" in data):
        raise ValueError("has only one of username and password; write both")
    if "username" in data:
        pair = f"{data['username']}:{data['password']}"
        return f"Basic {base64.b64encode(pair.encode()).decode()}"
    return ""


def _text(key: str, value: Any) -> str:
    try:
        return base64.b64decode(str(value), validate=True).decode().strip()
    except (binascii.Error, UnicodeDecodeError):
        raise ValueError(f"has a {key} that is no text") from None


def _line(key: str, value: str) -> str:
    if not _VALUE.fullmatch(value):
        raise ValueError(f"has a {key} that is empty or not one line of plain text")
    return value


def _seen(done: asyncio.Future[Access]) -> None:
    """A failure that nobody waits for any more is no news."""
    if not done.cancelled():
        done.exception()
