"""What is wrong with the parts that strategies share: services, steps, routes, analysis, durations.

Sentences for `Strategy.problems` and `validation`; each names field, value and correction.
"""

import math
from collections.abc import Iterator, Mapping

from fleet.api.analysis import Analysis
from fleet.api.rollout import Step, TrafficRouting
from fleet.kit import durations


def services(at: str, named: Mapping[str, str]) -> Iterator[str]:
    """Every Service has a name, and no two have the same. `named`: field → name."""
    seen: dict[str, str] = {}
    for field, name in named.items():
        if not name:
            yield f"{at}.{field} cannot be empty; write the name of a Service in this namespace"
        elif name in seen:
            yield f"{at}.{seen[name]} and {field} are both {name}; write two different Services"
        else:
            seen[name] = field


def steps(at: str, wanted: tuple[Step, ...]) -> Iterator[str]:
    """At least one step, growing weights, readable pauses."""
    if not wanted:
        yield f"{at}.steps needs at least one step; write for example [{{setWeight: 20}}]"
    before = -1
    for index, step in enumerate(wanted):
        where, weight = f"{at}.steps[{index}]", step.set_weight
        if weight <= before:
            yield (
                f"{where}.setWeight must be greater than that of the step before it ({before}), "
                f"it is {weight}; weights grow, and 100 can only be the last"
            )
        before = max(before, weight)
        if step.pause is not None and step.pause.duration is not None:
            yield from duration(f"{where}.pause.duration", step.pause.duration)


def routing(at: str, wanted: TrafficRouting | None) -> Iterator[str]:
    """The router's object has a name."""
    gateway = wanted.gateway_api if wanted is not None else None
    if gateway is not None and not gateway.http_route:
        yield (
            f"{at}.trafficRouting.gatewayAPI.httpRoute cannot be empty; "
            "write the name of an HTTPRoute of this namespace, or leave out trafficRouting"
        )


def analysis(at: str, wanted: Analysis | None) -> Iterator[str]:
    """Finite thresholds, readable durations."""
    if wanted is None:
        return
    yield from duration(f"{at}.analysis.warmupDuration", wanted.warmup_duration)
    for index, metric in enumerate(wanted.metrics):
        where = f"{at}.analysis.metrics[{index}]"
        if not math.isfinite(metric.threshold):
            yield f"{where}.threshold must be a finite number, it is {metric.threshold}"
        yield from duration(f"{where}.interval", metric.interval)
        yield from duration(f"{where}.window", metric.window)


def duration(where: str, text: str | None) -> Iterator[str]:
    """`30s` and the like; None is nothing to say about."""
    if text is None:
        return
    try:
        durations.parse(text)
    except ValueError as error:
        yield f"{where} invalid: {error}"
