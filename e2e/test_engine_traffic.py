"""The engine with pods that run, traffic through Envoy and numbers from Prometheus.

Judged from outside: by what a client was answered. The engine is that of `replicas`: two pods, as
they are shipped. That the weights of a canary are what Envoy does is shown by `test_compat`.
"""

import itertools
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.ground import background
from e2e.ground.loadgen import Load, LoadGenerator
from e2e.ground.site import Site
from e2e.ground.subject import Subject, route, service
from e2e.ground.waiting import until
from e2e.realm import all_from
from e2e.replicas import Replicas
from fleet.api.names import DEPLOYMENTS, HOLDER, ORIGINAL_REPLICAS, ORIGINAL_SELECTOR

ROOT = Path(__file__).parent.parent
REQUESTS = 100
STRANGE = (
    "the template of Deployment web is not that of the stable revision {}; put that back "
    "(kubectl rollout undo deployment/web), or take this one "
    "(kubectl scale deployment/web --replicas=2), or delete the Deployment"
)
_numbers = itertools.count(1)


@pytest.fixture
def place(site: Site, replicas: Replicas) -> Iterator[str]:
    """A namespace of its own; what runs there ends with it."""
    name = site.plane.add_namespace(f"traffic-{next(_numbers)}")
    yield name
    site.plane.kubectl("delete", "rollouts", "--all", "-n", name, "--timeout=120s")
    site.plane.kubectl("delete", "namespace", name, "--wait=false")


def send(site: Site, host: str, total: int = REQUESTS) -> LoadGenerator:
    """So many requests, at once; returns when they are answered."""
    load = Load(url=site.gateway.url, host=host, rate=200, duration=10, total=total)
    generator = LoadGenerator(load)
    loop = background.Loop()
    try:
        loop.call(generator.run())
    finally:
        loop.close()
    return generator


def shop(site: Site, namespace: str) -> Subject:
    """A canary that is measured each second."""
    site.plane.apply(
        service(namespace, "web-stable", "web", "stable"),
        service(namespace, "web-canary", "web", "canary"),
        route(namespace, "web", "web-stable", "web-canary"),
    )
    metric = {"name": "error-rate", "threshold": 5.0, "interval": "1s", "minSampleSize": 5}
    canary: dict[str, Any] = {
        "stableService": "web-stable",
        "canaryService": "web-canary",
        "steps": [{"setWeight": 50, "pause": {"duration": "5m"}}, {"setWeight": 100}],
        "trafficRouting": {"gatewayAPI": {"httpRoute": "web"}},
        "analysis": {"prometheus": {"address": site.prometheus.url}, "metrics": [metric]},
    }
    return Subject(plane=site.plane, namespace=namespace, name="web", strategy={"canary": canary})


def measured(subject: Subject, image: str) -> dict[str, Any]:
    """The template with that image, scraped and probed."""
    scraped = {"prometheus.io/scrape": "true", "prometheus.io/port": "8080"}
    probe = {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1}
    container = {"name": "app", "image": image, "readinessProbe": probe}
    metadata = {"labels": {"app": subject.name}, "annotations": scraped}
    return {"template": {"metadata": metadata, "spec": {"containers": [container]}}}


@contextmanager
def requests_to(site: Site, place: str) -> Iterator[LoadGenerator]:
    """Sixty a second, meanwhile."""
    load = Load(url=site.gateway.url, host=f"web.{place}.example.com", rate=60, duration=600)
    generator, loop = LoadGenerator(load), background.Loop()
    sending = threading.Thread(target=lambda: loop.call(generator.run()))
    sending.start()
    try:
        yield generator
    finally:
        generator.stop()
        sending.join()
        loop.close()


