"""The ground itself: planes side by side, real TLS, RBAC and audit, and nothing left behind.

Whatever the parent dies of, its processes go too; the table shows it for each way to die, once with
a whole control plane. Wrong things (foreign authority, taken port, dead part) are tried on purpose.
"""

import json
import signal
import socket
import ssl
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.ground import audit, guardian, ports, processes
from e2e.ground.authority import Authority
from e2e.ground.controlplane import LEAN, ControlPlane, KubectlFailed, Options, StartFailed
from e2e.ground.flags import AuditPolicy
from e2e.ground.planes import Planes
from e2e.ground.waiting import until

ROOT = Path(__file__).parents[1]
CONFIGMAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "note"}}

PLANE_THEN_SLEEP = """
import json, sys, time
from pathlib import Path
from e2e.ground.controlplane import ControlPlane, LEAN
plane = ControlPlane("orphan", Path(sys.argv[1]), LEAN).start()
facts = {"pids": [each.pid for each in plane.processes.values()], "port": plane.port}
print(json.dumps(facts), flush=True)
time.sleep(600)
"""
SLEEP_AND = """
import json, os, signal, sys, time
from pathlib import Path
from e2e.ground import processes
script = sys.argv[2] + "echo started; sleep 600 & wait"
process = processes.start("sleeper", ["/bin/sh", "-c", script], log=Path(sys.argv[1]) / "log")
while "started" not in process.tail():
    time.sleep(0.01)
print(json.dumps({"pids": [process.pid]}), flush=True)
"""
DEAF = "trap '' TERM; "


