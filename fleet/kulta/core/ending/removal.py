"""Deletion: give Services and routes back as they were, then let the Rollout go.

Pods and sets go by their owner references. Called by `plan` for a Rollout that is being deleted,
and for Services and routes that the strategy no longer names.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

from fleet.api import names
from fleet.api.rollout import Rollout
from fleet.kulta.core.actions import Action, DeleteRoute, Plan, SetFinalizer, WriteRoute
from fleet.kulta.core.facts.look import Look
from fleet.kulta.core.facts.traits import Traits
from fleet.kulta.core.observed import Observed
from fleet.kulta.core.routers import ROUTERS
from fleet.kulta.core.routers.base import Place
from fleet.kulta.core.serving import divisions, restoring, services, workloads
from fleet.kulta.core.serving.restoring import Restoring

PATIENCE = timedelta(seconds=10)
"""So long after the deletion, by the clock of the engine, a gateway is waited for that has to take
our rules step by step; then they go at once."""


@dataclass(frozen=True, slots=True)
class Returned:
    """Routes on their way back to what they were. `is_underway`: a step of ours is left to do."""

    actions: tuple[Action, ...]
    is_underway: bool


def plan(look: Look, traits: Traits | None) -> Plan:
    """Everything of the user's as it was, then the finalizer; nothing when it is gone already, or
    as long as routes have just not been seen yet. Where they cannot be seen nobody waits for ever.
    A Deployment that was scaled down serves again before anything else goes.
    """
    rollout, observed = look.rollout, look.observed
    awaited = [kind for kind, why in observed.unseen.items() if not why]
    has = names.ROLLOUT_FINALIZER in rollout.metadata.finalizers
    if not has or not observed.unserved.issuperset(awaited):
        return Plan(status=rollout.status)
    first = Restoring()
    if workloads.is_held(look):
        first = restoring.restore(rollout, observed, traits)
    if first.wait is not None:
        return workloads.stand_still(look, first.wait, *first.before)
    until = (rollout.metadata.deletion_timestamp or look.now) + PATIENCE
    routes = _routes(observed, rollout, traits, at_once=look.now >= until)
    actions = (*routes.actions, *_services(observed, rollout, None))
    if routes.is_underway:
        return Plan(status=rollout.status, actions=actions, wake_at=until)
    return Plan(
        status=rollout.status, actions=(*actions, *first.after, SetFinalizer(present=False))
    )


def left_over(observed: Observed, rollout: Rollout, traits: Traits) -> Iterator[Action]:
    """Routes and Services that we manage although the strategy does not name them any more."""
    spots = divisions.spots(rollout.name, traits.targets, observed.routes)
    named = {spot.place for spot in spots}
    yield from _routes(observed, rollout, None, named).actions
    yield from _services(observed, rollout, traits)


def holds_any(observed: Observed, rollout: Rollout) -> bool:
    """Whether some Service or route is still as we, and not the user, want it."""
    return any(item.original is not None for item in observed.services.values()) or any(
        rollout.name in ROUTERS[kind].kept(route) for (kind, _), route in observed.routes.items()
    )


def _routes(
    observed: Observed,
    rollout: Rollout,
    traits: Traits | None,
    spared: Collection[Place] = (),
    *,
    at_once: bool = False,
) -> Returned:
    """Routes with the weights that they had before us; traffic first, so before the Services."""
    targets = traits.targets if traits is not None else ()
    named = {x.place: x for x in divisions.spots(rollout.name, targets, observed.routes)}
    actions, is_underway = list[Action](), False
    for place, route in observed.routes.items():
        if place in spared:
            continue
        router = ROUTERS[place[0]]
        parts = router.kept(route).get(rollout.name)
        if parts is not None and router.makes:
            actions.append(DeleteRoute(manifest=route))
            continue
        if parts is not None and at_once:
            parts = replace(parts, stable="")
        if parts is None and traits is not None and place in named:
            parts = divisions.backends(rollout, traits, named[place], observed)
        if parts is None:
            continue
        restored = router.restored(route, parts)
        is_underway = is_underway or router.is_underway(restored or route, parts)
        if restored is not None:
            actions.append(WriteRoute(manifest=restored))
    return Returned(tuple(actions), is_underway)


def _services(observed: Observed, rollout: Rollout, traits: Traits | None) -> Iterator[Action]:
    """Services that are ours, without those that the strategy names; without one, all of them."""
    for item in map(services.adopted, observed.services.values()):
        if item.original is None or services.is_foreign(item, rollout):
            continue
        if traits is None:
            yield services.give_back(item)
        elif item.name not in traits.services:
            roles = (traits.stable_role, traits.new_role)
            released = services.release(item, rollout, roles)
            if released is not None:
                yield released
