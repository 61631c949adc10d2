"""What holds in every world of blue-green: small worlds, made up by hypothesis, run to their end.

The checker of `world` looks after each single action: the active Service and every weight on ready
pods, never more than twice the pods, no traffic for a revision that was taken back.
"""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.api.rollout import Phase
from fleet.kulta.core import actions as act
from tests import gen, search
from tests.kulta.world import World, blue_green_world
from tests.stories.test_engine_rollback import bad

pytestmark = search.in_time

GATES = st.sampled_from([None, 0, 5])
"""Seconds until it opens by itself; None: a person opens it."""
SIZES = st.fixed_dictionaries(
    {
        "replicas": st.integers(0, 5),
        "scaleDownDelay": st.sampled_from(["0s", "10s", "30s"]),
        "stepsOnFirstRollout": st.booleans(),
    }
)
PEOPLE = ("image", "back", "grow", "shrink", "rollback", "promote", "retry", "pause", "resume")
WORLD = ("wait", "break", "mend", "deaf", "hear")
DIES = "an engine that dies in every plan"
DEADLINE = 620
"""Seconds after which only a person can still be waited for."""


def world_of(after: int | None, sizes: dict[str, Any], *, routed: bool, judged: bool) -> World:
    """shop:v1 serves."""
    more = {"analysis": gen.analysis()} if judged else {}
    world = blue_green_world(after=after, routed=routed, **more, **sizes)
    if routed and sizes["replicas"] % 2:
        wish = world.manifest["spec"]["strategy"]["blueGreen"]["trafficRouting"]
        wish["gatewayAPI"]["grpcRoutes"] = [{"name": "second"}]
        world.routes["second"] = gen.route(kind="GRPCRoute", name="second", second=gen.PREVIEW)
    world.answer = bad()
    if after is None and sizes["stepsOnFirstRollout"] and sizes["replicas"]:
        world.run(5)
        world.annotate("promote")
    world.settle()
    assert world.status.phase is Phase.COMPLETED
    return world


@given(GATES, SIZES, st.booleans())
def test_healthy_worlds_complete_and_come_to_rest(
    after: int | None, sizes: dict[str, Any], routed: bool
) -> None:
    world = world_of(after, sizes, routed=routed, judged=False)
    world.after_each = check_serving
    world.image("shop:v2")
    world.run(1)
    if after is None and sizes["replicas"]:
        world.annotate("promote")
    world.settle()
    assert world.status.phase is Phase.COMPLETED
    assert (world.size("shop:v1"), world.ready("shop:v2")) == (0, sizes["replicas"])
    if routed:
        assert world.split() == (100, 0)
    world.log.clear()
    world.writes.clear()
    world.run(100)
    assert (world.log, world.writes) == ([], [])


def check_serving(world: World) -> None:
    """All pods that were wanted serve at each moment."""
    behind = world.addresses(world.services[gen.ACTIVE])
    preview = world.addresses(world.services[gen.PREVIEW])
    for weights in [world.split(name) for name in world.routes] or [(100, 0)]:
        serving = behind if weights[0] else preview
        assert len(serving) >= world.rollout.spec.replicas


@given(GATES, SIZES, st.booleans())
def test_bad_revisions_never_get_traffic(
    after: int | None, sizes: dict[str, Any], routed: bool
) -> None:
    """Failed by their metrics in the preview."""
    world = world_of(after, sizes, routed=routed, judged=True)
    world.log.clear()
    world.image("shop:v2")
    world.settle()
    if not sizes["replicas"]:
        assert world.status.phase is Phase.COMPLETED
        return
    assert world.status.phase is Phase.FAILED
    assert world.actions(act.WriteRoute) == []
    assert gen.ACTIVE not in {item.name for item in world.actions(act.SelectService)}
    assert (world.ready("shop:v1"), world.size("shop:v2")) == (sizes["replicas"], 0)


@search.reaching("Preview", "Progressing", "Completed", "Failed", *PEOPLE, *WORLD, DIES)
@settings(max_examples=search.MANY)
@given(GATES, SIZES, st.booleans(), st.booleans(), st.booleans(), search.SEEDS)
def test_whatever_happens_it_comes_to_rest_and_ends(
    after: int | None,
    sizes: dict[str, Any],
    routed: bool,
    judged: bool,
    dies: bool,
    seed: int,
) -> None:
    world = world_of(after, sizes, routed=routed, judged=judged)
    world.cut = dies
    world.image("shop:v2")
    events = search.happenings(PEOPLE + WORLD, 6, seed, after, sizes, routed, judged, dies)
    for number, (delay, event) in enumerate(events):
        world.run(delay)
        happen(world, event, number)
    mend(world)
    world.run(DEADLINE)
    if world.status.phase is Phase.PREVIEW:
        assert after is None or world.status.pause_requested
        world.annotate("promote")
    elif world.status.phase is Phase.PAUSED:  # as asked, after pods were scaled to nothing
        assert world.status.pause_requested
        world.annotate("resume")
    world.settle()
    search.reach(search.lived(world) | {event for _, event in events} | ({DIES} if dies else set()))
    assert world.status.phase in (Phase.COMPLETED, Phase.FAILED)
    total, serving = world.rollout.spec.replicas, world.status.stable_pod_hash
    assert world.sets[serving].replicas == total
    assert sum(item.replicas for item in world.sets.values()) == total
    assert world.annotations == {}
    if total:
        assert world.behind(gen.ACTIVE) == world.behind(gen.PREVIEW) == {serving}


def happen(world: World, event: str, number: int) -> None:
    """Something that a person or the world does."""
    match event:
        case "image":
            world.image(f"shop:v{number + 3}")
        case "back":
            world.image("shop:v1")
        case "grow":
            world.update(replicas=world.rollout.spec.replicas + 2)
        case "shrink":
            world.update(replicas=max(world.rollout.spec.replicas - 2, 0))
        case "rollback" | "promote" | "retry" | "pause" | "resume":
            world.annotate(event)
        case "break" if world.status.current_pod_hash != world.status.stable_pod_hash:
            world.strict = False  # who serves may be broken too, and then nobody is there
            world.broken = {world.status.current_pod_hash}
        case "deaf":
            world.gateway = world.sliced = False
        case "mend" | "hear":
            mend(world)


def mend(world: World) -> None:
    """Everything works again."""
    world.gateway = world.sliced = True
    world.broken = set()
