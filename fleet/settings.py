"""What the environment says, read once into one frozen value per role.

The only reader of `os.environ`; flags override later (`dataclasses.replace`). Called by `cli` and
`wiring`. Values that make no sense are refused with a sentence, never guessed.
"""

import logging
import os
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fleet import __version__
from fleet.api.names import ENGINE_NAMESPACE
from fleet.errors import UserError
from fleet.kit.redaction import redact

Environment = Mapping[str, str]

REASON = "InvalidSettings"
PROMETHEUS = "http://localhost:9090"
ENGINE_IMAGE = f"kulta-fleet:{__version__}"
OCCURRENCES = "kulta"
"""The folder of occurrences in the one for temporary files."""
OFF = "off"
"""The folder of occurrences of who wants none."""

_LEVELS: Mapping[str, int] = {
    "trace": logging.DEBUG,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "off": logging.CRITICAL,
}


@dataclass(frozen=True, slots=True)
class Variable:
    """One row of the README's table: names (the first one wins), default, who reads it."""

    names: tuple[str, ...]
    default: str
    role: str
    meaning: str


VARIABLES = (
    Variable(
        ("KUBECONFIG",),
        "the pod's account, else `~/.kube/config`",
        "both",
        "the controller's own cluster",
    ),
    Variable(
        ("KULTA_LOG_LEVEL", "RUST_LOG"), "`info`", "both", "`debug`, `info`, `warning`, `error`"
    ),
    Variable(
        ("KULTA_LEADER_ELECTION",),
        "hub `true`, engine `false`",
        "both",
        "hold a Lease; managed engines always do",
    ),
    Variable(("POD_NAME", "HOSTNAME"), "made up", "both", "holder of the Lease"),
    Variable(
        ("POD_NAMESPACE", "KULTA_NAMESPACE"),
        f"`{ENGINE_NAMESPACE}`",
        "both",
        "namespace of the Lease",
    ),
    Variable(
        ("KULTA_PROMETHEUS_ADDRESS",), f"`{PROMETHEUS}`", "engine", "for Rollouts that name none"
    ),
    Variable(("KULTA_CDEVENTS_ENABLED",), "`false`", "engine", "`true`: send CDEvents to the sink"),
    Variable(
        ("KULTA_CDEVENTS_SINK_URL",),
        "–",
        "engine",
        "where they go by HTTP POST; also `--cdevents-sink`, which turns them on",
    ),
    Variable(
        ("KULTA_OCCURRENCE_DIR",),
        f"`/tmp/{OCCURRENCES}`",
        "engine",
        f"folder of the FALSE occurrences, or `{OFF}`; also `--occurrence-dir`",
    ),
    Variable(
        ("KULTA_CLUSTER_NAME",), "–", "engine", "name of the cluster, which occurrences carry"
    ),
    Variable(
        ("KULTA_ONLY_NAMESPACE",),
        "all",
        "engine",
        "the one namespace whose Rollouts it carries out, with a Role there; also `--namespace`",
    ),
    Variable(
        ("KULTA_MAX_ACTIVE",),
        "`0`: no limit",
        "engine",
        "so many rollouts may be active at once; the others wait (`Queued`) before they begin",
    ),
    Variable(
        ("KULTA_ALLOW_LOOPBACK",),
        "`false`",
        "both",
        "let analyses, advisors, sinks and wave hooks be on its own machine (tests, the demo)",
    ),
    Variable(
        ("KULTA_HOOK_HOSTS",),
        "–",
        "hub",
        "hosts that wave hooks may name: `gate.example.com,*.corp.example`; others are not asked",
    ),
    Variable(("KULTA_ENGINE_IMAGE",), "`kulta-fleet:<version>`", "hub", "image of managed engines"),
    Variable(
        ("KULTA_ENGINE_ENV",),
        "–",
        "hub",
        "more variables for managed engines: `NAME=value,NAME=value`",
    ),
)
"""Everything that the two controllers read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """Where the own API server is: a kubeconfig, else the address that a pod is given, else ~."""

    kubeconfig: Path | None = None
    service: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What both roles have. `namespace` is where the process's Lease lives."""

    identity: str
    process: str = ""
    """Tells processes apart whose identity is only their host's; empty for a pod, whose name is
    its own and whose next container may go on at once."""
    connection: Connection
    namespace: str = ENGINE_NAMESPACE
    log_level: int = logging.INFO
    leader_election: bool = False
    listen_host: str = "0.0.0.0"  # probes come from outside the pod
    listen_port: int = 8080


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings(Settings):
    """The engine's; `prometheus` is the address for Rollouts that name none.

    `allow_loopback` lets Rollouts name metrics sources on this machine: for the demo and tests.
    """

    prometheus: str = PROMETHEUS
    allow_loopback: bool = False
    only: str | None = None
    """The one namespace whose Rollouts it carries out; None: all."""
    max_active: int = 0
    """So many rollouts may be active at once; 0 is no limit."""
    cluster: str | None = None
    cdevents: bool = False
    """Whether CDEvents are sent, to `cdevents_sink`; without one nobody gets them."""
    cdevents_sink: str = ""
    occurrences: Path | None = Path("/tmp", OCCURRENCES)
    """The folder of the file of FALSE occurrences; None: they are not written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSettings(Settings):
    """The hub's; it elects unless told not to. What managed members get as their engine is
    `engine_image`, with `engine_environment` added to its own."""

    leader_election: bool = True
    engine_image: str = ENGINE_IMAGE
    engine_environment: Environment = field(default_factory=dict)
    hook_hosts: tuple[str, ...] = ()
    """Hosts that wave hooks may name; `*.corp.example` for all below."""
    allow_loopback: bool = False
    """Whether a wave hook may be on this machine: for the demo and tests."""


def engine(environment: Environment | None = None) -> EngineSettings:
    """The engine's settings. Raises UserError(InvalidSettings) naming variable and correction."""
    env = _chosen(environment)
    cdevents = env.get("KULTA_CDEVENTS_ENABLED") == "true"
    return EngineSettings(
        identity=_identity(env),
        process=_process(env),
        connection=_connection(env),
        namespace=_namespace(env),
        log_level=_level(env),
        leader_election=_switch(env, "KULTA_LEADER_ELECTION", default=False),
        prometheus=_address(env, "KULTA_PROMETHEUS_ADDRESS", PROMETHEUS),
        allow_loopback=_switch(env, "KULTA_ALLOW_LOOPBACK", default=False),
        only=env.get("KULTA_ONLY_NAMESPACE") or None,
        max_active=_number(env, "KULTA_MAX_ACTIVE"),
        cluster=env.get("KULTA_CLUSTER_NAME") or None,
        cdevents=cdevents,
        cdevents_sink=_sink(env) if cdevents else "",
        occurrences=_occurrences(env),
    )


