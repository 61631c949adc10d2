"""Reads an API server's audit log: who asked what, judged from outside of the program under test.

Used by tests, the demo's verdicts and the benchmarks. The API server writes an entry before it
answers, so a request that has returned can be read. Never writes.

    plane.audit.read()                                     # all requests so far
    mark = plane.audit.mark()
    …
    plane.audit.read(since=mark, user="kulta-engine", writes=True, resource="rollouts.kulta.io")
"""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})
POD = "authentication.kubernetes.io/pod-name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request as the API server saw it. A watch counts once, when it starts."""

    verb: str
    user: str
    agent: str
    pod: str
    """The pod whose token was used; empty for all other credentials."""
    uri: str
    resource: str
    """`<plural>` or `<plural>.<group>`; empty for paths such as /readyz."""
    subresource: str
    namespace: str
    name: str
    code: int
    received: datetime
    answered: datetime
    body: Any
    """The request's body where the policy logs it (`AuditPolicy.bodies`), else None."""
    id: str

    @property
    def is_write(self) -> bool:
        return self.verb in WRITES


class AuditLog:
    """The log of one control plane. Reading is incremental: a line is parsed once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._requests: list[Request] = []
        self._offset = 0

    def mark(self) -> int:
        """A place in the log, for `read(since=…)`: everything up to now lies before it."""
        self._catch_up()
        return len(self._requests)

    def read(
        self,
        *,
        since: int = 0,
        user: str | None = None,
        verbs: Iterable[str] | None = None,
        resource: str | None = None,
        writes: bool | None = None,
        **equal: object,
    ) -> tuple[Request, ...]:
        """The requests after the mark `since` that pass every filter given.

        `user` matches the whole name or its last part (`kulta-engine` for
        `system:serviceaccount:kulta-system:kulta-engine`); `equal` compares any other attribute of
        Request, e.g. `name="checkout"`, `subresource="status"`, `code=200`.
        """
        self._catch_up()
        wanted = None if verbs is None else frozenset(verbs)
        return tuple(
            request
            for request in self._requests[since:]
            if (user is None or user in (request.user, request.user.rpartition(":")[2]))
            and (wanted is None or request.verb in wanted)
            and (resource is None or request.resource == resource)
            and (writes is None or request.is_write is writes)
            and all(getattr(request, key) == value for key, value in equal.items())
        )

    def _catch_up(self) -> None:
        if not self.path.exists():
            return
        with self.path.open("rb") as log:
            log.seek(self._offset)
            for line in log:
                if not line.endswith(b"\n"):
                    break
                self._offset += len(line)
                if _counts(entry := json.loads(line)):
                    self._requests.append(_parse(entry))


def count(requests: Iterable[Request]) -> Counter[tuple[str, str, str]]:
    """How many requests by (user, verb, resource with subresource)."""
    return Counter(
        (
            request.user,
            request.verb,
            f"{request.resource}/{request.subresource}"
            if request.subresource
            else request.resource,
        )
        for request in requests
    )


def _counts(entry: dict[str, Any]) -> bool:
    """Whether this is the one entry of its request: a watch's start, of others the end.

    A watch that is refused has no start, so its end counts.
    """
    is_start: bool = entry["stage"] == "ResponseStarted"
    if entry["verb"] != "watch":
        return not is_start
    refused: bool = entry.get("responseStatus", {}).get("code", 0) >= 400
    return is_start or refused


def _parse(entry: dict[str, Any]) -> Request:
    target, user = entry.get("objectRef", {}), entry.get("user", {})
    group = target.get("apiGroup", "")
    plural = target.get("resource", "")
    return Request(
        verb=entry["verb"],
        user=user.get("username", ""),
        agent=entry.get("userAgent", ""),
        pod="".join(user.get("extra", {}).get(POD, ())),
        uri=entry["requestURI"],
        resource=f"{plural}.{group}" if group else plural,
        subresource=target.get("subresource", ""),
        namespace=target.get("namespace", ""),
        name=target.get("name", ""),
        code=entry.get("responseStatus", {}).get("code", 0),
        received=datetime.fromisoformat(entry["requestReceivedTimestamp"]),
        answered=datetime.fromisoformat(entry["stageTimestamp"]),
        body=entry.get("requestObject"),
        id=entry["auditID"],
    )
