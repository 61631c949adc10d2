"""What a server's refusal, and a kubeconfig that is none, mean to a person."""

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from kubernetes import client

from fleet import errors
from fleet.api import names
from fleet.cli import access
from fleet.cli.access import Access

MISSING = b"404 page not found\n"
NAMED = b'{"message": "rollouts.kulta.io \\"shop\\" not found"}'


def refusal(role: str, status: int, body: bytes) -> errors.FleetError:
    with client.ApiClient(client.Configuration(host="https://hub.example.com")) as api:
        return Access(api, role)._refusal(status, body)


def test_a_cluster_that_does_not_know_our_kinds_is_no_hub() -> None:
    found = refusal("hub", 404, MISSING)
    assert isinstance(found, errors.UserError)
    assert str(found) == (
        "https://hub.example.com is no hub: kubectl apply -f crds/ -f deploy/hub/ there"
    )


@pytest.mark.parametrize(
    ("role", "body"),
    [
        pytest.param("hub", NAMED, id="an object is missing in a hub"),
        pytest.param("member", MISSING, id="a kind is missing in a member"),
    ],
)
def test_what_else_is_missing_may_be_looked_for(role: str, body: bytes) -> None:
    assert isinstance(refusal(role, 404, body), errors.NotFound)


def test_a_refusal_holds_no_credentials() -> None:
    found = refusal("hub", 422, b'{"message": "spec.token: Invalid value: \\"abc\\": too short"}')
    assert "spec.token: Invalid value: …: too short" in str(found)


@pytest.mark.parametrize(
    ("name", "namespace", "words"),
    [
        pytest.param("..", "shop", ".. cannot be a name", id="the folder above"),
        pytest.param(".", "shop", ". cannot be a name", id="this folder"),
        pytest.param("..", None, ".. cannot be a name", id="without a namespace"),
        pytest.param("a?watch=1", "shop", "a?watch=1 cannot be a name", id="a question"),
        pytest.param("a%2fb", "shop", "a%2fb cannot be a name", id="a slash in disguise"),
        pytest.param("checkout", "..", ".. cannot be a name", id="a namespace"),
        pytest.param("", "shop", "the name of the Application is empty: write one", id="nothing"),
    ],
)
def test_what_leads_elsewhere_is_no_name(name: str, namespace: str | None, words: str) -> None:
    """Nobody is asked."""
    settings = client.Configuration(host="https://hub.example.com")
    with client.ApiClient(settings) as api, pytest.raises(errors.UserError) as caught:
        Access(api, "hub").find(names.APPLICATIONS, name, namespace)
    assert str(caught.value).startswith(words)
    assert caught.value.reason == "Usage"


def kubeconfig(**cluster: str) -> bytes:
    body = {
        "clusters": [{"name": "a", "cluster": {"server": "https://a.example.com", **cluster}}],
        "users": [{"name": "a", "user": {}}],
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
        "current-context": "a",
    }
    return yaml.safe_dump(body).encode()


@pytest.mark.parametrize(
    ("context", "namespace"),
    [
        pytest.param("", "shop", id="the current one"),
        pytest.param("b", "default", id="one that has none"),
        pytest.param("c", "search", id="another"),
    ],
)
def test_the_namespace_is_that_of_the_context(context: str, namespace: str, tmp_path: Path) -> None:
    body = yaml.safe_load(kubeconfig(server="https://hub.example.com"))
    places = {"a": {"namespace": "shop"}, "b": {}, "c": {"namespace": "search"}}
    whose = {"cluster": "a", "user": "a"}
    body["contexts"] = [{"name": name, "context": whose | own} for name, own in places.items()]
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump(body))
    with access.connect(file, context, role="hub") as hub:
        assert hub.namespace == namespace


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"\x7fELF\xff\x00", id="a program"),
        pytest.param(b"a: [", id="half a list"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"[a, b]", id="a list"),
        pytest.param(kubeconfig(**{"certificate-authority-data": "REPLACE"}), id="a placeholder"),
    ],
)
def test_what_is_no_kubeconfig_is_named(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "kubeconfig"
    file.write_bytes(content)
    with pytest.raises(errors.UserError) as caught:
        access.connect(file, role="hub")
    assert caught.value.reason == "Usage"
    assert str(caught.value).startswith(f"{file}: ")


def test_a_kubeconfig_that_is_not_there_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(errors.UserError) as caught:
        access.connect(tmp_path / "no", role="hub")
    said = "no kubeconfig there: set KUBECONFIG, or name the hub's file (--help)"
    assert str(caught.value) == f"{tmp_path / 'no'}: {said}"


Answer = tuple[int, bytes]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Access, list[Answer]]]:
    """A way to a server, and what it answers, one after the other; the last one stays."""
    answers: list[Answer] = []

    class Server(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answers.pop(0) if len(answers) > 1 else answers[0]
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing is told."""

    file = tmp_path / "kubeconfig"
    with http.server.HTTPServer(("127.0.0.1", 0), Server) as http_server:
        threading.Thread(target=http_server.serve_forever, args=(0.01,), daemon=True).start()
        file.write_bytes(kubeconfig(server=f"http://127.0.0.1:{http_server.server_port}"))
        with access.connect(file, role="hub") as hub:
            yield hub, answers
        http_server.shutdown()


def test_a_portal_is_no_server(server: tuple[Access, list[Answer]]) -> None:
    hub, answers = server
    answers.append((200, b"<html>log in</html>"))
    with pytest.raises(errors.Unreachable) as caught:
        hub.request("GET", "/version")
    said = f"the hub {hub.server} answers with something else than JSON: is this its address?"
    assert str(caught.value) == said


def test_who_is_told_to_come_later_does_so(
    server: tuple[Access, list[Answer]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for a kind that is new: `storage is (re)initializing`; not for ever."""
    monkeypatch.setattr(access, "PAUSE_SECONDS", 0.0)
    hub, answers = server
    later = (429, b'{"message": "storage is (re)initializing"}')
    answers += [later, later, (200, b'{"items": []}')]
    assert hub.request("GET", "/api") == {"items": []}
    answers[:] = [later]
    with pytest.raises(errors.Throttled, match="initializing"):
        hub.request("GET", "/api")
