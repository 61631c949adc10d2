"""What can happen next in a small fleet, one thing at a time, for `exploring`.

The planner of runs is the real one; clusters take up what they shall have, and are done, when they
like. Each fault and each wish of a person costs one of `left`. After each look of the hub the
promises of `test_properties` are checked.
"""

import re
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import orjson

from fleet.api import ClusterRollout
from fleet.api.clusterrollout import LastGood
from fleet.api.fleetrollout import ClusterPhase, FleetRollout, RunPhase
from fleet.api.names import ClusterName
from fleet.hub.core import phases
from fleet.hub.core.cluster import standing
from fleet.hub.core.cluster.assessment import Assessment
from fleet.hub.core.run import requests
from tests.conftest import NOON
from tests.exploring import Way
from tests.hub import gen, world
from tests.hub.core.run.test_properties import advice, check
from tests.hub.world import Crash, World

LONG = 100.0
"""Seconds after which it makes no difference any more how long ago something was."""

UNTOLD = ("history", "display", "handled", "nextCheck", "since", "message", "unblock", "until")
"""What stands in the status of a run for people, or follows from the rest."""

WAITS = (RunPhase.AWAITING_APPROVAL, RunPhase.PAUSED, RunPhase.HALTED)
"""Here a person is asked for first."""

TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")
"""As models write times."""

FINAL = (ClusterPhase.SUCCEEDED, ClusterPhase.FAILED)


@dataclass(kw_only=True)
class Small(World):
    """A fleet whose clusters wait to be let go on; run 1 has been everywhere."""

    left: int = 1
    """Faults and wishes that may still come."""
    people: tuple[str, ...] = ()
    """Requests, and `lose`, `fail`, `die`, `deliver`."""


def small(run: FleetRollout, *people: str, left: int = 1) -> Small:
    """Run 2 has just been made."""
    names = [name for wave in run.spec.plan.waves for name in wave.clusters]
    items = [gen.item(name, ClusterPhase.SUCCEEDED, good=1) for name in names]
    first = gen.run(*run.spec.plan.waves)
    over = {"phase": RunPhase.SUCCEEDED, "finished_at": NOON}
    first = first.model_copy(update={"status": first.status.model_copy(update=over)})
    return Small(
        members={ClusterName(name): gen.member(name, ring="rest") for name in names},
        items=gen.items(*items),
        runs={first.name: first, run.name: run},
        people=people,
        left=left,
    )


def ways(here: Small) -> Iterator[Way[Small]]:
    """Everything that can happen next; the first of them that heals is the way on."""
    looked = _looked(here)
    check(here, looked)
    is_busy = identity(looked) != identity(here)
    found = [("the hub looks", looked)] if is_busy else []
    found += list(_nature(here))
    due = None if is_busy or looked.run.status.phase in WAITS else _due(looked)
    if not found and due is not None:
        found.append(("time passes", replace(here, now=max(due, here.now + timedelta(seconds=1)))))
    ends = all(run.status.phase in phases.ENDS for run in here.runs.values())
    if not found and not ends:
        found.append(("as it says", _asked(here, advice(looked, here.writes))))
    if not found:
        check_end(here)
    yield from (Way(name=name, to=to, heals=n == 0) for n, (name, to) in enumerate(found))
    if here.left:
        spent = replace(here, left=here.left - 1)
        yield from (Way(name=name, to=to) for name, to in _faults(spent, looked.writes))
        for verb in here.people:
            if verb not in ("lose", "fail", "die", "deliver", "late"):
                yield Way(name=verb, to=_asked(spent, f"{verb}/{here.writes}"))


def _looked(here: Small, dies_after: int | None = None) -> Small:
    """The hub looks at every run; it may die after some of its writes."""
    after = replace(here, runs=dict(here.runs), items=dict(here.items), started=[], log=[])
    after.crash_at = None if dies_after is None else here.writes + dies_after
    try:
        for name in sorted(after.runs):
            world._run(after, name)
    except Crash:
        after.answers.clear()
    return after


def _asked(here: Small, request: str) -> Small:
    return replace(here, request=request, writes=here.writes + 1)


def _due(looked: Small) -> datetime | None:
    times = [run.status.next_check for run in looked.runs.values()]
    return min((item for item in times if item is not None), default=None)


def _nature(here: Small) -> Iterator[tuple[str, Small]]:
    """Members answer again, clusters take up what they shall have, and come to its end."""
    for name, member in here.members.items():
        if not member.fresh:
            yield f"{name} answers", world.regain(here, name)  # type: ignore[misc]
            continue
        item = here.items.get(name)
        if item is None or item.spec.want is None:
            continue
        if not standing.is_taken(item) or _is_behind(item):
            yield f"{name} takes it up", _assessed(here, name, _now_at(item))
        elif item.status.phase not in FINAL and not item.spec.hold:
            yield f"{name} is done", _assessed(here, name, ClusterPhase.SUCCEEDED)


def _is_behind(item: ClusterRollout) -> bool:
    """Whether a hold that came or went, or a silence that is over, has not been seen there."""
    if item.status.phase in FINAL:
        return False
    return item.status.phase is not _now_at(item)


def _now_at(item: ClusterRollout) -> ClusterPhase:
    return ClusterPhase.PAUSED if item.spec.hold else ClusterPhase.PROGRESSING


