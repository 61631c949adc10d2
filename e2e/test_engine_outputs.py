"""What the engine tells of its decisions, with real sinks: nothing is lost, nobody waits.

One engine is killed after each write that a rollout makes, again and again, while a slow sink of
CDEvents listens: whatever was stored has arrived, each event with one identity. The pure halves are
in `tests/kulta/core/messages` and `tests/kulta/runtime/test_outbox.py`.
"""

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from e2e.ground import background
from e2e.ground.controlplane import ControlPlane
from e2e.ground.engine import Engine
from e2e.ground.mailbox import Mailbox
from e2e.ground.proxy import HttpProxy
from e2e.ground.subject import Subject, service
from e2e.ground.waiting import until
from fleet.api.rollout import Rollout
from fleet.kit import hashing
from fleet.kulta.core.messages import cdevents
from fleet.kulta.core.messages.transition import Transition

MOST_WRITES = 40
"""More than one rollout makes."""
STEPS = [{"setWeight": 50, "pause": {"duration": "1s"}}, {"setWeight": 100}]
_numbers = itertools.count(1)


def canary(plane: ControlPlane, namespace: str, **spec: Any) -> Subject:
    """Two steps, no router: pods divide the traffic."""
    names = {"stableService": "web", "canaryService": "web-canary"}
    return Subject(
        plane=plane,
        namespace=namespace,
        name="web",
        strategy={"canary": {**names, "steps": STEPS}},
        spec=spec,
    )


def revision(subject: Subject, image: str) -> str:
    return hashing.pod_hash(subject.manifest(image)["spec"]["template"])


def occurrences(running: Engine) -> list[dict[str, Any]]:
    """The lines of its files, the older file first."""
    paths = (running.occurrences / name for name in ("occurrence.json.1", "occurrence.json"))
    texts = (path.read_text() for path in paths if path.exists())
    return [json.loads(line) for text in texts for line in text.splitlines()]


def shows(running: Engine, text: str) -> bool:
    return text in running.get("/metrics")[1]


@dataclass(kw_only=True)
class Story:
    """What was stored, and what arrived."""

    subject: Subject
    box: Mailbox
    running: Engine
    killed_after: list[int] = field(default_factory=list)
    """Numbers of writes."""
    transitions: dict[int, Transition] = field(default_factory=dict)
    """Every decision that the API server ever held, by its number."""

    def look(self) -> None:
        rollout = Rollout.parse(self.subject.object)
        for item in rollout.status.decisions:
            self.transitions[item.sequence] = Transition(rollout=rollout, decision=item)

    @property
    def expected(self) -> dict[str, int]:
        """Id of each CDEvent → number of its decision."""
        found = ((cdevents.of(item), number) for number, item in self.transitions.items())
        return {event["id"]: number for event, number in found if event}


@pytest.fixture(scope="module")
def story(kwok: ControlPlane) -> Iterator[Story]:
    """Kill the engine after the first write of a rollout, after two of the next, and so on."""
    namespace = kwok.add_namespace("outputs-killed")
    proxied = HttpProxy(kwok.server, kwok.authority)
    with Mailbox(delay=0.2) as box, background.running(proxied) as proxy:
        running = Engine(
            kwok,
            kwok.folder,
            name="killed",
            KULTA_CDEVENTS_ENABLED="true",
            KULTA_CDEVENTS_SINK_URL=box.url,
        )
        web = canary(kwok, namespace)
        told = Story(subject=web, box=box, running=running)
        running.start(server=proxy.url)
        web.apply("app:v0")
        web.wait(phase="Completed")
        told.look()
        for number in range(1, MOST_WRITES):
            if not _round(told, proxy, number):
                break
        last = max(told.expected, key=told.expected.__getitem__)
        until(lambda: last in {letter["id"] for letter in box.letters}, "the last", within=30)
        for sink in ("events", "cdevents", "occurrences"):
            none = f'kulta_events_waiting{{sink="{sink}"}} 0'
            until(partial(shows, running, none), f"{sink}: all are sent", within=30)
        running.stop()
        yield told


def _round(told: Story, proxy: HttpProxy, number: int) -> bool:
    """One revision, with an engine that dies after so many writes; whether it did."""
    web, wanted = told.subject, revision(told.subject, f"app:v{number}")
    proxy.hold_after(number)
    web.apply(f"app:v{number}")

    def is_over() -> bool:
        status = web.status
        return status.get("phase") == "Completed" and status.get("stablePodHash") == wanted

    until(lambda: proxy.held.is_set() or is_over(), f"write {number}", within=30)
    died = proxy.held.is_set()
    told.look()
    if died:
        told.killed_after.append(number)
        told.running.kill()
        proxy.heal()
        told.running.start(server=proxy.url)
    web.wait(phase="Completed", stablePodHash=wanted)
    told.look()
    proxy.heal()
    return died


@pytest.mark.timeout(900)
def test_the_engine_died_after_every_write_of_a_rollout(story: Story) -> None:
    assert story.killed_after == list(range(1, len(story.killed_after) + 1))
    assert len(story.killed_after) >= 12


def test_every_event_arrived(story: Story) -> None:
    """Each decision that was ever stored, though its engine died before or while it told it."""
    arrived = {letter["id"] for letter in story.box.letters}
    missing = {number for identity, number in story.expected.items() if identity not in arrived}
    assert missing == set()
    assert len(story.expected) >= 3 * len(story.killed_after)


