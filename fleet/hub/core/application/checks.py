"""What may be wrong with parts of a policy that stand in several places of it.

Called by `validation`; a sentence for each broken rule. `where` is the path of the
part in the Application.
"""

from collections.abc import Iterable, Iterator, Sequence

from fleet.api import faults, waves
from fleet.api.faults import Fault
from fleet.api.waves import Gate
from fleet.kit import windows


def told(found: Iterable[Fault]) -> Iterator[str]:
    """The sentences of faults with whole paths."""
    return (f"{path}: {sentence}" for path, sentence in found)


def duration(where: str, text: str | None) -> Iterator[str]:
    """One that is given can be read, and is in its range."""
    return told(faults.duration(where, text))


def amount(where: str, value: str | int | None) -> Iterator[str]:
    """One that is given is a number or a percentage."""
    return told(faults.amount(where, value))


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
