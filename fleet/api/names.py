"""Every name that stands in a cluster: groups, kinds, labels, annotations, finalizers, managers.

Used by everyone above `kit`. Domain words, fixed here: fleet, member, wave, gate, hold, soak, run,
revision, step, weight, verdict, engine, hub.
"""

from dataclasses import dataclass
from typing import NewType

ClusterName = NewType("ClusterName", str)
"""The name of a MemberCluster, unique in its namespace of the hub."""

Key = tuple[str, str]
"""Namespace, empty for a cluster-scoped object, and name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """A resource of an API server: enough to build its path and its objects' identity."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def head(self) -> dict[str, str]:
        """What every object of it begins with."""
        return {"apiVersion": self.api_version, "kind": self.kind}

    @property
    def root(self) -> str:
        """The path of the group version: `/api/v1` or `/apis/<group>/<version>`."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"

    def path(self, namespace: str | None = None, name: str | None = None, sub: str = "") -> str:
        """The path of the collection (in all namespaces when None), object or sub-resource."""
        scope = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        item = f"/{name}" if name else ""
        return f"{self.root}{scope}/{self.plural}{item}" + (f"/{sub}" if sub else "")


FLEET_GROUP = "fleet.kulta.io"
KULTA_GROUP = "kulta.io"
CATEGORY = "kulta"


def _core(plural: str, kind: str, *, namespaced: bool = True) -> Resource:
    return Resource(group="", version="v1", plural=plural, kind=kind, namespaced=namespaced)


def _fleet(plural: str, kind: str) -> Resource:
    return Resource(group=FLEET_GROUP, version="v1alpha1", plural=plural, kind=kind)


MEMBERCLUSTERS = _fleet("memberclusters", "MemberCluster")
FLEETS = _fleet("fleets", "Fleet")
APPLICATIONS = _fleet("applications", "Application")
FLEETROLLOUTS = _fleet("fleetrollouts", "FleetRollout")
CLUSTERROLLOUTS = _fleet("clusterrollouts", "ClusterRollout")
ROLLOUTS = Resource(group=KULTA_GROUP, version="v1beta1", plural="rollouts", kind="Rollout")

NAMESPACES = _core("namespaces", "Namespace", namespaced=False)
SYSTEM_NAMESPACE = "kube-system"
"""Its uid is the identity of an API server: nothing else in it lives as long."""
PODS = _core("pods", "Pod")
SECRETS = _core("secrets", "Secret")
CONFIGMAPS = _core("configmaps", "ConfigMap")
SERVICES = _core("services", "Service")
SERVICEACCOUNTS = _core("serviceaccounts", "ServiceAccount")
EVENTS = _core("events", "Event")
DEPLOYMENTS = Resource(group="apps", version="v1", plural="deployments", kind="Deployment")
REPLICASETS = Resource(group="apps", version="v1", plural="replicasets", kind="ReplicaSet")
LEASES = Resource(group="coordination.k8s.io", version="v1", plural="leases", kind="Lease")
ENDPOINTSLICES = Resource(
    group="discovery.k8s.io", version="v1", plural="endpointslices", kind="EndpointSlice"
)
CRDS = Resource(
    group="apiextensions.k8s.io",
    version="v1",
    plural="customresourcedefinitions",
    kind="CustomResourceDefinition",
    namespaced=False,
)
CLUSTERROLES = Resource(
    group="rbac.authorization.k8s.io",
    version="v1",
    plural="clusterroles",
    kind="ClusterRole",
    namespaced=False,
)
CLUSTERROLEBINDINGS = Resource(
    group="rbac.authorization.k8s.io",
    version="v1",
    plural="clusterrolebindings",
    kind="ClusterRoleBinding",
    namespaced=False,
)
ROLES = Resource(group="rbac.authorization.k8s.io", version="v1", plural="roles", kind="Role")
ROLEBINDINGS = Resource(
    group="rbac.authorization.k8s.io", version="v1", plural="rolebindings", kind="RoleBinding"
)
HTTPROUTES = Resource(
    group="gateway.networking.k8s.io", version="v1", plural="httproutes", kind="HTTPRoute"
)
GRPCROUTES = Resource(
    group="gateway.networking.k8s.io", version="v1", plural="grpcroutes", kind="GRPCRoute"
)
VIRTUALSERVICES = Resource(
    group="networking.istio.io", version="v1", plural="virtualservices", kind="VirtualService"
)
INGRESSES = Resource(group="networking.k8s.io", version="v1", plural="ingresses", kind="Ingress")
ROUTES = {item.kind: item for item in (HTTPROUTES, GRPCROUTES, VIRTUALSERVICES, INGRESSES)}
"""Objects in which the engine writes weights, by kind."""
GATEWAYS = Resource(
    group="gateway.networking.k8s.io", version="v1", plural="gateways", kind="Gateway"
)

# --- in a member, written by the engine -------------------------------------------------------
ROLLOUT_LABEL = "rollouts.kulta.io/rollout"
HASH_LABEL = "rollouts.kulta.io/hash"
TYPE_LABEL = "rollouts.kulta.io/type"
MANAGED_LABEL = "rollouts.kulta.io/managed"
REVISION_ANNOTATION = "rollouts.kulta.io/revision"
"""On a ReplicaSet: the number of its revision, counted from 1 in the life of the Rollout."""
TEMPLATE_ANNOTATION = "rollouts.kulta.io/template"
"""On a ReplicaSet: the pod template as the user wrote it; the server fills defaults into its own,
and only the same text gives the same hash again."""
ORIGINAL_SELECTOR = "rollouts.kulta.io/original-selector"
ORIGINAL_REPLICAS = "rollouts.kulta.io/original-replicas"
"""On a Deployment whose template a Rollout takes: how many pods it had before."""
HOLDER = "rollouts.kulta.io/held-by"
"""On a Deployment: the Rollout that takes its template."""
ORIGINAL_WEIGHTS = "rollouts.kulta.io/original-weights"
MANAGED_RULES = "rollouts.kulta.io/managed-rules"
MIRRORED = "rollouts.kulta.io/mirrored"
STICKY = "rollouts.kulta.io/sticky"
WEIGHTED_AT = "rollouts.kulta.io/weighted-at"
"""When the engine wrote the weights, where nobody says that they are in force."""
ROLLOUT_FINALIZER = "rollouts.kulta.io/restore"
ENGINE_NAMESPACE = "kulta-system"
ENGINE_NAME = "kulta-controller"
ENGINE_LEASE = "kulta-controller-leader"
PROCESS_ANNOTATION = "kulta.io/process"
"""On a Lease: which process of that name holds it, where processes may share a name."""
VERSION = "app.kubernetes.io/version"
"""Label of what is deployed; annotation of the Lease, where the engine itself says its version."""


LEAVING_ANNOTATION = "controller.kubernetes.io/pod-deletion-cost"
"""On a pod: Kubernetes' own word for whom a ReplicaSet that shrinks gives up first."""
LEAVING = "-1000"


