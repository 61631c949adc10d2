"""What follows from the spec of a Rollout alone, worked out once for each that is in use.

Used by whoever asks the same of a spec at every look. Where hundreds are on their way at once, each
is looked at after all the others: who remembered fewer would never find one again.
"""

from collections.abc import Callable
from typing import TypeVar

from fleet.kit import memory

Spec = TypeVar("Spec")
Answer = TypeVar("Answer")

IN_USE = 1_000
"""Specs of which this is remembered, the newest. The engine keeps as many Rollouts parsed: a spec
that is read anew is another one."""


def once(work: Callable[[Spec], Answer]) -> Callable[[Spec], Answer]:
    """`work`, done once for each spec, or each part of one, that is in use."""
    return memory.once(work, IN_USE)
