"""Who goes when: members into waves, percentages into numbers.

Called by `application` when a run is made. The first wave that matches a member takes it. Numbers
round down: concurrency to at least 1, budgets to perhaps 0.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fleet.api.application import Limits
from fleet.api.fleetrollout import Plan, PlannedWave
from fleet.api.names import ClusterName
from fleet.api.waves import Wave
from fleet.errors import UserError
from fleet.hub.core.observed import Member
from fleet.hub.core.policy import ResolvedPolicy
from fleet.kit import amounts, durations, phrases

NOTES = 100
"""Sentences about members that a plan keeps."""


def plan(
    policy: ResolvedPolicy,
    chosen: Sequence[ClusterName],
    members: Mapping[ClusterName, Member],
    fleet: Sequence[ClusterName] = (),
) -> Plan:
    """The plan of a run for the `chosen` members; without a `fleet` there are no others.

    Where there are others, they have the revision and those who are chosen catch up: budgets are
    measured by the whole of each wave, and no share of the fleet is kept from it any more.

    Raises UserError: `UnmatchedClusters` naming the members that no wave takes, `InvalidSpec` for a
    wave that does not fit its members.
    """
    taken, notes = assign(policy.waves, chosen, members)
    unmatched = [name for name in chosen if name not in taken]
    if unmatched and policy.unmatched_clusters != "Ignore":
        raise UserError(
            "UnmatchedClusters",
            f"no wave takes {phrases.listed(unmatched)}: add a wave with remaining: true, "
            "or set deliveryPolicy.unmatchedClusters: Ignore",
        )
    notes += [f"{name} belongs to no wave and is left out" for name in unmatched]
    is_late = len(chosen) < len(fleet)
    whole = Counter((assign(policy.waves, fleet, members)[0] if is_late else taken).values())
    planned = []
    for wave in policy.waves:
        names = [name for name in chosen if taken.get(name) == wave.name]
        if not names:
            notes.append(f"wave {wave.name} is empty and is passed at once")
        ordered = _ordered(names, wave.order_by or policy.order_by, members)
        planned.append(_planned(wave, ordered, whole[wave.name], policy))
    unavailable = policy.unavailable_clusters
    back = policy.rollback.max_concurrency
    return Plan(
        waves=tuple(planned),
        on_failure=policy.on_failure,
        rollback_concurrency=max(1, amounts.round_down(back, len(taken))),
        halt_on_first_failed_analysis=policy.halt_on_first_failed_analysis,
        unavailable=unavailable.policy,
        membership=policy.membership_changes,
        **_limits(policy.limits, policy.waves, is_late=is_late),
        unavailable_timeout_seconds=durations.seconds(unavailable.timeout),
        accept_unknown_engine=unavailable.accept_unknown_engine,
        on_conflict=policy.on_conflict,
        notes=tuple(notes[:NOTES]),
    )


def _limits(limits: Limits | None, waves: Sequence[Wave], *, is_late: bool) -> dict[str, Any]:
    """What holds over all waves."""
    if limits is None:
        return {}
    share = limits.max_traffic_share_on_new_revision
    return {
        "min_interval_seconds": durations.seconds(limits.min_interval)
        if limits.min_interval
        else 0,
        "traffic_percent": int(share.removesuffix("%")) if share and not is_late else 100,
        "traffic_wave": limits.until_wave or waves[-1].name,
    }


def without_trial(plan: Plan) -> Plan:
    """The same plan, without soaks and approvals, for a run that brings nothing new to try."""
    waves = tuple(
        wave.model_copy(
            update={
                "soak_seconds": 0,
                "before": tuple(gate for gate in wave.before if gate.approval is None),
                "after": tuple(gate for gate in wave.after if gate.approval is None),
            }
        )
        for wave in plan.waves
    )
    return plan.model_copy(update={"waves": waves})


def assign(
    waves: Sequence[Wave], chosen: Sequence[ClusterName], members: Mapping[ClusterName, Member]
) -> tuple[dict[ClusterName, str], list[str]]:
    """Member → wave, and a note for each member that a second wave matches too."""
    taken: dict[ClusterName, str] = {}
    notes: list[str] = []
    for wave in waves:
        named = frozenset(wave.clusters)
        for name in chosen:
            if not _matches(wave, named, name, members):
                continue
            first = taken.setdefault(name, wave.name)
            if first != wave.name and not wave.remaining:
                notes.append(f"{name} matches waves {first} and {wave.name}: it goes with {first}")
    return taken, notes


def strangers(
    waves: Sequence[Wave], chosen: Sequence[ClusterName]
) -> Iterator[tuple[int, int, str]]:
    """(wave, place, name) of every cluster that a wave names and the fleet does not have."""
    known = frozenset(chosen)
    for index, wave in enumerate(waves):
        for place, name in enumerate(wave.clusters):
            if name not in known:
                yield index, place, name


def _matches(
    wave: Wave, named: frozenset[str], name: ClusterName, members: Mapping[ClusterName, Member]
) -> bool:
    if wave.remaining:
        return True
    if named:
        return name in named
    selector = wave.cluster_selector
    return selector is not None and selector.matches(members[name].labels)


def _ordered(
    names: Sequence[ClusterName], order: str, members: Mapping[ClusterName, Member]
) -> tuple[ClusterName, ...]:
    """By name, as they come, or by `label:<key>`."""
    label = order.partition(":")[2]
    return tuple(
        sorted(names, key=lambda name: _rank(members[name].labels.get(label, "")))
        if label
        else names
    )


def _rank(value: str) -> tuple[int, int, str]:
    """Numbers by their size, then words, then nothing."""
    if value.isdecimal():
        return 0, int(value), ""
    return (1 if value else 2), 0, value


def _planned(
    wave: Wave, names: tuple[ClusterName, ...], whole: int, policy: ResolvedPolicy
) -> PlannedWave:
    total = len(names)
    concurrency = policy.max_concurrency if wave.max_concurrency is None else wave.max_concurrency
    budget = policy.failure_budget if wave.failure_budget is None else wave.failure_budget
    deadline = wave.progress_deadline or policy.progress_deadline
    if names and wave.failure_budget is not None and not _within(wave.failure_budget, whole):
        raise UserError(
            "InvalidSpec",
            f"wave {wave.name}: failureBudget: {wave.failure_budget} is more than its {whole} "
            f"clusters: write at most {whole}, or a percentage",
        )
    return PlannedWave(
        name=wave.name,
        clusters=names,
        max_concurrency=max(1, amounts.round_down(concurrency, total)),
        failure_budget=min(amounts.round_down(budget, whole), total),
        progress_deadline_seconds=durations.seconds(deadline),
        soak_seconds=sum(durations.seconds(gate.soak) for gate in wave.after if gate.soak),
        before=wave.before,
        after=tuple(gate for gate in wave.after if not gate.soak),
    )


def _within(amount: str | int, total: int) -> bool:
    return amounts.round_down(amount, total) <= total
