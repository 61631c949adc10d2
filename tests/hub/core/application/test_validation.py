"""Every rule that a schema cannot say: input → the exact sentence: field, value, correction."""

from typing import Any

import pytest

from fleet.api.application import StrategyPolicy
from fleet.hub.core.application import strategies, validation
from fleet.rendering.sides import SIDES
from tests.hub.core.application.specs import CANARY, POLICY, drop, problems, put


def wave(**given: Any) -> dict[str, Any]:
    return put(f"{POLICY}/waves", [{"name": "all", "remaining": True, **given}])


def test_every_strategy_has_its_checks_and_its_sides() -> None:
    members = {info.alias or name for name, info in StrategyPolicy.model_fields.items()}
    assert set(strategies.CHECKS) == set(SIDES) == members


KNOWN = "canary, simple, blueGreen and abTesting"
EXPERIMENT = {"variantBMatch": {"cookie": {"name": "variant", "value": "b"}}}
GOOD_PATCH = {"op": "replace", "path": "/workload/replicas", "value": 2}

CASES = [
    pytest.param(
        [drop(f"{POLICY}/strategy")],
        f"spec.deliveryPolicy.strategy: has none; write exactly one of {KNOWN}",
        id="no strategy",
    ),
    pytest.param(
        [put(f"{POLICY}/strategy", {})],
        f"spec.deliveryPolicy.strategy: has none; write exactly one of {KNOWN}",
        id="an empty strategy",
    ),
    pytest.param(
        [put(f"{POLICY}/strategy/simple", {})],
        f"spec.deliveryPolicy.strategy: has canary and simple; write exactly one of {KNOWN}",
        id="two strategies",
    ),
    pytest.param(
        [put(f"{CANARY}/steps", [{"setWeight": 50}, {"setWeight": 20}, {"setWeight": 100}])],
        "spec.deliveryPolicy.strategy.canary.steps[1].setWeight: must be greater than the one "
        "before it (50), it is 20; write growing weights, of which 100 can only be the last",
        id="a falling weight",
    ),
    pytest.param(
        [put(f"{CANARY}/steps/0/hooks", ["load"])],
        "spec.deliveryPolicy.strategy.canary.steps[0].hooks: there is no load in "
        "spec.deliveryPolicy.hooks; add {name: load, url: …}",
        id="a step that names a hook that there is not",
    ),
    pytest.param(
        [put(f"{CANARY}/steps/0/pause", {"duration": "90d"})],
        "spec.deliveryPolicy.strategy.canary.steps[0].pause.duration: '90d' is out of range: "
        "write a whole number and one unit: 1s…86400s, 1m…1440m, 1h…168h or 1d…7d",
        id="a pause that is too long",
    ),
    pytest.param(
        [put(f"{CANARY}/analysis", {"warmupDuration": "0s", "metrics": []})],
        "spec.deliveryPolicy.strategy.canary.analysis.warmupDuration: '0s' is out of range: "
        "write a whole number and one unit: 1s…86400s, 1m…1440m, 1h…168h or 1d…7d",
        id="a warm-up of nothing",
    ),
    pytest.param(
        [
            put(
                f"{CANARY}/analysis",
                {"metrics": [{"name": "error-rate", "threshold": 5, "window": "0s"}]},
            )
        ],
        "spec.deliveryPolicy.strategy.canary.analysis.metrics[0].window: '0s' is out of range: "
        "write a whole number and one unit: 1s…86400s, 1m…1440m, 1h…168h or 1d…7d",
        id="a window of nothing",
    ),
    pytest.param(
        [put(f"{POLICY}/rollout", {"advisor": {"level": "Planned"}})],
        "spec.deliveryPolicy.rollout.advisor.endpoint: is required from level Advised on: write "
        "the URL of the advisor, or level Off or Context",
        id="an advisor that nobody can ask",
    ),
    pytest.param(
        [put(f"{POLICY}/progressDeadline", "8d")],
        "spec.deliveryPolicy.progressDeadline: '8d' is out of range: write a whole number and one "
        "unit: 1s…86400s, 1m…1440m, 1h…168h or 1d…7d",
        id="a deadline that is too long",
    ),
    pytest.param(
        [put("/overrides", [{"clusterSelector": {}, "patch": [GOOD_PATCH]}])],
        "spec.overrides[0].clusterSelector: is empty and matches no cluster: write labels",
        id="an override for nobody",
    ),
    pytest.param(
        [drop("/workload/service"), drop("/workload/route")],
        "spec.workload.service: is missing: a canary divides the traffic of a service; write "
        "service: {port: …, targetPort: …}, or the strategy simple",
        id="a canary without a service",
    ),
    pytest.param(
        [
            drop("/workload/service"),
            drop("/workload/route"),
            put(f"{POLICY}/strategy", {"blueGreen": {}}),
        ],
        "spec.workload.service: is missing: blueGreen moves the traffic of a service; write "
        "service: {port: …, targetPort: …}, or the strategy simple",
        id="a blue-green without a service",
    ),
    pytest.param(
        [
            drop("/workload/service"),
            drop("/workload/route"),
            put(f"{POLICY}/strategy", {"abTesting": EXPERIMENT}),
        ],
        "spec.workload.service: is missing: abTesting gives each arm a service; write "
        "service: {port: …, targetPort: …}, or the strategy simple",
        id="an experiment without a service",
    ),
    pytest.param(
        [put(f"{POLICY}/strategy", {"abTesting": {**EXPERIMENT, "maxDuration": "9d"}})],
        "spec.deliveryPolicy.strategy.abTesting.maxDuration: '9d' is out of range: "
        "write a whole number and one unit: 1s…86400s, 1m…1440m, 1h…168h or 1d…7d",
        id="an experiment of more than a week",
    ),
    pytest.param(
        [
            put(
                f"{POLICY}/strategy",
                {"abTesting": {**EXPERIMENT, "analysis": {"plannedShares": [50, 25, 25]}}},
            )
        ],
        "spec.deliveryPolicy.strategy.abTesting.analysis.plannedShares: has 3 shares for 2 "
        "arms; write one for each, A first",
        id="shares of an arm that is not there",
    ),
    pytest.param(
        [put(f"{POLICY}/strategy", {"blueGreen": {"analysis": {"warmupDuration": "0s"}}})],
        "spec.deliveryPolicy.strategy.blueGreen.analysis.warmupDuration: '0s' is out of range: "
        "write a whole number and one unit: 1s…86400s, 1m…1440m, 1h…168h or 1d…7d",
        id="a preview with a warm-up of nothing",
    ),
    pytest.param(
        [drop("/workload/service")],
        "spec.workload.service: is missing: a route needs the service that it leads to",
        id="a route without a service",
    ),
    pytest.param(
        [put("/workload/template/spec", {})],
        "spec.workload.template.spec.containers: is missing: write at least one container",
        id="a template without containers",
    ),
    pytest.param(
        [put("/destination/namespace", "kube-system")],
        "spec.destination.namespace: kube-system belongs to the cluster itself: write a namespace "
        "of your own",
        id="a namespace of the cluster",
    ),
    pytest.param(
        [put("/workload/service/name", "s" * 60)],
        f"spec.workload.service.name: {'s' * 60} cannot name the objects in a member: write at "
        "most 55 lower-case letters, digits and dashes, beginning with a letter",
        id="a service name without room",
    ),
    pytest.param(
        [put(f"{POLICY}/waves", [{"name": "one", "clusters": ["a"], "remaining": True}])],
        "spec.deliveryPolicy.waves[0]: more than one is set of clusterSelector, clusters, "
        "remaining: write exactly one",
        id="a wave with two ways to choose",
    ),
    pytest.param(
        [put(f"{POLICY}/waves", [{"name": "one"}])],
        "spec.deliveryPolicy.waves[0]: none is set of clusterSelector, clusters, remaining: write "
        "exactly one",
        id="a wave without members",
    ),
    pytest.param(
        [
            put(
                f"{POLICY}/waves",
                [{"name": "one", "remaining": True}, {"name": "two", "clusters": ["a"]}],
            )
        ],
        "spec.deliveryPolicy.waves[0].remaining: only the last wave can take all that remain: "
        "move it to the end",
        id="what remains is not last",
    ),
    pytest.param(
        [
            put(
                f"{POLICY}/waves",
                [{"name": "one", "clusters": ["a"]}, {"name": "one", "remaining": True}],
            )
        ],
        "spec.deliveryPolicy.waves[1].name: one is taken by an earlier wave: write another name",
        id="two waves of one name",
    ),
    pytest.param(
        [
            put(
                f"{POLICY}/waves",
                [{"name": "one", "clusters": ["a", "q"]}, {"name": "two", "remaining": True}],
            )
        ],
        "spec.deliveryPolicy.waves[0].clusters[1]: q is not a member of fleet production: correct "
        "the name or remove it",
        id="a wave names a stranger",
    ),
    pytest.param(
        [wave(orderBy="risk")],
        "spec.deliveryPolicy.waves[0].orderBy: risk is no order: write name, or label:<key>, for "
        "example label:risk",
        id="an order by nothing",
    ),
    pytest.param(
        [wave(maxConcurrency=0)],
        "spec.deliveryPolicy.waves[0].maxConcurrency: 0 lets nothing start: write at least 1, or "
        "use paused: true",
        id="a concurrency of nothing",
    ),
    pytest.param(
        [put(f"{POLICY}/failureBudget", "120%")],
        "spec.deliveryPolicy.failureBudget: '120%' is no amount; write a whole number (2), or a "
        "percentage from 0% to 100% (25%)",
        id="a budget above all",
    ),
    pytest.param(
        [wave(after=[{"soak": "9999h"}])],
        "spec.deliveryPolicy.waves[0].after[0].soak: '9999h' is out of range: write a whole "
        "number and one unit: 1s…86400s, 1m…1440m, 1h…168h or 1d…7d",
        id="a soak that is too long",
    ),
    pytest.param(
        [put(f"{POLICY}/limits", {"minInterval": "0s"})],
        "spec.deliveryPolicy.limits.minInterval: '0s' is out of range: write a whole number and "
        "one unit: 1s…86400s, 1m…1440m, 1h…168h or 1d…7d",
        id="an interval of nothing",
    ),
    pytest.param(
        [put(f"{POLICY}/limits", {"maxTrafficShareOnNewRevision": "0%"})],
        "spec.deliveryPolicy.limits.maxTrafficShareOnNewRevision: 0% is no share: write a "
        "percentage from 1% to 99%",
        id="no share at all",
    ),
    pytest.param(
        [put(f"{POLICY}/limits", {"untilWave": "asia"})],
        "spec.deliveryPolicy.limits.untilWave: asia is no wave: write one of all",
        id="a limit until a wave that is not there",
    ),
    pytest.param(
        [put(f"{POLICY}/rollback", {"maxConcurrency": "0%"})],
        "spec.deliveryPolicy.rollback.maxConcurrency: 0% lets nothing start: write at least 1, or "
        "use paused: true",
        id="a way back for nobody",
    ),
    pytest.param(
        [wave(after=[{"soak": "5m", "paused": True}])],
        "spec.deliveryPolicy.waves[0].after[0]: write exactly one of soak, approval, schedule, "
        "hook, paused",
        id="a gate of two kinds",
    ),
    pytest.param(
        [wave(before=[{}])],
        "spec.deliveryPolicy.waves[0].before[0]: write exactly one of soak, approval, schedule, "
        "hook, paused",
        id="a gate of no kind",
    ),
    pytest.param(
        [wave(before=[{"paused": False}])],
        "spec.deliveryPolicy.waves[0].before[0].paused: false waits for nothing: remove the gate",
        id="a pause that is none",
    ),
    pytest.param(
        [wave(before=[{"soak": "5m"}])],
        "spec.deliveryPolicy.waves[0].before: a soak follows a wave: move it to after of the wave "
        "before",
        id="a soak before a wave",
    ),
    pytest.param(
        [wave(after=[{"approval": {}}, {"soak": "5m"}])],
        "spec.deliveryPolicy.waves[0].after[1].soak: a wave soaks first: move it before the "
        "approval",
        id="a soak after an approval",
    ),
    pytest.param(
        [wave(before=[{"approval": {"expiresAfter": "8d"}}])],
        "spec.deliveryPolicy.waves[0].before[0].approval.expiresAfter: '8d' is out of range: "
        "write a whole number and one unit: 1s…86400s, 1m…1440m, 1h…168h or 1d…7d",
        id="an approval for ever",
    ),
    pytest.param(
        [wave(before=[{"schedule": {"cron": "0 25 * * *", "duration": "1h"}}])],
        "spec.deliveryPolicy.waves[0].before[0].schedule: '0 25 * * *' is no schedule: write five "
        "fields, minute hour day month weekday, that name a day of the calendar, for example "
        "0 8 * * 1-4",
        id="the 25th hour",
    ),
    pytest.param(
        [wave(after=[{"hook": {"url": "ftp://gate.example.com/"}}])],
        "spec.deliveryPolicy.waves[0].after[0].hook.url: 'ftp://gate.example.com/' is no address: "
        "write https://host/path",
        id="a hook that is no HTTP",
    ),
    pytest.param(
        [
            put(
                "/overrides",
                [
                    {
                        "clusterSelector": {"matchLabels": {"region": "ap"}},
                        "patch": [{"op": "replace", "path": "/destination/fleet", "value": "x"}],
                    }
                ],
            )
        ],
        "spec.overrides[0].patch[0].path: /destination/fleet is the same for all clusters: a patch "
        "may change /workload, /deliveryPolicy/strategy and /deliveryPolicy/rollout",
        id="an override of the destination",
    ),
    pytest.param(
        [
            put(
                "/overrides",
                [
                    {
                        "clusterSelector": {"matchLabels": {"region": "ap"}},
                        "patch": [{"op": "add", "path": "/workload/replicas"}],
                    }
                ],
            )
        ],
        "spec.overrides[0].patch[0].value: is missing: add needs a value",
        id="an override without a value",
    ),
]


