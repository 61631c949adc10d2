"""The engine on a real control plane with its real rights: first revisions, canaries, ways back.

Pods are played by kwok, traffic by the local gateway. Aspects: what `simple` and `canary` do to
objects that a user sees, requests consumed once, restoring, and that nothing is asked that the
rights do not cover. Crashes are in `test_engine_faults`, real pods in `test_engine_traffic`.
"""

import contextlib
import itertools
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e import routers
from e2e.ground import background, binaries, definitions, engine
from e2e.ground.controlplane import ControlPlane
from e2e.ground.engine import Engine
from e2e.ground.gateway import LocalGateway
from e2e.ground.site import GATEWAY
from e2e.ground.subject import Subject, route, service
from e2e.ground.waiting import until
from fleet.kit import hashing

COMPAT = Path(__file__).parent / "data" / "compat"
NOWHERE = {"nodeSelector": {"no": "such-node"}}
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def cluster(kwok: ControlPlane) -> Iterator[ControlPlane]:
    """The shared plane, where routes are accepted now."""
    definitions.install(kwok, binaries.find("gateway-api"))
    path = "/apis/gateway.networking.k8s.io/v1/httproutes"
    until(lambda: kwok.call("GET", path)[0] == 200, "routes are served", within=20)
    kwok.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "gateways"}})
    with background.running(routers.Routed(kwok, kwok.folder / "envoy")):
        kwok.apply(LocalGateway.gateway_class, GATEWAY)
        yield kwok


@pytest.fixture(scope="module")
def running(cluster: ControlPlane) -> Iterator[Engine]:
    """The engine, for all tests here; nothing that it asked was refused."""
    mark = cluster.audit.mark()
    with Engine(cluster, cluster.folder, KULTA_LEADER_ELECTION="true") as started:
        yield started
    refused = cluster.audit.read(since=mark, user=engine.ACCOUNT, code=403)
    assert [(item.verb, item.uri) for item in refused] == []


@pytest.fixture
def place(cluster: ControlPlane, running: Engine) -> str:
    """A namespace of its own."""
    return cluster.add_namespace(f"engine-{next(_numbers)}")


def simple(plane: ControlPlane, namespace: str, name: str = "web", **spec: Any) -> Subject:
    return Subject(plane=plane, namespace=namespace, name=name, strategy={"simple": {}}, spec=spec)


def canary(
    plane: ControlPlane, namespace: str, *steps: dict[str, Any], routed: bool = True, **spec: Any
) -> Subject:
    """A canary with its two Services and, where routed, its route."""
    plane.apply(
        service(namespace, "web-stable", "web", "stable"),
        service(namespace, "web-canary", "web", "canary"),
    )
    strategy: dict[str, Any] = {
        "stableService": "web-stable",
        "canaryService": "web-canary",
        "steps": list(steps),
    }
    if routed:
        plane.apply(route(namespace, "web", "web-stable", "web-canary"))
        strategy["trafficRouting"] = {"gatewayAPI": {"httpRoute": "web"}}
    return Subject(
        plane=plane, namespace=namespace, name="web", strategy={"canary": strategy}, spec=spec
    )


def weights(subject: Subject) -> list[int]:
    """The weights of its route."""
    return [x["weight"] for x in routers.rule(subject.plane, subject.namespace)["backendRefs"]]


def posted(subject: Subject) -> list[str]:
    """The names of the sets that were created."""
    made = subject.asked(verbs=["create"], resource="replicasets.apps", code=201)
    return [item.body["metadata"]["name"] for item in made]


def test_a_first_revision_completes(cluster: ControlPlane, place: str) -> None:
    web = simple(cluster, place)
    web.apply("app:v1")
    status = web.wait(phase="Completed", readyReplicas=2)
    revision = status["currentPodHash"]
    assert status["stablePodHash"] == revision
    assert posted(web) == [f"web-{revision}"]
    labels = {item["metadata"]["labels"]["rollouts.kulta.io/type"] for item in web.pods()}
    assert labels == {"simple"}


def test_a_second_revision_replaces_the_first(cluster: ControlPlane, place: str) -> None:
    web = simple(cluster, place)
    web.apply("app:v1")
    first = web.wait(phase="Completed")["stablePodHash"]
    web.apply("app:v2")
    second = web.wait(phase="Completed", readyReplicas=2)["stablePodHash"]
    sizes = {key: item["spec"]["replicas"] for key, item in web.sets().items()}
    assert sizes == {first: 0, second: 2}
    web.apply("app:v1")
    web.wait(phase="Completed", stablePodHash=first, readyReplicas=2)


