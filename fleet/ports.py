"""The seams between deciding and the world: small protocols, each owned by its consumers.

`clusters` and `telemetry` implement them; `tests/fakes.py` holds one fake each, as simple as a
dict. Nothing here knows a library.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from fleet.api.meta import Manifest
from fleet.api.names import Resource


class Clock(Protocol):
    """Wall time for what people read, monotonic time for what we compare."""

    def now(self) -> datetime:
        """The present in UTC, with a time zone, in whole milliseconds: as the API keeps times, so
        that what is read back is equal."""

    def monotonic(self) -> float:
        """Seconds that never jump."""

    def drift(self) -> timedelta:
        """How far the clock on the wall has jumped ahead of `now`; negative where it fell back.
        Only what names a time of day, as windows do, asks for it."""


class Kube(Protocol):
    """One API server. Every method raises the classes of `fleet.errors` and nothing else.

    Idempotent calls are retried inside (bounded); POST and guarded writes are not.
    """

    async def get(
        self, resource: Resource, name: str, namespace: str | None = None
    ) -> dict[str, Any]:
        """The object; NotFound when it is not there."""

    async def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        selector: str | None = None,
        field_selector: str | None = None,
    ) -> list[dict[str, Any]]:
        """All objects of one namespace (all namespaces when None), read in pages."""

    async def create(self, resource: Resource, manifest: Manifest) -> dict[str, Any]:
        """POST; AlreadyExists when the name is taken."""

    async def replace(
        self, resource: Resource, manifest: Manifest, *, sub: str = ""
    ) -> dict[str, Any]:
        """PUT guarded by `metadata.resourceVersion`; Conflict when somebody was faster.

        `sub="status"` replaces the status only.
        """

    async def apply(
        self, resource: Resource, manifest: Manifest, *, manager: str, force: bool = False
    ) -> dict[str, Any]:
        """Server-side apply as `manager`; Conflict names the managers that own our fields."""

    async def patch(
        self,
        resource: Resource,
        name: str,
        namespace: str | None,
        body: Manifest | Sequence[Manifest],
        *,
        sub: str = "",
    ) -> dict[str, Any]:
        """JSON merge patch for a mapping, JSON patch for a sequence (RFC 7386, RFC 6902)."""

    async def delete(
        self,
        resource: Resource,
        name: str,
        namespace: str | None,
        *,
        uid: str | None = None,
        version: str | None = None,
    ) -> None:
        """Background deletion, with preconditions where given; NotFound counts as done."""


class Recorder(Protocol):
    """Kubernetes Events for people; never fails the caller, never blocks it."""

    def event(self, about: Manifest, *, kind: str, reason: str, message: str) -> None:
        """`kind` is Normal or Warning; `about` needs apiVersion, kind and metadata."""


class Gatekeeper(Protocol):
    """Asks an HTTP gate of a wave."""

    async def ask(self, url: str, body: Manifest, seconds: float) -> tuple[int, str]:
        """The HTTP status and the first words of the answer to a POST of `body`.

        Raises TemporaryError with a sentence when there is none within `seconds`, or when the
        address may not be asked. Never retries, never follows a redirect.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Printed:
    """What came out of templates."""

    documents: tuple[tuple[str, dict[str, Any]], ...]
    """(template, document), in their order; nobody has looked at them."""
    names: frozenset[str]
    """Every name that stands in the templates: what is not here, none of them reads."""
    weight: int = 0
    """Bytes that the documents take here, roughly."""


class Press(Protocol):
    """Prints the templates of tenants where they can do no harm."""

    async def print(
        self,
        tenant: str,
        files: Mapping[str, str],
        names: Sequence[str],
        values: Mapping[str, Any],
    ) -> Printed:
        """What the templates `names` of `files` print of `values`, which are plain JSON.

        Raises UserError `TemplateError` naming template and line, also where a limit of time,
        memory or output was passed; TemporaryError where that may not have been the templates.
        """

    async def close(self) -> None:
        """End whatever is not at work."""
