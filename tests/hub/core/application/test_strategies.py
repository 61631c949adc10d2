"""What the hub refuses of a strategy before an engine would: input → the exact sentence."""

from typing import Any

import pytest

from tests.hub.core.application.specs import CANARY, POLICY, drop, problems, put

CASES = [
    pytest.param(
        [put(f"{CANARY}/analyzeAtFull", {"iterations": 3})],
        "spec.deliveryPolicy.strategy.canary.analyzeAtFull: has nothing to judge by; write "
        "canary.analysis.metrics: [{name: error-rate, threshold: 5}]",
        id="a judgement of all the traffic by nothing",
    ),
    pytest.param(
        [put(f"{CANARY}/externalWeight", 30)],
        "spec.deliveryPolicy.strategy.canary.externalWeight: excludes steps; leave out one of them",
        id="a weight from outside beside steps",
    ),
    pytest.param(
        [put(f"{CANARY}/steps", [])],
        "spec.deliveryPolicy.strategy.canary.steps: needs at least one step; write for example "
        "[{setWeight: 20}]",
        id="neither steps nor a weight from outside",
    ),
    pytest.param(
        [put(f"{CANARY}/steps", [{"setWeight": 50}]), put(f"{CANARY}/promotionSteps", [40, 90])],
        "spec.deliveryPolicy.strategy.canary.promotionSteps: must be greater than the last "
        "step's 50, they are [40, 90]; write greater weights, or end the steps below them",
        id="a promotion that begins below the steps",
    ),
    pytest.param(
        [put(f"{CANARY}/steps", [{"setWeight": 50}]), put(f"{CANARY}/promotionSteps", [50])],
        "spec.deliveryPolicy.strategy.canary.promotionSteps: must be greater than the last "
        "step's 50, they are [50]; write greater weights, or end the steps below them",
        id="a promotion that begins at the steps",
    ),
    pytest.param(
        [
            put(f"{CANARY}/steps", [{"setWeight": 50}]),
            put(f"{CANARY}/promotionSteps", [90]),
            put(f"{CANARY}/analysis", {"metrics": [{"name": "error-rate", "threshold": 5}]}),
            put(f"{CANARY}/analyzeAtFull", {}),
        ],
        "spec.deliveryPolicy.strategy.canary.promotionSteps: cannot stand beside "
        "analyzeAtFull; leave out one of them",
        id="a ramp to the promotion beside a judgement of all the traffic",
    ),
    pytest.param(
        [drop("/workload/route"), put(f"{CANARY}/sessionAffinity", {"cookieName": "version"})],
        "spec.deliveryPolicy.strategy.canary.sessionAffinity: cannot do without a route of the "
        "Gateway API, which alone tells requests apart; write spec.workload.route, or leave out "
        "sessionAffinity",
        id="a cookie without a route",
    ),
    pytest.param(
        [put(f"{CANARY}/mirror", True)],
        "spec.deliveryPolicy.strategy.canary.mirror: needs a step at which nobody sees the new "
        "revision; write for example steps: [{setWeight: 0, pause: {duration: 5m}}, …]",
        id="copies without a time for them",
    ),
    pytest.param(
        [put(f"{CANARY}/maxSurge", 0)],
        "spec.deliveryPolicy.strategy.canary.maxSurge: is 0, and rollout.maxUnavailable too, so no "
        "pod could ever be replaced; write at least 1 for one of them",
        id="a canary that may not surge where nothing may be missing",
    ),
    pytest.param(
        [put(f"{POLICY}/rollout", {"maxSurge": "150%"})],
        "spec.deliveryPolicy.rollout.maxSurge: '150%' is no amount; write a whole number (2), or "
        "a percentage from 0% to 100% (25%)",
        id="a surge that is no amount",
    ),
    pytest.param(
        [put(f"{POLICY}/rollout", {"scaleDownDelay": "9d"})],
        "spec.deliveryPolicy.rollout.scaleDownDelay: '9d' is out of range: write a whole number "
        "and one unit: 1s…86400s, 1m…1440m, 1h…168h or 1d…7d, or 0s for none",
        id="old pods of more than a week",
    ),
]


ROUTED = {
    "promotionSteps": ([90], "cannot do without a router, since pods divide the traffic then"),
    "headerRoutes": (
        [{"name": "beta", "value": "yes"}],
        "cannot do without a route of the Gateway API, which alone tells requests apart",
    ),
    "mirror": (True, "is for routes of the Gateway API"),
}


@pytest.mark.parametrize("field", ROUTED)
def test_what_needs_a_route_says_so(field: str) -> None:
    steps = [{"setWeight": 0, "pause": {"duration": "5m"}}, {"setWeight": 50}]
    changes = [drop("/workload/route"), put(f"{CANARY}/steps", steps)]
    value, why = ROUTED[field]
    assert problems(*changes, put(f"{CANARY}/{field}", value)) == (
        f"spec.deliveryPolicy.strategy.canary.{field}: {why}; write spec.workload.route, or leave "
        f"out {field}",
    )


SERVED = {
    "canary": ({"steps": [{"setWeight": 100}]}, "a canary divides the traffic of a service"),
    "blueGreen": ({}, "blueGreen moves the traffic of a service"),
    "abTesting": (
        {"maxDuration": "1h", "variantBMatch": {"header": {"name": "x", "value": "b"}}},
        "abTesting gives each arm a service",
    ),
}


@pytest.mark.parametrize("kind", SERVED)
def test_what_needs_a_service_says_so_once(kind: str) -> None:
    body, why = SERVED[kind]
    asked = put(f"{POLICY}/strategy", {kind: body})
    assert problems(asked, drop("/workload/service"), drop("/workload/route")) == (
        f"spec.workload.service: is missing: {why}; write service: {{port: …, targetPort: …}}, or "
        "the strategy simple",
    )
    assert problems(asked, drop("/workload/service")) == (
        "spec.workload.service: is missing: a route needs the service that it leads to",
    )
    assert problems(asked, drop("/workload/route")) == ()


@pytest.mark.parametrize(("changes", "sentence"), CASES)
def test_each_rule_says_what_to_write(changes: list[dict[str, Any]], sentence: str) -> None:
    assert problems(*changes) == (sentence,)


def test_a_step_may_be_nothing_but_a_hook() -> None:
    hooks = [{"name": "load", "url": "http://load.ops:8080/run"}]
    steps = [{"setWeight": 20}, {"hooks": ["load"]}, {"setWeight": 100}]
    assert problems(put(f"{POLICY}/hooks", hooks), put(f"{CANARY}/steps", steps)) == ()