def hub(environment: Environment | None = None) -> HubSettings:
    """The hub's settings. Raises UserError(InvalidSettings) naming variable and correction."""
    env = _chosen(environment)
    return HubSettings(
        identity=_identity(env),
        process=_process(env),
        connection=_connection(env),
        namespace=_namespace(env),
        log_level=_level(env),
        leader_election=_switch(env, "KULTA_LEADER_ELECTION", default=True),
        engine_image=env.get("KULTA_ENGINE_IMAGE") or ENGINE_IMAGE,
        engine_environment=_pairs(env, "KULTA_ENGINE_ENV"),
        hook_hosts=_hosts(env, "KULTA_HOOK_HOSTS"),
        allow_loopback=_switch(env, "KULTA_ALLOW_LOOPBACK", default=False),
    )


def sink(url: str, name: str) -> str:
    """The address of an event sink, which `name` gave; empty is none. Raises UserError."""
    if url and not url.startswith(("http://", "https://")):
        raise UserError(
            REASON, f"{name}: {redact(url)!r} is no address; write http://host:port/path"
        )
    return url


def folder(text: str) -> Path | None:
    """A folder, or None where it is `off`."""
    return None if text == OFF else Path(text)


def connection(environment: Environment | None = None) -> Connection:
    """The own API server, for commands that need nothing else."""
    return _connection(_chosen(environment))


def files(name: str) -> Path:
    """The folder `templates`, `crds` or `clusters`: in the wheel, else beside the package."""
    package = Path(__file__).parent
    shipped = package / "_files" / name
    return shipped if shipped.is_dir() else package.parent / name


def _chosen(environment: Environment | None) -> Environment:
    return os.environ if environment is None else environment


def _identity(env: Environment) -> str:
    return env.get("POD_NAME") or env.get("HOSTNAME") or f"kulta-{uuid.uuid4()}"


