"""The local node against a real control plane: pods run, are probed, restart, drain and disappear.

Not covered: volumes other than ServiceAccount tokens and emptyDir, init containers, exec probes.
The node says so in the pod's status (`test_what_it_cannot_do_stands_in_the_status`).
"""

import json
import signal
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from e2e.ground import addresses
from e2e.ground.site import Site
from e2e.ground.waiting import until

Manifest = dict[str, Any]

WHO_AM_I = """
import json, os, ssl, urllib.request
folder = "/var/run/secrets/kubernetes.io/serviceaccount/"
server = f"https://{os.environ['KUBERNETES_SERVICE_HOST']}:{os.environ['KUBERNETES_SERVICE_PORT']}"
body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
request = urllib.request.Request(
    server + "/apis/authentication.k8s.io/v1/selfsubjectreviews",
    data=json.dumps(body).encode(),
    headers={"Authorization": "Bearer " + open(folder + "token").read(),
             "Content-Type": "application/json"},
)
context = ssl.create_default_context(cafile=folder + "ca.crt")
answer = json.load(urllib.request.urlopen(request, context=context))
answer["namespace"] = open(folder + "namespace").read()
answer["hosts"] = open("/etc/hosts").read()
answer["hostname"] = os.uname().nodename
print(json.dumps(answer), flush=True)
"""


def pod_spec(image: str = "sample:v1", **more: Any) -> Manifest:
    """A pod of one container that becomes ready by its probe when it is the sample."""
    container: Manifest = {"name": "app", "image": image}
    if image.startswith("sample"):
        probe = {"httpGet": {"path": "/healthz", "port": "http"}}
        container |= {
            "ports": [{"name": "http", "containerPort": 8080}],
            "readinessProbe": probe | {"periodSeconds": 1, "failureThreshold": 1},
        }
    pod = {name: more.pop(name) for name in list(more) if name in ("restartPolicy", "volumes")}
    grace = more.pop("terminationGracePeriodSeconds", 5)
    return {"containers": [container | more], "terminationGracePeriodSeconds": grace} | pod


class World:
    """A namespace of the site, with the few verbs that these tests use."""

    def __init__(self, site: Site, namespace: str) -> None:
        self.site = site
        self.plane = site.plane
        self.namespace = namespace
        self.core = f"/api/v1/namespaces/{namespace}"

    def create(self, path: str, body: Manifest) -> Manifest:
        code, answer = self.plane.call("POST", path, body)
        assert code == 201, answer
        made: Manifest = answer
        return made

    def pod(self, name: str, spec: Manifest, **metadata: Any) -> None:
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name} | metadata}
        self.create(f"{self.core}/pods", body | {"spec": spec})

    def get(self, name: str) -> Manifest | None:
        code, answer = self.plane.call("GET", f"{self.core}/pods/{name}")
        return answer if code == 200 else None

    def until(self, name: str, holds: Callable[[Manifest], bool], what: str) -> Manifest:
        """The pod once its status is as wanted."""

        def asked() -> Manifest | None:
            pod = self.get(name)
            return pod if pod and holds(pod["status"]) else None

        return until(asked, f"pod {name} {what}", within=15)

    def ready(self, name: str) -> str:
        """Where a pod listens, once it is ready."""
        return address(self.until(name, is_ready, "is ready"))

    def endpoints(self, service: str) -> dict[str, bool]:
        """Pod → ready, as the Service's EndpointSlices say."""
        selector = f"labelSelector=kubernetes.io/service-name%3D{service}"
        path = f"/apis/discovery.k8s.io/v1/namespaces/{self.namespace}/endpointslices?{selector}"
        found = {}
        for piece in self.plane.call("GET", path)[1]["items"]:
            for endpoint in piece["endpoints"] or ():
                found[endpoint["targetRef"]["name"]] = endpoint["conditions"]["ready"]
        return found


@pytest.fixture(scope="module")
def world(site: Site) -> World:
    return World(site, site.plane.add_namespace("node"))


def address(pod: Manifest) -> str:
    return f"http://{addresses.served(pod['status']['podIP'])}:8080"


def is_ready(status: Manifest) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", ()))


def container(status: Manifest) -> Manifest:
    first: Manifest = (status.get("containerStatuses") or [{}])[0]
    return first


