"""THE table of mistakes: input → the exact words, where the user reads them.

Each message names the field, its value and what to write instead, and nothing is lost: what ran
goes on. What the API server can refuse it refuses; the rest is a condition of the object that is
wrong. Words in braces differ from run to run. All refusals of the CRDs, one row per rule, are in
`test_hub_refusals.py` and `test_rollout_refusals.py`.
"""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from e2e import mistakes
from e2e.ground.planes import Planes
from e2e.ground.subject import route, service
from e2e.ground.waiting import until
from e2e.mistaken import (
    Words,
    add,
    cluster,
    engine,
    expired,
    foreign,
    in_the_way,
    of_fleet,
    of_member,
    powerless,
    prometheus,
    render,
    routed,
    sample,
    server,
    services,
    taken,
    template,
    told,
    user,
)
from e2e.mistakes import NAMESPACE, OPEN, Ground, application, fleet
from fleet.api import names

STRATEGY = "/spec/deliveryPolicy/strategy"


@pytest.fixture(scope="module")
def ground(planes: Planes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with mistakes.ground(planes, tmp_path_factory.mktemp("mistakes")) as found:
        yield found


ANYWHERE = {"matchExpressions": [{"key": "moon", "operator": "DoesNotExist"}]}
INVALID = 'The Application "shop" is invalid: '
APPLICATIONS = [
    pytest.param(
        server({"op": "remove", "path": STRATEGY}),
        f"{INVALID}spec.deliveryPolicy: Invalid value: deliveryPolicy.strategy is missing: write "
        "strategy: {{canary: {{steps: [...]}}}} or strategy: {{simple: {{}}}}",
        id="no strategy",
    ),
    pytest.param(
        render({"op": "remove", "path": STRATEGY}),
        "InvalidSpec: Application shop: spec.deliveryPolicy.strategy: has none; "
        "write exactly one of canary, simple, blueGreen and abTesting",
        id="no strategy, offline",
    ),
    pytest.param(
        server(add(f"{STRATEGY}/simple", {})),
        f"{INVALID}spec.deliveryPolicy.strategy: Invalid value: "
        "write exactly one of canary, simple, blueGreen and abTesting",
        id="two strategies",
    ),
    pytest.param(
        render(add(f"{STRATEGY}/simple", {})),
        "InvalidSpec: Application shop: spec.deliveryPolicy.strategy: has canary and simple; "
        "write exactly one of canary, simple, blueGreen and abTesting",
        id="two strategies, offline",
    ),
    pytest.param(
        server(add(f"{STRATEGY}/canary/steps/1/setWeight", 10)),
        f"{INVALID}spec.deliveryPolicy.strategy.canary.steps: Invalid value: steps: each setWeight "
        "must be greater than the one before it, so 100 can only be the last",
        id="a falling weight",
    ),
    pytest.param(
        render(add(f"{STRATEGY}/canary/steps/1/setWeight", 10)),
        "InvalidSpec: Application shop: spec.deliveryPolicy.strategy.canary.steps[1].setWeight: "
        "must be greater than the one before it (25), it is 10; write growing weights, of which "
        "100 can only be the last",
        id="a falling weight, offline",
    ),
    pytest.param(
        server(add("/spec/deliveryPolcy", {})),
        'Error from server (BadRequest): error when creating "STDIN": Application in version '
        '"v1alpha1" cannot be handled as a Application: strict decoding error: unknown field '
        '"spec.deliveryPolcy"',
        id="an unknown field",
    ),
    pytest.param(
        render(add("/spec/deliveryPolcy", {})),
        "InvalidSpec: FILE: Application shop: spec.deliveryPolcy: unknown field; did you mean "
        "deliveryPolicy?",
        id="an unknown field, offline",
    ),
    pytest.param(
        template,
        "TemplateError: cluster eu: template services.yaml.j2 line 2: "
        "'dict object' has no attribute 'nmae'",
        id="a template error",
    ),
    pytest.param(
        told(
            "override",
            add(
                "/spec/overrides",
                [
                    {
                        "clusterSelector": ANYWHERE,
                        "patch": [{"op": "replace", "path": "/workload/replicsa", "value": 1}],
                    }
                ],
            ),
        ),
        "TemplateError: cluster eu: spec.overrides[0].patch[0]: replace /workload/replicsa: can't "
        "replace a non-existent object 'replicsa'; write op: add for a field that is not there yet",
        id="an override that fits nothing",
    ),
    pytest.param(
        told("closed", add("/spec/destination/namespace", "elsewhere")),
        "NamespaceNotAllowed: spec.destination.namespace: elsewhere is not allowed in eu: an "
        "administrator adds it with `fleet cluster add eu --namespaces elsewhere`",
        id="a namespace that is not allowed",
    ),
    pytest.param(
        told(
            "stranger", add("/spec/deliveryPolicy/waves", [{"name": "one", "clusters": ["moon"]}])
        ),
        "InvalidSpec: spec.deliveryPolicy.waves[0].clusters[0]: moon is not a member of fleet "
        "production: correct the name or remove it",
        id="a wave of strangers",
    ),
]
FLEETS = [
    pytest.param(
        told("lost", add("/spec/destination/fleet", "prodution")),
        "FleetNotFound: spec.destination.fleet: there is no Fleet prodution in namespace shop: "
        "create it or correct the name",
        id="an unknown fleet",
    ),
    pytest.param(
        lambda ground, _: ground.server(fleet("none", [])),
        'The Fleet "none" is invalid: spec.members: Invalid value: members cannot be empty: '
        "write names: [...] or clusterSelector: {{...}}",
        id="a fleet without members",
    ),
    pytest.param(
        of_fleet(fleet("nobody", [], clusterSelector={"matchLabels": {"ring": "moon"}})),
        "EmptyFleet: no MemberCluster is named or selected: name one, or give one the labels of "
        "members.clusterSelector",
        id="an empty fleet",
    ),
    pytest.param(
        told(
            "nowhere",
            add("/spec/destination/fleet", "empty"),
            first=[fleet("empty", [], clusterSelector={"matchLabels": {"ring": "moon"}})],
        ),
        "EmptyFleet: fleet empty has no member: name MemberClusters in its members.names, or give "
        "them the labels of its clusterSelector; nothing is deleted meanwhile",
        id="an Application for an empty fleet",
    ),
    pytest.param(
        of_fleet(fleet("lacking", ["eu", "eu-7"])),
        "MemberNotFound: eu-7 is named by fleet lacking, "
        "but there is no MemberCluster of that name",
        id="a fleet that names nobody's name",
    ),
]
MEMBERS = [
    pytest.param(
        of_member("m1", lambda _: None),
        "SecretNotFound: Secret shop/m1 does not exist: `fleet cluster add` writes it",
        id="no kubeconfig Secret",
    ),
    pytest.param(
        of_member(
            "m2", Ground.kubeconfig, kubeconfig={"secretRef": {"name": "m2", "key": "config"}}
        ),
        "KubeconfigKeyMissing: Secret shop/m2 has no text under the key 'config'; its keys: "
        "kubeconfig",
        id="another key in the Secret",
    ),
    pytest.param(
        of_member("m3", user(token="wrong")),
        "Unauthorized: the member does not accept the token of its kubeconfig: "
        "write a new one with `fleet cluster add m3 --renew`",
        id="a wrong token",
    ),
    pytest.param(
        of_member("m4", expired),
        "Unauthorized: the member does not accept the token of its kubeconfig (it ends at {end}): "
        "write a new one with `fleet cluster add m4 --renew`",
        id="an expired token",
    ),
    pytest.param(
        of_member("m5", cluster(server="https://127.0.0.1:1")),
        "Unreachable: https://127.0.0.1:1 does not answer: connection refused: "
        "correct clusters[].server of its kubeconfig if that is another",
        id="an unreachable address",
    ),
    pytest.param(
        of_member("m6", foreign),
        "CertificateInvalid: the certificate of {member} does not verify: unable to get local "
        "issuer certificate; put the CA that signed it into certificate-authority-data",
        id="a certificate that does not verify",
    ),
    pytest.param(
        of_member("m7", user(exec={"command": "aws"})),
        "KubeconfigRefused: kubeconfig users[mistaken].exec: running a program is not allowed; "
        "write a token (`fleet cluster add` makes one)",
        id="an exec kubeconfig",
    ),
    pytest.param(
        of_member("m8", Ground.kubeconfig),
        "DuplicateCluster: m8 and eu are the same cluster (kube-system {uid}): delete one",
        id="two members with one API server",
    ),
    pytest.param(
        of_member("m9", powerless),
        'Forbidden: GET /api/v1/namespaces/kube-system: 403 namespaces "kube-system" is forbidden: '
        'User "system:serviceaccount:elsewhere:default" cannot get resource "namespaces" in API '
        'group "" in the namespace "kube-system": give the hub its rights with '
        "`fleet cluster add m9`",
        id="an account without rights",
    ),
]
OBJECTS = [
    pytest.param(
        in_the_way("taken", service(OPEN, "taken", "x", "y")),
        "Conflict ForeignObject: Service taken in namespace checkout exists and is not ours: "
        "remove or rename it, or hand it over with the labels app.kubernetes.io/managed-by, "
        "fleet.kulta.io/application, fleet.kulta.io/namespace",
        id="a Service in the member that is somebody else's",
    ),
    pytest.param(
        in_the_way("halted", service(OPEN, "halted", "x", "y"), ask=Ground.run),
        "Halted BudgetExceeded: halted: 1 failed in wave all, its budget is 0: eu: Service halted "
        "in namespace checkout exists and is not ours: remove or rename it, or hand it over with "
        "the labels app.kubernetes.io/managed-by, fleet.kulta.io/application, "
        "fleet.kulta.io/namespace",
        id="what the run says of such a Service",
    ),
    pytest.param(
        in_the_way("road", route(OPEN, "road", "a", "b")),
        "Conflict ForeignObject: HTTPRoute road in namespace checkout exists and is not ours: "
        "remove or rename it, or hand it over with the labels app.kubernetes.io/managed-by, "
        "fleet.kulta.io/application, fleet.kulta.io/namespace",
        id="an HTTPRoute in the member that is somebody else's",
    ),
    pytest.param(
        engine("bare", trafficRouting=routed("bare")),
        "ServiceNotFound: Service bare-stable does not exist in namespace checkout; create it, or "
        "correct its name in the strategy",
        id="a Service that is missing",
    ),
    pytest.param(
        taken,
        "ForeignObject: Service owner-stable is managed for another Rollout; name another Service",
        id="a Service of another Rollout",
    ),
    pytest.param(
        engine("lost", *services("lost"), trafficRouting=routed("lost")),
        "RouteNotFound: HTTPRoute lost does not exist in this namespace; create it, or correct "
        "trafficRouting.gatewayAPI.httpRoute",
        id="an HTTPRoute that is missing",
    ),
    pytest.param(
        engine(
            "astray",
            *services("astray"),
            route(OPEN, "astray", "a", "b"),
            trafficRouting=routed("astray"),
        ),
        "RouteWithoutServices: no rule of HTTPRoute astray has both Services astray-stable and "
        "astray-canary in its backendRefs; add the missing one",
        id="an HTTPRoute for other Services",
    ),
]
METRICS = [
    pytest.param(
        prometheus("deaf", None),
        "MetricsUnavailable: error-rate: {prometheus} does not answer: connection refused; "
        "is this the address of a Prometheus?",
        id="Prometheus is down",
    ),
    pytest.param(
        prometheus("page", "<html>hello</html>"),
        "MetricsUnavailable: error-rate: {prometheus} answered 200 with something that is not "
        "JSON; is this the address of a Prometheus?",
        id="not a Prometheus at all",
    ),
    pytest.param(
        prometheus("query", '{"status": "error", "error": "unknown function"}', 400),
        "MetricsUnavailable: error-rate: {prometheus} refused the query: unknown function; "
        "correct the metric's query",
        id="Prometheus refuses the query",
    ),
    pytest.param(
        prometheus("nan", sample("NaN")),
        "MetricsUnavailable: error-rate: {prometheus} answered NaN, which is not a usable number; "
        "append `>= 0` to the query, so that no requests are no data",
        id="Prometheus answers NaN",
    ),
    pytest.param(
        prometheus("many", sample("1", times=2)),
        "MetricsUnavailable: error-rate: {prometheus} answered with 2 series where one number is "
        "needed; add them up, for example sum(…)",
        id="Prometheus answers with several series",
    ),
    pytest.param(
        prometheus("shut", "who are you?", 401),
        "MetricsUnavailable: error-rate: {prometheus} answered 401: the credentials are missing or "
        "wrong; name a Secret by secretRef, or correct it",
        id="Prometheus wants credentials",
    ),
    pytest.param(
        prometheus("word", sample("plenty")),
        "MetricsUnavailable: error-rate: {prometheus} answered 'plenty', which is not a number",
        id="Prometheus answers nonsense",
    ),
]


@pytest.mark.parametrize(("say", "words"), [*APPLICATIONS, *FLEETS, *MEMBERS, *OBJECTS, *METRICS])
def test_a_mistake_is_told_with_field_value_and_correction(
    ground: Ground, say: Words, words: str
) -> None:
    with ExitStack() as stack:
        said = say(ground, stack)
    assert said == words.format(
        member=ground.member.server,
        uid=ground.uid,
        end=f"{ground.expiry:%Y-%m-%dT%H:%M:%SZ}",
        prometheus="{prometheus}",
    )


def test_after_all_mistakes_what_is_good_is_delivered(ground: Ground) -> None:
    ground.put(application("good", add("/spec/deliveryPolicy/progressDeadline", "5m")))
    path = names.FLEETROLLOUTS.path(NAMESPACE, "good-1")

    def is_done() -> bool:
        status = ground.hub.call("GET", path)[1].get("status") or {}
        return bool(isinstance(status, dict) and status.get("phase") == "Succeeded")

    until(is_done, "the good one is everywhere", within=40)
