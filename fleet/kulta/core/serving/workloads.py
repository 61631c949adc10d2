"""workloadRef: a Deployment's template instead of one's own, and its pods replaced without a gap.

`plan` asks `templates` before anything is decided and `migrate` when everything is; the way back is
in `restoring`. The Deployment is held by an annotation, so that one Rollout alone takes its pods:

    held → the first revision is ready and serves → 0 pods, how many there were is kept
    Rollout deleted → as many pods again → they are behind the Services → let go

`Progressively` is a rolling update in which the Deployment is the oldest revision.
"""

from collections.abc import Callable, Iterator

from fleet.api import conditions
from fleet.api.conditions import Condition, condition
from fleet.api.rollout import Phase
from fleet.api.workload import ScaleDown, WorkloadRef, WorkloadStatus
from fleet.kulta.core.actions import Action, ChangeWorkload, Plan
from fleet.kulta.core.draft import Draft
from fleet.kulta.core.facts import replicas
from fleet.kulta.core.facts.look import Look
from fleet.kulta.core.facts.replicas import Count
from fleet.kulta.core.observed import Observed, Service, Workload
from fleet.kulta.core.record import contests, decisions
from fleet.kulta.core.serving import traffic
from fleet.kulta.core.wait import Wait

READY = "WorkloadReady"
"""The condition that tells of it."""
DEPLOYMENT = ""
"""Its place among the revisions of a rolling update."""


def stand_still(look: Look, wait: Wait, *before: Action) -> Plan:
    """Whatever serves goes on, and why nothing else happens is told; a brief wait is not."""
    stored, generation = look.rollout.status, look.rollout.metadata.generation
    if wait.is_brief:
        return Plan(status=stored, actions=before)
    kept = tuple(item for item in stored.conditions if item.type != "InvalidSpec")
    found = condition(READY, False, wait.reason, wait.message)
    updated = conditions.updated(kept, (found,), look.now, generation)
    told = {"conditions": updated, "message": wait.message, "observed_generation": generation}
    warnings = tuple(decisions.warnings(stored.conditions, updated))
    return Plan(status=stored.model_copy(update=told), actions=before, after=warnings)


def migrate(draft: Draft, stays: Callable[[Draft], bool]) -> None:
    """Size the Deployment, and where both are replaced pod by pod the revisions too. `stays`: who
    tells whether pods that had the traffic stay for a while."""
    ref = draft.look.reference
    draft.workloads.extend(left_over(draft.look))
    if ref is None:
        draft.set(workload_ref=None)
    if ref is None or draft.look.lacking is not None:
        return
    found = draft.look.observed.workloads[ref.name]
    is_spared = draft.phase is Phase.COMPLETED and not _was_empty(draft, found) and stays(draft)
    size = found.replicas if is_spared else _size(draft, ref, found)
    original = _original(draft, found)
    if size < found.replicas and not original:
        original = found.replicas
    if (size, draft.name, original) != (found.replicas, found.holder, found.original):
        draft.workloads.append(changed(found, size, draft.name, original))
    told = WorkloadStatus(
        name=found.name,
        uid=found.uid,
        original=original,
        observed_generation=found.generation,
        scaled_down=bool(draft.stable) and (not size or _was_empty(draft, found)),
    )
    draft.set(workload_ref=told)


def left_over(look: Look) -> Iterator[ChangeWorkload]:
    """Deployments that we hold and do not name any more are let go as they are; how many pods each
    had stays written on it while it has fewer."""
    ref = look.reference
    for item in look.observed.workloads.values():
        if item.holder == look.rollout.name and (ref is None or ref.name != item.name):
            is_less = item.original is not None and item.replicas < item.original
            yield changed(item, item.replicas, "", item.original if is_less else None)


def _known(draft: Draft, found: Workload) -> WorkloadStatus | None:
    """What the status says of this very Deployment, not of one that had its name before."""
    known = draft.look.rollout.status.workload_ref
    is_same = known is not None and known.name == found.name and known.uid in ("", found.uid)
    return known if is_same else None


def _original(draft: Draft, found: Workload) -> int | None:
    """Pods that it had before us, though somebody has removed what we wrote on it; None while it
    has them, or where nobody knows."""
    known = _known(draft, found)
    original = found.original
    if original is None and known is not None:
        original = known.original
    is_new = found.holder != draft.name and found.replicas > (original or 0)
    return None if is_new else original


def _was_empty(draft: Draft, found: Workload) -> bool:
    """Whether all its pods were taken, which is told together with the write that takes them:
    whoever scales it up again is seen, however soon."""
    known = _known(draft, found)
    return known is not None and known.scaled_down


def _size(draft: Draft, ref: WorkloadRef, found: Workload) -> int:
    """Pods that the Deployment shall have."""
    if not draft.stable and draft.phase is Phase.FAILED:
        return _give_back(draft, found)
    if ref.scale_down is ScaleDown.NEVER:
        return found.replicas
    if not draft.stable:
        is_rolling = ref.scale_down is ScaleDown.PROGRESSIVELY and draft.size(draft.current) > 0
        return _roll(draft, found) if is_rolling else found.replicas
    ready = sum(draft.look.ready(item) for item in draft.look.sets)
    if not found.replicas or ready < draft.look.bounds.least:
        return found.replicas
    if _was_empty(draft, found):
        what = f"the replicas of Deployment {found.name}"
        draft.contest = contests.put_back(draft, "WorkloadContested", what + _scaler(found))
    return found.replicas if draft.contest else 0


