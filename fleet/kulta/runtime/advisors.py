"""Advisors: asked by HTTP in the background, so that a slow one delays nobody.

`reconcile` hands over the question of a plan and goes on; when the answer is there, or it is clear
that none will come, the Rollout's key is put into the queue and the next look holds it. Nothing is
retried: the next question comes by itself.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Protocol

import orjson

from fleet import aio
from fleet.api.names import Key
from fleet.clusters import web
from fleet.clusters.web import Call, Web
from fleet.errors import PermanentError, TemporaryError
from fleet.kulta.core.messages import advisors
from fleet.kulta.core.messages.advised import Advised
from fleet.kulta.core.messages.advisors import Question
from fleet.kulta.core.observed import Consulted, Recommendation
from fleet.ports import Clock
from fleet.telemetry.metrics import EngineMetrics

LONGEST_WORDS = 200
"""Characters that are kept of an answer that is none."""

log = logging.getLogger(__name__)


class AdviceSource(Protocol):
    """Says what it would do."""

    async def ask(self, question: Question) -> Recommendation:
        """Raises TemporaryError with a sentence when there is no answer, or none of sense."""


class Silent:
    """The advisor of those who have none: go on, but not because of me."""

    async def ask(self, question: Question) -> Recommendation:
        return Recommendation(action="Continue")


class HttpAdvisor:
    """One that is asked by POST at the address that the Rollout names."""

    def __init__(self, net: Web) -> None:
        self._web = net

    async def ask(self, question: Question) -> Recommendation:
        wish = question.rollout.spec.advisor
        if wish.endpoint is None:
            return await Silent().ask(question)
        call = Call(
            method="POST",
            url=wish.endpoint,
            headers={"Content-Type": "application/json", "Accept": "application/json"},
            body=orjson.dumps(advisors.body(question)),
            seconds=float(wish.timeout_seconds),
        )
        answer, where = await self._web.ask(call), web.shown(wish.endpoint)
        try:
            web.check(answer, where, LONGEST_WORDS)
            return advisors.read(orjson.loads(answer.body))
        except PermanentError as error:
            raise TemporaryError(str(error)) from None
        except orjson.JSONDecodeError:
            raise TemporaryError(f"{where}: it answered with something that is not JSON") from None
        except ValueError as error:
            raise TemporaryError(f"{where}: {error}") from None


class Consultations:
    """`ask`, then `of`; `answered` is called with the key, `tell` with each answer."""

    def __init__(
        self,
        advisor: AdviceSource,
        clock: Clock,
        metrics: EngineMetrics,
        answered: Callable[[Key], None],
        tell: Callable[[Key, Advised], None],
    ) -> None:
        self._advisor, self._clock, self._metrics = advisor, clock, metrics
        self._answered, self._tell = answered, tell
        self._known: dict[Key, Consulted] = {}
        self._asking: dict[Key, asyncio.Task[None]] = {}

    def of(self, key: Key) -> Consulted | None:
        """How asking went last; None before the first time."""
        return self._known.get(key)

    def ask(self, key: Key, questions: Iterable[Question]) -> None:
        """Ask, unless a question about this Rollout is under way; returns at once."""
        for question in questions:
            if key not in self._asking:
                self._asking[key] = asyncio.create_task(self._consult(key, question))

    def forget(self, key: Key) -> None:
        """The Rollout is gone."""
        self._known.pop(key, None)

    async def close(self) -> None:
        """End what is under way."""
        await aio.cancel(*self._asking.values())

    async def _consult(self, key: Key, question: Question) -> None:
        said, error = None, ""
        try:
            said = await self._advisor.ask(question)
        except TemporaryError as problem:
            error = str(problem)
            before = self._known.get(key)
            if before is None or before.error != error:
                log.warning("an advisor gives no advice", extra={"why": error})
        finally:
            del self._asking[key]
        self._metrics.advised("failed" if said is None else "answered")
        self._remember(key, question, said, error)
        self._answered(key)

    def _remember(
        self, key: Key, question: Question, said: Recommendation | None, error: str
    ) -> None:
        """The newest answer, or the failure beside the answer before it, if that was about this."""
        now, status, before = self._clock.now(), question.rollout.status, self._known.get(key)
        about = (status.current_pod_hash, status.current_step_index)
        answered_at = now
        if said is None and before is not None and (before.revision, before.step) == about:
            said, answered_at = before.recommendation, before.answered_at or now
        elif said is not None:
            self._tell(key, Advised(question=question, recommendation=said, at=now))
        self._known[key] = Consulted(
            revision=status.current_pod_hash,
            step=status.current_step_index,
            is_healthy=question.is_healthy,
            at=now,
            error=error,
            recommendation=said,
            answered_at=answered_at if said is not None else None,
        )
