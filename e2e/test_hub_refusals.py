"""Bad Applications, Fleets and MemberClusters, applied to a real API server.

As `test_rollout_refusals.py`: one document per broken rule, one line with the exact words.
"""

import pytest
import yaml

from e2e.examples import AMOUNT, DURATION, EMPTY, NO_STEPS, STEPS, URL, documents, printed, refusal
from e2e.ground.controlplane import ControlPlane
from fleet.api import names

POLICY = "spec.deliveryPolicy"
ONE_STRATEGY = "write exactly one of canary, simple, blueGreen and abTesting"
NOT_FOR_US = "kube-* and kulta-system are not for Applications: name another namespace"
ONE_OF = "write exactly one of clusterSelector, clusters and remaining: true"
NO_LABELS = (
    "template.metadata.labels cannot be empty: write at least app: <name>, "
    "pods are selected by them"
)

APPLICATIONS = [
    pytest.param(
        "no-strategy",
        f"{POLICY}: Invalid value: deliveryPolicy.strategy is missing: "
        "write strategy: {canary: {steps: [...]}} or strategy: {simple: {}}",
        id="no strategy",
    ),
    pytest.param(
        "empty-strategy",
        f"{POLICY}.strategy: Invalid value: {ONE_STRATEGY}",
        id="an empty strategy",
    ),
    pytest.param(
        "two-strategies",
        f"{POLICY}.strategy: Invalid value: {ONE_STRATEGY}",
        id="two strategies",
    ),
    pytest.param(
        "falling-weights",
        f"{POLICY}.strategy.canary.steps: Invalid value: {STEPS}",
        id="weights that fall",
    ),
    pytest.param(
        "canary-without-steps",
        f"{POLICY}.strategy.canary.steps: Invalid value: {NO_STEPS}",
        id="a canary without steps",
    ),
    pytest.param(
        "canary-without-service",
        "spec.workload: Invalid value: "
        "a canary needs workload.service: write service: {port: 80, targetPort: 8080}",
        id="a canary without a Service",
    ),
    pytest.param(
        "canary-without-route",
        "spec.workload: Invalid value: promotionSteps, headerRoutes, sessionAffinity need "
        "workload.route: write route: {parentRefs: [{name: public, namespace: gateways}]}",
        id="headers that nobody could tell apart",
    ),
    pytest.param(
        "canary-without-surge",
        f"{POLICY}.rollout.maxSurge: Invalid value: maxSurge and maxUnavailable cannot both be 0: "
        "no pod could ever be replaced",
        id="a canary that can replace no pod",
    ),
    pytest.param(
        "blue-green-without-service",
        "spec.workload: Invalid value: "
        "blueGreen needs workload.service: write service: {port: 80, targetPort: 8080}",
        id="a blue-green without a Service",
    ),
    pytest.param(
        "experiment-without-service",
        "spec.workload: Invalid value: "
        "abTesting needs workload.service: write service: {port: 80, targetPort: 8080}",
        id="an experiment without a Service",
    ),
    pytest.param(
        "experiment-for-nobody",
        f"{POLICY}.strategy.abTesting.variantBMatch: Invalid value: write variantBMatch with a "
        "header or a cookie, or matches: without one nobody would ever get B",
        id="an experiment that nobody takes part in",
    ),
    pytest.param(
        "template-without-labels",
        f"spec.workload.template: Invalid value: {NO_LABELS}",
        id="a template without labels",
    ),
    pytest.param(
        "template-with-empty-labels",
        f"spec.workload.template: Invalid value: {NO_LABELS}",
        id="a template with empty labels",
    ),
    pytest.param(
        "wave-of-nobody", f"{POLICY}.waves[0]: Invalid value: {ONE_OF}", id="a wave of nobody"
    ),
    pytest.param(
        "wave-named-two-ways",
        f"{POLICY}.waves[0]: Invalid value: {ONE_OF}",
        id="a wave that names its members in two ways",
    ),
    pytest.param(
        "wave-with-empty-selector",
        f"{POLICY}.waves[0].clusterSelector: Invalid value: {EMPTY}",
        id="a wave that selects nobody",
    ),
    pytest.param(
        "remaining-first",
        f"{POLICY}.waves: Invalid value: waves: only the last wave may be remaining: true",
        id="what remains comes first",
    ),
    pytest.param(
        "waves-of-one-name",
        f"{POLICY}.waves: Invalid value: waves: each name may stand once",
        id="two waves of one name",
    ),
    pytest.param(
        "wave-name-with-capitals",
        f'{POLICY}.waves[0].name: Invalid value: "EU": {POLICY}.waves[0].name in body should '
        "match '^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$'",
        id="a name with capitals",
    ),
    pytest.param(
        "concurrency-of-zero",
        f"{POLICY}.maxConcurrency: Invalid value: 0: "
        "cannot be 0: write at least 1; `paused: true` holds a whole run",
        id="nobody at once",
    ),
    pytest.param(
        "order-of-nothing",
        f'{POLICY}.waves[0].orderBy: Invalid value: "risk": '
        "write name, or label:<key>, for example label:risk",
        id="an order by nothing",
    ),
    pytest.param(
        "budget-too-high",
        f'{POLICY}.waves[0].failureBudget: Invalid value: "101%": {AMOUNT}',
        id="a budget above 100%",
    ),
    pytest.param(
        "soak-of-a-fortnight",
        f'{POLICY}.waves[0].after[0].soak: Invalid value: "2w": {DURATION}',
        id="a soak in weeks",
    ),
    pytest.param(
        "gate-of-two-kinds",
        f"{POLICY}.waves[0].after[0]: Invalid value: "
        "write exactly one of soak, approval, schedule, hook and paused",
        id="a gate of two kinds",
    ),
    pytest.param(
        "soak-before-a-wave",
        f"{POLICY}.waves[0].before: Invalid value: "
        "a soak follows a wave: move it to `after` of the wave before",
        id="a soak before a wave",
    ),
    pytest.param(
        "soak-after-a-yes",
        f"{POLICY}.waves[0].after: Invalid value: "
        "a wave soaks first: move the soaks to the beginning of `after`",
        id="a soak after a yes",
    ),
    pytest.param(
        "pause-that-is-none",
        f"{POLICY}.waves[0].before[0].paused: Invalid value: "
        "paused: false waits for nothing: remove the gate",
        id="a pause that is none",
    ),
    pytest.param(
        "schedule-of-four-fields",
        f'{POLICY}.waves[0].before[0].schedule.cron: Invalid value: "0 8 * *": '
        "write five fields, minute hour day month weekday, for example 0 8 * * 1-4",
        id="a schedule of four fields",
    ),
    pytest.param(
        "hook-with-a-password",
        f"{POLICY}.waves[0].after[0].hook.url: Invalid value: "
        '"https://jane:secret@gate.example.com/ok": write http:// or https://, a host that the '
        "hub's KULTA_HOOK_HOSTS names, and a path; no user and no password",
        id="an address with a password",
    ),
    pytest.param(
        "approval-for-a-month",
        f'{POLICY}.waves[0].after[0].approval.expiresAfter: Invalid value: "30d": {DURATION}',
        id="an approval for a month",
    ),
    pytest.param(
        "share-of-all",
        f'{POLICY}.limits.maxTrafficShareOnNewRevision: Invalid value: "100%": '
        "write a percentage from 1% to 99%",
        id="a share that is all",
    ),
    pytest.param(
        "limit-until-nobody",
        f"{POLICY}.limits: Invalid value: "
        "limits.untilWave is none of these waves: write the name of one of them",
        id="a limit until a wave that is none",
    ),
    pytest.param(
        "way-back-for-nobody",
        f"{POLICY}.rollback.maxConcurrency: Invalid value: 0: "
        "cannot be 0: write at least 1; `paused: true` holds a whole run",
        id="a way back for nobody",
    ),
    pytest.param(
        "unknown-answer-to-absence",
        f'{POLICY}.unavailableClusters.policy: Unsupported value: "Forget": '
        'supported values: "Defer", "Skip", "Block"',
        id="an answer to absence that nobody knows",
    ),
    pytest.param(
        "into-kube-system",
        f'spec.destination.namespace: Invalid value: "kube-system": {NOT_FOR_US}',
        id="into a namespace of the cluster",
    ),
    pytest.param(
        "into-the-engine",
        f'spec.destination.namespace: Invalid value: "kulta-system": {NOT_FOR_US}',
        id="into the engine's namespace",
    ),
    pytest.param(
        "override-of-all",
        f"spec.overrides[0].clusterSelector: Invalid value: {EMPTY}",
        id="an override for nobody",
    ),
    pytest.param(
        "override-without-slash",
        'spec.overrides[0].patch[0].path: Invalid value: "workload.replicas": '
        "write a JSON pointer into this spec, for example /workload/replicas",
        id="a path that is no JSON pointer",
    ),
    pytest.param(
        "target-port-out-of-range",
        "spec.workload.service.targetPort: Invalid value: 70000: "
        "write a port from 1 to 65535, or the name of a container's port",
        id="a port that is none",
    ),
    pytest.param(
        "service-name-too-long",
        f'spec.workload.service.name: Invalid value: "{"s" * 57}": a Service\'s name begins with a '
        "letter and has at most 55 characters here, because <name>-canary or <name>-preview is "
        "made beside it",
        id="a Service whose second one has no name",
    ),
    pytest.param(
        "on-failure-unknown",
        f'{POLICY}.onFailure: Unsupported value: "Panic": supported values: "Halt", "Rollback", '
        '"Continue"',
        id="an answer to failure that nobody knows",
    ),
    pytest.param(
        "9-lives",
        "metadata.name: Invalid value: an Application's name becomes the name of Services and "
        "runs: 1 to 50 lower-case letters, digits and dashes, beginning with a letter",
        id="a name that no Service can have",
    ),
]

