"""The engine killed, replaced, asked to end, and started before what it watches: the same end.

Judged by the audit log: one ReplicaSet for each revision, one writer at a time, silence when
nothing happens. And Rollouts that somebody deletes and writes again, before a real garbage
collector has taken away what belonged to the former ones.
"""

import functools
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from e2e.ground import background, binaries, definitions, engine
from e2e.ground.controlplane import LEAN, ControlPlane
from e2e.ground.engine import Engine
from e2e.ground.faults import Seen
from e2e.ground.planes import Planes
from e2e.ground.proxy import HttpProxy
from e2e.ground.subject import Subject, route, service
from e2e.ground.waiting import until
from fleet.api.names import ROLLOUTS
from fleet.kit import hashing

LEASE = "leases.coordination.k8s.io"
QUIET_SECONDS = 10.0
"""Longer than counters of Events may be late."""
COLLECTED = 45.0
"""The garbage collector looks for new kinds, and thus for Rollouts, every 30 seconds."""


@pytest.fixture
def running(kwok: ControlPlane) -> Iterator[Engine]:
    with Engine(kwok, kwok.folder, KULTA_LEADER_ELECTION="true") as started:
        yield started


def canary(plane: ControlPlane, namespace: str) -> Subject:
    """A canary without a router that waits for a person at 50 %."""
    plane.apply(
        service(namespace, "web-stable", "web", "stable"),
        service(namespace, "web-canary", "web", "canary"),
    )
    steps = [{"setWeight": 50, "pause": {}}, {"setWeight": 100}]
    return Subject(
        plane=plane,
        namespace=namespace,
        name="web",
        strategy={
            "canary": {
                "stableService": "web-stable",
                "canaryService": "web-canary",
                "steps": steps,
            }
        },
    )


def test_killed_in_mid_step_and_started_again_it_reaches_the_same_end(
    kwok: ControlPlane, place: str, running: Engine
) -> None:
    web = canary(kwok, place)
    web.apply("app:v1")
    first = web.wait(phase="Completed")["stablePodHash"]
    web.apply("app:v2")
    until(lambda: len(web.sets()) == 2, "the new revision has its set", within=10)
    running.kill()
    running.start()
    second = web.wait(phase="Paused", currentWeight=50, within=40)["currentPodHash"]
    running.kill()
    web.request("promote")
    running.start()
    web.wait(phase="Completed", stablePodHash=second, within=40)
    made = web.asked(verbs=["create"], resource="replicasets.apps", code=201)
    assert sorted(item.body["metadata"]["name"] for item in made) == sorted(
        (f"web-{first}", f"web-{second}")
    )
    assert len(web.decided("Promotion")) >= 1
    sequences = [item["sequence"] for item in web.status["decisions"]]
    assert sequences == sorted(set(sequences))


def test_it_is_ready_when_it_has_seen_the_rollouts(kwok: ControlPlane) -> None:
    """Who is ready can lead at once: nothing has still to be listed, and nothing else is asked."""
    proxied = HttpProxy(kwok.server, kwok.authority)
    warm = Engine(kwok, kwok.folder, name="warm", KULTA_LEADER_ELECTION="true")

    def is_list(seen: Seen) -> bool:
        return seen.path.partition("?")[0] == ROLLOUTS.path() and not seen.is_watch

    with background.running(proxied) as proxy:
        listed = proxy.catch(is_list)
        warm.start(wait=False, server=proxy.url)
        until(lambda: listed.has_come, "the Rollouts are asked for", within=20)
        assert (warm.get("/healthz")[0], warm.get("/readyz")[0]) == (200, 503)
        listed.let_go()
        until(lambda: warm.get("/readyz")[0] == 200, "it is ready", within=20)
        assert any(seen.path.startswith(ROLLOUTS.path()) and seen.is_watch for seen in proxy.seen)
        assert warm.stop() == 0


def test_asked_to_end_it_hands_over_at_once(
    kwok: ControlPlane, place: str, running: Engine
) -> None:
    """[L15] The Lease is released, so the follower takes it as soon as it looks again."""
    web = Subject(plane=kwok, namespace=place, name="web", strategy={"simple": {}})
    web.apply("app:v1")
    web.wait(phase="Completed")
    with Engine(kwok, kwok.folder, name="follower", KULTA_LEADER_ELECTION="true") as follower:
        assert follower.get("/readyz")[0] == 200
        mark = kwok.audit.mark()
        assert running.stop() == 0
        web.apply("app:v2")
        web.wait(phase="Completed")
        assert follower.process.alive
    asked = kwok.audit.read(since=mark, user=engine.ACCOUNT, resource=LEASE)
    freed = next(x for x in asked if x.is_write and not x.body["spec"]["holderIdentity"])
    after = [item for item in asked if item.received > freed.received and item is not freed]
    taken = next(item for item in after if item.is_write and item.code == 200)
    assert taken.body["spec"]["holderIdentity"] == follower.name
    looks = [item for item in after if freed.answered < item.received < taken.received]
    assert len(looks) <= 1, "it took it when it looked first"


def test_the_api_server_goes_away_and_comes_back(
    kwok: ControlPlane, place: str, running: Engine
) -> None:
    web = Subject(plane=kwok, namespace=place, name="web", strategy={"simple": {}})
    web.apply("app:v1")
    web.wait(phase="Completed")
    kwok.restart("kube-apiserver")
    web.apply("app:v2")
    second = hashing.pod_hash(web.manifest("app:v2")["spec"]["template"])
    web.wait(phase="Completed", stablePodHash=second, within=60)
    assert running.process.alive


