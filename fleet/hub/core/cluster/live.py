"""What is in the member, read without trust: any part may be missing.

Called by everybody in this folder who looks at an object, and by the runtime, which checks what it
reads (`sound`) before anybody relies on it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fleet.api import ClusterRollout
from fleet.api.meta import Manifest
from fleet.api.names import APPLIED_ANNOTATION, HOLD_MANAGER, ROLLOUTS
from fleet.hub.core.observed import DispatchObserved, Place
from fleet.rendering.render import Rendered

MAPPINGS = (dict, Mapping)
"""Nearly each is a dict, of which that is known many times faster than of any other mapping."""
SHAPE: Sequence[tuple[tuple[str, ...], type | tuple[type, ...]]] = (
    (("metadata",), MAPPINGS),
    (("metadata", "labels"), MAPPINGS),
    (("metadata", "annotations"), MAPPINGS),
    (("metadata", "managedFields"), list),
    (("spec",), MAPPINGS),
    (("status",), MAPPINGS),
    (("status", "phase"), str),
)
"""What a part of any object is, where there is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """The live objects of one ClusterRollout."""

    main: tuple[str, str]
    """Namespace and name of the Rollout that the wish is about; empty while nothing names one."""
    rollouts: Mapping[tuple[str, str], Manifest]
    others: Mapping[Place, Manifest] | None
    """None while not looked up."""
    rollout: Manifest | None = field(init=False)
    """The Rollout that the wish is about: asked for a dozen times in a look, as its sequence is."""
    sequence: int = field(init=False)
    """The dispatch sequence that the member has seen; 0 for none."""
    digest: str = field(init=False)
    """Of what was applied last."""

    def __post_init__(self) -> None:
        found = self.find((ROLLOUTS.plural, *self.main))
        object.__setattr__(self, "rollout", found)
        object.__setattr__(self, "sequence", sequence(found))
        object.__setattr__(self, "digest", digest(found))

    @classmethod
    def of(cls, item: ClusterRollout, observed: DispatchObserved) -> "Live":
        """What is live of what is rendered and of what the inventory lists."""
        return cls(
            main=_main(item, observed), rollouts=observed.rollouts, others=observed.looked_up
        )

    def get(self, wanted: Rendered) -> Manifest | None:
        """The live object for `wanted`; None where there is none or nothing is known."""
        return self.find(wanted.place)

    def find(self, where: Place) -> Manifest | None:
        """The object at that place: a Rollout of the watch, else what a look-up found."""
        seen = self.rollouts.get(where[1:]) if where[0] == ROLLOUTS.plural else None
        return seen if seen is not None else (self.others or {}).get(where)

    def whole(self, where: Place) -> Manifest | None:
        """The object at that place as it was looked up; the watch keeps no pods of a Rollout."""
        return (self.others or {}).get(where) or self.find(where)

    @property
    def hold(self) -> str:
        """The reason of the hold that is in force in the member."""
        return hold(self.rollout)

    @property
    def version(self) -> str:
        return version(self.rollout)

    @property
    def is_released(self) -> bool:
        """Whether its hub lets another one take over."""
        return is_released(self.rollout)

    @property
    def holders(self) -> tuple[str, ...]:
        """Field managers of the hold in force, where the API server says them."""
        return holders(self.rollout)

    @property
    def foreign_hold(self) -> str:
        """Who holds the Rollout, if that is not the hub."""
        return foreign_hold(self.rollout)

    def other_hub(self, hub: str) -> str:
        """The hub that holds the Rollout, if that is not `hub` and has not released it."""
        return other_hub(self.rollout, hub)


def _main(item: ClusterRollout, observed: DispatchObserved) -> tuple[str, str]:
    """The rendered Rollout, else the listed one, in the namespace of the wish where it can be."""
    rendered = next((one for one in observed.rendered if one.resource is ROLLOUTS), None)
    if rendered is not None:
        return rendered.namespace, rendered.name
    listed = [one for one in item.status.inventory if one.plural == ROLLOUTS.plural]
    listed.sort(key=lambda one: one.namespace == item.spec.namespace)
    return (listed[-1].namespace, listed[-1].name) if listed else ("", "")


def digest(manifest: Manifest | None) -> str:
    """What was applied last, from the object's annotation."""
    return str(part(manifest, "metadata", "annotations").get(APPLIED_ANNOTATION, ""))


def sequence(rollout: Manifest | None) -> int:
    """The dispatch sequence that a Rollout carries; 0 for none."""
    value = part(rollout, "spec", "dispatch").get("sequence", 0)
    return value if isinstance(value, int) else 0


def other_hub(rollout: Manifest | None, hub: str) -> str:
    """The hub that has a Rollout, if that is not `hub` and it has not been released."""
    dispatch = part(rollout, "spec", "dispatch")
    owner = str(dispatch.get("hub", ""))
    return owner if owner not in ("", hub) and not dispatch.get("released") else ""


def hold(rollout: Manifest | None) -> str:
    """The reason of the hold that is in force in a Rollout; empty where none is."""
    return str(part(rollout, "spec", "hold").get("reason", ""))


def holders(rollout: Manifest | None) -> tuple[str, ...]:
    """Field managers of that hold, where the API server says them."""
    return tuple(
        str(entry.get("manager", "?"))
        for entry in part(rollout, "metadata").get("managedFields") or ()
        if isinstance(entry, Mapping) and "f:hold" in part(entry, "fieldsV1", "f:spec")
    )


def foreign_hold(rollout: Manifest | None) -> str:
    """Who holds a Rollout, if that is not the hub."""
    names = holders(rollout)
    return "" if not hold(rollout) or HOLD_MANAGER in names else ", ".join(names)


def is_released(rollout: Manifest | None) -> bool:
    """Whether its hub lets another one take over."""
    return part(rollout, "spec", "dispatch").get("released") is True


def version(manifest: Manifest | None) -> str:
    """The object's resourceVersion; empty for none."""
    return str(part(manifest, "metadata").get("resourceVersion", ""))


def key(manifest: Manifest | None) -> tuple[str, str]:
    """The object's namespace and name; empty for none."""
    meta = part(manifest, "metadata")
    return str(meta.get("namespace", "")), str(meta.get("name", ""))


def uid(manifest: Manifest | None) -> str:
    """The object's uid; empty for none."""
    return str(part(manifest, "metadata").get("uid", ""))


def is_going(manifest: Manifest | None) -> bool:
    """Whether its deletion has been asked for."""
    return "deletionTimestamp" in part(manifest, "metadata")


def sound(manifest: Manifest) -> Manifest:
    """The object itself. Raises ValueError for one that no API server sends: whoever reads it
    relies on these parts being what they are, where they are there."""
    for path, kind in SHAPE:
        value: Any = manifest
        for name in path:
            value = value.get(name) if isinstance(value, MAPPINGS) else None
        if value is not None and not isinstance(value, kind):
            raise ValueError(f"{'.'.join(path)} is a {type(value).__name__}")
    for entry in part(manifest, "metadata").get("managedFields") or ():
        if not isinstance(entry, MAPPINGS):
            raise ValueError(f"metadata.managedFields has a {type(entry).__name__}")
    return manifest


def part(value: Any, *path: str) -> Mapping[str, Any]:
    """The mapping at `path`; an empty one where anything on the way is not a mapping."""
    for key in path:
        value = value.get(key) if isinstance(value, MAPPINGS) else None
    return value if isinstance(value, MAPPINGS) else {}
