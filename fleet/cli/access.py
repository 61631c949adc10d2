"""An operator's own way to an API server: their kubeconfig, with everything it may contain.

Used by commands only. `kubernetes` reads the kubeconfig, exec plug-ins included, because it is the
operator's own machine; a kubeconfig from a Secret is parsed by `clusters.config` before it comes
here. Errors are ours, with a sentence that names the server, and hold no credentials.
"""

import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from kubernetes import client as kubernetes_client
from kubernetes import config as kubernetes_config
from kubernetes.client.exceptions import ApiException
from urllib3 import exceptions as transport

from fleet import errors
from fleet.api.names import Resource
from fleet.kit.redaction import excerpt, redact

MANAGER = "kulta-fleet-cli"
CONNECT_SECONDS, ANSWER_SECONDS = 5, 20
TRIES, PAUSE_SECONDS = 10, 1.0
"""How often what a server puts off is asked for, and after which time again."""
WATCH_SECONDS = 240
"""A watch is asked for anew after this time."""

Applied = Literal["created", "changed", "unchanged"]

_JSON = "application/json"
_MERGE, _STEPS = "application/merge-patch+json", "application/json-patch+json"
_APPLY = "application/apply-patch+yaml"

_CLASSES: Mapping[int, type[errors.FleetError]] = {
    400: errors.Invalid,
    401: errors.Unauthorized,
    403: errors.Forbidden,
    404: errors.NotFound,
    409: errors.Conflict,
    422: errors.Invalid,
    429: errors.Throttled,
}


NO_FILE = "No configuration found"
"""What the library says where there is no kubeconfig, or an empty one."""
NO_KIND = "page not found"
"""What a server says of a kind that it does not know."""