def test_two_rollouts_with_one_template_stay_apart(cluster: ControlPlane, place: str) -> None:
    labels = {"matchLabels": {"app": "twin"}}
    template = {
        "metadata": {"labels": {"app": "twin"}},
        "spec": {"containers": [{"name": "app", "image": "app:v1"}]},
    }
    twins = [
        simple(cluster, place, name, selector=labels, template=template) for name in ("a", "b")
    ]
    for twin in twins:
        twin.apply("unused")
    for twin in twins:
        twin.wait(phase="Completed", replicas=2, readyReplicas=2)
        assert len(twin.pods()) == 2
    assert len({twin.status["currentPodHash"] for twin in twins}) == 1


def test_a_canary_goes_step_by_step_and_its_weights_are_told(
    cluster: ControlPlane, place: str
) -> None:
    pauses = {0: "1s", 20: "5s", 50: "1s"}  # at 20 % weights and rules are looked at, one by one
    steps = [{"setWeight": key, "pause": {"duration": pauses[key]}} for key in pauses]
    web = canary(cluster, place, *steps, {"setWeight": 100})
    web.strategy = {"canary": {**web.strategy["canary"], "mirror": True, **routers.BESIDE}}
    web.apply("app:v1")
    web.wait(phase="Completed")
    web.apply("app:v2")
    web.wait(phase="Paused", currentWeight=0, updatedReplicas=2)
    assert "RequestMirror" in str(routers.rule(cluster, place))
    status = web.wait(phase="Paused", currentWeight=20)
    told = routers.headers(cluster, place)
    assert (weights(web), told) == ([80, 20], ["X-Team", "Cookie", "Set-Cookie"])
    done = web.wait(phase="Completed", stablePodHash=status["currentPodHash"])
    after = itertools.dropwhile(lambda item: item["weight"] != 20, done["decisions"])
    assert [x for x, _ in itertools.groupby(item["weight"] for item in after)] == [20, 50, 100]
    assert (weights(web), routers.headers(cluster, place)) == ([100, 0], [])
    selector = web.service("web-stable")["spec"]["selector"]
    assert selector["rollouts.kulta.io/hash"] == status["currentPodHash"]


def test_a_manual_pause_ends_with_one_promotion(cluster: ControlPlane, place: str) -> None:
    web = canary(
        cluster,
        place,
        {"setWeight": 20, "pause": {}},
        {"setWeight": 60, "pause": {}},
        {"setWeight": 100},
    )
    web.apply("app:v1")
    web.wait(phase="Completed")
    web.apply("app:v2")
    web.wait(phase="Paused", currentWeight=20)
    web.request("promote")
    web.wait(phase="Paused", currentWeight=60)
    assert "kulta.io/promote" not in web.object["metadata"].get("annotations", {})
    assert [item["reason"] for item in web.decided("Promotion")] == ["ManualPromotion"]
    web.request("promote")
    web.wait(phase="Completed")


def test_all_routers_at_once(cluster: ControlPlane, place: str) -> None:
    """HTTPRoute, GRPCRoute (which no gateway here takes but by our hand), Istio and nginx."""
    web = canary(cluster, place, {"setWeight": 20, "pause": {}}, {"setWeight": 100})
    web.strategy = {"canary": {**web.strategy["canary"], "trafficRouting": routers.EVERY}}
    routers.furnish(cluster, place)
    with routers.accepted(cluster, place):
        web.apply("app:v1")
        web.wait(phase="Completed")
        web.apply("app:v2")
        web.wait(phase="Paused", currentWeight=20)
        assert weights(web) == routers.weights(cluster, place) == [80, 20]
        assert routers.canary_ingress(cluster, place) == "20"
        web.request("promote")
        web.wait(phase="Completed")
    assert weights(web) == routers.weights(cluster, place) == [100, 0]
    until(lambda: routers.canary_ingress(cluster, place) is None, "ours is gone", within=10)