def is_closed(namespace: str) -> bool:
    """Whether that namespace of a member is never open to Applications."""
    return namespace == ENGINE_NAMESPACE or namespace.startswith("kube-")


REQUESTS = (
    "promote",
    "promote-full",
    "abort",
    "rollback",
    "retry",
    "pause",
    "resume",
    "restart",
    "conclude-experiment",
)
"""What a person may ask the engine for; what each does is in `kulta.core.gates.requests`."""


def request_annotation(verb: str) -> str:
    """The annotation on a Rollout that asks the engine for `verb`, e.g. `kulta.io/promote`."""
    return f"{KULTA_GROUP}/{verb}"


AUTOSCALER = "kube-controller-manager"
"""The field manager of a HorizontalPodAutoscaler."""

# --- written by the hub -------------------------------------------------------------------------
HUB_MANAGER = "kulta-fleet"
HOLD_MANAGER = "kulta-fleet-hold"
HUB_AGENT = "kulta-fleet-hub"
"""The hub as a client: the manager of what it patches."""
HUB_LEASE = "kulta-fleet-hub"
CLUSTERROLLOUT_FINALIZER = "fleet.kulta.io/cleanup"
APPLICATION_LABEL = "fleet.kulta.io/application"
CLUSTER_LABEL = "fleet.kulta.io/cluster"
NAMESPACE_LABEL = "fleet.kulta.io/namespace"
HUB_LABEL = "fleet.kulta.io/hub"
"""On an engine's Deployment: the hub that keeps it (the uid of its kube-system)."""
KUBECONFIG_LABEL = "fleet.kulta.io/kubeconfig"
"""`true` on Secrets that are watched, so that new credentials count at once."""
TEMPLATES_LABEL = "fleet.kulta.io/templates"
"""`true` on ConfigMaps that Applications name: the hub reads no other."""
UID_ANNOTATION = "fleet.kulta.io/cluster-uid"
"""On a MemberCluster: which API server it was registered for, before the hub has looked."""
MANAGED_BY = "app.kubernetes.io/managed-by"
NAME_LABEL = "app.kubernetes.io/name"
APPLIED_ANNOTATION = "fleet.kulta.io/applied"
"""Digest of what the hub last applied to an object; equal digest = nothing to write."""
REQUEST_ANNOTATION = "fleet.kulta.io/request"
REQUESTED_BY_ANNOTATION = "fleet.kulta.io/requested-by"
