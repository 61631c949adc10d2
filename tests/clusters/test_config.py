"""Kubeconfigs: what is accepted, what is refused with which words, and that no secret shows."""

import base64
import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet.clusters.config import ClientConfig, in_cluster, load_kubeconfig, parse_kubeconfig
from fleet.errors import UserError
from tests.clusters.server import TOKEN, pem


def encoded(name: str) -> str:
    return base64.b64encode(pem(name).encode()).decode()


GOOD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "eu",
    "contexts": [{"name": "eu", "context": {"cluster": "c", "user": "u"}}],
    "clusters": [
        {
            "name": "c",
            "cluster": {
                "server": "https://eu.example:6443/",
                "certificate-authority-data": encoded("ca.crt"),
            },
        }
    ],
    "users": [{"name": "u", "user": {"token": TOKEN}}],
}
PAIR = {
    "client-certificate-data": encoded("client.crt"),
    "client-key-data": encoded("client.key"),
}


def made(
    *, user: dict[str, Any] | None = None, cluster: dict[str, Any] | None = None, **top: Any
) -> str:
    """GOOD with parts replaced; None removes a key."""
    document = copy.deepcopy(GOOD)
    block = document["clusters"][0]["cluster"]
    block.update(cluster or {})
    document["clusters"][0]["cluster"] = {k: v for k, v in block.items() if v is not None}
    if user is not None:
        document["users"][0]["user"] = user
    document |= top
    return yaml.safe_dump({k: v for k, v in document.items() if v is not None})


def test_a_good_one_is_read() -> None:
    expected = ClientConfig(server="https://eu.example:6443", ca=pem("ca.crt"), token=TOKEN)
    assert parse_kubeconfig(made()) == expected


def test_each_cluster_has_a_context_of_its_own() -> None:
    """Connections are kept by it: those of two clusters, or tenants, are never the same."""
    here, there = parse_kubeconfig(made()), parse_kubeconfig(made())
    assert (here == there, here.tls is there.tls) == (True, False)


@pytest.mark.parametrize(
    ("changed", "goes_on"),
    [
        pytest.param({}, True, id="nothing"),
        pytest.param({"token": "the next"}, True, id="the token: open connections are used on"),
        pytest.param({"ca": pem("other.crt")}, False, id="the CA: nobody is trusted by the old"),
        pytest.param(
            {"certificate": pem("client.crt"), "key": pem("client.key")},
            False,
            id="the certificate: nobody is seen as who came before",
        ),
    ],
)
def test_who_follows_goes_on_with_what_is_loaded_of_the_same_texts(
    changed: dict[str, str], goes_on: bool
) -> None:
    old = parse_kubeconfig(made())
    new = replace(old, **changed)
    following = new.following(old)
    assert following == new
    assert (following.tls is old.tls, new.tls is old.tls) == (goes_on, False)


def test_a_client_certificate_is_read() -> None:
    read = parse_kubeconfig(made(user=PAIR))
    assert (read.certificate, read.key) == (pem("client.crt"), pem("client.key"))


def test_another_context_can_be_named() -> None:
    more = [*GOOD["contexts"], {"name": "us", "context": {"cluster": "c", "user": "u"}}]
    text = made(contexts=more, **{"current-context": None})
    assert parse_kubeconfig(text, context="us").token == TOKEN


