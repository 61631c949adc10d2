"""What holds whatever hooks say: small worlds of each strategy, made up by hypothesis.

Nobody gets pods, traffic or the promotion before those who were to be asked have said yes, unless a
person went past them; no silence and no refusal fails a revision, however long; a yes of the one
that takes back does; nobody is asked about what is over.
"""

from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.api.hooks import CALLED
from fleet.api.rollout import Phase
from fleet.kit.hashing import pod_hash
from fleet.kulta.core import actions as act
from fleet.kulta.core import phases
from fleet.kulta.core.messages import webhooks
from tests import gen, search
from tests.kulta.ab import ab_world
from tests.kulta.world import World, blue_green_world, canary_world
from tests.stories.test_engine_hooks import ALL, hooks

pytestmark = search.in_time

KINDS = ("canary", "pods", "blueGreen", "abTesting", "simple")
TYPES = st.sets(st.sampled_from(ALL), min_size=1, max_size=5).map(sorted)
PEOPLE = (
    "wait",
    "image",
    "back",
    "promote",
    "promote-full",
    "rollback",
    "retry",
    "pause",
    "resume",
)
ANSWERS = ("no", "silent", "nonsense", "yes", "takes back")
NONSENSE = "\u202e\U0001f525 {{ canary }} \x00" * 10
DIES = "an engine that dies in every plan"
DEEP = (*PEOPLE, *ANSWERS, *ALL, DIES, "Failed", "HookRollback", "AwaitingHook")


class Watch:
    """Looks after every action of the engine."""

    def __init__(self, world: World, types: Sequence[str], kind: str) -> None:
        self.types, self.kind = types, kind
        self.stable = {world.status.stable_pod_hash}
        self.forced: set[str] = set()
        self.seen, self.weight = len(world.log), 0

    def __call__(self, world: World) -> None:
        weight, last = world.split()[1] if world.routes else 0, world.log[-1] if world.log else None
        acted, more = len(world.log) > self.seen, weight > self.weight
        self.seen, self.weight = len(world.log), weight
        status = world.plans[-1].status if world.plans else world.status
        current = status.current_pod_hash
        if not acted or not phases.is_active(status.phase) or self._is_past(current):
            return
        grows = isinstance(last, act.ScaleReplicaSet) and not last.was and current in last.name
        if grows or (isinstance(last, act.CreateReplicaSet) and last.manifest["spec"]["replicas"]):
            early = () if self.kind in ("canary", "blueGreen") else ("pre-rollout",)
            self._asked(world, current, "entry", "confirm-rollout", *early)
        if more and self.kind == "canary":
            self._asked(world, current, "pods", "pre-rollout")

    def _is_past(self, revision: str) -> bool:
        return revision in self.forced | self.stable

    def _asked(self, world: World, revision: str, point: str, *types: str) -> None:
        said = {(x.hook, x.revision, x.point) for x in world.hooks.agreed}
        wanted = [item for item in types if item in self.types]
        assert [x for x in wanted if (x, revision, point) not in said] == [], "not asked"

    def promoted(self, world: World) -> None:
        """Whoever was promoted was confirmed, by hooks or by a person."""
        for item in world.heard:
            revision = item.decision.revision
            if item.decision.action != "Complete" or self._is_past(revision):
                continue
            self.stable.add(revision)
            said = {(x.hook, x.revision) for x in world.hooks.agreed}
            for kind in {"confirm-promotion"} & set(self.types):
                assert (kind, revision) in said, "not confirmed"


def world_of(kind: str, types: Sequence[str]) -> World:
    """shop:v1 serves, and asked nobody."""
    body = {"hooks": hooks(*types), "replicas": 2}
    match kind:
        case "canary":
            world = canary_world((20, "5s"), 60, routed=True)
        case "pods":
            world = canary_world((50, "5s"), 100)
        case "blueGreen":
            world = blue_green_world(after=5)
        case "abTesting":
            world = ab_world(maxDuration="30s")
        case _:
            world = World(gen.manifest(strategy={"simple": {}}))
    world.update(**body)
    world.settle()
    assert (world.status.phase, world.hooks.called) == (Phase.COMPLETED, ())
    return world


@search.reaching("Completed", deep=(*KINDS, *DEEP, "HookRefused"))
@settings(max_examples=search.FEW)
@given(st.sampled_from(KINDS), TYPES, st.booleans(), search.SEEDS)
def test_nobody_goes_past_a_hook(kind: str, types: list[str], dies: bool, seed: int) -> None:
    called = CALLED["canary" if kind == "pods" else kind]
    types = [item for item in types if item in called]
    world = world_of(kind, types)
    watch, world.cut = Watch(world, types, kind), dies
    world.after_each = watch
    answers = dict.fromkeys(types, "yes") | {"rollback": "no"}
    said = {"yes": "", "no": "not yet", "silent": None, "nonsense": NONSENSE}
    world.hooks.says = lambda name: said[answers[name]]
    world.image("shop:v2")
    events = search.happenings((*PEOPLE, *ANSWERS, *ANSWERS), 6, seed, kind, types, dies)
    for number, (delay, event) in enumerate(events):
        happen(world, watch, answers, event, number)
        world.run(delay)
    if seed % 32 == 0:  # beyond the deadline
        world.run(620)
    answers |= dict.fromkeys(types, "yes") | {"rollback": "no"}
    world.annotate("resume")
    world.run(120)
    if world.status.phase is Phase.CONCLUDED:
        world.annotate("promote")
    world.settle()
    watch.promoted(world)
    reach(world, kind, types, events, dies)
    rest(world, events)


def happen(world: World, watch: Watch, answers: dict[str, str], event: str, number: int) -> None:
    """Something that a person does, or another answer of a hook."""
    match event:
        case "image":
            world.image(f"shop:v{number + 3}")
        case "back":
            world.image("shop:v1")
        case "takes back":
            answers["rollback"] = "yes"
        case "yes" | "no" | "silent" | "nonsense":
            names = sorted(answers.keys() - {"rollback"})
            answers |= {names[number % len(names)]: event} if names else {}
        case "wait":
            return
        case _:
            if event.startswith("promote"):  # of whoever is, or will be looked at with it
                wanted = pod_hash(world.manifest["spec"]["template"])
                watch.forced |= {world.status.current_pod_hash, wanted}
            world.annotate(event)


def reach(world: World, kind: str, types: Sequence[str], events: Any, dies: bool) -> None:
    told = {hook.type for item in world.heard for hook, _ in webhooks.told(item) if hook.type}
    asked = {name for name, _ in world.hooks.called}
    reasons = {item.reason for status in world.writes for item in status.conditions}
    done = {event for _, event in events} | ({DIES} if dies else set())
    search.reach(search.lived(world) | told | asked | reasons | done | {kind})


def rest(world: World, events: Sequence[tuple[int, str]]) -> None:
    """It has ended, for a reason; nothing more happens, and nobody is asked."""
    reasons = [item.decision.reason for item in world.heard]
    assert "Timeout" not in reasons, "who waits for a hook is not late"
    taken = {"rollback", "takes back"} & {event for _, event in events}
    assert world.status.phase in ({Phase.COMPLETED, Phase.FAILED} if taken else {Phase.COMPLETED})
    assert world.annotations == {}
    serving = world.status.stable_pod_hash
    assert {key: x.replicas for key, x in world.sets.items() if x.replicas} == {serving: 2}
    world.log.clear()
    world.writes.clear()
    before = len(world.hooks.called)
    world.run(100)
    assert (world.log, world.writes, len(world.hooks.called)) == ([], [], before)
