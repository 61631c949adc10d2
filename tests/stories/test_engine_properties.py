"""What holds in every world: many small worlds, made up by hypothesis, run to their end.

The checker of `world` looks after each single action: no weight without ready pods, never too many
pods. Here: ready pods never too few, planning twice changes nothing, and everything comes to rest.
"""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.api.rollout import Phase
from fleet.kulta.core.facts import replicas
from tests import gen, search
from tests.kulta.world import World, canary_world

pytestmark = search.in_time

WEIGHTS = st.lists(st.integers(1, 100), min_size=1, max_size=4, unique=True).map(sorted)
PAUSES = st.lists(st.sampled_from(["", "", "5s"]), min_size=4, max_size=4)
SIZES = st.fixed_dictionaries(
    {
        "replicas": st.integers(0, 7),
        "maxSurge": st.sampled_from(["25%", "1", "50%", "100%"]),
        "maxUnavailable": st.sampled_from(["0", "1", "25%"]),
        "scaleDownDelay": st.sampled_from(["0s", "30s"]),
    }
)
PEOPLE = ("wait", "image", "back", "grow", "shrink", "rollback", "promote", "retry", "restart")


def world_of(
    weights: list[int], pauses: list[str], sizes: dict[str, Any], routed: bool, dynamic: bool
) -> World:
    steps: list[Any] = [
        (weight, pause) if pause else weight for weight, pause in zip(weights, pauses, strict=False)
    ]
    world = canary_world(*steps, routed=routed, **sizes)
    canary = world.manifest["spec"]["strategy"]["canary"]
    if dynamic:
        canary["dynamicStableScale"] = True
    if routed:
        add_router(world, canary, len(weights))
        scale_apart(canary, len(pauses[0]) + sizes["replicas"])
    return world


def scale_apart(canary: dict[str, Any], number: int) -> None:
    """Pods apart from the weight and fewer than all ready, in two of three worlds."""
    steps = canary["steps"]
    match number % 3:
        case 1:
            steps.insert(0, {"setCanaryScale": {"replicas": number}})
            canary["readyThreshold"] = 60
        case 2:
            steps.insert(
                len(steps) - (steps[-1]["setWeight"] == 100), {"setCanaryScale": {"percent": 40}}
            )


def add_router(world: World, canary: dict[str, Any], number: int) -> None:
    """A second one beside the HTTPRoute, or copies of requests before the first percent."""
    routing = canary["trafficRouting"]
    match number:
        case 1:
            routing["gatewayAPI"]["grpcRoutes"] = [{"name": "second"}]
            world.routes["second"] = gen.route(kind="GRPCRoute", name="second")
        case 2:
            routing["istio"] = {"virtualServices": [{"name": "second"}]}
            world.routes["second"] = gen.virtual_service("second")
        case 3:
            routing["nginx"] = {"stableIngresses": ["second"]}
            world.routes["second"] = gen.ingress("second")
        case _:
            canary["mirror"] = True
            canary["steps"].insert(0, {"setWeight": 0})


def check_ready(world: World) -> None:
    """Enough ready pods at each moment, once the first revision is there."""
    spec = world.rollout.spec
    limits = replicas.bounds(spec.replicas, *spec.amounts.values())
    ready = sum(pod.ready for pod in world.pods.values())
    assert ready >= limits.least, f"{ready} ready, at least {limits.least}"


@given(WEIGHTS, PAUSES, SIZES, st.booleans(), st.booleans())
def test_healthy_worlds_complete_without_a_gap(
    weights: list[int], pauses: list[str], sizes: dict[str, Any], routed: bool, dynamic: bool
) -> None:
    world = world_of(weights, pauses, sizes, routed, dynamic).settle()
    world.after_each = check_ready
    world.image("shop:v2")
    world.settle()
    assert world.status.phase is Phase.COMPLETED
    assert world.size("shop:v1") == 0
    assert world.ready("shop:v2") == sizes["replicas"]
    if routed:
        assert world.split() == (100, 0)
    world.log.clear()
    world.writes.clear()
    world.run(100)
    assert (world.log, world.writes) == ([], [])


@given(WEIGHTS, PAUSES, SIZES, st.booleans(), st.booleans())
def test_broken_revisions_leave_the_stable_one_as_it_was(
    weights: list[int], pauses: list[str], sizes: dict[str, Any], routed: bool, dynamic: bool
) -> None:
    world = world_of(weights, pauses, sizes, routed, dynamic).settle()
    world.after_each = check_ready
    world.broken = {gen.revision("shop:v2")}
    world.image("shop:v2")
    world.settle()
    if not sizes["replicas"]:
        assert world.status.phase is Phase.COMPLETED
        return
    assert world.status.phase is Phase.FAILED
    assert (world.ready("shop:v1"), world.size("shop:v2")) == (sizes["replicas"], 0)
    if routed:
        assert world.split() == (100, 0)


@search.reaching(
    "Progressing",
    "Paused",
    "Completed",
    *PEOPLE,
    deep=("Failed", "ManualPromotion", "ManualRollback"),
)
@settings(max_examples=search.MANY)
@given(WEIGHTS, PAUSES, SIZES, st.booleans(), search.SEEDS)
def test_whatever_people_do_it_comes_to_rest(
    weights: list[int],
    pauses: list[str],
    sizes: dict[str, Any],
    routed: bool,
    seed: int,
) -> None:
    world = world_of(weights, pauses, sizes, routed, dynamic=False).settle()
    world.image("shop:v2")
    events = search.happenings(PEOPLE, 4, seed, weights, pauses, sizes, routed)
    for number, (delay, event) in enumerate(events):
        world.run(delay)
        match event:
            case "image":
                world.image(f"shop:v{number + 3}")
            case "back":
                world.image("shop:v1")
            case "grow":
                world.update(replicas=world.rollout.spec.replicas + 2)
            case "shrink":
                world.update(replicas=max(world.rollout.spec.replicas - 2, 0))
            case "rollback" | "promote" | "retry" | "restart":
                world.annotate(event)
    world.settle()
    search.reach(search.lived(world) | {event for _, event in events})
    assert world.status.phase in (Phase.COMPLETED, Phase.FAILED)
    serving = world.status.stable_pod_hash
    assert world.sets[serving].replicas == world.rollout.spec.replicas
    assert sum(item.replicas for item in world.sets.values()) == world.rollout.spec.replicas
    assert world.annotations == {}
    assert not any(pod.leaving for pod in world.pods.values())
    numbers = [item.sequence for item in world.status.decisions]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
