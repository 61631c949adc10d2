"""A Rollout with its ReplicaSets and pods as a person wants to see them: frozen values, no client.

Made from the objects of an API server by `of`; read by everything here that draws or decides. What
the engine thinks of it stands in the status; nothing is guessed beside it.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from fleet.api import names
from fleet.api.meta import Manifest, read_time
from fleet.api.rollout import Phase, Rollout
from fleet.api.strategy import weight_at
from fleet.kit import hashing
from fleet.kulta.core import phases
from fleet.kulta.core.strategies import name as strategy_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """One pod, in the words of `kubectl get pods`."""

    name: str
    status: str
    ready: str
    """`1/2`: containers."""
    is_ready: bool
    restarts: int
    leaving: bool
    """It is to be replaced: `restart`."""
    created: datetime | None
    node: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """One ReplicaSet and its pods."""

    hash: str
    name: str
    number: int
    """From 1; 0 where an older engine has not counted."""
    role: str
    """`stable`, `canary`, `preview` …; what was taken back is `failed`, what has no pods `old`."""
    desired: int
    ready: int
    images: tuple[str, ...]
    created: datetime | None
    weight: int | None
    """Percent of the traffic that is in force; None where nobody divides it by percent."""
    pods: tuple[Pod, ...]
    manifest: Manifest

    @property
    def is_shown(self) -> bool:
        """Whether it has or shall have pods, or had to give them up."""
        return bool(self.desired or self.pods or self.role == "failed")


@dataclass(frozen=True, kw_only=True)
class Family:
    """See the module. Revisions come newest first."""

    manifest: Manifest
    rollout: Rollout
    revisions: tuple[Revision, ...]

    @property
    def name(self) -> str:
        return self.rollout.name

    @property
    def strategy(self) -> str:
        """The member of `spec.strategy`; empty where there is none or more than one."""
        return strategy_name(self.rollout.spec.strategy)

    @property
    def phase(self) -> Phase | None:
        return self.rollout.status.phase

    @property
    def ready(self) -> str:
        """`3/4`: ready pods of all that are asked for."""
        desired = sum(item.desired for item in self.revisions)
        return f"{sum(item.ready for item in self.revisions)}/{desired}"

    @property
    def is_active(self) -> bool:
        """Whether a revision is on its way."""
        return phases.is_active(self.phase)

    @cached_property
    def wanted(self) -> str:
        """The revision that the spec asks for, or the Deployment as the engine saw it last."""
        if self.rollout.spec.workload_ref is not None:
            status = self.rollout.status
            known = status.overruled_pod_hash or status.current_pod_hash
            return known or f"of {self.source.removeprefix('the template of ')}"
        return hashing.pod_hash(self.rollout.spec.template)

    @property
    def source(self) -> str:
        """Where its template stands."""
        ref = self.rollout.spec.workload_ref
        return "spec.template" if ref is None else f"the template of Deployment {ref.name}"

    def find(self, word: str) -> Revision | None:
        """The revision of that number, or whose hash begins so (four digits at least)."""
        by_number = [item for item in self.revisions if str(item.number) == word]
        by_hash = [item for item in self.revisions if len(word) > 3 and item.hash.startswith(word)]
        found = by_number or by_hash
        return found[0] if len(found) == 1 else None

    def label(self, revision: str) -> str:
        """`revision 3 (6f9c2d1a00)`; without a number where nobody has counted."""
        found = next((item for item in self.revisions if item.hash == revision), None)
        return (
            f"revision {found.number} ({revision})"
            if found and found.number
            else f"revision {revision}"
        )

    def short(self, revision: str) -> str:
        """`revision 3`, where it has been told which that is."""
        return self.label(revision).partition(" (")[0]


def of(manifest: Manifest, sets: Iterable[Manifest], pods: Iterable[Manifest]) -> Family:
    """The family of a Rollout out of the sets and pods of its namespace that carry its label."""
    rollout = Rollout.parse(manifest)
    owned = [item for item in sets if _owner(item) == rollout.metadata.uid]
    by_owner: dict[str, list[Pod]] = {}
    for item in sorted(pods, key=lambda x: str(x["metadata"]["name"])):
        by_owner.setdefault(_owner(item), []).append(pod(item))
    found = [_revision(rollout, item, tuple(by_owner.get(_uid(item), ()))) for item in owned]
    found.sort(key=lambda item: (item.number, _moment(item.created), item.hash), reverse=True)
    return Family(manifest=manifest, rollout=rollout, revisions=tuple(found))


def _revision(rollout: Rollout, manifest: Manifest, pods: tuple[Pod, ...]) -> Revision:
    meta, spec = manifest["metadata"], manifest["spec"]
    revision = (meta.get("labels") or {}).get(names.HASH_LABEL, "")
    template = spec.get("template") or {}
    kind = (template.get("metadata", {}).get("labels") or {}).get(names.TYPE_LABEL, "")
    desired = spec.get("replicas", 1)
    text = (meta.get("annotations") or {}).get(names.REVISION_ANNOTATION, "")
    return Revision(
        hash=revision,
        name=meta["name"],
        number=int(text) if re.fullmatch(r"[0-9]{1,9}", text) else 0,
        role=_role(rollout, revision, kind, is_there=bool(desired or pods)),
        desired=desired,
        ready=min(sum(item.is_ready for item in pods), desired),
        images=tuple(
            item.get("image", "") for item in template.get("spec", {}).get("containers", ())
        ),
        created=read_time(meta.get("creationTimestamp")),
        weight=weights(rollout).get(revision),
        pods=pods,
        manifest=manifest,
    )


def _role(rollout: Rollout, revision: str, kind: str, *, is_there: bool) -> str:
    status = rollout.status
    if revision == status.failed_pod_hash:
        return "failed"
    if revision == status.stable_pod_hash:
        return kind or "stable"
    return kind if is_there else "old"


def weights(rollout: Rollout) -> Mapping[str, int]:
    """Revision → percent of the traffic in force, where the strategy divides it by percent."""
    status = rollout.status
    stable, current = status.stable_pod_hash, status.current_pod_hash
    if rollout.spec.strategy.canary is None:
        return {}
    if not phases.is_active(status.phase) or stable == current:
        return {stable or current: 100}
    weight = in_force(rollout)
    return {stable: 100 - weight, current: weight} if stable else {current: 100}


def in_force(rollout: Rollout) -> int:
    """The percent of the last canary step that was reached; 0 before the first."""
    canary, status = rollout.spec.strategy.canary, rollout.status
    reached = status.reached_step_index
    if canary is None or reached is None or not canary.way:
        return 0
    if reached == status.current_step_index and status.current_weight is not None:
        return status.current_weight
    return weight_at(canary.way, min(reached, len(canary.way) - 1))


def pod(manifest: Manifest) -> Pod:
    """A pod of the API server."""
    meta, status = manifest["metadata"], manifest.get("status") or {}
    spec, states = manifest.get("spec") or {}, status.get("containerStatuses") or ()
    ready = sum(bool(item.get("ready")) for item in states)
    return Pod(
        name=meta["name"],
        status=_status(meta, status, states),
        ready=f"{ready}/{len(states) or len(spec.get('containers') or ())}",
        is_ready="deletionTimestamp" not in meta
        and any(
            item.get("type") == "Ready" and item.get("status") == "True"
            for item in status.get("conditions") or ()
        ),
        restarts=sum(item.get("restartCount", 0) for item in states),
        leaving=(meta.get("annotations") or {}).get(names.LEAVING_ANNOTATION) == names.LEAVING,
        created=read_time(meta.get("creationTimestamp")),
        node=spec.get("nodeName", ""),
        address=status.get("podIP", ""),
    )


def _status(meta: Manifest, status: Manifest, states: Iterable[Manifest]) -> str:
    """The word of `kubectl get pods`: what is wrong with a container goes before the phase."""
    if "deletionTimestamp" in meta:
        return "Terminating"
    for item in states:
        state = item.get("state") or {}
        for kind in ("waiting", "terminated"):
            if (state.get(kind) or {}).get("reason"):
                return str(state[kind]["reason"])
    return str(status.get("reason") or status.get("phase") or "Pending")


def _owner(manifest: Manifest) -> str:
    owners = manifest["metadata"].get("ownerReferences") or ()
    return next((str(item["uid"]) for item in owners if item.get("controller")), "")


def _uid(manifest: Manifest) -> str:
    return str(manifest["metadata"]["uid"])


def _moment(created: datetime | None) -> float:
    return created.timestamp() if created else 0.0
