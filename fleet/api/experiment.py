"""A/B testing: who takes part, what runs in each arm, what decides, and how it stands.

Part of a Rollout's strategy and of an Application's; the status half is written by the engine. Arm
A is the stable revision, B the new one, C and further ones come from `variants`.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from fleet.api import newer
from fleet.api.meta import Model, Time
from fleet.api.providers import Prometheus
from fleet.api.rules import Rule, Rules
from fleet.api.values import Duration, named

LETTERS = "ABCDEF"
"""Names of arms, in their order; A is the control."""
BUILT_IN = ("error-rate", "conversion-rate", "latency-p50", "latency-p95", "latency-p99")
"""Metrics of experiments that need no queries of the user's."""

PLACEHOLDERS = ("namespace", "rollout", "revision", "role", "service", "window")
"""What may stand between double braces in queries of the user's."""

_TOKEN = r"^[A-Za-z0-9!#$%&'*+.^_|~-]+$"
_COOKIE = r"^[A-Za-z0-9!#$%&'()*+./:<=>?@^_`{|}~-]+$"

HeaderName = Annotated[
    str,
    Field(max_length=256, pattern=_TOKEN),
    Rules(
        Rule(
            rule=f'self.matches(r"{_TOKEN}")',
            message="write the name of a header: letters, digits and dashes, no blanks",
        ),
        instead_of=("pattern",),
    ),
]
"""The name of an HTTP header."""

CookieName = Annotated[
    str,
    Field(max_length=256, pattern=_TOKEN),
    Rules(
        Rule(
            rule=f'self.matches(r"{_TOKEN}")',
            message="write the name of a cookie: letters, digits and dashes, no blanks",
        ),
        instead_of=("pattern",),
    ),
]
"""The name of a cookie."""

SERVICE = "name a Service of this namespace"


def _level(value: float) -> float:
    if not 0.0 < value < 1.0:
        raise ValueError("must be between 0 and 1, for example 0.95")
    return value


class HeaderMatch(Model):
    """Requests with this header."""

    name: HeaderName
    """Which header, upper and lower case alike."""
    value: Annotated[str, Field(max_length=2_048), named("value", "write what the header says")]
    """What it says."""
    type: Literal["Exact", "RegularExpression"] = "Exact"
    """How `value` is read."""


class CookieMatch(Model):
    """Requests with this cookie."""

    name: CookieName
    """Which cookie."""
    value: Annotated[
        str,
        Field(max_length=1_024, pattern=_COOKIE),
        Rules(
            Rule(
                rule=f'self.matches(r"{_COOKIE}")',
                message="write the value of a cookie: no blanks, commas, semicolons or quotes",
            ),
            instead_of=("pattern",),
        ),
    ]
    """Its whole value."""


BriefHeader = Annotated[HeaderMatch, Field(json_schema_extra={"x-kulta-brief": True})]
BriefCookie = Annotated[CookieMatch, Field(json_schema_extra={"x-kulta-brief": True})]
"""What the CRD explains under `matches` and `headerRoutes` alone."""


class VariantMatch(Model):
    """Who gets B: requests with the header, and requests with the cookie."""

    RULES = (
        Rule(
            rule="has(self.header) || has(self.cookie)",
            message="write a header or a cookie: without one nobody would ever get B",
        ),
    )

    header: BriefHeader | None = None
    """Requests with this header, as explained under `headerRoutes` of `canary`."""
    cookie: BriefCookie | None = None
    """Requests with this cookie, as explained under `matches`."""


class Match(Model):
    """Requests that have all of these."""

    RULES = (
        Rule(
            rule="(has(self.headers) && self.headers.size() > 0) || has(self.cookie)",
            message="write headers or a cookie: a match of everything leaves nobody for A",
        ),
    )

    headers: Annotated[
        tuple[HeaderMatch, ...],
        Field(max_length=8, json_schema_extra={"x-kulta-brief": True}),
    ] = ()
    """All of them; each as explained under `headerRoutes` of `canary`."""
    cookie: CookieMatch | None = None


Matches = Annotated[tuple[Match, ...], Field(max_length=16)]
"""One of them is enough."""


