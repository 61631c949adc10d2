"""What holds for those who get a canary whatever its weight, by a header, a cookie or a copy, and
where somebody else moves the weight: small worlds, made up by hypothesis, run to their end.

Beside all that the checker of `world` looks after: every write leads them to ready pods alone, and
to none of a revision that was taken back; in the end the routes are as their user wrote them.
"""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.api import names
from fleet.api.rollout import Phase
from fleet.kulta.core import actions as act
from fleet.kulta.core.feedback import validation
from tests import gen, search
from tests.kulta.world import World, canary_world
from tests.stories.test_engine_beside import COOKIE, HEADER, asked
from tests.stories.test_engine_mirror import COPIES, filters
from tests.stories.test_engine_properties_bluegreen import DIES, mend
from tests.stories.test_engine_properties_bluegreen import happen as change
from tests.trees import clone

pytestmark = search.in_time

OWN = {"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": ["x"]}}
WISHES = st.fixed_dictionaries(
    {},
    optional={
        "headerRoutes": st.just([HEADER]),
        "sessionAffinity": st.just(COOKIE),
        "mirror": st.just(True),
        "externalWeight": st.sampled_from([0, 30, 100]),
        "dynamicStableScale": st.just(True),
        "readyThreshold": st.just(50),
    },
)
ROUTES = st.sampled_from(["HTTPRoute", "GRPCRoute"])
SIZES = st.fixed_dictionaries(
    {"replicas": st.integers(1, 5), "scaleDownDelay": st.sampled_from(["0s", "30s"])}
)
PEOPLE = ("image", "back", "grow", "shrink", "rollback", "promote", "promote-full", "retry")
PEOPLE += ("hold", "free", "outside", "headers")
WORLD = ("wait", "break", "mend", "deaf", "hear")
GIVEN = ("a header", "a cookie", "copies", "a weight from outside")


def world_of(wish: dict[str, Any], kind: str, sizes: dict[str, Any]) -> World:
    """shop:v1 serves; two of three rules hold both Services."""
    if "externalWeight" in wish:
        wish = {key: value for key, value in wish.items() if key != "mirror"}
    world = canary_world((20, "5s"), (60, "5s"), routed=True, **sizes)
    canary = world.manifest["spec"]["strategy"]["canary"]
    canary |= wish
    if "externalWeight" in wish:
        canary["steps"] = []
    elif "mirror" in wish:
        canary["steps"].insert(0, {"setWeight": 0, "pause": {"duration": "5s"}})
    if kind == "GRPCRoute":
        canary["trafficRouting"] = {"gatewayAPI": {"grpcRoutes": [{"name": gen.ROUTE}]}}
    world.routes[gen.ROUTE] = gen.route(kind=kind)
    (rule,) = world.routes[gen.ROUTE]["spec"]["rules"]
    rule["filters"] = [clone(OWN)]
    other = {**clone(rule), "matches": [gen.SHOP]}
    apart = {"backendRefs": [gen.backend(gen.STABLE, 1)], "matches": [gen.SHOP]}
    world.routes[gen.ROUTE]["spec"]["rules"] = [rule, other, apart]
    assert validation.of_manifest(world.manifest) == ()
    world.settle()
    assert world.status.phase is Phase.COMPLETED
    return world


class Watch:
    """Looks after every write of the route, and knows what it led to."""

    def __init__(self) -> None:
        self.seen = 0
        self.given: set[str] = set()

    def __call__(self, world: World) -> None:
        is_new, self.seen = len(world.log) > self.seen, len(world.log)
        if not is_new or not isinstance(world.log[-1], act.WriteRoute):
            return
        found = {
            "a header": any(name == HEADER["name"] for name, _ in asked(world)),
            "a cookie": bool(_cookies(world)),
            "copies": any(COPIES in item for item in filters(world)),
        }
        self.given |= {name for name, is_so in found.items() if is_so}
        if not any(found.values()):
            return
        assert world.addresses(world.services[gen.CANARY]), "they get nobody"
        status = world.plans[-1].status
        failed = status.failed_pod_hash if status.phase is Phase.FAILED else ""
        stable = world.addresses(world.services[gen.STABLE])
        led = world.services[gen.CANARY].selector.get(names.HASH_LABEL)
        assert not (failed and led == failed and stable), "they get what was taken back"


def _cookies(world: World) -> list[Any]:
    """Each `Set-Cookie`; filters of the user's own are none."""
    refs = [ref for rule in world.routes[gen.ROUTE]["spec"]["rules"] for ref in rule["backendRefs"]]
    return [item for ref in refs for item in ref.get("filters") or []]


@search.reaching("Completed", deep=(*GIVEN, *PEOPLE, *WORLD, DIES, "Paused", "Failed"))
@settings(max_examples=search.FEW)
@given(WISHES, ROUTES, SIZES, st.booleans(), search.SEEDS)
def test_whoever_gets_it_beside_the_weight_gets_ready_pods(
    wish: dict[str, Any], kind: str, sizes: dict[str, Any], dies: bool, seed: int
) -> None:
    world = world_of(wish, kind, sizes)
    before, watch = clone(world.routes[gen.ROUTE]["spec"]), Watch()
    world.after_each, world.cut = watch, dies
    watch.seen = len(world.log)
    world.image("shop:v2")
    events = search.happenings(PEOPLE + WORLD, 6, seed, wish, kind, sizes, dies)
    for number, (delay, event) in enumerate(events):
        world.run(delay)
        happen(world, event, number)
    mend(world)
    world.update(hold=None)
    world.run(700)
    outside = world.manifest["spec"]["strategy"]["canary"].get("externalWeight")
    if world.status.phase is Phase.PAUSED:
        assert outside is not None
        assert world.split() == (100 - outside, outside)
        watch.given.add("a weight from outside")
        world.annotate("promote")
    world.settle()
    done = {event for _, event in events} | ({DIES} if dies else set())
    search.reach(search.lived(world) | done | watch.given)
    rest(world, before)


def happen(world: World, event: str, number: int) -> None:
    """Something that a person or the world does."""
    canary = world.manifest["spec"]["strategy"]["canary"]
    match event:
        case "shrink":
            world.update(replicas=max(world.rollout.spec.replicas - 2, 1))
        case "hold" | "free":
            world.update(hold={"reason": "halted"} if event == "hold" else None)
        case "outside" if "externalWeight" in canary:
            world.update(strategy={"canary": {**canary, "externalWeight": number * 20}})
        case "headers":
            others = {key: item for key, item in canary.items() if key != "headerRoutes"}
            more = {} if "headerRoutes" in canary else {"headerRoutes": [HEADER]}
            world.update(strategy={"canary": others | more})
        case "promote-full":
            world.annotate(event)
        case _:
            change(world, event, number)


def rest(world: World, before: Any) -> None:
    """Completed or taken back, one revision alone, the routes as they were, silence."""
    assert world.status.phase in (Phase.COMPLETED, Phase.FAILED)
    total, serving = world.rollout.spec.replicas, world.status.stable_pod_hash
    assert {key: x.replicas for key, x in world.sets.items() if x.replicas} == {serving: total}
    assert world.routes[gen.ROUTE]["spec"] == before
    notes = world.routes[gen.ROUTE]["metadata"].get("annotations", {})
    assert not {names.MANAGED_RULES, names.STICKY} & notes.keys()
    assert world.annotations == {}
    world.log.clear()
    world.writes.clear()
    world.run(100)
    assert (world.log, world.writes) == ([], [])
