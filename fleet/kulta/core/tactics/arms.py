"""The arms of an experiment as the spec wishes them: what each runs, and behind which Service.

Used by the A/B strategy; everybody else finds arms in `traits`. Who gets to each
of them is told in `branches`. Pure: the same spec gives the same arms.
"""

from collections.abc import Mapping
from typing import Any

from fleet.api.experiment import LETTERS
from fleet.api.rollout import ABTesting, RolloutSpec
from fleet.kit import hashing
from fleet.kulta.core.facts.traits import Arm
from fleet.kulta.core.routers.base import Branch, Headers
from fleet.kulta.core.tactics import branches

Template = Mapping[str, Any]


def of(spec: RolloutSpec, wish: ABTesting) -> tuple[Arm, ...]:
    """B, then the variants as C, D and so on."""
    first = _arm("B", spec.template, wish.variant_b_service, tuple(branches.first(wish)))
    others = (
        _arm(
            letter,
            item.applied(spec.template),
            item.service,
            tuple(branches.headers(match) for match in item.matches),
        )
        for letter, item in zip(LETTERS[2:], wish.variants, strict=False)
    )
    return (first, *others)


def role(letter: str) -> str:
    """The type label of an arm's pods, as the reference has it for A and B."""
    return f"variant-{letter.lower()}"


def _arm(letter: str, template: Template, service: str, matches: tuple[Headers, ...]) -> Arm:
    return Arm(
        name=letter,
        role=role(letter),
        revision=hashing.pod_hash(template),
        template=template,
        branch=Branch(name=role(letter), service=service, matches=matches),
    )
