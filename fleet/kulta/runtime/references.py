"""Who names what: which Rollouts a change of some object concerns.

Used by the stores of `observe` and `routing`; kept up by every look at a Rollout.
"""

from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

W = TypeVar("W", bound=Hashable)
N = TypeVar("N", bound=Hashable)


class References(Generic[W, N]):
    """Which W (Rollouts) name which N (Services, routes)."""

    def __init__(self) -> None:
        self._names: dict[W, frozenset[N]] = {}
        self._users: dict[N, set[W]] = {}

    def put(self, who: W, named: frozenset[N]) -> None:
        """`who` names exactly these."""
        before = self._names.get(who, frozenset[N]())
        if before == named:
            return
        for key in before - named:
            self._users[key].discard(who)
            if not self._users[key]:
                del self._users[key]
        for key in named:
            self._users.setdefault(key, set()).add(who)
        self._names[who] = named
        if not named:
            del self._names[who]

    def users(self, key: N) -> Iterable[W]:
        """Those that name `key`."""
        return tuple(self._users.get(key, ()))

    def named(self, who: W) -> frozenset[N]:
        """What `who` names."""
        return self._names.get(who, frozenset())

    def all(self) -> Iterable[W]:
        """Those that name anything."""
        return tuple(self._names)
