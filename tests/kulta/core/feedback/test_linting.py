"""Linting: the same Rollouts are refused offline as by the API server, all problems at once.

The table of bad Rollouts is that of the server's refusals (`e2e/test_rollout_refusals`); what the
CRD's rules refuse beyond those examples stands here.
"""

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.examples import INVALID, VALID
from e2e.test_rollout_refusals import ROLLOUTS
from fleet.api import rules, schema
from fleet.api.rollout import Rollout
from fleet.kit import documents
from fleet.kulta.core.feedback import linting
from tests import gen
from tests.conftest import Golden

BAD = {
    item["metadata"]["name"]: item
    for item in documents.every((INVALID / "rollouts.yaml").read_text())
}
SAID = Path(__file__).parents[3] / "golden" / "lint.txt"
HEADER = {"name": "X-Variant", "value": "b"}
COOKIE = {"name": "variant", "value": "c"}
TOO_LONG = "169h"
FAILED = {"name": "error-rate", "threshold": 5}
BESIDE = {"name": "latency-p95", "compareToStable": {"maxIncrease": "10%"}}


def told(manifest: dict[str, Any]) -> list[str]:
    return [str(item) for item in linting.problems(manifest)]


@pytest.mark.parametrize(("name", "words"), ROLLOUTS)
def test_what_the_server_refuses_is_told_offline(name: str, words: str) -> None:
    """One mistake, one problem, about the same field."""
    (problem,) = told(BAD[name])
    field = re.sub(r"\[[0-9]+\]", "", words.partition(": ")[0]).rpartition(".")[2]
    assert field in problem


def test_all_that_is_told_offline(golden: Golden) -> None:
    """Word for word."""
    said = [f"{name}\n  {'; '.join(told(bad))}\n" for name, bad in BAD.items()]
    beyond = [f"{row.id}\n  {'; '.join(told(row.values[0]))}\n" for row in BEYOND]
    golden.check(SAID, "".join((*said, *beyond)))


@pytest.mark.parametrize("path", sorted(VALID.glob("rollout-*.yaml")), ids=lambda path: path.stem)
def test_good_examples_have_no_problem(path: Any) -> None:
    assert told(documents.one(path.read_text())) == []


def ab(**more: Any) -> dict[str, Any]:
    return gen.manifest(strategy=gen.ab_testing(**more))


def judged(**more: Any) -> dict[str, Any]:
    return gen.manifest(strategy=gen.canary(20, analysis=gen.analysis(**more)))


BEYOND = [
    pytest.param(
        ab(variantBMatch={"header": {**HEADER, "value": ""}}),
        "variantBMatch.header.value cannot be empty",
        "value cannot be empty: write what the header says",
        id="a header that says nothing",
    ),
    pytest.param(
        ab(variantBMatch={"cookie": {"name": "a b", "value": "c"}}),
        "variantBMatch.cookie.name invalid (is 'a b'): write the name of a cookie",
        "write the name of a cookie: letters, digits and dashes, no blanks",
        id="a cookie with a blank in its name",
    ),
    pytest.param(
        ab(variants=[{**gen.variant("shop:v3"), "service": ""}]),
        "variants[0].service cannot be empty",
        "service cannot be empty: name a Service of this namespace",
        id="one more arm without a Service",
    ),
    pytest.param(
        gen.manifest(
            strategy=gen.canary(
                routed=True, steps=[{"setCanaryScale": {"matchTrafficWeight": False}}]
            )
        ),
        "steps[0].setCanaryScale needs exactly one way; write for example {replicas: 3}",
        "matchTrafficWeight: write true, or leave it out",
        id="pods that shall not match the weight",
    ),
    pytest.param(
        gen.manifest(strategy=gen.canary(20, analyzeAtFull={"iterations": 3})),
        "analyzeAtFull has nothing to judge by; write canary.analysis.metrics",
        "a step of analysis, or analyzeAtFull, needs analysis.metrics: "
        "[{name: error-rate, threshold: 5}]",
        id="checks with all the traffic by nothing",
    ),
    pytest.param(
        gen.manifest(strategy=gen.canary(20, promotionSteps=[60])),
        "promotionSteps cannot do without a router, since pods divide the traffic then; "
        "write spec.strategy.canary.trafficRouting",
        "promotionSteps need trafficRouting, and no analyzeAtFull, "
        "which gives all the traffic before the promotion",
        id="weights of a promotion that nobody divides by",
    ),
    pytest.param(
        gen.manifest(strategy=gen.canary(20, 60, routed=True, promotionSteps=[60, 80])),
        "promotionSteps must be greater than the last step's 60",
        "promotionSteps: each weight must be greater than that of the last step",
        id="a promotion that begins below the last step",
    ),
    pytest.param(
        gen.manifest(strategy=gen.canary(20, routed=True, promotionSteps=[90, 70])),
        "promotionSteps must grow, they are [90, 70]; write for example [70, 90]",
        "promotionSteps must grow: [70, 90]",
        id="a promotion with falling weights",
    ),
    pytest.param(
        gen.manifest(strategy=gen.canary(20, headerRoutes=[{"name": "x-team", "value": "us"}])),
        "headerRoutes cannot do without a route of the Gateway API, which alone tells requests",
        "headerRoutes and sessionAffinity need trafficRouting.gatewayAPI",
        id="headers that nobody can tell apart",
    ),
    pytest.param(
        gen.manifest(strategy=gen.canary(20, sessionAffinity={"cookieName": "version"})),
        "sessionAffinity cannot do without a route of the Gateway API, which alone tells requests",
        "headerRoutes and sessionAffinity need trafficRouting.gatewayAPI",
        id="a cookie that nobody gives",
    ),
    pytest.param(
        gen.manifest(strategy=gen.canary(20, externalWeight=30)),
        "externalWeight excludes steps; leave out one of them",
        "externalWeight replaces steps, promotionSteps and analyzeAtFull: leave them out",
        id="a weight from outside beside steps",
    ),
    pytest.param(
        gen.manifest(scaleDownDelay="8d"),
        "spec.scaleDownDelay '8d' is out of range",
        "write one number and one unit: 30s, 5m, 2h or 7d, or 0s for none",
        id="a delay of more than a week",
    ),
    pytest.param(
        gen.manifest(strategy=gen.canary(20, analysis={**gen.analysis(), "interval": "soon"})),
        "spec.strategy.canary.analysis.interval invalid (is 'soon')",
        "write one number and one unit: 30s, 5m, 2h or 7d",
        id="an interval that is no time",
    ),
    pytest.param(
        ab(variantBService=""),
        "variantBService cannot be empty",
        "variantBService cannot be empty: name a Service of this namespace",
        id="an empty variantBService",
    ),
]


