"""The base of all models: times, selectors, and what is said of a manifest that is wrong."""

import copy
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from fleet.api import meta
from fleet.api.meta import LabelSelector, LabelSelectorRequirement, Model
from fleet.api.rollout import Rollout
from fleet.errors import UserError
from fleet.kit import documents

ROOT = Path(__file__).parent.parent.parent
CANARY = documents.one((ROOT / "examples/valid/rollout-canary.yaml").read_text())

Change = Callable[[dict[str, Any]], object]


def steps(spec: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = spec["strategy"]["canary"]["steps"]
    return found


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(
            lambda spec: spec.update(replicas=-1),
            "spec.replicas must be >= 0 (is -1)",
            id="too low",
        ),
        pytest.param(
            lambda spec: spec.update(replicas=200_000),
            "spec.replicas must be <= 100000 (is 200000)",
            id="too high",
        ),
        pytest.param(
            lambda spec: steps(spec)[0].update(setWeight=150),
            "spec.strategy.canary.steps[0].setWeight must be 0-100 (is 150)",
            id="a weight above 100",
        ),
        pytest.param(
            lambda spec: spec["strategy"]["canary"]["analysis"]["metrics"][0].pop("name"),
            "spec.strategy.canary.analysis.metrics[0].name is required",
            id="a missing field",
        ),
        pytest.param(
            lambda spec: steps(spec)[0]["pause"].update(duration="invalid"),
            "spec.strategy.canary.steps[0].pause.duration invalid (is 'invalid'): write a whole "
            "number and one unit: 1s…86400s, 1m…1440m, 1h…168h or 1d…7d",
            id="a duration that is none",
        ),
        pytest.param(
            lambda spec: spec["strategy"]["canary"]["analysis"]["metrics"][0].update(source="p42"),
            "spec.strategy.canary.analysis.metrics[0].source must be 'app', 'appRole', 'envoy', "
            "'istio' or 'nginx' (is 'p42')",
            id="a word that is none of the allowed",
        ),
        pytest.param(
            lambda spec: spec["strategy"]["canary"]["analysis"].update(failurePolicy="Pray"),
            "spec.strategy.canary.analysis.failurePolicy must be 'Pause', 'Continue' or "
            "'Rollback' (is 'Pray')",
            id="a policy that is none",
        ),
        pytest.param(
            lambda spec: spec.update(maxSurge=[1]),
            "spec.maxSurge must be a valid string (is [1]); "
            "spec.maxSurge must be a valid integer (is [1])",
            id="neither text nor number",
        ),
        pytest.param(
            lambda spec: spec.update(strategy="canary"),
            "spec.strategy must be an object (is 'canary')",
            id="a word where an object belongs",
        ),
        pytest.param(
            lambda spec: spec["strategy"]["canary"].update(steps={"setWeight": 5}),
            "spec.strategy.canary.steps must be a list (is {'setWeight': 5})",
            id="an object where a list belongs",
        ),
        pytest.param(
            lambda spec: spec.update(strategy="s" * 100),
            f"spec.strategy must be an object (is '{'s' * 59}…)",
            id="a long value is cut",
        ),
        pytest.param(
            lambda spec: spec.update(maxSurg=1), "spec.maxSurg: unknown field", id="unknown field"
        ),
        pytest.param(
            lambda spec: steps(spec)[2].update(weight=1),
            "spec.strategy.canary.steps[2].weight: unknown field; write setWeight",
            id="unknown field in a list",
        ),
        pytest.param(
            lambda spec: (spec.pop("strategy"), spec.update(replicas=-1)),
            "spec.replicas must be >= 0 (is -1); spec.strategy is required",
            id="all problems at once",
        ),
    ],
)
def test_a_wrong_manifest_is_explained(change: Change, message: str) -> None:
    manifest = copy.deepcopy(CANARY)
    change(manifest["spec"])
    with pytest.raises(UserError) as refusal:
        Rollout.parse(manifest, strict=True)
    assert refusal.value.reason == "InvalidSpec"
    assert str(refusal.value) == message


