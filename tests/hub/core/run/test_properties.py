"""What must hold in every world: small fleets, random policies, failures, losses, two revisions.

How often each phase, gate, policy and fault was reached is printed; a zero fails, for a promise
that is never put to the test is none.
"""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.api import FleetRollout
from fleet.api.fleetrollout import ClusterPhase, PlannedWave, RunPhase, WavePhase, WaveStatus
from fleet.hub.core import phases
from fleet.hub.core.member import selection
from fleet.hub.core.observed import RunObserved
from fleet.hub.core.run import gates, rows
from fleet.kit import durations, windows
from tests import search
from tests.hub import gen, world
from tests.hub.world import ClusterName, World

pytestmark = [search.in_time, pytest.mark.hypothesis]

NAMES = ("a", "b", "c", "d")
LARGE = (60, 200) if search.MANY > 1_000 else (20,)
"""Members of large fleets."""
TICKS = 30
WORLDS = 60
SECONDS = 15

APPROVAL, PAUSED, SOAK = {"approval": {"expiresAfter": "2m"}}, {"paused": True}, {"soak": "30s"}
HOOK = {"hook": {"url": "https://gate.example.com/"}}
WINDOW = {"schedule": {"cron": "*/4 * * * *", "duration": "2m"}}
GATES = [APPROVAL, PAUSED, HOOK, WINDOW]

LOSSES = ("lose", "silence", "meet", "regain")
ON_ONE = (*LOSSES, "lose", "meet", "meet", "leave", "skip", "rollback", "promote")
ON_ALL = ("pause", "resume", "retry", "abort", "rollback", "unblock", "gate", "crash", "isolate")
PAUSES = {"canary": {"steps": [{"setWeight": 50, "pause": {}}, {"setWeight": 100}]}}

Event = tuple[str, str]


def events(dice: Random, names: Sequence[str] = NAMES) -> dict[int, Event]:
    """What happens at which tick."""
    found: dict[int, Event] = {0: ("meet", names[0])} if dice.random() < 0.2 else {}
    for _ in range(dice.randint(2, 10)):
        found[dice.randint(2, TICKS - 8)] = dice.choice(
            [
                (dice.choice(ON_ONE), dice.choice(names)),
                (dice.choice(ON_ALL), ""),
                ("deliver", dice.choice(["shop:v3", "shop:bad"])),
                ("join", ""),
            ]
        )
    return found


def policy(dice: Random, names: Sequence[str] = NAMES) -> dict[str, Any]:
    """A valid deliveryPolicy over the members."""
    amounts = [1, 2, "40%", "100%"]
    waves: list[dict[str, Any]] = [{"name": "rest", "remaining": True}]
    waves[0]["before"] = dice.choice([[], [], *([gate] for gate in GATES)])
    match dice.randint(0, 3):
        case 0:
            waves.insert(0, {"name": "none", "clusterSelector": {"matchLabels": {"ring": "none"}}})
        case 1 | 2:
            after = dice.choice([[], [SOAK], [SOAK, APPROVAL], [PAUSED], [HOOK]])
            first = sorted(dice.sample(names, min(dice.randint(1, 3), len(names))))
            waves.insert(0, {"name": "first", "clusters": first, "after": after})
    return {
        "strategy": dice.choice([gen.CANARY, gen.CANARY, PAUSES]),
        "waves": waves,
        "maxConcurrency": dice.choice(amounts),
        "failureBudget": dice.choice([0, 1, "40%"]),
        "progressDeadline": dice.choice(["1m", "30m"]),
        "onFailure": dice.choice(["Halt", "Continue", "Rollback"]),
        "haltOnFirstFailedAnalysis": dice.choice([True, False]),
        "onNewRevision": dice.choice(["Supersede", "Supersede", "Queue"]),
        "membershipChanges": dice.choice(["Append", "Append", "NextRun", "Abort"]),
        "unavailableClusters": {
            "policy": dice.choice(["Defer", "Skip", "Block"]),
            "timeout": dice.choice(["1m", "2h"]),
        },
        "limits": dice.choice([{}, {"minInterval": "2m"}, {"maxTrafficShareOnNewRevision": "30%"}]),
    }


