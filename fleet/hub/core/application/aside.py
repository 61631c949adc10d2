"""An Application whose present spec a person has put aside: a former run stands in for it.

Called by `decision` before anything else is judged; `occasion` compares by `content`. What the
Application asks for waits until it is changed; where it goes, and how from cluster to cluster, is
what it says now: nobody skips a gate.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from fleet.api import Application, FleetRollout
from fleet.api.application import ApplicationSpec
from fleet.api.fleetrollout import Asked
from fleet.errors import UserError
from fleet.hub.core import policy, weights
from fleet.hub.core.observed import ApplicationObserved
from fleet.hub.core.policy import ResolvedPolicy
from fleet.hub.core.run import former
from fleet.kit import hashing
from fleet.rendering import overrides, tenant

INSIDE = ("strategy", "rollout", "hooks")
"""What of a delivery policy goes into each cluster, and so belongs to its revision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """An Application as it is to be delivered."""

    application: Application
    templates: Mapping[str, str] = field(default_factory=dict)
    """What replaces the hub's."""
    instead_of: str = ""
    """Digest of what it asks for, where a former run stands in for that."""


def stand_in(application: Application, observed: ApplicationObserved) -> Wish:
    """What is to be delivered: without an undo the Application itself, with the templates that its
    ConfigMap holds now. Raises UserError where these, or the run that is to be delivered again, are
    not there."""
    newest = observed.newest
    if newest is None or not (newest.status.undo_to or newest.spec.instead_of):
        return _own(application, observed)
    own = digest(application.spec)
    if wanted := newest.status.undo_to:
        found = next((run for run in observed.runs if run.name == wanted), None)
        if found is None:
            raise UserError(
                "Refused", f"undo: run {wanted} is gone: ask with undo/<id>/<run> for another"
            )
        return _like(application, found, own)
    generation = newest.spec.application.generation
    if newest.spec.instead_of != own and application.metadata.generation != generation:
        return _own(
            application, observed
        )  # not for the digest alone: a new hub may make another one of it
    return _like(application, newest, own)


def _own(application: Application, observed: ApplicationObserved) -> Wish:
    return Wish(application=application, templates=tenant.given(application, observed.own))


def current(application: Application, observed: ApplicationObserved) -> ApplicationObserved:
    """What is seen, without an undo that something has hindered until the Application changed."""
    newest = observed.newest
    if newest is None or not newest.status.undo_to:
        return observed
    if not former.is_over(newest.status, asked(application)):
        return observed
    newest = newest.model_copy(update={"status": former.forgotten(newest.status)})
    return replace(observed, runs=(*observed.runs[:-1], newest))


def asked(application: Application) -> Asked:
    """What it asks for, as a run keeps it with an undo."""
    return Asked(generation=application.metadata.generation, digest=digest(application.spec))


def resolve(application: Application, observed: ApplicationObserved) -> ResolvedPolicy:
    """The policy of one that stands in: what is inside is as it was, also where it was nothing, and
    no default of today fills it."""
    own = application.spec.delivery_policy
    resolved = policy.resolve(own, observed.fleet)
    return replace(resolved, **{name: getattr(own, name) for name in INSIDE})


def _like(application: Application, run: FleetRollout, own: str) -> Wish:
    """What that run delivered, on the way and to the place of today."""
    now, then = application.spec, run.spec.application.spec
    inside = {name: getattr(then.delivery_policy, name) for name in INSIDE}
    update = {
        "destination": now.destination,
        "delivery_policy": now.delivery_policy.model_copy(update=inside),
    }
    spec = then.model_copy(update=update)
    return Wish(
        application=application.model_copy(update={"spec": spec}),
        templates=run.spec.application.templates,
        instead_of=own,
    )


def digest(spec: ApplicationSpec) -> str:
    """Of what an Application asks for, whatever templates make of it."""
    return hashing.digest(content(spec), length=10)


def content(spec: ApplicationSpec) -> dict[str, Any]:
    """What clusters receive: without the order in which they do, and without a live weight."""
    body = overrides.plain(spec)
    given = body["deliveryPolicy"]
    inside: dict[str, Any] = {"strategy": given.get("strategy")}
    # No word of what nobody asked for: revisions of before a field stay what they are.
    if spec.delivery_policy.strategy is not None and spec.delivery_policy.strategy.canary:
        said = spec.delivery_policy.strategy.canary.manifest()
        inside["strategy"]["canary"] = {
            name: value
            for name, value in inside["strategy"]["canary"].items()
            if name in said and name != weights.FIELD
        }
    if spec.delivery_policy.rollout is not None:
        inside |= {"rollout": said} if (said := spec.delivery_policy.rollout.manifest()) else {}
    if given.get("hooks"):
        inside["hooks"] = given["hooks"]
    return {**body, "deliveryPolicy": inside}