def _process(env: Environment) -> str:
    """Two hubs on one host share its name, and must not take each other's Lease for their own."""
    return "" if env.get("POD_NAME") else str(uuid.uuid4())


def _namespace(env: Environment) -> str:
    """POD_NAMESPACE is what the pod knows; KULTA_NAMESPACE is what its manifest says."""
    return env.get("POD_NAMESPACE") or env.get("KULTA_NAMESPACE") or ENGINE_NAMESPACE


def _connection(env: Environment) -> Connection:
    host, port = env.get("KUBERNETES_SERVICE_HOST"), env.get("KUBERNETES_SERVICE_PORT")
    service = (host, _port(port or "443")) if host else None
    given = [part for part in env.get("KUBECONFIG", "").split(os.pathsep) if part]
    if len(given) > 1:
        raise UserError(REASON, "KUBECONFIG: several files are not merged; name one")
    if given:
        return Connection(kubeconfig=Path(given[0]), service=service)
    home = Path(env.get("HOME", "/")) / ".kube" / "config"
    if service is None and home.is_file():
        return Connection(kubeconfig=home)
    return Connection(service=service)


def _level(env: Environment) -> int:
    """KULTA_LOG_LEVEL, else RUST_LOG: `info`, or `kulta=debug,info` (ours, else the bare one)."""
    name = "KULTA_LOG_LEVEL" if env.get("KULTA_LOG_LEVEL") else "RUST_LOG"
    levels = {
        target.strip() if level else "": (level or target).strip().lower()
        for target, _, level in (part.partition("=") for part in env.get(name, "").split(","))
    }
    ours = [level for target, level in levels.items() if target.startswith(("kulta", "fleet"))]
    chosen = ours[0] if ours else levels.get("") or "info"
    if chosen not in _LEVELS:
        raise UserError(REASON, f"{name}: {chosen!r} is no level; write one of {_words(_LEVELS)}")
    return _LEVELS[chosen]


def _switch(env: Environment, name: str, *, default: bool) -> bool:
    """`true` and `1` are on; anything else that is set is off, as in the KULTA reference."""
    value = env.get(name)
    return default if not value else value in ("true", "1")


def _number(env: Environment, name: str) -> int:
    """A whole number from 0; 0 where nothing is set."""
    text = env.get(name) or "0"
    if not text.isdecimal() or len(text) > 6:
        raise UserError(REASON, f"{name}: {text!r} is no number; write 0 to 999999")
    return int(text)


def _address(env: Environment, name: str, default: str) -> str:
    value = env.get(name) or default
    if not value.startswith(("http://", "https://")):
        raise UserError(REASON, f"{name}: {redact(value)!r} is no address; write http://host:port")
    return value.rstrip("/")


def _sink(env: Environment) -> str:
    name = "KULTA_CDEVENTS_SINK_URL"
    return sink(env.get(name) or "", name)


def _occurrences(env: Environment) -> Path | None:
    """/tmp/kulta, as in the KULTA reference, or what TMPDIR makes of it."""
    text = env.get("KULTA_OCCURRENCE_DIR")
    return folder(text) if text else Path(env.get("TMPDIR") or "/tmp", OCCURRENCES)


def _pairs(env: Environment, name: str) -> dict[str, str]:
    """`A=1,B=2` as a dictionary."""
    result: dict[str, str] = {}
    for part in filter(None, env.get(name, "").split(",")):
        key, mark, value = part.partition("=")
        if not mark or not key.strip():
            raise UserError(REASON, f"{name}: {part!r} is no pair; write NAME=value,NAME=value")
        result[key.strip()] = value.strip()
    return result


def _hosts(env: Environment, name: str) -> tuple[str, ...]:
    """`a.example,*.b.example` as lower-case host names."""
    hosts = tuple(part.strip().lower() for part in env.get(name, "").split(",") if part.strip())
    for host in hosts:
        if not re.fullmatch(r"(\*\.)?[a-z0-9]([-a-z0-9.]*[a-z0-9])?", host):
            raise UserError(
                REASON, f"{name}: {host!r} is no host; write gate.example.com or *.example.com"
            )
    return hosts


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65_536:
        raise UserError(
            REASON, f"KUBERNETES_SERVICE_PORT: {text!r} is no port; write a number up to 65535"
        )
    return int(text)


def _words(table: Mapping[str, int]) -> str:
    return ", ".join(table)