def _assessed(here: Small, name: ClusterName, phase: ClusterPhase, reason: str = "") -> Small:
    """What its engine says now, as the dispatcher writes it down."""
    item = here.items[name]
    want = item.spec.want
    assert want is not None
    seen = (standing.reachable(here.members[name]),)
    status = item.status
    if not standing.is_taken(item):
        update = {"sequence": status.dispatch.sequence + 1, "run": want.run}
        update |= {"revision": want.revision, "attempt": want.attempt}
        dispatch = status.dispatch.model_copy(update=update)
        taken = Assessment(phase=ClusterPhase.APPLYING, reason="Applying", conditions=seen)
        item = item.model_copy(update={"status": standing.status(item, taken, here.now)})
        item = item.model_copy(
            update={"status": item.status.model_copy(update={"dispatch": dispatch})}
        )
    update = {}
    if phase is ClusterPhase.SUCCEEDED and status.last_good.run != want.run:
        good = LastGood(run=want.run, revision=want.revision)
        update = {"last_good": good, "previous_good": status.last_good}
    found = Assessment(phase=phase, reason=reason or phase, conditions=seen, update=update)
    item = item.model_copy(update={"status": standing.status(item, found, here.now)})
    return replace(here, items={**here.items, name: item})


def _faults(here: Small, writes: int) -> Iterator[tuple[str, Small]]:
    """A cluster fails or is lost, the hub dies between two writes, another revision comes."""
    for name, member in here.members.items():
        item = here.items[name]
        if "lose" in here.people and member.fresh:
            lost = world.lose(here, name)
            if standing.is_taken(item) and item.status.phase not in FINAL:
                lost = _assessed(lost, name, ClusterPhase.UNREACHABLE, "Unreachable")  # type: ignore[arg-type]
            yield f"{name} is lost", lost  # type: ignore[misc]
        at_work = standing.is_taken(item) and item.status.phase not in FINAL
        if "fail" in here.people and member.fresh and at_work:
            yield f"{name} fails", _assessed(here, name, ClusterPhase.FAILED, "AnalysisFailed")
    if "die" in here.people:
        for number in range(1, writes - here.writes + 1):
            yield f"the hub dies after {number} writes", _looked(here, number)
    if "deliver" in here.people:
        run = here.run
        number = run.spec.number + 1
        spec = run.spec.model_copy(update={"number": number, "revision": f"rev{number}"})
        meta = run.metadata.model_copy(update={"name": f"checkout-{number}"})
        newer = FleetRollout(metadata=meta, spec=spec)
        yield "another revision", replace(here, runs={**here.runs, newer.name: newer})
    if "late" in here.people:
        yield "half a minute passes", replace(here, now=here.now + timedelta(seconds=30))


def check_end(here: Small) -> None:
    """Every cluster is at one known revision, or the run says of it why not."""
    told = {row.name for run in here.runs.values() for row in run.status.clusters}
    for name, item in here.items.items():
        want = item.spec.want
        assert want is not None
        if item.status.phase is ClusterPhase.SUCCEEDED and standing.is_taken(item):
            assert item.status.last_good.run == want.run
        else:
            assert name in told, f"{name}: {item.status.phase}"
    status = here.run.status
    gave_way = status.phase in (RunPhase.ABORTED, RunPhase.SUPERSEDED)
    assert gave_way or status.counts.in_flight == 0, "a run that has ended leaves nobody on the way"


# --- which states are one -------------------------------------------------------------------------


def identity(here: Small) -> Hashable:
    """All that can make a difference: times as ages, texts left out."""
    handled = here.run.status.handled
    is_handled = requests.identity(here.request) in handled if here.request else True
    body = [
        here.left,
        "" if is_handled else here.request.partition("/")[0],
        [(name, _run(run)) for name, run in sorted(here.runs.items())],
        [(name, _item(item)) for name, item in sorted(here.items.items())],
        [(name, member.reachable, member.fresh) for name, member in sorted(here.members.items())],
    ]
    return orjson.dumps(_plain(body, here.now), option=orjson.OPT_SORT_KEYS)


def _run(run: FleetRollout) -> Any:
    body = run.status.model_dump(exclude_defaults=True, by_alias=True)
    body = {key: value for key, value in body.items() if key not in UNTOLD}
    rows = [{**row, "message": ""} for row in body.get("clusters", ())]
    held = [item["type"] + item["status"] + item["reason"] for item in body.pop("conditions", ())]
    return [body | {"clusters": rows}, held]


def _item(item: ClusterRollout) -> Any:
    status = item.status.model_dump(exclude={"conditions", "message", "observed_generation"})
    status["dispatch"].pop("sequence")
    is_current = item.status.observed_generation >= item.metadata.generation
    spec = item.spec.model_dump(exclude={"application", "cluster", "namespace"})
    return [spec, status, is_current, standing.lost_since(item)]


def _plain(value: Any, now: datetime) -> Any:
    if isinstance(value, str) and TIME.fullmatch(value):
        value = datetime.fromisoformat(value)
    if isinstance(value, datetime):
        return max(min((now - value).total_seconds(), LONG), -LONG)
    if isinstance(value, Mapping):
        return {str(key): _plain(item, now) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, now) for item in value]
    return value
