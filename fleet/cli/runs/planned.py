"""What `fleet plan` says: who would go when, how many at once, who is left out, how long. Pure.

How long a cluster takes is what it took before; where nothing has run yet, the pauses of the
strategy say the least.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from statistics import median

from rich.text import Text

from fleet.api.application import ApplicationSpec
from fleet.api.clusterrollout import ClusterRollout
from fleet.api.fleetrollout import ClusterPhase, Plan, PlannedWave
from fleet.cli import page, tables
from fleet.cli.page import Cells
from fleet.cli.runs import asking, story
from fleet.cli.runs.inputs import Due, Inputs
from fleet.cli.tables import Tone
from fleet.hub.core.actions import RunPlan, StartCluster
from fleet.hub.core.member import selection
from fleet.kit import durations, phrases

HEAD = ("WAVE", "CLUSTERS", "AT ONCE", "BUDGET", "DEADLINE", "GATES", "ABOUT", "WHO")
SETTLING = 60.0
"""Seconds beside its pauses that a cluster is thought to need: pods that become ready, checks."""
SHOWN = 6
NOBODY = "nobody"


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """How long one cluster takes."""

    seconds: float
    source: str


def estimate(inputs: Inputs) -> Estimate:
    """From the clusters that have come to a good end, else from the strategy."""
    pauses = sum(_pauses(inputs.application.spec))
    every = [found for item in inputs.observed.clusters if (found := _taken(item)) is not None]
    # Who took less than the pauses had nothing to go through: another number of pods, an undo.
    taken = [moved + pauses for whole, moved in every if whole >= pauses]
    if taken:
        what = "1 cluster" if len(taken) == 1 else f"{len(taken)} clusters"
        return Estimate(seconds=median(taken), source=f"median of {what} that it ran in last")
    what = "nothing has run through them lately" if every else "nothing has run yet"
    source = f"the pauses of its strategy and a minute: {what}"
    return Estimate(seconds=pauses + SETTLING, source=source)


def _taken(item: ClusterRollout) -> tuple[float, float] | None:
    """Seconds from start to a good end, and those of them in which it did not wait, in a pause of
    its own or for the hub."""
    want, status = item.spec.want, item.status
    if status.phase is not ClusterPhase.SUCCEEDED or want is None or want.undoes:
        return None
    if want.since is None or status.finished_at is None:
        return None
    whole = (status.finished_at - want.since).total_seconds()
    return whole, max(whole - status.waited_seconds, 0.0)


def _pauses(spec: ApplicationSpec) -> Iterator[float]:
    """Of a canary's steps; a pause without an end is a person's."""
    strategy = spec.delivery_policy.strategy
    canary = strategy.canary if strategy is not None else None
    for step in canary.way if canary is not None else ():
        if step.pause is not None and step.pause.duration:
            yield durations.seconds(step.pause.duration)


def length(plan: Plan, wave: PlannedWave, each: float) -> float:
    """Seconds that a wave takes if all goes well; waits for persons and windows come on top."""
    count = len(wave.clusters)
    if not count:
        return 0.0
    rounds = ceil(count / wave.max_concurrency) * each
    spaced = (count - 1) * plan.min_interval_seconds + each
    return max(rounds, spaced) + wave.soak_seconds


def lines(inputs: Inputs, due: Due, first: RunPlan | None, width: int | None) -> list[Text]:
    """The whole answer; `first` is the planner's look at the run that would begin."""
    guess = estimate(inputs)
    result = [*_title(inputs, due, width)]
    if first is not None:
        words = _first(first, f"{inputs.application.name}-{due.number}")
        result += page.labelled("First", words, width)
    result += [Text(), *table(due.plan, guess.seconds)]
    result += [Text(), *_takes(due.plan, guess, width)]
    result += page.labelled("Plan", "; ".join(story.rules(due.plan)), width)
    for note in due.plan.notes:
        result += page.labelled("Note", note, width)
    for name, why in _left_out(inputs, due):
        result += page.labelled("Left out", f"{name}: {why}", width)
    for name in (name for wave in due.plan.waves for name in wave.clusters):
        found = next(one for key, one in inputs.observed.members.items() if key == name)
        found = found.accepted if due.plan.accept_unknown_engine else found
        if not found.fresh:
            what = AWAY[due.plan.unavailable]
            why = found.message or "no fresh reports"
            result += page.labelled("Away", f"{name}: {why}; {what}", width)
    return result


