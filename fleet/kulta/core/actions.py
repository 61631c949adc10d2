"""Everything the engine can do to the world: a closed union, executed by `runtime.apply`.

Each action can be repeated. `core.plan` puts them in order: `Plan.actions` are executed one after
the other before the status is written, `Plan.after` once the status write has succeeded.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from fleet.api.rollout import RolloutStatus
from fleet.kulta.core.messages.advisors import Question
from fleet.kulta.core.messages.emit import Emit
from fleet.kulta.core.messages.transition import Transition
from fleet.kulta.core.messages.webhooks import Errand
from fleet.kulta.core.observed import Query


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateReplicaSet:
    """POST this manifest; a name that is taken already is success."""

    manifest: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleReplicaSet:
    """Set `spec.replicas`, if it still is `was`: what was decided on."""

    name: str
    replicas: int
    was: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RelabelReplicaSet:
    """Set the type label on the set and in its template, so that replacements are born right."""

    name: str
    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RelabelPod:
    """Set the type label on a pod; a pod that is gone is success."""

    name: str
    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkPod:
    """Have its set give up this pod before others; a pod that is gone is success."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteReplicaSet:
    """Delete an old set beyond the history limit, only with this uid."""

    name: str
    uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectService:
    """Point a Service at other pods, guarded by its resourceVersion.

    `original` is kept in our annotation (None removes the annotation and our label: restored).
    """

    name: str
    resource_version: str
    selector: Mapping[str, str]
    original: Mapping[str, str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteRoute:
    """PUT the whole route with its resourceVersion; weights and our annotation differ. Without a
    version POST it: it is one of ours."""

    manifest: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteRoute:
    """Delete an object that we made beside a route, only with its uid."""

    manifest: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeWorkload:
    """Hold a Deployment and size it, guarded by its resourceVersion.

    `holder` and `original` are our annotations; empty and None remove them.
    """

    name: str
    resource_version: str
    replicas: int
    holder: str
    original: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetFinalizer:
    """Add or remove our finalizer on the Rollout."""

    present: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumeRequest:
    """Remove the annotation of a request that the status has recorded, guarded by its version."""

    verb: str


Action = (
    CreateReplicaSet
    | ScaleReplicaSet
    | RelabelReplicaSet
    | RelabelPod
    | MarkPod
    | DeleteReplicaSet
    | SelectService
    | WriteRoute
    | DeleteRoute
    | ChangeWorkload
    | SetFinalizer
    | ConsumeRequest
    | Emit
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One decision: what to do, what to report, when to look again."""

    status: RolloutStatus
    actions: tuple[Action, ...] = ()
    after: tuple[Action, ...] = ()
    queries: tuple[Query, ...] = ()
    """Ask these, remember the answers in the next look, and plan again at once."""
    questions: tuple[Question, ...] = ()
    """The same for the advisor; at most one."""
    errands: tuple[Errand, ...] = ()
    """The same for hooks."""
    transitions: tuple[Transition, ...] = ()
    """What everybody is to be told, once the status write has succeeded."""
    told: int = 0
    """The last decision that is in `transitions` or was handed over before; to be observed from
    then on."""
    wake_at: datetime | None = None
    """Look again at this time even if nothing happens; None waits for an event."""
    may_wait: timedelta = timedelta(0)
    """How long the status, when it differs only in counters, may wait for a better reason to be
    written."""
