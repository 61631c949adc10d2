"""What is wrong with the parts that strategies share: services, steps, routes, analysis, durations.

Sentences for `Strategy.problems` and `validation`; each names field, value and correction.
"""

from collections.abc import Iterator, Mapping
from itertools import pairwise

from fleet.api.analysis import Analysis
from fleet.api.rollout import Canary, GatewayAPI, GatewayRouting, Step, TrafficRouting
from fleet.api.routing import NO_ROUTE
from fleet.api.strategy import weight_at
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


def steps(at: str, wanted: tuple[Step, ...], analysis: Analysis | None = None) -> Iterator[str]:
    """At least one step, growing weights, readable pauses, metrics for steps that are judged."""
    if not wanted:
        yield f"{at}.steps needs at least one step; write for example [{{setWeight: 20}}]"
    is_judged = analysis is not None and bool(analysis.metrics)
    before = -1
    for index, step in enumerate(wanted):
        where = f"{at}.steps[{index}]"
        yield from _weight(where, step, before)
        before = before if step.set_weight is None else max(before, step.set_weight)
        if step.analysis is not None and not is_judged:
            yield (
                f"{where}.analysis has nothing to judge by; "
                f"write {at}.analysis.metrics: [{{name: error-rate, threshold: 5}}]"
            )
        if step.pause is not None and step.pause.duration is not None:
            yield from duration(f"{where}.pause.duration", step.pause.duration)


def way(at: str, canary: Canary) -> Iterator[str]:
    """Steps, or a weight from outside instead of everything that has weights."""
    if canary.external_weight is None:
        yield from steps(at, canary.steps, canary.analysis)
        return
    own = {
        "steps": canary.steps,
        "promotionSteps": canary.promotion_steps,
        "analyzeAtFull": canary.analyze_at_full,
    }
    for field, value in own.items():
        if value:
            yield f"{at}.externalWeight and {field} exclude each other; leave out one of them"


def _weight(where: str, step: Step, before: int) -> Iterator[str]:
    """`before`: the weight that is in force; -1 at the first step."""
    weight, scale = step.set_weight, step.set_canary_scale
    if scale is not None and 100 in (weight, before):
        yield f"{where}.setCanaryScale: 100% of the traffic needs all pods; leave it out there"
    is_empty = scale is None and not step.hooks
    if weight is None and (before < 0 if step.analysis is not None else is_empty):
        yield f"{where}.setWeight is required; a pause stands in the step whose weight it holds"
    elif weight is not None and weight <= before:
        yield (
            f"{where}.setWeight must be greater than that of the step before it ({before}), "
            f"it is {weight}; weights grow, and 100 can only be the last"
        )


def scales(at: str, wanted: tuple[Step, ...], *, is_routed: bool) -> Iterator[str]:
    """Pods apart from the weight, in one way, for those who have a router."""
    for index, step in enumerate(wanted):
        scale = step.set_canary_scale
        if scale is None:
            continue
        ways = (scale.replicas, scale.percent, scale.match_traffic_weight or None)
        if sum(item is not None for item in ways) != 1:
            yield (
                f"{at}.steps[{index}].setCanaryScale needs exactly one way; write for example "
                "{replicas: 3}, {percent: 50} or {matchTrafficWeight: true}"
            )
        if not is_routed:
            yield (
                f"{at}.steps[{index}].setCanaryScale needs a router, since without one pods divide "
                f"the traffic; write {at}.trafficRouting, or leave it out"
            )


def full(at: str, canary: Canary) -> Iterator[str]:
    """Whoever shall be judged with all the traffic is judged by something."""
    is_judged = canary.analysis is not None and bool(canary.analysis.metrics)
    if canary.analyze_at_full is not None and not is_judged:
        yield (
            f"{at}.analyzeAtFull has nothing to judge by; "
            f"write {at}.analysis.metrics: [{{name: error-rate, threshold: 5}}]"
        )


