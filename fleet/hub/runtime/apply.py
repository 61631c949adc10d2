"""What the planners decided, done: one function per action, each safe to repeat.

Called by `reconcile`, `dispatching` and `membership`. The answer to every own write goes into its
store at once, so the next look sees it. Errors rise to `reconcile`; only those of a member become
values (`Outcome`), because a plan for a cluster is reported even where it failed.
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, assert_never

from fleet.api import Application, ClusterRollout, FleetRollout
from fleet.api.clusterrollout import ClusterRolloutSpec, Want
from fleet.api.meta import Model, Object
from fleet.api.names import (
    APPLICATION_LABEL,
    APPLICATIONS,
    CLUSTER_LABEL,
    CLUSTERROLLOUT_FINALIZER,
    CLUSTERROLLOUTS,
    FLEETROLLOUTS,
    HOLD_MANAGER,
    HUB_AGENT,
    HUB_MANAGER,
    ROLLOUTS,
    ClusterName,
    Key,
    Resource,
)
from fleet.clusters.handles import Handle
from fleet.clusters.store import Store
from fleet.errors import AlreadyExists, Conflict, FleetError, NotFound, Unreachable
from fleet.hub.core import policy, weights
from fleet.hub.core.actions import (
    ApplicationAction,
    ApplyRollout,
    AskCluster,
    CreateObject,
    CreateRun,
    DeleteObject,
    DeleteRun,
    FenceRollout,
    HoldCluster,
    HoldRollout,
    LookUp,
    MemberAction,
    PruneCluster,
    ReleaseCluster,
    ReleaseRollout,
    RunAction,
    SetDeletion,
    StartCluster,
    UpdateObject,
)
from fleet.hub.core.cluster import live
from fleet.hub.core.cluster.persons import YES
from fleet.hub.core.observed import Place
from fleet.hub.runtime.context import Context


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one action in a member went; the actions after a failed one were not tried."""

    action: MemberAction
    answer: Mapping[str, Any] | None = None
    """The object as it is now, where the action wrote one."""
    error: FleetError | None = None


# --- the hub's own objects ------------------------------------------------------------------------


async def write_status(
    hub: Context, resource: Resource, item: Object[Any, Any], status: Model
) -> bool:
    """PUT `status` if it differs from the item's, guarded by its version; whether it was written.

    Raises Conflict when somebody wrote meanwhile, NotFound when it is gone.
    """
    if status == item.status:
        return False  # which is cheaper than to compare what would be written
    wanted = status.manifest()
    if wanted == item.status.manifest():
        return False
    body = {
        **resource.head,
        "metadata": {
            "name": item.name,
            "namespace": item.namespace,
            "uid": item.metadata.uid,
            "resourceVersion": item.metadata.resource_version,
        },
        "status": wanted,
    }
    _store(hub, resource).see(await hub.kube.replace(resource, body, sub="status"))
    return True


async def reread(hub: Context, resource: Resource, key: Key) -> None:
    """Learn what the API server has under that key: our view of it was wrong. Whatever it is, it
    wins over what we knew, also where its version is lower. Raises what the API server raises."""
    store = _store(hub, resource)
    since = store.moment
    found = await hub.kube.list(resource, key[0], field_selector=f"metadata.name={key[1]}")
    store.correct(key, found[0] if found else None, since)


async def application(hub: Context, owner: Application, action: ApplicationAction) -> None:
    """One action of an ApplicationPlan. Raises Conflict when a ClusterRollout moved meanwhile."""
    match action:
        case CreateRun():
            await _create_run(hub, owner, action)
        case DeleteRun():
            await hub.kube.delete(
                FLEETROLLOUTS, action.name, owner.namespace, uid=_uid(hub, owner, action.name)
            )
        case SetDeletion():
            item = hub.stores.items.get((owner.namespace, action.name))
            if item is not None:
                await _patch_item(hub, item, {"deletion": action.deletion})
        case PruneCluster():
            await hub.kube.delete(CLUSTERROLLOUTS, action.name, owner.namespace, uid=action.uid)
        case _:
            assert_never(action)


async def run(hub: Context, owner: FleetRollout, action: RunAction) -> None:
    """One action of a RunPlan. Raises Conflict when the ClusterRollout moved meanwhile."""
    key = (owner.namespace, f"{owner.spec.application.name}.{action.cluster}")
    item = hub.stores.items.get(key)
    match action:
        case StartCluster():
            if item is None:
                await _create_item(hub, owner, action.cluster, action.want)
            else:
                namespace = _destination(hub, owner, action.want)
                wish = {"want": action.want, "hold": "", "request": None, "namespace": namespace}
                await _patch_item(hub, item, wish)
        case HoldCluster():
            if item is not None:
                await _patch_item(hub, item, {"hold": action.reason})
        case ReleaseCluster():
            if item is not None:
                await _patch_item(hub, item, {"hold": ""})
        case AskCluster():
            if (
                item is not None
                and (want := item.spec.want)
                and owner.name in (want.run, want.undoes)
            ):
                await _patch_item(hub, item, {"request": action.request})
        case _:
            assert_never(action)


