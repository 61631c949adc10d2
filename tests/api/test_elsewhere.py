"""What is said of fields that other tools have."""

import pytest

from fleet.api import elsewhere, schema
from fleet.api.application import Application
from fleet.api.rollout import Rollout
from fleet.errors import UserError
from fleet.kulta.core.feedback import linting
from tests import gen


@pytest.mark.parametrize(
    ("path", "said"),
    [
        pytest.param("spec.strategy.canary.stepWeight", elsewhere.STEPS, id="Flagger's"),
        pytest.param("spec.strategy.blueGreen.scaleDownDelaySeconds",
                     "write scaleDownDelay beside strategy, or into rollout beside it",
                     id="Argo's"),
        pytest.param("spec.placement",
                     "write destination.fleet: every member of the fleet receives", id="Karmada's"),
        pytest.param("spec.strategy.canary.steps[3].weight", "write setWeight", id="one in a list"),
        pytest.param("spec.strategy.canary.setCanaryScale.weight", "write percent",
                     id="the same word elsewhere"),
        pytest.param("spec.weight", "", id="a word that says nothing alone"),
        pytest.param("stepWeight", elsewhere.STEPS, id="without anything around it"),
    ],
)  # fmt: skip
def test_words(path: str, said: str) -> None:
    assert elsewhere.words(path) == said


def test_no_field_of_ours_is_one_of_others() -> None:
    """Nothing is told of a field in a place where there is one."""
    for model in (Rollout, Application):
        for path in _paths(schema.openapi(model)["properties"]["spec"], "spec"):
            if not path.startswith(("spec.template.", "spec.workload.template.")):
                assert not elsewhere.words(path), path


def _paths(node: dict[str, object], path: str) -> list[str]:
    found = []
    inner = node.get("properties")
    for name, item in inner.items() if isinstance(inner, dict) else ():
        found += [f"{path}.{name}", *_paths(item, f"{path}.{name}")]
    items = node.get("items")
    return found + (_paths(items, f"{path}[0]") if isinstance(items, dict) else [])


def test_rollouts_and_applications_are_told() -> None:
    strategy = {"canary": {**gen.canary(20)["canary"], "stepWeight": 10}}
    told = [str(item) for item in linting.problems(gen.manifest(strategy=strategy))]
    assert told == [f"spec.strategy.canary.stepWeight: unknown field; {elsewhere.STEPS}"]
    with pytest.raises(UserError, match=r"placement: unknown field; write destination\.fleet"):
        Application.parse({"spec": {"placement": {}}}, strict=True)
