"""Hooks by HTTP: asked in the background, so that a slow one delays nobody, and told by a sink.

`reconcile` hands over the errands of a plan and goes on; when a hook has answered, or it is clear
that it will not, the Rollout's key is put into the queue and the next look holds the answer. Each
Rollout has its own attempts: the silence of one's hooks costs the others nothing.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Any

import orjson
import tenacity

from fleet import aio
from fleet.api.hooks import Hook
from fleet.api.names import Key
from fleet.clusters import web
from fleet.clusters.web import Call, Web
from fleet.errors import PermanentError, TemporaryError
from fleet.kulta.core.messages import webhooks as core
from fleet.kulta.core.messages.transition import Transition
from fleet.kulta.core.messages.webhooks import Errand
from fleet.kulta.core.observed import Heard, Inquiry
from fleet.kulta.runtime.sinks import News
from fleet.ports import Clock

SOONEST_SECONDS, LATEST_SECONDS = 0.5, 8.0
"""Between the attempts of one call."""
LONGEST_WORDS = 200
"""Characters that are kept of an answer."""

log = logging.getLogger(__name__)


class Caller:
    """POSTs to hooks; all attempts of a call end within a few minutes. `net` is its own, so that
    hooks that are silent keep no connection from those who ask for metrics."""

    def __init__(self, net: Web, *, soonest: float = SOONEST_SECONDS) -> None:
        self._web, self._soonest = net, soonest

    async def close(self) -> None:
        """End every connection; nobody calls any more."""
        await self._web.close()

    async def call(self, hook: Hook, body: dict[str, Any]) -> None:
        """Returns after a yes. Raises PermanentError with a sentence for a no, TemporaryError where
        no attempt got one or the other."""
        attempts = tenacity.AsyncRetrying(
            stop=tenacity.stop_after_attempt(1 + hook.retries),
            wait=tenacity.wait_exponential(multiplier=self._soonest, max=LATEST_SECONDS),
            retry=tenacity.retry_if_exception_type(TemporaryError),
            reraise=True,
        )
        await attempts(self._once, hook, orjson.dumps(body))

    async def _once(self, hook: Hook, body: bytes) -> None:
        where = web.site(hook.url)
        call = Call(
            method="POST",
            url=hook.url,
            name=where,
            headers={"Content-Type": "application/json"},
            body=body,
            seconds=float(hook.timeout_seconds),
        )
        web.check(await self._web.ask(call), where, LONGEST_WORDS)


class Errands:
    """`ask`, then `of`; `answered` is called with the key."""

    def __init__(self, caller: Caller, clock: Clock, answered: Callable[[Key], None]) -> None:
        self._caller, self._clock, self._answered = caller, clock, answered
        self._known: dict[Key, dict[Inquiry, Heard]] = {}
        self._asking: dict[Key, dict[Inquiry, asyncio.Task[None]]] = {}

    def of(self, key: Key) -> dict[Inquiry, Heard]:
        """What the hooks of a Rollout said last."""
        return dict(self._known.get(key, {}))

    def ask(self, key: Key, errands: Iterable[Errand]) -> None:
        """Ask whom nobody is asking; returns at once. Who is still asked about another revision of
        the Rollout is not asked any more."""
        for errand in errands:
            asking, inquiry = self._asking.setdefault(key, {}), errand.inquiry
            for old in [item for item in asking if item.revision != inquiry.revision]:
                asking.pop(old).cancel()
            if inquiry not in asking:
                asking[inquiry] = asyncio.create_task(self._ask(key, errand))

    def forget(self, key: Key) -> None:
        """The Rollout is gone: what is still asked about it is no answer to one of its name."""
        self._known.pop(key, None)
        for asking in self._asking.pop(key, {}).values():
            asking.cancel()

    async def close(self) -> None:
        """End what is under way, and the caller with it."""
        await aio.cancel(*(task for asking in self._asking.values() for task in asking.values()))
        await self._caller.close()

    async def _ask(self, key: Key, errand: Errand) -> None:
        inquiry, why = errand.inquiry, ""
        try:
            await self._caller.call(errand.hook, core.question(errand))
        except (PermanentError, TemporaryError) as error:
            why = str(error)
        finally:
            is_wanted = self._ends(key, inquiry)
        if not is_wanted:
            return
        about = {"namespace": key[0], "rollout": key[1], "hook": inquiry.hook}
        log.info("a hook was asked", extra={**about, "why": why or "yes"})
        kept = self._known.setdefault(key, {})
        for old in [item for item in kept if item.revision != inquiry.revision]:
            del kept[old]
        kept[inquiry] = Heard(is_yes=not why, at=self._clock.now(), said=why)
        self._answered(key)

    def _ends(self, key: Key, inquiry: Inquiry) -> bool:
        """The task that runs has asked; whether anybody wants to know."""
        asking = self._asking.get(key, {})
        if asking.get(inquiry) is not asyncio.current_task():
            return False
        del asking[inquiry]
        if not asking:
            del self._asking[key]
        return True


class Told:
    """The sink of hooks that are told of decisions: each with its own retries, then given up, so
    that a dead one keeps nobody's diary from being told."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def write(self, news: News) -> bytes | None:
        found = core.told(news) if isinstance(news, Transition) else []
        rows = [{"hook": hook.manifest(), "body": body} for hook, body in found]
        return orjson.dumps(rows) if rows else None

    async def send(self, letter: bytes) -> None:
        rows = [(Hook.model_validate(x["hook"]), x["body"]) for x in orjson.loads(letter)]
        results = await asyncio.gather(
            *(self._caller.call(hook, body) for hook, body in rows), return_exceptions=True
        )
        errors = []
        for (hook, _), error in zip(rows, results, strict=True):
            if isinstance(error, PermanentError | TemporaryError):
                errors.append(f"hook {hook.name}: {error}")
            elif error is not None:
                raise error
        if errors:
            raise PermanentError("; ".join(errors))
