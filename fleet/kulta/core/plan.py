"""The engine's decision for one Rollout: look at the world, say what to do and what to report.

Called by `runtime.reconcile` for every change and every due time, and by the tests' small world.
The same look always gives the same plan; a plan that was carried out is followed by an empty one.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from fleet.api import conditions
from fleet.api.rollout import Phase, Rollout, RolloutStatus
from fleet.kulta.core import identity, strategies
from fleet.kulta.core.actions import Plan
from fleet.kulta.core.draft import Draft
from fleet.kulta.core.ending import promotion, removal, restart, retreat
from fleet.kulta.core.facts.look import Look
from fleet.kulta.core.feedback import report, validation
from fleet.kulta.core.gates import advice, requests
from fleet.kulta.core.observed import Observed
from fleet.kulta.core.record import decisions
from fleet.kulta.core.serving import templates, workloads
from fleet.kulta.core.wait import Wait


def plan(rollout: Rollout, observed: Observed, now: datetime) -> Plan:
    """What to do next about `rollout`. `now` is aware UTC, whole milliseconds.

    Raises UnexpectedState only for what our own rules exclude.
    """
    found = templates.resolve(rollout, observed)
    whole, lacking = (rollout, found) if isinstance(found, Wait) else (found, None)
    reference = rollout.spec.workload_ref
    look = Look(rollout=whole, observed=observed, now=now, reference=reference, lacking=lacking)
    decided = _decided(look)
    untold = tuple(decisions.transitions(look, decided.status))
    return replace(decided, transitions=untold, told=decisions.last(decided.status))


def _decided(look: Look) -> Plan:
    """The plan but for who is to be told of it, which holds in every case."""
    rollout = look.rollout
    problems = validation.problems(rollout.spec, rollout.name)
    if rollout.metadata.deletion_timestamp is not None:
        traits = strategies.traits(rollout.spec) if strategy_name(rollout) else None
        return removal.plan(look, traits)
    if problems:
        return refused(rollout.status, problems, rollout.metadata.generation, look.now)
    if look.lacking is not None and not templates.goes_on(look):
        return workloads.stand_still(look, look.lacking, *workloads.left_over(look))
    strategy = strategies.select(rollout.spec.strategy)
    draft = Draft(look=look, traits=strategies.traits(rollout.spec), status=rollout.status)
    requests.act(draft, strategy)
    identity.identify(draft, strategy)
    if draft.is_active:
        advice.heed(draft)
    if draft.is_active:
        strategy.advance(draft)
    if draft.phase is Phase.FAILED:
        retreat.keep(draft)
    elif draft.phase is Phase.COMPLETED:
        promotion.settle(draft)
    workloads.migrate(draft, promotion.keeps)
    if not draft.is_active:
        restart.go_on(draft)
    advice.ask(draft)
    requests.finish(draft)
    return report.finish(draft, strategy)


def refused(status: RolloutStatus, problems: Iterable[str], generation: int, now: datetime) -> Plan:
    """A spec that breaks rules changes nothing but the condition that says so."""
    found = conditions.condition("InvalidSpec", True, "InvalidSpec", "; ".join(problems))
    updated = conditions.updated(status.conditions, (found,), now, generation)
    warnings = tuple(decisions.warnings(status.conditions, updated))
    return Plan(status=status.model_copy(update={"conditions": updated}), after=warnings)


def strategy_name(rollout: Rollout) -> str:
    """The strategy's name, a label of metrics; empty for a spec that has none."""
    return strategies.name(rollout.spec.strategy)
