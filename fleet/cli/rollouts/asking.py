"""Requests to the engine: which annotation a verb writes, and why it may be pointless now. Pure.

Called by the verbs of `fleet rollout`. The engine would take a pointless request away and say so in
an Event; a person at a keyboard is told at once, with what to do instead.
"""

from collections.abc import Callable, Mapping

from fleet.api.names import (
    APPLICATION_LABEL,
    CLUSTER_LABEL,
    REQUESTS,
    request_annotation,
)
from fleet.api.rollout import Phase, Rollout
from fleet.cli.rollouts.family import Family
from fleet.hub.core.cluster import persons
from fleet.kulta.core.analysis import findings
from fleet.kulta.core.feedback import outlook

ANNOTATIONS = frozenset(request_annotation(verb) for verb in REQUESTS)
HUB_COMMANDS: Mapping[str, str] = {
    "abort": "rollback {application} --cluster {cluster}",
    "undo": "rollback {application} --cluster {cluster}",
    "retry": "retry {application} --cluster {cluster}",
    "pause": "pause {application}",
    "resume": "resume {application}",
    "promote": "promote {application} --cluster {cluster}",
    "conclude-experiment": "conclude {application} --cluster {cluster}",
}
"""Verb of the engine → what to run for it with the hub; there a pause is of the whole run."""
WORDS = {"conclude-experiment": "conclude"}
"""The command for a request of another name."""
ONLY_HERE = frozenset({"promote-full"})
"""What a hub cannot be asked for: the engine of that cluster takes it from who may write there."""


def managed(rollout: Rollout, verb: str) -> str | None:
    """Why `verb` is not for a Rollout that a hub manages, and what to do instead; None: it is."""
    hub = hub_of(rollout)
    if not hub:
        return None
    why = "a hub has no request for that" if verb in ONLY_HERE else ""
    if verb == "promote" and not persons.awaited(rollout):
        why = "a hub asks only an engine that waits for a person"
    if why:
        request = f"{rollout.name} {request_annotation(verb)}=true"
        words = f"{why}; kubectl annotate rollout {request} asks the engine of this cluster alone"
    elif verb in HUB_COMMANDS:
        words = f"ask there: {command(rollout, verb)}"
    else:
        application = rollout.metadata.labels.get(APPLICATION_LABEL, rollout.name)
        words = f"change the template of Application {application} there"
    return f"managed by a hub ({hub}): {words}"


def command(rollout: Rollout, verb: str) -> str:
    """What to run for `verb` of HUB_COMMANDS: with the hub that manages the Rollout, or here."""
    if not hub_of(rollout):
        return f"fleet rollout {WORDS.get(verb, verb)} {rollout.name}"
    labels = rollout.metadata.labels
    application = labels.get(APPLICATION_LABEL, rollout.name)
    cluster = labels.get(CLUSTER_LABEL, "<cluster>")
    return f"fleet {HUB_COMMANDS[verb].format(application=application, cluster=cluster)}"


def hub_of(rollout: Rollout) -> str:
    """Who manages it from outside: `Application checkout as cluster eu-7`; empty: nobody."""
    dispatch, labels = rollout.spec.dispatch, rollout.metadata.labels
    if dispatch is None or dispatch.released:
        return ""
    application = labels.get(APPLICATION_LABEL, rollout.name)
    cluster = labels.get(CLUSTER_LABEL)
    return f"Application {application}" + (f" as cluster {cluster}" if cluster else "")


def pending(rollout: Rollout) -> list[str]:
    """Annotations by which the engine is asked for something that it has not taken away."""
    notes = rollout.metadata.annotations.items()
    return sorted(key for key, value in notes if key in ANNOTATIONS and value == "true")


def refusal(family: Family, verb: str) -> str | None:
    """Why `verb` cannot act on what stands there now, and what to do instead; None: it can."""
    if outlook.is_refused(family.rollout):
        return f"its spec breaks a rule: fleet rollout get {family.name} says which"
    if outlook.is_unseen(family.rollout):
        return "the engine has not looked at its present spec yet; is it running?"
    return CHECKS[verb](family)


