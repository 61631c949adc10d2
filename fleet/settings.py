"""What the environment says, read once into one frozen value per role.

The only reader of `os.environ`; flags override later (`dataclasses.replace`). Called by `cli` and
`wiring`. Values that make no sense are refused with a sentence, never guessed.
"""

import logging
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fleet import __version__
from fleet.api.names import ENGINE_NAMESPACE
from fleet.errors import UserError

Environment = Mapping[str, str]

REASON = "InvalidSettings"
PROMETHEUS = "http://localhost:9090"
ENGINE_IMAGE = f"kulta-fleet:{__version__}"

_LEVELS: Mapping[str, int] = {
    "trace": logging.DEBUG,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "off": logging.CRITICAL,
}


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
    cluster: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSettings(Settings):
    """The hub's; it elects unless told not to. What managed members get as their engine is
    `engine_image`, with `engine_environment` added to its own."""

    leader_election: bool = True
    engine_image: str = ENGINE_IMAGE
    engine_environment: Environment = field(default_factory=dict)


def engine(environment: Environment | None = None) -> EngineSettings:
    """The engine's settings. Raises UserError(InvalidSettings) naming variable and correction."""
    env = _chosen(environment)
    return EngineSettings(
        identity=_identity(env),
        process=_process(env),
        connection=_connection(env),
        namespace=_namespace(env),
        log_level=_level(env),
        leader_election=_switch(env, "KULTA_LEADER_ELECTION", default=False),
        prometheus=_address(env, "KULTA_PROMETHEUS_ADDRESS", PROMETHEUS),
        allow_loopback=_switch(env, "KULTA_ALLOW_LOOPBACK", default=False),
        cluster=env.get("KULTA_CLUSTER_NAME") or None,
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
    )


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


def _address(env: Environment, name: str, default: str) -> str:
    value = env.get(name) or default
    if not value.startswith(("http://", "https://")):
        raise UserError(REASON, f"{name}: {value!r} is no address; write http://host:port")
    return value.rstrip("/")


def _pairs(env: Environment, name: str) -> dict[str, str]:
    """`A=1,B=2` as a dictionary."""
    result: dict[str, str] = {}
    for part in filter(None, env.get(name, "").split(",")):
        key, mark, value = part.partition("=")
        if not mark or not key.strip():
            raise UserError(REASON, f"{name}: {part!r} is no pair; write NAME=value,NAME=value")
        result[key.strip()] = value.strip()
    return result


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65_536:
        raise UserError(
            REASON, f"KUBERNETES_SERVICE_PORT: {text!r} is no port; write a number up to 65535"
        )
    return int(text)


def _words(table: Mapping[str, int]) -> str:
    return ", ".join(table)
