"""What an engine knows and what the hub hands to it: no field is forgotten between the two.

The hub's models inherit the engine's where they can. Here stand the fields that an Application does
not have, each with a reason; a new field of the engine's that is neither passed nor listed fails.
"""

from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import pytest
from pydantic import BaseModel

from fleet.api import application, conduct, strategy
from fleet.api.application import ApplicationSpec, DeliveryPolicy, StrategyPolicy
from fleet.api.fleetrollout import Snapshot
from fleet.api.rollout import Rollout, RolloutSpec
from fleet.rendering import render
from fleet.rendering.environment import read
from tests.hub import gen
from tests.test_templates import TEMPLATES

SIDES = "the hub makes the Services and the route, and names them"
SPEC: Mapping[str, str] = {
    "replicas": "workload.replicas",
    "selector": "the hub's own label, the same for every revision",
    "template": "workload.template",
    "workload_ref": "workload.template: what a fleet shall run stands in one place",
    "strategy": "deliveryPolicy.strategy, compared below",
    "hooks": "deliveryPolicy.hooks",
    "paused": "deliveryPolicy.paused, which holds whoever is in flight",
    "hold": "written by the hub while a run is halted or paused",
    "dispatch": "written by the hub: whose write counts",
    "fleet_revision": "the hub's name for what it delivers",
}
OWN: Mapping[str, Mapping[str, str]] = {
    "canary": {
        "canary_service": SIDES,
        "stable_service": SIDES,
        "port": SIDES,
        "traffic_routing": SIDES,
    },
    "blueGreen": {
        "active_service": SIDES,
        "preview_service": SIDES,
        "port": SIDES,
        "traffic_routing": SIDES,
    },
    "abTesting": {
        "variant_a_service": SIDES,
        "variant_b_service": SIDES,
        "port": SIDES,
        "traffic_routing": SIDES,
    },
    "simple": {},
}
"""Field of the engine's → why no Application has it, or where it stands instead."""

Given = tuple[type[BaseModel], type[BaseModel]]


def pairs() -> list[Any]:
    """The engine's model and the hub's of each strategy."""
    engine, hub = strategy.Strategy.model_fields, StrategyPolicy.model_fields
    found = []
    for name, info in engine.items():
        models = (_model(info.annotation), _model(hub[name].annotation))
        found.append(pytest.param(str(info.alias), models, id=str(info.alias)))
    return found


def _model(annotation: Any) -> type[BaseModel]:
    return next(item for item in get_args(annotation) if item is not type(None))


@pytest.mark.parametrize(("kind", "models"), pairs())
def test_a_strategy_has_the_engines_fields(kind: str, models: Given) -> None:
    engine, hub = models
    missing = engine.model_fields.keys() - hub.model_fields.keys()
    assert missing == OWN[kind].keys()
    assert hub.model_fields.keys() <= engine.model_fields.keys()


def test_a_policy_has_what_is_beside_the_strategy() -> None:
    missing = RolloutSpec.model_fields.keys() - conduct.Conduct.model_fields.keys()
    assert missing == SPEC.keys()
    assert _model(DeliveryPolicy.model_fields["rollout"].annotation) is conduct.Conduct


def parts(annotation: Any) -> Iterator[Any]:
    """The models in a type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in (Annotated, Union, UnionType, tuple):
        for item in get_args(annotation):
            yield from parts(item)


@pytest.mark.parametrize(("kind", "models"), pairs())
def test_what_both_have_is_the_same_inside(kind: str, models: Given) -> None:
    """One model, or for the arms of an experiment one that the engine's adds a Service to."""
    engine, hub = models
    for name, info in hub.model_fields.items():
        for theirs, ours in zip(
            parts(engine.model_fields[name].annotation), parts(info.annotation), strict=True
        ):
            added = theirs.model_fields.keys() - ours.model_fields.keys()
            assert issubclass(theirs, ours), f"{kind}.{name}"
            assert added <= {"service"}, f"{kind}.{name}"


JUDGED = {"metrics": [{"name": "error-rate", "threshold": 5.0}]}
EVERYTHING: Mapping[str, Any] = {
    "steps": [{"setWeight": 0, "pause": {"duration": "5m"}}, {"setWeight": 20}],
    "analysis": JUDGED,
    "analyzeAtFull": {"iterations": 3},
    "promotionSteps": [70, 90],
    "readyThreshold": 80,
    "dynamicStableScale": True,
    "maxSurge": 2,
    "maxUnavailable": "10%",
    "mirror": True,
    "headerRoutes": [{"name": "X-Team", "value": "checkout"}],
    "sessionAffinity": {"cookieName": "version", "maxAge": 60},
    "externalWeight": 30,
}
CONDUCT: Mapping[str, Any] = {
    "maxSurge": 3,
    "maxUnavailable": 1,
    "progressDeadlineSeconds": 1_200,
    "advisor": {"level": "Advised", "endpoint": "http://advisor.ops:8080/ask"},
    "stepsOnFirstRollout": True,
    "scaleDownDelay": "5m",
    "revisionHistoryLimit": 3,
    "rollbackWindow": 2,
}


def test_every_field_arrives_in_the_rollout() -> None:
    """A value of each, not its default; some of them together only a person would refuse."""
    aliases = {str(info.alias) for info in application.CanaryPolicy.model_fields.values()}
    assert EVERYTHING.keys() == aliases
    assert CONDUCT.keys() == {str(info.alias) for info in conduct.Conduct.model_fields.values()}
    body = gen.spec()
    body["workload"]["route"] = {"parentRefs": [{"name": "public"}]}
    body["deliveryPolicy"] |= {"strategy": {"canary": EVERYTHING}, "rollout": CONDUCT}
    spec = ApplicationSpec.model_validate(body, extra="forbid")
    snapshot = Snapshot(name="checkout", spec=spec)
    found = render.render(read(TEMPLATES), gen.delivery(snapshot, gen.cluster("eu-7")))
    rollout = found[0].manifest
    assert Rollout.parse(rollout, strict=True).spec.rollback_window == 2
    canary = rollout["spec"]["strategy"]["canary"]
    assert {name: canary[name] for name in EVERYTHING} == EVERYTHING
    assert {name: rollout["spec"][name] for name in CONDUCT} == CONDUCT
