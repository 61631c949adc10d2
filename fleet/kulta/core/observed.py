"""What the engine sees of the world in one look: frozen values, no clients.

`runtime.observe` fills it from the informers' stores; `core.plan` reads it. "Not there" is an
absent key; "could not look" is an exception of the runtime and never reaches the core.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaSet:
    """One revision's set, owned by the Rollout. How many of its pods are ready, they say."""

    name: str
    uid: str
    hash: str
    role: str
    """The `rollouts.kulta.io/type` label in the template."""
    replicas: int
    current: int = 0
    """Pods that exist (`status.replicas`)."""
    number: int = 0
    """Of its revision, from 1; 0 where nobody has counted."""
    created_at: datetime | None = None
    failure: str = ""
    """Why its pods cannot be made, as its controller said: a quota, a policy, a missing account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """A pod of this Rollout."""

    name: str
    uid: str
    hash: str
    role: str
    ready: bool
    deleting: bool = False
    leaving: bool = False
    """Its set gives it up before others: it is to be replaced."""
    trouble: str = ""
    """What keeps it from being ready, in one word that stays while that does: `ImagePullBackOff`,
    `CrashLoopBackOff`, `Unschedulable` …; empty where nothing is known."""
    image: str = ""
    """The image that cannot be had, where that is its trouble."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A Service that the strategy names."""

    name: str
    selector: Mapping[str, str]
    original: Mapping[str, str] | None
    """The selector before we managed it (our annotation), None while we do not manage it."""
    resource_version: str
    uid: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A Deployment whose template a Rollout takes, or took."""

    name: str
    uid: str
    resource_version: str
    generation: int
    template: Mapping[str, Any]
    selector: Mapping[str, Any]
    """As JSON: `matchLabels` and `matchExpressions`."""
    replicas: int
    ready: int = 0
    """Pods that are ready, as its controller said last."""
    is_current: bool = True
    """Whether that was said of this generation."""
    holder: str = ""
    """The Rollout that holds it (our annotation)."""
    original: int | None = None
    """Pods that it had before we took them (our annotation), None while it has them."""
    scaler: str = ""
    """Who last asked for that many pods, where the server knows."""
    autoscaled: bool = False
    """Whether that was a HorizontalPodAutoscaler."""
    is_going: bool = False
    """It is being deleted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A question for a source of metrics."""

    address: str
    """Base URL of a Prometheus, or the whole URL of a JSON API."""
    text: str = ""
    """PromQL; empty for a JSON API."""
    path: str = ""
    """Where the number stands in the JSON; empty for a Prometheus."""
    secret: str = ""
    """A Secret of the Rollout's namespace that holds the credentials; empty: none are needed."""

    @property
    def shown(self) -> str:
        """The question as people read it."""
        return self.text or f"{self.address} {self.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """The answer to one query; `value` None and no error means no data."""

    query: str
    value: float | None
    error: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """What an advisor would do: Continue, Pause, Rollback, or Advance to a weight."""

    action: str
    to_weight: int | None = None
    confidence: float = 0.0
    reasoning: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Consulted:
    """How asking an advisor went: the last time, and the last answer before that."""

    revision: str
    step: int | None
    """What it was asked about: a revision at a step."""
    is_healthy: bool
    """What it was told of the metrics."""
    at: datetime
    """When it answered, or could not be asked."""
    error: str = ""
    """Why it did not answer; empty when it did."""
    recommendation: Recommendation | None = None
    """Its last answer about this revision at this step."""
    answered_at: datetime | None = None
    """When that came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inquiry:
    """A question to a hook. The same again has the same answer."""

    hook: str
    url: str
    revision: str
    """What it is about."""
    point: str
    """Where on the way of the revision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a hook said to it, or that it said nothing."""

    is_yes: bool
    at: datetime
    said: str = ""
    """Why it is no yes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """One look at everything that belongs to one Rollout."""

    replica_sets: tuple[ReplicaSet, ...] = ()
    pods: tuple[Pod, ...] = ()
    services: Mapping[str, Service] = field(default_factory=dict)
    endpoints: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Service name → uids of the ready pods in its EndpointSlices."""
    routes: Mapping[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)
    """Kind and name → the whole object as the API server gave it: routes that the strategy asks
    for, and those whose weights we still hold."""
    unserved: frozenset[str] = frozenset()
    """Kinds of routes that the cluster does not know."""
    unseen: Mapping[str, str] = field(default_factory=dict)
    """Kinds of routes of which nothing has been seen yet → why; empty: it has just begun."""
    workloads: Mapping[str, Workload] = field(default_factory=dict)
    """Deployments that spec or status name, by name."""
    workloads_unseen: str | None = None
    """Why none of them can be there yet: no Deployment has been seen; empty: it has just begun."""
    holders: frozenset[str] = frozenset()
    """Rollouts that hold one of them, and exist."""
    measurements: Mapping[Query, Measurement] = field(default_factory=dict)
    """Its latest answer; kept in memory by the runtime."""
    consulted: Consulted | None = None
    """How the advisor was asked last; kept in memory by the runtime."""
    heard: Mapping[Inquiry, Heard] = field(default_factory=dict)
    """What hooks said; kept in memory by the runtime."""
    is_full: bool = False
    """As many other rollouts are active as the engine may have."""
    told: int = 0
    """The last decision that this process has handed over for delivery; 0 after its start."""
    emitted: int = 0
    """The last decision up to which everything has been delivered, or given up."""
    consumed: frozenset[str] = frozenset()
    """Requests whose annotations this process has removed since its last look: one that is there
    again is another request, although the status does not know yet that the first is gone."""
    default_prometheus: str = ""
    """KULTA_PROMETHEUS_ADDRESS, used where the analysis names no address."""