def test_a_quiet_engine_is_silent(kwok: ControlPlane, place: str, running: Engine) -> None:
    paused, done = canary(kwok, place), None
    paused.apply("app:v1")
    paused.wait(phase="Completed")
    paused.apply("app:v2")
    paused.wait(phase="Paused")
    done = Subject(plane=kwok, namespace=place, name="done", strategy={"simple": {}})
    done.apply("app:v1")
    done.wait(phase="Completed", readyReplicas=2)
    began = datetime.now(UTC)

    def is_silent() -> bool:
        asked = kwok.audit.read(user=engine.ACCOUNT)
        loud = (x.answered for x in asked if (x.verb, x.resource) != ("update", LEASE))
        last = max(began, *loud)
        return (datetime.now(UTC) - last).total_seconds() > QUIET_SECONDS

    until(is_silent, f"{QUIET_SECONDS:g} s of silence", within=30, every=0.2)
    assert running.process.alive


def told(subject: Subject) -> str:
    """Why it goes on or waits."""
    return str(subject.condition("Progressing").get("reason", ""))


def test_a_kind_of_route_that_is_missing_stops_only_who_needs_it(
    kwok: ControlPlane, place: str, running: Engine
) -> None:
    """[RP-15] Without the Gateway API the engine starts and delivers; a route may come later."""
    plain = canary(kwok, place)
    plain.apply("app:v1")
    plain.wait(phase="Completed")
    plain.apply("app:v2")
    plain.wait(phase="Paused", currentWeight=50)
    routed = Subject(
        plane=kwok,
        namespace=place,
        name="shop",
        strategy={
            "canary": {
                "stableService": "shop-stable",
                "canaryService": "shop-canary",
                "steps": [{"setWeight": 50, "pause": {}}, {"setWeight": 100}],
                "trafficRouting": {"gatewayAPI": {"httpRoute": "shop"}},
            }
        },
    )
    kwok.apply(
        service(place, "shop-stable", "shop", "stable"),
        service(place, "shop-canary", "shop", "canary"),
    )
    routed.apply("app:v1")
    said = functools.partial(told, routed)
    until(lambda: said() == "RouterNotInstalled", "it says what it lacks", within=20)
    definitions.install(kwok, binaries.find("gateway-api"))
    kind = "/apis/gateway.networking.k8s.io/v1/httproutes"
    until(lambda: kwok.call("GET", kind)[0] == 200, "routes are served", within=20)
    kwok.apply(route(place, "shop", "shop-stable", "shop-canary"))
    # Nobody plays the gateway here; that it does not answer is told after a while.
    until(lambda: said() in ("NewRevision", "RoutePending"), "it has found it", within=20)
    assert routed.condition("TrafficReady")["reason"] in ("TrafficReady", "RoutePending")
    plain.request("promote")
    plain.wait(phase="Completed")
    assert running.process.alive


@pytest.mark.parametrize(
    "image",
    [
        pytest.param("app:v2", id="[H12] with a new image, all pods run it"),
        pytest.param("app:v1", id="as it was, it has pods of its own"),
    ],
)
def test_a_rollout_deleted_and_written_again_is_another(
    kwok: ControlPlane, place: str, running: Engine, image: str
) -> None:
    """The former one's set and pods are still there when the new one is looked at."""
    web = Subject(plane=kwok, namespace=place, name="web", strategy={"simple": {}})
    web.apply("app:v1")
    web.wait(phase="Completed", readyReplicas=2)
    before = {item["metadata"]["uid"] for item in [*web.pods(), *web.sets().values()]}
    assert len(before) == 3
    web.delete()
    web.apply(image)
    web.wait(phase="Completed", readyReplicas=2)

    def left() -> list[str]:
        found = [*web.pods(), *web.sets().values()]
        return [item["metadata"]["uid"] for item in found if item["metadata"]["uid"] in before]

    until(lambda: not left(), "the former one's set and pods are gone", within=COLLECTED)
    assert [pod["spec"]["containers"][0]["image"] for pod in web.pods()] == [image] * 2
    (only,) = web.sets().values()
    assert only["metadata"]["ownerReferences"][0]["uid"] == web.object["metadata"]["uid"]
    assert web.wait(phase="Completed", readyReplicas=2)["replicas"] == 2
    assert running.process.alive


def test_started_before_its_definition_it_waits_and_survives_its_end(planes: Planes) -> None:
    """[L2] Not ready before Rollouts are served, ready afterwards."""
    (plane,) = planes("early", options=LEAN)
    plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": engine.NAMESPACE}})
    plane.apply(engine.ROOT / "clusters" / "engine-rbac.yaml")
    early = Engine(plane, plane.folder)
    early.start(wait=False)
    until(lambda: early.get("/healthz")[0] == 200, "the server answers", within=20)
    assert early.get("/readyz")[0] == 503
    engine.prepare(plane)
    until(lambda: early.get("/readyz")[0] == 200, "it is ready", within=20)
    web = Subject(plane=plane, namespace="default", name="web", strategy={"simple": {}})
    web.replicas = 0
    web.apply("app:v1")
    web.wait(phase="Completed")
    plane.kubectl("delete", "crd", "rollouts.kulta.io")
    until(lambda: "is gone" in early.process.tail(), "it noticed", within=20)
    engine.prepare(plane)
    web.apply("app:v2")  # nobody collects garbage here: the old set is still there
    web.wait(phase="Completed")
    assert early.stop() == 0