def _promote(family: Family) -> str | None:
    return _idle(family, "promote") or _firm(family) or _undecided(family)


def _promote_full(family: Family) -> str | None:
    return _idle(family, "promote") or _firm(family)


def _idle(family: Family, verb: str) -> str | None:
    status, name = family.rollout.status, family.name
    if family.is_active:
        return None
    if family.phase is Phase.FAILED:
        return (
            f"nothing to {verb}: {family.label(status.failed_pod_hash)} was taken back; "
            f"fleet rollout retry {name} tries it again"
        )
    return (
        f"nothing to {verb}: {family.label(status.stable_pod_hash)} is stable and nothing is on "
        f"its way; change {family.source}, and a rollout begins"
    )


def _firm(family: Family) -> str | None:
    spec = family.rollout.spec
    if spec.hold is not None:
        return f"the hub holds it ({spec.hold.reason}); only the hub lets it go on"
    if spec.paused:
        return (
            "spec.paused is true, which goes before every request: "
            f'kubectl patch rollout {family.name} --type merge -p \'{{"spec":{{"paused":false}}}}\''
        )
    return None


def _undecided(family: Family) -> str | None:
    if family.phase is not Phase.EXPERIMENTING:
        return None
    return (
        "the experiment has no result yet: "
        f"fleet rollout conclude {family.name} ends it, promote --full promotes B at once"
    )


def _conclude(family: Family) -> str | None:
    if family.phase is Phase.EXPERIMENTING:
        return None
    if family.phase is Phase.CONCLUDED:
        return f"the experiment is concluded: fleet rollout promote {family.name} promotes"
    return "no experiment is running"


def _abort(family: Family) -> str | None:
    status = family.rollout.status
    if family.is_active and status.current_pod_hash == status.stable_pod_hash:
        return f"it is on its way back to {family.label(status.stable_pod_hash)} already"
    if family.is_active or _is_returnable(family):
        return None
    undo = f"fleet rollout undo {family.name} goes back to an older revision"
    if family.phase is Phase.FAILED:
        return f"{family.label(status.failed_pod_hash)} has been taken back already; {undo}"
    return f"nothing to abort: {family.label(status.stable_pod_hash)} is stable; {undo}"


def _is_returnable(family: Family) -> bool:
    """Whether the revision that the last promotion replaced could take over again at once."""
    before, wish = family.rollout.status.previous_pod_hash, family.rollout.spec.strategy
    there = any(item.hash == before and item.desired for item in family.revisions)
    return wish.blue_green is not None and family.phase is Phase.COMPLETED and there


def _retry(family: Family) -> str | None:
    status = family.rollout.status
    if family.phase is Phase.FAILED or status.overruled_pod_hash:
        return None
    if family.is_active:
        return f"{family.label(status.current_pod_hash)} is on its way and has not failed"
    return f"nothing to retry: {family.label(status.stable_pod_hash)} is stable"


def _pause(family: Family) -> str | None:
    if family.rollout.status.pause_requested:
        return f"it is paused already; fleet rollout resume {family.name} lets it go on"
    return _idle(family, "pause")


def _resume(family: Family) -> str | None:
    status, firm = family.rollout.status, _firm(family)
    is_undecided = family.is_active and findings.is_undecided(status)
    if status.pause_requested or status.restores or is_undecided:
        return None
    if firm is not None:
        return firm
    if family.phase in (Phase.PAUSED, Phase.PREVIEW, Phase.CONCLUDED):
        return f"that is a pause of its strategy: fleet rollout promote {family.name} ends it"
    return "nobody has paused it"


def _restart(family: Family) -> str | None:
    if not family.is_active:
        return None
    return (
        f"{family.label(family.rollout.status.current_pod_hash)} is on its way; only pods of a "
        "revision that serves alone are replaced: wait for its end, or abort"
    )


CHECKS: Mapping[str, Callable[[Family], str | None]] = {
    "promote": _promote,
    "promote-full": _promote_full,
    "conclude-experiment": _conclude,
    "abort": _abort,
    "retry": _retry,
    "pause": _pause,
    "resume": _resume,
    "restart": _restart,
}
"""Verb → why it cannot act; every request that a command can write stands here."""