async def add_finalizer(hub: Context, item: ClusterRollout) -> None:
    """Our finalizer beside the others'."""
    answer = await _finalize(hub, item, *_foreign(item), CLUSTERROLLOUT_FINALIZER)
    if answer is not None:
        hub.stores.items.see(answer)


async def remove_finalizer(hub: Context, item: ClusterRollout) -> None:
    """Ours goes, the others' stay."""
    # Without the last finalizer the object is gone, and its answer must not revive it.
    await _finalize(hub, item, *_foreign(item))


def _foreign(item: ClusterRollout) -> list[str]:
    return [name for name in item.metadata.finalizers if name != CLUSTERROLLOUT_FINALIZER]


async def _finalize(hub: Context, item: ClusterRollout, *names: str) -> Mapping[str, Any] | None:
    """The object with these finalizers; None where it has them, or is gone."""
    if names == item.metadata.finalizers:
        return None
    version = item.metadata.resource_version
    body = {"metadata": {"finalizers": list(names), "resourceVersion": version}}
    try:
        return await hub.kube.patch(CLUSTERROLLOUTS, item.name, item.namespace, body)
    except NotFound:
        return None


async def _create_run(hub: Context, owner: Application, action: CreateRun) -> None:
    labels = {APPLICATION_LABEL: owner.name}
    manifest = _owned(FLEETROLLOUTS, action.name, labels, owner.namespace, _owner(owner))
    manifest["spec"] = action.spec.manifest()
    try:
        hub.stores.runs.see(await hub.kube.create(FLEETROLLOUTS, manifest))
    except AlreadyExists:
        return


async def _create_item(hub: Context, run: FleetRollout, cluster: ClusterName, want: Want) -> None:
    snapshot = run.spec.application
    labels = {APPLICATION_LABEL: snapshot.name, CLUSTER_LABEL: cluster}
    found = hub.stores.applications.get((run.namespace, snapshot.name))
    name = f"{snapshot.name}.{cluster}"
    owner = _owner(found) if found is not None else None
    manifest = _owned(CLUSTERROLLOUTS, name, labels, run.namespace, owner)
    manifest["metadata"]["finalizers"] = [CLUSTERROLLOUT_FINALIZER]
    manifest["spec"] = ClusterRolloutSpec(
        application=snapshot.name,
        cluster=cluster,
        namespace=_destination(hub, run, want),
        want=want,
        deletion=policy.resolve(snapshot.spec.delivery_policy).deletion,
    ).manifest()
    try:
        hub.stores.items.see(await hub.kube.create(CLUSTERROLLOUTS, manifest))
    except AlreadyExists:
        # Our view is behind; the informer brings it and the plan is made again.
        raise Conflict(f"ClusterRollout {name} exists already") from None


def _whole(want: Want) -> dict[str, Any]:
    """For a merge patch: what `want` leaves out is null, or the wish before would shine through."""
    keys = (field.alias for field in Want.model_fields.values() if field.alias)
    return dict.fromkeys(keys) | want.manifest()


async def _patch_item(hub: Context, item: ClusterRollout, wish: Mapping[str, Any]) -> None:
    spec = item.spec.model_copy(update=dict(wish))
    if spec == item.spec:
        return
    body = {
        "metadata": {"resourceVersion": item.metadata.resource_version},
        "spec": {
            "want": _whole(spec.want) if spec.want else None,
            "hold": spec.hold or None,
            "request": spec.request.manifest() if spec.request else None,
            "namespace": spec.namespace,
            "deletion": spec.deletion.model_dump(mode="json", by_alias=True),
        },
    }
    hub.stores.items.see(await hub.kube.patch(CLUSTERROLLOUTS, item.name, item.namespace, body))


# --- a member's objects ---------------------------------------------------------------------------


async def member(handle: Handle, actions: Sequence[MemberAction]) -> tuple[Outcome, ...]:
    """Do the actions in their order until one fails."""
    outcomes: list[Outcome] = []
    for action in actions:
        try:
            answer = await _do(handle, action)
        except FleetError as error:
            outcomes.append(Outcome(action=action, error=error))
            break
        outcomes.append(Outcome(action=action, answer=answer))
    return tuple(outcomes)


