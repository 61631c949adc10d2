"""The moves that strategies make the same way."""

from dataclasses import replace

from fleet.api.rollout import Phase
from fleet.kulta.core.analysis import checks
from fleet.kulta.core.analysis.findings import Finding
from fleet.kulta.core.draft import Draft
from fleet.kulta.core.ending import retreat
from fleet.kulta.core.gates import advice, holds, hooks, requests
from fleet.kulta.core.record import deadlines
from fleet.kulta.core.serving import returns, traffic
from fleet.kulta.core.wait import PODS, Wait

TRIED = frozenset({Phase.PREVIEW, Phase.EXPERIMENTING, Phase.CONCLUDED})
"""The new revision is complete and stands beside the one that serves."""


def examine(draft: Draft, *, iterations: int | None = None, is_dark: bool = False) -> Finding:
    """What metrics say, and where they have nothing against it, the advisor.

    The rest is as in `checks.examine`.
    """
    finding = checks.examine(draft, iterations=iterations, is_dark=is_dark)
    awaited = advice.awaited(draft)
    if awaited is None or finding.wait is not None or finding.failure:
        return finding
    return replace(finding, wait=awaited)


def fails(draft: Draft, finding: Finding) -> bool:
    """End the rollout if its analysis failed or its time is up; whether it ended.

    A return to the stable revision cannot fail: there is nothing else to return to.
    """
    if draft.current == draft.stable:
        return False
    if finding.failure:
        message = f"revision {draft.current} was taken back: {finding.failure}"
        retreat.fail(draft, finding.reason, message, finding.metrics)
        return True
    asker = hooks.takes_back(draft)
    if asker:
        message = f"revision {draft.current} was taken back, as hook {asker} asked for"
        retreat.fail(draft, "HookRollback", message, finding.metrics)
        return True
    if deadlines.is_late(draft):
        seconds = draft.look.spec.progress_deadline_seconds
        message = f"revision {draft.current} made no progress for {seconds} seconds"
        if why := draft.look.cause(draft.current, "pods "):
            message = f"{message}: {why}"
        retreat.fail(draft, "Timeout", message, finding.metrics)
        return True
    return False


def begins(draft: Draft) -> bool:
    """Whether a rollout without steps may begin: a hold stops what has no pods yet, or is still
    shown or tried and was only scaled to nothing."""
    held = holds.from_outside(draft)
    if draft.phase in TRIED and requests.is_asked(draft, "promote") and not holds.is_firm(draft):
        requests.consume(draft, "promote")
        draft.set(pause_requested=False)
        held = None
    is_open = draft.phase in TRIED or not draft.look.replicas(draft.current)
    if held is not None and is_open:
        _keep(draft)
        _take_back(draft)
        pause(draft, held)
        return False
    draft.move(Phase.PROGRESSING)
    return True


def _keep(draft: Draft) -> None:
    """Whoever serves alone has as many pods as are wanted, and not those of some time before."""
    if not draft.look.total:
        draft.arrange(dict.fromkeys(draft.look.sets, 0))
    elif draft.stable in draft.look.sets and not draft.others():
        draft.scale(draft.stable, draft.look.total)


def _take_back(draft: Draft) -> None:
    """What a revision that is given up has of the traffic goes back, as far as there are pods."""
    stable, is_divided = draft.stable, traffic.weight(draft) > 0
    if not draft.look.ready(stable) or not (is_divided or traffic.is_away(draft)):
        return
    if is_divided:
        draft.scale(stable, draft.look.total)
    wait = traffic.collect(draft, stable, 1, returns.remaining(draft))
    if wait is not None and wait.reason != PODS:
        draft.detour = wait


def pause(draft: Draft, why: Wait) -> None:
    """Stand still for `why`, with the clock stopped; an answer that is on its way is no pause, and
    what is shown or tried is held as it is."""
    deadlines.stop(draft)
    if why.reason == hooks.ASKED:
        draft.progress = why
        draft.move(Phase.PROGRESSING)
        return
    draft.paused = why
    if draft.phase not in TRIED:
        draft.move(Phase.PAUSED)
