"""Builders of hub objects with good defaults: say only what a test is about."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from fleet.api import Application, ClusterRollout, Fleet, FleetRollout, MemberCluster
from fleet.api.clusterrollout import (
    ClusterRolloutSpec,
    ClusterRolloutStatus,
    Dispatched,
    Request,
    Want,
)
from fleet.api.conditions import condition, updated
from fleet.api.fleetrollout import ClusterPhase, FleetRolloutSpec, Plan, PlannedWave, Snapshot
from fleet.api.membercluster import EngineMode, EngineSpec
from fleet.api.meta import ObjectMeta
from fleet.api.names import CLUSTERROLLOUT_FINALIZER, ClusterName
from fleet.hub.core.member import freshness
from fleet.hub.core.observed import Member
from fleet.rendering.delivery import Delivery
from tests.conftest import NOON

SILENT = "the engine has not renewed its Lease for more than 30 s, or the API server there hangs"
STEPS = [{"setWeight": 50}, {"setWeight": 100}]
CANARY: Mapping[str, Any] = {"canary": {"steps": STEPS}}


def spec(image: str = "shop:v1", **policy: Any) -> dict[str, Any]:
    """An Application's spec; keywords are keys of the deliveryPolicy."""
    return {
        "destination": {"fleet": "production", "namespace": "checkout"},
        "workload": {
            "replicas": 4,
            "template": {
                "metadata": {"labels": {"app": "checkout"}},
                "spec": {"containers": [{"name": "app", "image": image}]},
            },
            "service": {"port": 80, "targetPort": 8080},
            "route": {"parentRefs": [{"name": "public"}]},
        },
        "deliveryPolicy": {"strategy": CANARY, **policy},
    }


def application(
    image: str = "shop:v1", *, generation: int = 1, body: Any = None, **policy: Any
) -> Application:
    """The Application `checkout` in namespace `shop`."""
    return Application.parse(
        {
            "metadata": {
                "name": "checkout",
                "namespace": "shop",
                "uid": "app-1",
                "generation": generation,
            },
            "spec": body if body is not None else spec(image, **policy),
        }
    )


def fleet(**body: Any) -> Fleet:
    """The Fleet `production`: everybody with `tier: production` unless said otherwise."""
    body = body or {"members": {"clusterSelector": {"matchLabels": {"tier": "production"}}}}
    return Fleet.parse({"metadata": {"name": "production", "namespace": "shop"}, "spec": body})


def cluster(
    name: str, *, namespaces: Sequence[str] = ("checkout",), **labels: str
) -> MemberCluster:
    """A MemberCluster of the tier `production`."""
    return MemberCluster.parse(
        {
            "metadata": {
                "name": name,
                "namespace": "shop",
                "uid": f"uid-of-{name}",
                "labels": {"tier": "production", **labels},
            },
            "spec": {
                "kubeconfig": {"secretRef": {"name": name}},
                "allowedNamespaces": list(namespaces),
            },
        }
    )


def delivery(
    application: Snapshot, to: MemberCluster, of: Fleet | None = None, revision: str = "rev1"
) -> Delivery:
    """That snapshot, from namespace `shop`, for one member of a fleet."""
    return Delivery(
        application=application,
        namespace="shop",
        cluster=to,
        fleet=of or fleet(),
        revision=revision,
    )


def member(
    name: str, *, reachable: bool = True, fresh: bool | None = None, **labels: str
) -> Member:
    """A member that answers, unless it does not: then it was lost at noon."""
    fresh = reachable if fresh is None else fresh
    answers = Member(cluster=cluster(name, **labels), reachable=True, fresh=True)
    return answers if fresh else lose(answers, reachable=reachable)


def meet(member: Member, until: datetime) -> Member:
    """The member before the hub is connected to it."""
    return replace(
        member,
        reachable=False,
        fresh=False,
        reason="Unreachable",
        message="not connected yet",
        connecting_until=until,
    )