def parent(code: str, *arguments: object) -> "subprocess.Popen[str]":
    """A Python program of its own that stands on the ground."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )


def first_line(program: "subprocess.Popen[str]") -> str:
    assert program.stdout is not None
    return program.stdout.readline()


def test_a_killed_parent_leaves_no_process_and_no_open_port(tmp_path: Path) -> None:
    with parent(PLANE_THEN_SLEEP, tmp_path) as program:
        facts = json.loads(first_line(program))
        assert guardian.living(facts["pids"]) == set(facts["pids"])
        program.send_signal(signal.SIGKILL)
    until(lambda: not guardian.living(facts["pids"]), "all processes are gone", within=15)
    assert ports.is_free(facts["port"])


@pytest.mark.parametrize(
    ("way_to_end", "trap"),
    [
        pytest.param(
            "os.kill(os.getpid(), signal.SIGKILL)", DEAF, id="killed, and SIGTERM ignored"
        ),
        pytest.param("os.kill(os.getpid(), signal.SIGTERM)", "", id="terminated"),
        pytest.param("os.kill(os.getpid(), signal.SIGINT); time.sleep(9)", "", id="Ctrl-C"),
        pytest.param("raise RuntimeError", "", id="an error nobody caught"),
        pytest.param("sys.exit(0)", "", id="a forgotten stop"),
    ],
)
def test_a_group_ends_with_its_parent(way_to_end: str, trap: str, tmp_path: Path) -> None:
    with parent(SLEEP_AND + way_to_end, tmp_path, trap) as program:
        (pid,) = json.loads(first_line(program))["pids"]
    until(lambda: not guardian.living([pid]), "the group is gone", within=15)


def says(process: processes.Process, word: str) -> bool:
    """Whether the process has printed `word`."""
    return word in process.tail()


def test_stages_end_in_order_and_a_deaf_process_is_killed(tmp_path: Path) -> None:
    order = tmp_path / "order"
    script = (
        "trap 'sleep 0.2; echo {0} >> {1}; exit' TERM; echo ready; while :; do sleep 0.01; done"
    )
    started = [
        processes.start(
            str(stage),
            ["/bin/sh", "-c", script.format(stage, order)],
            log=tmp_path / str(stage),
            stage=stage,
        )
        for stage in (processes.STORE, processes.SERVER, processes.FIRST)
    ]
    for process in started:
        until(partial(says, process, "ready"), "it listens", within=5)
    processes.stop(*started)
    assert order.read_text().split() == ["0", "1", "2"]


async def test_the_end_of_a_process_can_be_awaited(tmp_path: Path) -> None:
    process = processes.start("brief", ["/bin/sh", "-c", "sleep 0.1; exit 7"], log=tmp_path / "log")
    assert await process.ended() == 7


def test_ports_are_never_given_twice_nor_from_the_ephemeral_range() -> None:
    given = ports.free(300)
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert len(set(given)) == 300
    assert max(given) < first


@pytest.fixture(scope="module")
def plane(planes: Planes) -> ControlPlane:
    """A whole plane that plays two fake nodes."""
    bodies = AuditPolicy(bodies=("replicasets.apps",))
    (made,) = planes("with-kwok", options=Options(kwok_nodes=2, audit=bodies))
    return made


@pytest.fixture(scope="module")
def unlucky(planes: Planes) -> tuple[ControlPlane, int]:
    """One with nothing but an API server, and a port that was taken when it chose it."""
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.MonkeyPatch.context() as patch:
        free, lost = ports.free, taken.getsockname()[1]

        def once(count: int) -> tuple[int, ...]:
            patch.setattr(ports, "free", free)
            store, peer, _, *others = free(count)
            return (store, peer, lost, *others)

        patch.setattr(ports, "free", once)
        (made,) = planes("lean", options=LEAN)
    return made, lost


@pytest.fixture(scope="module")
def two(
    plane: ControlPlane, unlucky: tuple[ControlPlane, int]
) -> tuple[ControlPlane, ControlPlane]:
    """Both."""
    return plane, unlucky[0]


def test_a_port_that_was_lost_is_replaced_by_another(unlucky: tuple[ControlPlane, int]) -> None:
    plane, lost = unlucky
    assert plane.port != lost
    assert plane.call("GET", "/readyz")[0] == 200


def test_planes_stand_side_by_side_and_know_nothing_of_each_other(
    two: tuple[ControlPlane, ControlPlane],
) -> None:
    one, other = two
    one.kubectl("create", "configmap", "only-here")
    assert "only-here" in one.kubectl("get", "configmaps", "-o", "name")
    assert "only-here" not in other.kubectl("get", "configmaps", "-o", "name")


def test_fake_nodes_run_pods_that_the_scheduler_bound(
    two: tuple[ControlPlane, ControlPlane],
) -> None:
    plane = two[0]
    plane.kubectl("create", "deployment", "web", "--image=web:v1", "--replicas=3")
    plane.kubectl("wait", "--for=condition=Available", "deployment/web", "--timeout=30s")
    assert plane.kubectl("get", "nodes", "-o", "name").split() == ["node/kwok-0", "node/kwok-1"]


def test_kubeconfigs_verify_the_server(plane: ControlPlane, tmp_path: Path) -> None:
    (cluster,) = yaml.safe_load(plane.kubeconfig.read_text())["clusters"]
    assert set(cluster["cluster"]) == {"server", "certificate-authority-data"}
    stranger = Authority(tmp_path)
    with (
        socket.create_connection(("127.0.0.1", plane.port)) as raw,
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        stranger.context().wrap_socket(raw, server_hostname="127.0.0.1")


def test_pods_get_the_authority_that_verifies_the_server(
    plane: ControlPlane, namespace: str
) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps/kube-root-ca.crt"
    assert plane.call("GET", path)[1]["data"]["ca.crt"] == plane.ca.read_text()


def test_service_account_admission_is_on(plane: ControlPlane, namespace: str) -> None:
    pod: dict[str, Any] = {
        "metadata": {"name": "p"},
        "spec": {"serviceAccountName": "nobody", "containers": [{"name": "c", "image": "i"}]},
    }
    path = f"/api/v1/namespaces/{namespace}/pods"
    code, answer = plane.call("POST", path, pod)
    assert (code, "nobody" in answer["message"]) == (403, True)
    pod["spec"]["serviceAccountName"] = "default"
    code, answer = plane.call("POST", path, pod)
    sources = answer["spec"]["volumes"][0]["projected"]["sources"]
    assert (code, [next(iter(source)) for source in sources]) == (
        201,
        ["serviceAccountToken", "configMap", "downwardAPI"],
    )


def test_a_service_account_may_do_what_rbac_grants_and_no_more(
    plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    plane.kubectl("create", "serviceaccount", "reader", "-n", namespace)
    plane.kubectl(
        *("create", "rolebinding", "reader", "-n", namespace),
        *("--clusterrole=view", f"--serviceaccount={namespace}:reader"),
    )
    token = plane.mint("reader", namespace)
    config = plane.write_kubeconfig(tmp_path / "kubeconfig", token)
    as_reader = (f"--kubeconfig={config}", "-n", namespace)
    assert "default" in plane.kubectl(*as_reader, "get", "serviceaccounts")
    with pytest.raises(KubectlFailed, match=r"cannot list resource .secrets"):
        plane.kubectl(*as_reader, "get", "secrets")


def test_the_audit_log_tells_who_did_what(plane: ControlPlane, namespace: str) -> None:
    mark = plane.audit.mark()
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    plane.call("POST", path, CONFIGMAP)
    plane.call("PATCH", f"{path}/note", {"data": {"a": "b"}})
    plane.call("GET", f"{path}/absent")
    plane.call("POST", path, CONFIGMAP)
    seen = plane.audit.read(since=mark, user="admin", namespace=namespace)
    assert [(each.verb, each.resource, each.name, each.code) for each in seen] == [
        ("create", "configmaps", "note", 201),
        ("patch", "configmaps", "note", 200),
        ("get", "configmaps", "absent", 404),
        ("create", "configmaps", "note", 409),
    ]
    assert audit.count(
        plane.audit.read(since=mark, namespace=namespace, writes=True, code=201)
    ) == {("admin", "create", "configmaps"): 1}


def test_bodies_are_logged_where_asked_and_nowhere_else(
    plane: ControlPlane, namespace: str
) -> None:
    mark = plane.audit.mark()
    plane.call("POST", f"/api/v1/namespaces/{namespace}/configmaps", CONFIGMAP)
    plane.kubectl("create", "deployment", "web", "--image=web:v1", "-n", namespace)

    def sets() -> tuple[audit.Request, ...]:
        return plane.audit.read(
            since=mark, namespace=namespace, resource="replicasets.apps", verbs=["create"]
        )

    (made,) = until(sets, "the ReplicaSet is made", within=10)
    (note,) = plane.audit.read(since=mark, namespace=namespace, user="admin", name="note")
    assert made.user == "system:serviceaccount:kube-system:deployment-controller"
    assert made.body["spec"]["template"]["spec"]["containers"][0]["image"] == "web:v1"
    assert note.body is None


def test_a_watch_counts_once(plane: ControlPlane, namespace: str) -> None:
    mark = plane.audit.mark()
    watch = f"/api/v1/namespaces/{namespace}/secrets?watch=true&timeoutSeconds=1"
    plane.kubectl("get", "--raw", watch)
    (seen,) = plane.audit.read(since=mark, namespace=namespace, resource="secrets", user="admin")
    assert (seen.verb, seen.code, seen.is_write) == ("watch", 200, False)


def test_what_is_not_to_be_logged_is_not_logged() -> None:
    policy = AuditPolicy(without=("leases.coordination.k8s.io",), bodies=("pods",)).manifest()
    assert [(rule["level"], rule.get("resources")) for rule in policy["rules"]] == [
        ("None", [{"group": "coordination.k8s.io", "resources": ["leases", "leases/*"]}]),
        ("Request", [{"group": "", "resources": ["pods", "pods/*"]}]),
        ("Metadata", None),
    ]


@pytest.mark.parametrize("part", ["kube-apiserver", "etcd"])
def test_a_killed_part_comes_back_with_everything_stored(
    two: tuple[ControlPlane, ControlPlane], part: str
) -> None:
    plane = two[1]
    plane.kubectl("create", "namespace", f"before-{part}")
    server = plane.server
    plane.restart(part)
    assert plane.server == server
    assert plane.kubectl("get", "namespace", f"before-{part}", "-o", "name")


def test_versions_from_before_a_compaction_are_gone(
    two: tuple[ControlPlane, ControlPlane],
) -> None:
    plane, path = two[1], "/api/v1/namespaces/default/configmaps"
    before = plane.call("GET", path)[1]["metadata"]["resourceVersion"]
    plane.call("POST", path, CONFIGMAP)
    plane.forget_history()
    watch = f"{path}?watch=true&timeoutSeconds=1&resourceVersion={before}"
    event = json.loads(plane.kubectl("get", "--raw", watch))
    assert (event["type"], event["object"]["code"]) == ("ERROR", 410)


def test_a_part_that_cannot_start_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    plane = ControlPlane("broken", tmp_path, Options(api_server=("--no-such-flag",)))
    with pytest.raises(StartFailed, match="no-such-flag"):
        plane.start()
    assert plane.processes == {}


def test_waiting_ends_with_a_sentence() -> None:
    with pytest.raises(TimeoutError, match=r"the moon is full: not within 0\.4 s"):
        until(lambda: False, "the moon is full", within=0.1)
