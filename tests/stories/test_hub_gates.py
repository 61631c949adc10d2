"""Gates on the way of whole runs: approvals bound to what was seen, windows, soaks, pauses."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from fleet.api.fleetrollout import RunPhase
from tests.hub import world

APPROVAL = {"approval": {"expiresAfter": "1h"}}
MINUTE = timedelta(minutes=1)


def policy(*before: dict[str, Any], after: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    first = {"name": "one", "clusters": ["a"], "after": list(after)}
    return {"waves": [first, {"name": "two", "remaining": True, "before": list(before)}]}


def waiting(phase: RunPhase, **given: Any) -> world.World:
    """Until the run waits so, for the second wave."""
    here = world.new("a", "b", **given)
    for _ in range(60):
        here = world.tick(here)
        if here.runs and here.run.status.phase is phase:
            return here
    raise AssertionError(here.run.status)


def approval(here: world.World, number: int, digest: str = "", wave: str = "two") -> world.World:
    text = f"approve/{number}/{wave}:{digest or here.run.status.plan_digest}"
    return replace(here, request=text)


def told(here: world.World) -> str:
    return here.run.status.history[-1].message


def test_an_approved_wave_goes() -> None:
    here = waiting(RunPhase.AWAITING_APPROVAL, **policy(APPROVAL))
    assert here.started == ["a"]
    done = world.settle(approval(here, 1))
    assert (done.started, done.run.status.phase) == (["a", "b"], RunPhase.SUCCEEDED)


def test_an_approval_of_what_was_seen_before_does_not_count() -> None:
    """[MT-10] Another revision is another plan: the old digest is answered with the new one."""
    old = waiting(RunPhase.AWAITING_APPROVAL, **policy(APPROVAL))
    digest = old.run.status.plan_digest
    here = world.deliver(old, "shop:v2", **policy(APPROVAL))
    here = world.settle(here)
    assert here.run.status.phase is RunPhase.AWAITING_APPROVAL
    assert here.run.status.plan_digest != digest
    here = world.settle(approval(here, 1, digest))
    new = here.run.status.plan_digest
    assert told(here) == (
        f"the approval is for plan {digest}, this run's is {new}: look at it, then write "
        f"approve/<id>/two:{new}"
    )
    assert here.run.status.phase is RunPhase.AWAITING_APPROVAL
    assert "b" not in here.started


def test_an_approval_that_nobody_used_in_time() -> None:
    """[MT-11] The window opened too late: the wave waits for an approval again."""
    late = {"schedule": {"cron": "0 15 * * *", "duration": "1h"}}
    here = waiting(RunPhase.AWAITING_APPROVAL, **policy(APPROVAL, late))
    here = world.settle(approval(here, 1))
    assert here.run.status.phase is RunPhase.OUTSIDE_WINDOW
    assert here.run.status.next_check is not None
    assert here.run.status.until is not None
    assert here.run.status.next_check < here.run.status.until, "it looks when the yes grows old"
    here = world.settle(replace(here, now=here.run.status.next_check))
    assert here.run.status.phase is RunPhase.AWAITING_APPROVAL
    assert "expired at" in here.run.status.message
    here = world.settle(approval(here, 2))
    assert here.run.status.phase is RunPhase.OUTSIDE_WINDOW, "that of now is too early again"
    assert here.run.status.until is not None
    here = world.settle(approval(replace(here, now=here.run.status.until), 3))
    assert (here.started, here.run.status.phase) == (["a", "b"], RunPhase.SUCCEEDED)


def test_soak_first_then_a_person() -> None:
    after = ({"soak": "5m"}, {"paused": True})
    here = waiting(RunPhase.SOAKING, **policy(after=after))
    early = world.settle(replace(here, request="promote/1/one"))
    assert told(early) == "nothing to promote: a is Succeeded"
    here = world.tick(world.tick(world.tick(early, seconds=300)))
    assert (here.run.status.phase, here.started) == (RunPhase.PAUSED, ["a"])
    assert here.run.status.reason == "AwaitingPromotion"
    done = world.settle(replace(here, request="promote/2"))
    assert (done.started, done.run.status.phase) == (["a", "b"], RunPhase.SUCCEEDED)


def test_a_halt_keeps_the_gates_where_they_are() -> None:
    """A pause by request over an approval: the approval counts when the pause is over."""
    here = waiting(RunPhase.AWAITING_APPROVAL, **policy(APPROVAL))
    since = here.run.status.waves[1].waiting_since
    here = world.settle(replace(here, request="pause/1"))
    assert here.run.status.phase is RunPhase.PAUSED
    here = world.settle(approval(here, 2))
    assert (here.run.status.phase, here.started) == (RunPhase.PAUSED, ["a"])
    assert here.run.status.waves[1].waiting_since == since
    done = world.settle(replace(here, request="resume/3"))
    assert done.run.status.phase is RunPhase.SUCCEEDED


def test_each_wait_has_its_own_beginning() -> None:
    """One approval after the other, for two waves: the second wait is a new one."""
    here = waiting(RunPhase.AWAITING_APPROVAL, **policy(APPROVAL, after=(APPROVAL,)))
    first = here.run.status.since
    here = world.tick(world.tick(approval(here, 1, wave="one"), seconds=60))
    assert (here.run.status.phase, here.started) == (RunPhase.AWAITING_APPROVAL, ["a"])
    assert here.run.status.unblock.endswith(f"/two:{here.run.status.plan_digest}")
    assert first is not None
    assert here.run.status.since is not None
    assert here.run.status.since > first


def test_a_hub_that_suspects_itself_while_the_first_wave_waits() -> None:
    """A run that has said what it waits for is not new any more."""
    hook = {"hook": {"url": "https://gate.example.com/ok"}}
    here = world.new("a", waves=[{"name": "all", "remaining": True, "before": [hook]}])
    here = world.tick(world.tick(here))
    assert (here.run.status.phase, here.run.status.reason) == (RunPhase.PROGRESSING, "AwaitingHook")
    here = world.tick(replace(here, isolated=True))
    assert (here.run.status.phase, here.run.status.reason) == (RunPhase.PROGRESSING, "HubIsolated")
    done = world.settle(replace(here, isolated=False, gate=True, now=here.now + MINUTE))
    assert done.run.status.phase is RunPhase.SUCCEEDED