class Access:
    """One API server, with the rights of a kubeconfig; `role` is what errors call it.

    A context manager: leaving it closes the connections.
    """

    def __init__(self, api: Any, role: str, namespace: str = "default") -> None:
        self._api = api
        self.role = role
        self.namespace = namespace
        """Where commands look unless they are told: the context's, as with kubectl."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._api.rest_client.close()

    @property
    def server(self) -> str:
        """`https://host:port` as the kubeconfig has it."""
        return str(self._api.configuration.host)

    @property
    def authority(self) -> str | None:
        """The PEM text that verifies the server, None where the system's store does."""
        path = self._api.configuration.ssl_ca_cert
        return Path(path).read_text(encoding="utf-8") if path else None

    @property
    def server_name(self) -> str | None:
        """The name in the server's certificate, where it is not that of its address."""
        name = self._api.configuration.tls_server_name
        return str(name) if name else None

    @property
    def is_verified(self) -> bool:
        """Whether the kubeconfig verifies the server's certificate."""
        return bool(self._api.configuration.verify_ssl)

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content_type: str = _JSON,
        query: Mapping[str, str] | None = None,
    ) -> Any:
        """The parsed answer. Raises the classes of `fleet.errors`.

        The library writes JSON itself for that content type and passes texts on for others. Who is
        told to come later (a kind that is new, a server with much to do) does so, some times.
        """
        request = self._api.param_serialize(
            method,
            _checked(path),
            query_params=list((query or {}).items()),
            header_params={"Accept": _JSON, "Content-Type": content_type},
            body=body,
            auth_settings=["BearerToken"],
        )
        for left in reversed(range(TRIES)):
            with self._in_our_words():
                answer = self._api.call_api(
                    *request, _request_timeout=(CONNECT_SECONDS, ANSWER_SECONDS)
                )
                answer.read()
            if answer.status != HTTPStatus.TOO_MANY_REQUESTS or not left:
                break
            time.sleep(PAUSE_SECONDS)
        if answer.status >= 400:
            raise self._refusal(answer.status, answer.data)
        try:
            return json.loads(answer.data) if answer.data else {}
        except ValueError:
            text = f"the {self.role} {self.server} answers with something else than JSON"
            raise errors.Unreachable(f"{text}: is this its address?") from None

    def stream(self, path: str, query: Mapping[str, str]) -> "Stream":
        """The watch of a collection, for at most `WATCH_SECONDS`. Raises what `request` does."""
        query = {**query, "watch": "true", "timeoutSeconds": str(WATCH_SECONDS)}
        request = self._api.param_serialize(
            "GET",
            _checked(path),
            query_params=list(query.items()),
            header_params={"Accept": _JSON},
            auth_settings=["BearerToken"],
        )
        patience = (CONNECT_SECONDS, WATCH_SECONDS + ANSWER_SECONDS)
        with self._in_our_words():
            answer = self._api.call_api(*request, _request_timeout=patience)
        if answer.status >= 400:
            raise self._refusal(answer.status, answer.read())
        return Stream(answer.response, self._in_our_words)

    def get(self, resource: Resource, name: str, namespace: str | None = None) -> dict[str, Any]:
        """The object; NotFound when it is not there."""
        if not name:
            raise errors.UserError("Usage", f"the name of the {resource.kind} is empty: write one")
        found: dict[str, Any] = self.request("GET", resource.path(namespace, name))
        return found

    def find(
        self, resource: Resource, name: str, namespace: str | None = None
    ) -> dict[str, Any] | None:
        """The object; None when it is not there."""
        try:
            return self.get(resource, name, namespace)
        except errors.NotFound:
            return None

    def list(self, resource: Resource, namespace: str | None = None) -> list[dict[str, Any]]:
        """All objects of a namespace, or of all where it is None."""
        items: list[dict[str, Any]] = self.request("GET", resource.path(namespace))["items"]
        return items

    def apply(self, resource: Resource, manifest: Mapping[str, Any]) -> Applied:
        """Server-side apply under the CLI's own field manager, taking what others hold.

        What is there as it shall be is not written.
        """
        metadata = manifest["metadata"]
        before = self.find(resource, metadata["name"], metadata.get("namespace"))
        if before is not None and _is_as_wanted(before, manifest):
            return "unchanged"
        after = self._apply(resource, manifest)
        if before is None:
            return "created"
        same = after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
        return "unchanged" if same else "changed"

    def check(self, resource: Resource, manifest: Mapping[str, Any]) -> None:
        """Whether `apply` would be accepted; writes nothing. Raises what `apply` would."""
        self._apply(resource, manifest, dryRun="All")

    def replace(self, resource: Resource, manifest: Mapping[str, Any]) -> None:
        """PUT of an object that was read; Conflict when somebody has changed it since."""
        metadata = manifest["metadata"]
        path = resource.path(metadata.get("namespace"), metadata["name"])
        self.request("PUT", path, manifest)

    def patch(self, path: str, body: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> Any:
        """A merge patch, or a JSON patch where `body` is a list; with strict validation."""
        is_list = not isinstance(body, Mapping)
        return self.request(
            "PATCH",
            path,
            body,
            content_type=_STEPS if is_list else _MERGE,
            query={"fieldManager": MANAGER, "fieldValidation": "Strict"},
        )

    def _apply(
        self, resource: Resource, manifest: Mapping[str, Any], **query: str
    ) -> dict[str, Any]:
        metadata = manifest["metadata"]
        path = resource.path(metadata.get("namespace"), metadata["name"])
        done: dict[str, Any] = self.request(
            "PATCH",
            path,
            json.dumps(manifest),
            content_type=_APPLY,
            query={"fieldManager": MANAGER, "force": "true", **query},
        )
        return done

    @contextmanager
    def _in_our_words(self) -> Iterator[None]:
        """The library's and the transport's errors as those of `fleet.errors`."""
        try:
            yield
        except ApiException as error:
            if not error.status:  # the transport's error in the library's clothes
                raise self._unreachable(error) from None
            raise self._refusal(int(error.status), error.body) from None
        except (transport.HTTPError, OSError) as error:
            raise self._unreachable(error) from None

    def _refusal(self, status: int, body: Any) -> errors.FleetError:
        """The error class for an HTTP status, with the server's own sentence."""
        text = body.decode(errors="replace") if isinstance(body, bytes) else str(body or "")
        try:
            text = redact(str(json.loads(text)["message"]))
        except (ValueError, KeyError, TypeError):
            text = excerpt(text, 200).strip()
        if status == HTTPStatus.NOT_FOUND and self.role == "hub" and NO_KIND in text:
            text = f"{self.server} is no hub: kubectl apply -f crds/ -f deploy/hub/ there"
            return errors.UserError("NotFound", text)
        words = {
            401: "does not know these credentials: use a kubeconfig that is valid there",
            403: f"refuses: {text}: use the kubeconfig of an administrator, or have it granted",
        }
        kind = _CLASSES.get(status, errors.Unreachable)
        said = words.get(status) or f"says: {text or f'HTTP {status}'}"
        return kind(f"the {self.role} {self.server} {said}")

    def _unreachable(self, error: BaseException) -> errors.Unreachable:
        return errors.Unreachable(f"the {self.role} {self.server} {_why(error)}")


class Stream:
    """The events of one watch, as they come; `close` ends it from another thread too."""

    def __init__(self, response: Any, translated: Callable[[], Any]) -> None:
        self._response, self._translated = response, translated
        self._closed = False

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Each event: its `type` and `object`. Ends when the server ends it, or after `close`."""
        rest = b""
        with self._translated():
            try:
                for part in self._response.stream(amt=None, decode_content=False):
                    *lines, rest = (rest + part).split(b"\n")
                    yield from (json.loads(line) for line in lines if line)
            except ValueError:
                raise errors.Unreachable("a watch answers with something else than JSON") from None
            except (transport.HTTPError, OSError, AttributeError):
                if not self._closed:  # what is closed under a reader may fail in any way
                    raise

    def close(self) -> None:
        """End it: a reader that waits wakes up."""
        self._closed = True
        connection = getattr(self._response, "connection", None)
        with suppress(OSError):
            if connection is not None and connection.sock is not None:
                connection.sock.shutdown(socket.SHUT_RDWR)


def connect(kubeconfig: Path | None = None, context: str | None = None, *, role: str) -> Access:
    """The API server of that kubeconfig and context (default: as kubectl would choose).

    Raises UserError when the file cannot be read or the context does not exist.
    """
    where = str(kubeconfig) if kubeconfig else "KUBECONFIG or ~/.kube/config"
    path = str(kubeconfig) if kubeconfig else None
    try:
        contexts, active = kubernetes_config.list_kube_config_contexts(config_file=path)
        known = sorted(item["name"] for item in contexts)
        if context and context not in known:
            text = f"{where}: no context {context!r}: write one of {', '.join(known)}"
            raise errors.UserError("Usage", text)
        chosen = _unhurried()
        kubernetes_config.load_kube_config(
            config_file=path, context=context or active["name"], client_configuration=chosen
        )
    except kubernetes_config.ConfigException as error:
        text = f"cannot be used as the {role}'s kubeconfig: {str(error).rstrip('.')}"
        if NO_FILE in str(error):
            text = f"no kubeconfig there: set KUBECONFIG, or name the {role}'s file (--help)"
        raise errors.UserError("Usage", f"{where}: {text}") from None
    except (yaml.YAMLError, TypeError, AttributeError, KeyError, ValueError):
        # The parser's own message quotes the text, which may hold a token.
        text = f"{where}: is no kubeconfig: write the output of `kubectl config view --raw`"
        raise errors.UserError("Usage", text) from None
    used = next((item for item in contexts if item["name"] == context), active)
    namespace = str((used.get("context") or {}).get("namespace") or "default")
    return Access(kubernetes_client.ApiClient(chosen), role, namespace)


def in_memory(kubeconfig: str, *, role: str) -> Access:
    """The API server of a kubeconfig text that `clusters.config` has accepted."""
    chosen = _unhurried()
    kubernetes_config.load_kube_config_from_dict(
        yaml.safe_load(kubeconfig), client_configuration=chosen
    )
    return Access(kubernetes_client.ApiClient(chosen), role)


def _checked(path: str) -> str:
    """`path`, unless a name in it would lead elsewhere: a server tidies up before it looks. Raises
    UserError that says which one."""
    for part in path.split("/"):
        if part in (".", "..") or set(part) & set("%?#"):
            text = f"{part} cannot be a name: write that of an object, or of a namespace"
            raise errors.UserError("Usage", text)
    return path


def _is_as_wanted(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    said = ("labels", "annotations")
    return all(
        (found["metadata"].get(key) or {}) == (wanted["metadata"].get(key) or {}) for key in said
    ) and all(found.get(key) == value for key, value in wanted.items() if key != "metadata")


def _unhurried() -> Any:
    """A configuration without the library's own retries: an operator sees a failure at once."""
    result = kubernetes_client.Configuration()
    result.retries = False
    return result


def _why(error: BaseException) -> str:
    """A transport's failure in words, without its repeated wrappings."""
    inner = getattr(error, "reason", None)
    while isinstance(inner, BaseException):
        error, inner = inner, getattr(inner, "reason", None)
    text = str(error)
    if "CERTIFICATE_VERIFY_FAILED" in text:
        detail = text.partition("certificate verify failed: ")[2].rpartition(" (_ssl")[0]
        return f"has a certificate that does not verify ({detail}): correct the authority"
    timed_out = isinstance(error, transport.TimeoutError | TimeoutError)
    if timed_out and not isinstance(error, transport.NewConnectionError):
        return "does not answer in time: is this its address?"
    words = text.rpartition("] ")[2].rstrip(")") or text
    return f"does not answer ({words.lower()}): is this its address?"