@pytest.mark.parametrize(("manifest", "words", "rule"), BEYOND)
def test_what_other_rules_refuse_is_told_too(
    manifest: dict[str, Any], words: str, rule: str
) -> None:
    (problem,) = told(manifest)
    assert words in problem
    assert rule in messages()


def messages() -> set[str]:
    """What the rules of the CRD say, those aside that compare with what was stored before."""

    def walk(node: Any) -> Iterator[str]:
        found = node.get(rules.VALIDATIONS, ())
        yield from (item["message"] for item in found if "oldSelf" not in item["rule"])
        inner = [*node.get("properties", {}).values(), node.get("items")]
        for child in (*inner, node.get("additionalProperties")):
            if isinstance(child, dict):
                yield from walk(child)

    return set(walk(schema.openapi(Rollout)))


def test_every_rule_of_the_crd_has_its_counterpart() -> None:
    """Each of them refuses an example, and that example is told of offline, too."""
    known = " ".join(str(row.values[1]) for row in ROLLOUTS)
    shown = {str(row.values[2]) for row in BEYOND}
    assert [item for item in messages() if item not in known and item not in shown] == []


def test_all_problems_are_told_at_once() -> None:
    """One mistake hides no other, and none is told of that is only its consequence."""
    manifest = gen.manifest(replica=2, maxSurge=0, maxUnavailable="0%")
    manifest["apiVersion"] = "kulta.io/v1"
    manifest["metadata"] = {"lables": {}}
    container = manifest["spec"]["template"]["spec"]["containers"][0]
    container |= {"imagePullPolice": "Always", "ports": [{"containerPort": "http"}]}
    manifest["spec"]["strategy"] = gen.canary(20, 50, 30, 100)
    steps = manifest["spec"]["strategy"]["canary"]["steps"]
    steps[0]["pause"] = {"duration": "5 minutes"}
    steps[1] = {"pause": {}}
    assert told(manifest) == [
        "apiVersion must be kulta.io/v1beta1 (is 'kulta.io/v1')",
        "metadata.name is required",
        "metadata.lables: unknown field; did you mean labels?",
        "spec.template.spec.containers[0].imagePullPolice: unknown field; "
        "did you mean imagePullPolicy?",
        "spec.template.spec.containers[0].ports[0].containerPort must be a whole number "
        "(is 'http')",
        "spec.replica: unknown field; did you mean replicas?",
        "spec.strategy.canary.steps[0].pause.duration invalid (is '5 minutes'): "
        "write a whole number and one unit: 1s…86400s, 1m…1440m, 1h…168h or 1d…7d",
        "spec.strategy.canary.steps[1].setWeight is required; "
        "write a percentage from 0 to 100, and a pause into the step whose weight it holds",
        "spec.maxSurge is 0, and maxUnavailable too, so no pod could ever be replaced; "
        "write at least 1 for one of them",
    ]