def test_no_progress_within_the_deadline_takes_it_back(cluster: ControlPlane, place: str) -> None:
    """[T21] Traffic goes back to the stable revision; what keeps the pods is told all the time."""
    web = canary(cluster, place, {"setWeight": 50}, {"setWeight": 100})
    web.apply("app:v1")
    first = web.wait(phase="Completed")["stablePodHash"]
    web.patch({"spec": {"template": {"spec": NOWHERE}}})
    until(lambda: web.status["message"].endswith("yet: 1 of 1 Unschedulable"), "why", within=20)
    web.patch({"spec": {"progressDeadlineSeconds": 1}})
    status = web.wait(phase="Failed", stablePodHash=first, currentWeight=0)
    assert web.decided("Rollback")[-1]["reason"] == "Timeout"
    assert web.decided("Rollback")[-1]["message"].endswith(": 1 of 1 pods Unschedulable")
    assert status["failedPodHash"] == status["currentPodHash"]
    assert weights(web) == [100, 0]


def test_deleting_gives_services_and_route_back(cluster: ControlPlane, place: str) -> None:
    web = canary(cluster, place, {"setWeight": 20, "pause": {}}, {"setWeight": 100})
    before = {name: web.service(name)["spec"]["selector"] for name in ("web-stable", "web-canary")}
    web.apply("app:v1")
    web.wait(phase="Completed")
    web.apply("app:v2")
    web.wait(phase="Paused", currentWeight=20)
    web.delete()
    for name, selector in before.items():
        found = web.service(name)
        assert found["spec"]["selector"] == selector
        assert "rollouts.kulta.io" not in str(found["metadata"].get("labels", {}))
        assert "rollouts.kulta.io/original-selector" not in found["metadata"]["annotations"]
    assert weights(web) == [100, 0]


def test_a_set_that_somebody_deletes_comes_back(cluster: ControlPlane, place: str) -> None:
    web = simple(cluster, place)
    web.apply("app:v1")
    revision = web.wait(phase="Completed")["stablePodHash"]
    path = f"/apis/apps/v1/namespaces/{place}/replicasets/web-{revision}"
    cluster.call("DELETE", path)
    until(lambda: len(posted(web)) == 2, "it is made again", within=10)
    web.wait(phase="Completed", readyReplicas=2)
    assert web.sets()[revision]["spec"]["replicas"] == 2


def test_a_template_that_the_server_refuses_is_told_in_the_status(
    cluster: ControlPlane, place: str
) -> None:
    web = simple(cluster, place)
    template = web.manifest("app:v1")["spec"]["template"]
    template["spec"]["containers"][0]["volumeMounts"] = [{"name": "none", "mountPath": "/x"}]
    web.spec = {"template": template}
    web.apply("unused")
    stalled = until(lambda: web.condition("Stalled"), "it is told", within=10)
    assert stalled["reason"] == "InvalidSpec"
    assert "volumeMounts" in stalled["message"]


@pytest.mark.parametrize("version", ["v1alpha1", "v1beta1"])
@pytest.mark.parametrize("name", ["canary", "simple"])
def test_manifests_of_the_reference_run(
    cluster: ControlPlane, place: str, name: str, version: str
) -> None:
    """Unchanged but for the version; its Services and route are the user's, by role."""
    text = (COMPAT / f"kulta-{name}.yaml").read_text().replace("v1alpha1", version)
    manifest = yaml.safe_load(text)
    if name == "canary":
        cluster.apply(
            service(place, "orders-stable", "orders", "stable", 8080),
            service(place, "orders-canary", "orders", "canary", 8080),
            route(place, "orders-route", "orders-stable", "orders-canary", port=8080),
        )
    cluster.kubectl("apply", "-n", place, "-f", "-", stdin=text)
    subject = Subject(
        plane=cluster,
        namespace=place,
        name=manifest["metadata"]["name"],
        strategy=manifest["spec"]["strategy"],
        version=version,
    )
    subject.wait(phase="Completed", readyReplicas=manifest["spec"]["replicas"])
    assert subject.object["apiVersion"] == f"kulta.io/{version}"


def test_old_sets_beyond_the_limit_are_removed(cluster: ControlPlane, place: str) -> None:
    web = simple(cluster, place, revisionHistoryLimit=1)
    for image in ("app:v1", "app:v2", "app:v3"):
        web.apply(image)
        last = web.wait(phase="Completed", readyReplicas=2)["stablePodHash"]
    until(lambda: len(web.sets()) == 2, "one old set is kept", within=10)
    assert last in web.sets()


