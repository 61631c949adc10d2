"""Who of the Rollouts is active at present, where a setting limits how many may be.

`reconcile` asks before each look and notes what was decided, both without a pause between them, so
that two never take one place. Nothing is stored: an engine that starts counts the statuses.
"""

from collections.abc import Callable, Iterable

from fleet.api.names import Key
from fleet.api.rollout import RolloutStatus
from fleet.kulta.core.gates import turns

Known = Callable[[], Iterable[tuple[Key, RolloutStatus]]]


class Turns:
    """See the module. `wake` is called with the key whose turn it is; a limit of 0 is none."""

    def __init__(self, limit: int, known: Known, wake: Callable[[Key], None]) -> None:
        self._limit, self._known, self._wake = limit, known, wake
        self._active: set[Key] | None = None
        self._queue: dict[Key, None] = {}
        """Who waits, in the order in which they came."""

    def is_full(self, key: Key) -> bool:
        """Whether there is no place for that one."""
        if not self._limit:
            return False
        if self._active is None:
            self._active = {known for known, status in self._known() if turns.is_active(status)}
        return key not in self._active and len(self._active) >= self._limit

    def note(self, key: Key, status: RolloutStatus, *, has_pods: bool = False) -> None:
        """This is where it stands now. `has_pods`: of some revision that is not the stable one,
        such as one that has just been replaced."""
        if self._active is None:
            return
        is_full = self.is_full(key)
        keeps = key in self._active and has_pods and turns.is_on_its_way(status)
        if turns.is_active(status) or keeps:
            self._active.add(key)
        else:
            self._active.discard(key)
        # Who could begin and does not, as its spec is invalid or it is being deleted, is no more
        # in line, though its status says so.
        if is_full and turns.is_queued(status):
            self._queue.setdefault(key)
        else:
            self._queue.pop(key, None)
        self._call()

    def forget(self, key: Key) -> None:
        """It is gone."""
        self._queue.pop(key, None)
        if self._active is not None:
            self._active.discard(key)
            self._call()

    def _call(self) -> None:
        places = self._limit - len(self._active or ())
        for key in list(self._queue)[: max(places, 0)]:
            self._wake(key)