SECRET_TEXT = "hunter2-do-not-show"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        pytest.param(
            made(user={"exec": {"command": "sh"}}),
            "kubeconfig users[u].exec: running a program is not allowed;"
            " write a token (`fleet cluster add` makes one)",
            id="a program",
        ),
        pytest.param(
            made(user={"auth-provider": {"name": "gcp"}}),
            "kubeconfig users[u].auth-provider: plug-ins are not allowed;"
            " write a token (`fleet cluster add` makes one)",
            id="a plug-in",
        ),
        pytest.param(
            made(user={"username": "admin", "password": SECRET_TEXT}),
            "kubeconfig users[u].username: passwords are not allowed;"
            " write a token (`fleet cluster add` makes one)",
            id="a password",
        ),
        pytest.param(
            made(user={"token": TOKEN, "as": "root"}),
            "kubeconfig users[u].as: acting as another user is not supported;"
            " write a token of that user",
            id="impersonation is not dropped silently",
        ),
        pytest.param(
            made(user={"tokenFile": "/var/run/token"}),
            "kubeconfig users[u].tokenFile: a file path means nothing on the hub;"
            " write its content (`kubectl config view --raw --flatten` does)",
            id="a token in a file",
        ),
        pytest.param(
            made(user={"client-certificate": "/a.crt", "client-key": "/a.key"}),
            "kubeconfig users[u].client-certificate: a file path means nothing on the hub;"
            " write its content (`kubectl config view --raw --flatten` does)",
            id="a certificate in a file",
        ),
        pytest.param(
            made(cluster={"certificate-authority": "/ca.crt"}),
            "kubeconfig clusters[c].certificate-authority: a file path means nothing on the hub;"
            " write its content (`kubectl config view --raw --flatten` does)",
            id="a CA in a file",
        ),
        pytest.param(
            made(cluster={"server": "http://eu.example:8080"}),
            "kubeconfig clusters[c].server: is not https; write https://host:port",
            id="plain http",
        ),
        pytest.param(
            made(cluster={"server": f"https://admin:{SECRET_TEXT}@eu.example"}),
            "kubeconfig clusters[c].server: holds more than an address; write https://host:port",
            id="credentials in the address",
        ),
        pytest.param(
            made(cluster={"server": "https://eu.example:port"}),
            "kubeconfig clusters[c].server: is not an address; write https://host:port",
            id="a port that is no number",
        ),
        pytest.param(
            made(cluster={"server": None}),
            "kubeconfig clusters[c].server: is missing; write https://host:port",
            id="no address",
        ),
        pytest.param(
            made(cluster={"insecure-skip-tls-verify": True}),
            "kubeconfig clusters[c].insecure-skip-tls-verify: the certificate must be verified;"
            " write certificate-authority-data instead",
            id="no verification",
        ),
        pytest.param(
            made(cluster={"proxy-url": f"socks5://u:{SECRET_TEXT}@proxy:1080"}),
            "kubeconfig clusters[c].proxy-url: only HTTP proxies are supported;"
            " write http://host:port",
            id="a SOCKS proxy",
        ),
        pytest.param(
            made(cluster={"certificate-authority-data": "%%%"}),
            "kubeconfig clusters[c].certificate-authority-data: is not base64 of PEM;"
            " or: write its content (`kubectl config view --raw --flatten` does)",
            id="a CA that is no base64",
        ),
        pytest.param(
            made(cluster={"certificate-authority-data": base64.b64encode(b"no PEM").decode()}),
            "kubeconfig certificate-authority-data: does not load as PEM;"
            " write the base64 of a PEM text",
            id="a CA that is no PEM",
        ),
        pytest.param(
            made(user=PAIR | {"client-key-data": base64.b64encode(b"no PEM").decode()}),
            "kubeconfig client-certificate-data and client-key-data: does not load as PEM;"
            " write the base64 of a PEM text",
            id="a key that is no PEM",
        ),
        pytest.param(
            made(user={"client-certificate-data": encoded("client.crt")}),
            "kubeconfig users[u].client-key-data: is missing; certificate and key go together",
            id="a certificate without a key",
        ),
        pytest.param(
            made(user={"token": f"{SECRET_TEXT}\r\nX-Other: 1"}),
            "kubeconfig users[u].token: has characters that no token has;"
            " write a token (`fleet cluster add` makes one)",
            id="a token that would be a second header",
        ),
        pytest.param(
            made(user={}),
            "kubeconfig users[u]: has neither a token nor a client certificate;"
            " write a token (`fleet cluster add` makes one)",
            id="no credentials",
        ),
        pytest.param(
            made(**{"current-context": None}),
            "kubeconfig current-context: is missing; write the name of one of the contexts",
            id="no context",
        ),
        pytest.param(
            made(**{"current-context": "us"}),
            "kubeconfig contexts: has no entry named 'us'; add it or name another one",
            id="a context that is not there",
        ),
        pytest.param(
            made(clusters=[]),
            "kubeconfig clusters: has no entry named 'c'; add it or name another one",
            id="a cluster that is not there",
        ),
        pytest.param(
            made(users="nobody"),
            "kubeconfig users: has no entry named 'u'; add it or name another one",
            id="users that are no list",
        ),
        pytest.param(
            f"token: {SECRET_TEXT}\n\t: [",
            "kubeconfig: is not YAML; write the output of `kubectl config view --raw --flatten`",
            id="not YAML",
        ),
        pytest.param(
            "[" * 20_000,
            "kubeconfig: is not YAML; write the output of `kubectl config view --raw --flatten`",
            id="YAML that is too deep",
        ),
        pytest.param(
            SECRET_TEXT,
            "kubeconfig: is not a YAML mapping; write apiVersion: v1, kind: Config, clusters: …",
            id="a bare text",
        ),
        pytest.param(
            "a" * 300_000,
            "kubeconfig: is larger than 256 KiB; keep only the one context",
            id="too large",
        ),
    ],
)
def test_what_is_refused_says_where_why_and_what_instead(text: str, sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_kubeconfig(text)
    assert (caught.value.reason, str(caught.value)) == ("KubeconfigRefused", sentence)


def test_no_credential_is_shown() -> None:
    shown = repr(parse_kubeconfig(made(user={"token": TOKEN} | PAIR)))
    assert shown == "ClientConfig(server='https://eu.example:6443', token_file=None," + (
        " tls_server_name=None)"
    )


def test_on_the_operators_machine_files_are_read(tmp_path: Path) -> None:
    for name in ("ca.crt", "client.crt", "client.key"):
        (tmp_path / name).write_text(pem(name))
    user = {"client-certificate": "client.crt", "client-key": str(tmp_path / "client.key")}
    authority = {"certificate-authority-data": None, "certificate-authority": "ca.crt"}
    (tmp_path / "config").write_text(made(user=user, cluster=authority))
    read = load_kubeconfig(tmp_path / "config")
    assert (read.ca, read.key) == (pem("ca.crt"), pem("client.key"))


def test_on_the_operators_machine_a_program_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config").write_text(made(user={"exec": {"command": "aws"}}))
    with pytest.raises(UserError, match="write a token"):
        load_kubeconfig(tmp_path / "config")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read: No such file or directory"):
        load_kubeconfig(tmp_path / "config")


def test_a_pod_uses_its_service_account(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "ca.crt").write_text(pem("ca.crt"))
    read = in_cluster("fd00::1", 443, folder=tmp_path)
    expected = ("https://[fd00::1]:443", tmp_path / "token", None)
    assert (read.server, read.token_file, read.token) == expected


def test_outside_a_pod_there_is_no_service_account(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="set KUBECONFIG or run in a pod"):
        in_cluster("10.0.0.1", 443, folder=tmp_path)


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        pytest.param({"token": "another"}, True, id="a new token"),
        pytest.param(
            {"certificate": pem("client.crt"), "key": pem("client.key")},
            True,
            id="a new certificate",
        ),
        pytest.param({"server": "https://b"}, False, id="another address"),
        pytest.param({"ca": pem("other.crt")}, False, id="another CA"),
    ],
)
def test_credentials_rotate_on_the_same_server(changes: dict[str, str], same: bool) -> None:
    old = ClientConfig(server="https://a", token=TOKEN)
    new = ClientConfig(**{"server": "https://a", "token": TOKEN, **changes})
    assert old.is_same_server(new) is same
