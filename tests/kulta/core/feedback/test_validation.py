"""Validation: every problem at once, each with field, value and correction."""

from pathlib import Path
from typing import Any

import pytest

from fleet.kulta.core.feedback import validation
from tests import gen
from tests.conftest import Golden

SAID = Path(__file__).parents[3] / "golden" / "problems.txt"

CANARY = "spec.strategy.canary"
ERRORS = {"name": "error-rate", "threshold": 5}
APP = {"matchLabels": gen.APP}
BARE = {"stableService": gen.STABLE, "canaryService": gen.CANARY}


def routed(name: str) -> dict[str, Any]:
    return gen.canary(20, trafficRouting={"gatewayAPI": {"httpRoute": name}})


def judged(**metric: Any) -> dict[str, Any]:
    return gen.canary(20, analysis=gen.analysis({**ERRORS, **metric}))


def asking(metric: dict[str, Any] | None = None, **provider: Any) -> dict[str, Any]:
    return judged(**{**(metric or {}), "provider": provider})


PROBLEMS = [
    pytest.param({"replicas": -1}, ("spec.replicas must be >= 0", "-1"), id="[V1] replicas -1"),
    pytest.param(
        {"strategy": gen.canary(150)},
        ("steps[0].setWeight must be 0-100", "150"),
        id="[V2] weight 150",
    ),
    pytest.param(
        {"strategy": gen.canary(-10)},
        ("steps[0].setWeight must be 0-100", "-10"),
        id="[V3] weight -10",
    ),
    pytest.param(
        {"strategy": gen.canary((20, "invalid"))},
        ("steps[0].pause.duration invalid", "invalid", "1s…86400s"),
        id="[V4] a pause that is no duration",
    ),
    pytest.param(
        {"strategy": gen.canary((20, "0s"))},
        ("steps[0].pause.duration '0s' is out of range",),
        id="a pause of zero",
    ),
    pytest.param(
        {"strategy": gen.canary(20, canaryService="")},
        ("canaryService cannot be empty", "write the name"),
        id="[V5] no canary Service",
    ),
    pytest.param(
        {"strategy": gen.canary(20, stableService="")},
        ("stableService cannot be empty", "write the name"),
        id="[V6] no stable Service",
    ),
    pytest.param(
        {"strategy": routed("")}, ("httpRoute cannot be empty",), id="[V7] no name of a route"
    ),
    pytest.param(
        {"strategy": {"canary": BARE}},
        ("at least one step", "[{setWeight: 20}]"),
        id="[V9] no steps",
    ),
    pytest.param(
        {"strategy": {"canary": {**BARE, "steps": [{"pause": {}}]}}},
        ("steps[0].setWeight is required",),
        id="[V10] a pause without a weight",
    ),
    pytest.param(
        {"strategy": {"simple": {}}, "progressDeadlineSeconds": -1},
        ("spec.progressDeadlineSeconds must be >= 0", "-1"),
        id="[V11] a deadline of -1",
    ),
    pytest.param({"strategy": {}}, ("exactly one", "none"), id="[V18] no strategy"),
    pytest.param(
        {"strategy": {"simple": {}, **gen.canary(20)}},
        ("exactly one", "simple and canary"),
        id="[V19] two strategies",
    ),
    pytest.param(
        {"strategy": gen.canary(20, 100, 50)},
        ("steps[2].setWeight", "50", "(100)"),
        id="[V21] a falling weight",
    ),
    pytest.param(
        {"strategy": judged(name="latency-p42")},
        ("metrics[0].name", "latency-p42", "latency-p95"),
        id="[V23] an unknown metric",
    ),
    pytest.param(
        {"strategy": judged(name="mine", query='up{r="{{ revision }}"}')},
        ("metrics[0].query has {{ revision }}", "namespace, rollout, stable, canary, service"),
        id="a placeholder that means nothing",
    ),
    pytest.param(
        {"strategy": judged(name="mine", query="up", compareToStable={"maxIncrease": "5%"})},
        ("metrics[0].query asks the same of both", "{{ canary }}"),
        id="a query that compares a revision with itself",
    ),
    pytest.param(
        {"strategy": judged(compareToStable={"maxIncrease": "-5%"})},
        ("compareToStable.maxIncrease '-5%'", "10%"),
        id="an increase that is none",
    ),
    pytest.param(
        {"strategy": judged(threshold=None)},
        ("metrics[0].threshold is missing", "thresholdRange or compareToStable"),
        id="a metric without any condition",
    ),
    pytest.param(
        {"strategy": judged(thresholdRange={"min": 2, "max": 1})},
        ("thresholdRange has a min 2.0 above its max",),
        id="a range the wrong way round",
    ),
    pytest.param(
        {"strategy": judged(thresholdRange={})},
        ("thresholdRange needs min, max or both",),
        id="a range without ends",
    ),
    pytest.param(
        {"strategy": asking(url="https://a/{{ pod }}", jsonPath="$.a")},
        ("metrics[0].provider.url has {{ pod }}", "canary"),
        id="a placeholder of a URL that means nothing",
    ),
    pytest.param(
        {"strategy": asking(url="https://a", jsonPath="$..a")},
        ("metrics[0].provider.jsonPath '$..a' is no path", "$.data.items[0].rate"),
        id="a path to many numbers",
    ),
    pytest.param(
        {"strategy": asking(url="https://me:pw@a", jsonPath="$.a")},
        ("metrics[0].provider.url holds a user", "secretRef"),
        id="a password in a URL",
    ),
    pytest.param(
        {"strategy": asking(url="https://a")},
        ("metrics[0].provider is incomplete", "url and jsonPath"),
        id="an API without a path",
    ),
    pytest.param(
        {"strategy": asking({"minSampleSize": 5}, url="https://a", jsonPath="$.a")},
        ("metrics[0].minSampleSize is for a Prometheus",),
        id="samples of what is no Prometheus",
    ),
    pytest.param(
        {"strategy": asking(address="http://a", secretRef={"name": "../a"})},
        ("metrics[0].provider.secretRef.name", "../a"),
        id="a Secret by a name that is none",
    ),
    pytest.param(
        {"strategy": {"simple": {"analysis": gen.analysis({**ERRORS, "source": "istio"})}}},
        ("metrics[0].source istio", "write app or appRole"),
        id="Services of a strategy that has none",
    ),
    pytest.param(
        {"strategy": {"simple": {"analysis": gen.analysis({**ERRORS, "initialDelay": "0s"})}}},
        ("simple.analysis.metrics[0].initialDelay", "out of range"),
        id="a delay of nothing",
    ),
    pytest.param(
        {"strategy": {"simple": {"analysis": gen.analysis(ERRORS, interval="0s")}}},
        ("simple.analysis.interval '0s' is out of range",),
        id="checks without a pause between them",
    ),
    pytest.param(
        {"strategy": gen.canary(steps=[{"analysis": {}}], analysis=gen.analysis())},
        ("steps[0].setWeight is required",),
        id="a check before there is traffic",
    ),
    pytest.param(
        {"strategy": gen.canary(steps=[{"setWeight": 20, "analysis": {}}])},
        ("steps[0].analysis has nothing to judge by", "canary.analysis.metrics"),
        id="checks without metrics",
    ),
    pytest.param(
        {"strategy": gen.canary(20, canaryService=gen.STABLE)},
        ("two different Services", gen.STABLE),
        id="one Service for both",
    ),
    pytest.param(
        {"strategy": gen.blue_green(previewService=gen.ACTIVE)},
        ("blueGreen.activeService and previewService", "two different Services", gen.ACTIVE),
        id="[V22] one Service for what serves and its preview",
    ),
    pytest.param(
        {"strategy": gen.blue_green(activeService="")},
        ("blueGreen.activeService cannot be empty", "write the name"),
        id="no active Service",
    ),
    pytest.param(
        {"strategy": gen.blue_green(after=-1)},
        ("blueGreen.autoPromotionSeconds must be >= 0", "-1"),
        id="a preview of less than no time",
    ),
    pytest.param(
        {"strategy": gen.blue_green(trafficRouting={"gatewayAPI": {"httpRoute": ""}})},
        ("blueGreen.trafficRouting.gatewayAPI.httpRoute cannot be empty",),
        id="a blue-green route without a name",
    ),
    pytest.param(
        {"strategy": gen.canary(20, trafficRouting={"gatewayAPI": {}})},
        (f"{CANARY}.trafficRouting.gatewayAPI is empty", "grpcRoutes"),
        id="a gateway without a route",
    ),
    pytest.param(
        {"strategy": gen.canary(20, trafficRouting={"gatewayAPI": {"httpRoutes": [{}]}})},
        ("httpRoutes[0].name is required",),
        id="a route without a name",
    ),
    pytest.param(
        {
            "strategy": gen.canary(
                20,
                trafficRouting={
                    "nginx": {
                        "stableIngresses": ["shop"],
                        "additionalIngressAnnotations": {"canary-weight": "5"},
                    }
                },
            )
        },
        (f"{CANARY}.trafficRouting.nginx", "canary-weight", "canary-by-header"),
        id="a weight that is not the engine's",
    ),
    pytest.param(
        {"strategy": gen.canary(0, 20, mirror=True)},
        (f"{CANARY}.mirror is for routes of the Gateway API", "gatewayAPI"),
        id="copies without a router",
    ),
    pytest.param(
        {"strategy": gen.canary(20, routed=True, mirror=True)},
        (f"{CANARY}.mirror needs a step", "setWeight: 0"),
        id="copies without a time for them",
    ),
    pytest.param({"maxSurge": "150%"}, ("spec.maxSurge", "150%"), id="a surge of 150%"),
    pytest.param({"maxUnavailable": "x"}, ("spec.maxUnavailable", "'x'"), id="not an amount"),
    pytest.param(
        {"maxSurge": 0, "maxUnavailable": "0%"},
        ("maxSurge is 0, and maxUnavailable too", "at least 1"),
        id="no room at all",
    ),
    pytest.param(
        {"strategy": gen.canary(20, maxSurge=0), "maxUnavailable": 0},
        (f"{CANARY}.maxSurge is 0, and maxUnavailable too", "at least 1"),
        id="no room for a canary",
    ),
    pytest.param(
        {"strategy": gen.canary(20, maxUnavailable="x")},
        (f"{CANARY}.maxUnavailable", "'x'"),
        id="not an amount of the canary's own",
    ),
    pytest.param({"selector": {}}, ("spec.selector is empty",), id="an empty selector"),
    pytest.param(
        {"selector": {"matchLabels": {"app": "other"}}},
        ("does not match", "other", "checkout"),
        id="a selector that the template does not fit",
    ),
    pytest.param({"scaleDownDelay": "8d"}, ("spec.scaleDownDelay", "8d"), id="a long delay"),
    pytest.param(
        {"strategy": judged(threshold=float("inf"))}, ("threshold", "finite"), id="no number"
    ),
    pytest.param(
        {"strategy": judged(window="169h")},
        ("metrics[0].window", "169h"),
        id="a window of more than a week",
    ),
    pytest.param(
        {"advisor": {"level": "Advised"}},
        ("spec.advisor.endpoint is required", "write the URL"),
        id="[G3] [K10] advice from nobody",
    ),
    pytest.param(
        {"advisor": {"level": "Driven", "endpoint": "advisor:8080"}},
        ("spec.advisor.endpoint", "advisor:8080"),
        id="an advisor without http",
    ),
    pytest.param(
        {"advisor": {"level": "Advised", "endpoint": "http://a", "timeoutSeconds": 0}},
        ("spec.advisor.timeoutSeconds", ">= 1"),
        id="an advisor without time",
    ),
    pytest.param({"strategi": {}}, ("strategi", "unknown field"), id="an unknown field"),
    pytest.param({"name": "x" * 64}, ("metadata.name", "64", "63"), id="a long name"),
]


