"""Every bad Rollout, applied to a real API server: the refusal names field, value and correction.

The examples are `examples/invalid/rollouts.yaml`, one document per broken rule; the table here is
golden: a line per document with the exact words, so a change of words is seen in review. Problems
that turn on what was stored before (fencing) are in `test_crds.py`.
"""

import pytest

from e2e import examples
from e2e.examples import AMOUNT, DURATION, EMPTY, NO_STEPS, STEPS, URL, documents, printed, refusal
from e2e.ground.controlplane import ControlPlane

CANARY, BLUE = "spec.strategy.canary", "spec.strategy.blueGreen"
AB = "spec.strategy.abTesting"
METRIC = f"{CANARY}.analysis.metrics[0]"
ONE_OF = "write exactly one of simple, canary, blueGreen and abTesting"
LABELS = "selector.matchLabels must stand in template.metadata.labels too: copy them there"

ROLLOUTS = [
    pytest.param(
        "negative-replicas",
        "spec.replicas: Invalid value: -1: "
        "spec.replicas in body should be greater than or equal to 0",
        id="[V1] a negative number of pods",
    ),
    pytest.param(
        "weight-too-high",
        f"{CANARY}.steps[0].setWeight: Invalid value: 150: setWeight must be 0-100",
        id="[V2] a weight above 100",
    ),
    pytest.param(
        "weight-negative",
        f"{CANARY}.steps[0].setWeight: Invalid value: -10: setWeight must be 0-100",
        id="[V3] a negative weight",
    ),
    pytest.param(
        "pause-not-a-duration",
        f'{CANARY}.steps[0].pause.duration: Invalid value: "invalid": {DURATION}',
        id="[V4] a pause that is no duration",
    ),
    pytest.param(
        "pause-of-zero",
        f'{CANARY}.steps[0].pause.duration: Invalid value: "0s": {DURATION}',
        id="[D3] a pause of zero seconds",
    ),
    pytest.param(
        "pause-too-long",
        f'{CANARY}.steps[0].pause.duration: Invalid value: "86401s": {DURATION}',
        id="[D4] a pause of more than a day in seconds",
    ),
    pytest.param(
        "empty-canary-service",
        f'{CANARY}.canaryService: Invalid value: "": '
        "canaryService cannot be empty: name a Service of this namespace",
        id="[V5] an empty canaryService",
    ),
    pytest.param(
        "empty-stable-service",
        f'{CANARY}.stableService: Invalid value: "": '
        "stableService cannot be empty: name a Service of this namespace",
        id="[V6] an empty stableService",
    ),
    pytest.param(
        "same-services",
        f"{CANARY}.canaryService: Invalid value: "
        "canaryService and stableService must be two different Services",
        id="one Service for both revisions",
    ),
    pytest.param(
        "empty-route",
        f'{CANARY}.trafficRouting.gatewayAPI.httpRoute: Invalid value: "": httpRoute cannot be '
        "empty: name an HTTPRoute of this namespace, or leave out trafficRouting",
        id="[V7] an empty httpRoute",
    ),
    pytest.param(
        "no-steps", f"{CANARY}.steps: Invalid value: {NO_STEPS}", id="[V9] a canary without steps"
    ),
    pytest.param(
        "empty-steps",
        f"{CANARY}.steps: Invalid value: {NO_STEPS}",
        id="[V9] an empty list of steps",
    ),
    pytest.param(
        "pause-without-weight",
        f"{CANARY}.steps[1]: Invalid value: "
        "setWeight is required: write the pause into the step whose weight it holds",
        id="[V10] a step with a pause and no weight",
    ),
    pytest.param(
        "falling-weights",
        f"{CANARY}.steps: Invalid value: {STEPS}",
        id="[V21] weights that fall after 100",
    ),
    pytest.param(
        "equal-weights", f"{CANARY}.steps: Invalid value: {STEPS}", id="two steps of one weight"
    ),
    pytest.param("no-strategy", f"spec.strategy: Invalid value: {ONE_OF}", id="[V18] no strategy"),
    pytest.param(
        "two-strategies", f"spec.strategy: Invalid value: {ONE_OF}", id="[V19] two strategies"
    ),
    pytest.param(
        "negative-deadline",
        "spec.progressDeadlineSeconds: Invalid value: -1: "
        "spec.progressDeadlineSeconds in body should be greater than or equal to 0",
        id="[V11] a negative deadline",
    ),
    pytest.param(
        "surge-of-words",
        f'spec.maxSurge: Invalid value: "plenty": {AMOUNT}',
        id="[D11] a surge in words",
    ),
    pytest.param(
        "surge-too-high",
        f'spec.maxSurge: Invalid value: "150%": {AMOUNT}',
        id="[D11] a surge above 100%",
    ),
    pytest.param(
        "unavailable-negative",
        f"spec.maxUnavailable: Invalid value: -5: {AMOUNT}",
        id="[D11] a negative amount",
    ),
    pytest.param(
        "no-room-to-move",
        "spec.maxSurge: Invalid value: "
        "maxSurge and maxUnavailable cannot both be 0: no pod could ever be replaced",
        id="neither a pod more nor a pod less",
    ),
    pytest.param(
        "no-room-for-a-canary",
        "spec.maxSurge: Invalid value: "
        "maxSurge and maxUnavailable cannot both be 0: no pod could ever be replaced",
        id="neither a pod more nor a pod less for a canary",
    ),
    pytest.param("empty-selector", f"spec.selector: Invalid value: {EMPTY}", id="no selector"),
    pytest.param(
        "selector-not-in-template",
        f"spec.selector: Invalid value: {LABELS}",
        id="a template with other labels",
    ),
    pytest.param(
        "template-without-labels",
        f"spec.selector: Invalid value: {LABELS}",
        id="a template without labels",
    ),
    pytest.param(
        "unknown-metric",
        f"{METRIC}.name: Invalid value: write one of error-rate, latency-p50, latency-p95, "
        "latency-p99, request-rate, or a query",
        id="[V23] a metric that nobody knows",
    ),
    pytest.param(
        "metric-without-condition",
        f"{METRIC}: Invalid value: write threshold, thresholdRange or compareToStable",
        id="a metric that says nothing of good and bad",
    ),
    pytest.param(
        "range-without-ends",
        f"{METRIC}.thresholdRange: Invalid value: write min, max or both",
        id="a range without ends",
    ),
    pytest.param(
        "api-without-path",
        f"{METRIC}.provider: Invalid value: write address (of a Prometheus), or url and jsonPath",
        id="an API without the way to its number",
    ),
    pytest.param(
        "increase-in-words",
        f'{METRIC}.compareToStable.maxIncrease: Invalid value: "some": '
        "write 10%, or a number in the metric's unit: 2 or '0.5'",
        id="an increase in words",
    ),
    pytest.param(
        "judged-before-traffic",
        f"{CANARY}.steps: Invalid value: "
        "steps: the first needs a setWeight: there is nothing to judge before it",
        id="a first step of analysis",
    ),
    pytest.param(
        "scaled-without-router",
        f"{CANARY}.steps: Invalid value: "
        "setCanaryScale needs trafficRouting: without a router pods divide the traffic",
        id="pods apart from the weight without a router",
    ),
    pytest.param(
        "scaled-twice",
        f"{CANARY}.steps[0].setCanaryScale: Invalid value: "
        "write exactly one of replicas, percent and matchTrafficWeight",
        id="two numbers of pods",
    ),
    pytest.param(
        "scaled-at-the-end",
        f"{CANARY}.steps[1].setCanaryScale: Invalid value: "
        "setCanaryScale: all the traffic needs all the pods; leave it out at 100",
        id="some pods for all the traffic",
    ),
    pytest.param(
        "judged-without-metrics",
        f"{CANARY}.analysis: Invalid value: "
        "a step of analysis, or analyzeAtFull, needs analysis.metrics: "
        "[{name: error-rate, threshold: 5}]",
        id="a step of analysis without metrics",
    ),
    pytest.param(
        "failure-threshold-of-zero",
        f"{CANARY}.analysis.metrics[0].failureThreshold: Invalid value: 0: {CANARY}.analysis"
        ".metrics[0].failureThreshold in body should be greater than or equal to 1",
        id="no failed check that fails",
    ),
    pytest.param(
        "prometheus-without-scheme",
        f'{CANARY}.analysis.prometheus.address: Invalid value: "prometheus:9090": {URL}',
        id="a Prometheus without http",
    ),
    pytest.param(
        "port-out-of-range",
        f"{CANARY}.port: Invalid value: 70000: "
        f"{CANARY}.port in body should be less than or equal to 65535",
        id="a port that is none",
    ),
    pytest.param(
        "advised",
        "spec.advisor.endpoint: Invalid value: advisor.endpoint is required from level Advised on: "
        "write the URL of the advisor, or level Off or Context",
        id="[G3] an advisor without an endpoint",
    ),
    pytest.param(
        "advisor-without-scheme",
        'spec.advisor.endpoint: Invalid value: "advisor.ml:8080": '
        "write a URL: http://host:port/path or https://host:port/path",
        id="an advisor without http",
    ),
    pytest.param(
        "advisor-of-another-level",
        'spec.advisor.level: Unsupported value: "Autonomous": supported values: '
        '"Off", "Context", "Advised", "Planned", "Driven"',
        id="a level that there is not",
    ),
    pytest.param(
        "advisor-too-slow",
        "spec.advisor.timeoutSeconds: Invalid value: 61: "
        "spec.advisor.timeoutSeconds in body should be less than or equal to 60",
        id="an advisor that may think for more than a minute",
    ),
    pytest.param(
        "expression-without-values",
        "spec.selector.matchExpressions[0].values: Invalid value: "
        "In and NotIn need values; Exists and DoesNotExist take none",
        id="In without values",
    ),
    pytest.param(
        "twice-the-same-port",
        "spec.template.spec.containers[0].ports[1]: Duplicate value: "
        '{"containerPort":80,"protocol":"TCP"}',
        id="one port twice",
    ),
    pytest.param(
        "one-blue-green-service",
        f"{BLUE}.previewService: Invalid value: "
        "activeService and previewService must be two different Services",
        id="[V22] one Service for what serves and its preview",
    ),
    pytest.param(
        "empty-active-service",
        f'{BLUE}.activeService: Invalid value: "": '
        "activeService cannot be empty: name a Service of this namespace",
        id="an empty activeService",
    ),
    pytest.param(
        "empty-preview-service",
        f'{BLUE}.previewService: Invalid value: "": '
        "previewService cannot be empty: name a Service of this namespace",
        id="an empty previewService",
    ),
    pytest.param(
        "negative-promotion",
        f"{BLUE}.autoPromotionSeconds: Invalid value: -5: "
        f"{BLUE}.autoPromotionSeconds in body should be greater than or equal to 0",
        id="a preview of less than no time",
    ),
    pytest.param(
        "ab-without-match",
        f"{AB}.variantBMatch: Invalid value: write variantBMatch with a header or a cookie, or "
        "matches: without one nobody would ever get B",
        id="[V20] nobody gets B",
    ),
    pytest.param(
        "ab-empty-match",
        f"{AB}.variantBMatch: Invalid value: "
        "write a header or a cookie: without one nobody would ever get B",
        id="[V20] a match of nothing",
    ),
    pytest.param(
        "ab-match-of-everything",
        f"{AB}.matches[0]: Invalid value: "
        "write headers or a cookie: a match of everything leaves nobody for A",
        id="everybody gets B",
    ),
    pytest.param(
        "ab-one-service",
        f"{AB}.variantBService: Invalid value: "
        "variantAService and variantBService must be two different Services",
        id="one Service for both arms",
    ),
    pytest.param(
        "ab-empty-service",
        f'{AB}.variantAService: Invalid value: "": '
        "variantAService cannot be empty: name a Service of this namespace",
        id="an empty variantAService",
    ),
    pytest.param(
        "ab-header-type",
        f'{AB}.variantBMatch.header.type: Unsupported value: "Prefix": '
        'supported values: "Exact", "RegularExpression"',
        id="a header that is read in a third way",
    ),
    pytest.param(
        "ab-header-name",
        f'{AB}.variantBMatch.header.name: Invalid value: "X Variant": '
        "write the name of a header: letters, digits and dashes, no blanks",
        id="a header with a blank in its name",
    ),
    pytest.param(
        "ab-cookie-value",
        f'{AB}.variantBMatch.cookie.value: Invalid value: "b; Path=/": '
        "write the value of a cookie: no blanks, commas, semicolons or quotes",
        id="a cookie with its attributes",
    ),
    pytest.param(
        "ab-too-long",
        f'{AB}.maxDuration: Invalid value: "8d": {DURATION}',
        id="[D9] an experiment of more than a week",
    ),
    pytest.param(
        "ab-confidence-above-one",
        f"{AB}.analysis.confidenceLevel: Invalid value: 1.5: "
        "confidenceLevel is between 0 and 1: write 0.95 for 95 %",
        id="[V24] a confidence of 1.5",
    ),
    pytest.param(
        "ab-no-samples",
        f"{AB}.analysis.minSampleSize: Invalid value: 0: {AB}.analysis.minSampleSize in body "
        "should be greater than or equal to 1",
        id="a verdict about nobody",
    ),
    pytest.param(
        "ab-direction",
        f'{AB}.analysis.metrics[0].direction: Unsupported value: "better": '
        'supported values: "lower", "higher"',
        id="a direction that is none",
    ),
    pytest.param(
        "ab-unknown-metric",
        f"{AB}.analysis.metrics[0].name: Invalid value: write one of error-rate, "
        "conversion-rate, latency-p50, latency-p95, latency-p99, or numerator and denominator "
        "for a share of your own",
        id="a metric that nobody knows, without its queries",
    ),
    pytest.param(
        "ab-half-a-metric",
        f"{AB}.analysis.metrics[0]: Invalid value: write numerator and denominator, or neither",
        id="half of a share",
    ),
    pytest.param(
        "ab-shares",
        f"{AB}.analysis.plannedShares: Invalid value: "
        "write the percent of requests that each arm should get; together 100",
        id="shares of more than everything",
    ),
    pytest.param(
        "ab-variant-like-any-other",
        f"{AB}.variants[0].containers: Invalid value: 0: {AB}.variants[0].containers in body "
        "should have at least 1 items",
        id="one more arm that is no other",
    ),
    *examples.WHOLE,
]


def test_every_bad_example_stands_in_the_table() -> None:
    assert [row.values[0] for row in ROLLOUTS] == list(documents("rollouts"))


@pytest.mark.parametrize(("name", "words"), ROLLOUTS)
def test_a_bad_rollout_is_refused(our_kinds: ControlPlane, name: str, words: str) -> None:
    assert words in refusal(our_kinds, documents("rollouts")[name])


@pytest.mark.parametrize("name", ["weight-too-high", "negative-replicas"])
def test_kubectl_prints_the_same_words(our_kinds: ControlPlane, name: str) -> None:
    text = documents("rollouts")[name]
    assert printed(our_kinds, text) == refusal(our_kinds, text)
