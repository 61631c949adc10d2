"""From counts to results, from results to a winner. Pure; used by `experiment`.

A result is one metric of one arm against the control, with a chance of error that is corrected for
all metrics, all arms and all looks. An arm is decided when the metrics that are significant agree.
The experiment ends when an arm has beaten the control, or every arm has lost to it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from fleet.api.experiment import ABAnalysis, ABMetric, ExperimentResult
from fleet.kulta.core.analysis import sequential, significance
from fleet.kulta.core.analysis.sequential import Peek
from fleet.kulta.core.analysis.significance import Share

CONTROL = "A"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What one arm has done since the experiment began, in one metric."""

    share: Share
    value: float
    """What people see: percent, or milliseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One arm and the control, in one metric."""

    metric: ABMetric
    arm: str
    control: Measured
    other: Measured


def results(
    pairs: Sequence[Pair], findings: int, analysis: ABAnalysis, peek: Peek
) -> tuple[ExperimentResult, ...]:
    """The results of one look. `findings`: metrics times arms of the whole experiment, of which
    some may have nothing to say yet."""
    alpha = 1.0 - analysis.confidence_level
    chances = [sequential.chance(item.control.share, item.other.share, peek) for item in pairs]
    silent = [1.0] * (findings - len(pairs))
    corrected = significance.corrected([*chances, *silent])
    return tuple(
        _result(pair, chance, alpha, sequential.interval(*_shares(pair), alpha / findings, peek))
        for pair, chance in zip(pairs, corrected, strict=False)
    )


def _shares(pair: Pair) -> tuple[Share, Share]:
    return pair.control.share, pair.other.share


def _result(
    pair: Pair, chance: float, alpha: float, bounds: tuple[float, float] | None
) -> ExperimentResult:
    control, other = pair.control, pair.other
    size = significance.effect(control.value, other.value)
    is_significant = chance <= alpha
    is_large = abs(size) >= (pair.metric.min_effect_size or 0.0)
    low, high = bounds if bounds is not None and is_share(pair.metric) else (None, None)
    winner = ""
    if is_significant and is_large:
        found = significance.better(other.share.rate - control.share.rate, pair.metric.direction)
        winner = pair.arm if found == "B" else CONTROL
    return ExperimentResult(
        name=pair.metric.name,
        arm=pair.arm,
        value_a=control.value,
        value_b=other.value,
        confidence=1.0 - chance,
        is_significant=is_significant,
        winner=winner,
        effect=size,
        effect_low=low,
        effect_high=high,
    )


def is_share(metric: ABMetric) -> bool:
    """Whether people see the share itself, and not a latency."""
    return not metric.name.startswith("latency-") or metric.numerator is not None


def decide(
    found: Sequence[ExperimentResult], metrics: int, arms: Sequence[str]
) -> tuple[str, str] | None:
    """Winner and reason; None while nothing is decided. `metrics`: how many are compared."""
    standing = {arm: _standing([item for item in found if item.arm == arm]) for arm in arms}
    ahead = [arm for arm, winner in standing.items() if winner == arm]
    if ahead:
        best = max(ahead, key=lambda arm: _size(found, arm))
        return best, _reason(found, metrics, [best])
    if arms and all(winner == CONTROL for winner in standing.values()):
        return CONTROL, _reason(found, metrics, arms)
    return None


def _standing(found: Sequence[ExperimentResult]) -> str:
    """Who has won between one arm and the control; empty where metrics disagree or say nothing."""
    winners = {item.winner for item in found if item.winner}
    return winners.pop() if len(winners) == 1 else ""


def _size(found: Sequence[ExperimentResult], arm: str) -> float:
    """How far an arm is ahead, in the first metric that says so."""
    return next(abs(item.effect or 0.0) for item in found if item.winner == arm == item.arm)


def _reason(found: Sequence[ExperimentResult], metrics: int, arms: Sequence[str]) -> str:
    said = sum(bool(item.winner) for item in found if item.arm in arms)
    return "SignificanceReached" if said == metrics * len(arms) else "ConsensusReached"
