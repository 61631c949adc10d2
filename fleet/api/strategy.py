"""Strategies: how a new revision replaces the old one inside a cluster, and who divides traffic.

Part of a Rollout's spec; an Application's policy shares what is not the hub's to say. One model per
strategy; a new strategy is a model here and a member of `Strategy`.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Annotated

from pydantic import AfterValidator, Field

from fleet.api import canaries
from fleet.api.analysis import Analysis
from fleet.api.experiment import (
    LETTERS,
    SERVICE,
    ABAnalysis,
    CookieName,
    HeaderMatch,
    Matches,
    Variant,
    VariantMatch,
)
from fleet.api.hooks import HookName
from fleet.api.meta import Model
from fleet.api.routing import GatewayRouting, TrafficRouting
from fleet.api.rules import Rule, Rules, choice
from fleet.api.values import Amount, Duration, Port, named


def _percent(value: int) -> int:
    if not 0 <= value <= 100:
        raise ValueError("must be 0-100")
    return value


class Pause(Model):
    """A pause after a step; without a duration it lasts until `kulta.io/promote`."""

    duration: Duration | None = None
    """How long, for example `5m`; left out, a person ends the pause."""


class StepAnalysis(Model):
    """Checks that a step waits for."""

    iterations: Annotated[int, Field(ge=1, le=1_000)] = 1
    """Checks that every metric must pass in this step."""


class CanaryScale(Model):
    """Pods of the new revision, whatever its weight."""

    RULES = (choice("replicas", "percent", "matchTrafficWeight"),)

    replicas: Annotated[int, Field(ge=0, le=100_000)] | None = None
    """So many pods, but never more than `spec.replicas`."""
    percent: Annotated[int, Field(ge=0, le=100)] | None = None
    """Percent of `spec.replicas`, rounded up."""
    match_traffic_weight: (
        Annotated[
            bool,
            Rules(Rule(rule="self", message="matchTrafficWeight: write true, or leave it out")),
        ]
        | None
    ) = None
    """As many as the weight wants again."""

    def __str__(self) -> str:
        """`3 pods`, `50% of the pods`."""
        if self.replicas is not None:
            return "1 pod" if self.replicas == 1 else f"{self.replicas} pods"
        if self.percent is not None:
            return f"{self.percent}% of the pods"
        return "pods as the weight wants"


class Step(Model):
    """One step of a canary: a share of the traffic, pods, or a wait for good checks."""

    RULES = (
        Rule(
            rule="has(self.setWeight) || has(self.analysis) || has(self.setCanaryScale) || "
            "has(self.hooks)",
            message="setWeight is required: write the pause into the step whose weight it holds",
        ),
        Rule(
            rule="!has(self.setCanaryScale) || !has(self.setWeight) || self.setWeight < 100",
            message="setCanaryScale: all the traffic needs all the pods; leave it out at 100",
            field=".setCanaryScale",
        ),
    )

    set_weight: (
        Annotated[
            int,
            AfterValidator(_percent),
            Rules(Rule(rule="self >= 0 && self <= 100", message="setWeight must be 0-100")),
        ]
        | None
    ) = None
    """Percent of the traffic for the new revision; a step without one keeps the one before."""
    set_canary_scale: CanaryScale | None = None
    """Pods apart from the weight, until the next `setWeight`; only with `trafficRouting`."""
    analysis: StepAnalysis | None = None
    pause: Pause | None = None
    hooks: Annotated[tuple[HookName, ...], Field(max_length=8)] = ()
    """Names of `spec.hooks` that must say yes before the step is left."""


def weight_at(steps: Sequence[Step], index: int) -> int:
    """Percent in force at that step: its own, or that of the last step before it that has one."""
    given = (item.set_weight for item in reversed(steps[: index + 1]))
    return next((item for item in given if item is not None), 0)


def is_weighed(steps: Sequence[Step], index: int) -> bool:
    """Whether that step or one before it has a weight, so that there is anything to judge."""
    return any(item.set_weight is not None for item in steps[: index + 1])


def scale_at(steps: Sequence[Step], index: int) -> CanaryScale | None:
    """The number of pods that is asked for at that step; None where the weight decides."""
    for item in reversed(steps[: index + 1]):
        scale = item.set_canary_scale
        if scale is not None:
            return None if scale.match_traffic_weight else scale
        if item.set_weight is not None:
            return None
    return None


Steps = Annotated[
    tuple[Step, ...],
    Field(max_length=50),
    Rules(
        Rule(
            rule="self.filter(a, has(a.setWeight)).map(a, a.setWeight).isSorted() && "
            "self.all(a, !has(a.setWeight) || "
            "self.exists_one(b, has(b.setWeight) && b.setWeight == a.setWeight))",
            message="steps: each setWeight must be greater than the one before it, "
            "so 100 can only be the last",
        ),
        Rule(
            rule="self.size() == 0 || has(self[0].setWeight) || !has(self[0].analysis)",
            message="steps: the first needs a setWeight: there is nothing to judge before it",
        ),
    ),
]
"""Steps with growing weights."""


class SessionAffinity(Model):
    """Who has got the new revision once gets it again, by a cookie of the gateway's."""

    cookie_name: CookieName
    """Which cookie; its value is the revision, so that none outlives its rollout."""
    max_age: Annotated[int, Field(ge=1, le=31_536_000)] = 86_400
    """Seconds for which it is kept."""


