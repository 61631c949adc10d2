"""An A/B test with pods that run, people behind Envoy and numbers from Prometheus.

Three arms: what runs, the new template that is no better, and one more that is. Judged from
outside: by what each client was answered, and by the status that says who has won and why.
"""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from e2e.ground.loadgen import Load, LoadGenerator
from e2e.ground.site import Site
from e2e.ground.subject import Subject, route, service
from e2e.realm import sending
from e2e.replicas import Replicas

BAD, NO_BETTER, GOOD = "v1-errors-40-slow-30ms", "v2-errors-40-slow-30ms", "v3"
ARMS = {"A": BAD, "B": NO_BETTER, "C": GOOD}
CLIENTS: dict[str, tuple[tuple[str, str], ...]] = {
    "A": (),
    "B": (("Cookie", "theme=dark; variant=b"),),
    "C": (("Cookie", "variant=c"), ("X-Beta", "1")),
}
"""What the clients of each arm say; C wants both."""


@pytest.fixture
def place(site: Site, replicas: Replicas) -> Iterator[str]:
    """A namespace of its own; what runs there ends with it."""
    name = site.plane.add_namespace("experiment")
    yield name
    site.plane.kubectl("delete", "rollouts", "--all", "-n", name, "--timeout=120s")
    site.plane.kubectl("delete", "namespace", name, "--wait=false")


def shop(site: Site, namespace: str) -> Subject:
    """Looked at every two seconds, once each arm has had 150 requests."""
    site.plane.apply(
        *(service(namespace, f"web{arm}", "web", f"variant-{arm or 'a'}") for arm in "bc"),
        service(namespace, "web", "web", "variant-a"),
        route(namespace, "web", "web"),
    )
    strategy: dict[str, Any] = {
        "variantAService": "web",
        "variantBService": "webb",
        "variantBMatch": {"cookie": {"name": "variant", "value": "b"}},
        "variants": [
            {
                "service": "webc",
                "matches": [
                    {
                        "cookie": {"name": "variant", "value": "c"},
                        "headers": [{"name": "X-Beta", "value": "1"}],
                    }
                ],
                "containers": [{"name": "app", "image": f"sample:{GOOD}"}],
            }
        ],
        "trafficRouting": {"gatewayAPI": {"httpRoute": "web"}},
        "maxDuration": "5m",
        "analysis": {
            "prometheus": {"address": site.prometheus.url},
            "interval": "2s",
            "minSampleSize": 150,
            "metrics": [
                {"name": "error-rate", "direction": "lower", "minEffectSize": 0.05},
                {"name": "latency-p95", "direction": "lower"},
            ],
        },
    }
    made = Subject(plane=site.plane, namespace=namespace, name="web", strategy={})
    made.strategy = {"abTesting": strategy}
    return made


def template(image: str) -> dict[str, Any]:
    """Scraped and probed."""
    scraped = {"prometheus.io/scrape": "true", "prometheus.io/port": "8080"}
    probe = {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1}
    container = {"name": "app", "image": f"sample:{image}", "readinessProbe": probe}
    metadata = {"labels": {"app": "web"}, "annotations": scraped}
    return {"template": {"metadata": metadata, "spec": {"containers": [container]}}}


def test_the_best_of_three_wins_by_its_numbers(site: Site, place: str) -> None:
    web = shop(site, place)
    web.spec = template(BAD)
    web.apply("unused")
    first = web.wait(phase="Completed", readyReplicas=2)["stablePodHash"]
    before = _rules(web)
    host = f"web.{place}.example.com"
    clients = {
        arm: LoadGenerator(
            Load(url=site.gateway.url, host=host, rate=30, duration=600, headers=headers)
        )
        for arm, headers in CLIENTS.items()
    }
    web.patch({"spec": template(NO_BETTER)})
    begun = web.wait(phase="Experimenting", within=40)
    assert [item["name"] for item in begun["abExperiment"]["arms"]] == ["A", "B", "C"]
    with sending(*clients.values()):
        status = web.wait(phase="Concluded", within=90)
        seen = {arm: {x.version for x in client.answers} for arm, client in clients.items()}
        web.request("promote")
        done = web.wait(phase="Completed", within=40)
        time.sleep(1)
    assert seen == {arm: {image} for arm, image in ARMS.items()}
    _check_verdict(status["abExperiment"])
    assert done["stablePodHash"] == status["abExperiment"]["arms"][2]["revision"] != first
    assert done["overruledPodHash"] == status["currentPodHash"]
    assert _rules(web) == before
    for client in clients.values():
        assert {item.status for item in client.answers} <= {200, 500}, "no request is lost"
        assert client.answers[-1].version == GOOD


def _check_verdict(found: dict[str, Any]) -> None:
    """C has won, by both metrics or by the one that says so first: each is asked by itself, and the
    other may have too few requests yet. B by none. What Prometheus counted is what was sent."""
    assert found["winner"] == "C"
    assert found["conclusionReason"] in ("SignificanceReached", "ConsensusReached")
    results = {(item["name"], item["arm"]): item for item in found["results"]}
    errors, latency = (results.get((name, "C")) for name in ("error-rate", "latency-p95"))
    if errors:
        assert errors["valueA"] == pytest.approx(40, abs=3)
        assert errors["valueB"] == 0
        assert errors["effect"] == -1
        assert errors["effectHigh"] < -0.2
        assert all(found["arms"][compared]["sampleSize"] >= 150 for compared in (0, 2))
    if latency:
        assert latency["valueA"] > 30 > latency["valueB"]
    assert max(item["confidence"] for item in (errors, latency) if item) >= 0.95
    assert "winner" not in results.get(("error-rate", "B"), {})


def _rules(web: Subject) -> list[Any]:
    path = f"/apis/gateway.networking.k8s.io/v1/namespaces/{web.namespace}/httproutes/web"
    kept: list[Any] = web.plane.call("GET", path)[1]["spec"]["rules"]
    return kept
