"""Under which hostnames a route appears at a listener of a Gateway; pure. `routing` asks."""

from collections.abc import Sequence


def intersect(own: Sequence[str], listener: str | None, others: Sequence[str] = ()) -> list[str]:
    """The hostnames under which a route with `own` appears at a listener; one that fits a listener
    of `others` better is not served here."""
    if not own:
        return [listener or "*"]
    found = []
    for hostname in own:
        if hostname == listener:
            found.append(hostname)
        elif not listener or _covers(listener, hostname):
            if not any(_fits_better(hostname, other, listener or "") for other in others):
                found.append(hostname)
        elif _covers(hostname, listener):
            found.append(listener)
    return found


def _fits_better(hostname: str, other: str, listener: str) -> bool:
    return hostname == other or (_covers(other, hostname) and len(other) > len(listener))


def _covers(wildcard: str, hostname: str) -> bool:
    return wildcard.startswith("*.") and hostname.endswith(wildcard[1:])
