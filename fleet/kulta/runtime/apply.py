"""Carries out what the core decided: one function for each action, each of them repeatable.

Called by `reconcile`, one `Turn` for each reconcile. The answer to every write goes into the stores
at once, so the next look holds it although the watch has not echoed it. A guarded write that came
too late reads the object anew before it reports the conflict. Nothing is swallowed: errors rise to
`reconcile`, except where an action says that absence is success.
"""

import itertools
from collections.abc import Awaitable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, assert_never

import orjson

from fleet.api import names
from fleet.api.meta import ObjectMeta
from fleet.api.names import Key, Resource
from fleet.api.rollout import Rollout, RolloutStatus
from fleet.errors import AlreadyExists, Conflict, Invalid, NotFound, UserError
from fleet.kulta.core import actions
from fleet.kulta.core.actions import Action
from fleet.kulta.core.messages.emit import Emit
from fleet.kulta.runtime.observe import Observer
from fleet.kulta.runtime.rollouts import Rollouts
from fleet.ports import Kube, Recorder

_TYPE = names.TYPE_LABEL.replace("/", "~1")
"""As a JSON pointer writes it."""


class Outcome(Enum):
    """How an action ended."""

    DONE = "done"
    FOUND = "found done"
    GONE = "there was nothing left to do it to"


class Vanished(NotFound):
    """The Rollout itself is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What actions act on."""

    kube: Kube
    observer: Observer
    rollouts: Rollouts
    recorder: Recorder
    consumed: dict[Key, set[str]] = field(default_factory=dict)
    """Requests whose annotations were removed since the Rollout was looked at last."""

    async def read(self, key: Key) -> None:
        """Read a Rollout anew. Raises NotFound where it is gone, and then forgets it."""
        known = self.rollouts.known
        since = known.moment
        try:
            known.correct(key, await self.kube.get(names.ROLLOUTS, key[1], key[0]), since)
        except NotFound:
            known.correct(key, None, since)
            raise