def changed(here: World, event: Event, number: int, given: dict[str, Any]) -> World:
    """The world after the event."""
    verb, argument = event
    if verb in LOSSES:
        return getattr(world, verb)(here, argument)  # type: ignore[no-any-return]
    if verb == "deliver":
        return world.deliver(here, argument, **given)
    if verb in FAULTS:
        return FAULTS[verb](here, argument)
    text = f"{verb}/{number}/{argument}".rstrip("/")
    return replace(here, request=advice(here, number) if verb == "unblock" else text)


def joined(here: World, _: str) -> World:
    key = ClusterName("e")
    members = {**here.members, key: gen.member("e", ring="rest")}
    return replace(here, members=members, objects={key: {}, **here.objects})


def left(here: World, name: str) -> World:
    member = here.members[ClusterName(name)]
    gone = replace(member, cluster=gen.cluster(name, tier="none"))
    return replace(here, members=here.members | {ClusterName(name): gone})


FAULTS: Mapping[str, Callable[[World, str], World]] = {
    "gate": lambda here, _: replace(here, gate=not here.gate),
    "crash": lambda here, _: replace(here, crash_at=here.writes + 2),
    "isolate": lambda here, _: replace(here, isolated=not here.isolated),
    "join": joined,
    "leave": left,
}


def advice(here: World, number: int) -> str:
    """The request that the run itself says would unblock it; any other where it names none."""
    found = re.search(r"the request ([a-z]+(?:/<id>[^,]*)?)", here.run.status.unblock)
    text = found[1] if found else "resume"
    if text == "resume" and here.run.status.halted_at and number % 8 == 3:
        text = "retry"  # the next of the ways out
    return text.replace("<id>", str(number)) if "<id>" in text else f"{text}/{number}"


def look(here: World, run: FleetRollout) -> tuple[rows.Row, ...]:
    """Where they stand. Who is lost has its time from when the hub knows that itself is not."""
    observed = RunObserved(
        members=here.members,
        clusters=here.items,
        newest=run.spec.number,
        fleet=frozenset(selection.select(here.fleet, here.members).chosen) or None,
        isolated=here.isolated or run.status.reason == gates.ISOLATED,
    )
    return rows.look(run, observed, here.now)


def check(before: World, after: World) -> None:
    """The promises of the planner, over one tick. A hub that ends in it may have let somebody go,
    in a wave or out of a halt, without having written that."""
    is_whole = before.crash_at is None or after.crash_at is not None
    check_deletions(before, after)
    check_asked(before, after)
    for name, run in after.runs.items():
        if before.runs.get(name) == run and run.status.phase in phases.ENDS:
            continue
        found = look(after, run)
        for wave in run.spec.plan.waves:
            busy = [row for row in rows.of(found, wave.name) if row.is_in_flight]
            # Who was given up as lost and comes back is in flight again: that starts nobody.
            begun = [row for row in busy if row.since is not None and row.since >= before.now]
            crowd = len(busy) > wave.max_concurrency
            assert not (begun and crowd), "nobody starts beyond the concurrency"
        started = {row.name for row in found if row.mine}
        old = before.runs.get(name)
        known = _known(before, old, found) if old else set()
        for wave, status in zip(run.spec.plan.waves, run.status.waves, strict=False):
            own = {row.name for row in rows.of(found, wave.name)}
            fresh = (started - known) & own
            if is_whole:
                failed = spent(before, run, wave, retried=_retried(before, found))
                assert not (fresh and failed), "no start overspends a budget"
                assert not fresh or status.started_at, "nobody starts before its wave"
                # A hub that ended has let them through, and who did it may be forgotten.
                begun = bool(own & known)
                assert not fresh or is_open(wave, status, before, begun), "nobody before its gates"
            if _has_just_ended(old, status):
                awaited = [row for row in rows.of(found, wave.name) if row.awaited_until]
                assert not awaited, "no wave goes on without who is being connected"
        if is_whole and old and old.status.halted_at and run.status.halted_at:
            assert started <= known, "nothing starts after a halt"
        check_pace(run, after)
        if run.status.phase not in phases.ENDS and run.status.reason not in ("", "Progressing"):
            assert run.status.unblock, "what it waits for says how that ends"


