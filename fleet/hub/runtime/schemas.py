"""What members' Rollout CRDs declare: read with each connection, and again while it matters.

Called by `membership` when it meets a member and by `dispatching` before it believes that a cluster
cannot be served because of its CRD. Decides nothing: what is lacking is `core.cluster.schema`'s.
"""

import orjson

from fleet import errors
from fleet.api import ClusterRollout
from fleet.api.names import CRDS, ROLLOUTS
from fleet.hub.core.cluster import schema
from fleet.hub.runtime.context import Context
from fleet.hub.runtime.links import Link

CRD = f"{ROLLOUTS.plural}.{ROLLOUTS.group}"
AGAIN_SECONDS = 30.0
"""Least time between two looks at a CRD that lacks something."""


async def learn(hub: Context, link: Link) -> None:
    """Read the CRD. Raises NotFound where there is none, and what the member's client raises."""
    found = await link.client.get(CRDS, CRD)
    link.learned_at = hub.clock.monotonic()
    # Not all of its spec: what converts between versions has a certificate for each member.
    text = orjson.dumps(schema.declared(found, ROLLOUTS.version))
    link.fields = hub.links.shared(text, lambda: schema.fields(found, ROLLOUTS.version))


async def learn_again(hub: Context, item: ClusterRollout) -> bool:
    """Look whether the CRD that seems too old has been brought up to date; whether it was read. A
    member that does not answer is believed to be what it was."""
    link = hub.links.get((item.namespace, item.spec.cluster))
    if link is None or link.handle is None:
        return False
    if hub.clock.monotonic() - link.learned_at < AGAIN_SECONDS:
        return False
    try:
        await learn(hub, link)
    except errors.FleetError:
        link.learned_at = hub.clock.monotonic()
        return False
    return True