def test_a_set_that_is_not_ours_is_told_and_left_alone(cluster: ControlPlane, place: str) -> None:
    web = simple(cluster, place)
    template = web.manifest("app:v1")["spec"]["template"]
    name = f"web-{hashing.pod_hash(template)}"
    foreign = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"name": name, "namespace": place},
        "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "web"}}, "template": template},
    }
    cluster.apply(foreign)
    web.apply("app:v1")
    stalled = until(lambda: web.condition("Stalled"), "it is told", within=10)
    assert stalled["reason"] == "ForeignObject"
    assert name in stalled["message"]


def test_a_busy_neighbour_keeps_its_changes_and_does_not_stop_us(
    cluster: ControlPlane, place: str
) -> None:
    """[T17] Somebody writes Services and route all the time: conflicts are read anew."""
    web = canary(cluster, place, {"setWeight": 30}, {"setWeight": 60}, {"setWeight": 100})
    web.apply("app:v0")
    web.wait(phase="Completed")
    for number in range(1, 20):
        with neighbour(web) as wrote:
            web.apply(f"app:v{number}")
            web.wait(phase="Completed")
        asked = {item.resource.partition(".")[0] for item in web.asked(verbs=["get"], code=200)}
        if {"services", "httproutes"} <= asked:
            break
    else:
        pytest.fail("no write of the engine met one of its neighbour")
    for path, number in wrote.items():
        _, found = cluster.call("GET", path)
        assert found["metadata"]["annotations"]["neighbour"] == str(number)


@contextlib.contextmanager
def neighbour(subject: Subject) -> Iterator[dict[str, int]]:
    """Annotates Services and route as fast as it can; yields path → the last number written."""
    core, where = "/api/v1", f"namespaces/{subject.namespace}"
    paths = [
        f"{core}/{where}/services/web-stable",
        f"{core}/{where}/services/web-canary",
        f"/apis/gateway.networking.k8s.io/v1/{where}/httproutes/web",
    ]
    wrote: dict[str, int] = {}
    over = threading.Event()

    def write(path: str) -> None:
        for number in itertools.count():
            body = {"metadata": {"annotations": {"neighbour": str(number)}}}
            if subject.plane.call("PATCH", path, body)[0] == 200:
                wrote[path] = number
            if over.is_set():
                return

    threads = [threading.Thread(target=write, args=(path,)) for path in paths]
    for thread in threads:
        thread.start()
    try:
        yield wrote
    finally:
        over.set()
        for thread in threads:
            thread.join()


def test_it_tells_of_itself(cluster: ControlPlane, running: Engine, place: str) -> None:
    """[L22] The gauge of a Rollout ends with it."""
    web = simple(cluster, place)
    web.apply("app:v1")
    web.wait(phase="Completed")
    gauge = f'kulta_traffic_weight{{namespace="{place}",rollout="web"}}'
    code, text = running.get("/metrics")
    assert code == 200
    assert gauge in text
    assert 'kulta_reconciliations_total{result="success"}' in text
    web.delete()
    until(lambda: gauge not in running.get("/metrics")[1], "its gauge is gone", within=5)
    assert running.get("/healthz") == (200, "ok")


def test_what_is_said_twice_is_one_event_with_a_count(cluster: ControlPlane, place: str) -> None:
    web = simple(cluster, place)
    web.apply("app:v1")
    web.wait(phase="Completed")
    for count in (1, 2):
        web.take("pause")  # nothing is on its way
        until(partial(lambda n: web.told("NothingToDo") == [n], count), f"{count} times", within=10)


def test_every_right_is_used(cluster: ControlPlane) -> None:
    """The last test: together with those above, the engine needs all that it may."""
    used = {
        (item.verb, f"{item.resource}/{item.subresource}".rstrip("/"))
        for item in cluster.audit.read(user=engine.ACCOUNT)
        if item.code != 403
    }
    documents = yaml.safe_load_all((engine.ROOT / "clusters" / "engine-rbac.yaml").read_text())
    granted = {
        (verb, resource.replace("/", f".{group}/", 1) if "/" in resource else f"{resource}.{group}")
        for document in documents
        for rule in document.get("rules", ())
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    # An API server that protects owner references looks for it itself, and logs no request.
    used.add(("update", "rollouts.kulta.io/finalizers"))
    assert {(verb, resource.rstrip(".")) for verb, resource in granted} - used == set()
