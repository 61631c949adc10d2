"""What is wrong with the choice of a strategy, with a canary, and with any analysis."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from fleet.api.analysis import Analysis
from fleet.api.faults.values import Fault, duration
from fleet.api.strategy import CanaryScale, CanaryWay, Choice, Step, weight_at

GATEWAY = "gatewayAPI"


@dataclass(frozen=True, slots=True, kw_only=True)
class Router:
    """Who divides the traffic of a canary, and where a person writes that."""

    kinds: frozenset[str]
    """`gatewayAPI` and the like."""
    anyone: str
    """The path at which some router is written."""
    gateway: str
    """The path at which a route of the Gateway API is written."""
    is_wanted: bool
    """Otherwise pods divide it. One may be wanted of which nothing is written."""


def choice(wish: Choice) -> Iterator[Fault]:
    """Exactly one strategy."""
    given = list(wish.given)
    if len(given) != 1:
        yield (
            "strategy",
            f"has {' and '.join(given) or 'none'}; {wish.RULES[0].message}",
        )


def canary(wish: CanaryWay, router: Router) -> Iterator[Fault]:
    """Everything about a canary whose traffic is divided by `router`."""
    yield from _way(wish)
    yield from _judged(wish)
    yield from _ramp(wish)
    yield from _routed(wish, router)
    yield from _mirrored(wish, router)
    yield from analysis(wish.analysis)


def analysis(wish: Analysis | None, *, has_services: bool = True) -> Iterator[Fault]:
    """Its times, and whatever each metric finds wrong with itself. `has_services`: whether the
    strategy sends traffic through Services of its own."""
    if wish is None:
        return
    yield from duration("analysis.warmupDuration", wish.warmup_duration)
    yield from duration("analysis.interval", wish.interval)
    for index, metric in enumerate(wish.metrics):
        for field, sentence in metric.faults(has_services=has_services):
            yield f"analysis.metrics[{index}].{field}", sentence


def _way(wish: CanaryWay) -> Iterator[Fault]:
    """Steps, or a weight from outside instead of everything that has weights."""
    if wish.external_weight is None:
        yield from _steps(wish.steps)
        return
    own = {
        "steps": wish.steps,
        "promotionSteps": wish.promotion_steps,
        "analyzeAtFull": wish.analyze_at_full,
    }
    for field in (name for name, value in own.items() if value):
        yield "externalWeight", f"excludes {field}; leave out one of them"


def _steps(given: tuple[Step, ...]) -> Iterator[Fault]:
    """At least one, with growing weights, pods that go with them, and pauses that end."""
    if not given:
        yield "steps", "needs at least one step; write for example [{setWeight: 20}]"
    before = -1
    for index, step in enumerate(given):
        where = f"steps[{index}]"
        yield from _weight(f"{where}.setWeight", step, before)
        before = before if step.set_weight is None else max(before, step.set_weight)
        if step.set_canary_scale is not None:
            yield from _scale(f"{where}.setCanaryScale", step.set_canary_scale, before)
        if step.pause is not None:
            yield from duration(f"{where}.pause.duration", step.pause.duration)


def _weight(path: str, step: Step, before: int) -> Iterator[Fault]:
    """`before`: the weight that is in force; -1 at the first step."""
    weight = step.set_weight
    is_empty = step.set_canary_scale is None and not step.hooks
    if weight is None and (before < 0 if step.analysis is not None else is_empty):
        yield (
            path,
            "is required; write a percentage from 0 to 100, "
            "and a pause into the step whose weight it holds",
        )
    elif weight is not None and weight <= before:
        yield (
            path,
            f"must be greater than the one before it ({before}), it is {weight}; "
            "write growing weights, of which 100 can only be the last",
        )


def _scale(path: str, wish: CanaryScale, weight: int) -> Iterator[Fault]:
    """In one way, and only below the weight at which all pods are needed."""
    ways = (wish.replicas, wish.percent, wish.match_traffic_weight or None)
    if sum(way is not None for way in ways) != 1:
        yield (
            path,
            "needs exactly one way; "
            "write for example {replicas: 3}, {percent: 50} or {matchTrafficWeight: true}",
        )
    if weight == 100:
        yield path, "means nothing at 100% of the traffic, which needs all pods; leave it out there"


def _judged(wish: CanaryWay) -> Iterator[Fault]:
    """Whatever is to be judged is judged by something."""
    if wish.analysis is not None and wish.analysis.metrics:
        return
    judged = [f"steps[{n}].analysis" for n, step in enumerate(wish.steps) if step.analysis]
    judged += ["analyzeAtFull"] if wish.analyze_at_full is not None else []
    for path in judged:
        yield (
            path,
            "has nothing to judge by; "
            "write canary.analysis.metrics: [{name: error-rate, threshold: 5}]",
        )


def _ramp(wish: CanaryWay) -> Iterator[Fault]:
    """The weights of the promotion go on where the steps end."""
    path, weights = "promotionSteps", list(wish.promotion_steps)
    last = weight_at(wish.steps, len(wish.steps) - 1)
    if any(after <= before for before, after in pairwise(weights)):
        yield path, f"must grow, they are {weights}; write for example [70, 90]"
    elif weights and weights[0] <= last:
        yield (
            path,
            f"must be greater than the last step's {last}, they are {weights}; "
            "write greater weights, or end the steps below them",
        )
    if weights and wish.analyze_at_full is not None:
        yield path, "cannot stand beside analyzeAtFull; leave out one of them"


def _routed(wish: CanaryWay, router: Router) -> Iterator[Fault]:
    """What a router alone can do is asked for where there is one."""
    asked = [f"steps[{n}].setCanaryScale" for n, x in enumerate(wish.steps) if x.set_canary_scale]
    asked += ["promotionSteps"] if wish.promotion_steps else []
    for path in asked if not router.is_wanted else ():
        yield (
            path,
            "cannot do without a router, since pods divide the traffic then; "
            f"write {router.anyone}, or leave out {path.rpartition('.')[2]}",
        )
    beside = {"headerRoutes": wish.header_routes, "sessionAffinity": wish.session_affinity}
    for path in (field for field, value in beside.items() if value):
        if GATEWAY not in router.kinds:
            yield (
                path,
                "cannot do without a route of the Gateway API, which alone tells requests apart; "
                f"write {router.gateway}, or leave out {path}",
            )


def _mirrored(wish: CanaryWay, router: Router) -> Iterator[Fault]:
    """Copies need a router that can make them, and a time for them."""
    if not wish.mirror:
        return
    others = sorted(router.kinds - {GATEWAY})
    if GATEWAY not in router.kinds:
        text = f"is for routes of the Gateway API; write {router.gateway}, or leave out mirror"
        yield "mirror", text
    elif others:
        text = f"is for routes of the Gateway API alone; leave out {others[0]}, or mirror"
        yield "mirror", text
    if all(weight_at(wish.steps, index) for index in range(len(wish.steps))):
        yield (
            "mirror",
            "needs a step at which nobody sees the new revision; "
            "write for example steps: [{setWeight: 0, pause: {duration: 5m}}, …]",
        )
