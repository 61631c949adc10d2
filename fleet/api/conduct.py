"""Conduct: how a member's engine goes about a Rollout, whatever its strategy.

Part of a Rollout's spec, and of an Application's policy, which hands it to every member: a field
that is added here is known to both. What only one of the two has stands there.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import Field

from fleet.api.advisor import Advisor
from fleet.api.meta import Model
from fleet.api.rules import Rule
from fleet.api.strategy import CanaryWay
from fleet.api.values import Amount, Delay


class Conduct(Model):
    """How the engine goes about it, in any strategy."""

    max_surge: Amount = "25%"
    """Pods above `replicas` while changing; a number or percent, rounded up."""
    max_unavailable: Amount = "0"
    """Ready pods that may be missing while changing; a number or percent, rounded up."""
    progress_deadline_seconds: Annotated[int, Field(ge=0, le=604_800)] = 600
    """Seconds without any progress after which the rollout is taken back; pauses do not count."""
    advisor: Advisor = Advisor()
    steps_on_first_rollout: bool = False
    """Go through the steps although there is no earlier revision to compare with."""
    scale_down_delay: Delay = "30s"
    """How long the old revision's pods stay after a promotion; `0s` is allowed here."""
    revision_history_limit: Annotated[int, Field(ge=0, le=100)] = 10
    """Old ReplicaSets (0 replicas) that are kept."""
    rollback_window: Annotated[int, Field(ge=0, le=10)] = 0
    """So many revisions that were stable before the present one need no steps and no analysis."""


def in_force(own: Conduct, canary: CanaryWay | None, at: str = "") -> Mapping[str, str | int]:
    """Path → `maxSurge` and `maxUnavailable` in force, in this order: a canary may have its own,
    below `strategy.canary`; the others stand below `at`."""
    found = {"maxSurge": own.max_surge, "maxUnavailable": own.max_unavailable}
    mine = (canary.max_surge, canary.max_unavailable) if canary is not None else (None, None)
    return dict(
        (f"{at}{name}", value) if nearer is None else (f"strategy.canary.{name}", nearer)
        for (name, value), nearer in zip(found.items(), mine, strict=True)
    )


def replaceable(own: str, canary: str, *complete: str) -> Rule:
    """That some pod can go before another comes, or after it: where the amounts of a Conduct stand
    in `own`, filled in by their defaults, and those of a canary in `canary`, a path of optional
    fields below `self`.

    Without one of the fields `complete` it is too early to tell: somebody else may fill the gap.
    """
    place = "" if own == "self" else f".{own.removeprefix('self.')}"
    told = [_is_there(path) for path in complete]
    none = [_is_none(amount, own, canary) for amount in ("maxSurge", "maxUnavailable")]
    return Rule(
        rule=f"!({' && '.join([*told, *none])})",
        message="maxSurge and maxUnavailable cannot both be 0: no pod could ever be replaced",
        field=f"{place}.maxSurge",
    )


def _is_none(field: str, own: str, canary: str) -> str:
    """The CEL expression that this amount, the canary's own if it has one, is 0."""
    mine = f"{canary}.{field}"
    return f"string({_is_there(mine)} ? {mine} : {own}.{field}).matches('^0+%?$')"


def _is_there(path: str) -> str:
    return " && ".join(f"has({part})" for part in _prefixes(path))


def _prefixes(path: str) -> Iterator[str]:
    """`self.a`, `self.a.b` of `self.a.b`."""
    parts = path.split(".")
    return (".".join(parts[: count + 1]) for count in range(1, len(parts)))
