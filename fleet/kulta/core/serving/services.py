"""Services that point at revisions: which selector means which revision, and who undid it.

Pure arithmetic on selectors for `traffic` and `removal`. A Service's own selector is kept; only the
role label, if it selects one, gives way to Rollout and hash.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace

from fleet.api import names
from fleet.api.rollout import Rollout
from fleet.kulta.core.actions import SelectService
from fleet.kulta.core.facts import revisions
from fleet.kulta.core.facts.look import Look
from fleet.kulta.core.observed import Service
from fleet.kulta.core.wait import Wait

OURS = frozenset({names.ROLLOUT_LABEL, names.HASH_LABEL})
MANAGED = OURS | {names.TYPE_LABEL}
"""What we write into selectors, and what gives way to it."""


def selector(service: Service, rollout: Rollout, revision: str) -> dict[str, str]:
    """The selector that points `service` at a revision."""
    original = service.selector if service.original is None else service.original
    own = original or rollout.spec.selector.match_labels
    kept = {key: value for key, value in own.items() if key != names.TYPE_LABEL}
    return {**kept, **revisions.identity(rollout.name, revision)}


def target(service: Service, rollout: Rollout) -> str:
    """The revision at which we have pointed `service`; empty when it does not point at one."""
    revision = service.selector.get(names.HASH_LABEL, "")
    if service.original is None or not revision:
        return ""
    return revision if service.selector == selector(service, rollout, revision) else ""


def is_foreign(service: Service, rollout: Rollout) -> bool:
    """Whether another Rollout manages it."""
    user = service.selector.get(names.ROLLOUT_LABEL, rollout.name)
    return service.original is not None and user != rollout.name


def is_undone(service: Service, rollout: Rollout) -> bool:
    """Whether somebody changed the selector that we had written."""
    return (
        service.original is not None
        and not target(service, rollout)
        and service.selector != _all_pods(service, rollout)
    )


def adopted(service: Service) -> Service:
    """`service` with the selector that somebody has written since instead of the one we keep: who
    corrects it is heard, who puts the old one back, adds to ours or leaves nothing is not."""
    kept, found = service.original or {}, _theirs(service.selector)
    if not found or _theirs(kept).items() <= found.items():
        return service
    is_mended = not OURS.isdisjoint(service.selector)
    before = {key: value for key, value in kept.items() if is_mended and key in MANAGED}
    written = {key: value for key, value in service.selector.items() if key not in OURS}
    return replace(service, original={**before, **written})


def _theirs(selector: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in selector.items() if key not in MANAGED}


def pending(service: Service, look: Look, revision: str) -> Wait:
    """`service` has not the pods of a revision yet, or never can: its selector says which. While
    it has some of ours, others may have written labels on pods, and its slices are just late."""
    reason, name = "EndpointsPending", service.name
    labels = (look.spec.template.get("metadata") or {}).get("labels") or {}
    asked = _theirs(selector(service, look.rollout, revision))
    strange = [f"{key}={value}" for key, value in asked.items() if labels.get(key) != value]
    addresses = look.observed.endpoints.get(name, frozenset())
    has_none = all(pod.uid not in addresses for pod in look.observed.pods)
    if strange and has_none and revision == look.hash and look.lacking is None:
        said = f"asks for {', '.join(strange)}, which the pods of revision {revision} do not have"
        return Wait(reason=reason, message=f"Service {name} {said}; correct its selector")
    message = f"Service {name} does not yet have the ready pods of revision {revision}"
    return Wait(reason=reason, message=message, is_brief=True)


def point(service: Service, rollout: Rollout, revision: str) -> SelectService:
    """Point `service` at a revision; its own selector is kept."""
    original: Mapping[str, str] = service.selector if service.original is None else service.original
    return SelectService(
        name=service.name,
        resource_version=service.resource_version,
        selector=selector(service, rollout, revision),
        original=original,
    )


def release(service: Service, rollout: Rollout, roles: Collection[str]) -> SelectService | None:
    """Let go of a Service that the strategy does not name any more; None when that is done.

    If its own selector asks for a role that no pod has under the new strategy (`roles`), it selects
    all pods of the Rollout until it gets its selector back, so that whoever uses it is served.
    """
    original = service.original or {}
    role = original.get(names.TYPE_LABEL)
    if role is None or role in roles or service.selector == original:
        return give_back(service)
    selector = _all_pods(service, rollout)
    if service.selector == selector:
        return None
    return SelectService(
        name=service.name,
        resource_version=service.resource_version,
        selector=selector,
        original=original,
    )


def _all_pods(service: Service, rollout: Rollout) -> dict[str, str]:
    kept = {k: v for k, v in (service.original or {}).items() if k != names.TYPE_LABEL}
    return {**kept, names.ROLLOUT_LABEL: rollout.name}


def lend(service: Service) -> SelectService:
    """Its own selector for now, and ours still to give back."""
    return SelectService(
        name=service.name,
        resource_version=service.resource_version,
        selector=service.original or {},
        original=service.original,
    )


def give_back(service: Service) -> SelectService:
    """Restore the Service's own selector."""
    return SelectService(
        name=service.name,
        resource_version=service.resource_version,
        selector=service.original or {},
        original=None,
    )
