"""Hub and engine refuse the same strategies, in the same words, each at its own path."""

import re
from typing import Any

import pytest

from fleet.kulta.core.feedback import validation
from tests import gen
from tests.hub.core.application.specs import POLICY, drop, problems, put

ERRORS = {"name": "error-rate", "threshold": 5}
HEADER = {"name": "x-team", "value": "us"}
COOKIE = {"name": "variant", "value": "b"}
B = {"variantBMatch": {"cookie": COOKIE}}
STEPS = [{"setWeight": 20}]
DARK = [{"setWeight": 0, "pause": {"duration": "5m"}}, {"setWeight": 20}]
Body = dict[str, Any]


def arm(image: str = "shop:v9", value: str = "c") -> Body:
    """The pods of both sides have a container `app`."""
    return {
        "matches": [{"cookie": {"name": "variant", "value": value}}],
        "containers": [{"name": "app", "image": image}],
    }


def canary(**given: Any) -> Body:
    return {"canary": {"steps": STEPS, **given}}


def judged(*metrics: Body, **given: Any) -> Body:
    return {"analysis": {"metrics": list(metrics), **given}}


BOTH = [
    pytest.param(canary(steps=[]), id="no step"),
    pytest.param(canary(steps=[{"pause": {}}]), id="a step without a weight"),
    pytest.param(
        canary(steps=[{"analysis": {}}], **judged(ERRORS)), id="a judgement of no traffic"
    ),
    pytest.param(canary(steps=gen.steps(50, 20, 30)), id="falling weights"),
    pytest.param(canary(steps=gen.steps((20, "9d"))), id="a pause of nine days"),
    pytest.param(canary(externalWeight=30, analyzeAtFull={}), id="a weight from outside"),
    pytest.param(
        canary(steps=[{"setWeight": 20, "analysis": {}}], analyzeAtFull={}), id="judged by nothing"
    ),
    pytest.param(canary(promotionSteps=[90, 70]), id="a promotion that falls"),
    pytest.param(canary(promotionSteps=[20]), id="a promotion that begins at the steps"),
    pytest.param(
        canary(promotionSteps=[60], analyzeAtFull={}, **judged(ERRORS)),
        id="a promotion in steps beside a judgement of all the traffic",
    ),
    pytest.param(
        canary(steps=[{"setWeight": 20, "setCanaryScale": {"replicas": 1, "percent": 5}}]),
        id="pods in two ways",
    ),
    pytest.param(
        canary(steps=[{"setWeight": 100}, {"setCanaryScale": {"replicas": 1}}]),
        id="pods apart after all the traffic",
    ),
    pytest.param(canary(mirror=True), id="copies without a time for them"),
    pytest.param(canary(**judged(ERRORS, interval="9d", warmupDuration="9d")), id="long times"),
    pytest.param({"blueGreen": judged(ERRORS, interval="9d")}, id="a slow preview"),
    pytest.param({"blueGreen": judged({"name": "error-rate"})}, id="a preview of no threshold"),
    pytest.param({"simple": judged({**ERRORS, "source": "envoy"})}, id="Services of a simple one"),
    pytest.param({"simple": judged({**ERRORS, "window": "9d"})}, id="a window of nine days"),
    pytest.param({"abTesting": {}}, id="nobody gets B"),
    pytest.param({"abTesting": {**B, "maxDuration": "9d"}}, id="an experiment of nine days"),
    pytest.param(
        {"abTesting": {**B, "analysis": {"interval": "9d", "minDuration": "9d"}}},
        id="an experiment that is rarely looked at",
    ),
    pytest.param({"abTesting": {**B, "variants": [arm(), arm(value="d")]}}, id="D runs what C"),
    pytest.param({"abTesting": {**B, "variants": [arm(value="b")]}}, id="C asks for whom B asks"),
    pytest.param(
        {
            "abTesting": {
                "variantBMatch": {"header": HEADER},
                "variants": [{**arm(), "matches": [{"headers": [HEADER]}]}],
            }
        },
        id="C asks for the header that B asks for",
    ),
    pytest.param(
        {"abTesting": {**B, "variants": [{**arm(), "containers": [{"name": "web"}]}]}},
        id="a container that is not there",
    ),
]
UNROUTED = [
    pytest.param(canary(promotionSteps=[60]), id="weights of a promotion"),
    pytest.param(canary(steps=[{"setWeight": 20, "setCanaryScale": {"replicas": 1}}]), id="pods"),
    pytest.param(canary(headerRoutes=[HEADER]), id="a header"),
    pytest.param(canary(sessionAffinity={"cookieName": "version"}), id="a cookie"),
    pytest.param(canary(steps=DARK, mirror=True), id="copies"),
]
CONDUCTS = [
    pytest.param({"maxSurge": "150%"}, {}, id="a surge that is no amount"),
    pytest.param({"maxUnavailable": "x"}, {"maxSurge": "y"}, id="two that are none"),
    pytest.param({"maxSurge": 0, "maxUnavailable": "0%"}, {}, id="no room"),
    pytest.param({"maxUnavailable": 0}, {"maxSurge": 0}, id="no room for a canary"),
    pytest.param({"scaleDownDelay": "8d"}, {}, id="a long delay"),
    pytest.param({"advisor": {"level": "Advised"}}, {}, id="advice from nobody"),
]
SERVICES: dict[str, Body] = {
    "canary": {"stableService": "shop", "canaryService": "shop-canary"},
    "blueGreen": {"activeService": "shop", "previewService": "shop-preview"},
    "abTesting": {"variantAService": "shop", "variantBService": "shop-b"},
    "simple": {},
}


