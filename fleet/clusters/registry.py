"""Which clusters are engaged now: name → handle.

Written by `supervisor`, read by the hub's runtime. A handle is here only while its cluster is
engaged; whoever keeps one longer talks to a client that nobody watches.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from fleet.api.names import ClusterName, Resource
from fleet.clusters.client import Client
from fleet.clusters.watch import Informer
from fleet.errors import NotFound


class ClusterNotFound(NotFound):
    """No cluster of that name is engaged."""


@dataclass(eq=False, slots=True, kw_only=True)
class Handle:
    """One engaged cluster: its client, and its informers by resource."""

    name: ClusterName
    client: Client
    informers: dict[Resource, Informer[Any]] = field(default_factory=dict)

    @property
    def is_synced(self) -> bool:
        """Whether every informer has had its first complete list since the cluster was engaged."""
        return all(informer.synced.is_set() for informer in self.informers.values())

    def age(self, resource: Resource) -> float:
        """Seconds since the last byte of that resource's list or watch; infinite before."""
        return self.client.monotonic() - self.informers[resource].last_byte


class Registry:
    """The engaged clusters."""

    def __init__(self) -> None:
        self._handles: dict[ClusterName, Handle] = {}

    def __contains__(self, name: ClusterName) -> bool:
        return name in self._handles

    def __iter__(self) -> Iterator[Handle]:
        """Over a snapshot: engaging and disengaging meanwhile does no harm."""
        return iter(tuple(self._handles.values()))

    def get(self, name: ClusterName) -> Handle:
        """The handle; ClusterNotFound when the cluster is not engaged."""
        try:
            return self._handles[name]
        except KeyError:
            raise ClusterNotFound(f"cluster {name} is not engaged") from None

    def put(self, handle: Handle) -> None:
        """For the supervisor."""
        self._handles[handle.name] = handle

    def drop(self, name: ClusterName) -> None:
        """For the supervisor."""
        self._handles.pop(name, None)