def ramp(at: str, canary: Canary) -> Iterator[str]:
    """Weights of the promotion go on where the steps end, and somebody divides by them."""
    weights, where = canary.promotion_steps, f"{at}.promotionSteps"
    before = weight_at(canary.steps, len(canary.steps) - 1)
    if any(after <= weight for weight, after in pairwise(weights)):
        yield f"{where} must grow, they are {list(weights)}; write for example [70, 90]"
    elif weights and weights[0] <= before:
        yield f"{where} must be greater than the last step's {before}; end the steps below them"
    if weights and canary.traffic_routing is None:
        yield f"{where} need a router; write {at}.trafficRouting, or leave them out"
    if weights and canary.analyze_at_full is not None:
        yield f"{where} and analyzeAtFull exclude each other; write one of them"


def routing(at: str, wanted: GatewayRouting | None) -> Iterator[str]:
    """The router's objects have names, and nobody but the engine says how much."""
    gateway = wanted.gateway_api if wanted is not None else None
    if gateway is not None and gateway.http_route == "":
        yield (
            f"{at}.trafficRouting.gatewayAPI.httpRoute cannot be empty; "
            "write the name of an HTTPRoute of this namespace, or leave out trafficRouting"
        )
    elif gateway == GatewayAPI():
        yield f"{at}.trafficRouting.gatewayAPI is empty; {NO_ROUTE}"
    nginx = wanted.nginx if isinstance(wanted, TrafficRouting) else None
    for key in nginx.additional_ingress_annotations if nginx is not None else ():
        if not key.startswith("canary-by-"):
            yield (
                f"{at}.trafficRouting.nginx.additionalIngressAnnotations: {key} is not for the "
                "canary Ingress; write canary-by-header, canary-by-cookie and the like, "
                "without the prefix"
            )


def mirror(at: str, wanted: Canary) -> Iterator[str]:
    """Copies need a router that can make them, and a time for them."""
    if not wanted.mirror:
        return
    routing = wanted.traffic_routing
    if routing is None or routing.gateway_api is None or routing.nginx or routing.istio:
        yield (
            f"{at}.mirror is for routes of the Gateway API; "
            "write trafficRouting.gatewayAPI and no other router, or leave out mirror"
        )
    if all(weight_at(wanted.steps, index) for index in range(len(wanted.steps))):
        yield (
            f"{at}.mirror needs a step at which nobody sees the new revision; "
            "write for example steps: [{setWeight: 0, pause: {duration: 5m}}, …]"
        )


def beside(at: str, wanted: Canary) -> Iterator[str]:
    """Requests are told apart by routes of the Gateway API."""
    routing = wanted.traffic_routing
    given = {"headerRoutes": wanted.header_routes, "sessionAffinity": wanted.session_affinity}
    for field, value in given.items():
        if value and (routing is None or routing.gateway_api is None):
            yield (
                f"{at}.{field}: only routes of the Gateway API tell requests apart; "
                f"write {at}.trafficRouting.gatewayAPI, or leave out {field}"
            )


def analysis(at: str, wanted: Analysis | None, *, has_services: bool = True) -> Iterator[str]:
    """Readable durations, and whatever each metric finds wrong with itself. `has_services`:
    whether the strategy sends traffic through Services of its own."""
    if wanted is None:
        return
    yield from duration(f"{at}.analysis.warmupDuration", wanted.warmup_duration)
    yield from duration(f"{at}.analysis.interval", wanted.interval)
    for index, metric in enumerate(wanted.metrics):
        for field, sentence in metric.faults(has_services=has_services):
            yield f"{at}.analysis.metrics[{index}].{field} {sentence}"


def duration(where: str, text: str | None) -> Iterator[str]:
    """`30s` and the like; None is nothing to say about."""
    if text is None:
        return
    try:
        durations.parse(text)
    except ValueError as error:
        yield f"{where} invalid: {error}"
