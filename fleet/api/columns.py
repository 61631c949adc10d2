"""The kinds as the API server knows them: names, versions, sub-resources, columns of `kubectl get`.

Read by `api.schema` alone. Columns are plain JSONPaths: what needs arithmetic or words stands ready
in the status (`FleetRollout.status.display`).
"""

from dataclasses import dataclass
from typing import Any, Final, Literal

from fleet.api import names
from fleet.api.application import Application
from fleet.api.clusterrollout import ClusterRollout
from fleet.api.fleet import Fleet
from fleet.api.fleetrollout import FleetRollout
from fleet.api.membercluster import MemberCluster
from fleet.api.meta import Object
from fleet.api.rollout import Rollout


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of `kubectl get`; `wide` shows it with `-o wide` only."""

    name: str
    path: str
    type: Literal["string", "integer", "boolean", "date"] = "string"
    wide: bool = False

    def as_json(self) -> dict[str, Any]:
        """The column as it stands in a CRD."""
        result: dict[str, Any] = {"name": self.name, "type": self.type, "jsonPath": self.path}
        return result | ({"priority": 1} if self.wide else {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A kind of ours: its model and what the API server must know beside the schema."""

    model: type[Object[Any, Any]]
    resource: names.Resource
    short: str
    columns: tuple[Column, ...]
    older: tuple[str, ...] = ()
    """Versions that are served beside the stored one, with the same schema."""
    scale: bool = False


def _text(name: str, path: str) -> Column:
    return Column(name=name, path=path)


def _count(name: str, path: str) -> Column:
    return Column(name=name, path=path, type="integer")


def _wide(name: str, path: str, kind: Literal["string", "integer", "date"] = "string") -> Column:
    return Column(name=name, path=path, type=kind, wide=True)


AGE = Column(name="Age", path=".metadata.creationTimestamp", type="date")

MEMBERCLUSTER = (
    Column(name="Reachable", path=".status.reachable", type="boolean"),
    _text("Kubernetes", ".status.kubernetesVersion"),
    Column(name="Engine", path=".status.engine.healthy", type="boolean"),
    _count("Rollouts", ".status.engine.rollouts"),
    Column(name="Seen", path=".status.lastSeen", type="date"),
    AGE,
    _wide("Mode", ".spec.engine.mode"),
    _wide("Engine-Version", ".status.engine.version"),
    _wide("Active", ".status.engine.active", "integer"),
    _wide("Message", ".status.message"),
)
FLEET = (
    _text("Phase", ".status.phase"),
    _count("Members", ".status.members"),
    _count("Reachable", ".status.reachable"),
    AGE,
    _wide("Message", ".status.message"),
)
APPLICATION = (
    _text("Fleet", ".spec.destination.fleet"),
    _text("Phase", ".status.phase"),
    _text("Clusters", ".status.clusters"),
    _text("Revision", ".status.revision"),
    _text("Run", ".status.run"),
    AGE,
    _wide("Message", ".status.message"),
)
FLEETROLLOUT = (
    _text("App", ".spec.application.name"),
    _text("Revision", ".status.display.revision"),
    _text("Phase", ".status.phase"),
    _text("Wave", ".status.display.wave"),
    _text("Updated", ".status.display.updated"),
    _count("Failed", ".status.counts.failed"),
    _count("Unreachable", ".status.counts.unreachable"),
    _text("Traffic", ".status.display.traffic"),
    _text("Reason", ".status.message"),
    AGE,
    _wide("Strategy", ".status.display.strategy"),
    _wide("Started", ".status.startedAt", "date"),
    _wide("Next-Check", ".status.nextCheck"),
    _wide("Previous", ".spec.previousRevision"),
)
CLUSTERROLLOUT = (
    _text("App", ".spec.application"),
    _text("Cluster", ".spec.cluster"),
    _text("Revision", ".spec.want.revision"),
    _text("Phase", ".status.phase"),
    _text("Step", ".status.engine.step"),
    _count("Weight", ".status.engine.weight"),
    _count("Ready", ".status.engine.ready"),
    _text("Reason", ".status.reason"),
    AGE,
    _wide("Run", ".spec.want.run"),
    _wide("Hold", ".spec.hold"),
    _wide("Message", ".status.message"),
)
ROLLOUT = (
    _count("Desired", ".spec.replicas"),
    _count("Current", ".status.replicas"),
    _count("Ready", ".status.readyReplicas"),
    _text("Phase", ".status.phase"),
    _count("Weight", ".status.currentWeight"),
    AGE,
    _wide("Strategy", ".status.strategy"),
    _wide("Step", ".status.step"),
    _wide("Message", ".status.message"),
    _wide("Stable", ".status.stablePodHash"),
    _wide("Revision", ".status.currentPodHash"),
)

KINDS: Final[tuple[Definition, ...]] = (
    Definition(
        model=MemberCluster, resource=names.MEMBERCLUSTERS, short="mc", columns=MEMBERCLUSTER
    ),
    Definition(model=Fleet, resource=names.FLEETS, short="fl", columns=FLEET),
    Definition(model=Application, resource=names.APPLICATIONS, short="fapp", columns=APPLICATION),
    Definition(model=FleetRollout, resource=names.FLEETROLLOUTS, short="fr", columns=FLEETROLLOUT),
    Definition(
        model=ClusterRollout, resource=names.CLUSTERROLLOUTS, short="crl", columns=CLUSTERROLLOUT
    ),
    Definition(
        model=Rollout,
        resource=names.ROLLOUTS,
        short="ro",
        columns=ROLLOUT,
        older=("v1alpha1",),
        scale=True,
    ),
)
