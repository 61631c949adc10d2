"""Traffic: points Services at revisions and divides it by the router, one safe move at a time.

Called by strategies, promotion and retreat. Each function puts the next move into the draft and
answers with what it waits for; None means that it is so already, in the world and not just in a
spec. Without a router, Services that do not exist are nobody's loss.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from fleet.kulta.core.actions import DeleteRoute, WriteRoute
from fleet.kulta.core.draft import Draft
from fleet.kulta.core.record import contests
from fleet.kulta.core.routers import settling
from fleet.kulta.core.routers.base import Branch, Division
from fleet.kulta.core.serving import divisions, services
from fleet.kulta.core.wait import Wait, for_pods


def survey(draft: Draft) -> Wait | None:
    """What is missing altogether; where pods divide the traffic, nobody needs anything else."""
    if draft.traits.is_counted:
        return None
    for name in draft.traits.services:
        if name not in draft.look.observed.services:
            return Wait(
                reason="ServiceNotFound",
                message=f"Service {name} does not exist in namespace "
                f"{draft.look.rollout.namespace}; create it, or correct its name in the strategy",
            )
    found = (divisions.problem(item, draft.look.observed) for item in _divisions(draft))
    return _first(found)


def is_managed(draft: Draft) -> bool:
    """Whether any Service of the strategy exists, so that traffic has to be switched."""
    return any(name in draft.look.observed.services for name in draft.traits.services)


def target(draft: Draft, name: str) -> str:
    """The revision at which a Service points; empty when it is not ours or not there."""
    service = draft.look.observed.services.get(name)
    return services.target(service, draft.look.rollout) if service is not None else ""


def point(draft: Draft, name: str, revision: str) -> Wait | None:
    """Service `name` shall select the pods of `revision`."""
    service = draft.look.observed.services.get(name)
    if service is None or not revision:
        return None
    rollout = draft.look.rollout
    if services.is_foreign(service, rollout):
        return Wait(
            reason="ForeignObject",
            message=f"Service {name} is managed for another Rollout; name another Service",
        )
    draft.manages_traffic = True
    if services.target(service, rollout) == revision:
        return None
    wished = services.adopted(service)
    if wished is service and services.is_undone(service, rollout):
        wait = contests.put_back(draft, "SelectorContested", f"the selector of Service {name}")
        if wait is not None:
            return wait
    draft.traffic[f"service/{name}"] = services.point(wished, rollout, revision)
    return services.pending(wished, draft.look, revision)


def endpoints(draft: Draft, name: str, revision: str, count: int) -> Wait | None:
    """Service `name` shall have at least `count` addresses, ready pods of `revision` and no others.

    Slices carry no generation, so the uids decide whether they are those of the new selector.
    """
    service = draft.look.observed.services.get(name)
    if service is None:
        return None
    addresses = draft.look.observed.endpoints.get(name, frozenset())
    ready = draft.look.ready_pods(revision)
    if addresses <= ready and len(addresses) >= count:
        return None
    return services.pending(service, draft.look, revision)


def is_away(draft: Draft) -> bool:
    """Whether the stable Service points at another revision than the stable one."""
    return target(draft, draft.traits.stable_service) not in ("", draft.stable)


def weight(draft: Draft) -> int:
    """Percent of the traffic that may go to the canary Service at present; 0 without a router."""
    shares = (x.router.weight(x.route, x.parts) for x in _divisions(draft) if x.route)
    return max(shares, default=0)


def weigh(
    draft: Draft,
    percent: int,
    *,
    was: int | None = None,
    mirrors: bool = False,
    beside: bool = False,
) -> Wait | None:
    """The canary Service shall get `percent` of the traffic; None once the gateway has taken it.

    `was`: the weight that is known to have been in force, so a difference is somebody's doing.
    `mirrors`: it shall get a copy of each request besides. `beside`: those whom the strategy names
    shall get it whatever the percentage.
    """
    found = _divisions(draft)
    if mirrors or (beside and draft.traits.beside):
        ways = draft.traits.beside if beside else None
        parts = (replace(item.parts, mirrors=mirrors, beside=ways) for item in found)
        found = tuple(replace(x, parts=part) for x, part in zip(found, parts, strict=True))
    return _divide(draft, found, percent, was == percent)


def relieve(draft: Draft, percent: int) -> Wait | None:
    """Where some route cannot be written, at most `percent` by all others; None when it is so."""
    found, seen = _divisions(draft), draft.look.observed
    fit = [item for item in found if divisions.problem(item, seen) is None]
    _clear(draft, [item for item in found if item.source is None])
    return _divide(draft, fit, percent, False)


def branch(draft: Draft, arms: Collection[str], *, was: bool = False) -> Wait | None:
    """Those who ask for one of `arms` shall get it, all others the stable revision.

    `was`: it is known to have been so, so a difference is somebody's doing.
    """
    kept = [arm.branch for arm in draft.traits.arms if arm.name in arms]
    return _divide(draft, _divisions(draft, kept or None), 100 if arms else 0, was)


def pending(draft: Draft) -> Wait | None:
    """Why a route as it is written is not in force yet; None where there is none to wait for."""
    return _first(_in_force(draft, item) for item in _divisions(draft))


def room(draft: Draft) -> Wait | None:
    """Why a route cannot hold what the strategy wants of it, which only its owner can mend."""
    return _first(x.router.misfit(x.route, x.parts) for x in _divisions(draft) if x.route)


def _divide(draft: Draft, found: Sequence[Division], percent: int, contested: bool) -> Wait | None:
    """All of them at `percent`; where one cannot be written none gets more, but the others less."""
    problems = [_problem(draft, item, percent) for item in found]
    problem = _first(problems)
    if problem is not None and percent > weight(draft):
        return problem
    fit = [item for item, wait in zip(found, problems, strict=True) if wait is None]
    draft.manages_traffic = draft.manages_traffic or bool(fit)
    written = [(x, x.router.weighted(x.route or {}, x.parts, percent)) for x in fit]
    changes = [(item, changed) for item, changed in written if changed is not None]
    if not changes:
        wait = problem or _first(_in_force(draft, item) for item in fit)
        if wait is None and not percent and not draft.is_active:
            _clear(draft, fit)
        return wait
    undone = [item for item, _ in changes if contested and _was_ours(draft, item)]
    wait = _contested(draft, undone[0]) if undone else None
    if wait is not None:
        return wait
    for item, changed in changes:
        made = settling.stamped(changed, draft.now) if item.router.is_silent else changed
        draft.traffic["route/" + "/".join(item.place)] = WriteRoute(manifest=made)
    said = " and ".join(" ".join(item.place) for item, _ in changes)
    message = f"{said} is written: {percent}% to the new revision"
    return problem or Wait(reason="RoutePending", message=message, is_brief=True)


def _contested(draft: Draft, item: Division) -> Wait | None:
    what = "rules" if item.parts.branches else "weights"
    return contests.put_back(draft, "WeightsContested", f"the {what} of {' '.join(item.place)}")


def _was_ours(draft: Draft, item: Division) -> bool:
    """Whether the object was to have the weights before: labels may bring new ones, and our own
    steps go on."""
    if item.router.makes or item.router.is_underway(item.route or {}, item.parts):
        return False
    return bool(item.spot.target.name) or draft.name in item.router.kept(item.route or {})


def _in_force(draft: Draft, item: Division) -> Wait | None:
    """Why what is written is not in force; what only takes its time ends at its time."""
    wait = item.router.pending(item.route) if item.route is not None else None
    if wait is None or wait.until is None:
        return wait
    if draft.now >= wait.until:
        return None
    draft.wake(wait.until)
    return wait


def _clear(draft: Draft, found: Iterable[Division]) -> None:
    """What we made beside the user's objects goes when it has nothing to divide any more."""
    for item in found:
        if item.router.makes and item.route is not None:
            draft.traffic["route/" + "/".join(item.place)] = DeleteRoute(manifest=item.route)


