"""Blue-green with pods that run and clients that ask all the time, through Envoy.

Judged by what the clients were answered: nobody is refused while all traffic changes hands, there
and back.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from e2e.ground import engine
from e2e.ground.engine import Engine
from e2e.ground.loadgen import Load, LoadGenerator
from e2e.ground.site import Site
from e2e.ground.subject import Subject, route, service
from e2e.ground.waiting import until
from e2e.realm import all_from, sending

FEW = 40
"""Answers by which it is judged who gives them: half a second's."""


@pytest.fixture(scope="module")
def running(site: Site) -> Iterator[Engine]:
    """The engine beside the shared cluster."""
    engine.prepare(site.plane)
    with Engine(site.plane, site.plane.folder, KULTA_LEADER_ELECTION="true") as started:
        yield started


@pytest.fixture
def web(site: Site, running: Engine, routed: bool) -> Iterator[Subject]:
    """v1 serves three pods; with `routed` the engine has the route, else only the Services."""
    place = site.plane.add_namespace(f"blue-green-{'route' if routed else 'services'}")
    entry = route(place, "web", "web-active", "web-preview")
    strategy: dict[str, Any] = {"activeService": "web-active", "previewService": "web-preview"}
    if routed:
        strategy["trafficRouting"] = {"gatewayAPI": {"httpRoute": "web"}}
    else:
        del entry["spec"]["rules"][0]["backendRefs"][1]
    site.plane.apply(
        service(place, "web-active", "web", "active"),
        service(place, "web-preview", "web", "preview"),
        entry,
    )
    made = Subject(
        plane=site.plane,
        namespace=place,
        name="web",
        strategy={"blueGreen": strategy},
        replicas=3,
        spec={"scaleDownDelay": "1h", **template("v1")},
    )
    made.apply("unused")
    made.wait(phase="Completed", readyReplicas=3)
    yield made
    site.plane.kubectl("delete", "rollouts", "--all", "-n", place, "--timeout=120s")
    site.plane.kubectl("delete", "namespace", place, "--wait=false")


def template(version: str) -> dict[str, Any]:
    """The pod template of one version, probed."""
    probe = {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1}
    container = {"name": "app", "image": f"sample:{version}", "readinessProbe": probe}
    return {
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}}
    }


def sizes(rollout: Subject) -> dict[str, int]:
    """Image → pods of its set."""
    return {
        item["spec"]["template"]["spec"]["containers"][0]["image"]: item["spec"]["replicas"]
        for item in rollout.sets().values()
    }


def answering(load: LoadGenerator, count: int) -> set[str]:
    """Who gives the next so many answers."""
    before = len(load.answers)
    until(lambda: len(load.answers) >= before + count, f"{count} answers", within=10)
    return {item.version for item in load.answers[before:]}


@pytest.mark.parametrize("routed", [True, False], ids=["by a route", "by Services"])
def test_no_request_is_lost_over_promotion_and_rollback(
    site: Site, web: Subject, routed: bool
) -> None:
    first = web.status["stablePodHash"]
    host = f"web.{web.namespace}.example.com"
    load = LoadGenerator(Load(url=site.gateway.url, host=host, rate=80, duration=600))
    with sending(load):
        web.patch({"spec": template("v2")})
        second = web.wait(phase="Preview")["currentPodHash"]
        assert sizes(web) == {"sample:v1": 3, "sample:v2": 3}
        roles = {pod["metadata"]["labels"]["rollouts.kulta.io/type"] for pod in web.pods()}
        assert roles == {"active", "preview"}
        assert answering(load, FEW) == {"v1"}

        web.request("promote")
        web.wait(phase="Completed", stablePodHash=second)
        all_from("v2", load)
        assert answering(load, FEW) == {"v2"}

        web.request("rollback")
        web.wait(phase="Failed", stablePodHash=first, failedPodHash=second)
        assert sizes(web) == {"sample:v1": 3, "sample:v2": 3}
        all_from("v1", load)
        begun = len(load.answers)
        web.patch({"spec": {"scaleDownDelay": "2s"}})
        until(lambda: sizes(web)["sample:v2"] == 0, "the failed pods go", within=20)
        assert answering(load, FEW) == {"v1"}
        assert {item.version for item in load.answers[begun:]} == {"v1"}
    assert [item for item in load.answers if item.status != 200] == []
    assert len(load.answers) > 200
    reasons = [item["reason"] for item in web.status["decisions"]]
    assert reasons[-3:] == ["ManualPromotion", "StepCompleted", "ManualRollback"]
