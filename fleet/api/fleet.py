"""Fleet: which members belong together, and what they share where an Application says nothing."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from fleet.api.application import DeliveryPolicy
from fleet.api.conditions import Conditions
from fleet.api.meta import LabelSelector, Model, Object
from fleet.api.providers import Prometheus
from fleet.api.rules import Rule
from fleet.api.values import LABEL, Name


class Members(Model):
    """By name, by label, or both (the union). Neither is refused: it would be an empty fleet."""

    RULES = (
        Rule(
            rule="(has(self.names) && self.names.size() > 0) || has(self.clusterSelector)",
            message="members cannot be empty: write names: [...] or clusterSelector: {...}",
        ),
    )

    names: Annotated[tuple[Name, ...], Field(max_length=1_000)] = ()
    """MemberClusters by name."""
    cluster_selector: LabelSelector | None = None
    """MemberClusters by label."""


class Defaults(Model):
    """What holds where neither Application nor wave says otherwise."""

    RULES = (
        Rule(
            rule="!has(self.deliveryPolicy) || !has(self.deliveryPolicy.strategy)",
            message="a strategy belongs to an Application: move it to its deliveryPolicy",
            field=".deliveryPolicy",
        ),
    )

    prometheus: Prometheus | None = None
    delivery_policy: DeliveryPolicy | None = None


class FleetSpec(Model):
    """Members and defaults."""

    members: Members
    defaults: Defaults = Defaults()


class FleetPhase(StrEnum):
    """One word for the whole fleet."""

    READY = "Ready"
    PROGRESSING = "Progressing"
    DEGRADED = "Degraded"


class FleetStatus(Model):
    """Who belongs to the fleet now, and who answers."""

    phase: FleetPhase | None = None
    """One word for the whole fleet."""
    observed_generation: int = 0
    """The generation of the spec that this status speaks of."""
    members: int = 0
    """How many members there are."""
    reachable: int = 0
    """How many of them answer."""
    missing: int = 0
    """How many more are named and do not exist."""
    message: str = ""
    """Who is missing or not well, and why."""
    conditions: Conditions = ()
    """Aspects of health, each with reason and sentence."""


class Fleet(Object[FleetSpec, FleetStatus]):
    """A group of members of one namespace."""

    RULES = (
        Rule(
            rule=f"self.metadata.name.matches(r'{LABEL}')",
            message="a Fleet's name has 1 to 63 lower-case letters, digits and dashes, no dots",
            field=".metadata.name",
        ),
    )

    status: FleetStatus = FleetStatus()