def collect(
    draft: Draft, revision: str, count: int, percent: int = 0, *, was: int | None = None
) -> Wait | None:
    """The stable Service at `revision` with `count` addresses, then all but `percent` to it."""
    name = draft.traits.stable_service
    return (
        survey(draft)
        or point(draft, name, revision)
        or endpoints(draft, name, revision, count)
        or weigh(draft, percent, was=was)
    )


def aim(draft: Draft, stable: str, new: str | Mapping[str, str], *, left: int = 0) -> Wait | None:
    """The stable Service at `stable`, as its user wrote it where that is empty; the others at
    `new`, without traffic meanwhile.

    `new`: a revision, or one for each Service. `left`: percent that must stay where it is for now.
    """
    name = draft.traits.stable_service
    wait = survey(draft)
    if stable:
        wait = wait or _served(draft, stable) or point(draft, name, stable)
    else:
        wait = wait or release(draft, name)
    for name in draft.traits.new_services:
        wait = wait or _lead(draft, name, new if isinstance(new, str) else new[name], left)
    return wait


def follow(draft: Draft, revision: str) -> Wait | None:
    """Every Service of something new at `revision`, when none of them has traffic any more."""
    return _first([point(draft, name, revision) for name in draft.traits.new_services])


def release(draft: Draft, name: str) -> Wait | None:
    """Service `name` selects the pods again that it had before a revision that is given up."""
    service, found = draft.look.observed.services.get(name), target(draft, name)
    if service is None or found in ("", draft.current):
        return None
    draft.traffic[f"service/{name}"] = services.give_back(service)
    message = f"Service {name} goes back to the pods that it had before"
    return Wait(reason="EndpointsPending", message=message, is_brief=True)