@pytest.mark.parametrize(("changes", "sentence"), CASES)
def test_each_rule_says_what_to_write(changes: list[dict[str, Any]], sentence: str) -> None:
    assert problems(*changes) == (sentence,)


@pytest.mark.parametrize(
    ("name", "good"),
    [
        pytest.param("n" * 50, True, id="as long as it may be"),
        pytest.param("n" * 51, False, id="too long for a run's name in a label"),
        pytest.param("shop.checkout", False, id="with a dot"),
        pytest.param("7-seas", False, id="beginning with a digit: no Service may"),
    ],
)
def test_a_name_must_leave_room(name: str, good: bool) -> None:
    sentence = (
        f"metadata.name: {name} cannot name the objects in a member: write at most 50 lower-case "
        "letters, digits and dashes, beginning with a letter"
    )
    assert problems(name=name) == (() if good else (sentence,))


def test_a_good_spec_has_no_problem() -> None:
    assert problems() == ()


def test_a_last_weight_below_100_is_followed_by_promotion() -> None:
    """As in the reference: the engine promotes after the last step, whatever its weight."""
    assert problems(put(f"{CANARY}/steps", [{"setWeight": 50}])) == ()


def test_all_problems_are_told_at_once() -> None:
    assert len(problems(drop("/workload/service"), wave(maxConcurrency=0, name="x"))) == 2


@pytest.mark.parametrize(
    ("namespace", "closed"),
    [
        pytest.param("kube-public", True, id="of the cluster"),
        pytest.param("kulta-system", True, id="of the engine"),
        pytest.param("kubernetes-shop", False, id="of somebody"),
    ],
)
def test_closed_namespaces(namespace: str, closed: bool) -> None:
    assert validation.is_closed(namespace) is closed