AWAY = {
    "Defer": "put off to the end",
    "Block": "its wave waits for it",
    "Skip": "left out until it is back",
}


def _title(inputs: Inputs, due: Due, width: int | None) -> Iterator[Text]:
    name, newest = inputs.application.name, inputs.observed.newest
    clusters = sum(len(wave.clusters) for wave in due.plan.waves)
    yield page.text(
        (name, page.STRONG),
        f"  revision {due.proposal.revision}",
        (f"  namespace {inputs.application.namespace}", page.FAINT),
    )
    if due.occasion is not None:
        words = f"{name}-{due.number} would begin: {due.occasion.trigger}"
        if newest is not None and newest.status.finished_at is None:
            words += f"; {newest.name} is on its way ({newest.status.phase or 'begins'})"
    else:
        assert newest is not None
        words = f"nothing would begin: {newest.name} delivers this already ({newest.status.phase})"
    yield from page.labelled("Run", words, width)
    fleet = inputs.application.spec.destination.fleet
    waves = "1 wave" if len(due.plan.waves) == 1 else f"{len(due.plan.waves)} waves"
    of = f"{clusters} of {len(due.proposal.chosen)} members go in {waves}"
    yield from page.labelled("Fleet", f"{fleet}: {of}", width)


def starting(first: RunPlan) -> list[str]:
    """Clusters that go at once."""
    return [str(item.cluster) for item in first.actions if isinstance(item, StartCluster)]


def _first(first: RunPlan, run: str) -> str:
    """Who goes at once, or why nobody does and what would change that."""
    found = starting(first)
    if found:
        verb = "begins" if len(found) == 1 else "begin"
        return f"{phrases.listed(found, SHOWN)} {verb} at once"
    status = first.status
    said, unblock = (asking.spoken(text, run) for text in (status.message, status.unblock))
    more = "" if unblock in said or status.until is not None else f"; goes on with {unblock}"
    return f"nobody at once: {said}{more}"


def table(plan: Plan, each: float) -> list[Text]:
    """The waves in their order."""
    rows = [_row(plan, wave, each) for wave in plan.waves]
    return page.columns(HEAD, rows, tables.NARROW)


def _row(plan: Plan, wave: PlannedWave, each: float) -> Cells:
    return (
        Text(wave.name, style=page.STRONG),
        str(len(wave.clusters)),
        str(wave.max_concurrency),
        str(wave.failure_budget),
        tables.length(wave.progress_deadline_seconds),
        story.gates(wave),
        tables.length(length(plan, wave, each)) if wave.clusters else "",
        phrases.listed(wave.clusters, SHOWN) or Text(NOBODY, style=Tone.WAITING.style),
    )


def _takes(plan: Plan, guess: Estimate, width: int | None) -> Sequence[Text]:
    total = sum(length(plan, wave, guess.seconds) for wave in plan.waves)
    waits = sorted({gate.kind for wave in plan.waves for gate in (*wave.before, *wave.after)})
    kinds = [kind for kind in waits if kind != "soak"]
    more = f", and what it waits for ({', '.join(kinds)})" if kinds else ""
    each = tables.length(guess.seconds)
    words = f"about {tables.length(total)}{more}: {each} for each cluster, {guess.source}"
    return page.labelled("Takes", words, width)


def _left_out(inputs: Inputs, due: Due) -> Iterator[tuple[str, str]]:
    """Members of the namespace that the fleet does not take, or that the run does not know."""
    observed = inputs.observed
    assert observed.fleet is not None
    for name, why in sorted(selection.select(observed.fleet, observed.members).left_out.items()):
        yield name, why.removeprefix(f"{name} ")
    if due.occasion is None:
        return
    for name in due.proposal.chosen:
        if name not in due.occasion.clusters:
            yield name, "it has this already, or was left out of the run before"
