"""A few collections followed live, by watches: what `watch` and `--wait` stand on. No polling.

    with Following(access, topics) as following:
        while True:
            draw(following.objects(0), …)
            following.wait(seconds)

One thread per collection lists, then watches; a lost connection is taken up again with growing
pauses, an expired watch begins with a new list. Errors that no patience mends are raised by `wait`.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from fleet import errors
from fleet.api.names import Resource

if TYPE_CHECKING:
    from fleet.cli.access import Access, Stream

PAUSES = (0.2, 1.0, 3.0, 10.0)
"""Seconds between attempts to reach a server that does not answer."""
TICK = 1.0
"""Seconds between two looks at the clock: what counts down changes no object."""

Object = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """A collection, narrowed by `query` (`labelSelector`, `fieldSelector`)."""

    resource: Resource
    namespace: str | None
    query: Mapping[str, str] = field(default_factory=dict)


class Stay:
    """How long a command goes on: so many seconds, or until it is left where that is None."""

    def __init__(self, seconds: float | None) -> None:
        self._end = None if seconds is None else time.monotonic() + seconds

    def left(self) -> float:
        """Seconds until the next look: a tick, or what is left of it; at its end 0 or less."""
        return TICK if self._end is None else min(TICK, self._end - time.monotonic())


class Following:
    """See the module."""

    def __init__(self, access: Access, topics: Sequence[Topic]) -> None:
        self._access, self._topics = access, topics
        self._known: list[dict[str, Object]] = [{} for _ in topics]
        self._streams: list[Stream | None] = [None for _ in topics]
        self._news: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        self._ended = threading.Event()
        self.trouble = ""
        """Why the server is not heard at present; empty while it is."""

    def __enter__(self) -> Self:
        """List everything once, so that what is drawn first is whole. Raises what `Access` does."""
        versions = [self._list(index) for index in range(len(self._topics))]
        for index, version in enumerate(versions):
            threading.Thread(target=self._follow, args=(index, version), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        for stream in self._streams:
            if stream is not None:
                stream.close()

    def objects(self, index: int) -> list[Object]:
        """What the collection of that topic holds now."""
        return list(self._known[index].values())

    def everything(self) -> list[Object]:
        """What all the collections hold now; each object has its kind."""
        return [item for known in self._known for item in known.values()]

    def wait(self, seconds: float) -> bool:
        """Until something has changed, at most so long; whether it has. Raises `FleetError`."""
        try:
            found = [self._news.get(timeout=seconds)]
        except queue.Empty:
            return False
        while not self._news.empty():
            found.append(self._news.get())
        for item in found:
            if item is not None:
                raise item
        return True

    def _list(self, index: int) -> str:
        topic = self._topics[index]
        path = topic.resource.path(topic.namespace)
        answer = self._access.request("GET", path, query=topic.query)
        head = topic.resource.head  # items of a list have none of their own
        self._known[index] = {item["metadata"]["uid"]: head | item for item in answer["items"]}
        return str(answer["metadata"]["resourceVersion"])

    def _follow(self, index: int, version: str) -> None:
        """The life of one thread."""
        failures = 0
        while not self._ended.is_set():
            try:
                version = version or self._list(index)
                version = self._watch(index, version)
                failures = 0
            except (errors.Unreachable, errors.Throttled) as error:
                self.trouble = str(error)
                self._news.put(None)
                self._ended.wait(PAUSES[min(failures, len(PAUSES) - 1)])
                failures, version = failures + 1, ""
            except errors.FleetError as error:
                self._news.put(error)
                return

    def _watch(self, index: int, version: str) -> str:
        """One watch to its end: the version to go on from, empty for a new list."""
        topic = self._topics[index]
        query = {**topic.query, "resourceVersion": version, "allowWatchBookmarks": "true"}
        stream = self._access.stream(topic.resource.path(topic.namespace), query)
        self._streams[index] = stream
        self.trouble = ""
        if self._ended.is_set():
            stream.close()
        for event in stream:
            item = event["object"]
            if event["type"] == "ERROR":
                return ""
            version = str(item["metadata"]["resourceVersion"])
            if event["type"] == "BOOKMARK":
                continue
            self._take(index, event["type"], item)
        return version

    def _take(self, index: int, kind: str, item: Object) -> None:
        known = dict(self._known[index])  # readers have the old one
        known.pop(item["metadata"]["uid"], None)
        if kind != "DELETED":
            known[item["metadata"]["uid"]] = item
        self._known[index] = known
        self._news.put(None)
