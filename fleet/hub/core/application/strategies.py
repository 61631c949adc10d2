"""What is wrong with the strategy of a policy: one entry in `CHECKS` for each strategy.

Called by `validation`. Each check sees the strategy's own part and the workload. What the engines
would refuse too is told of by `api.faults`; here stands what an Application alone has: the service
and the route of its workload.
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
from fleet.api.faults import Fault

Check = Callable[[Any, Workload], Iterator[Fault]]
ROUTE = "spec.workload.route"
SERVED: Mapping[str, str] = {
    "canary": "a canary divides the traffic of a service",
    "blueGreen": "blueGreen moves the traffic of a service",
    "abTesting": "abTesting gives each arm a service",
}
"""Strategies that need a service → what they do with it."""


def problems(where: str, policy: StrategyPolicy | None, workload: Workload) -> Iterator[Fault]:
    """Every broken rule of the strategy of the policy that stands at `where`; exactly one is
    given."""
    wish = policy or StrategyPolicy()
    for path, sentence in faults.choice(wish):
        yield f"{where}.{path}", sentence
    for kind, body in wish.given.items():
        for path, sentence in CHECKS[kind](body, workload):
            yield f"{where}.strategy.{kind}.{path}", sentence
        if kind in SERVED and workload.service is None and workload.route is None:
            yield (
                "spec.workload.service",
                f"is missing: {SERVED[kind]}; "
                "write service: {port: …, targetPort: …}, or the strategy simple",
            )


def _canary(body: CanaryPolicy, workload: Workload) -> Iterator[Fault]:
    is_routed = workload.route is not None
    kinds = frozenset({"gatewayAPI"} if is_routed else ())
    router = faults.Router(kinds=kinds, anyone=ROUTE, gateway=ROUTE, is_wanted=is_routed)
    return faults.canary(body, router)


def _blue_green(body: BlueGreenPolicy, _workload: Workload) -> Iterator[Fault]:
    return faults.analysis(body.analysis)


def _ab_testing(body: ABTestingPolicy, workload: Workload) -> Iterator[Fault]:
    return faults.experiment(body, workload.template)


def _simple(body: SimplePolicy, _workload: Workload) -> Iterator[Fault]:
    return faults.analysis(body.analysis, has_services=False)


CHECKS: Mapping[str, Check] = {
    "canary": _canary,
    "simple": _simple,
    "blueGreen": _blue_green,
    "abTesting": _ab_testing,
}