async def look(
    handle: Handle, wanted: Sequence[tuple[Resource, str, str]], known: Container[Key]
) -> dict[Place, dict[str, Any]]:
    """The live objects, for those of `wanted` (resource, namespace, name) that exist.

    Rollouts whose (namespace, name) is `known` from the watch are not read.
    """
    found: dict[Place, dict[str, Any]] = {}
    for resource, namespace, name in dict.fromkeys(wanted):
        if resource == ROLLOUTS and (namespace, name) in known:
            continue
        try:
            seen = await handle.client.get(resource, name, namespace)
            live.sound(seen)
        except NotFound:
            continue
        except ValueError as error:
            what = f"{resource.kind} {namespace}/{name} makes no sense: {error}"
            raise Unreachable(f"{handle.client.config.server}: {what}") from None
        found[resource.plural, namespace, name] = seen
    return found


async def _do(handle: Handle, action: MemberAction) -> Mapping[str, Any] | None:
    answer: Mapping[str, Any] | None = None
    match action:
        case LookUp():
            pass
        case ApplyRollout():
            answer = await _apply_rollout(handle, action)
        case HoldRollout():
            answer = await _hold_rollout(handle, action)
        case ReleaseRollout():
            answer = await _patch_rollout(handle, action, {"hold": None})
        case FenceRollout():
            notes = {action.request: YES} if action.request else {}
            answer = await _patch_rollout(handle, action, _fence(action), notes)
        case CreateObject():
            answer = await handle.client.create(action.resource, action.manifest)
        case UpdateObject():
            answer = await handle.client.replace(action.resource, action.manifest)
        case DeleteObject():
            await handle.client.delete(
                action.resource,
                action.name,
                action.namespace,
                uid=action.uid or None,
                version=action.version or None,
            )
        case _:
            assert_never(action)
    return answer


def _fence(action: FenceRollout) -> dict[str, Any]:
    fence: dict[str, Any] = {"hub": action.hub, "sequence": action.sequence}
    if action.weight is not None:
        return {"dispatch": fence, "strategy": {"canary": {weights.FIELD: action.weight}}}
    if not action.released:
        return {"dispatch": fence}
    end: dict[str, Any] = {} if action.spares_hold else {"hold": None}
    return {"dispatch": {**fence, "released": True}, **end}


async def _apply_rollout(handle: Handle, action: ApplyRollout) -> Mapping[str, Any]:
    put = partial(handle.client.apply, ROLLOUTS, action.manifest, manager=HUB_MANAGER)
    try:
        answer = await put(force=action.force)
    except Conflict as error:
        if set(error.managers) != {HUB_AGENT}:
            raise
        # A server tells what we patched from what we applied: only ourselves are in the way.
        answer = await put(force=True)
    handle.informers[ROLLOUTS].store.see(answer)
    return answer


async def _hold_rollout(handle: Handle, action: HoldRollout) -> Mapping[str, Any]:
    manifest: dict[str, Any] = {
        **ROLLOUTS.head,
        "metadata": {"name": action.name, "namespace": action.namespace},
        "spec": {"hold": {"reason": action.reason, "sequence": action.sequence}},
    }
    answer = await handle.client.apply(ROLLOUTS, manifest, manager=HOLD_MANAGER, force=True)
    handle.informers[ROLLOUTS].store.see(answer)
    return answer


async def _patch_rollout(
    handle: Handle,
    action: ReleaseRollout | FenceRollout,
    spec: Mapping[str, Any],
    notes: Mapping[str, str] | None = None,
) -> Mapping[str, Any]:
    metadata = {"resourceVersion": action.version, **({"annotations": notes} if notes else {})}
    body = {"metadata": metadata, "spec": spec}
    answer = await handle.client.patch(ROLLOUTS, action.name, action.namespace, body)
    handle.informers[ROLLOUTS].store.see(answer)
    return answer


# --- inside ---------------------------------------------------------------------------------------


def _store(hub: Context, resource: Resource) -> Store[Any]:
    stores = (hub.stores.items, *hub.stores.watched)
    return next(store for store in stores if store.resource == resource)


def _uid(hub: Context, owner: Application, name: str) -> str | None:
    found = hub.stores.runs.get((owner.namespace, name))
    return found.metadata.uid if found else None


def _destination(hub: Context, run: FleetRollout, want: Want) -> str:
    """The namespace of the wanted run, which is an older one where a cluster goes back."""
    wanted = hub.stores.runs.get((run.namespace, want.run), run)
    return wanted.spec.application.spec.destination.namespace or run.namespace


def _owner(application: Application) -> dict[str, Any]:
    return {
        **APPLICATIONS.head,
        "name": application.name,
        "uid": application.metadata.uid,
        "controller": True,
    }


def _owned(
    resource: Resource,
    name: str,
    labels: dict[str, str],
    namespace: str,
    owner: dict[str, Any] | None,
) -> dict[str, Any]:
    """A manifest without spec. The garbage collector deletes it with its Application."""
    metadata: dict[str, Any] = {"name": name, "namespace": namespace, "labels": labels}
    if owner is not None:
        metadata["ownerReferences"] = [owner]
    return {**resource.head, "metadata": metadata}
