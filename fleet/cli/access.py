"""An operator's own way to an API server: their kubeconfig, with everything it may contain.

Used by commands only. `kubernetes` reads the kubeconfig, exec plug-ins included, because it is the
operator's own machine; a kubeconfig from a Secret never comes here (`clusters.config` parses
those). Errors are ours, with a sentence.
"""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kubernetes import client as kubernetes_client
from kubernetes import config as kubernetes_config
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from fleet import errors
from fleet.api.names import Resource

MANAGER = "kulta-fleet-cli"

_JSON = "application/json"
_APPLY = "application/apply-patch+yaml"
_MERGE = "application/merge-patch+json"

_CLASSES: Mapping[int, type[errors.FleetError]] = {
    400: errors.Invalid,
    401: errors.Unauthorized,
    403: errors.Forbidden,
    404: errors.NotFound,
    409: errors.Conflict,
    422: errors.Invalid,
}


class Access:
    """One API server, with the operator's rights."""

    def __init__(self, api: Any, context: str) -> None:
        self._api = api
        self.context = context

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
        """The parsed answer. Raises the classes of `fleet.errors`."""
        request = self._api.param_serialize(
            method,
            path,
            query_params=list((query or {}).items()),
            header_params={"Accept": _JSON, "Content-Type": content_type},
            body=json.dumps(body) if content_type == _APPLY else body,
            auth_settings=["BearerToken"],
        )
        try:
            answer = self._api.call_api(*request, _request_timeout=20)
            answer.read()
        except ApiException as error:
            raise _ours(int(error.status or 0), error.body) from None
        except (HTTPError, OSError) as error:
            raise errors.Unreachable(f"{self.server} does not answer: {error}") from None
        if answer.status >= 400:
            raise _ours(answer.status, answer.data)
        return json.loads(answer.data) if answer.data else {}

    def get(self, resource: Resource, name: str, namespace: str | None = None) -> dict[str, Any]:
        """The object; NotFound when it is not there."""
        found: dict[str, Any] = self.request("GET", resource.path(namespace, name))
        return found

    def list(
        self, resource: Resource, namespace: str | None = None, selector: str = ""
    ) -> list[dict[str, Any]]:
        """All objects of a namespace, or of all where it is None."""
        query = {"labelSelector": selector} if selector else {}
        items: list[dict[str, Any]] = self.request("GET", resource.path(namespace), query=query)[
            "items"
        ]
        return items

    def apply(self, path: str, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """Server-side apply under the CLI's own field manager, taking what others hold."""
        query = {"fieldManager": MANAGER, "force": "true"}
        done: dict[str, Any] = self.request(
            "PATCH", path, manifest, content_type=_APPLY, query=query
        )
        return done

    def merge(self, path: str, patch: Mapping[str, Any]) -> dict[str, Any]:
        """JSON merge patch with strict field validation."""
        done: dict[str, Any] = self.request(
            "PATCH", path, patch, content_type=_MERGE, query={"fieldValidation": "Strict"}
        )
        return done

    def delete(self, path: str) -> None:
        """DELETE in the background; an object that is gone is success."""
        try:
            self.request("DELETE", path, {"propagationPolicy": "Background"})
        except errors.NotFound:
            return


def connect(kubeconfig: Path | None = None, context: str | None = None) -> Access:
    """The API server of that kubeconfig and context (default: as kubectl would choose).

    Raises UserError when the file cannot be read or the context does not exist.
    """
    try:
        path = str(kubeconfig) if kubeconfig else None
        contexts, active = kubernetes_config.list_kube_config_contexts(config_file=path)
        chosen = context or active["name"]
        if chosen not in {item["name"] for item in contexts}:
            known = ", ".join(sorted(item["name"] for item in contexts))
            raise errors.UserError("Usage", f"no context {chosen!r} in the kubeconfig: use {known}")
        api = kubernetes_config.new_client_from_config(config_file=path, context=chosen)
    except kubernetes_config.ConfigException as error:
        where = kubeconfig or "KUBECONFIG or ~/.kube/config"
        raise errors.UserError("Usage", f"cannot use the kubeconfig {where}: {error}") from None
    if not isinstance(api, kubernetes_client.ApiClient):
        raise errors.UnexpectedState(f"kubernetes returned {type(api).__name__}, not an ApiClient")
    return Access(api, chosen)


def in_memory(kubeconfig: str) -> Access:
    """The API server of a kubeconfig text that we wrote ourselves, to check that it works."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(kubeconfig)
        file.flush()
        return connect(Path(file.name))


def _ours(status: int, body: Any) -> errors.FleetError:
    """The error class for an HTTP status, with the server's own sentence."""
    text = body.decode(errors="replace") if isinstance(body, bytes) else str(body or "")
    try:
        text = str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        text = text[:200]
    kind = _CLASSES.get(status, errors.Unreachable)
    return kind(text or f"HTTP {status}")
