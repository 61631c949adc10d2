"""The CRDs on a real API server: what is accepted, kept, and served in two versions.

Bad manifests are in `test_*_refusals.py`, what depends on the stored object in `test_fencing.py`,
what people see in `test_explained.py`.
"""

import copy
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e import podtemplate
from e2e.examples import (
    COMPAT,
    OLDER,
    ROOT,
    STORED,
    VALID,
    call,
    read,
    refused,
    rollouts,
    two_steps,
)
from e2e.ground.controlplane import LEAN, ControlPlane, KubectlFailed
from e2e.ground.planes import Planes
from e2e.ground.waiting import until
from fleet.api import schema
from fleet.api.names import CLUSTERROLLOUTS, CRDS, ROLLOUTS
from fleet.clusters.client import Client, open_session
from fleet.clusters.config import load_kubeconfig
from fleet.hub.core.cluster import schema as definitions
from fleet.hub.runtime import schemas
from fleet.kit import hashing

GOOD = sorted([*VALID.glob("*.yaml"), *COMPAT.glob("*.yaml")])


# What is accepted.


def test_all_kinds_are_there_by_their_short_names(our_kinds: ControlPlane, namespace: str) -> None:
    said = our_kinds.kubectl("api-resources", "--categories=kulta", "--no-headers")
    found = {line.split()[0]: (line.split()[1], line.split()[-1]) for line in said.splitlines()}
    assert found == {
        "applications": ("fapp", "Application"),
        "clusterrollouts": ("crl", "ClusterRollout"),
        "fleetrollouts": ("fr", "FleetRollout"),
        "fleets": ("fl", "Fleet"),
        "memberclusters": ("mc", "MemberCluster"),
        "rollouts": ("ro", "Rollout"),
    }


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_a_good_example_is_taken(our_kinds: ControlPlane, namespace: str, path: Path) -> None:
    said = our_kinds.kubectl("apply", f"--namespace={namespace}", "-f", str(path))
    assert said.strip().endswith("created")
    before = our_kinds.kubectl("get", f"--namespace={namespace}", "-f", str(path), "-o", "json")
    our_kinds.kubectl("apply", f"--namespace={namespace}", "-f", str(path))
    after = our_kinds.kubectl("get", f"--namespace={namespace}", "-f", str(path), "-o", "json")
    assert after == before, "applying the same again changed something"


def test_a_valid_canary_is_taken(our_kinds: ControlPlane, namespace: str) -> None:
    """[V8] 5 replicas, steps [20 for 30s, 100], a route: accepted."""
    manifest = two_steps()
    spec = manifest["spec"]
    assert spec["replicas"] == 5
    assert spec["strategy"]["canary"]["steps"] == [
        {"setWeight": 20, "pause": {"duration": "30s"}},
        {"setWeight": 100},
    ]
    assert spec["strategy"]["canary"]["trafficRouting"]["gatewayAPI"]["httpRoute"]
    assert call(our_kinds, "POST", rollouts(namespace), manifest)["spec"]["replicas"] == 5


def test_a_limit_may_be_a_number(our_kinds: ControlPlane, namespace: str) -> None:
    """[V26] A template with `resources.limits.cpu: 1`, as YAML reads it, is accepted."""
    manifest = two_steps()
    manifest["spec"]["template"]["spec"]["containers"][0]["resources"] = {"limits": {"cpu": 1}}
    stored = call(our_kinds, "POST", rollouts(namespace), manifest)
    assert stored["spec"]["template"]["spec"]["containers"][0]["resources"] == {
        "limits": {"cpu": 1}
    }