def ask(url: str, method: str = "GET") -> tuple[int, str]:
    """Status and body; an answer cut off by a crash counts as status 0."""
    try:
        request = urllib.request.Request(url, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError:
        return 0, ""


def test_the_pods_of_a_deployment_run_and_become_endpoints(world: World) -> None:
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": pod_spec("sample:v7")}
    world.create(
        f"/apis/apps/v1/namespaces/{world.namespace}/deployments",
        {
            "metadata": {"name": "web"},
            "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": template},
        },
    )
    ports = [{"port": 80, "targetPort": "http"}]
    world.create(
        f"{world.core}/services",
        {"metadata": {"name": "web"}, "spec": {"selector": labels, "ports": ports}},
    )
    found = until(lambda: _full(world.endpoints("web"), 2), "two endpoints", within=15)
    cidr = world.plane.call("GET", "/api/v1/nodes/site-node")[1]["spec"]["podCIDR"]
    for name in found:
        pod = world.get(name)
        assert pod is not None
        assert pod["status"]["podIP"].startswith(cidr.removesuffix("0/24"))
        assert ask(address(pod)) == (200, f"v7 {name}\n")


def _full(endpoints: dict[str, bool], count: int) -> dict[str, bool] | None:
    return endpoints if sum(endpoints.values()) == count else None


def test_readiness_takes_a_pod_out_of_the_endpoints_and_back(world: World) -> None:
    name = min(until(lambda: _full(world.endpoints("web"), 2), "two endpoints", within=15))
    where = world.ready(name)
    ask(f"{where}/-/unready", "POST")
    until(lambda: world.endpoints("web")[name] is False, "it is out", within=10)
    pod = world.until(name, lambda status: not is_ready(status), "is not ready")
    conditions = {c["type"]: c.get("message") for c in pod["status"]["conditions"]}
    assert conditions["Ready"] == "containers with unready status: [app]"
    assert container(pod["status"])["restartCount"] == 0
    ask(f"{where}/-/ready", "POST")
    until(lambda: world.endpoints("web")[name], "it is back", within=10)


def test_a_crash_restarts_at_once_and_the_next_one_backs_off(world: World) -> None:
    world.pod("crashing", pod_spec())
    where = world.ready("crashing")
    ask(f"{where}/-/crash", "POST")
    again = world.until(
        "crashing",
        lambda status: container(status)["restartCount"] == 1 and is_ready(status),
        "runs again",
    )
    last = container(again["status"])["lastState"]["terminated"]
    assert (last["exitCode"], last["reason"]) == (3, "Error")
    ask(f"{where}/-/crash", "POST")
    waiting = world.until(
        "crashing", lambda status: "waiting" in container(status)["state"], "waits"
    )
    state = container(waiting["status"])["state"]["waiting"]
    assert state["reason"] == "CrashLoopBackOff"
    assert state["message"] == "back-off 10s restarting failed container=app"
    assert not is_ready(waiting["status"])


def test_a_failing_liveness_probe_restarts_the_container(world: World) -> None:
    probe = {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1}
    world.pod("sick", pod_spec(livenessProbe=probe | {"failureThreshold": 1}))
    ask(f"{world.ready('sick')}/-/unready", "POST")
    pod = world.until("sick", lambda status: container(status)["restartCount"] == 1, "restarts")
    assert container(pod["status"])["lastState"]["terminated"]["exitCode"] == 0


def test_deletion_drains_what_is_open_and_is_unready_at_once(world: World) -> None:
    labels = {"app": "slow"}
    world.create(
        f"{world.core}/services",
        {"metadata": {"name": "slow"}, "spec": {"selector": labels, "ports": [{"port": 8080}]}},
    )
    world.pod("slow", pod_spec("sample:v1-slow-1500ms"), labels=labels)
    where = world.ready("slow")
    answers: list[tuple[int, str]] = []
    open_request = threading.Thread(target=lambda: answers.append(ask(where)))
    open_request.start()
    time.sleep(0.2)
    world.plane.call("DELETE", f"{world.core}/pods/slow")
    pod = world.until("slow", lambda status: not is_ready(status), "is not ready any more")
    assert pod["metadata"]["deletionTimestamp"]
    until(lambda: not any(world.endpoints("slow").values()), "it is no endpoint", within=5)
    open_request.join()
    assert answers == [(200, "v1-slow-1500ms slow\n")]
    until(lambda: world.get("slow") is None, "the pod is gone", within=10)
    assert ask(where) == (0, "")


def test_who_ignores_the_signal_is_killed_after_the_grace_period(world: World) -> None:
    script = "trap '' TERM; echo up; while true; do sleep 0.1; done"
    spec = pod_spec("shell", args=["-c", script], terminationGracePeriodSeconds=1)
    world.pod("stubborn", spec)
    world.until("stubborn", is_ready, "runs")
    process = world.site.node.worker(world.namespace, "stubborn").containers[0].process
    assert process is not None
    until(lambda: "up" in world.site.node.logs(world.namespace, "stubborn"), "it traps", within=5)
    begin = time.monotonic()
    world.plane.call("DELETE", f"{world.core}/pods/stubborn")
    until(lambda: world.get("stubborn") is None, "the pod is gone", within=10)
    assert time.monotonic() - begin >= 1
    assert process.code == -signal.SIGKILL