def test_without_strictness_unknown_fields_are_tolerated() -> None:
    manifest = copy.deepcopy(CANARY)
    manifest["spec"]["fromTheFuture"] = {"of": "this API"}
    assert Rollout.parse(manifest) == Rollout.parse(CANARY)


@pytest.mark.parametrize("status", [None, {}], ids=["null", "empty"])
def test_a_status_that_is_not_there_is_an_empty_one(status: object) -> None:
    assert Rollout.parse({**CANARY, "status": status}).status.phase is None


def selector(**parts: Any) -> LabelSelector:
    return LabelSelector.model_validate(parts)


def expression(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"key": key, "operator": operator, "values": values}


EU = {"region": "eu", "ring": "rest"}


@pytest.mark.parametrize(
    ("asked", "labels", "matches"),
    [
        pytest.param(selector(), EU, False, id="an empty selector matches nothing"),
        pytest.param(selector(matchLabels={"region": "eu"}), EU, True, id="an equal label"),
        pytest.param(selector(matchLabels={"region": "ap"}), EU, False, id="another value"),
        pytest.param(selector(matchLabels={"zone": "a"}), EU, False, id="an absent label"),
        pytest.param(
            selector(matchExpressions=[expression("region", "In", "eu", "ap")]),
            EU,
            True,
            id="one of several values",
        ),
        pytest.param(
            selector(matchExpressions=[expression("region", "NotIn", "ap")]),
            EU,
            True,
            id="none of the values",
        ),
        pytest.param(
            selector(matchExpressions=[expression("zone", "NotIn", "a")]),
            EU,
            True,
            id="an absent label is in no list",
        ),
        pytest.param(
            selector(matchExpressions=[expression("zone", "In", "a")]), EU, False, id="nor in one"
        ),
        pytest.param(
            selector(matchExpressions=[expression("ring", "Exists")]), EU, True, id="it exists"
        ),
        pytest.param(
            selector(matchExpressions=[expression("ring", "DoesNotExist")]),
            EU,
            False,
            id="it may not exist",
        ),
        pytest.param(
            selector(
                matchLabels={"region": "eu"}, matchExpressions=[expression("ring", "In", "canary")]
            ),
            EU,
            False,
            id="all parts must hold",
        ),
    ],
)
def test_selectors(asked: LabelSelector, labels: Mapping[str, str], matches: bool) -> None:
    assert asked.matches(labels) is matches


NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        pytest.param("2026-11-20T12:00:00Z", NOON, id="UTC"),
        pytest.param("2026-11-20T13:00:00+01:00", NOON, id="another zone"),
        pytest.param("2026-11-20T12:00:00", NOON, id="a naive time is UTC"),
        pytest.param("2026-11-20T12:00:00.250Z", NOON + timedelta(milliseconds=250), id="fraction"),
        pytest.param("yesterday", None, id="nonsense is no time, and no crash"),
    ],
)
def test_times_are_read(text: str, moment: datetime | None) -> None:
    assert meta.read_time(text) == moment


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        pytest.param(NOON, "2026-11-20T12:00:00Z", id="whole seconds"),
        pytest.param(NOON + timedelta(milliseconds=5), "2026-11-20T12:00:00.005Z", id="millis"),
        pytest.param(
            NOON.astimezone(timezone(timedelta(hours=9))), "2026-11-20T12:00:00Z", id="in UTC"
        ),
    ],
)
def test_times_are_written(moment: datetime, text: str) -> None:
    assert meta.write_time(moment) == text
    assert meta.read_time(text) == moment


@pytest.mark.parametrize("deep", [False, True], ids=["shallow", "deep"])
@pytest.mark.parametrize("update", [None, {"values": ("a",)}], ids=["as it is", "changed"])
def test_copies_are_those_of_pydantic(update: dict[str, Any] | None, deep: bool) -> None:
    item = LabelSelectorRequirement(key="tier", operator="In")
    mine, known = (kind.model_copy(item, update=update, deep=deep) for kind in (Model, BaseModel))
    assert (mine, mine.manifest(), repr(mine)) == (known, known.manifest(), repr(known))
    assert (mine.model_fields_set, mine.model_extra) == (known.model_fields_set, known.model_extra)
    assert item == LabelSelectorRequirement(key="tier", operator="In")
