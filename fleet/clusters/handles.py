"""One engaged cluster, as the hub's runtime holds it: a client and what it knows.

Made by `supervisor` and forgotten when the cluster is left; whoever keeps a handle longer talks to
a client that nobody watches.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from fleet.api.names import ClusterName, Resource
from fleet.clusters.client import Client
from fleet.clusters.watch import Informer


@dataclass(eq=False, slots=True, kw_only=True)
class Handle:
    """Its client, and its informers by resource."""

    name: ClusterName
    client: Client
    informers: dict[Resource, Informer[Any]] = field(default_factory=dict)
    met: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once whoever engaged it has had its first answers: its watches go on with the connection
    over which they came."""

    def age(self, resource: Resource) -> float:
        """Seconds since the last byte of that resource's list or watch; infinite before."""
        return self.client.monotonic() - self.informers[resource].last_byte