def base(draft: Draft) -> str:
    """The revision that the stable Service shall have while the current one is on its way: that
    one too where the stable one is gone. Empty where it has the pods of a Deployment, and keeps
    them."""
    ref, name = draft.look.reference, draft.traits.stable_service
    if draft.is_bereft and (draft.look.ready(draft.current) or _leads(draft, name)):
        return draft.current
    if draft.stable or ref is None:
        return draft.stable or draft.current
    found, item = draft.look.observed.workloads[ref.name], draft.look.observed.services.get(name)
    is_theirs = item is not None and found.replicas > 0 and selects(item, found)
    return "" if is_theirs else draft.current


def _leads(draft: Draft, name: str) -> bool:
    return traffic.target(draft, name) == draft.current


def is_replaced(draft: Draft) -> bool:
    """Whether the stable Service was switched from pods of the Deployment to the first revision:
    requests that are on their way there still have them for `scaleDownDelay`."""
    look, name = draft.look, draft.traits.stable_service
    ref, item = look.reference, look.observed.services.get(name)
    found = look.observed.workloads.get(ref.name) if ref is not None else None
    if draft.stable or found is None or item is None or look.lacking is not None:
        return False
    return found.replicas > 0 and selects(item, found)


def selects(item: Service, found: Workload) -> bool:
    """Whether the Service's own selector chooses pods of the Deployment."""
    own = item.selector if item.original is None else item.original
    labels = (found.template.get("metadata") or {}).get("labels") or {}
    return bool(own) and own.items() <= labels.items()


def is_coming(draft: Draft, item: Service) -> bool:
    """Whether a Service that is not ours asks for pods of the Deployment and has none of them:
    whoever is behind it still serves."""
    ref, seen = draft.look.reference, draft.look.observed
    found = seen.workloads.get(ref.name) if ref is not None else None
    if found is None or item.original is not None or not found.replicas:
        return False
    return selects(item, found) and not strangers(seen, item.name)


def strangers(observed: Observed, name: str) -> int:
    """Addresses of a Service that are no pods of ours."""
    ours = {pod.uid for pod in observed.pods}
    return len(observed.endpoints.get(name, frozenset()) - ours)


def _scaler(found: Workload) -> str:
    if found.autoscaled:
        return " (a HorizontalPodAutoscaler: let its scaleTargetRef name this Rollout)"
    return f" ({found.scaler})" if found.scaler else ""


def _roll(draft: Draft, found: Workload) -> int:
    """One step of the rolling update from the Deployment to the current revision."""
    have = {item: draft.look.count(item) for item in (draft.current, *draft.others())}
    have[DEPLOYMENT] = Count(replicas=found.replicas, ready=min(found.ready, found.replicas))
    wanted = {item: draft.size(item) for item in have if item} | {DEPLOYMENT: 0}
    sizes = dict(replicas.roll(draft.look.bounds, have, wanted))
    size = sizes.pop(DEPLOYMENT)
    draft.arrange(sizes)
    return size


def _give_back(draft: Draft, found: Workload) -> int:
    """The first revision was taken back: the Deployment serves again, then its pods go."""
    full = max(found.replicas, found.original or 0)
    name = draft.traits.stable_service
    if not full or (name and traffic.target(draft, name) == draft.current):
        return full
    draft.detour = traffic.release(draft, name) or draft.detour
    if traffic.weight(draft):
        draft.detour = traffic.weigh(draft, 0)
    item = draft.look.observed.services.get(name)
    if draft.detour is None and item is not None and is_coming(draft, item):
        message = f"Service {name} does not yet have the pods of Deployment {found.name}"
        draft.detour = Wait(reason="EndpointsPending", message=message, is_brief=True)
    if draft.detour is None and serves(found, full):
        draft.arrange(dict.fromkeys(draft.look.sets, 0))
    return full


def serves(found: Workload, full: int) -> bool:
    """Whether so many of its pods are ready, of those that it asks for now."""
    return found.is_current and found.ready >= full


def changed(found: Workload, size: int, holder: str, original: int | None) -> ChangeWorkload:
    """The Deployment with another size, or held by another Rollout, or by none."""
    return ChangeWorkload(
        name=found.name,
        resource_version=found.resource_version,
        replicas=size,
        holder=holder,
        original=original,
    )


def is_held(look: Look) -> bool:
    """Whether a Deployment is, or was when the status was written, ours to give back."""
    return look.reference is not None or look.rollout.status.workload_ref is not None


def ready(draft: Draft) -> int:
    """Ready pods of the Deployment, as long as it serves beside the first revision."""
    ref = draft.look.reference
    return draft.look.observed.workloads[ref.name].ready if ref and not draft.stable else 0


def told(draft: Draft) -> Iterator[Condition]:
    """The condition about it, where there is one to tell of."""
    ref, wait, lacking = draft.look.reference, draft.contest, draft.look.lacking
    if ref is None:
        return
    if lacking is not None:
        yield condition(READY, False, lacking.reason, lacking.message)
        return
    if wait is not None:
        yield condition(READY, False, wait.reason, wait.message)
        yield condition("Degraded", True, wait.reason, wait.message)
        return
    found = draft.look.observed.workloads[ref.name]
    said = f"the template is that of Deployment {ref.name}"
    if ref.scale_down is ScaleDown.NEVER:
        yield condition(READY, True, "WorkloadKept", f"{said}, which keeps its pods")
    elif draft.stable and not found.replicas:
        yield condition(READY, True, "WorkloadMigrated", f"{said}, whose pods are replaced")
    elif found.autoscaled:
        message = f"{said}, which a HorizontalPodAutoscaler scales; let its scaleTargetRef name "
        message += f"Rollout {draft.name} instead"
        yield condition(READY, True, "WorkloadAutoscaled", message)
    else:
        message = f"{said}, whose pods go when the first revision is ready"
        yield condition(READY, True, "WorkloadServing", message)
