"""What is wrong with a spec: every problem at once, each with field, value and correction.

Called by `plan` for what is stored, by `outlook`, and by `linting` for files. Ranges and known
names are refused by the models; here are the rules between fields. The CRD says the same in CEL and
is first; here is what an older CRD lets through, and what CEL cannot say (the index of a step).
What belongs to one strategy it says itself (`Strategy.problems`); add another rule by a function
and an entry in `RULES`.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from fleet.api import faults
from fleet.api.rollout import Rollout, RolloutSpec
from fleet.errors import UserError
from fleet.kulta.core.facts import specs
from fleet.kulta.core.gates import hooks
from fleet.kulta.core.strategies import STRATEGIES
from fleet.kulta.core.tactics.problems import told

NAME_LIMIT = 63


def problems(spec: RolloutSpec, name: str = "") -> tuple[str, ...]:
    """Every problem of `spec` as a sentence; empty when it is valid."""
    return (*_name(name), *_of_spec(spec))


def of_manifest(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """Every problem of a Rollout as a person wrote it, unknown fields included.

    What the models refuse is named first; the rules between fields need a readable spec.
    """
    try:
        rollout = Rollout.parse(manifest, strict=True)
    except UserError as error:
        return (str(error),)
    return problems(rollout.spec, rollout.name)


def _name(name: str) -> Iterator[str]:
    if len(name) > NAME_LIMIT:
        yield (
            f"metadata.name has {len(name)} characters; it becomes a label of the pods: "
            f"write at most {NAME_LIMIT}"
        )


def _conduct(spec: RolloutSpec) -> Iterator[str]:
    return told("spec", faults.conduct(spec, spec.strategy.canary))


def _template(spec: RolloutSpec) -> Iterator[str]:
    """Its own, or that of a Deployment."""
    if spec.workload_ref is not None and spec.template:
        yield "spec.workloadRef and template exclude each other; write one of them"
    elif spec.workload_ref is None and not spec.template:
        yield "spec.template is required; write what shall run, or workloadRef: {name: …}"


def _selector(spec: RolloutSpec) -> Iterator[str]:
    labels = (spec.template.get("metadata") or {}).get("labels") or {}
    if spec.selector.is_empty and not spec.template:
        return  # it comes with the template
    if spec.selector.is_empty:
        yield "spec.selector is empty; write matchLabels, and the same labels into the template"
    elif wrong := [item for item in spec.selector.match_expressions if not item.is_complete]:
        number = spec.selector.match_expressions.index(wrong[0])
        yield (
            f"spec.selector.matchExpressions[{number}].values: {wrong[0].operator} has "
            f"{len(wrong[0].values) or 'none'}; In and NotIn need values, Exists and "
            "DoesNotExist take none"
        )
    elif spec.template and not spec.selector.matches(labels):
        yield (
            f"spec.selector {_text(spec.selector.manifest())} does not match "
            f"spec.template.metadata.labels {_text(labels)}; write the same labels in both"
        )


def _strategy(spec: RolloutSpec) -> Iterator[str]:
    """Exactly one strategy, and what each of them has to say about its part."""
    yield from told("spec", faults.choice(spec.strategy))
    for key in spec.strategy.given:
        yield from STRATEGIES[key].problems(spec, f"spec.strategy.{key}")


def _text(value: object) -> str:
    return repr(value)


RULES: tuple[Callable[[RolloutSpec], Iterator[str]], ...] = (
    _strategy,
    _conduct,
    _template,
    _selector,
    hooks.problems,
)
"""Asked in this order; all of them are asked."""


@specs.once
def _of_spec(spec: RolloutSpec) -> tuple[str, ...]:
    return tuple(problem for rule in RULES for problem in rule(spec))
