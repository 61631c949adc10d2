"""How to reach and prove oneself to one API server: kubeconfig text → frozen `ClientConfig`.

`parse_kubeconfig` is for texts that others wrote (Secrets of members): nothing in it may run a
program, read a file or skip verification. `load_kubeconfig` is for the operator's own machine,
`in_cluster` for a pod. No credential ever appears in a repr or in an error. Linux only (memfd).
"""

import base64
import binascii
import copy
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

import yaml

from fleet.clusters import tls
from fleet.errors import UserError
from fleet.kit import documents

REASON = "KubeconfigRefused"
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
MOST_BYTES = 256 * 1024

_FLATTEN = "write its content (`kubectl config view --raw --flatten` does)"
_TOKEN = "write a token (`fleet cluster add` makes one)"
_NEVER_USER: Mapping[str, tuple[str, str]] = {
    "exec": ("running a program is not allowed", _TOKEN),
    "auth-provider": ("plug-ins are not allowed", _TOKEN),
    "username": ("passwords are not allowed", _TOKEN),
    "password": ("passwords are not allowed", _TOKEN),
    "as": ("acting as another user is not supported", "write a token of that user"),
    "as-uid": ("acting as another user is not supported", "write a token of that user"),
    "as-groups": ("acting as another user is not supported", "write a token of that user"),
    "as-user-extra": ("acting as another user is not supported", "write a token of that user"),
}
_USER_FILES = ("tokenFile", "client-certificate", "client-key")
_CLUSTER_FILES = ("certificate-authority",)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientConfig:
    """Equal values mean the same connection. PEM texts, never paths, but for `token_file`.

    `token_file` is for the process's own pod or machine; `bearer` re-reads it each minute. Raises
    ssl.SSLError or ValueError for PEM texts that do not load.
    """

    server: str
    ca: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    token_file: Path | None = None
    certificate: str | None = field(default=None, repr=False)
    key: str | None = field(default=None, repr=False)
    tls_server_name: str | None = None
    proxy_url: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext = field(init=False, repr=False, compare=False)
    """What they load into, once: each cluster has one of its own, and a thousand begin together."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "tls", tls.context(self.ca, self.certificate, self.key))

    def following(self, old: "ClientConfig") -> "ClientConfig":
        """This one, with what `old` has loaded where these are the same texts: the connections that
        `old` has opened are then used on."""
        if (self.ca, self.certificate, self.key) != (old.ca, old.certificate, old.key):
            return self
        result = copy.copy(self)
        object.__setattr__(result, "tls", old.tls)
        return result

    def is_same_server(self, other: "ClientConfig") -> bool:
        """Whether only the credentials differ, so that what was read stays true."""
        return (self.server, self.ca, self.tls_server_name, self.proxy_url) == (
            other.server,
            other.ca,
            other.tls_server_name,
            other.proxy_url,
        )


def parse_kubeconfig(text: str, *, context: str | None = None) -> ClientConfig:
    """The connection that an untrusted kubeconfig names.

    Raises UserError(KubeconfigRefused) with field, why and what to write instead.
    """
    return _read(text, context, folder=None)


def load_kubeconfig(path: Path, *, context: str | None = None) -> ClientConfig:
    """The connection that the operator's own kubeconfig names; file paths are read.

    Raises UserError(KubeconfigRefused), also when the file cannot be read.
    """
    return _read(_content("kubeconfig", path), context, folder=path.parent)


def in_cluster(host: str, port: int, *, folder: Path = SERVICE_ACCOUNT) -> ClientConfig:
    """The connection of a pod; the values of KUBERNETES_SERVICE_HOST and _PORT are arguments.

    Raises UserError(KubeconfigRefused) when the ServiceAccount is not mounted.
    """
    token = folder / "token"
    if not token.is_file():
        _refuse(str(token), "there is no ServiceAccount token", "set KUBECONFIG or run in a pod")
    address = f"[{host}]" if ":" in host else host
    ca = _content("ca.crt", folder / "ca.crt")
    return _made(server=f"https://{address}:{port}", ca=ca, token_file=token)


@dataclass(frozen=True, slots=True)
class _Block:
    """One named entry of a kubeconfig, with the path that error texts name."""

    where: str
    values: Mapping[str, Any]
    folder: Path | None

    def text(self, key: str) -> str | None:
        value = self.values.get(key)
        if value is None or value == "":
            return None
        if not isinstance(value, str):
            _refuse(f"{self.where}.{key}", "is not a text", "write a text in quotes")
        return value

    def required(self, key: str, example: str) -> str:
        value = self.text(key)
        if value is None:
            _refuse(f"{self.where}.{key}", "is missing", f"write {example}")
        return value

    def pem(self, key: str) -> str | None:
        """The PEM text of `<key>-data`, or of the file `key` where files are allowed."""
        encoded, path = self.text(f"{key}-data"), self.text(key)
        if encoded is None:
            if path is None or self.folder is None:
                return None
            return _content(f"{self.where}.{key}", self.folder / path)
        try:
            return base64.b64decode("".join(encoded.split()), validate=True).decode("ascii")
        except (binascii.Error, UnicodeDecodeError):
            _refuse(f"{self.where}.{key}-data", "is not base64 of PEM", f"or: {_FLATTEN}")


def _read(text: str, context: str | None, *, folder: Path | None) -> ClientConfig:
    document = _document(text)
    chosen = context or document.get("current-context")
    if not isinstance(chosen, str) or not chosen:
        _refuse("current-context", "is missing", "write the name of one of the contexts")
    scope = _entry(document, "contexts", chosen, folder)
    cluster = _entry(document, "clusters", scope.required("cluster", "a cluster's name"), folder)
    user = _entry(document, "users", scope.required("user", "a user's name"), folder)
    _refuse_cluster(cluster)
    _refuse_user(user)
    certificate, key = user.pem("client-certificate"), user.pem("client-key")
    if (certificate is None) != (key is None):
        lacking = "client-key-data" if key is None else "client-certificate-data"
        _refuse(f"{user.where}.{lacking}", "is missing", "certificate and key go together")
    token, token_file = _token(user)
    if token is None and token_file is None and certificate is None:
        _refuse(user.where, "has neither a token nor a client certificate", _TOKEN)
    return _made(
        server=_server(cluster),
        ca=cluster.pem("certificate-authority"),
        token=token,
        token_file=token_file,
        certificate=certificate,
        key=key,
        tls_server_name=cluster.text("tls-server-name"),
        proxy_url=_proxy(cluster),
    )


def _document(text: str) -> Mapping[str, Any]:
    if len(text.encode(errors="replace")) > MOST_BYTES:
        _refuse("", f"is larger than {MOST_BYTES // 1024} KiB", "keep only the one context")
    try:
        document = documents.one(text)
    except (yaml.YAMLError, RecursionError, ValueError):
        # The parser's own message quotes the text, which may hold a token.
        _refuse("", "is not YAML", "write the output of `kubectl config view --raw --flatten`")
    if not isinstance(document, dict):
        _refuse("", "is not a YAML mapping", "write apiVersion: v1, kind: Config, clusters: …")
    return document


def _entry(document: Mapping[str, Any], kind: str, name: str, folder: Path | None) -> _Block:
    """The block called `name` of `contexts`, `clusters` or `users`."""
    entries = document.get(kind)
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and entry.get("name") == name:
            block = entry.get(kind[:-1])
            break
    else:
        _refuse(kind, f"has no entry named {name!r}", "add it or name another one")
    return _Block(f"{kind}[{name}]", block if isinstance(block, dict) else {}, folder)


def _refuse_user(user: _Block) -> None:
    for key, (why, instead) in _NEVER_USER.items():
        if user.values.get(key):
            _refuse(f"{user.where}.{key}", why, instead)
    if user.folder is None:
        _refuse_files(user, _USER_FILES)


def _refuse_cluster(cluster: _Block) -> None:
    if cluster.values.get("insecure-skip-tls-verify"):
        _refuse(
            f"{cluster.where}.insecure-skip-tls-verify",
            "the certificate must be verified",
            "write certificate-authority-data instead",
        )
    if cluster.folder is None:
        _refuse_files(cluster, _CLUSTER_FILES)


def _refuse_files(block: _Block, keys: tuple[str, ...]) -> None:
    for key in keys:
        if block.values.get(key):
            _refuse(f"{block.where}.{key}", "a file path means nothing on the hub", _FLATTEN)


def _token(user: _Block) -> tuple[str | None, Path | None]:
    token, path = user.text("token"), user.text("tokenFile")
    if token is not None:
        token = token.strip()
        if not token.isascii() or not token.isprintable() or " " in token:
            _refuse(f"{user.where}.token", "has characters that no token has", _TOKEN)
        return token, None
    return None, (user.folder / path) if path and user.folder else None


def _server(cluster: _Block) -> str:
    where, example = f"{cluster.where}.server", "https://host:port"
    server = cluster.required("server", example)
    parts = _split(server, where, example)
    if parts.scheme != "https":
        _refuse(where, "is not https", f"write {example}")
    if parts.username or parts.password or parts.query or parts.fragment:
        _refuse(where, "holds more than an address", f"write {example}")
    return server.rstrip("/")


def _proxy(cluster: _Block) -> str | None:
    proxy, where = cluster.text("proxy-url"), f"{cluster.where}.proxy-url"
    if proxy is None:
        return None
    if _split(proxy, where, "http://host:port").scheme not in ("http", "https"):
        _refuse(where, "only HTTP proxies are supported", "write http://host:port")
    return proxy


def _split(url: str, where: str, example: str) -> Any:
    try:
        parts = urlsplit(url)
        valid = bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        valid = False
    if not valid or any(mark.isspace() for mark in url):
        _refuse(where, "is not an address", f"write {example}")
    return parts


def _content(where: str, path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "not a text file"
        raise UserError(REASON, f"{where}: {path} cannot be read: {why}") from None


def _made(*, ca: str | None, **values: Any) -> ClientConfig:
    """The connection. Refuses the PEM text that does not load."""
    try:
        return ClientConfig(ca=ca, **values)
    except (ssl.SSLError, ValueError):
        pair = "client-certificate-data and client-key-data"
        where = pair if _loads(ca) else "certificate-authority-data"
        _refuse(where, "does not load as PEM", "write the base64 of a PEM text")


def _loads(ca: str | None) -> bool:
    try:
        tls.context(ca, None, None)
    except (ssl.SSLError, ValueError):
        return False
    return True


def _refuse(where: str, why: str, instead: str) -> NoReturn:
    place = f"kubeconfig {where}" if where else "kubeconfig"
    raise UserError(REASON, f"{place}: {why}; {instead}")
