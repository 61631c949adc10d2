"""The end of a rollout that went badly: traffic back to the stable revision first, then the pods.

`fail` decides it, `keep` brings it about and keeps it so until the template changes or somebody
asks for a retry. If the stable revision has no ready pod, traffic stays where ready pods are.
"""

from collections.abc import Mapping

from fleet.api.analysis import MetricResult
from fleet.api.rollout import Phase
from fleet.kulta.core.draft import Draft
from fleet.kulta.core.ending import promotion
from fleet.kulta.core.facts import replicas
from fleet.kulta.core.facts.replicas import Bounds
from fleet.kulta.core.record import decisions
from fleet.kulta.core.serving import returns, traffic
from fleet.kulta.core.wait import Wait, for_pods

ABSENT = frozenset(
    {"ServiceNotFound", "RouteNotFound", "RouteWithoutServices", "RouterNotInstalled"}
)
"""Where nothing divides traffic any more, pods need not wait for it."""


def fail(
    draft: Draft, reason: str, message: str, metrics: Mapping[str, MetricResult] | None = None
) -> None:
    """Take the current revision back: Failed until the template changes or a retry is asked for."""
    step = draft.status.current_step_index
    alone = not draft.stable
    if alone:
        message += "; there is no stable revision to go back to"
    decisions.note(
        draft,
        "Rollback",
        reason,
        message,
        metrics=metrics,
        phase=Phase.FAILED,
        from_step=step,
        weight=draft.status.current_weight if alone else 0,
    )
    proven = (item for item in draft.status.proven_pod_hashes if item != draft.current)
    draft.set(
        failed_pod_hash=draft.current,
        proven_pod_hashes=tuple(proven),
        current_weight=draft.status.current_weight if alone else 0,
        pause_start_time=None,
        progress_started_at=None,
        previous_pod_hash="",
        promoted_at=draft.now if not alone and traffic.is_away(draft) else None,
        pause_requested=False,
    )
    draft.move(Phase.FAILED)


def keep(draft: Draft) -> None:
    """See to it that the stable revision serves and the failed one does not."""
    if not draft.stable or draft.stable not in draft.look.sets:
        draft.scale(draft.current, draft.look.total)
        if draft.is_bereft and draft.look.ready(draft.current):
            draft.detour = traffic.collect(draft, draft.current, 1)
        if draft.look.ready(draft.current) >= draft.look.total:
            if not traffic.weight(draft):
                traffic.follow(draft, draft.current)
            draft.arrange(dict.fromkeys(promotion.idle(draft), 0))
        return
    draft.detour = _counted(draft) if draft.traits.is_counted else _switched(draft)


def _switched(draft: Draft) -> Wait | None:
    """Traffic by Services and router: stable Service, weights, and only then the pods."""
    stable, total = draft.stable, draft.look.total
    draft.scale(stable, total)
    ready = draft.look.ready(stable)
    if total and not ready:
        return _nowhere(stable)
    left = returns.remaining(draft)
    wait = traffic.collect(draft, stable, min(ready, 1), left, was=_was(draft))
    if wait is None and left:
        wait = traffic.taking_back(stable)
    if wait is not None and wait.reason not in ABSENT:
        return wait
    if wait is not None and wait.reason != "ServiceNotFound":
        rest = _relieved(draft, stable, min(ready, 1), left)
        if rest is not None:
            return rest
    if wait is None:
        wait = traffic.follow(draft, stable)
    _remove(draft)
    return wait


def _relieved(draft: Draft, stable: str, count: int, left: int) -> Wait | None:
    """One route is missing: the others may still lead to what failed."""
    if not (traffic.weight(draft) or draft.traits.beside):
        return None
    name = draft.traits.stable_service
    return (
        traffic.point(draft, name, stable)
        or traffic.endpoints(draft, name, stable, count)
        or traffic.relieve(draft, left)
    )


def _was(draft: Draft) -> int | None:
    """0 when the weights were back already: the failed pods go only then."""
    return None if draft.look.replicas(draft.current) else 0


def _counted(draft: Draft) -> Wait | None:
    """Traffic by numbers of pods: the stable set grows at once, the failed one gives way to it."""
    stable, current = draft.stable, draft.current
    rest = [item for item in (current, *draft.others()) if item and item != stable]
    limits = draft.look.bounds
    extra = sum(draft.look.replicas(item) for item in rest)
    roomy = Bounds(total=limits.total, surge=limits.surge + extra, unavailable=limits.unavailable)
    wanted = {stable: limits.total, **dict.fromkeys(rest, 0)}
    kept = promotion.behind(draft, stable)
    if kept in wanted:
        wanted[kept] = 1
    have = {key: draft.look.count(key) for key in wanted}
    draft.arrange(replicas.roll(roomy, have, wanted))
    if limits.total and not draft.look.ready(stable):
        return _nowhere(stable)
    wait = traffic.point(draft, draft.traits.stable_service, stable)
    return wait or traffic.follow(draft, stable)


def _remove(draft: Draft) -> None:
    """The failed pods go, after a while if the stable Service led to them just now."""
    stays, total = promotion.keeps(draft), draft.look.total
    for item in (draft.current, *draft.others()):
        if item != draft.stable:
            draft.scale(item, min(draft.size(item), total) if stays else 0)


def _nowhere(stable: str) -> Wait:
    return for_pods(
        f"the stable revision {stable} has no ready pod; traffic stays where ready pods are",
        stable,
    )