def of_engine(strategy: Body, *, is_routed: bool = True, **more: Any) -> list[str]:
    """As the engine says it of the Rollout that the hub would make of it."""
    strategy = {kind: {**SERVICES[kind], **body} for kind, body in strategy.items()}
    for kind, body in strategy.items():
        if is_routed and kind != "simple":
            body["trafficRouting"] = {"gatewayAPI": {"httpRoute": "shop"}}
        if kind == "abTesting" and body.get("variants"):
            arms = [{**item, "service": f"shop-{n}"} for n, item in enumerate(body["variants"])]
            body["variants"] = arms
    return list(validation.of_manifest(gen.manifest(strategy=strategy, **more)))


def of_hub(strategy: Body, *changes: Body) -> list[str]:
    return list(problems(put(f"{POLICY}/strategy", strategy), *changes))


def placed(texts: list[str]) -> list[str]:
    """The engine's sentences with the paths of an Application."""
    return [
        text.replace("spec.strategy.canary.trafficRouting.gatewayAPI", "spec.workload.route")
        .replace("spec.strategy.canary.trafficRouting", "spec.workload.route")
        .replace("spec.", "spec.deliveryPolicy.", 1)
        .replace(" ", ": ", 1)
        for text in texts
    ]


@pytest.mark.parametrize("strategy", BOTH)
def test_hub_and_engine_refuse_the_same(strategy: Body) -> None:
    told = of_hub(strategy)
    assert told == placed(of_engine(strategy))
    assert told


@pytest.mark.parametrize(
    "strategy",
    [pytest.param({}, id="none"), pytest.param({"simple": {}, **canary()}, id="two")],
)
def test_both_take_one_strategy(strategy: Body) -> None:
    """Each names the strategies in its own order."""
    (told,), (expected,) = of_hub(strategy), placed(of_engine(strategy))
    for said, other in zip(told.split("; "), expected.split("; "), strict=True):
        assert sorted(re.findall(r"[\w.]+", said)) == sorted(re.findall(r"[\w.]+", other))


@pytest.mark.parametrize("strategy", UNROUTED)
def test_both_miss_a_router(strategy: Body) -> None:
    told = of_hub(strategy, drop("/workload/route"))
    assert told == placed(of_engine(strategy, is_routed=False))
    assert len(told) == 1


@pytest.mark.parametrize("strategy", UNROUTED[:2])
def test_a_router_of_which_nothing_is_written_is_one(strategy: Body) -> None:
    """The API server takes it, so that it stands in clusters: pods divide the traffic there."""
    empty = {"canary": {**strategy["canary"], "trafficRouting": {}}}
    assert of_engine(empty, is_routed=False) == []


@pytest.mark.parametrize(("conduct", "own"), CONDUCTS)
def test_both_refuse_the_same_conduct(conduct: Body, own: Body) -> None:
    told = of_hub(canary(**own), put(f"{POLICY}/rollout", conduct))
    expected = placed(of_engine(canary(**own), **conduct))
    places = ("maxSurge", "maxUnavailable", "scaleDownDelay", "advisor")
    for name in places:
        expected = [
            text.replace(f"deliveryPolicy.{name}", f"deliveryPolicy.rollout.{name}").replace(
                f"and {name}", f"and rollout.{name}"
            )
            for text in expected
        ]
    assert told == expected
    assert told
