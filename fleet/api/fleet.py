"""Fleet: which members belong together, and what they share where an Application says nothing."""

from typing import Annotated

from pydantic import Field

from fleet.api.application import DeliveryPolicy, Name
from fleet.api.conditions import Condition
from fleet.api.meta import LabelSelector, Model, Object
from fleet.api.rollout import Prometheus


class Members(Model):
    """By name, by label, or both (the union). Neither is refused: it would be an empty fleet."""

    names: Annotated[tuple[Name, ...], Field(max_length=1_000)] = ()
    cluster_selector: LabelSelector | None = None


class Defaults(Model):
    """What holds where neither Application nor wave says otherwise."""

    prometheus: Prometheus | None = None
    delivery_policy: DeliveryPolicy | None = None


class FleetSpec(Model):
    """Members and defaults."""

    members: Members
    defaults: Defaults = Defaults()


class FleetStatus(Model):
    """Who belongs to the fleet now, and who answers."""

    observed_generation: int = 0
    members: int = 0
    reachable: int = 0
    conditions: tuple[Condition, ...] = ()


class Fleet(Object[FleetSpec, FleetStatus]):
    """A group of members of one namespace."""

    status: FleetStatus = FleetStatus()
