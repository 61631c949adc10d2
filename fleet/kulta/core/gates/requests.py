"""Requests by annotation: `kulta.io/promote: "true"` and the like, each acted on exactly once.

Metadata and status are two writes. The status write that acts on a request records it in `handled`;
then the annotation is removed; the mark goes when the annotation is seen to be gone. Whatever is
cut off in between, nothing is promoted twice.
"""

from collections.abc import Callable, Mapping

from fleet.api import names
from fleet.api.rollout import Phase
from fleet.kulta.core.actions import ConsumeRequest
from fleet.kulta.core.analysis import checks, findings
from fleet.kulta.core.draft import Draft
from fleet.kulta.core.ending import promotion, restart, retreat
from fleet.kulta.core.gates import holds
from fleet.kulta.core.messages.emit import Emit
from fleet.kulta.core.record import decisions
from fleet.kulta.core.strategy import Strategy

YES = "true"

WAITING = ("promote", "promote-full")
"""Requests that may wait for their step, or for the end of a hold."""


def is_asked(draft: Draft, verb: str) -> bool:
    """Whether `verb` is asked for and not acted on yet. Only exactly "true" asks."""
    notes = draft.look.rollout.metadata.annotations
    return notes.get(names.request_annotation(verb)) == YES and verb not in draft.status.handled


def _is_gone(draft: Draft, verb: str) -> bool:
    """Whether the annotation that was acted on is gone, be it that the same was asked again."""
    look = draft.look
    notes = look.rollout.metadata.annotations
    return verb in look.observed.consumed or names.request_annotation(verb) not in notes


def consume(draft: Draft, verb: str) -> None:
    """The request has been acted on by what this draft decides."""
    draft.set(handled={**draft.status.handled, verb: YES})


def act(draft: Draft, strategy: Strategy) -> None:
    """Act on every request that does not belong to a step; those wait for their step."""
    clear(draft)
    for verb, action in ACTIONS.items():
        if is_asked(draft, verb) and action(draft, strategy):
            consume(draft, verb)
    for verb in draft.status.handled:
        draft.after.append(ConsumeRequest(verb=verb))


def finish(draft: Draft) -> None:
    """Remove the annotations of what was acted on later than in `act`."""
    known = {item.verb for item in draft.after if isinstance(item, ConsumeRequest)}
    draft.after.extend(
        ConsumeRequest(verb=verb) for verb in draft.status.handled if verb not in known
    )


def clear(draft: Draft) -> None:
    """Forget the marks of requests whose annotation is gone."""
    kept = {verb: mark for verb, mark in draft.status.handled.items() if not _is_gone(draft, verb)}
    if len(kept) != len(draft.status.handled):
        draft.set(handled=kept)


def _promote(draft: Draft, strategy: Strategy) -> bool:
    """Belongs to a step of an active rollout; elsewhere it would promote the next one unseen."""
    if not draft.is_active:
        _idle(draft, "promote")
    return not draft.is_active


def _promote_full(draft: Draft, strategy: Strategy) -> bool:
    if not draft.is_active:
        _idle(draft, "promote-full")
        return True
    if holds.is_firm(draft):
        return False  # a request cannot lift it; it is acted on when the hold has gone
    message = f"revision {draft.current} goes to 100% at once, as asked for"
    before = draft.status.current_step_index
    draft.set(pause_requested=False)
    strategy.skip(draft)
    decisions.note(
        draft,
        "Promotion",
        "ManualPromotion",
        message,
        from_step=before,
        to_step=draft.status.current_step_index,
        weight=draft.status.current_weight,
    )
    return True


def _conclude(draft: Draft, strategy: Strategy) -> bool:
    """Belongs to an experiment that runs."""
    if draft.phase is not Phase.EXPERIMENTING:
        _idle(draft, "conclude-experiment")
    return draft.phase is not Phase.EXPERIMENTING


def _roll_back(draft: Draft, strategy: Strategy) -> bool:
    """Back to the stable revision; just after a promotion, to the one that was replaced."""
    before = promotion.returnable(draft)
    if before:
        draft.set(stable_pod_hash=before)
    if (draft.is_active or before) and draft.stable != draft.current:
        message = f"revision {draft.current} was taken back, as asked for"
        retreat.fail(draft, "ManualRollback", message)
    else:
        _idle(draft, "rollback")
    return True


def _retry(draft: Draft, strategy: Strategy) -> bool:
    """A revision that failed, or lost its experiment, is tried again from its first step."""
    if draft.phase is Phase.FAILED or draft.status.overruled_pod_hash:
        draft.set(failed_pod_hash="", overruled_pod_hash="")
    else:
        _idle(draft, "retry")
    return True


def _pause(draft: Draft, strategy: Strategy) -> bool:
    if draft.is_active:
        draft.set(pause_requested=True)
    else:
        _idle(draft, "pause")
    return True


def _resume(draft: Draft, strategy: Strategy) -> bool:
    draft.set(pause_requested=False, restores=0)
    if draft.is_active and findings.is_undecided(draft.status):
        checks.again(draft)
    return True


def _restart(draft: Draft, strategy: Strategy) -> bool:
    """New pods of the stable revision; what is on its way has new ones anyway."""
    if draft.is_active or not restart.begin(draft):
        _idle(draft, "restart")
    return True


def _idle(draft: Draft, verb: str) -> None:
    message = f"{names.request_annotation(verb)} has nothing to act on in phase {draft.phase}"
    draft.after.append(Emit(kind="Warning", reason="NothingToDo", message=message))


ACTIONS: Mapping[str, Callable[[Draft, Strategy], bool]] = {
    "abort": _roll_back,
    "rollback": _roll_back,
    "retry": _retry,
    "pause": _pause,
    "resume": _resume,
    "restart": _restart,
    "promote-full": _promote_full,
    "promote": _promote,
    "conclude-experiment": _conclude,
}
"""Verb → what it does; False leaves the request for later."""