@pytest.mark.parametrize("version", [OLDER, STORED])
@pytest.mark.parametrize("path", sorted(COMPAT.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_references_manifests_apply_in_both_versions(
    our_kinds: ControlPlane, namespace: str, path: Path, version: str
) -> None:
    text = path.read_text().replace(f"kulta.io/{OLDER}", f"kulta.io/{version}")
    our_kinds.kubectl("apply", f"--namespace={namespace}", "-f", "-", stdin=text)
    written = yaml.safe_load(text)
    stored = call(our_kinds, "GET", rollouts(namespace, written["metadata"]["name"]))
    assert_kept(written["spec"], stored["spec"], "spec")


def assert_kept(written: Any, stored: Any, path: str) -> None:
    """All that was written is there; more may be (defaults)."""
    if isinstance(written, dict):
        for key, value in written.items():
            assert key in stored, f"{path}.{key} is lost"
            assert_kept(value, stored[key], f"{path}.{key}")
    elif isinstance(written, list):
        assert len(written) == len(stored), path
        for index, (left, right) in enumerate(zip(written, stored, strict=True)):
            assert_kept(left, right, f"{path}[{index}]")
    else:
        assert written == stored, path


def test_generated_manifests_with_nulls_are_taken(our_kinds: ControlPlane, namespace: str) -> None:
    manifest = two_steps(hold=None)
    manifest["metadata"]["creationTimestamp"] = None
    manifest["spec"]["template"]["metadata"]["creationTimestamp"] = None
    stored = call(our_kinds, "POST", f"{rollouts(namespace)}?fieldValidation=Strict", manifest)
    assert "creationTimestamp" not in stored["spec"]["template"]["metadata"]
    assert "hold" not in stored["spec"]


UNKNOWN = [
    pytest.param("spec.maxSurg", {"maxSurg": 1}, id="in a Rollout"),
    pytest.param("spec.strategy.bluGreen", {"strategy": {"bluGreen": {}}}, id="a strategy"),
    pytest.param(
        "spec.template.spec.contianers",
        {"template": {"metadata": {"labels": {"app": "two-steps"}}, "spec": {"contianers": []}}},
        id="in a pod template",
    ),
]


@pytest.mark.parametrize(("field", "spec"), UNKNOWN)
def test_an_unknown_field_is_refused(
    our_kinds: ControlPlane, namespace: str, field: str, spec: dict[str, Any]
) -> None:
    text = json.dumps(two_steps(**spec))
    with pytest.raises(KubectlFailed, match=f'unknown field "{field}"'):
        our_kinds.kubectl("apply", f"--namespace={namespace}", "-f", "-", stdin=text)


# What is kept: the pod template above all, for its hash is the revision.


def rich_template() -> dict[str, Any]:
    """A template with the parts where a schema of ours could lose or add something."""
    template: dict[str, Any] = yaml.safe_load("""
      metadata: {labels: {app: two-steps}, annotations: {prometheus.io/scrape: "true"}}
      spec:
        serviceAccountName: two-steps
        securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
        imagePullSecrets: [{name: registry}]
        nodeSelector: {disk: ssd}
        tolerations: [{key: spot, operator: Exists, effect: NoSchedule}]
        topologySpreadConstraints:
        - maxSkew: 1
          topologyKey: zone
          whenUnsatisfiable: ScheduleAnyway
          labelSelector: {matchLabels: {app: two-steps}}
        affinity:
          podAntiAffinity:
            preferredDuringSchedulingIgnoredDuringExecution:
            - weight: 10
              podAffinityTerm: {topologyKey: zone, labelSelector: {matchLabels: {app: two-steps}}}
        initContainers:
        - {name: proxy, image: proxy, restartPolicy: Always}
        containers:
        - name: web
          image: registry.example.com/shop:v2
          command: [/bin/web]
          args: [--port, "8080"]
          ports: [{name: http, containerPort: 8080}, {containerPort: 53, protocol: UDP}]
          env:
          - {name: LEVEL, value: info}
          - {name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
          - {name: PASSWORD, valueFrom: {secretKeyRef: {name: shop, key: password}}}
          envFrom: [{configMapRef: {name: shop}}]
          resources: {requests: {cpu: 100m, memory: 64Mi}, limits: {cpu: 1, memory: 256Mi}}
          readinessProbe: {httpGet: {path: /healthz, port: http}, periodSeconds: 1}
          livenessProbe: {tcpSocket: {port: 8080}}
          lifecycle: {preStop: {sleep: {seconds: 5}}, postStart: {tcpSocket: {port: 8080}}}
          securityContext: {capabilities: {drop: [ALL]}}
          volumeMounts: [{name: data, mountPath: /data}, {name: token, mountPath: /token}]
        volumes:
        - {name: data, emptyDir: {sizeLimit: 1Gi}}
        - name: token
          projected: {sources: [{serviceAccountToken: {path: token, audience: shop}}]}
        terminationGracePeriodSeconds: 30
        runtimeClassName: kata
        overhead: {memory: 120Mi}
    """)
    return template


def with_protocols(template: dict[str, Any]) -> dict[str, Any]:
    """The template with the one default that the server adds."""
    result = copy.deepcopy(template)
    for container in result["spec"]["containers"]:
        for port in container.get("ports", []):
            port.setdefault("protocol", "TCP")
    return result


TEMPLATES = {
    path.stem: template
    for path in GOOD
    if read(path)["kind"] == "Rollout" and (template := read(path)["spec"].get("template"))
} | {"every corner": rich_template()}


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
def test_the_server_adds_nothing_to_a_template(
    our_kinds: ControlPlane, namespace: str, template: dict[str, Any]
) -> None:
    manifest = two_steps(template=template)
    manifest["spec"]["selector"] = {"matchLabels": template["metadata"]["labels"]}
    stored = call(our_kinds, "POST", f"{rollouts(namespace)}?fieldValidation=Strict", manifest)
    wanted = with_protocols(template)
    assert stored["spec"]["template"] == wanted
    assert hashing.pod_hash(stored["spec"]["template"]) == hashing.pod_hash(wanted)


def loose(crd: dict[str, Any]) -> dict[str, Any]:
    """The CRD as a first release might have been: it takes any spec, and knows fewer fields."""
    result = copy.deepcopy(crd)
    for version in result["spec"]["versions"]:
        fields = version["schema"]["openAPIV3Schema"]["properties"]
        fields["spec"] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return result


def test_a_new_crd_leaves_every_pod_hash_as_it_was(planes: Planes) -> None:
    (plane,) = planes("upgraded", options=LEAN)
    current = json.loads((ROOT / "crds/rollouts.yaml").read_text())
    plane.apply(loose(current))
    plane.await_crds()
    template = with_protocols(rich_template())
    before = call(plane, "POST", rollouts("default"), two_steps(template=template))
    plane.apply(current)
    path = rollouts("default", before["metadata"]["name"])
    until(
        lambda: call(plane, "GET", path)["spec"].get("revisionHistoryLimit") == 10,
        "the new CRD is in force",
        within=30,
    )
    assert call(plane, "GET", path)["spec"]["template"] == template
    after = call(plane, "PATCH", path, {"metadata": {"labels": {"touched": "yes"}}})
    assert after["spec"]["template"] == template
    assert hashing.pod_hash(after["spec"]["template"]) == hashing.pod_hash(template)
    assert after["metadata"]["generation"] == before["metadata"]["generation"]


def test_the_kept_pod_template_is_the_servers(our_kinds: ControlPlane) -> None:
    _, openapi = our_kinds.call("GET", "/openapi/v3/api/v1")
    assert podtemplate.schema(openapi) == schema.pod_template()


async def test_what_is_published_is_named_by_its_digest_and_says_what_the_crd_does(
    our_kinds: ControlPlane,
) -> None:
    """By that the hub knows a definition that it has read elsewhere."""
    async with open_session() as session:
        client = Client("member", load_kubeconfig(our_kinds.kubeconfig), session)
        index = json.loads(await client.request("GET", schemas.INDEX))
        text = await client.request("GET", f"{schemas.INDEX}/{schemas.PUBLISHED}")
        crd = await client.get(CRDS, schemas.CRD)
    url = index["paths"][schemas.PUBLISHED]["serverRelativeURL"]
    assert url.endswith(f"?hash={hashlib.sha512(text).hexdigest().upper()}")
    declared = definitions.fields(crd, ROLLOUTS.version)
    assert definitions.paths(definitions.published(json.loads(text))) == declared
    assert "spec.strategy.canary.steps[].setWeight" in declared


# Two versions of one schema.


def test_the_older_version_keeps_what_the_newer_wrote(
    our_kinds: ControlPlane, namespace: str
) -> None:
    """[K7] v1beta1 with 50%, 1 and 300, read as v1alpha1, has all three."""
    spec = {"maxSurge": "50%", "maxUnavailable": "1", "progressDeadlineSeconds": 300}
    call(our_kinds, "POST", rollouts(namespace), two_steps(**spec))
    older = call(our_kinds, "GET", rollouts(namespace, "two-steps", version=OLDER))
    assert older["apiVersion"] == f"kulta.io/{OLDER}"
    assert {key: older["spec"][key] for key in spec} == spec


def test_there_and_back_is_identical(our_kinds: ControlPlane, namespace: str) -> None:
    """[K8] v1beta1 → v1alpha1 → v1beta1 with 50%, 2 and 900 is identical."""
    spec = {"maxSurge": "50%", "maxUnavailable": "2", "progressDeadlineSeconds": 900}
    first = call(our_kinds, "POST", rollouts(namespace), two_steps(**spec))
    path = rollouts(namespace, "two-steps", version=OLDER)
    call(our_kinds, "PUT", path, call(our_kinds, "GET", path))
    last = call(our_kinds, "GET", rollouts(namespace, "two-steps"))
    assert last["spec"] == first["spec"]
    assert {key: last["spec"][key] for key in spec} == spec
    assert last["metadata"]["generation"] == first["metadata"]["generation"]


@pytest.mark.parametrize("version", [OLDER, STORED])
def test_an_advisor_is_kept_or_refused_never_lost(
    our_kinds: ControlPlane, namespace: str, version: str
) -> None:
    """[K10] [G3] Without an endpoint it is refused in both versions; what is taken stays."""
    other = STORED if version == OLDER else OLDER
    wish = {"level": "Advised", "endpoint": "http://advisor.ml:8080/a", "timeoutSeconds": 25}
    manifest = two_steps(advisor=wish)
    manifest["apiVersion"] = f"kulta.io/{version}"
    call(our_kinds, "POST", rollouts(namespace, version=version), manifest)
    path = rollouts(namespace, "two-steps", version=other)
    call(our_kinds, "PUT", path, call(our_kinds, "GET", path))
    path = rollouts(namespace, "two-steps", version=version)
    assert call(our_kinds, "GET", path)["spec"]["advisor"] == manifest["spec"]["advisor"]
    change = {"spec": {"advisor": {"endpoint": None}}}
    assert "spec.advisor" in refused(our_kinds, "PATCH", path, change)


@pytest.mark.parametrize("version", [OLDER, STORED])
def test_a_status_write_leaves_the_spec_alone(
    our_kinds: ControlPlane, namespace: str, version: str
) -> None:
    """[K11] Deadline 900; the engine patches the status in its version; still 900."""
    call(our_kinds, "POST", rollouts(namespace), two_steps(progressDeadlineSeconds=900))
    path = rollouts(namespace, "two-steps", version=version, sub="status")
    call(our_kinds, "PATCH", path, {"status": {"phase": "Progressing", "currentWeight": 20}})
    stored = call(our_kinds, "GET", rollouts(namespace, "two-steps"))
    assert stored["spec"]["progressDeadlineSeconds"] == 900
    assert stored["status"]["phase"] == "Progressing"


def test_the_status_is_the_engines_and_the_spec_the_users(
    our_kinds: ControlPlane, namespace: str
) -> None:
    manifest = two_steps() | {"status": {"phase": "Completed"}}
    stored = call(our_kinds, "POST", rollouts(namespace), manifest)
    assert "status" not in stored
    patch = {"spec": {"replicas": 9}, "status": {"phase": "Failed"}}
    after = call(our_kinds, "PATCH", rollouts(namespace, "two-steps", sub="status"), patch)
    assert (after["spec"]["replicas"], after["status"]["phase"]) == (5, "Failed")
    assert after["status"]["replicas"] == 0


def test_of_a_cluster_rollout_no_account_is_kept_of_each_field(
    our_kinds: ControlPlane, namespace: str
) -> None:
    """There are a hundred thousand, with one writer, who lists all of them at its start."""
    manifest = {
        **CLUSTERROLLOUTS.head,
        "metadata": {"name": "checkout.eu-7"},
        "spec": {"application": "checkout", "cluster": "eu-7", "namespace": "checkout"},
    }
    call(our_kinds, "POST", CLUSTERROLLOUTS.path(namespace), manifest)
    status = {"status": {"phase": "Applying", "dispatch": {"sequence": 1, "run": "checkout-1"}}}
    path = CLUSTERROLLOUTS.path(namespace, "checkout.eu-7", "status")
    stored = call(our_kinds, "PATCH", path, status)
    accounts = [entry["fieldsV1"] for entry in stored["metadata"]["managedFields"]]
    assert accounts == [{"f:spec": {}}, {"f:status": {}}]


def test_an_autoscaler_can_scale(our_kinds: ControlPlane, namespace: str) -> None:
    call(our_kinds, "POST", rollouts(namespace), two_steps())
    status = {"status": {"replicas": 4, "selector": "rollouts.kulta.io/rollout=two-steps"}}
    call(our_kinds, "PATCH", rollouts(namespace, "two-steps", sub="status"), status)
    scale = call(our_kinds, "GET", rollouts(namespace, "two-steps", sub="scale"))
    assert scale["spec"]["replicas"] == 5
    assert scale["status"] == status["status"]
    our_kinds.kubectl("scale", f"--namespace={namespace}", "--replicas=7", "ro/two-steps")
    assert call(our_kinds, "GET", rollouts(namespace, "two-steps"))["spec"]["replicas"] == 7