@dataclass(eq=False, slots=True)
class Turn:
    """The writes of one reconcile. `rollout` is what was decided on, then what our writes made of
    it: its resourceVersion guards each, so nobody's change in between is overlooked."""

    world: World
    rollout: Rollout

    async def perform(self, wanted: Iterable[Action]) -> tuple[Outcome, ...]:
        """Carry out the actions in their order; changes of one set side by side are one request.

        Raises the classes of `fleet.errors`; what comes after an error is not begun.
        """
        outcomes = []
        for name, group in itertools.groupby(wanted, key=_changed_set):
            if name:
                outcomes.append(await self._change_set(name, tuple(group)))
            else:
                outcomes.extend([await self._one(action) for action in group])
        return tuple(outcomes)

    async def report(self, status: RolloutStatus) -> None:
        """Replace the status. Raises Vanished when the Rollout is gone."""
        meta = self.rollout.metadata
        manifest = {
            **names.ROLLOUTS.head,
            "metadata": {
                "name": meta.name,
                "namespace": meta.namespace,
                "uid": meta.uid,
                "resourceVersion": meta.resource_version,
            },
            "status": status.manifest(),
        }
        write = self.world.kube.replace(names.ROLLOUTS, manifest, sub="status")
        await self._rollout_written(write, status)

    def warn(self, reason: str, message: str) -> None:
        """Record a Warning about the Rollout."""
        self._event("Warning", reason, message)

    async def _one(self, action: Action) -> Outcome:
        match action:
            case actions.CreateReplicaSet():
                work = self._create_set(action)
            case actions.ScaleReplicaSet() | actions.RelabelReplicaSet():
                work = self._change_set(action.name, (action,))
            case actions.DeleteReplicaSet():
                work = self._delete_set(action)
            case actions.RelabelPod() | actions.MarkPod():
                work = self._change_pod(action)
            case actions.SelectService() | actions.ChangeWorkload():
                work = self._change_theirs(action)
            case actions.WriteRoute() | actions.DeleteRoute():
                work = self._change_route(action)
            case actions.SetFinalizer():
                work = self._set_finalizer(action)
            case actions.ConsumeRequest():
                work = self._consume_request(action)
            case Emit():
                work = self._emit(action)
            case _:
                assert_never(action)
        return await work

    async def _create_set(self, action: actions.CreateReplicaSet) -> Outcome:
        try:
            made = await self.world.kube.create(names.REPLICASETS, action.manifest)
        except AlreadyExists:
            name = action.manifest["metadata"]["name"]
            found = await self.world.kube.get(names.REPLICASETS, name, self.rollout.namespace)
            self._check_ours(found)
            self.world.observer.remember(names.REPLICASETS, found, is_ours=False)
            return Outcome.FOUND
        self.world.observer.remember(names.REPLICASETS, made)
        return Outcome.DONE

    async def _change_set(self, name: str, group: tuple[Action, ...]) -> Outcome:
        """Changes what was decided on: where somebody has scaled the set since, such as the leader
        before us, that is not worth anything. Its version would be no guard, as it changes with
        each of its pods."""
        kube, observer, place = self.world.kube, self.world.observer, self.rollout.namespace
        try:
            made = await kube.patch(names.REPLICASETS, name, place, _changes(group))
        except Invalid:
            found = await kube.get(names.REPLICASETS, name, place)
            sizes = {x.was for x in group if isinstance(x, actions.ScaleReplicaSet)}
            if sizes <= {found["spec"].get("replicas")}:
                raise
            observer.remember(names.REPLICASETS, found, is_ours=False)
            raise Conflict(f"ReplicaSet {name}: somebody else has scaled it") from None
        observer.remember(names.REPLICASETS, made)
        return Outcome.DONE

    async def _delete_set(self, action: actions.DeleteReplicaSet) -> Outcome:
        self.world.observer.removed(action.uid)
        await self.world.kube.delete(
            names.REPLICASETS, action.name, self.rollout.namespace, uid=action.uid
        )
        return Outcome.DONE

    async def _change_pod(self, action: actions.RelabelPod | actions.MarkPod) -> Outcome:
        change: dict[str, Any] = {"annotations": {names.LEAVING_ANNOTATION: names.LEAVING}}
        if isinstance(action, actions.RelabelPod):
            change = {"labels": {names.TYPE_LABEL: action.role}}
        place = self.rollout.namespace
        try:
            made = await self.world.kube.patch(names.PODS, action.name, place, {"metadata": change})
        except NotFound:
            return Outcome.GONE
        self.world.observer.remember(names.PODS, made)
        return Outcome.DONE

    async def _change_theirs(
        self, action: actions.SelectService | actions.ChangeWorkload
    ) -> Outcome:
        if isinstance(action, actions.SelectService):
            return await self._select_service(action)
        return await self._change_workload(action)

    async def _select_service(self, action: actions.SelectService) -> Outcome:
        known = self.world.observer.service(self.rollout.namespace, action.name)
        before = known.selector if known is not None else {}
        dropped = dict.fromkeys(before.keys() - action.selector.keys())
        managed = action.original is not None
        kept = orjson.dumps(dict(action.original or {})).decode() if managed else None
        body = {
            "metadata": {
                "resourceVersion": action.resource_version,
                "annotations": {names.ORIGINAL_SELECTOR: kept},
                "labels": {names.MANAGED_LABEL: "true" if managed else None},
            },
            "spec": {"selector": {**action.selector, **dropped}},
        }
        kube, namespace = self.world.kube, self.rollout.namespace
        write = kube.patch(names.SERVICES, action.name, namespace, body)
        return await self._guarded(names.SERVICES, action.name, write)

    async def _change_route(self, action: actions.WriteRoute | actions.DeleteRoute) -> Outcome:
        if isinstance(action, actions.DeleteRoute):
            return await self._delete_route(action)
        return await self._write_route(action)

    async def _write_route(self, action: actions.WriteRoute) -> Outcome:
        resource, name = names.ROUTES[action.manifest["kind"]], action.manifest["metadata"]["name"]
        kube, observer = self.world.kube, self.world.observer
        if "resourceVersion" not in action.manifest["metadata"]:
            try:
                observer.remember(resource, await kube.create(resource, action.manifest))
            except AlreadyExists as error:  # the watch brings it
                raise Conflict(str(error)) from None
            return Outcome.DONE
        write = kube.replace(resource, action.manifest)
        if resource is names.HTTPROUTES:
            return await self._guarded(resource, name, write)
        observer.remember(resource, await write)  # the watch brings what was faster
        return Outcome.DONE

    async def _delete_route(self, action: actions.DeleteRoute) -> Outcome:
        resource, meta = names.ROUTES[action.manifest["kind"]], action.manifest["metadata"]
        await self.world.kube.delete(resource, meta["name"], meta["namespace"], uid=meta["uid"])
        self.world.observer.routes.deleted(action.manifest)
        return Outcome.DONE

    async def _change_workload(self, action: actions.ChangeWorkload) -> Outcome:
        kept = None if action.original is None else str(action.original)
        notes = {names.HOLDER: action.holder or None, names.ORIGINAL_REPLICAS: kept}
        body = {
            "metadata": {"resourceVersion": action.resource_version, "annotations": notes},
            "spec": {"replicas": action.replicas},
        }
        kube, place = self.world.kube, self.rollout.namespace
        made = await kube.patch(names.DEPLOYMENTS, action.name, place, body)
        self.world.observer.remember(names.DEPLOYMENTS, made)  # the watch brings what was faster
        return Outcome.DONE

    async def _set_finalizer(self, action: actions.SetFinalizer) -> Outcome:
        others = [x for x in self.rollout.metadata.finalizers if x != names.ROLLOUT_FINALIZER]
        wanted = [*others, names.ROLLOUT_FINALIZER] if action.present else others
        await self._change_rollout({"finalizers": wanted})
        return Outcome.DONE

    async def _consume_request(self, action: actions.ConsumeRequest) -> Outcome:
        await self._change_rollout({"annotations": {names.request_annotation(action.verb): None}})
        meta = self.rollout.metadata
        self.world.consumed.setdefault((meta.namespace, meta.name), set()).add(action.verb)
        return Outcome.DONE

    async def _emit(self, action: Emit) -> Outcome:
        self._event(action.kind, action.reason, action.message)
        return Outcome.DONE

    def _event(self, kind: str, reason: str, message: str) -> None:
        meta = self.rollout.metadata
        identity = {"name": meta.name, "namespace": meta.namespace, "uid": meta.uid}
        about = {**names.ROLLOUTS.head, "metadata": identity}
        self.world.recorder.event(about, kind=kind, reason=reason, message=message)

    async def _change_rollout(self, metadata: Mapping[str, Any]) -> None:
        """A merge patch of the Rollout's metadata, guarded by its version."""
        meta = self.rollout.metadata
        body = {"metadata": {"resourceVersion": meta.resource_version, **metadata}}
        write = self.world.kube.patch(names.ROLLOUTS, meta.name, meta.namespace, body)
        await self._rollout_written(write, self.rollout.status)

    async def _rollout_written(
        self, write: Awaitable[dict[str, Any]], status: RolloutStatus
    ) -> None:
        """Take the answer; the spec is the one that we read, since the write was guarded."""
        meta, rollouts = self.rollout.metadata, self.world.rollouts
        key, since = (meta.namespace, meta.name), rollouts.known.moment
        try:
            answer = await write
        except NotFound as error:
            rollouts.known.correct(key, None, since)
            raise Vanished(str(error)) from None
        except Conflict:
            await self.world.read(key)
            raise
        update = {"metadata": ObjectMeta.model_validate(answer["metadata"]), "status": status}
        self.rollout = self.rollout.model_copy(update=update)
        rollouts.remember(answer, self.rollout)

    async def _guarded(
        self, resource: Resource, name: str, write: Awaitable[dict[str, Any]]
    ) -> Outcome:
        observer = self.world.observer
        try:
            observer.remember(resource, await write)
        except Conflict:
            fresh = await self.world.kube.get(resource, name, self.rollout.namespace)
            observer.remember(resource, fresh)
            raise
        return Outcome.DONE

    def _check_ours(self, manifest: Mapping[str, Any]) -> None:
        """Raises UserError(ForeignObject) for a set that another owner has under our name."""
        owners = manifest["metadata"].get("ownerReferences") or ()
        if not any(item.get("uid") == self.rollout.metadata.uid for item in owners):
            name = manifest["metadata"]["name"]
            raise UserError(
                "ForeignObject",
                f"ReplicaSet {name} exists and does not belong to this Rollout;"
                " delete it, or give the Rollout another name",
            )


def _changes(group: tuple[Action, ...]) -> list[dict[str, Any]]:
    """The changes of one set as a JSON patch, if it still asks for as many pods as it did."""
    ops: list[dict[str, Any]] = []
    for action in group:
        if isinstance(action, actions.ScaleReplicaSet):
            ops.append({"op": "test", "path": "/spec/replicas", "value": action.was})
            ops.append({"op": "replace", "path": "/spec/replicas", "value": action.replicas})
        elif isinstance(action, actions.RelabelReplicaSet):
            for parent in ("", "/spec/template"):
                path = f"{parent}/metadata/labels/{_TYPE}"
                ops.append({"op": "add", "path": path, "value": action.role})
    return ops


def _changed_set(action: Action) -> str:
    """The set that a patch changes, so that neighbours can be joined; empty for the rest."""
    if isinstance(action, actions.ScaleReplicaSet | actions.RelabelReplicaSet):
        return action.name
    return ""