def test_a_failing_revision_is_taken_back(site: Site, place: str) -> None:
    """[M32] The address stands in the analysis; the engine's environment names none."""
    web = shop(site, place)
    web.spec = measured(web, "sample:v1")
    web.apply("unused")
    first = web.wait(phase="Completed", readyReplicas=2)["stablePodHash"]
    with requests_to(site, place) as generator:
        web.patch({"spec": measured(web, "sample:v2-errors-30")})
        web.wait(phase="Failed", stablePodHash=first, currentWeight=0, within=40)
    decision = web.decided("Rollback")[-1]
    assert decision["reason"] == "AnalysisFailed"
    found = decision["metrics"]["error-rate"]
    assert found["value"] > found["threshold"] == 5
    assert re.search(r"error-rate\b.*\b5\b", decision["message"])
    assert set(generator.tallies()) == {"v1", "v2-errors-30"}
    answers = send(site, f"web.{place}.example.com").answers
    assert {(answer.version, answer.status) for answer in answers} == {("v1", 200)}


MEAN = (
    "1000 * sum(rate(http_request_duration_seconds_sum{LABELS}[{{ window }}])) / "
    "(sum(rate(http_request_duration_seconds_count{LABELS}[{{ window }}])) > 0)"
).replace("LABELS", 'namespace="{{ namespace }}",revision="{{ canary }}"')
MANY = 'http_request_duration_seconds_bucket{revision="{{ canary }}"}'
GRANT = re.compile(r"```yaml\n(apiVersion: rbac[^`]*?kulta-metrics[^`]*)```")


def complaint(subject: Subject) -> str:
    """What the condition about metrics says."""
    told = (x for x in subject.status["conditions"] if x["type"] == "MetricsAvailable")
    return next((item.get("message", "") for item in told), "")


def test_a_revision_slower_than_the_stable_one_is_taken_back(site: Site, place: str) -> None:
    """A query of the user's, asked with a Secret by the right that the README grants. At first it
    yields a series for each bucket: that is told, holds the step, and heals when it is mended."""
    granted = GRANT.search((ROOT / "README.md").read_text())
    assert granted
    rights = list(yaml.safe_load_all(granted[1].replace("namespace: shop", f"namespace: {place}")))
    metadata = {"name": "metrics", "namespace": place}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata}
    site.plane.apply(*rights, secret | {"stringData": {"token": "for-nobody-elses-eyes"}})
    web = shop(site, place)
    metric = {"name": "mean", "query": MEAN, "compareToStable": {"maxIncrease": "100%"}}
    web.strategy["canary"]["analysis"] = {
        "prometheus": {"address": site.prometheus.url, "secretRef": {"name": "metrics"}},
        "interval": "1s",
        "metrics": [metric | {"query": MANY}],
    }
    web.spec = measured(web, "sample:v1")
    web.apply("unused")
    first = web.wait(phase="Completed", readyReplicas=2)["stablePodHash"]
    with requests_to(site, place):
        web.patch({"spec": measured(web, "sample:v2-slow-100ms")})
        many = "series where one number is needed; add them up"
        until(lambda: many in complaint(web), "several series are told of", within=20)
        assert web.status["currentStepIndex"] == 0
        analysis = {"metrics": [metric | {"minSampleSize": 5}]}
        web.patch({"spec": {"strategy": {"canary": {"analysis": analysis}}}})
        web.wait(phase="Failed", stablePodHash=first, currentWeight=0, within=40)
    assert "of the stable revision, at most" in web.decided("Rollback")[-1]["message"]
    judged = web.status["analysis"]["metrics"][0]
    assert judged["value"] > 100 > judged["stableValue"] * 2
    assert "for-nobody-elses-eyes" not in str(web.object)


