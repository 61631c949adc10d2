"""What members' Rollout CRDs declare: read with each connection, and again while it matters.

    /openapi/v3 ──digest──> known ───────────────────────────> what was read then
                              └──> new ──> the CRD, and the text of that digest, kept if both agree

Called by `membership` when it meets a member and by `dispatching` before it believes that a cluster
cannot be served because of its CRD. Decides nothing: what is lacking is `core.cluster.schema`'s.
"""

import hashlib
import math
from urllib.parse import parse_qs, urlsplit

import orjson

from fleet import errors, turns
from fleet.api import ClusterRollout
from fleet.api.names import CRDS, ROLLOUTS
from fleet.hub.core.cluster import schema
from fleet.hub.runtime.context import Context
from fleet.hub.runtime.links import Link

CRD = f"{ROLLOUTS.plural}.{ROLLOUTS.group}"
INDEX = "/openapi/v3"
"""A few KB that every account may read: what is served, each group and version with a digest."""
PUBLISHED = f"apis/{ROLLOUTS.api_version}"
AGAIN_SECONDS = 30.0
"""Least time between two looks at a CRD that lacks something."""


async def meet(hub: Context, link: Link) -> None:
    """Learn what the CRD declares, without its 200 KB where others have the same. What is published
    lags a CRD that was changed just now, by a second: before anybody suffers by it, the CRD itself
    is read (`learn_again`). Raises as `learn`."""
    definitions = hub.links.definitions
    digest = await _digest(link)
    known = definitions.get(digest)
    if known is not None:
        link.fields, link.learned_at = known, -math.inf
        return
    # What the others that are met just now would have to read as well goes before them.
    with definitions.asking(digest) as is_first, turns.pressing(is_first and digest != ""):
        await learn(hub, link)
        if digest and is_first and await _published(link, digest) == link.fields:
            definitions.note(digest, link.fields)


async def learn(hub: Context, link: Link) -> None:
    """Read the CRD. Raises NotFound where there is none, and what the member's client raises."""
    found = await link.client.get(CRDS, CRD)
    link.learned_at = hub.clock.monotonic()
    # Not all of its spec: what converts between versions has a certificate for each member.
    text = orjson.dumps(schema.declared(found, ROLLOUTS.version))
    read = hub.links.definitions.shared
    link.fields = read(text, lambda: schema.fields(found, ROLLOUTS.version))


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


async def _digest(link: Link) -> str:
    """Of what the member publishes about Rollouts (SHA-512); empty where it does not say."""
    try:
        index = orjson.loads(await link.client.request("GET", INDEX))
        url = str(index["paths"][PUBLISHED]["serverRelativeURL"])
        return parse_qs(urlsplit(url).query).get("hash", [""])[0]
    except (errors.FleetError, ValueError, KeyError, TypeError):
        return ""


async def _published(link: Link, digest: str) -> frozenset[str] | None:
    """The fields in the text of that digest; None where the member does not give it. The digest is
    computed: a member that makes one up harms nobody else."""
    try:
        text = await link.client.request("GET", f"{INDEX}/{PUBLISHED}")
        if hashlib.sha512(text).hexdigest().upper() != digest:
            return None
        return schema.paths(schema.published(orjson.loads(text)))
    except (errors.FleetError, orjson.JSONDecodeError, RecursionError):
        return None
