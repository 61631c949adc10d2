"""What may be wrong with parts of a policy that stand in several places of it.

Called by `validation` and `strategies`; a sentence for each broken rule. `where` is the path of the
part in the Application.
"""

from collections.abc import Iterator, Sequence

from fleet.api import waves
from fleet.api.analysis import Analysis
from fleet.api.strategy import CanaryScale, Step
from fleet.api.waves import Gate
from fleet.kit import durations, windows


def duration(where: str, text: str | None) -> Iterator[str]:
    """One that is given can be read, and is in its range."""
    if not text:
        return
    try:
        durations.parse(text)
    except ValueError as error:
        yield f"{where}: {error}"


def gates(where: str, given: Sequence[Gate]) -> Iterator[str]:
    """Each waits for one thing, and that can come; soaks come first."""
    kinds = [gate.kind for gate in given]
    for index, gate in enumerate(given):
        here = f"{where}[{index}]"
        if sum(getattr(gate, kind) is not None for kind in waves.KINDS) != 1:
            yield f"{here}: write exactly one of {', '.join(waves.KINDS)}"
        elif gate.paused is False:
            yield f"{here}.paused: false waits for nothing: remove the gate"
        elif gate.soak and index and kinds[index - 1] != "soak":
            yield f"{here}.soak: a wave soaks first: move it before the {kinds[index - 1]}"
        yield from duration(f"{here}.soak", gate.soak)
        yield from _gate(here, gate)


def _gate(where: str, gate: Gate) -> Iterator[str]:
    """The parts of a gate."""
    if gate.approval is not None:
        yield from duration(f"{where}.approval.expiresAfter", gate.approval.expires_after)
    if gate.hook is not None:
        if not gate.hook.url.startswith(("http://", "https://")):
            yield f"{where}.hook.url: {gate.hook.url!r} is no address: write https://host/path"
        yield from duration(f"{where}.hook.timeout", gate.hook.timeout)
    if gate.schedule is not None:
        yield from duration(f"{where}.schedule.duration", gate.schedule.duration)
        try:
            windows.check(gate.schedule.cron, gate.schedule.time_zone)
        except ValueError as error:
            yield f"{where}.schedule: {error}"


def steps(where: str, given: Sequence[Step]) -> Iterator[str]:
    """Weights grow, and all the traffic is with all the pods."""
    before = -1
    for index, step in enumerate(given):
        weight, scale = step.set_weight, step.set_canary_scale
        is_empty = scale is None and not step.hooks
        if weight is None and (before < 0 if step.analysis is not None else is_empty):
            yield f"{where}[{index}].setWeight: is missing: write a percentage from 0 to 100"
        elif weight is not None and weight <= before:
            yield (
                f"{where}[{index}].setWeight: {weight} does not exceed the {before} of "
                "the step before: write growing weights"
            )
        before = before if weight is None else weight
        if scale is not None:
            yield from _scale(f"{where}[{index}].setCanaryScale", scale, before)
        if step.pause:
            yield from duration(f"{where}[{index}].pause.duration", step.pause.duration)


def _scale(where: str, scale: CanaryScale, weight: int) -> Iterator[str]:
    """In one way, and only below the weight at which all pods are needed."""
    ways = (scale.replicas, scale.percent, scale.match_traffic_weight or None)
    if sum(way is not None for way in ways) != 1:
        yield (f"{where}: write exactly one of replicas: 3, percent: 50, matchTrafficWeight: true")
    if weight == 100:
        yield f"{where}: 100% of the traffic needs all pods: leave it out there"


def analysis(where: str, given: Analysis | None, *, has_services: bool = True) -> Iterator[str]:
    """Its times and its metrics."""
    if given is None:
        return
    yield from duration(f"{where}.warmupDuration", given.warmup_duration)
    yield from duration(f"{where}.interval", given.interval)
    for index, metric in enumerate(given.metrics):
        for field, sentence in metric.faults(has_services=has_services):
            yield f"{where}.metrics[{index}].{field}: {sentence}"
