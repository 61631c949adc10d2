"""FALSE occurrences of real transitions: type, context, and what they say of failures and ends.

The file that they go to is tested in `tests/kulta/runtime/test_sinks.py`.
"""

import json
import re
from typing import Any

import pytest

from fleet.api.analysis import MetricResult
from fleet.api.rollout import Decision, Phase, Rollout
from fleet.kulta.core.messages import occurrences
from fleet.kulta.core.messages.transition import Transition, ulid
from tests import gen
from tests.conftest import NOON
from tests.kulta.ab import begun, decided
from tests.kulta.world import World, blue_green_world, canary_world
from tests.stories.test_engine_analysis import judged, values
from tests.stories.test_engine_canary import running

ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
TYPE = re.compile(r"[a-z0-9]+\.[a-z0-9._]+")


def told(world: World, cluster: str = "") -> list[dict[str, Any]]:
    """The occurrences so far."""
    found = (occurrences.of(item, cluster) for item in world.heard)
    return [item for item in found if item]


def types(world: World) -> list[str]:
    return [item["type"] for item in told(world)]


def transition(
    phase: Phase = Phase.PROGRESSING, strategy: str = "canary", **decision: Any
) -> Transition:
    """One by hand, for what no strategy of today does."""
    made = Decision(
        sequence=1,
        timestamp=NOON,
        action="Initialize",
        reason="Initialization",
        phase=phase,
        **decision,
    )
    manifest = gen.manifest()
    manifest["metadata"] |= {
        "name": "my-app",
        "namespace": "production",
        "uid": "uid-123",
        "resourceVersion": "rv-456",
    }
    rollout = Rollout.parse(manifest)
    status = rollout.status.model_copy(update={"strategy": strategy, "decisions": (made,)})
    return Transition(rollout=rollout.model_copy(update={"status": status}), decision=made)


def of(*arguments: Any, **keywords: Any) -> dict[str, Any]:
    found = occurrences.of(transition(*arguments, **keywords))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("phase", "suffix", "severity", "outcome"),
    [
        pytest.param(Phase.PROGRESSING, "progressing", "info", "in_progress", id="[F1] going"),
        pytest.param(Phase.COMPLETED, "completed", "info", "success", id="[F1] completed"),
        pytest.param(Phase.FAILED, "failed", "error", "failure", id="[F1] failed"),
        pytest.param(Phase.PAUSED, "paused", "warning", "in_progress", id="[F1] paused"),
        pytest.param(Phase.CONCLUDED, "completed", "info", "success", id="[F1] concluded"),
        pytest.param(Phase.INITIALIZING, "progressing", "info", "in_progress", id="[F1] beginning"),
        pytest.param(Phase.EXPERIMENTING, "progressing", "info", "in_progress", id="[F1] on trial"),
        pytest.param(Phase.PREVIEW, "progressing", "info", "in_progress", id="in preview"),
    ],
)
def test_the_phase_says_suffix_severity_and_outcome(
    phase: Phase, suffix: str, severity: str, outcome: str
) -> None:
    found = of(phase)
    assert (found["type"], found["severity"], found["outcome"]) == (
        f"canary.rollout.{suffix}",
        severity,
        outcome,
    )


def test_every_phase_has_a_kind() -> None:
    assert set(occurrences.KINDS) == set(Phase)


@pytest.mark.parametrize(
    ("strategy", "prefix"),
    [
        pytest.param("canary", "canary", id="[F2] canary"),
        pytest.param("blueGreen", "bluegreen", id="[F2] blue-green"),
        pytest.param("abTesting", "abtesting", id="[F2] A/B"),
        pytest.param("simple", "rolling", id="[F2] simple"),
    ],
)
def test_the_strategy_is_the_prefix(strategy: str, prefix: str) -> None:
    found = of(strategy=strategy)["type"]
    assert found == f"{prefix}.rollout.progressing"
    assert TYPE.fullmatch(found)


def test_an_occurrence_as_a_whole() -> None:
    """[F3] A canary on its way."""
    found = of(weight=20)
    assert list(found) == [
        "id",
        "timestamp",
        "source",
        "type",
        "severity",
        "outcome",
        "protocol_version",
        "context",
        "data",
    ]
    assert (found["source"], found["timestamp"]) == ("kulta", "2026-11-20T12:00:00Z")
    assert found["context"] == {
        "namespace": "production",
        "correlation_keys": [
            {"type": "deployment", "value": "my-app"},
            {"type": "namespace", "value": "production"},
        ],
        "entities": [
            {
                "type": "rollout",
                "id": "uid-123",
                "name": "my-app",
                "version": "rv-456",
                "observed_at": "2026-11-20T12:00:00Z",
                "namespace": "production",
                "source_of_truth": "k8s-api",
            }
        ],
    }
    assert found["data"] == {
        "rollout": {
            "name": "my-app",
            "namespace": "production",
            "strategy": "canary",
            "replicas": 4,
            "current_weight": 20,
            "phase": "Progressing",
        }
    }


