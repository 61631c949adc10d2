"""`fleet cluster upgrade --wait`: an engine followed until the hub says that it is as wanted.

Called by `cluster`. The hub exchanges engines when it may; this only reads what it says of one
member, by a watch, and never asks the member itself.
"""

from collections.abc import Callable

from fleet import errors
from fleet.api import names
from fleet.api.membercluster import MemberCluster
from fleet.cli import codes
from fleet.cli.access import Access
from fleet.cli.following import Following, Stay, Topic

Say = Callable[[str], None]


def follow(hub: Access, wanted: MemberCluster, seconds: float | None, say: Say) -> int:
    """Until the engine of that member is as its spec, as just written, asks; the exit code.

    Each thing that it waits for is said once. Raises NotFound where the member is deleted.
    """
    query = {"fieldSelector": f"metadata.name={wanted.name}"}
    topic = Topic(resource=names.MEMBERCLUSTERS, namespace=wanted.namespace, query=query)
    stay, last = Stay(seconds), ""
    try:
        with Following(hub, [topic]) as following:
            while True:
                found = [MemberCluster.parse(item) for item in following.objects(0)]
                if not found:
                    raise errors.NotFound(f"MemberCluster {wanted.name} was deleted meanwhile")
                code, text = verdict(found[0], wanted.metadata.generation)
                if text and text != last:
                    say(f"{wanted.name}: {text}")
                    last = text
                left = stay.left()
                if code is not None or left <= 0:
                    return codes.TIMED_OUT if code is None else code
                following.wait(left)
    except KeyboardInterrupt:
        return codes.INTERRUPTED


def verdict(found: MemberCluster, generation: int) -> tuple[int | None, str]:
    """The exit code, None while it goes on; and what is to be said.

    `generation` is that of the wish: what the hub says of an older one counts for nothing.
    """
    status, engine = found.status, found.status.engine
    if status.observed_generation < generation:
        return None, "the hub has not looked at it yet"
    if engine.current:
        version = engine.version or "unknown"
        return codes.DONE, f"its engine is exchanged; version {version} runs there"
    if not status.reachable:
        return None, status.message or "it does not answer"
    if engine.current is None and engine.message:
        return codes.FAILED, engine.message
    return None, engine.message or "its pods are being replaced"