def _known(before: World, old: FleetRollout, found: Sequence[rows.Row]) -> set[str]:
    """Who had started before the tick. Who failed and waits to be tried again may come to its end
    by itself: that starts nobody."""
    there = {row.name for row in look(before, old) if row.mine or row.sent_back}
    waits = [row for row in found if row.name in old.status.retrying]
    return there | {row.name for row in waits if row.since and row.since < before.now}


def _retried(before: World, found: Sequence[rows.Row]) -> set[str]:
    """Those who try again already, in the tick in which a person asked for it."""
    if not before.request.startswith("retry/"):
        return set()
    return {row.name for row in found if row.since is not None and row.since >= before.now}


def spent(before: World, run: FleetRollout, wave: PlannedWave, retried: Collection[str]) -> bool:
    """Whether more have failed than the wave bears, but for those that a person accepted or lets
    try again."""
    old = before.runs.get(run.name)
    if old is None or run.spec.plan.on_failure == "Continue":
        return False
    let_go = {*run.status.accepted, *run.status.retrying, *old.status.retrying, *retried}
    failed = [row for row in rows.of(look(before, old), wave.name) if row.is_failed]
    return sum(row.name not in let_go for row in failed) > wave.failure_budget


def check_deletions(before: World, after: World) -> None:
    """Nothing is deleted that an inventory does not name."""
    for line in after.log[len(before.log) :]:
        name, verb, *rest = line.split()
        if verb == "delete":
            item = before.items[ClusterName(name)]
            named = {f"{one.plural}/{one.name}" for one in item.status.inventory}
            assert rest[0] in named, f"{name} has lost {rest[0]}"


def check_asked(before: World, after: World) -> None:
    """Whom nobody has asked for stays where he waits, and nobody hears a request twice."""
    heard = [line.split()[0] for line in after.log[len(before.log) :] if " ask " in line]
    assert len(set(heard)) == len(heard), "once in a tick"
    for name in heard:
        request = after.items[ClusterName(name)].spec.request
        taken = before.items[ClusterName(name)].status.dispatch
        assert request is not None
        is_new = taken.request != request.id or before.crash_at is not None
        assert is_new or taken.asked > _sequence(before, name), "a request is carried once"


def _sequence(here: World, name: str) -> int:
    """What its Rollout has seen."""
    rollout = here.objects[ClusterName(name)]["rollouts", "checkout", "checkout"]
    sequence: int = rollout["spec"]["dispatch"]["sequence"]
    return sequence


def is_open(wave: PlannedWave, status: WaveStatus, before: World, begun: bool) -> bool:
    """Whether the wave could begin, or go on: a person, or the clock, has opened what they open."""
    opened = {one.gate for one in status.passes}
    for index, gate in enumerate(wave.before):
        is_shut = gate.kind in ("approval", "paused") and f"before[{index}]" not in opened
        if is_shut and not begun:
            return False
        if gate.schedule is not None:
            length = durations.parse(gate.schedule.duration)
            if windows.at(gate.schedule.cron, "UTC", length, before.now).closes is None:
                return False
    return True


def check_pace(run: FleetRollout, after: World) -> None:
    """The least time between two starts."""
    least = timedelta(seconds=run.spec.plan.min_interval_seconds)
    wants = [item.spec.want for item in after.items.values() if item.spec.want]
    times = [want.since for want in wants if want.run == run.name and not want.undoes]
    gaps = [later - sooner for sooner, later in pairwise(sorted(filter(None, times)))]
    assert min(gaps, default=least) >= least, "starts are so far apart"


def _has_just_ended(old: FleetRollout | None, status: WaveStatus) -> bool:
    """Whether the wave was in work and is done now; in a soak nobody is waited for any more."""
    before = {item.name: item.phase for item in old.status.waves} if old else {}
    return status.phase is WavePhase.DONE and before.get(status.name, WavePhase.PENDING) not in (
        WavePhase.SOAKING,
        WavePhase.WAITING,
        WavePhase.DONE,
    )


def is_at_rest(before: World, after: World) -> bool:
    """Whether the run is over and a tick changed nothing: then no later one will."""
    return after.run.status.phase in phases.ENDS and (
        (after.runs, after.items, after.objects) == (before.runs, before.items, before.objects)
    )