def _lead(draft: Draft, name: str, revision: str, left: int) -> Wait | None:
    service = draft.look.observed.services.get(name)
    wait = None
    if service is not None and target(draft, name) != revision:
        undone = services.is_undone(service, draft.look.rollout)
        wait = None if undone else weigh(draft, left)
    if wait is None and left and not _takes_over(draft, revision):
        return taking_back(draft.stable)
    return wait or point(draft, name, revision)


def _takes_over(draft: Draft, revision: str) -> bool:
    """Whether it serves in place of one that is given up, since the stable one has no set left."""
    return draft.stable not in draft.look.sets and draft.look.ready(revision) > 0


def taking_back(stable: str) -> Wait:
    """Traffic comes back as fast as pods do."""
    message = f"the stable revision {stable} takes back traffic as its pods are ready"
    return for_pods(message, stable)


def _served(draft: Draft, revision: str) -> Wait | None:
    """A stable Service that serves is not taken away to a revision without ready pods."""
    name = draft.traits.stable_service
    addresses = draft.look.observed.endpoints.get(name)
    if not addresses or target(draft, name) == revision or draft.look.ready_pods(revision):
        return None
    message = f"revision {revision} has no ready pod; Service {name} stays where it is"
    return for_pods(message, revision)


def _divisions(draft: Draft, branches: Collection[Branch] | None = None) -> tuple[Division, ...]:
    if draft.divisions is None:
        draft.divisions = divisions.of(draft.look.rollout, draft.traits, draft.look.observed)
    if branches is None:
        return draft.divisions
    kept = tuple(branches)
    return tuple(replace(x, parts=replace(x.parts, branches=kept)) for x in draft.divisions)


def _problem(draft: Draft, item: Division, percent: int) -> Wait | None:
    """Why `percent` cannot be written into an object."""
    wait = divisions.problem(item, draft.look.observed)
    if wait is None and item.route is not None and (percent or item.parts.beside):
        return item.router.misfit(item.route, item.parts)
    return wait


def _first(waits: Iterable[Wait | None]) -> Wait | None:
    return next((wait for wait in waits if wait is not None), None)
