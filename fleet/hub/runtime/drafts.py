"""What the templates of tenants make, asked for and kept: printed aside, in processes with limits.

    find ──> kept ──────────────────────────────────────────────> the objects, or why there are none
         └─> not yet: Unrendered ──then──> who asked is woken, and asks again
                  └─> the Application's lane ──in turn──> press ──> looked at ──> kept

Used by `renders`; nobody waits for a template, so none holds up anybody. Tenants take turns, and
each one's Applications, which have a lane each: what is slow delays its own tenant.
"""

import asyncio
import itertools
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from fleet.api.conditions import MESSAGE_LIMIT
from fleet.api.names import Key
from fleet.errors import TemporaryError, UserError
from fleet.ports import Press, Printed
from fleet.rendering import printing, tenant
from fleet.rendering.environment import TEMPLATES, TemplateSet
from fleet.rendering.render import CLUSTER, Drawn, accepted, key
from fleet.telemetry.metrics import HubMetrics

AT_ONCE = 2
"""Processes that print, however many tenants there are."""
WAITING = 16
"""Jobs of a lane; of those that ask for more, as many ask again as places come free."""
MOST = 1_000
"""Templates of which it is known whether they are alike."""
MOST_BYTES = 128 * 2**20
"""Of renderings that are kept, whoever asks for them; those of most Applications are 10 KB each."""
LEAST_BYTES = 5_000
"""What an error takes at most, and nearly any rendering."""
RETRY_SECONDS = 1.0

log = logging.getLogger(__name__)

Wakers = dict[tuple[Callable[[Key], None], Key], None]
"""In the order in which they asked."""
Outcome = tuple[Drawn, ...] | UserError
_Mark = tuple[str, str]
"""Tenant and digest of the templates."""
_Place = tuple[_Mark, str]


class Unrendered(TemporaryError):
    """It is being printed; `then` says who is to be woken when that is done."""

    def __init__(self, wakers: Wakers) -> None:
        super().__init__("its templates are being printed")
        self._wakers = wakers

    def then(self, wake: Callable[[Key], None], key: Key) -> None:
        """Have `wake(key)` called, once."""
        self._wakers[wake, key] = None


@dataclass(eq=False, slots=True, kw_only=True)
class _Job:
    place: _Place
    files: Mapping[str, str]
    values: Mapping[str, Any]
    wakers: Wakers = field(default_factory=dict)


@dataclass(eq=False, slots=True)
class _Lane:
    jobs: OrderedDict[_Place, _Job] = field(default_factory=OrderedDict)
    wakers: Wakers = field(default_factory=dict)
    """Those who had no place in it."""
    is_busy: bool = False


def _called(lane: _Lane) -> Wakers:
    """Those who had no place and ask again now; all, where nothing is left that would end.

    Each that asks costs the hub something. Who needs a place no more leaves it free, and the next
    end calls one more.
    """
    free = WAITING - len(lane.jobs) if lane.jobs else len(lane.wakers)
    called = dict.fromkeys(itertools.islice(lane.wakers, free))
    for one in called:
        del lane.wakers[one]
    return called