def test_what_arrived_twice_is_the_same_event(story: Story) -> None:
    seen: dict[str, dict[str, Any]] = {}
    for letter in story.box.letters:
        assert seen.setdefault(letter["id"], letter) == letter
    assert len(seen) < len(story.box.letters), "no engine died while it told something"
    assert seen.keys() <= story.expected.keys()


def test_events_of_a_rollout_arrive_in_their_order(story: Story) -> None:
    first = dict.fromkeys(letter["id"] for letter in story.box.letters)
    numbers = [story.expected[identity] for identity in first]
    assert numbers == sorted(numbers)


def test_every_decision_has_its_occurrence(story: Story) -> None:
    wanted = {item.ulid for item in story.transitions.values()}
    assert wanted <= {item["id"] for item in occurrences(story.running)}


def test_every_decision_has_one_event_in_the_cluster(story: Story) -> None:
    path = f"/api/v1/namespaces/{story.subject.namespace}/events"
    found = story.subject.plane.call("GET", path)[1]["items"]
    names = [
        item["metadata"]["name"]
        for item in found
        if item["involvedObject"]["kind"] == "Rollout" and item["reason"] != "PodsPending"
    ]
    assert {f"web.{item.uuid}" for item in story.transitions.values()} <= set(names)


def test_numbers_have_no_gaps(story: Story) -> None:
    assert sorted(story.transitions) == list(range(1, max(story.transitions) + 1))


def test_a_dead_sink_delays_nobody_and_gets_everything_when_it_is_back(
    kwok: ControlPlane, place: str
) -> None:
    """[E14] The rollout is over before the sink is there."""
    box = Mailbox()
    with Engine(
        kwok,
        kwok.folder,
        name="patient",
        KULTA_CDEVENTS_ENABLED="true",
        KULTA_CDEVENTS_SINK_URL=box.url,
    ) as running:
        web = canary(kwok, place)
        web.apply("app:v1")
        web.wait(phase="Completed")
        web.apply("app:v2")
        web.wait(phase="Completed", stablePodHash=revision(web, "app:v2"))
        assert "a sink does not take what it is sent" in running.process.tail()
        assert not shows(running, 'kulta_events_total{result="delivered",sink="cdevents"}')
        with box:
            waiting = 'kulta_events_waiting{sink="cdevents"} 0'
            until(lambda: shows(running, waiting), "all is sent", within=70)
    mine = [letter for letter in box.letters if place in str(letter["data"]["customData"])]
    types = [letter["type"].split(".")[3] for letter in mine]
    assert types == ["deployed", "published", "deployed", "upgraded", "published"]


def test_a_folder_that_cannot_be_written_is_a_warning(kwok: ControlPlane, place: str) -> None:
    """[F14] The rollout succeeds."""
    folder = {"KULTA_OCCURRENCE_DIR": "/proc/no/folder"}
    with Engine(kwok, kwok.folder, name="mute", **folder) as running:
        web = Subject(plane=kwok, namespace=place, name="web", strategy={"simple": {}})
        web.apply("app:v1")
        web.wait(phase="Completed")
        until(
            lambda: shows(running, 'kulta_events_total{result="refused",sink="occurrences"}'),
            "it is counted",
            within=10,
        )
        assert "/proc/no/folder/occurrence.json" in running.process.tail()


def test_a_blue_green_promotion_is_in_the_file(kwok: ControlPlane, place: str) -> None:
    """[F13] From preview to promotion, by a person."""
    kwok.apply(
        service(place, "web-active", "web", "active"),
        service(place, "web-preview", "web", "preview"),
    )
    strategy = {"blueGreen": {"activeService": "web-active", "previewService": "web-preview"}}
    with Engine(kwok, kwok.folder, name="bluegreen", KULTA_CLUSTER_NAME="prod") as running:
        web = Subject(plane=kwok, namespace=place, name="web", strategy=strategy)
        web.apply("app:v1")
        web.wait(phase="Completed")
        web.apply("app:v2")
        web.wait(phase="Preview")
        web.request("promote")
        web.wait(phase="Completed", stablePodHash=revision(web, "app:v2"))
        last = until(lambda: _last(running, "bluegreen.rollout.completed", 2), "it", within=10)
    assert last["context"]["cluster"] == "prod"
    assert last["data"]["rollout"]["strategy"] == "blue-green"
    actions = [item["description"].split(" ")[0] for item in last["history"]["steps"]]
    assert actions == ["Initialize", "Pause", "Promotion", "Complete"]


def _last(running: Engine, kind: str, count: int) -> dict[str, Any]:
    """The last of so many occurrences of that type; empty before they are there."""
    found = [item for item in occurrences(running) if item["type"] == kind]
    return found[-1] if len(found) >= count else {}


def test_no_credentials_of_a_sink_are_in_the_log(
    kwok: ControlPlane, place: str, tmp_path: Path
) -> None:
    with Mailbox(status=403) as box:
        url = box.url.replace("http://", "http://me:hunter2@") + "?token=sesame"
        sink = {"KULTA_CDEVENTS_ENABLED": "true", "KULTA_CDEVENTS_SINK_URL": url}
        with Engine(kwok, tmp_path, name="secret", **sink) as running:
            web = Subject(plane=kwok, namespace=place, name="web", strategy={"simple": {}})
            web.apply("app:v1")
            web.wait(phase="Completed")
            refused = 'kulta_events_total{result="refused",sink="cdevents"}'
            until(lambda: shows(running, refused), "it is refused", within=10)
        text = (tmp_path / "secret.log").read_text()
    assert "a sink refuses what it is sent" in text
    assert not any(word in text for word in ("hunter2", "sesame"))