def test_a_failure_says_what_and_why_it_matters() -> None:
    """[F4]"""
    found = of(Phase.FAILED)
    assert (found["severity"], found["outcome"]) == ("error", "failure")
    error = found["error"]
    assert error["code"] == "ROLLOUT_FAILED"
    assert "my-app" in error["what_failed"]
    assert "production" in error["why_it_matters"]
    assert len(error["possible_causes"]) == 1


def test_all_numbers_that_led_to_it_are_explained() -> None:
    slow = MetricResult(value=0.7, threshold=0.4, passed=False)
    fine = MetricResult(value=1.0, threshold=5.0, passed=True)
    assert of(Phase.FAILED, metrics={"latency-p99": slow, "error-rate": fine})["reasoning"] == {
        "summary": "Initialization: latency-p99 failed",
        "explanation": "latency-p99 0.7 is not below 0.4; error-rate 1 is below 5",
        "confidence": 1.0,
        "recommendations": ["roll back"],
    }
    going = of(metrics={"error-rate": fine})["reasoning"]
    assert (going["summary"], going["recommendations"]) == (
        "Initialization: all metrics passed",
        ["go on"],
    )


def test_a_simple_rollout_as_text() -> None:
    """[F5]"""
    world = World(gen.manifest(strategy={"simple": {}})).settle()
    text = json.dumps(told(world)[-1], separators=(",", ":"))
    for part in (
        '"type":"rolling.rollout.completed"',
        '"severity":"info"',
        '"outcome":"success"',
        '"protocol_version":"1.0"',
    ):
        assert part in text
    assert '"error"' not in text


def test_the_id_is_a_ulid_that_sorts_by_time() -> None:
    """[F6] 26 characters, the same for the same decision."""
    world = running(20, 50, 100)
    world.image("shop:v2")
    world.settle()
    found = [item["id"] for item in told(world)]
    assert all(ULID.fullmatch(item) for item in found)
    moments = [(item["timestamp"], item["id"][:10]) for item in told(world)]
    assert sorted(moments, key=lambda item: item[1]) == sorted(moments)
    assert len(set(found)) == len(found)
    assert found == [item["id"] for item in told(world)]


def test_a_ulid_keeps_the_time_in_its_first_ten_characters() -> None:
    digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    value = 0
    for letter in ulid(NOON, "x")[:10]:
        value = value * 32 + digits.index(letter)
    assert value == int(NOON.timestamp() * 1_000)


@pytest.mark.parametrize("lacking", ["name", "namespace"])
def test_a_rollout_without_name_or_namespace_is_not_told_of(lacking: str) -> None:
    """[F7] And nothing crashes."""
    world = canary_world(20, 100)
    world.strict = False
    world.manifest["metadata"][lacking] = ""
    world.tick()
    assert world.heard
    assert told(world) == []


def test_a_failed_analysis_names_step_traffic_causes_and_fix() -> None:
    """[F8, F12] At step 1 of 3 with 20 %; its cause is the failure and not what was said before."""
    world = running((20, None), 50, 100, analysis=gen.analysis())
    world.answer = values(2.0, 8.0)
    world.image("shop:v2")
    world.run(120)
    assert world.status.phase is Phase.FAILED
    error = told(world)[-1]["error"]
    assert "step 1/3" in error["what_failed"]
    assert "20% traffic" in error["what_failed"]
    assert "20%" in error["why_it_matters"]
    assert "error-rate: 8 against a threshold of 5" in error["possible_causes"][0]
    assert len(error["possible_causes"]) > 1
    assert "Rollback" in error["suggested_fix"]
    assert "shop:v2" in error["suggested_fix"]


def test_a_deadline_points_at_readiness_probes() -> None:
    """[F9]"""
    world = running(20, 100)
    world.broken = {gen.revision("shop:v2")}
    world.image("shop:v2")
    world.settle()
    causes = told(world)[-1]["error"]["possible_causes"]
    assert any("readiness probes" in cause for cause in causes)


def test_what_is_not_known_of_the_object() -> None:
    """[F10] Neither uid nor version."""
    world = canary_world(20, 100)
    world.manifest["metadata"] |= {"uid": "", "resourceVersion": ""}
    world.tick()
    (entity,) = told(world)[0]["context"]["entities"]
    assert (entity["id"], entity["version"]) == ("", "0")


@pytest.mark.parametrize(
    ("cluster", "context"),
    [
        pytest.param("prod", {"cluster": "prod"}, id="[F11] a cluster that has a name"),
        pytest.param("", {}, id="[F11] one without"),
    ],
)
def test_the_cluster_is_told_where_it_has_a_name(cluster: str, context: dict[str, str]) -> None:
    world = canary_world(20, 100)
    world.tick()
    found = told(world, cluster)[0]["context"]
    assert {key: found[key] for key in found if key == "cluster"} == context


