"""What is wrong with a spec: every problem at once, each with field, value and correction.

Called by `plan` for what is stored, and for files (`of_manifest`). Ranges and known names are
refused by the models; here are the rules between fields. The CRD says the same in CEL and is first;
here is what an older CRD lets through, and what CEL cannot say (the index of a step). Add a rule by
a function and an entry in `RULES`.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from fleet.api.analysis import Analysis
from fleet.api.rollout import Canary, Rollout, RolloutSpec, Step
from fleet.errors import UserError
from fleet.kit import amounts, durations

NAME_LIMIT = 63


def problems(spec: RolloutSpec, name: str = "") -> tuple[str, ...]:
    """Every problem of `spec` as a sentence; empty when it is valid."""
    found = list(_name(name))
    for rule in RULES:
        found.extend(rule(spec))
    return tuple(found)


def of_manifest(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """Every problem of a Rollout as a person wrote it, unknown fields included.

    What the models refuse is named first; the rules between fields need a readable spec.
    """
    try:
        rollout = Rollout.parse(manifest, strict=True)
    except UserError as error:
        return (str(error),)
    return problems(rollout.spec, rollout.name)


def _name(name: str) -> Iterator[str]:
    if len(name) > NAME_LIMIT:
        yield (
            f"metadata.name has {len(name)} characters; it becomes a label of the pods: "
            f"write at most {NAME_LIMIT}"
        )


def _delay(spec: RolloutSpec) -> Iterator[str]:
    try:
        durations.parse(spec.scale_down_delay, allow_zero=True)
    except ValueError as error:
        yield f"spec.scaleDownDelay invalid: {error}, or 0s for none"


def _amounts(spec: RolloutSpec) -> Iterator[str]:
    values = {"maxSurge": spec.max_surge, "maxUnavailable": spec.max_unavailable}
    for name, value in values.items():
        if not amounts.is_valid(value):
            yield (
                f"spec.{name} invalid: {_text(value)}; "
                "write a number of pods (2) or a percentage from 0% to 100% (25%)"
            )
    if all(str(value).rstrip("%").strip("0") == "" for value in values.values()):
        yield (
            "spec.maxSurge and spec.maxUnavailable are both 0, so no pod could ever be replaced; "
            "write at least 1 for one of them"
        )


def _selector(spec: RolloutSpec) -> Iterator[str]:
    labels = (spec.template.get("metadata") or {}).get("labels") or {}
    if spec.selector.is_empty:
        yield "spec.selector is empty; write matchLabels, and the same labels into the template"
    elif not spec.selector.matches(labels):
        yield (
            f"spec.selector {_text(spec.selector.manifest())} does not match "
            f"spec.template.metadata.labels {_text(labels)}; write the same labels in both"
        )


def _strategy(spec: RolloutSpec) -> Iterator[str]:
    given = [key for key in ("simple", "canary") if getattr(spec.strategy, key) is not None]
    if len(given) != 1:
        said = " and ".join(given) if given else "none"
        yield f"spec.strategy must have exactly one of simple and canary, it has {said}"
    if spec.strategy.simple is not None:
        yield from _analysis(spec.strategy.simple.analysis, "spec.strategy.simple.analysis")
    if spec.strategy.canary is not None:
        yield from _canary(spec.strategy.canary)


def _canary(canary: Canary) -> Iterator[str]:
    at = "spec.strategy.canary"
    for name, value in (
        ("canaryService", canary.canary_service),
        ("stableService", canary.stable_service),
    ):
        if not value:
            yield f"{at}.{name} cannot be empty; write the name of a Service in this namespace"
    if canary.canary_service and canary.canary_service == canary.stable_service:
        yield (
            f"{at}.canaryService and stableService are both {canary.stable_service}; "
            "write two different Services"
        )
    if not canary.steps:
        yield f"{at}.steps needs at least one step; write for example [{{setWeight: 20}}]"
    yield from _steps(canary.steps, at)
    routing = canary.traffic_routing
    gateway = routing.gateway_api if routing is not None else None
    if gateway is not None and not gateway.http_route:
        yield (
            f"{at}.trafficRouting.gatewayAPI.httpRoute cannot be empty; "
            "write the name of an HTTPRoute of this namespace, or leave out trafficRouting"
        )
    yield from _analysis(canary.analysis, f"{at}.analysis")


def _steps(steps: tuple[Step, ...], at: str) -> Iterator[str]:
    before = -1
    for index, step in enumerate(steps):
        where, weight = f"{at}.steps[{index}]", step.set_weight
        if weight <= before:
            yield (
                f"{where}.setWeight must be greater than that of the step before it ({before}), "
                f"it is {weight}; weights grow, and 100 can only be the last"
            )
        before = max(before, weight)
        if step.pause is not None and step.pause.duration is not None:
            yield from _duration(f"{where}.pause.duration", step.pause.duration)


def _analysis(analysis: Analysis | None, at: str) -> Iterator[str]:
    if analysis is None:
        return
    yield from _duration(f"{at}.warmupDuration", analysis.warmup_duration)
    for index, metric in enumerate(analysis.metrics):
        where = f"{at}.metrics[{index}]"
        if not math.isfinite(metric.threshold):
            yield f"{where}.threshold must be a finite number, it is {metric.threshold}"
        yield from _duration(f"{where}.interval", metric.interval)
        yield from _duration(f"{where}.window", metric.window)


def _duration(where: str, text: str | None) -> Iterator[str]:
    if text is None:
        return
    try:
        durations.parse(text)
    except ValueError as error:
        yield f"{where} invalid: {error}"


def _text(value: object) -> str:
    return repr(value)


RULES: tuple[Callable[[RolloutSpec], Iterator[str]], ...] = (
    _strategy,
    _amounts,
    _selector,
    _delay,
)
"""Asked in this order; all of them are asked."""
