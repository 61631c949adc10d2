"""What is in the member, read without trust: any part may be missing.

Called by `dispatch`, `inventory` and `removal`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fleet.api.names import APPLIED_ANNOTATION, ROLLOUTS
from fleet.hub.core.observed import DispatchObserved
from fleet.rendering.render import Rendered

Manifest = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """The live objects of one ClusterRollout."""

    rollout: Manifest | None
    others: Mapping[tuple[str, str], Manifest] | None
    """None while not looked up."""

    @classmethod
    def of(cls, observed: DispatchObserved) -> "Live":
        """The Rollout of the watch, else the one that a look-up found under its name."""
        rollout = observed.rollout
        if rollout is None and observed.live is not None:
            found = (item for key, item in observed.live.items() if key[0] == ROLLOUTS.plural)
            rollout = next(found, None)
        return cls(rollout=rollout, others=observed.live)

    def get(self, wanted: Rendered) -> Manifest | None:
        """The live object for `wanted`; None where there is none or nothing is known."""
        if wanted.resource is ROLLOUTS:
            return self.rollout
        return self.find(wanted.resource.plural, wanted.name)

    def find(self, plural: str, name: str) -> Manifest | None:
        """The object of that kind and name."""
        if plural == ROLLOUTS.plural:
            return self.rollout if name == self.name else None
        return (self.others or {}).get((plural, name))

    @property
    def name(self) -> str:
        return str(part(self.rollout, "metadata").get("name", ""))

    @property
    def sequence(self) -> int:
        """The dispatch sequence that the member has seen; 0 for none."""
        value = part(self.rollout, "spec", "dispatch").get("sequence", 0)
        return value if isinstance(value, int) else 0

    @property
    def digest(self) -> str:
        return digest(self.rollout)

    @property
    def hold(self) -> str:
        """The reason of the hold that is in force in the member."""
        return str(part(self.rollout, "spec", "hold").get("reason", ""))

    def other_hub(self, hub: str) -> str:
        """The hub that holds the Rollout, if that is not `hub` and has not released it."""
        dispatch = part(self.rollout, "spec", "dispatch")
        owner = str(dispatch.get("hub", ""))
        return owner if owner not in ("", hub) and not dispatch.get("released") else ""


def digest(manifest: Manifest | None) -> str:
    """What was applied last, from the object's annotation."""
    return str(part(manifest, "metadata", "annotations").get(APPLIED_ANNOTATION, ""))


def uid(manifest: Manifest | None) -> str:
    """The object's uid; empty for none."""
    return str(part(manifest, "metadata").get("uid", ""))


def part(value: Any, *path: str) -> Mapping[str, Any]:
    """The mapping at `path`; an empty one where anything on the way is not a mapping."""
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}