BriefRouting = Annotated[GatewayRouting, Field(json_schema_extra={"x-kulta-brief": True})]
BriefAnalysis = Annotated[Analysis, Field(json_schema_extra={"x-kulta-brief": True})]
"""An Analysis, whose fields the CRD explains under `canary` alone."""


class CanaryWay(Model):
    """How a canary goes, wherever it is asked for: what a Rollout and an Application share."""

    steps: Steps = ()
    """Weights in growing order; after the last step the new revision is promoted."""
    analysis: Analysis | None = None
    analyze_at_full: StepAnalysis | None = None
    """After the steps, these checks with all the traffic; only then the promotion."""
    promotion_steps: Annotated[
        tuple[Annotated[int, Field(ge=1, le=99)], ...],
        Field(max_length=10),
        Rules(
            Rule(
                rule="self.isSorted() && self.all(a, self.exists_one(b, b == a))",
                message="promotionSteps must grow: [70, 90]",
            )
        ),
    ] = ()
    """Weights on the way to all the traffic, with all the pods; each for `analysis.interval`."""
    ready_threshold: Annotated[int, Field(ge=1, le=100)] = 100
    """Percent of the new pods that must be ready for a step; all the traffic needs all of them."""
    dynamic_stable_scale: bool = False
    """Scale the stable revision down as the canary grows, although a router divides traffic."""
    max_surge: Amount | None = None
    """For this canary, instead of the Rollout's own."""
    max_unavailable: Amount | None = None
    """For this canary, instead of the Rollout's own."""
    mirror: bool = False
    """At a step of weight 0 the new revision gets copies of all requests, unseen by anybody."""
    header_routes: Annotated[tuple[HeaderMatch, ...], Field(max_length=8)] = ()
    """Requests with one of these headers get the new revision, whatever its weight."""
    session_affinity: SessionAffinity | None = None
    external_weight: Annotated[int, Field(ge=0, le=100)] | None = None
    """Instead of `steps`: percent that somebody else moves up and down; `kulta.io/promote` ends
    it."""

    @property
    def way(self) -> tuple[Step, ...]:
        """The steps, and those that `promotionSteps` or `analyzeAtFull` add to them."""
        if self.analyze_at_full is not None:
            is_full = weight_at(self.steps, len(self.steps) - 1) == 100
            last = Step(set_weight=None if is_full else 100, analysis=self.analyze_at_full)
            return (*self.steps, last)
        if not self.promotion_steps:
            return self.steps
        pause = None
        if self.analysis is not None and self.analysis.metrics:
            pause = Pause(duration=self.analysis.interval or "30s")
        scale = CanaryScale(percent=100)
        ramp = (
            Step(set_weight=weight, set_canary_scale=scale, pause=pause)
            for weight in self.promotion_steps
        )
        return (*self.steps, *ramp)


class Canary(CanaryWay):
    """Percent by percent: the new revision takes a growing share while it is judged."""

    RULES = (
        *canaries.RULES,
        Rule(
            rule="self.canaryService != self.stableService || self.canaryService == ''",
            message="canaryService and stableService must be two different Services",
            field=".canaryService",
        ),
    )

    canary_service: Annotated[
        str, Field(max_length=63), named("canaryService", "name a Service of this namespace")
    ]
    """The Service that the engine points at the new revision."""
    stable_service: Annotated[
        str, Field(max_length=63), named("stableService", "name a Service of this namespace")
    ]
    """The Service that the engine points at the stable revision."""
    port: Port = 80
    """The port whose weights are written where a rule has one Service with several ports."""
    traffic_routing: TrafficRouting | None = None

    @property
    def way(self) -> tuple[Step, ...]:
        """The steps and what is added to them, or the one that somebody else decides."""
        if self.external_weight is None:
            return super().way
        kept = CanaryScale(replicas=1) if self._is_kept else None
        return (Step(set_weight=self.external_weight, set_canary_scale=kept, pause=Pause()),)

    @property
    def _is_kept(self) -> bool:
        """Whether a pod stays although nobody gets to it, ready for the next weight."""
        return self.external_weight == 0 and self.traffic_routing is not None


