"""The client of one API server: `ports.Kube`, and watching.

Built by `supervisor` for each member and by `wiring` for the process's own API server (give the
elector a client of its own, so that nothing queues before a renewal). It never caches objects
(`watch` does) and never decides what an error means for a rollout.

A list counts only when it is one: an empty answer from a proxy is never an empty cluster.
"""

import asyncio
import contextlib
import functools
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import orjson
import tenacity
from pydantic_core import from_json

from fleet import aio
from fleet.api import names
from fleet.api.meta import Manifest
from fleet.api.names import Resource
from fleet.clusters import errors, tokens
from fleet.clusters.transport import Params, RequestObserver, Transport, awake, open_session
from fleet.errors import (
    Conflict,
    Deposed,
    Gone,
    Invalid,
    NotFound,
    TemporaryError,
    UnexpectedState,
    Unreachable,
    Untrusted,
)

__all__ = ["Client", "Page", "RequestObserver", "open_session"]

JSON = "application/json"
PAGE = 500
"""Objects in one answer of a list."""
DEADLINE_SECONDS = 60.0
MOST_RETRY_AFTER = 30.0
"""Seconds that a server's own wish to be left alone is heeded for."""

_STRICT: Params = {"fieldValidation": "Strict"}
_SEGMENT = re.compile(r"(?!\.{1,2}$)[^/%?#\s]+")
_backoff = tenacity.wait_random_exponential(multiplier=0.2, max=10)


def _nothing() -> None:
    """Who listens when nobody does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A part of a list. `restarted`: the snapshot expired under way, this page is the whole."""

    items: list[dict[str, Any]]
    version: str
    token: str = ""
    restarted: bool = False
    size: int = 0
    """Bytes of the answer."""


