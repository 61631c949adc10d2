"""The circuit breaker of one API server, as a pure state machine.

    CLOSED ──5 failures in a row──> OPEN ──cool-down over, one request admitted──> PROBING
       ^                             ^                                              │
       └──── any success ────────────┴────────────── probe failed ──────────────────┘

Held and stepped by `transport`, which passes the monotonic time and the chance; every step returns
a new value. What a failure is, the transport decides: no answer, or a 5xx about the server itself.
"""

from dataclasses import dataclass, replace
from enum import Enum

from fleet.kit import backoff


class Circuit(Enum):
    """Whether requests may go."""

    CLOSED = "closed"
    OPEN = "open"
    PROBING = "half-open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """`threshold` failures in a row open it for `base`·2ⁿ seconds, at most `cap`, spread by half.

    `until` is the monotonic time at which a probe may go, meaningful when not closed.
    """

    threshold: int = 5
    base: float = 5.0
    cap: float = 300.0
    state: Circuit = Circuit.CLOSED
    failures: int = 0
    trips: int = 0
    until: float = 0.0

    def admit(self, now: float) -> "Breaker | None":
        """The breaker after letting one request go, or None when none may go now."""
        if self.state is Circuit.CLOSED:
            return self
        if self.state is Circuit.PROBING or now < self.until:
            return None
        return replace(self, state=Circuit.PROBING)

    def succeed(self) -> "Breaker":
        """After any answer that shows the server alive."""
        if self.state is Circuit.CLOSED and not self.failures:
            return self
        return replace(self, state=Circuit.CLOSED, failures=0, trips=0, until=0.0)

    def fail(self, now: float, chance: float) -> "Breaker":
        """After a failure. A request that was under way when the circuit opened changes nothing."""
        if self.state is Circuit.OPEN:
            return self
        failures = self.failures + 1
        if self.state is Circuit.CLOSED and failures < self.threshold:
            return replace(self, failures=failures)
        trips = self.trips + 1
        wait = backoff.delay(trips, base=self.base, cap=self.cap, chance=chance)
        return replace(self, state=Circuit.OPEN, failures=failures, trips=trips, until=now + wait)

    def abandon(self) -> "Breaker":
        """After a request that was cancelled: a probe that told nothing may be tried again."""
        if self.state is not Circuit.PROBING:
            return self
        return replace(self, state=Circuit.OPEN)