Preview = Annotated[int, Field(ge=0, le=604_800)]
"""Seconds, a week at most."""


class BlueGreen(Model):
    """All at once: the new revision runs beside the old one, at full size, until it takes over."""

    RULES = (
        Rule(
            rule="self.activeService != self.previewService || self.previewService == ''",
            message="activeService and previewService must be two different Services",
            field=".previewService",
        ),
    )

    active_service: Annotated[
        str, Field(max_length=63), named("activeService", "name a Service of this namespace")
    ]
    """The Service that the engine points at the revision that serves."""
    preview_service: Annotated[
        str, Field(max_length=63), named("previewService", "name a Service of this namespace")
    ]
    """The Service that the engine points at the new revision, for those who try it out."""
    port: Port = 80
    """The port whose weights are written where a rule has one Service with several ports."""
    auto_promotion_enabled: bool = False
    """Promote by itself, once `autoPromotionSeconds` are over and the analysis has passed; else
    the preview waits for `kulta.io/promote`."""
    auto_promotion_seconds: Preview = 0
    """How long a preview whose pods are all ready lasts before it is promoted by itself."""
    traffic_routing: BriefRouting | None = None
    """Who divides the traffic: by `gatewayAPI`, as explained under `canary`."""
    analysis: BriefAnalysis | None = None
    """How the new revision is judged: all fields as explained under `canary`."""


SOMEBODY_GETS_B = Rule(
    rule="has(self.variantBMatch) || (has(self.matches) && self.matches.size() > 0)",
    message="write variantBMatch with a header or a cookie, or matches: "
    "without one nobody would ever get B",
    field=".variantBMatch",
)


class ABTesting(Model):
    """Two or more revisions side by side, each for those who ask for it, until one has won."""

    RULES = (
        Rule(
            rule="self.variantAService != self.variantBService || self.variantBService == ''",
            message="variantAService and variantBService must be two different Services",
            field=".variantBService",
        ),
        SOMEBODY_GETS_B,
    )

    variant_a_service: Annotated[str, Field(max_length=63), named("variantAService", SERVICE)]
    """The Service that the engine points at the stable revision: everybody else's."""
    variant_b_service: Annotated[str, Field(max_length=63), named("variantBService", SERVICE)]
    """The Service that the engine points at the new revision."""
    port: Port = 80
    """The port that is meant where a rule has one Service with several ports."""
    variant_b_match: VariantMatch | None = None
    matches: Matches = ()
    """Who else gets B: requests that have all of one of these."""
    variants: Annotated[tuple[Variant, ...], Field(max_length=len(LETTERS) - 2)] = ()
    """More arms: C, D, E, F."""
    traffic_routing: BriefRouting | None = None
    """Who divides the traffic: by `gatewayAPI`, as explained under `canary`."""
    max_duration: Duration | None = None
    """The experiment is concluded when this time is over, with or without a winner."""
    analysis: ABAnalysis | None = None


class Simple(Model):
    """A rolling update, watched and taken back when it does not become ready or fails analysis."""

    analysis: BriefAnalysis | None = None
    """How the new revision is judged: all fields as explained under `canary`."""


class Choice(Model):
    """Exactly one of the members is set."""

    @property
    def given(self) -> Mapping[str, Model]:
        """The members that are set, by the names that a manifest gives them."""
        found = ((alias, getattr(self, name)) for alias, name in _members(type(self)))
        return {alias: value for alias, value in found if value is not None}

    @property
    def kind(self) -> str:
        """The name of the one that is set; empty where none is."""
        return next(iter(self.given), "")


@cache
def _members(kind: type[Choice]) -> tuple[tuple[str, str], ...]:
    """Alias and name of each member; asked many times in every look."""
    return tuple((info.alias or name, name) for name, info in kind.model_fields.items())


class Strategy(Choice):
    """How a new revision replaces the old one: exactly one member."""

    RULES = (choice("simple", "canary", "blueGreen", "abTesting"),)

    simple: Simple | None = None
    canary: Canary | None = None
    blue_green: BlueGreen | None = None
    ab_testing: ABTesting | None = None