class EnvVar(Model):
    """A variable of the environment."""

    name: Annotated[str, Field(min_length=1, max_length=256)]
    """Its name."""
    value: Annotated[str, Field(max_length=4_096)] = ""
    """Its value."""


class ContainerChange(Model):
    """How a container of an arm differs from the same one in `template`."""

    name: Annotated[str, Field(min_length=1, max_length=63)]
    """Which container."""
    image: Annotated[str, Field(min_length=1, max_length=1_024)] | None = None
    """Another image."""
    args: Annotated[tuple[str, ...], Field(max_length=64)] | None = None
    """Other arguments."""
    env: Annotated[tuple[EnvVar, ...], Field(max_length=64)] = ()
    """Variables that are added, or replace those of the same name."""

    def applied(self, known: Mapping[str, Any]) -> dict[str, Any]:
        """The container `known` with what is different."""
        result = dict(known)
        if self.image is not None:
            result["image"] = self.image
        if self.args is not None:
            result["args"] = list(self.args)
        if self.env:
            added = {item.name: {"name": item.name, "value": item.value} for item in self.env}
            kept = [added.pop(item.get("name"), item) for item in known.get("env") or []]
            result["env"] = [*kept, *added.values()]
        return result


class VariantWish(Model):
    """One more experimental arm beside B: C, D and so on, in the order of the list."""

    matches: Annotated[Matches, Field(min_length=1, json_schema_extra={"x-kulta-brief": True})]
    """Who gets this arm: one of these is enough; as explained under `matches` of B."""
    containers: Annotated[tuple[ContainerChange, ...], Field(min_length=1, max_length=16)]
    """What is different here; all else is as in `template`."""

    def applied(self, template: Mapping[str, Any]) -> dict[str, Any]:
        """The pod template of this arm: other images, arguments or variables in the containers
        that are named."""
        wanted = {item.name: item for item in self.containers}
        spec = dict(template.get("spec") or {})
        spec["containers"] = [
            wanted[item["name"]].applied(item) if item.get("name") in wanted else item
            for item in spec.get("containers") or []
        ]
        return {**template, "spec": spec}


class Variant(VariantWish):
    """One more experimental arm beside B: C, D and so on, in the order of the list."""

    service: Annotated[str, Field(max_length=63), named("service", SERVICE)]
    """The Service that the engine points at this arm."""


class ABMetric(Model):
    """What is compared between A and each other arm."""

    RULES = (
        Rule(
            rule=f"self.name in {list(BUILT_IN)} || (has(self.numerator) && has(self.denominator))",
            message=f"write one of {', '.join(BUILT_IN)}, or numerator and denominator "
            "for a share of your own",
            field=".name",
        ),
        Rule(
            rule="has(self.numerator) == has(self.denominator)",
            message="write numerator and denominator, or neither",
        ),
    )

    name: Annotated[str, Field(min_length=1, max_length=63)]
    """`error-rate` and `conversion-rate` in percent, `latency-*` in milliseconds, or any name."""
    direction: Literal["lower", "higher"]
    """What is better."""
    min_effect_size: Annotated[float, Field(ge=0, le=1_000)] | None = None
    """A winner must be better by this part of A's value: 0.05 is 5 %; default any difference."""
    source: Literal["app", "appRole", "service"] = "app"
    """Which labels the series carry: `app` has the pod hash as `revision`, `appRole` the role;
    `service` has the arm's Service."""
    numerator: Annotated[str, Field(min_length=1, max_length=2_048)] | None = None
    """A query of your own: how many of `denominator` since `{{ window }}`. `{{ namespace }}`,
    `{{ rollout }}`, `{{ revision }}`, `{{ role }}` and `{{ service }}` are those of an arm."""
    denominator: Annotated[str, Field(min_length=1, max_length=2_048)] | None = None
    """A query of your own: how many since `{{ window }}`, requests or sessions."""


BriefPrometheus = Annotated[Prometheus, Field(json_schema_extra={"x-kulta-brief": True})]

