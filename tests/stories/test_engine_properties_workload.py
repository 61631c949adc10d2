"""What holds whatever happens while a Rollout takes over the pods of a Deployment and gives them
back: never fewer ready pods than the bounds allow, counting both, and everything comes to rest.
"""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.api.rollout import Phase
from fleet.kulta.core.facts import replicas
from tests import gen, search
from tests.kulta.migrating import Migrating, migrating

pytestmark = search.in_time

KINDS = ("canary", "routed", "blueGreen", "abTesting", "simple")
WAYS = st.sampled_from(["OnSuccess", "Progressively", "Never"])
SIZES = st.fixed_dictionaries(
    {
        "replicas": st.integers(0, 5),
        "maxSurge": st.sampled_from(["25%", "1", "100%"]),
        "maxUnavailable": st.sampled_from(["0", "1"]),
        "stepsOnFirstRollout": st.booleans(),
    }
)
PEOPLE = (
    "wait",
    "image",
    "back",
    "ailing",
    "promote",
    "rollback",
    "retry",
    "scale",
    "way",
    "blind",
)


def world_of(kind: str, way: str, sizes: dict[str, Any], has_crashes: bool) -> Migrating:
    strategy = {
        "canary": gen.canary(20, (50, "5s")),
        "routed": gen.canary(20, (50, "5s"), routed=True),
        "blueGreen": gen.blue_green(after=5),
        "abTesting": gen.ab_testing(maxDuration="30s"),
        "simple": {"simple": {}},
    }[kind]
    world = migrating(strategy, scale_down=way, routed=kind == "routed", **sizes)
    world.cut = has_crashes
    world.after_each = check_serving
    return world


def check_serving(world: Any) -> None:
    """Enough ready pods, whosever, at each moment."""
    spec = world.rollout.spec
    limits = replicas.bounds(spec.replicas, *spec.amounts.values())
    serving = world.serving()
    assert serving >= limits.least, f"{serving} ready, at least {limits.least}"


def happen(world: Migrating, event: str, number: int) -> None:
    """What people and the world do."""
    match event:
        case "image":
            world.redeploy(f"shop:v{number + 3}")
        case "back":
            world.redeploy("shop:v1")
        case "ailing":
            world.broken = {gen.revision(f"shop:v{number + 4}")}
            world.redeploy(f"shop:v{number + 4}")
        case "promote" | "rollback" | "retry":
            world.annotate(event)
        case "scale":
            world.scale(world.size_before + 1)
        case "way":
            world.manifest["spec"]["workloadRef"]["scaleDown"] = "Progressively"
            world.update()
        case "blind":
            world.blind = None if world.blind else "503"


@search.reaching(
    "Progressing",
    "Completed",
    *PEOPLE,
    *KINDS,
    "OnSuccess",
    "Progressively",
    "Never",
    deep=("Failed",),
)
@settings(max_examples=search.MANY)
@given(st.sampled_from(KINDS), WAYS, SIZES, st.booleans(), search.SEEDS)
def test_no_pod_is_lost_on_the_way_there_and_back(
    kind: str, way: str, sizes: dict[str, Any], has_crashes: bool, seed: int
) -> None:
    world = world_of(kind, way, sizes, has_crashes)
    events = search.happenings(PEOPLE, 4, seed, kind, way, sizes, has_crashes)
    for number, (delay, event) in enumerate(events):
        world.run(delay)
        happen(world, event, number)
    world.blind = None
    world.settle()
    if world.status.phase is Phase.CONCLUDED:
        world.annotate("promote")
        world.settle()
    search.reach(search.lived(world) | {event for _, event in events} | {way, kind})
    assert world.status.phase in (Phase.COMPLETED, Phase.FAILED)
    assert world.workload is not None
    assert world.workload.holder == gen.NAME
    world.log.clear()
    world.run(100)
    assert world.log == []
    world.delete()
    world.settle()
    if not world.gone:  # its template is not the one that serves
        assert world.condition("WorkloadReady") == ("False", "WorkloadPending")
        world.scale(world.workload.original or 0)  # as its message says
        world.settle()
    assert world.gone
    assert (world.workload.holder, world.workload.original) == ("", None)
    assert world.serving() >= sizes["replicas"]
    assert all(item.original is None for item in world.services.values())
