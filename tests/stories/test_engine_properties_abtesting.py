"""What holds in every experiment: small worlds, made up by hypothesis, run to their end.

The checker of `world` looks after each single action: never more pods than arms times replicas, no
rule that leads to a Service without pods, no traffic for a revision that was taken back.
"""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.api.rollout import Phase
from tests import gen, search
from tests.kulta.ab import ab_world
from tests.kulta.audience import Audience, Behaviour
from tests.kulta.checker import leads
from tests.kulta.world import World
from tests.stories.test_engine_properties_bluegreen import DIES, mend

pytestmark = search.in_time

SIZES = st.fixed_dictionaries(
    {
        "replicas": st.integers(0, 4),
        "scaleDownDelay": st.sampled_from(["0s", "30s"]),
        "stepsOnFirstRollout": st.booleans(),
        "maxDuration": st.sampled_from(["30s", "2m", "10m"]),
    }
)
CROWDS = st.sampled_from([(0.05, 0.05, 0.05), (0.1, 0.01, 0.1), (0.01, 0.2, 0.2), (0.2, 0.1, 0.01)])
"""Shares of failed requests in A, B and C: alike, B is better, A is better, C is best."""
PEOPLE = ("image", "back", "grow", "shrink", "rollback", "promote", "promote-full", "retry")
PEOPLE += ("pause", "resume", "conclude-experiment", "arm", "hold", "free")
WORLD = ("wait", "break", "mend", "deaf", "hear", "silent", "undo")
PHASES = ("Experimenting", "Concluded", "Progressing", "Completed")
CONCLUSIONS = ("SignificanceReached", "MaxDurationExceeded")
RARE = ("Failed", "Paused", "ManualConclusion", "Held", "DesignChanged")
C = f"{gen.STABLE}-c"


def world_of(sizes: dict[str, Any], crowd: tuple[float, ...], *, routed: bool, more: bool) -> World:
    """shop:v1 serves; metrics are looked at."""
    variants = {"variants": [gen.variant("shop:arm")]} if more else {}
    world = ab_world(routed=routed, analysis=gen.ab_analysis(), **variants, **sizes)
    arms = {"shop:v1": crowd[0], "shop:arm": crowd[2]}
    arms |= {f"shop:v{number}": crowd[1] for number in range(2, 10)}
    world.answer = Audience({key: Behaviour(rate=50, errors=part) for key, part in arms.items()})
    world.services.setdefault(C, gen.service(C, "variant-c"))
    world.settle()
    if world.status.phase is Phase.CONCLUDED:
        world.annotate("promote")
        world.settle()
    assert world.status.phase is Phase.COMPLETED
    return world


def check_serving(world: World) -> None:
    """All pods that A needs serve at each moment."""
    assert len(world.addresses(world.services[gen.STABLE])) >= world.rollout.spec.replicas


@given(SIZES, CROWDS, st.booleans(), st.booleans())
def test_properties_of_healthy_experiments(
    sizes: dict[str, Any], crowd: tuple[float, ...], routed: bool, more: bool
) -> None:
    """They are concluded, promoted, and come to rest; A serves all the time."""
    world = world_of({**sizes, "stepsOnFirstRollout": False}, crowd, routed=routed, more=more)
    world.after_each = check_serving
    world.image("shop:v2")
    world.settle()
    if sizes["replicas"]:
        assert world.status.phase is Phase.CONCLUDED
        assert world.status.ab_experiment is not None
        winner = world.status.ab_experiment.winner
        assert winner in {"", "ABC"[crowd.index(min(crowd))] if more else "AB"[crowd[1] < crowd[0]]}
        world.annotate("promote")
    world.settle()
    rest(world)


def rest(world: World) -> None:
    """Completed or taken back, one revision alone, the route as the user wrote it, silence."""
    assert world.status.phase in (Phase.COMPLETED, Phase.FAILED)
    total, serving = world.rollout.spec.replicas, world.status.stable_pod_hash
    sizes = {key: item.replicas for key, item in world.sets.items() if item.replicas}
    assert sizes == ({serving: total} if total else {})
    assert world.annotations == {}
    if world.routes:
        assert leads(world) == [gen.STABLE]
    if total:
        assert world.behind(gen.STABLE) == world.behind(gen.VARIANT) == {serving}
    world.log.clear()
    world.writes.clear()
    world.run(100)
    assert (world.log, world.writes) == ([], [])


@search.reaching(*PHASES, *CONCLUSIONS, *PEOPLE, *WORLD, DIES, deep=RARE)
@settings(max_examples=search.MANY)
@given(SIZES, CROWDS, st.booleans(), st.booleans(), st.booleans(), search.SEEDS)
def test_properties_of_whatever_happens(
    sizes: dict[str, Any],
    crowd: tuple[float, ...],
    routed: bool,
    more: bool,
    dies: bool,
    seed: int,
) -> None:
    """In a world that works again every experiment ends."""
    world = world_of(sizes, crowd, routed=routed, more=more)
    world.cut = dies
    world.image("shop:v2")
    events = search.happenings(PEOPLE + WORLD, 6, seed, sizes, crowd, routed, more, dies)
    for number, (delay, event) in enumerate(events):
        world.run(2 * delay)
        happen(world, event, number)
    mend(world)
    if isinstance(world.answer, Audience):
        world.answer.broken = ""
    world.update(hold=None)
    world.annotate("resume")
    world.run(2_000)
    if world.status.phase is Phase.CONCLUDED:
        assert world.status.ab_experiment is not None
        world.annotate("promote")
    world.settle()
    search.reach(search.lived(world) | {event for _, event in events} | ({DIES} if dies else set()))
    rest(world)


def happen(world: World, event: str, number: int) -> None:
    """Something that a person or the world does."""
    if event in WORLD:
        befall(world, event)
    elif event in ("image", "back", "grow", "shrink", "arm", "hold", "free"):
        change(world, event, number)
    else:
        world.annotate(event)


def change(world: World, event: str, number: int) -> None:
    """Somebody changes the spec."""
    replicas = world.rollout.spec.replicas
    match event:
        case "image":
            world.image(f"shop:v{number + 3}")
        case "back":
            world.image("shop:v1")
        case "grow" | "shrink":
            world.update(replicas=max(replicas + (2 if event == "grow" else -2), 0))
        case "hold" | "free":
            world.update(hold={"reason": "halted"} if event == "hold" else None)
        case "arm":
            body = dict(world.manifest["spec"]["strategy"]["abTesting"])
            has = body.pop("variants", None)
            body |= {} if has else {"variants": [gen.variant("shop:arm")]}
            world.update(strategy={"abTesting": body})


def befall(world: World, event: str) -> None:
    """Something happens to everybody."""
    match event:
        case "break":
            world.strict = False  # who serves may be broken too, and then nobody is there
            world.broken = {world.status.current_pod_hash}
        case "deaf":
            world.gateway = world.sliced = False
        case "mend" | "hear":
            mend(world)
        case "silent" if isinstance(world.answer, Audience):
            world.answer.broken = "increase"
        case "undo" if world.services[gen.VARIANT].original is not None:
            world.undo(gen.VARIANT)