def test_the_token_is_at_its_standard_path_and_bound_to_the_pod(world: World) -> None:
    spec = pod_spec("python", args=["-c", WHO_AM_I], restartPolicy="Never")
    before = Path("/etc/hosts").read_text()
    world.pod("asking", spec)
    world.until("asking", lambda status: status["phase"] == "Succeeded", "has ended well")
    answer = json.loads(world.site.node.logs(world.namespace, "asking").splitlines()[-1])
    user = answer["status"]["userInfo"]
    assert user["username"] == f"system:serviceaccount:{world.namespace}:default"
    assert user["extra"]["authentication.kubernetes.io/pod-name"] == ["asking"]
    assert answer["namespace"] == world.namespace
    assert answer["hostname"] == "asking"
    assert "asking" in answer["hosts"]
    assert Path("/etc/hosts").read_text() == before


@pytest.mark.parametrize(
    ("name", "spec", "reason", "words"),
    [
        pytest.param(
            "unknown",
            pod_spec("registry.example.com/nothing:v1"),
            "ImagePullBackOff",
            "no program of this node stands for the image 'registry.example.com/nothing:v1'",
            id="an image that no program stands for",
        ),
        pytest.param(
            "unset",
            pod_spec(
                env=[{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "none", "key": "a"}}}]
            ),
            "CreateContainerConfigError",
            "ConfigMap node/none not found",
            id="a missing ConfigMap",
        ),
        pytest.param(
            "probing",
            pod_spec("shell", readinessProbe={"exec": {"command": ["true"]}}),
            "CreateContainerError",
            "the local node has no exec or gRPC probes; use httpGet or tcpSocket",
            id="a probe that it does not have",
        ),
    ],
)
def test_what_it_cannot_do_stands_in_the_status(
    world: World, name: str, spec: Manifest, reason: str, words: str
) -> None:
    world.pod(name, spec)

    def told(status: Manifest) -> bool:
        return bool(container(status).get("state", {}).get("waiting", {}).get("reason") == reason)

    pod = world.until(name, told, f"waits with {reason}")
    assert container(pod["status"])["state"]["waiting"]["message"] == words
    assert pod["status"]["phase"] == "Pending"
    world.plane.call("DELETE", f"{world.core}/pods/{name}")
    until(lambda: world.get(name) is None, "the pod is gone", within=5)


def test_variables_come_from_the_pod_and_from_config_maps(world: World) -> None:
    config = {"metadata": {"name": "settings"}, "data": {"COLOUR": "green"}}
    world.create(f"{world.core}/configmaps", config)
    fields = {"POD": "metadata.name", "SPACE": "metadata.namespace", "WHERE": "status.podIP"}
    env: list[Manifest] = [
        {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}
        for name, path in fields.items()
    ]
    env.append({"name": "BOTH", "value": "$(POD) in $(SPACE), $(UNKNOWN) $$(POD)"})
    words = ["-c", 'echo "$WHERE|$BOTH|$COLOUR|$0|$HOME_OF_CALLER"', "$(POD)"]
    source = [{"configMapRef": {"name": "settings"}}]
    spec = pod_spec("shell", args=words, env=env, envFrom=source, restartPolicy="Never")
    world.pod("telling", spec)
    pod = world.until("telling", lambda status: status["phase"] == "Succeeded", "has ended")
    where = addresses.served(pod["status"]["podIP"])
    said = world.site.node.logs(world.namespace, "telling").splitlines()[-1]
    assert said == f"{where}|telling in node, $(UNKNOWN) $(POD)|green|telling|"


def test_prometheus_scrapes_running_pods_by_the_documented_labels(world: World) -> None:
    notes = {"prometheus.io/scrape": "true", "prometheus.io/port": "8080"}
    labels = {"rollouts.kulta.io/rollout": "shop", "rollouts.kulta.io/hash": "abc123"}
    world.pod("measured", pod_spec("sample:v1"), labels=labels, annotations=notes)
    where = world.ready("measured")
    for _ in range(3):
        ask(where)
    query = 'http_requests_total{namespace="node",rollout="shop",revision="abc123",status="200"}'

    def counted() -> bool:
        return [row["value"][1] for row in world.site.prometheus.query(query)] == ["3"]

    until(counted, "Prometheus has counted", within=15)
    file = world.site.prometheus.targets / "pods.json"
    assert "measured" in file.read_text()
    world.plane.call("DELETE", f"{world.core}/pods/measured")
    until(lambda: "measured" not in file.read_text(), "its target is gone", within=10)


def test_a_quiet_node_writes_its_lease_only(world: World) -> None:
    def writes() -> list[str]:
        found = world.plane.audit.read(user="local-node", writes=True)
        return [item.uri for item in found if "leases" not in item.uri]

    def quiet() -> bool:
        before = len(writes())
        time.sleep(3)
        return len(writes()) == before

    until(quiet, "three seconds without a write", within=30)
