"""The template of the Deployment that a Rollout names, or why there is none to take.

Asked by `plan` before anything is decided. What becomes of the Deployment's pods is in `workloads`.
"""

from fleet.api.meta import LabelSelector
from fleet.api.names import ROLLOUT_LABEL
from fleet.api.rollout import Rollout, RolloutSpec
from fleet.api.workload import ScaleDown, WorkloadRef
from fleet.kit import memory
from fleet.kulta.core.facts import specs
from fleet.kulta.core.facts.look import Look
from fleet.kulta.core.observed import Observed, Workload
from fleet.kulta.core.wait import Wait

OURS = ROLLOUT_LABEL.partition("/")[0] + "/"
"""How labels begin by which the engine knows its pods."""


def resolve(rollout: Rollout, observed: Observed) -> Rollout | Wait:
    """The Rollout with template and selector of the Deployment that it names; itself where it names
    none; why there is none to take."""
    ref = rollout.spec.workload_ref
    if ref is None:
        return rollout
    found = observed.workloads.get(ref.name)
    if found is None or found.is_going:
        return _absent(ref, observed)
    wait = _unfit(rollout, found, observed)
    return wait or rollout.model_copy(update={"spec": _whole(rollout.spec, found)})


def _absent(ref: WorkloadRef, observed: Observed) -> Wait:
    why = observed.workloads_unseen
    if why is not None:
        message = "no Deployment of this cluster has been seen yet" + (why and f": {why}")
        return Wait(reason="WorkloadPending", message=message, is_brief=not why)
    return Wait(
        reason="WorkloadNotFound",
        message=f"Deployment {ref.name} does not exist in this namespace; create it, "
        "or correct spec.workloadRef.name",
    )


def _unfit(rollout: Rollout, found: Workload, observed: Observed) -> Wait | None:
    if found.holder != rollout.name and found.holder in observed.holders:
        return Wait(
            reason="WorkloadTaken",
            message=f"Rollout {found.holder} takes the template of Deployment {found.name} "
            "already; name another Deployment, or delete that Rollout",
        )
    labels = (found.template.get("metadata") or {}).get("labels") or {}
    own = sorted(key for key in labels if key.startswith(OURS))
    if own:
        return Wait(
            reason="WorkloadUnfit",
            message=f"the template of Deployment {found.name} has the label {own[0]}, by which the "
            "engine knows its own pods; take it out",
        )
    return _too_few(rollout, found)


def _too_few(rollout: Rollout, found: Workload) -> Wait | None:
    """Who takes over a Deployment with fewer pods than it has says so by its size: `replicas` that
    nobody wrote is 1, and would be what is left of many."""
    ref, status, wanted = rollout.spec.workload_ref, rollout.status, rollout.spec.replicas
    keeps = ref is None or ref.scale_down is ScaleDown.NEVER
    if keeps or status.current_pod_hash or wanted >= found.replicas:
        return None
    return Wait(
        reason="WorkloadUnfit",
        message=f"Deployment {found.name} has {found.replicas} pods and spec.replicas is {wanted}; "
        f"write replicas: {found.replicas}, or give the Deployment {wanted} first",
    )


def goes_on(look: Look) -> bool:
    """Whether a revision that has begun is brought to its end without the Deployment: judged,
    promoted or taken back, beside the stable one. What asks for the template has to wait."""
    status, strategy = look.rollout.status, look.spec.strategy
    canary = strategy.canary
    asks = strategy.ab_testing is not None or (canary is not None and canary.session_affinity)
    if asks or look.lacking is None or look.lacking.is_brief or status.overruled_pod_hash:
        return False
    return bool(status.stable_pod_hash) and status.current_pod_hash in look.sets


def _completed(spec: RolloutSpec, found: Workload) -> RolloutSpec:
    selector = spec.selector
    if selector.is_empty:
        selector = LabelSelector.model_validate(found.selector)
    update = {"template": found.template, "selector": selector, "workload_ref": None}
    return spec.model_copy(update=update)


_whole = memory.of_two(_completed, specs.IN_USE)
