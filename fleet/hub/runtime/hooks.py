"""The HTTP gates of waves: who may be asked, the asking, and the last answers.

Called by `reconcile` with what a plan asks for. One question at a time for each gate; the answer
wakes the run. Answers live as long as the process: after a restart everybody is asked again. Only
hosts that the administrator names are asked; addresses are judged by the port that asks.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

from fleet.aio import WorkQueue
from fleet.api import FleetRollout
from fleet.api.names import Key
from fleet.errors import TemporaryError
from fleet.hub.core.actions import AskHook
from fleet.hub.core.observed import HookAnswer
from fleet.kit import phrases
from fleet.ports import Clock, Gatekeeper

WORDS = 200
"""Characters that are kept of an answer."""

log = logging.getLogger(__name__)


class Hooks:
    """What hooks have answered, by run."""

    def __init__(self, keeper: Gatekeeper, hosts: Sequence[str], clock: Clock) -> None:
        self._keeper, self._hosts, self._clock = keeper, tuple(hosts), clock
        self._answers: dict[Key, dict[str, HookAnswer]] = {}
        self._asking: dict[tuple[Key, str], asyncio.Task[None]] = {}

    def answers(self, key: Key) -> Mapping[str, HookAnswer]:
        """The last answers for that run, by `<wave>/<place>`."""
        return self._answers.get(key, {})

    def ask(self, run: FleetRollout, asks: Sequence[AskHook], wake: WorkQueue[Key]) -> None:
        """Ask in the background what is not being asked already; each answer wakes the run."""
        key = (run.namespace, run.name)
        for one in asks:
            place = f"{one.wave}/{one.gate}"
            if (key, place) not in self._asking:
                asking = self._ask(run, one, wake)
                self._asking[key, place] = asyncio.create_task(asking, name=f"hook {place}")

    def forget(self, key: Key) -> None:
        """The run is over."""
        self._answers.pop(key, None)

    async def _ask(self, run: FleetRollout, one: AskHook, wake: WorkQueue[Key]) -> None:
        key, place = (run.namespace, run.name), f"{one.wave}/{one.gate}"
        try:
            yes, message = await self._answer(run, one)
            now = self._clock.now()
            answer = HookAnswer(yes=yes, message=phrases.short(message, WORDS), at=now)
            self._answers.setdefault(key, {})[place] = answer
        finally:
            del self._asking[key, place]
            wake.add(key)

    async def _answer(self, run: FleetRollout, one: AskHook) -> tuple[bool, str]:
        host = (urlsplit(one.url).hostname or "").lower()
        if not any(fnmatchcase(host, pattern) for pattern in self._hosts):
            return False, (
                "it is not asked, for an administrator has not named it in KULTA_HOOK_HOSTS of "
                "the hub"
            )
        body = {
            "application": run.spec.application.name,
            "namespace": run.namespace,
            "run": run.name,
            "revision": run.spec.revision,
            "wave": one.wave,
            "gate": one.gate,
        }
        try:
            status, said = await self._keeper.ask(one.url, body, one.seconds)
        except TemporaryError as error:
            return False, str(error)
        log.info("a hook answered", extra={"run": run.name, "wave": one.wave, "code": status})
        return 200 <= status < 300, f"it answered {status}{f': {said}' if said else ''}"
