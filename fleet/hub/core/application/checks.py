"""What may be wrong with parts of a policy that stand in several places of it.

Called by `validation` and `strategies`; a sentence for each broken rule. `where` is the path of the
part in the Application.
"""

from collections.abc import Iterator, Sequence

from fleet.api.analysis import Analysis
from fleet.api.strategy import Step
from fleet.kit import durations


def duration(where: str, text: str | None) -> Iterator[str]:
    """One that is given can be read, and is in its range."""
    if not text:
        return
    try:
        durations.parse(text)
    except ValueError as error:
        yield f"{where}: {error}"


def steps(where: str, given: Sequence[Step]) -> Iterator[str]:
    """Weights grow."""
    for index, step in enumerate(given):
        before = given[index - 1].set_weight if index else -1
        if step.set_weight <= before:
            yield (
                f"{where}[{index}].setWeight: {step.set_weight} does not exceed the {before} of "
                "the step before: write growing weights"
            )
        if step.pause:
            yield from duration(f"{where}[{index}].pause.duration", step.pause.duration)


def analysis(where: str, given: Analysis | None) -> Iterator[str]:
    """Its times."""
    if given is None:
        return
    yield from duration(f"{where}.warmupDuration", given.warmup_duration)
    for index, metric in enumerate(given.metrics):
        yield from duration(f"{where}.metrics[{index}].interval", metric.interval)
        yield from duration(f"{where}.metrics[{index}].window", metric.window)