Shares = Annotated[
    tuple[Annotated[int, Field(ge=1, le=99)], ...],
    Field(max_length=len(LETTERS)),
    Rules(
        Rule(
            rule="self.size() == 0 || self.sum() == 100",
            message="write the percent of requests that each arm should get; together 100",
        ),
    ),
]
"""Percent of each arm, A first."""


class ABAnalysis(Model):
    """What decides an experiment. Looking at it any number of times makes no winner more likely."""

    prometheus: BriefPrometheus | None = None
    """Where the engine asks, as explained under `analysis` of `canary`."""
    metrics: Annotated[tuple[ABMetric, ...], Field(max_length=10)] = ()
    """Metrics that are significant must agree on a winner."""
    min_duration: Duration | None = None
    """No winner before this time has passed."""
    min_sample_size: Annotated[int, Field(ge=1, le=1_000_000_000)] = 30
    """Requests that each arm needs before anything is said of it, at least 30."""
    confidence_level: Annotated[
        float,
        AfterValidator(_level),
        Rules(
            Rule(
                rule="self > 0.0 && self < 1.0",
                message="confidenceLevel is between 0 and 1: write 0.95 for 95 %",
            ),
        ),
    ] = 0.95
    """1 minus the chance of any false winner, over the whole experiment and all metrics."""
    interval: Duration | None = None
    """Time between two looks; default a 288th of `maxDuration`, at least 30s, 5m without one."""
    planned_shares: Shares = ()
    """How requests should be split: while they are not, no winner is declared."""


def is_regex(text: str) -> bool:
    """Whether `text` is a regular expression; gateways read RE2, which has less."""
    try:
        re.compile(text)
    except re.error:
        return False
    return True


class ExperimentResult(Model):
    """What the last look says of one metric, of A and one other arm."""

    name: str
    """Which metric."""
    arm: str = "B"
    """Which arm is compared with A."""
    value_a: float
    """What A has."""
    value_b: float
    """What the other arm has."""
    confidence: float
    """1 minus the chance that this is no difference at all, 0…1, over all looks and metrics."""
    is_significant: bool
    """Whether that reaches `confidenceLevel`."""
    winner: str = ""
    """The better one, if the difference is significant and as large as `minEffectSize`."""
    effect: float | None = None
    """The difference as a part of A's value."""
    effect_low: float | None = None
    """The least that it may be, at `confidenceLevel`."""
    effect_high: float | None = None
    """The most that it may be."""


class ExperimentArm(Model):
    """One arm, as it is."""

    name: str
    """`A`, `B` and so on."""
    revision: str
    """Pod hash of what it runs."""
    service: str
    """Its Service."""
    sample_size: int | None = None
    """Requests since the start."""
    is_live: bool = True
    """Whether requests lead there; not while it has no ready pod."""


class ExperimentStatus(Model):
    """How the experiment stands; what is written at each look stays until the next."""

    started_at: Time = None
    """When every arm had its pods and its traffic."""
    concluded_at: Time = None
    """When it was decided."""
    checked_at: Time = None
    """When the metrics were asked last."""
    last_look_at: Time = None
    """When the end was looked at, which is done once: a later end is looked at as any moment is."""
    sample_size_a: int | None = None
    """Requests to A since the start; empty while they are not known."""
    sample_size_b: int | None = None
    """Requests to B since the start."""
    results: tuple[ExperimentResult, ...] = ()
    """The last look, metric by metric, arm by arm."""
    winner: str = ""
    """The arm that has won; empty where none has."""
    conclusion_reason: Annotated[
        str,
        newer.words(
            "",
            "SignificanceReached",
            "ConsensusReached",
            "MaxDurationExceeded",
            "ManualConclusion",
        ),
    ] = ""
    """Why it was concluded: all metrics agree, those that say anything agree, time, a person."""
    message: str = ""
    """What the last look means."""
    arms: tuple[ExperimentArm, ...] = ()
    """A, B and the others."""
    errors: int = 0
    """Looks in a row without an answer."""
    mismatch: str = ""
    """How the split of requests differs from `plannedShares`."""
    design: str = ""
    """Digest of arms, matches and metrics: another one begins another experiment."""
