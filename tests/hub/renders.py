"""Rendering for the world: the real templates, each input rendered once."""

from functools import lru_cache
from pathlib import Path
from typing import Any

from fleet.rendering import render
from fleet.rendering.environment import TemplateSet, read
from tests.hub import gen

TEMPLATES: TemplateSet = read(Path(__file__).parents[2] / "templates")


class Same:
    """A key that is equal for the same object only, and keeps it."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __hash__(self) -> int:
        return id(self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and other.value is self.value


@lru_cache(maxsize=1_000)
def rendered_once(spec: Same, cluster: Same, fleet: Same) -> tuple[render.Rendered, ...]:
    given = spec.value
    delivery = gen.delivery(given.application, cluster.value, fleet.value, given.revision)
    return render.render(TEMPLATES, delivery)
