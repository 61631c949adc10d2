"""Which setting holds: the wave's, else the Application's, else the Fleet's, else the default.

The resolved form is what stands in the run, so that nobody has to know the order to read it.
"""

from collections.abc import Sequence
from typing import Any

from fleet.api import Fleet
from fleet.api.application import (
    ApplicationSpec,
    DeliveryPolicy,
    RollbackPolicy,
    UnavailableClusters,
)

DEFAULTS = DeliveryPolicy(
    max_concurrency=1,
    failure_budget=0,
    progress_deadline="30m",
    on_failure="Halt",
    rollback=RollbackPolicy(),
    halt_on_first_failed_analysis=True,
    unmatched_clusters="Fail",
    unavailable_clusters=UnavailableClusters(),
    on_new_revision="Supersede",
    membership_changes="Append",
    revision_history_limit=10,
    on_conflict="Report",
)
"""Fail-safe: what holds where nobody says anything."""


def resolve(own: DeliveryPolicy, fleet: Fleet) -> DeliveryPolicy:
    """`own` with every gap filled from the fleet's defaults, then from ours."""
    layers = [own, fleet.spec.defaults.delivery_policy or DeliveryPolicy(), DEFAULTS]
    values = {name: _first(layers, name) for name in DeliveryPolicy.model_fields}
    values["paused"] = any(layer.paused for layer in layers)
    # All of it has been validated; this is asked for at each look at an Application.
    return own.model_copy(update=values)


def _first(layers: Sequence[DeliveryPolicy], name: str) -> Any:
    for layer in layers:
        value = getattr(layer, name)
        if value is not None and value != ():
            return value
    return getattr(layers[0], name)


def frozen(spec: ApplicationSpec, resolved: DeliveryPolicy) -> ApplicationSpec:
    """The spec as a run keeps it: with its resolved policy; pauses are never frozen."""
    policy = resolved.model_copy(update={"paused": False})
    return spec.model_copy(update={"delivery_policy": policy})
