"""The requests of a kubelet that no controller makes: bound tokens, pod status, final deletion.

`pods` and `tokens` call these. They go through our own client and raise the classes of
`fleet.errors`.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from fleet import errors
from fleet.api import names
from fleet.clusters.client import Client

STRATEGIC = "application/strategic-merge-patch+json"


async def report(
    client: Client, pod: Mapping[str, Any], status: Mapping[str, Any]
) -> dict[str, Any]:
    """Write a pod's status, conditions of others stay; the new manifest.

    Conflict when the pod is another by now.
    """
    metadata = pod["metadata"]
    body = {"metadata": {"uid": metadata["uid"]}, "status": status}
    path = names.PODS.path(metadata["namespace"], metadata["name"], "status")
    answer: dict[str, Any] = json.loads(await _send(client, "PATCH", path, body, STRATEGIC))
    return answer


async def remove(client: Client, pod: Mapping[str, Any]) -> None:
    """Tell the API server that nothing of the pod runs any more; a pod that is gone is fine."""
    metadata = pod["metadata"]
    body = {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "gracePeriodSeconds": 0,
        "preconditions": {"uid": metadata["uid"]},
    }
    path = names.PODS.path(metadata["namespace"], metadata["name"])
    try:
        await _send(client, "DELETE", path, body)
    except (errors.NotFound, errors.Conflict):
        return


async def token(
    client: Client, pod: Mapping[str, Any], audience: str | None, seconds: int
) -> tuple[str, datetime]:
    """A token of the pod's ServiceAccount that is bound to the pod, and when it expires."""
    metadata = pod["metadata"]
    account = pod["spec"].get("serviceAccountName", "default")
    reference = {
        "apiVersion": "v1",
        "kind": "Pod",
        "name": metadata["name"],
        "uid": metadata["uid"],
    }
    body = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {
            "audiences": [audience] if audience else [],
            "expirationSeconds": seconds,
            "boundObjectRef": reference,
        },
    }
    path = names.SERVICEACCOUNTS.path(metadata["namespace"], account, "token")
    status = json.loads(await _send(client, "POST", path, body))["status"]
    return status["token"], datetime.fromisoformat(status["expirationTimestamp"])


async def _send(
    client: Client,
    method: str,
    path: str,
    body: Mapping[str, Any],
    content_type: str = "application/json",
) -> bytes:
    return await client.request(method, path, body=body, content_type=content_type, retry=True)