class Drafts:
    """See the module. `run` prints until it is cancelled."""

    def __init__(self, press: Press, templates: TemplateSet, metrics: HubMetrics) -> None:
        self._press, self._templates, self._metrics = press, templates, metrics
        self._lanes: OrderedDict[str, OrderedDict[str, _Lane]] = OrderedDict()
        """By tenant and Application; whose turn is next stands first. Each lane has a job."""
        self._kept: OrderedDict[_Place, tuple[Outcome, int]] = OrderedDict()
        self._bytes = 0
        self._alike: OrderedDict[_Mark, bool] = OrderedDict()
        """Whether templates make the same for every member; known when they have printed once."""
        self._ready = asyncio.Event()

    def find(
        self, owner: Key, files: Mapping[str, str], values: Mapping[str, Any]
    ) -> tuple[Drawn, ...]:
        """What an Application's own templates make of `values`.

        Raises UserError as `rendering.render` does, without the cluster's name; Unrendered.
        """
        mark = (owner[0], tenant.digest(files))
        place = (mark, key(values, alike=self._alike.get(mark, False)))
        found = self._kept.get(place)
        if found is None:
            raise Unrendered(self._asked(owner, place, files, values))
        self._kept.move_to_end(place)
        outcome, _ = found
        if isinstance(outcome, UserError):
            raise UserError(outcome.reason, str(outcome))
        return outcome

    async def run(self) -> None:
        """Print what is asked for until cancelled; ends the processes."""
        try:
            async with asyncio.TaskGroup() as workers:
                for _ in range(AT_ONCE):
                    workers.create_task(self._work())
        finally:
            await self._press.close()

    def _asked(
        self, owner: Key, place: _Place, files: Mapping[str, str], values: Mapping[str, Any]
    ) -> Wakers:
        """Who is woken by what has to be done first."""
        space, name = owner
        lane = self._lanes.setdefault(space, OrderedDict()).setdefault(name, _Lane())
        if place in lane.jobs:
            return lane.jobs[place].wakers
        # The first shows whether the others need a job of their own, and whether it ends at all.
        if len(lane.jobs) >= (WAITING if place[0] in self._alike else 1):
            return lane.wakers
        job = lane.jobs[place] = _Job(
            place=place, files=dict(self._templates.replaced(files).files), values=values
        )
        self._ready.set()
        return job.wakers

    async def _work(self) -> None:
        while True:
            owner, lane = await self._next()
            job = next(iter(lane.jobs.values()))
            try:
                if not await self._do(owner, lane, job):
                    await asyncio.sleep(RETRY_SECONDS)
            finally:
                lane.is_busy = False
                if lane.jobs:
                    self._ready.set()
                else:
                    self._close(owner)

    async def _next(self) -> tuple[Key, _Lane]:
        """Whose turn it is: of the tenants that wait, whoever has waited longest."""
        while True:
            for space, lanes in self._lanes.items():
                for name, lane in lanes.items():
                    if not lane.is_busy:
                        lane.is_busy = True
                        self._lanes.move_to_end(space)
                        lanes.move_to_end(name)
                        return (space, name), lane
            self._ready.clear()
            await self._ready.wait()

    def _close(self, owner: Key) -> None:
        space, name = owner
        del self._lanes[space][name]
        if not self._lanes[space]:
            del self._lanes[space]

    async def _do(self, owner: Key, lane: _Lane, job: _Job) -> bool:
        """Print once; whether it is known now what comes of it."""
        outcome: Outcome
        result: Literal["success", "error", "retried"] = "error"
        weight = LEAST_BYTES
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            printed = await self._press.print(owner[0], job.files, TEMPLATES, job.values)
            self._learn(job.place[0], printed)
            outcome = accepted(printed.documents, job.values, own=True)
            result, weight = "success", max(weight, printed.weight)
        except UserError as error:  # not itself: it holds all that was printed, by its traceback
            outcome = UserError(error.reason, str(error)[:MESSAGE_LIMIT])
        except (*printing.MISTAKES, RecursionError):
            log.exception("what templates print makes no sense", extra={"owner": owner})
            outcome = printing.error("templates: what they print makes no sense")
        except TemporaryError as error:
            log.warning("templates cannot be printed", extra={"owner": owner, "why": str(error)})
            result = "retried"
            return False
        finally:
            self._metrics.printed(result, loop.time() - began)
        mark = job.place[0]
        self._keep((mark, key(job.values, alike=self._alike.get(mark, False))), outcome, weight)
        del lane.jobs[job.place]
        for wake, whom in (*job.wakers, *_called(lane)):
            wake(whom)
        return True

    def _learn(self, mark: _Mark, printed: Printed) -> None:
        self._alike[mark] = CLUSTER not in printed.names
        self._alike.move_to_end(mark)
        if len(self._alike) > MOST:
            self._alike.popitem(last=False)

    def _keep(self, place: _Place, outcome: Outcome, weight: int) -> None:
        """The newest is kept whatever it weighs: who asked for it is about to ask again."""
        weight += len(place[1])
        _, before = self._kept.pop(place, (None, 0))
        self._kept[place] = outcome, weight
        self._bytes += weight - before
        while self._bytes > MOST_BYTES and len(self._kept) > 1:
            _, (_, least) = self._kept.popitem(last=False)
            self._bytes -= least
