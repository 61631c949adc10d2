"""What follows from a spec, where many Rollouts are on their way and looked at in turns."""

import pytest

from fleet.kulta.core import strategies
from fleet.kulta.core.feedback import validation
from tests import gen

MANY = 500


def test_what_their_strategies_say_is_worked_out_once() -> None:
    specs = [gen.rollout(strategy=gen.canary(50, 100)).spec for _ in range(MANY)]
    first, again = [[strategies.traits(spec) for spec in specs] for _ in range(2)]
    assert all(one is other for one, other in zip(first, again, strict=True))


def test_each_is_validated_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr(validation, "RULES", (lambda spec: iter(asked.append(spec) or ()),))
    specs = [gen.rollout().spec for _ in range(MANY)]
    assert not any(validation.problems(spec) for spec in (*specs, *specs))
    assert len(asked) == MANY
