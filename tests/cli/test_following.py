"""Following collections by watches: what is known, after each thing that can happen to a watch."""

import queue
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from fleet import errors
from fleet.api import names
from fleet.cli.following import Following, Topic

PODS = Topic(resource=names.PODS, namespace="shop", query={"labelSelector": "app=web"})
Event = dict[str, Any]


def pod(name: str, version: int = 1) -> dict[str, Any]:
    return {"metadata": {"uid": name, "name": name, "resourceVersion": str(version)}}


class Stream:
    """A watch that says what the test puts in; an error is raised, None ends it."""

    def __init__(self) -> None:
        self.events: queue.SimpleQueue[Event | Exception | None] = queue.SimpleQueue()

    def __iter__(self) -> Iterator[Event]:
        while (item := self.events.get()) is not None:
            if isinstance(item, Exception):
                raise item
            yield item

    def close(self) -> None:
        self.events.put(None)


class Server:
    """Lists what `items` hold; each watch is a `Stream` in `streams`."""

    def __init__(self, *items: dict[str, Any]) -> None:
        self.items = list(items)
        self.asked: list[Mapping[str, str]] = []
        self.streams: queue.SimpleQueue[Stream] = queue.SimpleQueue()
        self.down = False

    def request(self, method: str, path: str, *, query: Mapping[str, str]) -> dict[str, Any]:
        if self.down:
            raise errors.Unreachable("it does not answer")
        return {"items": self.items, "metadata": {"resourceVersion": "7"}}

    def stream(self, path: str, query: Mapping[str, str]) -> Stream:
        self.asked.append(query)
        made = Stream()
        self.streams.put(made)
        return made


def known(following: Following) -> list[str]:
    return sorted(item["metadata"]["name"] for item in following.objects(0))


def following_of(server: Server) -> Following:
    return Following(server, (PODS,))  # type: ignore[arg-type]


def test_what_comes_goes_and_changes_is_known() -> None:
    server = Server(pod("a"))
    with following_of(server) as following:
        assert known(following) == ["a"]
        assert following.objects(0)[0]["kind"] == "Pod"
        stream = server.streams.get(timeout=5)
        stream.events.put({"type": "ADDED", "object": pod("b", 8)})
        assert following.wait(5)
        assert known(following) == ["a", "b"]
        stream.events.put({"type": "DELETED", "object": pod("a", 9)})
        assert following.wait(5)
        assert known(following) == ["b"]
        assert following.wait(0.01) is False
    assert server.asked[0]["resourceVersion"] == "7"


def test_a_watch_that_ends_goes_on_where_it_was() -> None:
    server = Server()
    with following_of(server) as following:
        stream = server.streams.get(timeout=5)
        stream.events.put({"type": "BOOKMARK", "object": pod("x", 42)})
        stream.events.put(None)
        server.streams.get(timeout=5)
        assert known(following) == []
    assert server.asked[1]["resourceVersion"] == "42"


@pytest.mark.parametrize(
    "end",
    [
        pytest.param({"type": "ERROR", "object": {"code": 410}}, id="an expired watch"),
        pytest.param(errors.Unreachable("cut off"), id="a lost connection"),
    ],
)
def test_what_was_missed_is_listed_anew(end: Event | Exception) -> None:
    server = Server(pod("a"))
    with following_of(server) as following:
        stream = server.streams.get(timeout=5)
        server.items = [pod("c")]
        stream.events.put(end)
        server.streams.get(timeout=5)
        assert known(following) == ["c"]


def test_what_no_patience_mends_is_raised() -> None:
    server = Server()
    with following_of(server) as following:
        server.streams.get(timeout=5).events.put(errors.Forbidden("not allowed to watch"))
        with pytest.raises(errors.Forbidden, match="not allowed"):
            following.wait(5)


def test_a_server_that_is_away_is_told_and_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleet.cli.following.PAUSES", (0.01,))
    server = Server()
    with following_of(server) as following:
        server.down = True
        server.streams.get(timeout=5).events.put(errors.Unreachable("cut off"))
        assert following.wait(5)
        assert following.trouble
        server.down = False
        server.streams.get(timeout=5)
