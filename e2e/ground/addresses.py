"""Pod addresses: what the API shows (`10.244.a.b`) and where the process listens (`127.244.a.b`).

The API server refuses loopback addresses in EndpointSlices, and nothing may listen elsewhere; so
the local node reports one and serves on the other, and whoever connects (gateway, probes,
Prometheus' targets) translates. `a` belongs to one node on this machine, whoever runs it: it is
claimed with an abstract socket, which the kernel frees when the process is gone. In a network of
its own (`seclusion`) a node listens where it says, and nobody translates.
"""

import socket
from collections.abc import Collection

REPORTED, SERVED = "10.244.", "127.244."
LARGEST = 250


def served(reported: str) -> str:
    """Where the process behind a reported pod address listens; other addresses stay as they are."""
    return SERVED + reported.removeprefix(REPORTED) if reported.startswith(REPORTED) else reported


class Block:
    """One node's addresses, `.2` to `.250`; `.1` is the host's own (its gateway listens there)."""

    def __init__(self, index: int | None = None, *, is_secluded: bool = False) -> None:
        """Claim block `index` of this machine, or the first free one; OSError when it is taken."""
        self.is_secluded = is_secluded
        self._claim, self.index = _claim((index,) if index is not None else range(LARGEST + 1))
        self._used: set[str] = set()
        self._last = 1

    @property
    def cidr(self) -> str:
        return f"{REPORTED}{self.index}.0/24"

    @property
    def host(self) -> str:
        """The reported address of the node itself."""
        return f"{REPORTED}{self.index}.1"

    def served(self, reported: str) -> str:
        """Where the process behind a reported address of our network listens."""
        return reported if self.is_secluded else served(reported)

    def take(self) -> str:
        """A reported address: the next one, so that an old one is not soon another pod's."""
        for step in range(1, LARGEST):
            last = (self._last - 2 + step) % (LARGEST - 1) + 2
            address = f"{REPORTED}{self.index}.{last}"
            if address not in self._used:
                self._used.add(address)
                self._last = last
                return address
        raise OSError(f"all {LARGEST - 1} addresses of {self.cidr} are taken")

    def give(self, address: str) -> None:
        """Return an address of `take`."""
        self._used.discard(address)

    def close(self) -> None:
        """Leave the block to others."""
        self._claim.close()


def _claim(indices: Collection[int]) -> tuple[socket.socket, int]:
    for index in indices:
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            claim.bind(f"\0kulta-fleet-node-{index}")
        except OSError:
            claim.close()
            continue
        return claim, index
    raise OSError("no block of addresses is free on this machine: other nodes are running")
