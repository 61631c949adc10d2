"""Members as the hub meets them: bad credentials word by word, rotation, twins, the engine kept.

One hub, one real member, and a second name for it; nothing is delivered here.
"""

import base64
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.ground import hub as hubs
from e2e.ground import member as members
from e2e.ground import ports
from e2e.ground.audit import Request
from e2e.ground.authority import Authority
from e2e.ground.controlplane import ControlPlane
from e2e.ground.hub import Hub
from e2e.ground.waiting import until
from e2e.tenancy import Tenant, World
from fleet.api.names import DEPLOYMENTS, ENGINE_NAME, ENGINE_NAMESPACE, MEMBERCLUSTERS, SECRETS
from fleet.clusters import tokens
from fleet.clusters.client import Client, open_session
from fleet.clusters.config import load_kubeconfig, parse_kubeconfig
from fleet.hub.runtime import credentials


@pytest.fixture
def plane(world: World) -> ControlPlane:
    """The member's."""
    return world.puppets["east"].plane


@pytest.fixture(scope="module")
def bare(world: World) -> Tenant:
    """A tenant in whose namespace nothing is registered; each case writes a name of its own."""
    world.tenants += 1
    return Tenant(world=world, namespace=f"team-{world.tenants}")


def edited(plane: ControlPlane, change: Callable[[dict[str, Any]], object]) -> str:
    """A good kubeconfig with one thing wrong."""
    document = yaml.safe_load(members.kubeconfig(plane))
    change(document)
    return yaml.safe_dump(document)


def user(**values: Any) -> Callable[[dict[str, Any]], object]:
    return lambda document: document["users"][0].update(user=values)


def cluster(**values: Any) -> Callable[[dict[str, Any]], object]:
    return lambda document: document["clusters"][0]["cluster"].update(values)


NOBODY = ports.free(1)[0]


@pytest.mark.parametrize(
    ("name", "change", "reason", "message"),
    [
        pytest.param(
            "wrong-token",
            user(token="wrong"),
            "Unauthorized",
            "the member does not accept the token of its kubeconfig: "
            "write a new one with `fleet cluster add wrong-token --renew`",
            id="a wrong token",
        ),
        pytest.param(
            "exec",
            user(exec={"command": "aws", "apiVersion": "client.authentication.k8s.io/v1"}),
            "KubeconfigRefused",
            "kubeconfig users[east].exec: running a program is not allowed; "
            "write a token (`fleet cluster add` makes one)",
            id="a kubeconfig that runs a program",
        ),
        pytest.param(
            "nobody",
            cluster(server=f"https://127.0.0.1:{NOBODY}"),
            "Unreachable",
            f"https://127.0.0.1:{NOBODY} does not answer: connection refused: "
            "correct clusters[].server of its kubeconfig if that is another",
            id="an address where nobody listens",
        ),
    ],
)
def test_what_is_wrong_stands_in_the_condition(
    bare: Tenant,
    plane: ControlPlane,
    name: str,
    change: Callable[[dict[str, Any]], object],
    reason: str,
    message: str,
) -> None:
    bare.register(name, edited(plane, change))
    assert bare.await_condition(name, "Reachable", "False") == ("False", reason, message)


def test_a_certificate_that_does_not_verify(
    bare: Tenant, plane: ControlPlane, tmp_path: Path
) -> None:
    foreign = Authority(tmp_path / "other").certificate.read_bytes()
    data = base64.b64encode(foreign).decode()
    bare.register("foreign", edited(plane, cluster(**{"certificate-authority-data": data})))
    _, reason, message = bare.await_condition("foreign", "Reachable", "False")
    assert reason == "CertificateInvalid"
    assert message.startswith(f"the certificate of {plane.server} does not verify: ")
    assert message.endswith("; put the CA that signed it into certificate-authority-data")


def test_a_secret_that_is_missing_and_then_comes(bare: Tenant, plane: ControlPlane) -> None:
    name = bare.namespace
    bare.put(MEMBERCLUSTERS, members.member_cluster(name, "late", name))
    assert bare.await_condition("late", "Reachable", "False") == (
        "False",
        "SecretNotFound",
        f"Secret {name}/late does not exist: `fleet cluster add` writes it",
    )
    bare.put(SECRETS, members.secret(name, "late", members.kubeconfig(plane)))
    bare.await_condition("late", "Reachable", "True", within=3)


