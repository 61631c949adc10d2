"""Hooks: who of the user's must say yes before a rollout goes on, and who may take it back.

    confirm-rollout           before there is anything of the new revision
    pre-rollout               when its pods are ready, before anybody gets them; where pods are the
                              traffic, and for experiments, before there are any
    rollout, step.hooks       before a step, or a preview, is left
    confirm-traffic-increase  the same, for canaries
    confirm-promotion         before the promotion
    rollback                  all the time: a yes takes the revision back

Called by strategies. A no holds and is asked again; so does silence. What is asked stands in the
draft, what was answered in `observed`. A person who promotes does not wait for those of the step or
preview that he leaves; what goes to 100% at once waits for none.
"""

from collections.abc import Collection, Iterator
from datetime import timedelta

from fleet.api.hooks import Hook, faults
from fleet.api.rollout import RolloutSpec, Step
from fleet.kulta.core.draft import Draft
from fleet.kulta.core.messages.webhooks import Errand
from fleet.kulta.core.observed import Heard, Inquiry
from fleet.kulta.core.wait import Wait

POLL = timedelta(seconds=10)
"""How soon a hook that did not say yes is asked again."""
ASKED = "AwaitingHook"
"""Nobody has said anything yet."""
WAITS = frozenset({ASKED, "HookRefused"})
"""Reasons to wait for a hook: the deadline does not count."""


def problems(spec: RolloutSpec) -> Iterator[str]:
    """Every hook can be called, and every step names hooks that there are."""
    canary = spec.strategy.canary
    steps = [step.hooks for step in canary.steps] if canary is not None else []
    for strategy in spec.strategy.given:
        yield from faults(spec.hooks, strategy, steps, "spec.hooks", f"spec.strategy.{strategy}")


def at_entry(draft: Draft) -> Wait | None:
    """Who must say yes before there is anything of the new revision."""
    if draft.has_begun:
        return None
    types = {"confirm-rollout"}
    if not (draft.traits.cuts_over or (draft.traits.is_routed and not draft.traits.arms)):
        types.add("pre-rollout")
    return _wait(draft, types, "entry")


def before_traffic(draft: Draft) -> Wait | None:
    """Who must say yes before the first of the traffic, with all pods of the first step ready."""
    if draft.status.reached_step_index is not None:
        return None
    return _wait(draft, {"pre-rollout"}, "pods")


def at_step(draft: Draft, step: Step, index: int, *, is_last: bool) -> Wait | None:
    """Who must say yes before a canary's step is left."""
    types = {"rollout", "confirm-traffic-increase"} | ({"confirm-promotion"} if is_last else set())
    return _wait(draft, types, f"step {index}", step.hooks)


def at_preview(draft: Draft) -> Wait | None:
    """Who must say yes before the gate of a preview can open."""
    return _wait(draft, {"pre-rollout", "rollout"}, "preview")


def at_end(draft: Draft) -> Wait | None:
    """Who must say yes before a preview gets the traffic, or the pods of a rolling update count as
    stable."""
    return _wait(draft, {"confirm-promotion"}, "end")


def takes_back(draft: Draft) -> str:
    """The name of a hook that wants the revision back; empty where none does."""
    for hook in draft.look.spec.hooks if _is_tried(draft) else ():
        if hook.type == "rollback":
            heard = _heard(draft, hook, "rollback")
            if heard is not None and heard.is_yes:
                return hook.name
    return ""


def _is_tried(draft: Draft) -> bool:
    """Whether there is another revision to compare with."""
    is_first = not draft.stable and not draft.look.spec.steps_on_first_rollout
    return draft.look.total > 0 and draft.current != draft.stable and not is_first


def _wait(
    draft: Draft, types: Collection[str], point: str, names: Collection[str] = ()
) -> Wait | None:
    """All hooks that are due are asked side by side; the first that has not said yes is told."""
    if not draft.look.spec.hooks or not _is_tried(draft):
        return None
    due = [hook for hook in draft.look.spec.hooks if hook.type in types or hook.name in names]
    waits = [_waits(draft, hook, point) for hook in due]
    return next((wait for wait in waits if wait is not None), None)


def _waits(draft: Draft, hook: Hook, point: str) -> Wait | None:
    heard = _heard(draft, hook, point)
    if heard is None:
        return Wait(reason=ASKED, message=f"hook {hook.name} is asked")
    if heard.is_yes:
        return None
    again = f"it is asked again every {POLL.seconds} s"
    return Wait(reason="HookRefused", message=f"hook {hook.name} says no: {heard.said}; {again}")


def _heard(draft: Draft, hook: Hook, point: str) -> Heard | None:
    """What it said last; asked, or asked again, when that is due."""
    inquiry = Inquiry(hook=hook.name, url=hook.url, revision=draft.current, point=point)
    heard = draft.look.observed.heard.get(inquiry)
    if heard is not None and _is_of_before(draft, heard):
        heard = None
    if heard is not None and (heard.is_yes or draft.now < heard.at + POLL):
        draft.wake(None if heard.is_yes else heard.at + POLL)
        return heard
    draft.errands[inquiry] = Errand(inquiry=inquiry, hook=hook, rollout=draft.look.rollout)
    return heard


def _is_of_before(draft: Draft, heard: Heard) -> bool:
    """Whether the present attempt has begun since: what was said of a former one says nothing. A
    beginning that is still to come was written by another's clock."""
    begun = (x.timestamp for x in draft.status.decisions if x.action == "Initialize")
    return any(item is not None and heard.at < item <= draft.now for item in begun)