def lose(member: Member, at: datetime = NOON, *, reachable: bool = False) -> Member:
    """The member without fresh reports since `at`, as its MemberCluster says too."""
    reason, message = ("Stale", SILENT) if reachable else ("Unreachable", "connection refused")
    return replace(
        member,
        cluster=_fresh(member.cluster, False, reason, at),
        reachable=reachable,
        fresh=False,
        reason=reason,
        message=message,
        connecting_until=None,
    )


def unknown(member: Member) -> Member:
    """The member with an External engine that has no Lease."""
    reason, message = freshness.UNKNOWN, "the engine has no Lease"
    cluster = _fresh(member.cluster, False, reason, NOON)
    external = cluster.spec.model_copy(update={"engine": EngineSpec(mode=EngineMode.EXTERNAL)})
    return replace(
        member,
        cluster=cluster.model_copy(update={"spec": external}),
        fresh=False,
        has_unknown_engine=True,
        reason=reason,
        message=message,
    )


def regain(member: Member, at: datetime = NOON) -> Member:
    """The member with fresh reports again."""
    cluster = _fresh(member.cluster, True, "Reachable", at)
    return replace(
        member,
        cluster=cluster,
        reachable=True,
        fresh=True,
        has_unknown_engine=False,
        reason="",
        message="",
        connecting_until=None,
    )


def _fresh(cluster: MemberCluster, value: bool, reason: str, at: datetime) -> MemberCluster:
    said = condition(freshness.FRESH, value, reason)
    conditions = updated(cluster.status.conditions, (said,), at)
    status = cluster.status.model_copy(update={"conditions": conditions})
    return cluster.model_copy(update={"status": status})


def members(*names: str, lost: Sequence[str] = ()) -> dict[ClusterName, Member]:
    """Members by name; those in `lost` do not answer."""
    return {ClusterName(name): member(name, reachable=name not in lost) for name in names}


def wave(name: str = "all", *clusters: str, **limits: Any) -> PlannedWave:
    """A planned wave."""
    return PlannedWave(name=name, clusters=clusters, **limits)


def run(*waves: PlannedWave, number: int = 1, image: str = "shop:v1", **plan: Any) -> FleetRollout:
    """The run `checkout-<number>` of revision `rev<number>`."""
    return FleetRollout(
        metadata=ObjectMeta(name=f"checkout-{number}", namespace="shop", generation=1),
        spec=FleetRolloutSpec(
            application=Snapshot(name="checkout", spec=application(image).spec),
            number=number,
            revision=f"rev{number}",
            plan=Plan(waves=waves, **plan),
        ),
    )


def item(
    name: str,
    phase: ClusterPhase = ClusterPhase.PROGRESSING,
    *,
    number: int = 1,
    since: datetime = NOON,
    good: int = 0,
    **status: Any,
) -> ClusterRollout:
    """A ClusterRollout that run `number` let go at `since`, with its last good run `good`."""
    want = Want(run=f"checkout-{number}", revision=f"rev{number}", since=since)
    last = {"run": f"checkout-{good}", "revision": f"rev{good}"} if good else {}
    hold, asked = status.pop("hold", ""), status.pop("asked", "")
    request = Request(id=asked, verb="promote", time=NOON) if asked else None
    taken = f"checkout-{status.pop('taken', number)}"
    status = {"observed_generation": 1, "last_good": last, **status}
    return ClusterRollout(
        metadata=ObjectMeta(
            name=f"checkout.{name}",
            namespace="shop",
            generation=1,
            finalizers=(CLUSTERROLLOUT_FINALIZER,),
        ),
        spec=ClusterRolloutSpec(
            application="checkout",
            cluster=name,
            namespace="checkout",
            want=want,
            hold=hold,
            request=request,
        ),
        status=ClusterRolloutStatus(
            phase=phase,
            dispatch=Dispatched(sequence=1, rollout=1, run=taken, revision=want.revision),
            **status,
        ),
    )


def items(*given: ClusterRollout) -> dict[ClusterName, ClusterRollout]:
    """ClusterRollouts by cluster."""
    return {ClusterName(each.spec.cluster): each for each in given}