def check_end(here: World, names: Sequence[str] = NAMES) -> None:
    status = here.run.status
    assert status.phase in phases.ENDS or status.message, "it ends, or says what it waits for"
    active = [run for run in here.runs.values() if run.status.phase not in phases.ENDS]
    assert len(active) <= 1
    chosen = selection.select(here.fleet, here.members).chosen
    for name in names:
        if name not in chosen and not here.objects[ClusterName(name)]:
            continue  # who has left is cleared, unless a person has yet to say so
        assert here.image(name) in ("shop:v1", "shop:v2", "shop:v3", "shop:bad")
    if status.phase is RunPhase.ROLLED_BACK:
        bad = here.run.spec.application.spec.workload.template["spec"]["containers"][0]["image"]
        back = [row.name for row in look(here, here.run) if row.phase is ClusterPhase.ROLLED_BACK]
        repeated = sum(run.spec.revision == here.run.spec.revision for run in here.runs.values())
        assert repeated > 1 or not [name for name in back if here.image(name) == bad]


def lived(dice: Random, names: Sequence[str], start: World) -> Iterator[str]:
    """What a world comes to in which v2 is asked for; its promises are kept all the time."""
    given_, happening = policy(dice, names), events(dice, names)
    helped = dice.random() < 0.7
    bad = frozenset(dice.choice(["", "", names[1 % len(names)], *names[2:4]]))
    here = world.deliver(replace(start, bad=bad, gate=helped), "shop:v2", **given_)
    yield from (event for event, _ in happening.values())
    for number in range(TICKS):
        if number in happening:
            here = changed(here, happening[number], number, given_)
        elif helped and number % 4 == 3:
            here = replace(here, request=advice(here, number))
        after = world.tick(here, seconds=SECONDS)
        check(here, after)
        yield from set(seen(after))
        rests = number >= max(happening, default=0) and is_at_rest(here, after)
        here = after
        if rests:
            break
    check_end(here, names)


def test_promises() -> None:
    reached: Counter[str] = Counter()

    @settings(max_examples=max(WORLDS, settings.default.max_examples))
    @given(dice=st.randoms(use_true_random=True))
    def promises(dice: Random) -> None:
        reached.update(lived(dice, NAMES, START))

    promises()
    print("reached:", ", ".join(f"{name} {count}" for name, count in sorted(reached.items())))  # noqa: T201
    assert sorted(EXPECTED - reached.keys()) == [], "never reached"


@pytest.mark.parametrize("seed", range(400 if search.MANY > 1_000 else 2))
def test_promises_hold_in_fleets_of_all_sizes(seed: int) -> None:
    """From one member to two hundred."""
    dice = Random(seed)
    names = [f"c{number:03}" for number in range(dice.choice([1, 2, dice.randint(3, 30), *LARGE]))]
    start = world.settle(world.new(*names, maxConcurrency="100%"))
    reached = Counter(lived(dice, names, start))
    print(len(names), "members:", ", ".join(sorted(reached)))  # noqa: T201 - for people


def seen(here: World) -> Iterator[str]:
    """Where the runs are, why, and what has been told of the newest."""
    yield from (str(run.status.phase) for run in here.runs.values())
    yield from (run.status.reason for run in here.runs.values())
    yield from (condition.reason for condition in here.application.status.conditions)
    yield from (entry.reason for entry in here.run.status.history)
    yield from (row.phase for row in here.run.status.clusters)
    yield from ("asked" for item in here.items.values() if item.status.dispatch.asked)


UNSEEN = (ClusterPhase.CONFLICT, ClusterPhase.ANALYZING)
"""What the imitation of an engine never is; other tests know them."""
EXPECTED = (
    {str(phase) for phase in RunPhase}
    | {str(phase) for phase in ClusterPhase if phase not in UNSEEN}
    | {"Approved", "Promoted", "AwaitingHook", "AwaitingPromotion", "Soaking", "Connecting"}
    | {"AnalysisFailed", "BudgetExceeded", "Blocked", "MinInterval", "TrafficShare", "Deferred"}
    | {"MemberAppended", "MembersChanged", "Queued", "HubIsolated", "RequestRefused"}
    | {"Resumed", "Retried", "EmptyWave", "lose", "silence", "meet", "regain", "crash", "leave"}
    | {"deliver", "join", "isolate", "gate", "pause", "skip", "rollback", "retry", "abort"}
    | {"promote", "asked"}
)
"""What the worlds have to come to."""

START = world.settle(world.new(*NAMES, maxConcurrency=5))
