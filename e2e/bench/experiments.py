"""How honest an A/B verdict is: winners where there are none, and winners that are missed.

No cluster: ten thousand experiments of each kind are drawn by chance (`tests.trials`) and held
against the engine's own boundary, look by look.
"""

from dataclasses import replace

from e2e.bench.figures import Figure, Goal
from tests import trials
from tests.trials import Outcome, Trial

DAY = Trial()
"""Equal arms, looked at every five minutes of a day, at 95 % confidence."""
DIFFERENT = replace(DAY, rates=(0.05, 0.056053))
"""Which one plain test at the end finds nine times of ten."""
SLOW = replace(DAY, runs=2_000)


def measure() -> list[Figure]:
    """Every kind of experiment."""
    equal, different = trials.proportions(DAY), trials.proportions(DIFFERENT)
    endless = trials.proportions(replace(DAY, has_end=False))
    several = trials.proportions(replace(DAY, findings=4))
    return [
        _false("A/A, 288 looks: false winners", equal),
        _plain("A/A, 288 looks: of the plain test at each look", equal),
        _false("A/A without an end: false winners", endless),
        _false("A/A, two metrics of three arms: false winners", several),
        _false("A/A, latency: false winners", trials.latencies(SLOW)),
        _missed(different),
        Figure(name="A/B: time until the end", unit="%", samples=(100 * different.duration,)),
    ]


def _false(name: str, outcome: Outcome) -> Figure:
    goal = Goal(limit=5, note="1 − confidence")
    return Figure(name=name, unit="%", samples=(100 * outcome.winners,), goals=(goal,))


def _plain(name: str, outcome: Outcome) -> Figure:
    return Figure(name=name, unit="%", samples=(100 * outcome.peeking,))


def _missed(outcome: Outcome) -> Figure:
    """1 − power, beside that of one plain test with all the data."""
    return Figure(
        name="A/B: missed winners",
        unit="%",
        samples=(100 * (1 - outcome.winners),),
        goals=(Goal(limit=20, note="one plain test at the end: 10"),),
        details={"single": 100 * (1 - outcome.single), "power": 100 * outcome.winners},
    )