@pytest.mark.parametrize(
    ("routing", "words"),
    [
        pytest.param({"nginx": {}}, "nginx.stableIngresses is required", id="a list"),
        pytest.param(
            {"istio": {"virtualServices": [{}]}}, "istio.virtualServices[0].name", id="a name"
        ),
        pytest.param(
            {"gatewayAPI": {"httpRouteSelector": {}}},
            "gatewayAPI.httpRouteSelector.matchLabels is required",
            id="labels",
        ),
    ],
)
def test_what_is_missing_hides_no_rule(routing: dict[str, Any], words: str) -> None:
    """Where something is needed that may not be empty, the rules between fields are told too."""
    manifest = gen.manifest(strategy=gen.canary(20, 10, trafficRouting=routing))
    first, second = told(manifest)
    assert words in first
    assert "steps[1].setWeight must be greater" in second


def with_containers(*containers: Any) -> dict[str, Any]:
    manifest = gen.manifest()
    manifest["spec"]["template"]["spec"]["containers"] = list(containers)
    return manifest


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        pytest.param(
            gen.manifest(strategy=gen.canary(20, analysis={"metrics": []})),
            "spec.strategy.canary.analysis.metrics is empty, so that nothing is judged; write for "
            "example [{name: error-rate, threshold: 5}], or leave out analysis",
            id="an analysis by nothing",
        ),
        pytest.param(
            gen.manifest(strategy=gen.canary(20, analysis=gen.analysis(FAILED, FAILED))),
            "spec.strategy.canary.analysis.metrics[1].name error-rate comes twice, and statuses "
            "and messages go by the name; write another one, with a query",
            id="two metrics of one name",
        ),
        pytest.param(
            with_containers(),
            "spec.template.spec.containers is empty; write what shall run, for example "
            "[{name: app, image: shop:v1}]",
            id="pods of nothing",
        ),
        pytest.param(
            gen.manifest(strategy={"simple": {"analysis": gen.analysis(BESIDE)}}),
            "spec.strategy.simple.analysis.metrics[0].compareToStable has nothing to compare with: "
            "nobody gets the stable revision any more when a simple rollout is judged; "
            "write threshold or thresholdRange",
            id="a comparison with nobody",
        ),
        pytest.param(
            judged(prometheus={"address": "http://169.254.169.254/latest"}),
            "spec.strategy.canary.analysis.prometheus.address is a cloud metadata address: write "
            "another; the engine never calls it",
            id="an address of the cloud",
        ),
        pytest.param(
            gen.manifest(hooks=[{"name": "a", "type": "event", "url": "http://[fe80::1]:80/x"}]),
            "spec.hooks[0].url is a link-local address: write another; the engine never calls it",
            id="an address of the next machine",
        ),
    ],
)
def test_what_the_server_takes_and_would_do_nothing_is_told(
    manifest: dict[str, Any], words: str
) -> None:
    assert told(manifest) == [words]


@pytest.mark.parametrize("key", [True, 7, None], ids=repr)
def test_a_key_that_is_no_text_is_told(key: Any) -> None:
    """YAML takes `on: x` for one, and sorts it among no others."""
    parts = [{"name": "app", "image": "shop:v3"}]
    arm = {"service": "shop-c", "matches": [{"cookie": COOKIE}], "containers": parts}
    manifest = ab(variants=[arm])
    manifest["spec"]["template"]["metadata"]["labels"][key] = "x"
    problem = f"has a key that is no text: put it into quotes (is {key!r})"
    manifest["metadata"]["labels"] = {key: "x"}
    places = ("metadata.labels", "spec.template.metadata.labels")
    assert told(manifest) == [f"{place} {problem}" for place in places]


STRANGE: list[Any] = [None, 7, "x", [], {}, [None], {"a": None}, True, 1.5]


@pytest.mark.parametrize("value", STRANGE, ids=repr)
def test_nothing_strange_is_a_crash(value: Any) -> None:
    """In every place of a Rollout, one after the other."""
    for path in places(gen.manifest(strategy=gen.ab_testing(analysis=gen.ab_analysis()))):
        manifest = gen.manifest(strategy=gen.ab_testing(analysis=gen.ab_analysis()))
        *way, last = path
        holder: Any = manifest
        for key in way:
            holder = holder[key]
        holder[last] = copy.deepcopy(value)
        assert all(isinstance(item, str) for item in told(manifest))


def places(node: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    keys = node if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    for key in keys:
        yield (*way, key)
        yield from places(node[key], (*way, key))
