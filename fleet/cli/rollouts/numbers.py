"""The numbers that judge a revision: metrics and thresholds, an experiment and chance. Pure.

Part of the head of `fleet rollout get`; each is a small table under its title.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime

from rich.text import Text

from fleet.api.analysis import Analysis, Metric, MetricStatus, Samples
from fleet.api.experiment import ExperimentArm, ExperimentResult, ExperimentStatus
from fleet.cli import page
from fleet.cli.page import Cells
from fleet.cli.rollouts.family import Family
from fleet.cli.tables import NARROW, Tone
from fleet.kit import durations, phrases

INDENT = "  "
UNITS = (("error-rate", "%"), ("conversion-rate", "%"), ("latency-", "ms"), ("request-rate", "/s"))
"""Beginning of a metric's name → its unit."""
VERDICTS: Mapping[str, Tone] = {
    "Passed": Tone.GOOD,
    "Failed": Tone.BAD,
    "Inconclusive": Tone.UNKNOWN,
    "Undecided": Tone.WAITING,
    "Error": Tone.BAD,
    "Pending": Tone.OPEN,
}


def lines(family: Family, now: datetime, width: int | None) -> Iterator[Text]:
    """Analysis and experiment, each if there is one."""
    yield from _analysis(family, now, width)
    yield from _experiment(family, now, width)


def analysis_of(family: Family) -> Analysis | None:
    """What judges the new revision; None where nothing does, or where an experiment does."""
    wish = family.rollout.spec.strategy
    for strategy in (wish.simple, wish.canary, wish.blue_green):
        if strategy is not None and strategy.analysis is not None:
            return strategy.analysis
    return None


def _analysis(family: Family, now: datetime, width: int | None) -> Iterator[Text]:
    analysis, status = analysis_of(family), family.rollout.status.analysis
    if analysis is None or not analysis.metrics or status is None:
        return
    words = f"of {family.label(status.revision)}"
    if status.checked_at is not None:
        words += f", written {_ago(status.checked_at, now)} ago"
    yield from page.labelled("Analysis", words, width)
    rows = [
        _metric(item, analysis, number)
        for number, item in enumerate(status.metrics)
        if number < len(analysis.metrics)
    ]
    head = ("METRIC", "VALUE", "THRESHOLD", "VERDICT", "FAILED", "BAD", "BAD, STABLE")
    for line in page.columns(head, rows, NARROW):
        yield Text(INDENT).append_text(line)
    for item in status.metrics:
        if item.verdict in ("Error", "Inconclusive", "Undecided") and item.message:
            said = f"{item.name}: {item.message}"
            yield from page.labelled("", Text(said, style="yellow"), width)


def _metric(item: MetricStatus, analysis: Analysis, number: int) -> Cells:
    tone, metric = VERDICTS[item.verdict], analysis.metrics[number]
    most = metric.failure_threshold or (1 if analysis.failure_limit is None else None)
    failures = f"{item.failures}" if most is None else f"{item.failures}/{most}"
    if item.errors:
        failures = "1 error" if item.errors == 1 else f"{item.errors} errors"
    return (
        item.name,
        Text(amount(item.name, item.value), style=tone.style),
        limits(metric, brief=True),
        page.marked(tone, item.verdict),
        "dry run" if item.dry_run else failures,
        _samples(item.canary),
        _samples(item.stable),
    )


def limits(metric: Metric, *, brief: bool = False) -> str:
    """What a value must be: `below 5 %`, `from 1 to 2`, `at most 10% above stable`.

    `brief` is for a column: `< 5 %`, `1 … 2`, `≤ stable + 10%`.
    """
    found, known = [], metric.threshold_range
    if metric.threshold is not None:
        found.append(("< " if brief else "below ") + amount(metric.name, metric.threshold))
    if known is not None:
        least, most = ("" if x is None else amount(metric.name, x) for x in (known.min, known.max))
        found.append(f"{least} … {most}".strip() if brief else _range(least, most))
    if metric.compare_to_stable is not None:
        more = str(metric.compare_to_stable.max_increase)
        found.append(f"≤ stable + {more}" if brief else f"at most {more} above stable")
    return (", " if brief else " and ").join(found)


def _range(least: str, most: str) -> str:
    if least and most:
        return f"from {least} to {most}"
    return f"at least {least}" if least else f"at most {most}"


def amount(name: str, value: float | None) -> str:
    """`0.4 %`, `812 ms`; `-` for what nobody knows."""
    if value is None:
        return "-"
    unit = next((unit for start, unit in UNITS if name.startswith(start)), "")
    return f"{value:.4g} {unit}".rstrip()


def _samples(item: Samples | None) -> str:
    return "-" if item is None else f"{item.bad:,.0f} of {item.n:,.0f}"


def _experiment(family: Family, now: datetime, width: int | None) -> Iterator[Text]:
    status = family.rollout.status.ab_experiment
    if status is None:
        return
    yield from page.labelled("Experiment", _course(status, now), width)
    for line in page.columns(
        ("ARM", "REVISION", "SERVICE", "REQUESTS", ""), map(_arm, status.arms)
    ):
        yield Text(INDENT).append_text(line)
    if status.results:
        head = ("METRIC", "A", "ARM", "VALUE", "DIFFERENCE", "CONFIDENCE", "WINNER")
        for line in page.columns(head, map(_result, status.results), NARROW):
            yield Text(INDENT).append_text(line)
    if status.mismatch:
        yield from page.labelled("", page.marked(Tone.BAD, status.mismatch), width)


def _course(status: ExperimentStatus, now: datetime) -> Text:
    words = Text()
    if status.started_at is not None:
        end = status.concluded_at or now
        words.append(f"for {_ago(status.started_at, end)}")
    if status.conclusion_reason:
        winner = f"variant {status.winner} has won" if status.winner else "nobody has won"
        words.append(f"; {winner} ({status.conclusion_reason})", style="bold")
    elif status.message:
        words.append(f"; {phrases.short(status.message, 160)}")
    return words


def _arm(item: ExperimentArm) -> Cells:
    live = Text("") if item.is_live else Text("no ready pod: no requests", style="yellow")
    size = "-" if item.sample_size is None else f"{item.sample_size:,}"
    return (item.name, item.revision, item.service, size, live)


def _result(item: ExperimentResult) -> Cells:
    style = "green" if item.is_significant else ""
    return (
        item.name,
        amount(item.name, item.value_a),
        item.arm,
        amount(item.name, item.value_b),
        _effect(item),
        Text(f"{100 * item.confidence:.1f}%", style=style),
        item.winner or "-",
    )


def _effect(item: ExperimentResult) -> str:
    """`+4.2% (1.1% … 7.3%)`: the difference as a part of A, with its interval."""
    if item.effect is None:
        return "-"
    words = f"{item.effect:+.1%}"
    if item.effect_low is None or item.effect_high is None:
        return words
    return f"{words} ({item.effect_low:+.1%} … {item.effect_high:+.1%})"


def _ago(moment: datetime, now: datetime) -> str:
    return durations.format_short(now - moment)