FLEETS = [
    pytest.param(
        "nobody",
        "spec.members: Invalid value: "
        "members cannot be empty: write names: [...] or clusterSelector: {...}",
        id="an empty fleet",
    ),
    pytest.param(
        "no-names",
        "spec.members: Invalid value: "
        "members cannot be empty: write names: [...] or clusterSelector: {...}",
        id="an empty list of names",
    ),
    pytest.param(
        "strategy-for-all",
        "spec.defaults.deliveryPolicy: Invalid value: "
        "a strategy belongs to an Application: move it to its deliveryPolicy",
        id="a strategy for all Applications",
    ),
    pytest.param(
        "name.with.dots",
        "metadata.name: Invalid value: "
        "a Fleet's name has 1 to 63 lower-case letters, digits and dashes, no dots",
        id="a name with dots",
    ),
]

MEMBERCLUSTERS = [
    pytest.param("no-kubeconfig", "spec.kubeconfig: Required value", id="no way in"),
    pytest.param(
        "allows-kube-system",
        f'spec.allowedNamespaces[1]: Invalid value: "kube-system": {NOT_FOR_US}',
        id="a namespace of the cluster is allowed",
    ),
    pytest.param(
        "allows-the-engine",
        f'spec.allowedNamespaces[0]: Invalid value: "kulta-system": {NOT_FOR_US}',
        id="the engine's namespace is allowed",
    ),
    pytest.param(
        "unknown-engine-mode",
        'spec.engine.mode: Unsupported value: "Automatic": supported values: "Managed", "External"',
        id="an engine mode that nobody knows",
    ),
    pytest.param(
        "prometheus-by-ftp",
        f'spec.prometheus.address: Invalid value: "ftp://prometheus": {URL}',
        id="a Prometheus over FTP",
    ),
    pytest.param(
        "name.with.dots",
        "metadata.name: Invalid value: a MemberCluster's name becomes part of other names: "
        "1 to 63 lower-case letters, digits and dashes, no dots",
        id="a name with dots",
    ),
]

