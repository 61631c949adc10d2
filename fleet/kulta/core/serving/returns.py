"""Traffic on its way: whom Services still reach, and how much the stable revision can take back.

Questions only, for those who scale down and take traffic away; `traffic` makes the moves. What a
Service selects and where its addresses lead are two things until its slices have followed.
"""

from collections.abc import Collection

from fleet.kulta.core.draft import Draft
from fleet.kulta.core.serving import traffic, workloads


def reached(draft: Draft, name: str) -> frozenset[str]:
    """The revisions to which the addresses of a Service lead, whatever it selects: of one of ours,
    or of one that goes back to a Deployment and has not its pods yet."""
    service = draft.look.observed.services.get(name)
    addresses = draft.look.observed.endpoints.get(name, frozenset())
    known = draft.look.observed.pods
    if service is None:
        return frozenset()
    if service.original is None and not workloads.is_coming(draft, service):
        return frozenset()
    return frozenset(item.hash for item in known if item.uid in addresses)


def is_served(draft: Draft, revision: str, uids: Collection[str]) -> bool:
    """Whether these pods are among the addresses of every Service that points at `revision`."""
    seen = draft.look.observed.endpoints
    pointed = [name for name in draft.traits.services if traffic.target(draft, name) == revision]
    return all(seen.get(name, frozenset()).issuperset(uids) for name in pointed)


def is_given_up(draft: Draft) -> bool:
    """Whether a revision that is not wanted any more has some of the traffic, and can serve it."""
    found = traffic.target(draft, draft.traits.canary_service)
    is_other = found not in ("", draft.current, draft.stable)
    return is_other and traffic.weight(draft) > 0 and draft.look.ready(found) > 0


def remaining(draft: Draft) -> int:
    """Percent that the stable revision cannot take back yet, while the other one can serve it: all
    of it where nobody there is ready, else 0 where it kept all its pods."""
    total, stable = draft.look.total, draft.stable
    if not total or not stable:
        return 0
    if not draft.look.ready(traffic.target(draft, draft.traits.canary_service)):
        return 0
    addresses = draft.look.observed.endpoints.get(draft.traits.stable_service, frozenset())
    serving = len(addresses & draft.look.ready_pods(stable))
    if serving and draft.traits.stable_stays:
        return 0
    return min(traffic.weight(draft), 100 - 100 * min(serving, total) // total)