FULL: dict[str, Any] = {"promotionSteps": [60], "analyzeAtFull": {"iterations": 2}}
SCALE = {"setCanaryScale": {"replicas": 1}}
CANARIES = {
    "a weight from outside beside all others": gen.canary(20, externalWeight=30, **FULL),
    "a promotion in steps and a judgement at its end": gen.canary(20, routed=True, **FULL),
    "a promotion that falls": gen.canary(20, routed=True, promotionSteps=[60, 60]),
    "a promotion that begins where the steps end": gen.canary(60, routed=True, promotionSteps=[60]),
    "copies without a router, nor time for them": gen.canary(20, mirror=True),
    "copies with their time": gen.canary((0, "5m"), 20, routed=True, mirror=True),
    "requests that nobody tells apart": gen.canary(
        20,
        headerRoutes=[{"name": "x-team", "value": "us"}],
        sessionAffinity={"cookieName": "version"},
    ),
    "pods in two ways": gen.canary(
        steps=[{"setWeight": 20, "setCanaryScale": {"replicas": 1, "percent": 5}}]
    ),
    "pods apart from all the traffic": gen.canary(routed=True, steps=[{"setWeight": 100, **SCALE}]),
    "pods apart after all the traffic": gen.canary(routed=True, steps=[{"setWeight": 100}, SCALE]),
    "pods apart before the traffic": gen.canary(routed=True, steps=[SCALE, {"setWeight": 20}]),
}
"""What there is to say of these is not said of one field."""