def deployed(site: Site, namespace: str) -> Subject:
    """A Deployment of two pods that serves, and a Rollout that shall take its template."""
    template = measured_pods("sample:v1")
    meta = {"name": "web", "namespace": namespace}
    spec = {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": template}
    services = [service(namespace, f"web-{name}", "web", "") for name in ("stable", "canary")]
    for item in services:
        item["spec"]["selector"] = {"app": "web"}
    made = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec}
    entry = route(namespace, "web", "web-stable", "web-canary")
    site.plane.apply(made, *services, entry)
    until(lambda: deployment(site, namespace)[1] == 2, "the Deployment serves", within=30)
    return Subject(plane=site.plane, namespace=namespace, name="web", strategy={})


def measured_pods(image: str) -> dict[str, Any]:
    """The pods of `measured`, for a Deployment."""
    probe = {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1}
    container = {"name": "app", "image": image, "readinessProbe": probe}
    return {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}}


def deployment(site: Site, namespace: str) -> tuple[int, int, dict[str, str]]:
    """The pods that it asks for, how many are ready, and its annotations."""
    found = site.plane.call("GET", DEPLOYMENTS.path(namespace, "web"))[1]
    ready = found.get("status", {}).get("readyReplicas", 0)
    return found["spec"]["replicas"], ready, found["metadata"].get("annotations", {})


def migrate(site: Site, web: Subject) -> None:
    """The Rollout is made, and replaces the Deployment's pods."""
    canary = {
        "stableService": "web-stable",
        "canaryService": "web-canary",
        "steps": [{"setWeight": 50, "pause": {}}, {"setWeight": 100}],
        "trafficRouting": {"gatewayAPI": {"httpRoute": "web"}},
    }
    spec = {"replicas": 2, "workloadRef": {"name": "web"}, "strategy": {"canary": canary}}
    site.plane.apply({**web.manifest("unused"), "spec": {**spec, "scaleDownDelay": "2s"}})
    web.wait(phase="Completed", readyReplicas=2, within=60)
    until(lambda: deployment(site, web.namespace)[:2] == (0, 0), "its pods go", within=30)
    notes = deployment(site, web.namespace)[2]
    assert (notes[HOLDER], notes[ORIGINAL_REPLICAS]) == ("web", "2")


def test_a_deployment_is_taken_over_and_given_back(site: Site, place: str) -> None:
    """Nobody is refused while its pods are replaced, while the next revision comes, and while the
    Rollout is deleted in the midst of one more."""
    web = deployed(site, place)
    with requests_to(site, place) as generator:
        all_from("v1", generator)
        migrate(site, web)
        path = DEPLOYMENTS.path(place, "web")
        site.plane.call("PATCH", path, {"spec": {"template": measured_pods("sample:v2")}})
        web.wait(phase="Paused", currentWeight=50, within=60)
        assert web.status["workloadRef"]["name"] == "web"
        web.request("promote")
        web.wait(phase="Completed", readyReplicas=2, within=60)
        all_from("v2", generator)
        site.plane.call("PATCH", path, {"spec": {"template": measured_pods("sample:v3")}})
        web.wait(phase="Paused", currentWeight=50, within=60)
        site.plane.call("DELETE", web.path)
        said = STRANGE.format(web.status["stablePodHash"])
        until(lambda: web.status["message"] == said, "it is told what is in the way", within=60)
        assert deployment(site, place)[:2] == (0, 0), "nobody has judged v3"
        site.plane.call("PATCH", path, {"spec": {"template": measured_pods("sample:v2")}})
        until(lambda: site.plane.call("GET", web.path)[0] == 404, "it is gone", within=60)
        assert deployment(site, place)[:2] == (2, 2)
        until(lambda: not web.pods(), "its own pods go", within=60)
        all_from("v2", generator)
    assert [answer for answer in generator.answers if answer.status != 200] == []
    assert {"v1", "v2", "v3"} == {answer.version for answer in generator.answers}
    assert HOLDER not in deployment(site, place)[2]
    for name in ("web-stable", "web-canary"):
        found = web.service(name)
        assert found["spec"]["selector"] == {"app": "web"}
        assert ORIGINAL_SELECTOR not in found["metadata"].get("annotations", {})
