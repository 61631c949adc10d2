"""The models read what users write and write what the API server takes: X rows and round trips.

The rows of A/B (X6–X8) stand beside its own models.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fleet.api import Application, Fleet, FleetRollout, MemberCluster, Rollout
from fleet.api.columns import KINDS
from fleet.api.fleetrollout import ClusterPhase, RunPhase
from fleet.api.rollout import Decision, FailurePolicy, MetricResult, Phase, RolloutStatus
from fleet.kit import amounts, documents
from fleet.kulta.core.feedback import validation

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = sorted((ROOT / "examples/valid").glob("*.yaml"))
COMPAT = ROOT / "e2e/data/compat"
MODELS = {kind.resource.kind: kind.model for kind in KINDS}
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def read(path: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = documents.one(path.read_text())
    return manifest


def rollout(strategy: str) -> Rollout:
    manifest = read(ROOT / "examples/valid/rollout-two-steps.yaml")
    manifest["spec"]["strategy"] = documents.one(strategy)
    return Rollout.parse(manifest, strict=True)


@pytest.mark.parametrize("path", [*EXAMPLES, *sorted(COMPAT.glob("*.yaml"))], ids=lambda p: p.stem)
def test_what_is_read_is_written_and_read_again(path: Path) -> None:
    manifest = read(path)
    model = MODELS[manifest["kind"]]
    parsed = model.parse(manifest, strict=True)
    assert model.parse(parsed.manifest(), strict=True) == parsed


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.resource.kind)
def test_every_kind_has_a_valid_example_or_is_the_hubs(kind: Any) -> None:
    written_by_the_hub = {"FleetRollout", "ClusterRollout"}
    examples = {read(path)["kind"] for path in EXAMPLES}
    assert (kind.resource.kind in examples) is (kind.resource.kind not in written_by_the_hub)


def test_every_field_of_blue_green_is_read() -> None:
    """[X1] Auto-promotion after 30 seconds, a route."""
    read_back = rollout(
        "{blueGreen: {activeService: web-active, previewService: web-preview, port: 8080, "
        "autoPromotionEnabled: true, autoPromotionSeconds: 30, "
        "trafficRouting: {gatewayAPI: {httpRoute: web-route}}}}"
    )
    found = read_back.spec.strategy.blue_green
    assert found is not None
    assert (found.active_service, found.preview_service, found.port) == (
        "web-active",
        "web-preview",
        8080,
    )
    assert (found.auto_promotion_enabled, found.auto_promotion_seconds) == (True, 30)
    assert found.traffic_routing is not None
    assert found.traffic_routing.gateway_api is not None
    assert found.traffic_routing.gateway_api.http_route == "web-route"


def test_a_simple_strategy_with_prometheus_is_read() -> None:
    """[X2] Simple with the address of a Prometheus."""
    read_back = rollout(
        "{simple: {analysis: {prometheus: {address: 'http://prometheus:9090'}, "
        "metrics: [{name: error-rate, threshold: 5.0}]}}}"
    )
    simple = read_back.spec.strategy.simple
    assert simple is not None
    assert simple.analysis is not None
    assert simple.analysis.prometheus is not None
    assert simple.analysis.prometheus.address == "http://prometheus:9090"
    assert [(item.name, item.threshold) for item in simple.analysis.metrics] == [("error-rate", 5)]


def test_a_step_that_only_pauses_is_the_one_thing_refused() -> None:
    """[X3] Three steps, the second only a pause: all is read, only the weight is missed."""
    read = rollout(
        "{canary: {canaryService: a, stableService: b, steps: [{setWeight: 20}, "
        "{pause: {duration: 5m}}, {setWeight: 100}]}}"
    )
    assert validation.problems(read.spec) == (
        "spec.strategy.canary.steps[1].setWeight is required; "
        "write a percentage from 0 to 100, and a pause into the step whose weight it holds",
    )


@pytest.mark.parametrize(
    ("policy", "text"),
    [
        pytest.param(FailurePolicy.PAUSE, "Pause", id="[X4] Pause"),
        pytest.param(FailurePolicy.CONTINUE, "Continue", id="[X4] Continue"),
        pytest.param(FailurePolicy.ROLLBACK, "Rollback", id="[X4] Rollback"),
    ],
)
def test_failure_policies_have_their_own_capitals(policy: FailurePolicy, text: str) -> None:
    parsed = rollout(f"{{simple: {{analysis: {{failurePolicy: {text}}}}}}}")
    assert parsed.spec.strategy.simple is not None
    assert parsed.spec.strategy.simple.analysis is not None
    analysis = parsed.spec.strategy.simple.analysis
    assert analysis.failure_policy is policy
    assert analysis.model_dump(mode="json", by_alias=True)["failurePolicy"] == text


def test_a_decision_survives_the_round_trip() -> None:
    """[X5] A status with one decision keeps action StepAdvance and reason AnalysisPassed."""
    decision = Decision(
        sequence=4,
        timestamp=NOON,
        action="StepAdvance",
        reason="AnalysisPassed",
        from_step=0,
        to_step=1,
        weight=50,
        message="error-rate 0.5 < 5",
        metrics={"error-rate": MetricResult(value=0.5, threshold=5, passed=True)},
    )
    status = RolloutStatus(phase=Phase.PROGRESSING, decisions=(decision,))
    written = status.manifest()
    assert RolloutStatus.model_validate(written) == status
    assert written["decisions"] == [
        {
            "sequence": 4,
            "timestamp": "2026-11-20T12:00:00Z",
            "action": "StepAdvance",
            "reason": "AnalysisPassed",
            "fromStep": 0,
            "toStep": 1,
            "weight": 50,
            "message": "error-rate 0.5 < 5",
            "metrics": {"error-rate": {"value": 0.5, "threshold": 5.0, "passed": True}},
        }
    ]


def test_replicas_are_one_unless_said() -> None:
    """[X10] `replicas` absent is 1."""
    manifest = read(ROOT / "examples/valid/rollout-two-steps.yaml")
    del manifest["spec"]["replicas"]
    assert Rollout.parse(manifest, strict=True).spec.replicas == 1


@pytest.mark.parametrize(
    ("written", "pods"),
    [
        pytest.param(1, 1, id="[D12] a number of YAML is accepted as pods"),
        pytest.param("1", 1, id="a number in quotes too"),
        pytest.param("25%", 3, id="a percentage is rounded up"),
    ],
)
def test_surge_as_users_write_it(written: str | int, pods: int) -> None:
    manifest = read(ROOT / "examples/valid/rollout-two-steps.yaml")
    manifest["spec"] |= {"replicas": 10, "maxSurge": written}
    spec = Rollout.parse(manifest, strict=True).spec
    assert amounts.round_up(spec.max_surge, spec.replicas) == pods


def test_nothing_of_a_template_is_lost_or_added() -> None:
    manifest = read(ROOT / "examples/valid/rollout-canary.yaml")
    parsed = Rollout.parse(manifest, strict=True)
    assert parsed.spec.template == manifest["spec"]["template"]
    assert parsed.manifest()["spec"]["template"] == manifest["spec"]["template"]


@pytest.mark.parametrize("model", [Application, Fleet, FleetRollout, MemberCluster, Rollout])
def test_models_are_frozen(model: Any) -> None:
    assert model.model_config["frozen"] is True


def test_phases_are_said_as_the_design_says_them() -> None:
    assert {item.value for item in RunPhase} >= {"Planned", "Progressing", "Soaking", "Halted"}
    assert {item.value for item in ClusterPhase} >= {"Pending", "Deferred", "TimedOut", "Conflict"}


AB = """{abTesting: {
  variantAService: a, variantBService: b,
  variantBMatch: {cookie: {name: variant, value: b}},
  analysis: {metrics: [
    {name: error-rate, direction: lower, minEffectSize: 0.05},
    {name: conversion-rate, direction: higher}]}}}"""


def test_an_experiment_is_read_with_its_metrics() -> None:
    """[X6] Two metrics, the smallest effect that counts, and the defaults of the reference."""
    wish = rollout(AB).spec.strategy.ab_testing
    assert wish is not None
    assert wish.analysis is not None
    read_back = [(x.name, x.direction, x.min_effect_size) for x in wish.analysis.metrics]
    assert read_back == [("error-rate", "lower", 0.05), ("conversion-rate", "higher", None)]
    assert (wish.analysis.min_sample_size, wish.analysis.confidence_level) == (30, 0.95)


def test_a_cookie_alone_says_who_gets_b() -> None:
    """[X7] No header; the cookie is read."""
    wish = rollout(AB).spec.strategy.ab_testing
    assert wish is not None
    assert wish.variant_b_match is not None
    cookie = wish.variant_b_match.cookie
    assert wish.variant_b_match.header is None
    assert cookie is not None
    assert (cookie.name, cookie.value) == ("variant", "b")


def test_an_experiment_is_reported_in_the_words_of_the_reference() -> None:
    """[X8] camelCase, and the same when it is read again."""
    said = {
        "startedAt": "2026-11-20T12:00:00Z",
        "concludedAt": "2026-11-20T13:00:00Z",
        "sampleSizeA": 5000,
        "sampleSizeB": 5001,
        "results": [
            {
                "name": "error-rate",
                "valueA": 5.0,
                "valueB": 2.0,
                "confidence": 0.99,
                "isSignificant": True,
                "winner": "B",
            }
        ],
        "winner": "B",
        "conclusionReason": "ConsensusReached",
    }
    status = RolloutStatus.model_validate({"phase": "Concluded", "abExperiment": said})
    assert status.manifest()["abExperiment"] == said
    assert RolloutStatus.model_validate(status.manifest()) == status
