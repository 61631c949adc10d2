"""The engine of a managed member: its Deployment as this hub wants it. What and when says the core.

`membership` calls `keep`. The hub patches this one Deployment and grants no rights; those came with
`fleet cluster add`.
"""

from fleet.api import MemberCluster
from fleet.api.membercluster import EngineMode
from fleet.api.names import DEPLOYMENTS, HUB_MANAGER, Key
from fleet.clusters.handles import Handle
from fleet.errors import Conflict
from fleet.hub.core.member import engine as engines
from fleet.hub.core.member.engine import Keeper, Obstacle
from fleet.hub.runtime.context import Context
from fleet.hub.runtime.links import Exchange, Link
from fleet.rendering.render import EngineSetup, Rendered, engine

TAKEOVER_SECONDS = 60.0
"""After so long, a Lease that is renewed is that of an engine which lives, whoever it is."""


def wanted(hub: Context, cluster: MemberCluster) -> Rendered:
    """The Deployment that this member shall have. Raises UserError `TemplateError`."""
    return engine(hub.renders.templates, cluster, _setup(hub, cluster))


def _setup(hub: Context, cluster: MemberCluster) -> EngineSetup:
    prometheus = cluster.spec.prometheus
    return EngineSetup(
        image=cluster.spec.engine.image or hub.engine.image,
        version=hub.engine.version,
        hub=hub.identity,
        prometheus=prometheus.address if prometheus else "",
        environment=hub.engine.environment,
    )


def _digest(hub: Context, cluster: MemberCluster, link: Link) -> str:
    """Of that Deployment, which is printed where what it is made of has changed: each look at a
    member asks, and it takes a millisecond."""
    setup = _setup(hub, cluster)
    if link.printed is None or link.printed[0] != setup:
        link.printed = (setup, wanted(hub, cluster).digest)
    return link.printed[1]


async def keep(hub: Context, cluster: MemberCluster, link: Link) -> str:
    """Write the Deployment if it differs and may; returns why not, or nothing.

    Raises what the member's API server raises.
    """
    link.wait, link.wish = Obstacle.NOTHING, ""
    if cluster.spec.engine.mode is not EngineMode.MANAGED or link.handle is None:
        return ""
    wish = _digest(hub, cluster, link)
    rival = _rival(hub, link)
    if not rival:
        link.wish = wish
    is_new = link.deployed is None or link.deployed.digest != wish
    chosen = engines.keep(
        link.seen(cluster.spec.engine.mode),
        wish,
        rival=rival,
        active=engines.busy(link.rollouts.values()),
        ahead=_ahead(hub, link) if is_new else (),
    )
    link.wait = chosen.wait
    if chosen.wait is Obstacle.TURN:
        hub.links.in_line.add(link.key)
    if not chosen.write:
        return chosen.note
    return await _write(hub, link, link.handle, wanted(hub, cluster))


def is_current(hub: Context, link: Link) -> bool | None:
    """Whether the engine is as this hub wants it, and has taken over; None where it keeps none."""
    if not link.wish or link.handle is None:
        return None
    return not _is_on_its_way(hub, link) and engines.is_through(
        link.seen(EngineMode.MANAGED), link.wish
    )


def takeover_left(hub: Context, link: Link) -> float:
    """Seconds until whoever renews the Lease counts as the new engine; 0 where it does already.

    The time has to be awaited: a Lease that the same one renews all the while is no news.
    """
    if link.exchange is None:
        return 0.0
    return max(link.exchange.at + TAKEOVER_SECONDS - hub.clock.monotonic(), 0.0)


def wake(hub: Context) -> None:
    """Let as many of those that wait for their turn look again as may go now."""
    line = hub.links.in_line = {key for key in hub.links.in_line if _is_in_line(hub, key)}
    if not line:
        return
    free = engines.slots(_kept(hub)) - len(_exchanged(hub))
    for key in sorted(line)[: max(free, 0)]:
        hub.queues.members.add(key)


async def _write(hub: Context, link: Link, handle: Handle, wish: Rendered) -> str:
    before, term = link.deployed, link.term
    # Set before the request, so that nobody else thinks the turn is theirs while it is under way.
    link.exchange = Exchange(at=hub.clock.monotonic(), holder=term.holder if term else "")
    is_exchanged = False
    try:
        answer = await handle.client.apply(DEPLOYMENTS, wish.manifest, manager=HUB_MANAGER)
        handle.informers[DEPLOYMENTS].store.see(answer)
        generation = int(answer["metadata"].get("generation") or 0)
        is_exchanged = before is not None and generation != before.generation
    except Conflict as error:
        owners = ", ".join(error.managers) or "somebody else"
        return (
            f"{engines.DEPLOYMENT} belongs to {owners}: delete it, or set engine.mode to External"
        )
    finally:
        if not is_exchanged:
            # Nothing that runs was replaced: it is new, or only its labels were changed.
            link.exchange = None
    return ""


def _rival(hub: Context, link: Link) -> str:
    """Why another namespace or hub keeps this engine."""
    claims = {
        other.key[0] for other in hub.links if other.uid == link.uid and _is_managed(hub, other)
    }
    return engines.rival(link.deployed, Keeper(hub=hub.identity, namespace=link.key[0]), claims)


def _ahead(hub: Context, link: Link) -> tuple[str, ...]:
    others = [other.key[1] for other in _exchanged(hub) if other is not link]
    return engines.ahead(_kept(hub), others)


def _kept(hub: Context) -> int:
    """How many engines this hub keeps."""
    return sum(bool(link.wish) for link in hub.links)


def _exchanged(hub: Context) -> list[Link]:
    """Members that got a new engine and are not healthy with it yet."""
    return [link for link in hub.links if link.wish and _is_on_its_way(hub, link)]


def _is_in_line(hub: Context, key: Key) -> bool:
    link = hub.links.get(key)
    return link is not None and link.wait is Obstacle.TURN


def _is_on_its_way(hub: Context, link: Link) -> bool:
    if not link.told.reachable:
        return False  # whatever it is, it is not the engine
    deployed, exchange = link.deployed, link.exchange
    if exchange is not None and takeover_left(hub, link):
        held = link.term.holder if link.term else ""
        if held in ("", exchange.holder):
            return True
    if deployed is None or deployed.digest != link.wish:
        return False
    return not engines.is_through(link.seen(EngineMode.MANAGED), link.wish)


def _is_managed(hub: Context, link: Link) -> bool:
    cluster = hub.stores.memberclusters.get(link.key)
    return cluster is not None and cluster.spec.engine.mode is EngineMode.MANAGED