@dataclass(eq=False, slots=True)
class Client(Transport):
    """One API server as `ports.Kube` and a little more.

    `inflight` requests at once, `timeout` seconds each, `attempts` for those that may be repeated.
    Every method raises the classes of `fleet.errors` and nothing else.
    """

    attempts: int = field(default=4, kw_only=True)

    async def get(
        self, resource: Resource, name: str, namespace: str | None = None
    ) -> dict[str, Any]:
        path = _path(resource, namespace, name)
        return _object(await self.request("GET", path, retry=True), f"GET {path}")

    async def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        selector: str | None = None,
        field_selector: str | None = None,
    ) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        pages = self.pages(resource, namespace, selector=selector, field_selector=field_selector)
        async for page in pages:
            if page.restarted:
                items.clear()
            items.extend(page.items)
        return items

    async def create(self, resource: Resource, manifest: Manifest) -> dict[str, Any]:
        return await self._write("POST", _path(resource, _namespace(manifest)), manifest)

    async def replace(
        self, resource: Resource, manifest: Manifest, *, sub: str = ""
    ) -> dict[str, Any]:
        meta = manifest["metadata"]
        if not meta.get("resourceVersion"):
            raise UnexpectedState(f"replace of {resource.kind} {meta['name']} without a version")
        path = _path(resource, _namespace(manifest), meta["name"], sub)
        return await self._write("PUT", path, manifest)

    async def apply(
        self, resource: Resource, manifest: Manifest, *, manager: str, force: bool = False
    ) -> dict[str, Any]:
        path = _path(resource, _namespace(manifest), manifest["metadata"]["name"])
        answer = await self.request(
            "PATCH",
            path,
            params={"fieldManager": manager, "force": str(force).lower()},
            body=manifest,
            content_type="application/apply-patch+yaml",
            retry=True,
        )
        return _object(answer, f"PATCH {path}")

    async def patch(
        self,
        resource: Resource,
        name: str,
        namespace: str | None,
        body: Manifest | Sequence[Manifest],
        *,
        sub: str = "",
    ) -> dict[str, Any]:
        path = _path(resource, namespace, name, sub)
        # A JSON patch may append, and a guarded patch that went through fails when repeated.
        merge = isinstance(body, Mapping)
        guarded = isinstance(body, Mapping) and "resourceVersion" in body.get("metadata", {})
        answer = await self.request(
            "PATCH",
            path,
            params=_STRICT,
            body=body,
            content_type=f"application/{'merge' if merge else 'json'}-patch+json",
            retry=merge and not guarded,
        )
        return _object(answer, f"PATCH {path}")

    async def delete(
        self,
        resource: Resource,
        name: str,
        namespace: str | None,
        *,
        uid: str | None = None,
        version: str | None = None,
    ) -> None:
        wanted = {"uid": uid, "resourceVersion": version}
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
            "preconditions": {key: value for key, value in wanted.items() if value},
        }
        # Repeated without a uid it could hit a successor of the same name.
        path = _path(resource, namespace, name)
        with contextlib.suppress(NotFound):
            await self.request("DELETE", path, body=options, retry=uid is not None)

    async def pages(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        selector: str | None = None,
        field_selector: str | None = None,
        size: int = PAGE,
    ) -> AsyncGenerator[Page, None]:
        """A list in parts of `size`; while the caller has one, the next is asked for, and no more.
        Should its snapshot expire under way, one page with the whole follows, marked `restarted`:
        drop what came before. Close it (`contextlib.aclosing`) when leaving early."""
        path, params = _path(resource, namespace), _selectors(selector, field_selector)
        limited = params | {"limit": str(size)}
        page = await self._page(path, await self._part(path, limited))
        while page.token:
            async with self._ahead(path, limited | {"continue": page.token}) as answer:
                yield page
                try:
                    page = await self._page(path, await answer)
                except Gone:
                    whole = await self._page(path, await self._part(path, params))
                    page = replace(whole, token="", restarted=True)
        yield page

    async def version(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        selector: str | None = None,
        field_selector: str | None = None,
    ) -> str:
        """The version that a list would have now; one object at most is sent for it. Asked once:
        what a failure means is for the caller to say."""
        path = _path(resource, namespace)
        params = _selectors(selector, field_selector) | {"limit": "1"}
        return (await self._page(path, await self.request("GET", path, params=params))).version

    async def watch(  # noqa: PLR0913 - what a watch is, and who hears that it began
        self,
        resource: Resource,
        *,
        version: str,
        selector: str | None = None,
        field_selector: str | None = None,
        namespace: str | None = None,
        timeout: int = 300,  # noqa: ASYNC109 - the server's `timeoutSeconds`
        opened: Callable[[], None] = _nothing,
        rest: Callable[[], float] = awake,
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Raw events after `version`, bookmarks included, until the server ends the watch.

        `opened` is called once the server has begun to answer: a quiet watch has no other sign.
        Raises Gone when `version` is too old, Hushed when the server has been silent for 75 s, and
        Unreachable when the stream breaks. Close it (`contextlib.aclosing`) when leaving early.
        """
        path = _path(resource, namespace)
        params = _selectors(selector, field_selector) | {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(timeout),
        }
        async with contextlib.aclosing(self.stream(path, params, opened, rest)) as lines:
            async for line in lines:
                event = _object(line, f"WATCH {path}", _worded)
                if event.get("type") == "ERROR":
                    raise _watch_error(_object(line, f"WATCH {path}"), path)
                yield event

    async def token_request(
        self, serviceaccount: str, namespace: str, seconds: int
    ) -> tuple[str, datetime]:
        """A token of a ServiceAccount and when it ends (UTC); `seconds`, 600 or more, is a wish."""
        path = _path(names.SERVICEACCOUNTS, namespace, serviceaccount, "token")
        status = (await self._write("POST", path, tokens.wish(seconds))).get("status")
        try:
            given = status or {}
            return str(given["token"]), datetime.fromisoformat(given["expirationTimestamp"])
        except (KeyError, TypeError, ValueError):
            raise Unreachable(f"POST {path}: the answer holds no token") from None

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        body: Any = None,
        content_type: str = JSON,
        retry: bool = False,
    ) -> bytes:
        """The body of the answer. `retry` only where a repetition does no harm: it repeats after
        transport failures, 5xx and 429, for a minute at most, never what the server refused."""
        data = None if body is None else orjson.dumps(body)
        headers = {} if data is None else {"Content-Type": content_type}
        began = self.monotonic()
        try:
            return await self.send(method, path, params, data, headers)
        except TemporaryError as error:
            if not retry or self.attempts == 1 or not _is_passing(error):
                raise
            left = DEADLINE_SECONDS - (self.monotonic() - began)
            send = functools.partial(self.send, method, path, params, data, headers)
            return await self._repeated(send, error, left)

    async def _repeated(
        self, send: Callable[[], Awaitable[bytes]], failure: TemporaryError, seconds: float
    ) -> bytes:
        """What `send` brings after the first `failure`, which counts as an attempt: one that goes
        well, as nearly all do, needs none of this."""
        failures = [failure]

        async def attempt() -> bytes:
            if failures:
                raise failures.pop()
            return await send()

        attempts = tenacity.AsyncRetrying(
            stop=tenacity.stop_after_attempt(self.attempts) | tenacity.stop_after_delay(seconds),
            wait=_wait,
            retry=tenacity.retry_if_exception(_is_passing),
            reraise=True,
        )
        return await attempts(attempt)

    async def _write(self, method: str, path: str, manifest: Manifest) -> dict[str, Any]:
        answer = await self.request(method, path, params=_STRICT, body=manifest)
        return _object(answer, f"{method} {path}")

    async def _part(self, path: str, params: Params) -> bytes:
        return await self.request("GET", path, params=params, retry=True)

    @contextlib.asynccontextmanager
    async def _ahead(self, path: str, params: Params) -> AsyncGenerator[asyncio.Task[bytes], None]:
        """The next part, on its way: the server writes it while the caller sees to the one before,
        which may keep the event loop busy."""
        answer = asyncio.create_task(self._part(path, params))
        try:
            await asyncio.sleep(0)  # it stands in line
            await self.turn()  # and has been sent
            yield answer
        finally:
            await aio.cancel(answer)

    async def _page(self, path: str, answer: bytes) -> Page:
        await self.turn()
        said = _object(answer, f"GET {path}", _worded)
        meta, items = said.get("metadata"), said.get("items")
        version = meta.get("resourceVersion") if isinstance(meta, dict) else None
        if not version or not isinstance(items, list) or not isinstance(meta, dict):
            raise Unreachable(f"GET {path}: the answer is not a list of an API server")
        token = str(meta.get("continue") or "")
        return Page(items=items, version=str(version), token=token, size=len(answer))


def _is_passing(error: BaseException) -> bool:
    """Whether the same request may succeed within the minute."""
    lasting = isinstance(error, Conflict | Deposed | errors.CircuitOpen | Untrusted)
    return isinstance(error, TemporaryError) and not lasting


def _wait(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after if isinstance(error, TemporaryError) else None
    return max(_backoff(state), min(asked or 0.0, MOST_RETRY_AFTER))


def _watch_error(event: Mapping[str, Any], path: str) -> Exception:
    status = event.get("object")
    code = status.get("code") if isinstance(status, dict) else None
    code = code if isinstance(code, int) and code >= 400 else 500
    return errors.from_answer(code, orjson.dumps(status), what=f"WATCH {path}")


def _path(resource: Resource, namespace: str | None, name: str | None = None, sub: str = "") -> str:
    """The path, with names that come from users kept from climbing out of it."""
    for segment in (namespace, name):
        if segment is not None and not _SEGMENT.fullmatch(segment):
            raise Invalid(f"{segment!r} cannot be the name of an object or a namespace")
    return resource.path(namespace, name, sub)


def _namespace(manifest: Manifest) -> str | None:
    namespace: str | None = manifest["metadata"].get("namespace")
    return namespace


def _selectors(labels: str | None, fields: str | None) -> dict[str, str]:
    wanted = {"labelSelector": labels, "fieldSelector": fields}
    return {key: value for key, value in wanted.items() if value}


def _object(body: bytes, what: str, read: Callable[[bytes], Any] = orjson.loads) -> dict[str, Any]:
    try:
        value = read(body)
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        raise Unreachable(f"{what}: the answer is not a JSON object of an API server")
    return value


def _worded(body: bytes) -> Any:
    """What goes into stores: each short word once, also those of other answers, for a hundred
    thousand objects are made of few. Numbers may be larger than orjson takes. What is nested deeper
    than this reader goes is read without."""
    try:
        return from_json(body, allow_inf_nan=False, cache_strings="all")
    except ValueError:
        return orjson.loads(body)
