"""Amounts, steps and selectors of a policy: input → the exact sentence.

The rest of the rules is in `test_validation`.
"""

from typing import Any

import pytest

from tests.hub.core.application.specs import CANARY, POLICY, drop, problems, put

NO_AMOUNT = "is no amount; write a whole number (2), or a percentage from 0% to 100% (25%)"

CASES = [
    pytest.param(
        [put(f"{CANARY}/steps", [{"pause": {}}, {"setWeight": 100}])],
        "spec.deliveryPolicy.strategy.canary.steps[0].setWeight: is required; write a percentage "
        "from 0 to 100, and a pause into the step whose weight it holds",
        id="a first step without a weight",
    ),
    pytest.param(
        [put(f"{CANARY}/steps", [{"setWeight": 50}, {"analysis": {}}])],
        "spec.deliveryPolicy.strategy.canary.steps[1].analysis: has nothing to judge by; write "
        "canary.analysis.metrics: [{name: error-rate, threshold: 5}]",
        id="a step that is judged by nothing",
    ),
    pytest.param(
        [drop("/workload/route"), put(f"{CANARY}/steps/0/setCanaryScale", {"replicas": 2})],
        "spec.deliveryPolicy.strategy.canary.steps[0].setCanaryScale: cannot do without a "
        "router, since pods divide the traffic then; write spec.workload.route, or leave out "
        "setCanaryScale",
        id="pods apart from the weight without a router",
    ),
    pytest.param(
        [
            put(
                f"{CANARY}/steps",
                [{"setWeight": 100}, {"setCanaryScale": {"matchTrafficWeight": True}}],
            )
        ],
        "spec.deliveryPolicy.strategy.canary.steps[1].setCanaryScale: means nothing at 100% of "
        "the traffic, which needs all pods; leave it out there",
        id="pods apart after all the traffic",
    ),
    pytest.param(
        [put(f"{CANARY}/steps/0/setCanaryScale", {"replicas": 2, "percent": 10})],
        "spec.deliveryPolicy.strategy.canary.steps[0].setCanaryScale: needs exactly one way; "
        "write for example {replicas: 3}, {percent: 50} or {matchTrafficWeight: true}",
        id="pods apart in two ways",
    ),
    pytest.param(
        [put(f"{POLICY}/maxConcurrency", "a few")],
        f"spec.deliveryPolicy.maxConcurrency: 'a few' {NO_AMOUNT}",
        id="a limit in words",
    ),
    pytest.param(
        [put(f"{POLICY}/maxPrune", "a few")],
        f"spec.deliveryPolicy.maxPrune: 'a few' {NO_AMOUNT}",
        id="leave to go in words",
    ),
    pytest.param(
        [put(f"{POLICY}/failureBudget", "a few")],
        f"spec.deliveryPolicy.failureBudget: 'a few' {NO_AMOUNT}",
        id="a budget in words",
    ),
    pytest.param(
        [put(f"{POLICY}/rollback", {"maxConcurrency": "0%"})],
        "spec.deliveryPolicy.rollback.maxConcurrency: 0% lets nothing start: write at least 1, or "
        "use paused: true",
        id="a rollback of nobody",
    ),
    pytest.param(
        [
            put(
                f"{POLICY}/waves",
                [{"name": "a", "clusterSelector": {}}, {"name": "all", "remaining": True}],
            )
        ],
        "spec.deliveryPolicy.waves[0].clusterSelector: is empty: write labels, or remaining: true",
        id="a wave for nobody",
    ),
]


LONG = "write a whole number and one unit: 1s…86400s, 1m…1440m, 1h…168h or 1d…7d"


@pytest.mark.parametrize(
    ("where", "value"),
    [
        pytest.param("unavailableClusters.timeout", {"timeout": "9d"}, id="a time-out"),
        pytest.param("deletionTimeout", "9d", id="the patience of a deletion"),
        pytest.param("progressDeadline", "9d", id="a deadline"),
        pytest.param("limits.minInterval", {"minInterval": "9d"}, id="a distance"),
        pytest.param("strategy.canary.analysis.interval", {"interval": "9d"}, id="an interval"),
        pytest.param("strategy.canary.analysis.warmupDuration", {"warmupDuration": "9d"},
                     id="a time before the first judgement"),
    ],
)  # fmt: skip
def test_every_duration_is_read(where: str, value: Any) -> None:
    """Nested ones are put with the object around them."""
    path = where if isinstance(value, str) else where.rpartition(".")[0]
    told = problems(put(f"{POLICY}/{path.replace('.', '/')}", value))
    assert f"spec.deliveryPolicy.{where}: '9d' is out of range: {LONG}" in told


