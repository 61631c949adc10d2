"""What happens to a Rollout, and to the engine, on the way: autoscaled, upgraded, asked to end.

Pods are played by kwok; the autoscaler is that of the plane's controller manager. It needs no
metrics for what it does here: whatever is outside of its bounds is brought inside. Crashes are in
`test_engine_faults`.
"""

import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest

from e2e.ground import background, engine
from e2e.ground.controlplane import ControlPlane
from e2e.ground.engine import Engine
from e2e.ground.mailbox import Mailbox
from e2e.ground.proxy import HttpProxy, Proxy
from e2e.ground.subject import Subject, service
from e2e.ground.waiting import until
from fleet import __version__
from fleet.api.names import DEPLOYMENTS, ENGINE_LEASE, LEASES
from fleet.api.rollout import Rollout
from fleet.kulta.core.messages import cdevents
from fleet.kulta.core.messages.transition import Transition

HPA = "/apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers"
LEASE = f"{LEASES.plural}.{LEASES.group}"
STOP_SECONDS = 20.0
"""It has ten (`tests/wiring/test_engine` adds up what it waits for); the rest is for a machine that
is busy. Whoever waits for those who are silent does not end before they do: never."""
MISSING = (
    "Deployment web does not exist in this namespace; create it, or correct spec.workloadRef.name"
)


@pytest.fixture
def running(kwok: ControlPlane) -> Iterator[Engine]:
    with Engine(kwok, kwok.folder, name="life", KULTA_LEADER_ELECTION="true") as started:
        yield started


def canary(plane: ControlPlane, namespace: str, *steps: dict[str, Any]) -> Subject:
    """A canary without a router: pods divide the traffic."""
    names = {"stableService": "web", "canaryService": "web-canary"}
    strategy = {"canary": {**names, "steps": list(steps)}}
    return Subject(plane=plane, namespace=namespace, name="web", strategy=strategy)


def blue_green(plane: ControlPlane, namespace: str) -> Subject:
    """One that waits for a person in its preview."""
    names = {"activeService": "shop-active", "previewService": "shop-preview"}
    plane.apply(
        service(namespace, "shop-active", "shop", "active"),
        service(namespace, "shop-preview", "shop", "preview"),
    )
    return Subject(plane=plane, namespace=namespace, name="shop", strategy={"blueGreen": names})


def autoscaled(subject: Subject, **bounds: int) -> None:
    """A HorizontalPodAutoscaler of that Rollout, with those bounds from now on."""
    target = {"apiVersion": "kulta.io/v1beta1", "kind": "Rollout", "name": subject.name}
    body = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": subject.name, "namespace": subject.namespace},
        "spec": {"scaleTargetRef": target, **bounds},
    }
    path = HPA.format(subject.namespace)
    if subject.plane.call("POST", path, body)[0] == 409:
        code, answer = subject.plane.call("PATCH", f"{path}/{subject.name}", body)
        assert code == 200, answer


def sizes(subject: Subject) -> dict[str, int]:
    """Revision → pods of its set."""
    return {key: item["spec"]["replicas"] for key, item in subject.sets().items()}


def test_an_autoscaler_grows_and_shrinks_rollouts_on_their_way(
    kwok: ControlPlane, place: str, running: Engine
) -> None:
    """At least 4 where 2 were asked for, then at most 3; the steps stay where they are."""
    web = canary(kwok, place, {"setWeight": 50, "pause": {}}, {"setWeight": 100})
    shop = blue_green(kwok, place)
    for image in ("app:v1", "app:v2"):
        for each in (web, shop):
            each.apply(image)
        phases = ("Completed",) * 2 if image == "app:v1" else ("Paused", "Preview")
        before = [x.wait(phase=phase) for x, phase in zip((web, shop), phases, strict=True)]
    revisions = [(item["stablePodHash"], item["currentPodHash"]) for item in before]
    for each in (web, shop):
        autoscaled(each, minReplicas=4, maxReplicas=8)
    grown = web.wait(phase="Paused", currentWeight=50, readyReplicas=4, replicas=4)
    assert sizes(web) == dict.fromkeys(revisions[0], 2)
    shown = shop.wait(phase="Preview", readyReplicas=8, replicas=8)
    assert sizes(shop) == dict.fromkeys(revisions[1], 4)
    for each in (web, shop):
        autoscaled(each, minReplicas=1, maxReplicas=3)
    fewer = web.wait(phase="Paused", readyReplicas=3, replicas=3)
    less = shop.wait(phase="Preview", readyReplicas=6, replicas=6)
    assert [item["decisions"] for item in (grown, shown)] == [item["decisions"] for item in before]
    assert [item["decisions"] for item in (fewer, less)] == [item["decisions"] for item in before]
    for each, (_, new) in zip((web, shop), revisions, strict=True):
        each.request("promote")
        each.wait(phase="Completed", stablePodHash=new)
    until(lambda: sizes(web) == dict(zip(revisions[0], (0, 3), strict=True)), "3 pods", within=10)
    until(lambda: sizes(shop) == dict(zip(revisions[1], (0, 3), strict=True)), "3 pods", within=10)
    kwok.kubectl("delete", "hpa", "--all", "-n", place)


