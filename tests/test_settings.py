"""What the environment says → settings; what makes no sense → a sentence."""

import logging
import re
from pathlib import Path

import pytest

from fleet import settings
from fleet.errors import UserError
from fleet.settings import Connection, EngineSettings

BARE = {"POD_NAME": "engine-1", "HOME": "/nowhere"}


def test_the_defaults_of_the_engine() -> None:
    assert settings.engine(BARE) == EngineSettings(
        identity="engine-1",
        connection=Connection(),
        namespace="kulta-system",
        log_level=logging.INFO,
        leader_election=False,
        listen_host="0.0.0.0",
        listen_port=8080,
        prometheus="http://localhost:9090",
        cluster=None,
        cdevents=False,
        cdevents_sink="",
        occurrences=Path("/tmp/kulta"),
    )


def test_the_hub_elects_unless_told_not_to() -> None:
    told = {**BARE, "KULTA_LEADER_ELECTION": "false"}
    assert [settings.hub(env).leader_election for env in (BARE, told)] == [True, False]


@pytest.mark.parametrize(
    ("variables", "field", "value"),
    [
        pytest.param({"KULTA_LEADER_ELECTION": "true"}, "leader_election", True, id="election on"),
        pytest.param({"KULTA_LEADER_ELECTION": "1"}, "leader_election", True, id="on by number"),
        pytest.param({"KULTA_LEADER_ELECTION": "yes"}, "leader_election", False,
                     id="any other word is off, as in the reference"),
        pytest.param({"KULTA_PROMETHEUS_ADDRESS": "http://prom:9090/"}, "prometheus",
                     "http://prom:9090", id="an address of Prometheus"),
        pytest.param({"KULTA_CLUSTER_NAME": "eu-7"}, "cluster", "eu-7", id="a cluster's name"),
        pytest.param({}, "only", None, id="all namespaces"),
        pytest.param({"KULTA_ONLY_NAMESPACE": "shop"}, "only", "shop", id="one of them"),
        pytest.param({}, "max_active", 0, id="no limit of active rollouts"),
        pytest.param({"KULTA_MAX_ACTIVE": "20"}, "max_active", 20, id="a limit of them"),
        pytest.param({"KULTA_CDEVENTS_ENABLED": "true"}, "cdevents", True, id="CDEvents on"),
        pytest.param({"KULTA_CDEVENTS_ENABLED": "1"}, "cdevents", False,
                     id="CDEvents: exactly `true`, as in the reference"),
        pytest.param({"KULTA_CDEVENTS_ENABLED": "true", "KULTA_CDEVENTS_SINK_URL": "http://x/in/?a"},
                     "cdevents_sink", "http://x/in/?a", id="a sink's URL, as it is"),
        pytest.param({"KULTA_CDEVENTS_SINK_URL": "nonsense"}, "cdevents_sink", "",
                     id="[E12] a sink of CDEvents that are off"),
        pytest.param({"KULTA_CDEVENTS_ENABLED": "true"}, "cdevents_sink", "",
                     id="[E12] CDEvents that are on, without a sink"),
        pytest.param({"KULTA_OCCURRENCE_DIR": "/var/log/kulta"}, "occurrences",
                     Path("/var/log/kulta"), id="a folder of occurrences"),
        pytest.param({"TMPDIR": "/scratch"}, "occurrences", Path("/scratch/kulta"),
                     id="the folder for temporary files is elsewhere"),
        pytest.param({"KULTA_OCCURRENCE_DIR": "off"}, "occurrences", None, id="no occurrences"),
        pytest.param({"POD_NAMESPACE": "ops"}, "namespace", "ops", id="the pod's namespace"),
        pytest.param({"KULTA_NAMESPACE": "kulta"}, "namespace", "kulta", id="a given namespace"),
        pytest.param({"KULTA_NAMESPACE": "kulta", "POD_NAMESPACE": "ops"}, "namespace", "ops",
                     id="the pod knows better"),
        pytest.param({}, "namespace", "kulta-system", id="[L12] without POD_NAMESPACE"),
        pytest.param({"RUST_LOG": "debug"}, "log_level", logging.DEBUG, id="a level"),
        pytest.param({"RUST_LOG": "debug", "KULTA_LOG_LEVEL": "ERROR"}, "log_level",
                     logging.ERROR, id="our own variable wins"),
        pytest.param({"RUST_LOG": "kulta=warn,hyper=trace,info"}, "log_level", logging.WARNING,
                     id="the directive for us wins"),
        pytest.param({"RUST_LOG": "hyper=trace,error"}, "log_level", logging.ERROR,
                     id="directives for others are not ours"),
        pytest.param({"RUST_LOG": "hyper=trace"}, "log_level", logging.INFO,
                     id="only directives for others"),
        pytest.param({"POD_NAME": "engine-1", "HOSTNAME": "node"}, "identity", "engine-1",
                     id="[L11] the pod's name first"),
        pytest.param({"POD_NAME": "", "HOSTNAME": "node"}, "identity", "node",
                     id="[L11] then the host's"),
    ],
)  # fmt: skip
def test_what_a_variable_sets(variables: dict[str, str], field: str, value: object) -> None:
    assert getattr(settings.engine({**BARE, **variables}), field) == value


