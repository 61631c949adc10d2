"""The gates before and after a wave: what each of them asks, and what it says while it is closed.

Called by `gates`, `walk` and `requests`. Each kind of gate is a function of one signature and an
entry in `ASK`. All gates of one side of a wave have to be open at the same moment; the first that
is closed, in the order of the policy, says why. Nothing is remembered here: what a person opened
stands in the wave's status, what a hook answered is observed, windows are read from the clock.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from fleet.api.fleetrollout import PlannedWave, WaveStatus
from fleet.api.waves import Gate
from fleet.hub.core.actions import AskHook
from fleet.hub.core.observed import HookAnswer
from fleet.hub.core.run.stops import Stop
from fleet.kit import durations, phrases, windows

BEFORE, AFTER = "before", "after"
ANSWER_SECONDS = 30
"""So long an answer of a hook counts; then it is asked again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """The gates before a wave, or those after it, and all that they may look at."""

    wave: PlannedWave
    status: WaveStatus
    name: str
    """BEFORE or AFTER."""
    digest: str
    """Of the run's plan."""
    answers: Mapping[str, HookAnswer]
    """What hooks answered, by `<wave>/<place>`."""
    drift: timedelta = timedelta(0)
    """How far the clock on the wall, by which windows open, is ahead of `now`."""

    @property
    def gates(self) -> tuple[Gate, ...]:
        return self.wave.before if self.name == BEFORE else self.wave.after

    def place(self, index: int) -> str:
        return f"{self.name}[{index}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One gate at one moment."""

    side: Side
    place: str
    gate: Gate
    now: datetime

    @property
    def about(self) -> str:
        """`wave eu waits`, so that every sentence begins the same."""
        is_done = "is done and " if self.side.name == AFTER else ""
        return f"wave {self.side.wave.name} {is_done}waits"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a gate is closed, and when time alone may change that."""

    stop: Stop | None = None
    due: datetime | None = None


Ask = Callable[[Question], Verdict]


def approval(question: Question) -> Verdict:
    """A person has said yes to this very plan, not too long ago."""
    gate, side = question.gate.approval, question.side
    assert gate is not None
    seen = next((one for one in side.status.passes if one.gate == question.place), None)
    verb = f"approve/<id>/{side.wave.name}:{side.digest}"
    expired = ""
    if seen is not None and seen.time is not None:
        end = seen.time + durations.parse(gate.expires_after)
        if question.now < end:
            return Verdict(due=end)
        expired = f"; that of {seen.by or 'somebody'} expired at {phrases.clock(end)}"
    return Verdict(
        stop=Stop(
            reason="AwaitingApproval",
            message=f"{question.about} for an approval{expired}: write the request {verb}",
            unblock=f"the request {verb}",
        )
    )


def schedule(question: Question) -> Verdict:
    """The window is open, by the clock on the wall."""
    gate, drift = question.gate.schedule, question.side.drift
    assert gate is not None
    length = durations.parse(gate.duration)
    window = windows.at(gate.cron, gate.time_zone, length, question.now + drift)
    if window.closes is not None:
        return Verdict(due=window.closes - drift)
    return Verdict(
        stop=Stop(
            reason="OutsideWindow",
            message=f"{question.about} for its window, which opens at {phrases.day(window.opens)}",
            until=window.opens - drift,
            unblock="its next window",
        ),
        due=window.opens - drift,
    )


def hook(question: Question) -> Verdict:
    """Whoever was asked has said yes a moment ago."""
    gate = question.gate.hook
    assert gate is not None
    answer = question.side.answers.get(f"{question.side.wave.name}/{question.place}")
    due = answer.at + timedelta(seconds=ANSWER_SECONDS) if answer else None
    if answer is not None and answer.yes and due is not None and question.now < due:
        return Verdict(due=due)
    host = urlsplit(gate.url).hostname or gate.url
    said = "has not answered yet" if answer is None or answer.yes else answer.message
    return Verdict(
        stop=Stop(
            reason="AwaitingHook",
            message=f"{question.about} for {host}: {said}",
            unblock=f"an answer 2xx of {host}",
        ),
        due=due,
    )


def paused(question: Question) -> Verdict:
    """A person has let the wave through."""
    side = question.side
    if any(one.gate == question.place for one in side.status.passes):
        return Verdict()
    verb = f"promote/<id>/{side.wave.name}"
    return Verdict(
        stop=Stop(
            reason="AwaitingPromotion",
            message=f"{question.about} for a person: write the request {verb}",
            unblock=f"the request {verb}",
        )
    )


ASK: Mapping[str, Ask] = {
    "approval": approval,
    "schedule": schedule,
    "hook": hook,
    "paused": paused,
}
"""By the gate's kind; a soak is the wave's own clock (`walk`)."""


def verdicts(side: Side, now: datetime) -> Iterator[tuple[Question, Verdict]]:
    """Each gate of that side, up to the first that is closed: who comes later is not asked yet."""
    for index, gate in enumerate(side.gates):
        question = Question(side=side, place=side.place(index), gate=gate, now=now)
        found = ASK[gate.kind](question)
        yield question, found
        if found.stop is not None:
            return


def first(side: Side, now: datetime) -> Stop | None:
    """Why that side is closed; None where it is open."""
    return next((one.stop for _, one in verdicts(side, now) if one.stop is not None), None)


def window(side: Side, now: datetime) -> Stop | None:
    """The schedules of that side alone: they bind every start of a wave that has begun."""
    for index, gate in enumerate(side.gates):
        if gate.schedule is not None:
            question = Question(side=side, place=side.place(index), gate=gate, now=now)
            if stop := schedule(question).stop:
                return stop
    return None


def due(side: Side, now: datetime) -> datetime | None:
    """When to look at that side again."""
    moments = (one.due for _, one in verdicts(side, now))
    return min((moment for moment in moments if moment and moment > now), default=None)


def asks(side: Side, now: datetime) -> Iterator[AskHook]:
    """The hooks whose turn it is and whose last answer has grown old."""
    for question, verdict in verdicts(side, now):
        gate = question.gate.hook
        if gate is None or (verdict.due is not None and now < verdict.due):
            continue
        yield AskHook(
            wave=side.wave.name,
            gate=question.place,
            url=gate.url,
            seconds=durations.seconds(gate.timeout),
        )