@pytest.mark.parametrize(
    ("gate", "path"),
    [
        pytest.param({"schedule": {"cron": "0 8 * * *", "duration": "9d"}}, "schedule.duration",
                     id="of a window"),
        pytest.param({"approval": {"expiresAfter": "9d"}}, "approval.expiresAfter", id="of a yes"),
        pytest.param({"hook": {"url": "http://a", "timeout": "9d"}}, "hook.timeout",
                     id="of a hook"),
        pytest.param({"soak": "9d"}, "soak", id="of a soak"),
    ],
)  # fmt: skip
def test_every_duration_of_a_gate_is_read(gate: dict[str, Any], path: str) -> None:
    wave = {"name": "all", "remaining": True, "after": [gate]}
    (told,) = problems(put(f"{POLICY}/waves", [wave]))
    where = f"spec.deliveryPolicy.waves[0].after[0].{path}"
    assert told == f"{where}: '9d' is out of range: {LONG}"


def test_a_canary_may_be_judged_by_what_tells_services_apart() -> None:
    metric = {"name": "error-rate", "threshold": 5, "source": "envoy"}
    assert problems(put(f"{CANARY}/analysis", {"metrics": [metric]})) == ()


@pytest.mark.parametrize("url", ["http://gate.ops/ok", "https://gate.ops/ok"])
def test_the_address_of_a_hook_has_a_scheme(url: str) -> None:
    def waves(address: str) -> dict[str, Any]:
        gate = {"hook": {"url": address}}
        return put(f"{POLICY}/waves", [{"name": "all", "remaining": True, "before": [gate]}])

    assert problems(waves(url)) == ()
    (told,) = problems(waves("gate.ops/ok"))
    assert told == (
        "spec.deliveryPolicy.waves[0].before[0].hook.url: 'gate.ops/ok' is no address: write "
        "https://host/path"
    )


@pytest.mark.parametrize(("changes", "sentence"), CASES)
def test_each_check_says_what_to_write(changes: list[dict[str, Any]], sentence: str) -> None:
    assert problems(*changes) == (sentence,)


EXPERIMENT = {"variantBMatch": {"cookie": {"name": "variant", "value": "b"}}}
LESS = {"name": "error-rate", "direction": "lower"}
ARM = {"matches": [{"cookie": {"name": "v", "value": "c"}}], "containers": [{"name": "web"}]}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        pytest.param(
            {"variantBMatch": {"header": {"name": "x", "value": "(", "type": "RegularExpression"}}},
            "variantBMatch.header.value: '(' is no regular expression; correct it, or type: Exact",
            id="a pattern that is none",
        ),
        pytest.param(
            {"matches": [{"headers": [{"name": "A", "value": "1"}, {"name": "a", "value": "2"}]}]},
            "matches[0].headers[1].name: a is there twice; write it once",
            id="a header twice",
        ),
        pytest.param(
            {"variants": [ARM]},
            "variants[0].containers[0].name: web is no container of the template; write one of app",
            id="a container that is not there",
        ),
        pytest.param(
            {"maxDuration": "1h", "analysis": {"minDuration": "2h"}},
            "analysis.minDuration: 2h is longer than maxDuration 1h; write a shorter one",
            id="less time than the least",
        ),
        pytest.param(
            {"analysis": {"metrics": [LESS, LESS]}},
            "analysis.metrics[1].name: error-rate is there twice; write it once",
            id="a metric twice",
        ),
        pytest.param(
            {"analysis": {"metrics": [{**LESS, "name": "own", "numerator": "a{{ zone }}",
                                       "denominator": "b"}]}},
            "analysis.metrics[0].numerator: has {{ zone }}, which means nothing; write one of "
            "namespace, rollout, revision, role, service, window",
            id="a placeholder that means nothing",
        ),
    ],
)  # fmt: skip
def test_an_experiment_that_engines_would_refuse_is_refused_at_once(
    change: dict[str, Any], sentence: str
) -> None:
    found = problems(put(f"{POLICY}/strategy", {"abTesting": {**EXPERIMENT, **change}}))
    assert found == (f"spec.deliveryPolicy.strategy.abTesting.{sentence}",)
