"""People who use the arms of an experiment: what Prometheus would count of them.

Give one as `World.answer`: it reads the query (of which revision, since when, what) and answers as
the requests of so many people would have been counted.
"""

import re
from dataclasses import dataclass, field

from tests import gen

WINDOW = re.compile(r"\[(\d+)([sm])\]")
REVISION = re.compile(r'revision="(\w+)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """What happens in one arm."""

    rate: float = 10.0
    """Requests a second."""
    errors: float = 0.0
    """Share of requests that fail."""
    conversions: float = 0.0
    """Share of requests that convert."""
    slow: float = 0.05
    """Share of requests that are slower than the limit."""
    milliseconds: float = 100.0
    """What the quantile says."""


@dataclass(slots=True)
class Audience:
    """Image → behaviour; who is not named has nobody."""

    arms: dict[str, Behaviour] = field(default_factory=dict)
    broken: str = ""
    """Queries that hold this text are not answered."""

    def __call__(self, text: str) -> float | None:
        if self.broken and self.broken in text:
            raise ConnectionError("connection refused")
        found = REVISION.search(text)
        known = {gen.revision(image): arm for image, arm in self.arms.items()}
        arm = known.get(found[1]) if found else None
        if arm is None:
            return 0.0 if "vector(0)" in text else None
        return self._counted(text, arm)

    def _counted(self, text: str, arm: Behaviour) -> float:
        window = WINDOW.search(text)
        assert window is not None
        n = arm.rate * int(window[1]) * (60 if window[2] == "m" else 1)
        if text.startswith("histogram_quantile"):
            return arm.milliseconds
        if "topk" in text:
            return n * (1 - arm.slow)
        if "conversions" in text:
            return n * arm.conversions
        return n * arm.errors if "status=~" in text else n
