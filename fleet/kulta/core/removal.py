"""Deletion: give Services and routes back as they were, then let the Rollout go.

Pods and sets go by their owner references. Called by `plan` for a Rollout that is being deleted,
and for Services that the strategy no longer names.
"""

from collections.abc import Iterator

from fleet.api import names
from fleet.api.rollout import Rollout
from fleet.kulta.core import services
from fleet.kulta.core.actions import Action, Plan, SetFinalizer, WriteRoute
from fleet.kulta.core.observed import Observed
from fleet.kulta.core.routers import ROUTERS, Backends
from fleet.kulta.core.traits import Traits


def plan(rollout: Rollout, observed: Observed, traits: Traits | None) -> Plan:
    """Everything of the user's as it was, then the finalizer; nothing when it is gone already."""
    if names.ROLLOUT_FINALIZER not in rollout.metadata.finalizers:
        return Plan(status=rollout.status)
    actions: list[Action] = []
    if traits is not None:
        actions.extend(routes(observed, traits))
    actions.extend(
        services.give_back(item)
        for item in observed.services.values()
        if item.original is not None and not services.is_foreign(item, rollout)
    )
    return Plan(status=rollout.status, actions=(*actions, SetFinalizer(present=False)))


def routes(observed: Observed, traits: Traits) -> Iterator[Action]:
    """The route with the weights that it had before us."""
    route = observed.routes.get(traits.route)
    if route is None or not traits.is_routed:
        return
    backends = Backends(stable=traits.stable_service, canary=traits.canary_service)
    restored = ROUTERS[traits.router].restored(route, backends)
    if restored is not None:
        yield WriteRoute(manifest=restored)


def left_over(observed: Observed, rollout: Rollout, traits: Traits) -> Iterator[Action]:
    """Services that we manage although the strategy does not name them any more."""
    for item in observed.services.values():
        if (
            item.name not in traits.services
            and item.original is not None
            and not services.is_foreign(item, rollout)
        ):
            yield services.give_back(item)