def test_a_blue_green_promotion() -> None:
    """[F13] The documented types, without a hyphen."""
    world = blue_green_world(after=0).settle()
    world.heard.clear()
    world.image("shop:v2")
    world.settle()
    assert types(world)[-1] == "bluegreen.rollout.completed"
    assert {item.partition(".")[0] for item in types(world)} == {"bluegreen"}


def test_an_end_tells_the_whole_story() -> None:
    """[F16] After three steps: an entry for each decision since the beginning."""
    world = running((20, "10s"), (50, "20s"), 100)
    world.heard.clear()
    world.image("shop:v2")
    world.settle()
    *going, last = told(world)
    assert all("history" not in item for item in going)
    history = last["history"]
    actions = [item["description"].split(" ")[0] for item in history["steps"]]
    assert actions == [
        "Initialize",
        "Pause",
        "StepAdvance",
        "Pause",
        "StepAdvance",
        "StepAdvance",
        "Complete",
    ]
    assert history["duration_ms"] == sum(item["duration_ms"] for item in history["steps"])
    assert history["duration_ms"] >= 30_000
    assert {item["status"] for item in history["steps"]} == {"success"}


def test_the_history_of_a_failure_ends_with_the_failure() -> None:
    world = judged(values(8.0), step=20).run(300)
    last = told(world)[-1]["history"]["steps"][-1]
    assert (last["status"], last["description"]) == ("failure", "Rollback (AnalysisFailed)")
    assert "error-rate" in last["error"]


def test_metrics_that_took_part_are_the_reasoning() -> None:
    world = judged(values(2.5), step=20).run(300)
    passed = next(item for item in told(world) if "reasoning" in item)
    assert passed["reasoning"] == {
        "summary": "AnalysisPassed: all metrics passed",
        "explanation": "error-rate 2.5 is below 5",
        "confidence": 1.0,
        "recommendations": ["go on"],
    }
    world = judged(values(8.0), step=20).run(300)
    assert told(world)[-1]["reasoning"]["summary"] == "AnalysisFailed: error-rate failed"


def test_a_range_is_reasoned_with_in_its_own_words() -> None:
    metric = {"name": "error-rate", "thresholdRange": {"max": 5}}
    world = judged(values(2.5), metric, step=20).run(300)
    passed = next(item for item in told(world) if "reasoning" in item)
    assert passed["reasoning"]["explanation"] == "error-rate: 2.5 is at most 5"
    world = judged(values(8.0), metric, step=20).run(300)
    assert told(world)[-1]["reasoning"]["explanation"] == "error-rate: 8 is not at most 5"


def test_a_number_that_is_neither_good_nor_bad_is_not_called_either() -> None:
    metric = {"name": "error-rate", "thresholdRange": {"max": 1}, "threshold": 5}
    world = judged(values(3.0), metric, step=20)
    world.annotate("promote")
    passed = next(item for item in told(world.run(60)) if "reasoning" in item)
    assert passed["reasoning"]["explanation"].startswith("error-rate: 3 is not at most 1, and not")


def test_a_conclusion_reasons_with_its_numbers() -> None:
    world = decided()
    (found,) = (item for item in told(world) if "reasoning" in item)
    assert found["type"] == "abtesting.rollout.completed"
    reasoning = found["reasoning"]
    assert reasoning["summary"].endswith("variant B has won")
    assert "error-rate" in reasoning["explanation"]
    assert 0.95 <= reasoning["confidence"] <= 1.0
    assert reasoning["recommendations"] == ["promote B"]


def test_a_conclusion_without_a_winner_recommends_nothing_new() -> None:
    world = begun()
    world.annotate("conclude-experiment")
    world.run(30)
    reasoning = told(world)[-1]["reasoning"]
    assert (reasoning["confidence"], reasoning["recommendations"]) == (0.0, ["keep A"])


def test_a_message_that_changes_is_no_occurrence() -> None:
    """[F17] A wait becomes long enough to be told in the status; the diary is silent."""
    world = running(20, 100, routed=True)
    world.gateway = False
    world.image("shop:v2")
    world.run(5)
    world.heard.clear()
    before = world.status.message
    world.run(60)
    assert world.status.message != before
    assert world.heard == []


@pytest.mark.parametrize("level", ["Off", "Context", "Advised"])
def test_from_the_level_context_on_there_are_numbers(level: str) -> None:
    world = running((20, None), 100, analysis=gen.analysis())
    world.answer = values(2.5)
    world.update(advisor={"level": level, "endpoint": "http://advisor:8080"})
    world.heard.clear()
    world.image("shop:v2")
    world.run(120)
    world.annotate("promote")
    world.run(30)
    context = told(world)[2]["data"].get("context")
    if level == "Off":
        assert context is None
        return
    assert context == {
        "step": 1,
        "steps": 2,
        "weight": 100,
        "metrics": {"error-rate": {"value": 2.5, "threshold": 5.0, "verdict": "Passed"}},
    }
