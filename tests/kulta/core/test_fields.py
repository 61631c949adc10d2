"""Every field of a Rollout does something: who changes it sees another life of the same revision.

The third oracle of Acto (SOSP 2023). The fields are those of the CRD, so a new one is asked about
from its first day; where it is inert, `INERT` says for whom it is. A part of them is asked here,
all of them in `make check-deep`.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import pytest

from fleet.kulta.core.feedback import validation
from tests import fields as paths
from tests import gen, search, wild
from tests.kulta.world import World
from tests.trees import clone

pytestmark = [search.in_time, pytest.mark.hypothesis]

ALL = search.MANY > 1_000
SHARE = 60
"""One of so many fields is asked about in `make test`."""

INERT: Mapping[str, str] = {
    "hold.sequence": "for the API server: it refuses the hold of a former leader",
    "dispatch.": "for the API server and the hub: whose write counts",
    "hooks[]": "for the runtime, which calls them",
    "steps[].hooks[]": "for the runtime, which calls them",
    "advisor.timeoutSeconds": "for the runtime, which asks the advisor",
    "workloadRef.": "where there is a Deployment: see test_engine_workload",
    ".port": "where a rule has one Service with several ports: see test_rules",
    "advisor.endpoint": "for the runtime, which asks the advisor",
    "secretRef.name": "for the runtime, which signs in with it",
}
"""End of a path, or a part of it → whom it is for instead of the planner."""

MATCH = {"headers": [{"name": "x-user", "value": "a"}]}
PARTS: Mapping[str, Any] = {
    "matchExpressions[]": {"key": "app", "operator": "In", "values": ["checkout"]},
    "setCanaryScale": {},
    "httpRoutes[]": {"name": gen.ROUTE},
    "grpcRoutes[]": {"name": "second"},
    "virtualServices[]": {"name": "third"},
    "metrics[]": {"name": "error-rate", "threshold": 5},
    "thresholdRange": {"min": -1, "max": 5},
    "compareToStable": {"maxIncrease": "10%"},
    "headerRoutes[]": {"name": "x-user", "value": "a"},
    "sessionAffinity": {"cookieName": "sticky"},
    "variantBMatch": {},
    "header": {"name": "x-user", "value": "a"},
    "cookie": {"name": "variant", "value": "b"},
    "matches[]": {},
    "headers[]": {"name": "x-user", "value": "a"},
    "variants[]": gen.variant("shop:arm"),
}
"""What must stand around a field."""


@cache
def fields() -> tuple[str, ...]:
    """Paths of everything that can be written, but for what is inside pod templates."""
    spec = wild.of("rollouts")["properties"]["spec"]
    return tuple(
        path for path in paths.leaves(spec) if not path.endswith((".template", "containers"))
    )


VALUES: Mapping[str, tuple[Any, Any]] = {
    "matchLabels": ({"app": "checkout"}, {"tier": "web"}),
    "operator": ("In", "Exists"),
    "values[]": ("checkout", "other"),
    "key": ("app", "tier"),
    "duration": ("5s", "9s"),
    "template": (gen.template(), gen.template("shop:v9")),
    "name": ("error-rate", "request-rate"),
    "setWeight": (20, 30),
    "rules[]": ("one", "two"),
    "promotionSteps[]": (60, 70),
    "rollbackWindow": (0, 3),
    "revisionHistoryLimit": (0, 10),
    "containers": tuple(gen.variant(image)["containers"] for image in ("shop:a", "shop:b")),
    "confidenceLevel": (0.9, 0.95),
    "routes[]": ("web", "other"),
    "httpRoute": (gen.ROUTE, "other"),
    "maxIncrease": ("10%", "20%"),
    "query": ("up", "down{{ canary }}"),
    "url": ("http://json/a", "http://json/b"),
    "address": ("http://a:9090", "http://b:9090"),
    "jsonPath": ("$.a", "$.b"),
    "maxSurge": (1, 3),
    "maxUnavailable": (0, 2),
    "type": ("Exact", "RegularExpression"),
    "level": ("Off", "Advised"),
}
"""Two values of a field by its name; others by their type."""

EXISTS = {"operator": "Exists"}
IN = {"key": "app", "operator": "In"}
JSON = {"url": "http://json/", "jsonPath": "$.a"}
NGINX = {"stableIngresses": ["fourth"]}
TORN = {"name": "error-rate", "threshold": 5, "thresholdRange": {"max": 1}}
BETTER = {"name": "error-rate", "direction": "lower"}
RATIO = {"name": "rate", "direction": "lower", "numerator": "a", "denominator": "b"}
OUTSIDE = {key: x for key, x in gen.canary(routed=True)["canary"].items() if key != "steps"}
UNSEEN = gen.canary(0, 50, routed=True)["canary"]
WHOLE: Mapping[str, tuple[Any, Any]] = {
    "matchExpressions[].key": ({"key": "app", **EXISTS}, {"key": "tier", **EXISTS}),
    "matchExpressions[].operator": ({"key": "app", **EXISTS}, {**IN, "values": ["checkout"]}),
    "matchExpressions[].values[]": (
        {**IN, "values": ["checkout"]},
        {**IN, "values": ["checkout", "web"]},
    ),
    "provider.url": (JSON, {**JSON, "url": "http://other/"}),
    "provider.jsonPath": (JSON, {**JSON, "jsonPath": "$.b"}),
    "setCanaryScale.matchTrafficWeight": ({"percent": 50}, {"matchTrafficWeight": True}),
    "nginx.annotationPrefix": (NGINX, {**NGINX, "annotationPrefix": "a.example"}),
    "nginx.additionalIngressAnnotations": (
        NGINX,
        {**NGINX, "additionalIngressAnnotations": {"canary-by-header": "x"}},
    ),
    "thresholdRange.min": ({"min": 0, "max": 5}, {"min": 2, "max": 5}),
    "advisor.level": ({"level": "Off"}, {"level": "Advised", "endpoint": "http://x.example"}),
    "analysis.inconclusiveLimit": tuple(
        gen.analysis(TORN, interval="5s", inconclusiveLimit=number) for number in (1, 3)
    ),
    "metrics[].numerator": (RATIO, {**RATIO, "numerator": "c"}),
    "metrics[].denominator": (RATIO, {**RATIO, "denominator": "c"}),
    "abTesting.analysis.metrics[].name": (BETTER, {**BETTER, "name": "conversion-rate"}),
    "plannedShares[]": tuple(gen.ab_analysis(plannedShares=both) for both in ([50, 50], [80, 20])),
    "httpRoutes[].rules[]": tuple({"name": "fifth", "rules": [name]} for name in ("one", "two")),
    "canary.mirror": tuple(
        gen.canary(0, 50, routed=True, mirror=x)["canary"] for x in (False, True)
    ),
    "canary.externalWeight": tuple({**OUTSIDE, "externalWeight": number} for number in (10, 60)),
    "hold.reason": ({"reason": "one"}, {"reason": "two"}),
}
"""What stands around a field, twice, where it cannot be changed alone: by the end of its path."""

DURATIONS = (
    "warmupDuration",
    "initialDelay",
    "interval",
    "maxDuration",
    "minDuration",
    "window",
    "scaleDownDelay",
)
MOODS = {"good": 0.5, "bad": 50.0, "between": 4.0, "nothing": None, "silent": -1.0}


def answer(mood: str) -> float | None:
    """What every source says."""
    if mood == "silent":
        raise ConnectionError("connection refused")
    return MOODS[mood]


def value(node: Mapping[str, Any], name: str) -> tuple[Any, Any]:
    """Two values that a field may have."""
    if name in DURATIONS:
        return "40s", "70s"
    if "enum" in node:
        return node["enum"][0], node["enum"][1]
    least = max(node.get("minimum", 0), 1)
    numbers = least, min(node.get("maximum", 10**6), 60)
    kinds = {
        "boolean": (False, True),
        "integer": numbers,
        "number": numbers,
        "object": ({"a": "b"}, {"c": "d"}),
    }
    return VALUES.get(name) or kinds.get(node.get("type", ""), ("one", "two"))


def body(path: str) -> dict[str, Any]:
    """A spec in which the field would matter."""
    kind = path.split(".")[1] if path.startswith("strategy.") else "canary"
    strategy = {
        "canary": gen.canary(20, (50, "5s"), routed=True, analysis=gen.analysis(interval="5s")),
        "blueGreen": gen.blue_green(after=5, routed=True, analysis=gen.analysis(interval="5s")),
        "abTesting": gen.ab_testing(routed=True, analysis=gen.ab_analysis(), maxDuration="9m"),
        "simple": {"simple": {"analysis": gen.analysis(interval="5s")}},
    }[kind]
    if path.endswith(("maxSurge", "maxUnavailable")):  # a router needs neither
        strategy = gen.canary(20, (50, "5s"))
    made: dict[str, Any] = clone(gen.manifest(strategy=strategy)["spec"])
    made["template"]["metadata"]["labels"]["tier"] = "web"
    return made


def life(spec: Mapping[str, Any], mood: str) -> list[Any]:
    """All that is planned for two revisions, one after the other."""
    world = World({**gen.manifest(), "spec": clone(spec)}, strict=False)
    world.answer = lambda _: answer(mood)
    for name in (gen.STABLE, gen.CANARY, gen.PREVIEW, gen.VARIANT, f"{gen.STABLE}-c"):
        world.services[name] = gen.service(name)
    pairs = [(gen.STABLE, other) for other in (gen.CANARY, gen.PREVIEW, gen.VARIANT)]
    rules = [
        {"name": name, "backendRefs": [gen.backend(a, 100), gen.backend(b, 0)]}
        for name, (a, b) in zip(("one", "two", "three"), pairs, strict=True)
    ]
    world.routes = {
        gen.ROUTE: gen.route(rules=rules),
        "second": gen.route(rules=rules, kind="GRPCRoute", name="second"),
        "third": gen.virtual_service("third"),
        "fifth": gen.route(rules=rules, name="fifth"),
        "fourth": gen.ingress("fourth"),
    }
    world.run(40)
    world.manifest["spec"]["template"]["spec"]["containers"][0]["image"] = "shop:v2"
    world.run(300)
    world.manifest["spec"]["template"]["spec"]["containers"][0]["image"] = "shop:v1"
    world.run(100)
    return [
        (x.actions, x.after, x.queries, len(x.questions), len(x.errands), x.wake_at, x.status)
        for x in world.plans
    ]


def lives(path: str) -> str:
    """The mood in which the two values make a difference; empty where none does."""
    node = paths.at(wild.of("rollouts")["properties"]["spec"], path)
    place, pair = path, value(node, path.rpartition(".")[2])
    for end, both in WHOLE.items():
        if path.endswith(end):
            place, pair = path.rpartition(".")[0], both
    specs = [paths.put(body(path), place, given, PARTS) for given in pair]
    for spec in specs:
        wrong = list(validation.of_manifest({**gen.manifest(), "spec": spec}))
        assert not wrong, f"{path}: {wrong}"
    return next((mood for mood in MOODS if life(specs[0], mood) != life(specs[1], mood)), "")


def asked() -> Iterator[str]:
    """Fields that a planner must care for; in `make test` a part of them."""
    known = [path for path in fields() if not any(part in path for part in INERT)]
    yield from known if ALL else known[::SHARE]


def test_every_field_does_something() -> None:
    idle = [path for path in asked() if not lives(path)]
    print(f"{len(list(asked()))} of {len(fields())} fields")  # noqa: T201 - for people
    assert idle == []


def test_what_is_inert_is_known() -> None:
    assert [part for part in INERT if not any(part in path for path in fields())] == []