def test_without_names_the_identity_is_made_up() -> None:
    """[L11] `kulta-` and a UUID: 42 characters, another each time."""
    one, two = settings.engine({}).identity, settings.engine({}).identity
    assert re.fullmatch(r"kulta-[0-9a-f-]{36}", one)
    assert (len(one), one == two) == (42, False)


@pytest.mark.parametrize(
    ("variables", "alike"),
    [
        pytest.param({"POD_NAME": "hub-1"}, True, id="the next container of a pod goes on at once"),
        pytest.param({"HOSTNAME": "node"}, False, id="two processes of one host are two"),
        pytest.param({}, False, id="so are two without a name"),
    ],
)
def test_which_processes_are_one(variables: dict[str, str], alike: bool) -> None:
    one, two = settings.hub(variables), settings.hub(variables)
    assert (one.process == two.process) is alike


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / ".kube").mkdir()
    (tmp_path / ".kube" / "config").touch()
    return tmp_path


POD = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "6443"}


def test_where_the_own_api_server_is(home: Path) -> None:
    base = {"HOME": str(home)}
    own = home / ".kube" / "config"
    table = [
        (base, Connection(kubeconfig=own)),
        (POD | base, Connection(service=("10.0.0.1", 6443))),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, Connection(service=("10.0.0.1", 443))),
        ({"KUBECONFIG": "/a"} | base, Connection(kubeconfig=Path("/a"))),
        ({"KUBECONFIG": "/a"} | POD, Connection(kubeconfig=Path("/a"), service=("10.0.0.1", 6443))),
        (BARE, Connection()),
    ]
    assert [settings.connection(env) for env, _ in table] == [expected for _, expected in table]


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        pytest.param({"KULTA_LOG_LEVEL": "loud"},
                     "KULTA_LOG_LEVEL: 'loud' is no level;"
                     " write one of trace, debug, info, warn, warning, error, off",
                     id="a level that nobody knows"),
        pytest.param({"KULTA_PROMETHEUS_ADDRESS": "prom:9090"},
                     "KULTA_PROMETHEUS_ADDRESS: 'prom:9090' is no address; write http://host:port",
                     id="an address without a scheme"),
        pytest.param({"KULTA_CDEVENTS_ENABLED": "true", "KULTA_CDEVENTS_SINK_URL": "broker"},
                     "KULTA_CDEVENTS_SINK_URL: 'broker' is no address;"
                     " write http://host:port/path",
                     id="a sink without a scheme"),
        pytest.param({"KULTA_PROMETHEUS_ADDRESS": "ftp://me:abc@prom"},
                     "KULTA_PROMETHEUS_ADDRESS: 'ftp://…@prom' is no address;"
                     " write http://host:port",
                     id="an address with a password"),
        pytest.param(POD | {"KUBERNETES_SERVICE_PORT": "tcp://x"},
                     "KUBERNETES_SERVICE_PORT: 'tcp://x' is no port;"
                     " write a number up to 65535",
                     id="a port that is no number"),
        pytest.param({"KUBECONFIG": "/a:/b"},
                     "KUBECONFIG: several files are not merged; name one",
                     id="several kubeconfigs"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(variables: dict[str, str], sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        settings.engine({**BARE, **variables})
    assert (caught.value.reason, str(caught.value)) == ("InvalidSettings", sentence)


def test_the_environment_of_the_process_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KULTA_CLUSTER_NAME", "from-the-process")
    assert settings.engine().cluster == "from-the-process"


def test_files_beside_the_package_are_found() -> None:
    assert settings.files("templates").name == "templates"
    assert settings.files("templates").is_dir()