def test_another_version_goes_on_in_mid_step(kwok: ControlPlane, place: str) -> None:
    """What a newer one has decided stands in the diary, although nobody here knows such reasons."""
    web = canary(kwok, place, {"setWeight": 50, "pause": {}}, {"setWeight": 100})
    shop = blue_green(kwok, place)
    both, phases = (web, shop), ("Paused", "Preview")
    with Engine(kwok, kwok.folder, name="newer", version="9.9.9") as newer:
        for image in ("app:v1", "app:v2"):
            for each in both:
                each.apply(image)
            for each, phase in zip(both, phases, strict=True):
                each.wait(phase="Completed" if image == "app:v1" else phase)
        assert newer.stop() == 0
    before = []
    for each in both:
        status = each.status
        last = status["decisions"][-1]
        more = {**last, "sequence": last["sequence"] + 1, "reason": "QuorumReached"}
        status["decisions"].append(more)
        code, answer = kwok.call("PATCH", f"{each.path}/status", {"status": status})
        assert code == 200, answer
        before.append(status)
    with Engine(kwok, kwok.folder, name="older", KULTA_LEADER_ELECTION="true") as older:
        for each, phase, known in zip(both, phases, before, strict=True):
            each.request("promote")
            after = each.wait(phase="Completed", stablePodHash=known["currentPodHash"])
            assert each.condition("InvalidSpec").get("status") != "True", phase
            count = len(known["decisions"])
            assert after["decisions"][:count] == known["decisions"]
            fresh = [item["reason"] for item in after["decisions"][count:]]
            assert fresh[0] == "ManualPromotion"
            made = web.asked(verbs=["create"], resource="replicasets.apps", code=201)
            names = [item.body["metadata"]["name"] for item in made]
            assert len(names) == len(set(names)) == 4, "two revisions of each"
        assert older.process.alive
    agents = {item.agent for item in web.asked(verbs=["update"])}
    assert {"kulta-engine/9.9.9", f"kulta-engine/{__version__}"} <= agents


def ended(running: Engine) -> int | None:
    """The exit code of an engine that is asked to end, and ends in time."""
    began = time.monotonic()
    running.process.signal(signal.SIGTERM)
    until(lambda: not running.process.alive, "it has ended", within=STOP_SECONDS)
    took = time.monotonic() - began
    assert took < STOP_SECONDS, f"it took {took:.1f} s to end"
    return running.process.code


def holder(plane: ControlPlane) -> str:
    """Who holds the engine's Lease."""
    _, lease = plane.call("GET", LEASES.path(engine.NAMESPACE, ENGINE_LEASE))
    return str(lease["spec"].get("holderIdentity") or "")


def let_go(plane: ControlPlane, since: int) -> bool:
    """Whether the engine has asked to be the holder no more; that the answer comes while it waits
    is more than a busy machine promises."""
    asked = plane.audit.read(since=since, verbs=["update"], resource=LEASE, name=ENGINE_LEASE)
    return any(not item.body["spec"].get("holderIdentity") for item in asked)


def events(subject: Subject) -> set[str]:
    """The ids of the CDEvents about all that was decided."""
    rollout = Rollout.parse(subject.object)
    told = (cdevents.of(Transition(rollout=rollout, decision=x)) for x in rollout.status.decisions)
    return {event["id"] for event in told if event}


