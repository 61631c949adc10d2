"""Which addresses nobody may have called for him: those of machines and clouds, not of servers.

Asked by `clusters.web` of whatever a name resolves to, and by linting of what is written as a
number.
"""

import ipaddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

LOOPBACK = "a loopback address: write one of the network (or set KULTA_ALLOW_LOOPBACK=true)"

_METADATA = frozenset(
    ipaddress.ip_address(text) for text in ("169.254.169.254", "fd00:ec2::254", "100.100.100.200")
)


def refusal(address: Address, *, allow_loopback: bool) -> str:
    """Why the engine does not connect to `address`; empty when it does."""
    inner = getattr(address, "ipv4_mapped", None) or address
    if inner.is_loopback:
        return "" if allow_loopback else LOOPBACK
    if inner in _METADATA:
        return "a cloud metadata address"
    if inner.is_link_local:
        return "a link-local address"
    if inner.is_unspecified or inner.is_multicast or inner.is_reserved:
        return "not the address of a server"
    return ""