def test_credentials_change_without_a_restart(world: World, plane: ControlPlane) -> None:
    tenant = world.tenant()
    before = plane.audit.mark()
    text = members.kubeconfig(plane)
    tenant.put(SECRETS, members.secret(tenant.namespace, "east", text))

    def asked(verb: str) -> tuple[Request, ...]:
        log, user = plane.audit, members.HUB_USER
        return log.read(since=before, user=user, verbs=[verb], resource="rollouts.kulta.io")

    until(lambda: asked("watch"), "the watch goes on with the new token", within=5)
    assert len(asked("list")) == 1, "whether it is the same server still; what is known stays known"
    assert tenant.condition("east", "Reachable")[0] == "True"
    wrong = edited(plane, user(token="wrong"))
    tenant.put(SECRETS, members.secret(tenant.namespace, "east", wrong))
    assert tenant.await_condition("east", "Reachable", "False")[1] == "Unauthorized"
    tenant.put(SECRETS, members.secret(tenant.namespace, "east", members.kubeconfig(plane)))
    tenant.await_condition("east", "Reachable", "True", within=5)


def test_the_younger_of_two_names_for_one_cluster_is_refused(
    world: World, plane: ControlPlane
) -> None:
    tenant = world.tenant()
    uid = tenant.get(MEMBERCLUSTERS, "east")["status"]["uid"]
    time.sleep(1.1)  # creation times have whole seconds
    tenant.register("again", members.kubeconfig(plane))
    assert tenant.await_condition("again", "Reachable", "False") == (
        "False",
        "DuplicateCluster",
        f"again and east are the same cluster (kube-system {uid}): delete one",
    )
    assert tenant.condition("east", "Reachable")[0] == "True"
    tenant.world.plane.call("DELETE", MEMBERCLUSTERS.path(tenant.namespace, "east"))
    tenant.await_condition("again", "Reachable", "True", within=5)


async def test_the_hub_renews_its_own_token(world: World, plane: ControlPlane) -> None:
    tenant = world.tenant()
    where = (tenant.namespace, "east")
    path = world.hub.folder / "hub.kubeconfig"
    async with open_session() as session:
        own = Client("hub", load_kubeconfig(path), session)
        before = tokens.decoded(await own.get(SECRETS, "east", where[0]), "kubeconfig")
        assert before is not None
        member = Client("east", parse_kubeconfig(before), session)
        await credentials.renew(own, member, where, "kubeconfig")
        after = tokens.decoded(await own.get(SECRETS, "east", where[0]), "kubeconfig")
    assert after is not None
    old, new = (parse_kubeconfig(text).token for text in (before, after))
    assert old != new
    told = tokens.read(new)
    assert told is not None
    assert told.is_ours
    assert (told.expires - told.issued).total_seconds() == 7 * 24 * 3_600
    written = told.expires.strftime("%Y-%m-%dT%H:%M:%SZ")

    def is_told() -> bool:
        status = tenant.get(MEMBERCLUSTERS, "east").get("status") or {}
        return bool(status.get("credentialsExpire") == written)

    until(is_told, "the MemberCluster shows when the new token ends", within=5)


def test_a_managed_engine_is_installed(world: World, plane: ControlPlane) -> None:
    tenant = world.tenant()
    engine = {"mode": "Managed", "image": "kulta-fleet:test"}
    tenant.register("east", members.kubeconfig(plane), engine=engine)
    path = DEPLOYMENTS.path(ENGINE_NAMESPACE, ENGINE_NAME)
    found = until(
        lambda: ((answer := plane.call("GET", path))[0] == 200 and answer[1]) or None,
        "the engine's Deployment is there",
        within=5,
    )
    (container,) = found["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "kulta-fleet:test"
    assert [item["manager"] for item in found["metadata"]["managedFields"]] == ["kulta-fleet"]
    plane.call("DELETE", path)
    until(lambda: plane.call("GET", path)[0] == 200, "it is put back", within=5)
    mark = plane.audit.mark()
    other = world.tenant()
    other.register("east", members.kubeconfig(plane), engine={**engine, "image": "mine:1"})
    kept = f"kept by namespace {tenant.namespace} and only watched here"
    until(lambda: kept in other.condition("east", "EngineHealthy")[2], "it is not ours", within=5)
    written = plane.audit.read(since=mark, writes=True, resource="deployments.apps")
    assert written == (), "nobody fights"


def test_who_loses_the_lease_ends(world: World, tmp_path: Path) -> None:
    lease = "/apis/coordination.k8s.io/v1/namespaces/kulta-fleet/leases/kulta-fleet-hub"
    with Hub(world.plane, tmp_path, name="second") as second:
        world.plane.call("PATCH", lease, {"spec": {"holderIdentity": "somebody"}})
        until(lambda: not world.hub.process.alive, "the former leader has ended", within=20)
        assert world.hub.process.code not in (0, None)
        assert "leadership is lost" in world.hub.log()
        assert second.process.alive
    world.plane.call("DELETE", lease)  # nobody renews it: others would wait for its end
    world.hub.start()


def test_the_manifests_of_the_hub_apply(world: World) -> None:
    said = world.plane.kubectl("apply", "--dry-run=server", "-f", str(hubs.ROOT / "deploy/hub"))
    assert said.count("(server dry run)") == 12
    assert said.startswith("namespace/"), "kubectl goes by file name: the namespace comes first"
