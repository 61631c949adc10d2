"""What is wrong with the strategy of a policy: one entry in `CHECKS` for each strategy.

Called by `validation`. Each check sees the strategy's own part and the workload, and yields
sentences that name the field, the value and the correction.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any

from fleet.api import faults
from fleet.api.application import (
    ABTestingPolicy,
    BlueGreenPolicy,
    CanaryPolicy,
    SimplePolicy,
    StrategyPolicy,
    Workload,
)
from fleet.api.strategy import weight_at
from fleet.hub.core.application import checks

Check = Callable[[str, Any, Workload], Iterator[str]]


def problems(where: str, policy: StrategyPolicy | None, workload: Workload) -> Iterator[str]:
    """Every broken rule of the strategy that stands at `where`; exactly one is given."""
    given = policy.given if policy is not None else {}
    if not given:
        yield f"{where}: is missing: write one of {', '.join(CHECKS)}"
    elif len(given) > 1:
        yield f"{where}: {' and '.join(given)} are set together: keep one of them"
    for kind, body in given.items():
        yield from CHECKS[kind](f"{where}.{kind}", body, workload)


def _canary(where: str, body: CanaryPolicy, workload: Workload) -> Iterator[str]:
    yield from _way(where, body)
    yield from checks.analysis(f"{where}.analysis", body.analysis)
    yield from _judged(where, body)
    yield from _ramp(where, body)
    yield from _routed(where, body, workload)
    if workload.service is None and workload.route is None:
        yield (
            "spec.workload.service: is missing: a canary divides the traffic of a service: "
            "write service: {port: …, targetPort: …}, or the strategy simple"
        )


def _way(where: str, body: CanaryPolicy) -> Iterator[str]:
    """Steps, or a weight from outside instead of everything that has weights."""
    if body.external_weight is None:
        if not body.steps:
            yield f"{where}.steps: is missing: write at least one, for example [{{setWeight: 20}}]"
        yield from checks.steps(f"{where}.steps", body.steps)
        return
    own = {
        "steps": body.steps,
        "promotionSteps": body.promotion_steps,
        "analyzeAtFull": body.analyze_at_full,
    }
    for field in (name for name, value in own.items() if value):
        yield f"{where}: externalWeight and {field} exclude each other: keep one of them"


def _judged(where: str, body: CanaryPolicy) -> Iterator[str]:
    """Whatever is to be judged is judged by something."""
    if body.analysis is not None and body.analysis.metrics:
        return
    judged = [f"steps[{n}].analysis" for n, step in enumerate(body.steps) if step.analysis]
    judged += ["analyzeAtFull"] if body.analyze_at_full is not None else []
    if judged:
        yield (
            f"{where}.{judged[0]}: has nothing to judge by: "
            f"write {where}.analysis.metrics: [{{name: error-rate, threshold: 5}}]"
        )


def _ramp(where: str, body: CanaryPolicy) -> Iterator[str]:
    """The weights of the promotion go on where the steps end."""
    weights, last = body.promotion_steps, weight_at(body.steps, len(body.steps) - 1)
    if any(after <= before for before, after in pairwise((last, *weights))):
        yield (
            f"{where}.promotionSteps: {list(weights)} do not grow from the {last} of the last "
            "step on: write greater weights, or end the steps below them"
        )
    if weights and body.analyze_at_full is not None:
        yield f"{where}: promotionSteps and analyzeAtFull exclude each other: keep one of them"


def _routed(where: str, body: CanaryPolicy, workload: Workload) -> Iterator[str]:
    """What a router alone can do is asked for where there is one."""
    given: dict[str, object] = {
        "promotionSteps": body.promotion_steps,
        "headerRoutes": body.header_routes,
        "sessionAffinity": body.session_affinity,
        "mirror": body.mirror,
    }
    for index, step in enumerate(body.steps):
        given[f"steps[{index}].setCanaryScale"] = step.set_canary_scale
    asked = [field for field, value in given.items() if value]
    if asked and workload.route is None:
        yield (
            f"{where}.{asked[0]}: needs spec.workload.route: without one pods divide the traffic"
        )
    if body.mirror and all(weight_at(body.steps, n) for n in range(len(body.steps))):
        yield (
            f"{where}.mirror: needs a step at which nobody sees the new revision: "
            "write steps: [{setWeight: 0, pause: {duration: 5m}}, …]"
        )


def _blue_green(where: str, body: BlueGreenPolicy, workload: Workload) -> Iterator[str]:
    yield from checks.analysis(f"{where}.analysis", body.analysis)
    if workload.service is None and workload.route is None:
        yield (
            "spec.workload.service: is missing: blueGreen moves the traffic of a service: "
            "write service: {port: …, targetPort: …}, or the strategy simple"
        )


def _ab_testing(where: str, body: ABTestingPolicy, workload: Workload) -> Iterator[str]:
    yield from checks.duration(f"{where}.maxDuration", body.max_duration)
    if body.analysis is not None:
        yield from checks.duration(f"{where}.analysis.minDuration", body.analysis.min_duration)
        yield from checks.duration(f"{where}.analysis.interval", body.analysis.interval)
    for path, sentence in faults.experiment(body, workload.template):
        yield f"{where}.{path}: {sentence}"
    if workload.service is None and workload.route is None:
        yield (
            "spec.workload.service: is missing: abTesting gives each arm a service: "
            "write service: {port: …, targetPort: …}, or the strategy simple"
        )


def _simple(where: str, body: SimplePolicy, _workload: Workload) -> Iterator[str]:
    yield from checks.analysis(f"{where}.analysis", body.analysis, has_services=False)


CHECKS: Mapping[str, Check] = {
    "canary": _canary,
    "simple": _simple,
    "blueGreen": _blue_green,
    "abTesting": _ab_testing,
}
