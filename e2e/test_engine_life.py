"""What happens to a Rollout, and to the engine, on the way: autoscaled, upgraded, asked to end.

Pods are played by kwok; the autoscaler is that of the plane's controller manager. It needs no
metrics for what it does here: whatever is outside of its bounds is brought inside. Crashes are in
`test_engine_faults`.
"""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from e2e.ground.controlplane import ControlPlane
from e2e.ground.engine import Engine
from e2e.ground.subject import Subject, service
from e2e.ground.waiting import until

HPA = "/apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers"
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def cluster(kwok: ControlPlane) -> ControlPlane:
    """The shared plane; routes are not defined yet."""
    return kwok


@pytest.fixture
def place(cluster: ControlPlane) -> str:
    return cluster.add_namespace(f"life-{next(_numbers)}")


@pytest.fixture
def running(cluster: ControlPlane) -> Iterator[Engine]:
    with Engine(cluster, cluster.folder, name="life", KULTA_LEADER_ELECTION="true") as started:
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
    cluster: ControlPlane, place: str, running: Engine
) -> None:
    """At least 4 where 2 were asked for, then at most 3; the steps stay where they are."""
    web = canary(cluster, place, {"setWeight": 50, "pause": {}}, {"setWeight": 100})
    shop = blue_green(cluster, place)
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
    cluster.kubectl("delete", "hpa", "--all", "-n", place)
