"""Which revision the spec asks for, and what that means: go on, begin, supersede, return, rest.

The opening of every plan after validation. The stable revision is remembered in the status; a lost
status is rebuilt from the sets, so that losing it never skips an analysis.
"""

from fleet.api.rollout import Phase
from fleet.kulta.core.draft import Draft
from fleet.kulta.core.ending import promotion
from fleet.kulta.core.facts.look import Look
from fleet.kulta.core.facts.traits import Traits
from fleet.kulta.core.gates import requests
from fleet.kulta.core.observed import ReplicaSet
from fleet.kulta.core.record import decisions
from fleet.kulta.core.serving import traffic
from fleet.kulta.core.strategy import Strategy


def identify(draft: Draft, strategy: Strategy) -> None:
    """Set current and stable revision; begin or end a rollout where the template says so."""
    if not draft.stable:
        draft.set(stable_pod_hash=_remembered(draft))
    wanted = _wanted(draft)
    if draft.current == wanted and _is_at_it(draft) and not _is_switched(draft):
        return
    if wanted == draft.stable:
        go_back(draft, strategy)
    else:
        begin(draft, strategy)


def _wanted(draft: Draft) -> str:
    """The revision that the spec asks for, unless an experiment about it has chosen another."""
    if not draft.status.overruled_pod_hash:
        return draft.look.hash
    if draft.status.overruled_pod_hash == draft.look.hash and draft.current in draft.look.sets:
        return draft.current
    draft.set(overruled_pod_hash="")
    return draft.look.hash


def _is_at_it(draft: Draft) -> bool:
    """Whether the current revision is on its way, or at its end: well, or taken back for good."""
    if draft.phase is Phase.COMPLETED:
        return draft.stable == draft.current
    if draft.phase is Phase.FAILED:
        return draft.status.failed_pod_hash == draft.current
    return draft.phase is not None


def _is_switched(draft: Draft) -> bool:
    """Whether another strategy than that of the status has to bring the revision to its end.

    What was reached by one strategy says nothing in another, so the rollout begins anew.
    """
    return draft.is_active and draft.status.strategy not in ("", draft.traits.strategy)


def _occasion(draft: Draft) -> str:
    """Why a revision begins its way: the reason of the decision."""
    if _is_switched(draft) and draft.current == draft.look.hash:
        return "StrategyChanged"
    return "Superseded" if draft.is_active else "Initialization"


def begin(draft: Draft, strategy: Strategy) -> None:
    """A new revision starts at its first step; without one to compare with it goes straight on."""
    reason = _occasion(draft)
    stepwise = bool(draft.stable) or draft.look.spec.steps_on_first_rollout
    returns = promotion.returnable(draft) == draft.look.hash
    index, weight = strategy.start(draft.look.spec, stepwise)
    _reset(draft, index, weight)
    draft.move(Phase.PROGRESSING)
    if returns:
        strategy.skip(draft)
        message = f"revision {draft.current} takes over again at once: its pods are still there"
        decisions.note(draft, "Rollback", "ManualRollback", message)
        return
    if stepwise and _is_known(draft):
        reason = "KnownRevision"
        strategy.skip(draft)
        index, weight = draft.status.current_step_index, draft.status.current_weight
    decisions.note(
        draft,
        "Initialize",
        reason,
        strategy.describe(draft),
        to_step=index,
        weight=weight,
    )


def _is_known(draft: Draft) -> bool:
    """Whether the revision was stable within the window before the present one."""
    window = draft.look.spec.rollback_window
    before = [item for item in draft.status.proven_pod_hashes if item != draft.stable]
    return draft.look.hash in before[:window]


def go_back(draft: Draft, strategy: Strategy) -> None:
    """The template is the stable one again: give up what was on its way, restore the stable one."""
    given_up, lost, away = draft.is_active, draft.phase is None, traffic.is_away(draft)
    index, weight = strategy.start(draft.look.spec, False)
    _reset(draft, index, weight)
    draft.move(Phase.PROGRESSING)
    if away:
        draft.set(promoted_at=draft.now)  # what is given up has traffic still
    if given_up:
        message = f"the template is that of the stable revision {draft.stable} again"
        decisions.note(draft, "Rollback", "ManualRollback", message, weight=0)
    elif lost:
        message = f"revision {draft.stable} was found to be the stable one"
        decisions.note(draft, "Initialize", "Initialization", message, weight=weight)


def _reset(draft: Draft, index: int | None, weight: int | None) -> None:
    for verb in requests.WAITING:
        if requests.is_asked(draft, verb):
            requests.consume(draft, verb)  # it was meant for what has just been given up
    draft.set(
        current_pod_hash=draft.look.hash,
        overruled_pod_hash="",
        failed_pod_hash="",
        current_step_index=index,
        current_weight=weight,
        reached_step_index=None,
        pause_start_time=None,
        step_start_time=None,
        progress_started_at=draft.now,
        progress_ready=0,
        previous_pod_hash="",
        promoted_at=None,
        pause_requested=False,
        restores=0,
        analysis=None,
        ab_experiment=None,
    )


def _remembered(draft: Draft) -> str:
    """The stable revision where the status does not name it: the one that has proved itself last,
    or, where all is lost, what the sets show; empty while none has been stable."""
    proven = draft.status.proven_pod_hashes
    if proven:
        return proven[0]
    return recovered(draft.look, draft.traits) if draft.phase is None else ""


def recovered(look: Look, traits: Traits) -> str:
    """The stable revision as the sets show it; empty when there is nothing but the present one."""
    others = [item for item in look.observed.replica_sets if item.hash != look.hash]
    running = [item for item in others if item.replicas and item.role == traits.stable_role]
    if running:
        return max(running, key=lambda item: _standing(item, look)).hash
    present = look.sets.get(look.hash)
    if others and present is not None and present.role == traits.stable_role:
        return look.hash
    running = [item for item in others if item.replicas]
    if running:
        return max(running, key=lambda item: _standing(item, look)).hash
    return ""


def _standing(item: ReplicaSet, look: Look) -> tuple[int, int, str]:
    return look.ready(item.hash), item.replicas, item.name
