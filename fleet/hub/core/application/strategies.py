"""What is wrong with the strategy of a policy: one entry in `CHECKS` for each strategy.

Called by `validation`. Each check sees the strategy's own part and the workload, and yields
sentences that name the field, the value and the correction.
"""

from collections.abc import Callable, Iterator, Mapping
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
    yield from checks.steps(f"{where}.steps", body.steps)
    yield from checks.analysis(f"{where}.analysis", body.analysis)
    judged = [index for index, step in enumerate(body.steps) if step.analysis is not None]
    if judged and not (body.analysis and body.analysis.metrics):
        yield (
            f"{where}.steps[{judged[0]}].analysis: has nothing to judge by: "
            f"write {where}.analysis.metrics: [{{name: error-rate, threshold: 5}}]"
        )
    scaled = [index for index, step in enumerate(body.steps) if step.set_canary_scale is not None]
    if scaled and workload.route is None:
        yield (
            f"{where}.steps[{scaled[0]}].setCanaryScale: needs spec.workload.route: "
            "without one pods divide the traffic"
        )
    if workload.service is None and workload.route is None:
        yield (
            "spec.workload.service: is missing: a canary divides the traffic of a service: "
            "write service: {port: …, targetPort: …}, or the strategy simple"
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
