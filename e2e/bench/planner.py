"""What one decision of the hub costs in fleets of different sizes: processor time, no cluster.

    run           one look at a run with half of its clusters on their way
    Application   one look at what is everywhere
    rendering     what one member is to get: the same in every fleet

Pure planners and the renderings that they read, asked twenty times each.
"""

import time
from collections.abc import Callable, Sequence

from e2e.bench.figures import Figure
from fleet.api.fleetrollout import ClusterPhase, Snapshot
from fleet.api.names import ClusterName
from fleet.hub.core.application import decision
from fleet.hub.core.observed import ApplicationObserved, Member, RunObserved
from fleet.hub.core.run import plan
from fleet.rendering.render import render
from tests.fakes import NOON
from tests.hub import gen
from tests.hub.renders import TEMPLATES

TIMES = 20


def measure(sizes: Sequence[int]) -> list[Figure]:
    """All decisions in each size."""
    return [figure for number in sizes for figure in _in(number)]


def _in(number: int) -> list[Figure]:
    names = [ClusterName(f"eu-{index:04}") for index in range(number)]
    found = {name: gen.member(name) for name in names}
    return [
        _figure(f"a look at a run of {number} clusters", _run(names, found)),
        _figure(f"a look at an Application in {number} clusters", _application(names, found)),
        _figure(f"one rendering of {number}", _rendering(names, found)),
    ]


def _run(names: Sequence[ClusterName], members: dict[ClusterName, Member]) -> Callable[[], None]:
    half = len(names) // 2
    run = gen.run(gen.wave("all", *names, max_concurrency=len(names)), number=1)
    phases = [ClusterPhase.SUCCEEDED] * half + [ClusterPhase.PROGRESSING] * (len(names) - half)
    items = {
        name: gen.item(name, phase, number=1) for name, phase in zip(names, phases, strict=True)
    }
    observed = RunObserved(members=members, clusters=items, newest=1, fleet=frozenset(names))
    begun = run.model_copy(update={"status": plan.next(run, observed, NOON).status})

    def look() -> None:
        plan.next(begun, observed, NOON)

    return look


def _application(
    names: Sequence[ClusterName], members: dict[ClusterName, Member]
) -> Callable[[], None]:
    observed = ApplicationObserved(
        fleet=gen.fleet(),
        members=members,
        clusters=tuple(gen.item(name, ClusterPhase.SUCCEEDED, good=1) for name in names),
        templates=TEMPLATES.digest,
    )
    application = gen.application()

    def look() -> None:
        decision.decide(application, observed, NOON)

    return look


def _rendering(
    names: Sequence[ClusterName], members: dict[ClusterName, Member]
) -> Callable[[], None]:
    snapshot = Snapshot(name="checkout", uid="u", generation=1, spec=gen.application().spec)
    fleet, clusters = gen.fleet(), iter([members[name].cluster for name in names] * TIMES)

    def look() -> None:
        render(TEMPLATES, gen.delivery(snapshot, next(clusters), fleet))

    return look


def _figure(name: str, look: Callable[[], None]) -> Figure:
    samples: list[float] = []
    for _ in range(TIMES):
        began = time.process_time()
        look()
        samples.append(round(1_000 * (time.process_time() - began), 3))
    return Figure(name=name, unit="ms of CPU", samples=tuple(samples))
