"""`spec.workloadRef`: the Deployment whose template a Rollout takes, and what becomes of its pods.

Part of `rollout`. How pods get from one to the other is told in `kulta.core.serving.workloads`.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from fleet.api.meta import Model


class ScaleDown(StrEnum):
    """When the Deployment gives up its pods."""

    ON_SUCCESS = "OnSuccess"
    PROGRESSIVELY = "Progressively"
    NEVER = "Never"


class WorkloadRef(Model):
    """A Deployment of this namespace, instead of `template`: each change of its template is a new
    revision. It gets its pods back before the Rollout goes."""

    api_version: Literal["apps/v1"] = "apps/v1"
    """The group and version of the workload."""
    kind: Literal["Deployment"] = "Deployment"
    """The kind of the workload."""
    name: Annotated[str, Field(min_length=1, max_length=253)]
    """The workload's name."""
    scale_down: ScaleDown = ScaleDown.ON_SUCCESS
    """When it goes to 0: once the first revision is ready, together with that, or never."""


class WorkloadStatus(Model):
    """The Deployment that the Rollout holds."""

    name: str
    """Its name."""
    uid: str = ""
    """Its uid."""
    original: int | None = None
    """Pods that it had before."""
    observed_generation: int = 0
    """Its generation whose template is the wanted revision."""
    scaled_down: bool = False
    """It has been left without pods: whoever scales it up now does so against the Rollout."""