@pytest.mark.parametrize(("spec", "words"), PROBLEMS)
def test_problem(spec: dict[str, Any], words: tuple[str, ...]) -> None:
    (problem,) = validation.of_manifest(gen.manifest(**spec))
    assert all(word in problem for word in words), problem


def test_all_that_is_said_of_problems(golden: Golden) -> None:
    """Word for word: what people read to mend their spec."""
    rows = [(row.id, validation.of_manifest(gen.manifest(**row.values[0]))) for row in PROBLEMS]
    rows += [
        (text, validation.of_manifest(gen.manifest(strategy=item)))
        for text, item in CANARIES.items()
    ]
    golden.check(
        SAID, "".join(f"{text}\n  {'; '.join(told) or 'nothing'}\n" for text, told in rows)
    )


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param(
            {
                "replicas": 5,
                "strategy": {
                    "canary": {**routed("shop")["canary"], "steps": gen.steps((20, "30s"), 100)}
                },
            },
            id="[V8] five replicas, a pause, a route",
        ),
        pytest.param({"strategy": {"simple": {}}}, id="simple"),
        pytest.param({"strategy": gen.blue_green(after=604_800)}, id="a preview of a week"),
        pytest.param({"replicas": 0, "maxSurge": 1}, id="no replicas, a surge as a number"),
        pytest.param(
            {"strategy": gen.canary(20, maxSurge=1), "maxSurge": 0},
            id="a surge of the canary's own",
        ),
        pytest.param(
            {"strategy": gen.canary(20, trafficRouting={"gatewayAPI": {"httpRouteSelector": APP}})},
            id="routes by their labels",
        ),
        pytest.param({"scaleDownDelay": "0s"}, id="no delay"),
        pytest.param({"name": "x" * 63}, id="the longest name"),
        pytest.param({"strategy": gen.canary(0, 50)}, id="a first step of zero"),
    ],
)
def test_valid(spec: dict[str, Any]) -> None:
    assert validation.of_manifest(gen.manifest(**spec)) == ()


def test_all_problems_are_named_at_once() -> None:
    spec = {"strategy": gen.canary(50, 20, canaryService=""), "maxSurge": "x", "selector": {}}
    problems = validation.of_manifest(gen.manifest(**spec))
    assert len(problems) == 4