def test_it_ends_in_time_while_those_whom_it_asks_and_tells_are_silent(
    kwok: ControlPlane, place: str
) -> None:
    """A source of metrics and a sink that take connections and say nothing."""
    steps = [{"setWeight": 50}, {"setWeight": 100}]
    web = canary(kwok, place, *steps)
    with background.running(Proxy(kwok.port)) as hole, Mailbox() as box:
        hole.black_hole()
        silent = f"http://127.0.0.1:{hole.port}"
        metrics = [{"name": "error-rate", "threshold": 5.0}]
        analysis = {"prometheus": {"address": silent}, "metrics": metrics, "interval": "1s"}
        web.strategy = {"canary": {**web.strategy["canary"], "analysis": analysis}}
        sink = {"KULTA_CDEVENTS_ENABLED": "true", "KULTA_LEADER_ELECTION": "true"}
        mute = Engine(kwok, kwok.folder, name="mute", KULTA_CDEVENTS_SINK_URL=silent + "/", **sink)
        mute.start()
        web.apply("app:v1")
        web.wait(phase="Completed")
        web.apply("app:v2")
        web.wait(phase="Progressing", currentWeight=50, updatedReplicas=1)
        until(lambda: len(hole.links) >= 2, "it asks and tells", within=10)
        assert holder(kwok) == mute.name
        mark = kwok.audit.mark()
        assert ended(mute) == 0
        until(lambda: let_go(kwok, mark), "its Lease is free", within=5)
        expected = events(web)
        later = {"KULTA_CDEVENTS_SINK_URL": box.url, **sink}
        with Engine(kwok, kwok.folder, name="later", **later):
            until(lambda: expected <= {x["id"] for x in box.letters}, "all is told", within=20)
    assert len(expected) >= 3


def test_it_ends_in_time_while_its_api_server_is_silent(kwok: ControlPlane, place: str) -> None:
    """In the midst of what it wrote; its Lease stays as it is, for there is nobody to tell."""
    steps: list[dict[str, Any]] = [{"setWeight": 50, "pause": {}}, {"setWeight": 100}]
    web = canary(kwok, place, *steps)
    lone = Engine(kwok, kwok.folder, name="lone", KULTA_LEADER_ELECTION="true")
    with background.running(HttpProxy(kwok.server, kwok.authority)) as way:
        lone.start(server=way.url)
        web.apply("app:v1")
        web.wait(phase="Completed")
        web.apply("app:v2")
        web.wait(phase="Paused", currentWeight=50)
        way.hold_after(1)
        web.request("promote")
        until(way.held.is_set, "it has written once, and wants to write again", within=10)
        assert ended(lone) == 0
        assert holder(kwok) == lone.name
        way.heal()
    with Engine(kwok, kwok.folder, name="next"):  # who would wait for the Lease to expire
        web.wait(phase="Completed", readyReplicas=2)


def test_a_deployment_is_held_replaced_and_given_back(
    kwok: ControlPlane, place: str, running: Engine
) -> None:
    """Whoever scales it up meanwhile is told so; traffic is judged by `test_engine_traffic`."""
    labels = {"app": "web"}
    pods = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "app", "image": "a"}]}}
    meta = {"name": "web", "namespace": place}
    spec = {"replicas": 2, "selector": {"matchLabels": labels}, "template": pods}
    made = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec}
    path = DEPLOYMENTS.path(place, "web")

    def ready() -> tuple[int, int]:
        found = kwok.call("GET", path)[1]
        return found["spec"]["replicas"], found.get("status", {}).get("readyReplicas", 0)

    web = Subject(plane=kwok, namespace=place, name="web", strategy={"simple": {}})
    wish = {"replicas": 2, "workloadRef": {"name": "web"}, "strategy": {"simple": {}}}
    kwok.apply({**web.manifest("unused"), "spec": wish})
    web.wait(message=MISSING)
    kwok.apply(made)
    web.wait(phase="Completed", readyReplicas=2)
    until(lambda: ready() == (0, 0), "the Deployment has no pods", within=20)
    kwok.call("PATCH", path, {"spec": {"replicas": 1}})
    until(lambda: web.told("WorkloadContested"), "it is told", within=20)
    until(lambda: ready() == (0, 0), "it is scaled down again", within=20)
    web.delete()
    assert ready() == (2, 2)