TABLES = {"applications": APPLICATIONS, "fleets": FLEETS, "memberclusters": MEMBERCLUSTERS}


@pytest.mark.parametrize("kind", TABLES)
def test_every_bad_example_stands_in_the_table(kind: str) -> None:
    assert [row.values[0] for row in TABLES[kind]] == list(documents(kind))


@pytest.mark.parametrize(("name", "words"), APPLICATIONS)
def test_a_bad_application_is_refused(our_kinds: ControlPlane, name: str, words: str) -> None:
    assert words in refusal(our_kinds, documents("applications")[name])


def test_a_gap_that_the_fleet_may_fill_is_no_fault(our_kinds: ControlPlane) -> None:
    """Its defaults may say how many pods can be missing; what comes of both the hub judges."""
    manifest = yaml.safe_load(documents("applications")["canary-without-surge"])
    del manifest["spec"]["deliveryPolicy"]["rollout"]
    wish = f"{names.APPLICATIONS.path('default')}?dryRun=All&fieldValidation=Strict"
    code, answer = our_kinds.call("POST", wish, manifest)
    assert code == 201, answer


@pytest.mark.parametrize(("name", "words"), FLEETS)
def test_a_bad_fleet_is_refused(our_kinds: ControlPlane, name: str, words: str) -> None:
    assert words in refusal(our_kinds, documents("fleets")[name])


@pytest.mark.parametrize(("name", "words"), MEMBERCLUSTERS)
def test_a_bad_membercluster_is_refused(our_kinds: ControlPlane, name: str, words: str) -> None:
    assert words in refusal(our_kinds, documents("memberclusters")[name])


@pytest.mark.parametrize("kind", TABLES)
def test_kubectl_prints_the_same_words(our_kinds: ControlPlane, kind: str) -> None:
    text = documents(kind)[str(TABLES[kind][0].values[0])]
    assert printed(our_kinds, text) == refusal(our_kinds, text)
