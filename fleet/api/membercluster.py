"""MemberCluster: one cluster that receives, and what the hub knows of it.

Written by an administrator (`fleet cluster add`); status by the hub. The kubeconfig itself is in a
Secret and never appears here.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from fleet.api.conditions import Conditions
from fleet.api.meta import Model, Object, Time
from fleet.api.providers import Prometheus
from fleet.api.rules import Rule
from fleet.api.values import LABEL, Namespace


class SecretRef(Model):
    """A key of a Secret in the MemberCluster's namespace."""

    name: Annotated[str, Field(min_length=1, max_length=253)]
    """The Secret's name."""
    key: Annotated[str, Field(min_length=1, max_length=253)] = "kubeconfig"
    """The key that holds the kubeconfig."""


class Kubeconfig(Model):
    """How the hub gets in."""

    secret_ref: SecretRef


class EngineMode(StrEnum):
    """Who keeps the engine in the member."""

    MANAGED = "Managed"
    EXTERNAL = "External"


class EngineSpec(Model):
    """The KULTA engine of this member."""

    mode: EngineMode = EngineMode.MANAGED
    """Managed: the hub keeps its Deployment; External: the hub only watches its Lease."""
    image: Annotated[str, Field(min_length=1, max_length=512)] | None = None
    """Default: the image that the hub was started with."""


class MemberClusterSpec(Model):
    """Access, what may go there, and what templates may know of it."""

    kubeconfig: Kubeconfig
    vars: Annotated[Mapping[str, Annotated[str, Field(max_length=1_024)]], Field(max_length=64)] = (
        Field(default_factory=dict)
    )
    """Values for templates and overrides."""
    allowed_namespaces: Annotated[tuple[Namespace, ...], Field(max_length=256)] = ()
    """Namespaces of the member that Applications may use; none means none."""
    engine: EngineSpec = EngineSpec()
    prometheus: Prometheus | None = None
    """Overrides the fleet's default for this member."""


class EngineStatus(Model):
    """What the hub sees of the engine."""

    healthy: bool | None = None
    """None is Unknown, which is never healthy."""
    version: str = ""
    """The version that the engine reports."""
    current: bool | None = None
    """Whether a managed one runs as the hub wants it, all its pods new and healthy; absent where
    the hub does not keep it."""
    message: str = ""
    """Why it is not healthy, or what a newer one waits for."""
    rollouts: int = 0
    """Rollouts in the member that the hub watches."""
    active: int = 0
    """Those of them that are on their way."""


class MemberClusterStatus(Model):
    """What the hub knows."""

    observed_generation: int = 0
    """The generation of the spec that this status speaks of."""
    reachable: bool | None = None
    """Whether the API server answers; absent means not known yet."""
    uid: str = ""
    """The uid of kube-system: the identity of the API server."""
    kubernetes_version: str = ""
    """What the API server says of itself."""
    engine: EngineStatus = EngineStatus()
    credentials_expire: Time = None
    """When the token in the kubeconfig ends."""
    last_seen: Time = None
    """When the member's API server last said anything."""
    message: str = ""
    """What is wrong, in a sentence."""
    conditions: Conditions = ()
    """Aspects of health, each with reason and sentence."""


class MemberCluster(Object[MemberClusterSpec, MemberClusterStatus]):
    """One cluster that receives."""

    RULES = (
        Rule(
            rule=f"self.metadata.name.matches(r'{LABEL}')",
            message="a MemberCluster's name becomes part of other names: 1 to 63 lower-case "
            "letters, digits and dashes, no dots",
            field=".metadata.name",
        ),
    )

    status: MemberClusterStatus = MemberClusterStatus()
