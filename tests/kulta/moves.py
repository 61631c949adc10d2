"""What can happen next in a small world of the engine, one thing at a time, for `exploring`.

Pods become ready one by one, slices and the gateway follow when they like, the engine looks, or
dies before its second write, its third …. Each fault and each wish of a person costs one of `left`.
The checker of `world` looks after each action; here is what it cannot ask for where pods fail by
themselves: no action of the engine may take away the last ready pod behind a weight, give weight to
a Service behind whose addresses nobody is ready, or bring ready pods below what the bounds allow.
"""

from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import orjson

from fleet.api import names
from fleet.api.rollout import Phase, Rollout, RolloutStatus
from fleet.kulta.core import phases
from fleet.kulta.core.facts import replicas
from tests import gen
from tests.exploring import Way
from tests.kulta import nature
from tests.kulta.checker import Impossible
from tests.kulta.copies import Reader, fork
from tests.kulta.likeness import LONG, identity
from tests.kulta.world import World


@dataclass
class Small(World):
    """A world whose pods, slices and gateway wait to be let go on."""

    left: int = 1
    """Faults and wishes that may still come."""
    people: tuple[str, ...] = ()
    """What people may do: requests, `image`, `back`, `grow`, `shrink`, `hold`, `bad`, `flip` …."""
    mood: str = "good"
    """What the metrics say: good, bad, or nothing."""
    flipped: bool = False
    """Pods have failed by themselves."""
    floor: int = 0
    """The fewest pods that people have asked for so far: more of them take their time."""
    before: "Standing | None" = None

    def likeness(self) -> Hashable:
        """What makes it another world than one that is equal in this."""
        return identity(self)

    def nature(self) -> "Iterator[tuple[str, Small]]":
        """What else happens by itself."""
        yield from ()

    def kindness(self) -> "Iterator[tuple[str, Small]]":
        """What else somebody does who means well, when nothing happens by itself."""
        yield from ()

    def faults(self) -> "Iterator[tuple[str, Small]]":
        """What else may go wrong."""
        yield from ()

    def wish(self, verb: str) -> bool:
        """Do what else people may do; whether it is that."""
        return False

    def stand(self) -> "Standing":
        """Who serves now."""
        return standing(self)

    def check_end(self) -> None:
        """It has ended well."""
        check_end(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Who serves at a moment."""

    serving: Mapping[str, int]
    """Service with weight → its addresses that are ready."""
    ready: int
    """All of them."""
    pods: int


def small(made: World, *people: str, left: int = 1, kind: type[Small] = Small) -> Small:
    """`made`, at rest, and from now on one thing at a time."""
    values = {name: getattr(made, name) for name in type(made).__dataclass_fields__}
    world = kind(**values, people=people, left=left)
    world.startup, world.sliced, world.gateway, world.reader = 0.0, False, False, LIBRARY
    world.answer = answers(world)
    world.after_each = check
    return branch(world, floor=world.rollout.spec.replicas)


def answers(world: Small) -> Callable[[str], float | None]:
    """What the metrics of the new revision say; the stable one is well."""
    old, mood = world.status.stable_pod_hash, world.mood

    def answer(text: str) -> float | None:
        if mood == "nothing":
            return None
        return 50.0 if mood == "bad" and old not in text else 0.5

    return answer


class Library(Reader):
    """Reads each manifest once, for all worlds."""

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[bytes, Rollout] = {}

    def read(self, manifest: Mapping[str, Any], status: RolloutStatus) -> Rollout:
        text = orjson.dumps(manifest)
        if text != self._text or self._read is None:
            known = self._known.get(text)
            if known is None:
                known = Rollout.parse({**orjson.loads(text), "status": {}})
                self._known[text] = known
            self._text, self._read = text, known
        if self._read.status is not status:
            self._read = self._read.model_copy(update={"status": status})
        return self._read


LIBRARY = Library()


# --- what happens ---------------------------------------------------------------------------------


def ways(world: Small) -> Iterator[Way[Small]]:
    """Everything that can happen next; the first of them that heals is the way on."""
    looked = branch(world)
    is_busy = looked.tick()
    if is_busy and looked.likeness() == world.likeness():  # it has only found other words
        world, looked = looked, branch(looked)
        is_busy = looked.tick()
    _check_move(world.status.phase, looked.status.phase)
    found = [("the engine looks", looked)] if is_busy else []
    world = world if is_busy else looked
    found += list(_nature(world))
    due = None if is_busy else looked._next()
    if not found and (due is None or _is_waiting(world)):
        found += list(_kindness(world))
    if not found and due is not None:
        found.append(("time passes", _later(world, due)))
    if not found:
        world.check_end()
    yield from (Way(name=name, to=to, heals=number == 0) for number, (name, to) in enumerate(found))
    if world.left:
        spent = branch(world, left=world.left - 1)
        if due is not None and found and found[0][0] != "time passes":
            yield Way(name="time passes first", to=_later(spent, due))
        yield from (Way(name=name, to=to) for name, to in _faults(spent, looked))
        yield from (Way(name=name, to=to) for name, to in _wishes(spent))


def branch(world: Small, **changes: Any) -> Small:
    """The same, to go another way; what was is forgotten."""
    child: Small = fork(world)
    child.reader = LIBRARY
    for name in ("log", "writes", "heard", "asked", "weights"):
        setattr(child, name, [])
    child.plans = child.plans[-1:]
    for name, value in changes.items():
        setattr(child, name, value)
    return child


def _later(world: Small, due: datetime) -> Small:
    return branch(world, now=max(due, world.now + timedelta(milliseconds=1)))


def _nature(world: Small) -> Iterator[tuple[str, Small]]:
    """Pods become ready, slices and the gateway follow, the metrics are good again."""
    for key, pod in _first(world, ready=False):
        child = branch(world)
        del child.pods[key]  # who has become ready last goes first
        child.pods[key] = replace(pod, ready=True)
        yield f"a pod of {_name(pod.hash)} is ready", moved(child)
    yield from world.nature()
    slices = {name: world.addresses(item) for name, item in world.services.items()}
    if slices != world.slices:
        yield "slices follow", moved(branch(world, slices=slices))
    for key, item in world.routes.items():
        seen = {x["observedGeneration"] for x in item["status"]["parents"][0]["conditions"]}
        if seen != {item["metadata"]["generation"]}:
            child = branch(world)
            nature.accept(child, key, child.routes[key])
            yield "the gateway follows", moved(child)
    if world.mood != "good":
        child = branch(world, mood="good")
        child.answer = answers(child)
        yield "metrics are good", child


def _first(world: Small, *, ready: bool) -> Iterator[tuple[str, Any]]:
    """One pod of each kind that is (not) ready: the others are no different."""
    kinds: dict[tuple[Any, ...], tuple[str, Any]] = {}
    for key, pod in world.pods.items():
        if pod.ready is ready:
            kinds.setdefault((pod.hash, pod.role, pod.leaving), (key, pod))
    yield from kinds.values()


WAITS = (Phase.PAUSED, Phase.PREVIEW, Phase.CONCLUDED)


def _is_waiting(world: Small) -> bool:
    """Whether only a person can end what it waits for: nothing has come of it for long."""
    status = world.status
    if status.phase not in WAITS or world.now < (world.counters_due or world.now):
        return False
    since = max(filter(None, (status.step_start_time, status.pause_start_time)), default=world.now)
    return (world.now - since).total_seconds() >= LONG


def _kindness(world: Small) -> Iterator[tuple[str, Small]]:
    """What somebody does for a Rollout that waits for a person; nothing for one that has ended."""
    if world.gone:
        return
    yield from world.kindness()
    spec = world.manifest["spec"]
    if spec.get("hold") or spec.get("paused"):
        child = branch(world)
        child.update(hold=None, paused=False)
        yield "nobody holds it any more", child
    elif world.status.pause_requested:
        yield "resume", _asked(world, "resume")
    elif world.status.phase not in phases.ENDS:
        yield "promote", _asked(world, "promote")


def _asked(world: Small, verb: str) -> Small:
    child = branch(world)
    child.annotate(verb)
    return child


def _faults(world: Small, looked: Small) -> Iterator[tuple[str, Small]]:
    """A pod fails, the metrics say something else, the engine dies after some of its writes."""
    yield from world.faults()
    if "flip" in world.people:
        for key, pod in _first(world, ready=True):
            child = branch(world, flipped=True, strict=False)
            child.pods[key] = replace(pod, ready=False)
            yield f"a pod of {_name(pod.hash)} fails", moved(child)
    for mood in {"bad", "nothing"} & set(world.people) - {world.mood}:
        child = branch(world, mood=mood)
        child.answer = answers(child)
        yield f"metrics: {mood}", child
    if "die" in world.people and looked.plans and not world.gone:
        for number in range(1, len(looked.plans[-1].actions) + 1):
            child = branch(world, plans=looked.plans)
            for action in looked.plans[-1].actions[:number]:
                child._do(action)
            child.restart()
            yield f"the engine dies after {number} writes", child


def _wishes(world: Small) -> Iterator[tuple[str, Small]]:
    for verb in world.people:
        child = branch(world)
        size = world.manifest["spec"]["replicas"]
        if child.wish(verb):
            yield verb, child
            continue
        match verb:
            case "flip" | "bad" | "nothing" | "die":
                continue
            case "image":
                child.image("shop:v3")
            case "back":
                child.image("shop:v1")
            case "grow" | "shrink":
                child.update(replicas=max(size + (1 if verb == "grow" else -1), 0))
                child.floor = min(child.floor, child.manifest["spec"]["replicas"])
                child.strict = child.strict and size > 1  # who asks for nobody gets nobody
            case "hold":
                child.update(hold={"reason": "halted"})
            case "contest":
                taken = [name for name, item in child.services.items() if item.original is not None]
                if not taken:
                    continue
                child.undo(taken[0])
                moved(child)
            case _:
                child.annotate(verb)
        yield verb, child


def moved(world: Small) -> Small:
    """What the world does by itself is no fault of the engine: it counts from here."""
    world.before = world.stand()
    return world


# --- what must hold -------------------------------------------------------------------------------


def check(world: Any) -> None:
    """After an action of the engine; pods come and go with their sets at once."""
    for item in world.sets.values():
        nature.replicate(world, item)
    counts = Counter(pod.hash for pod in world.pods.values())
    for key, item in world.sets.items():
        if item.current != counts[key]:
            world.sets[key] = replace(item, current=counts[key])
    was, now = world.before, world.stand()
    world.before = now
    if was is None:
        return
    spec = world.rollout.spec
    least = replicas.bounds(world.floor, *spec.amounts.values()).least
    if now.ready < min(was.ready, least):
        raise Impossible(f"{now.ready} serve of {was.ready}, at least {least}: {world.log[-1]}")
    for name, count in now.serving.items():
        if not count and was.serving.get(name, 1) and was.ready and spec.replicas:
            raise Impossible(f"nobody behind {name} any more: {world.log[-1]}")


def standing(world: Any) -> Standing:
    """Who serves now: by the addresses that the slices hold, as a gateway sees it."""
    ready = {pod.uid for pod in world.pods.values() if pod.ready}
    behind = {
        name: world.slices.get(name, frozenset()) & ready
        for name, item in world.services.items()
        if item.original is not None and weight(world, name)
    }
    return counted(world, behind, ready)


def counted(world: Any, behind: Mapping[str, Collection[str]], ready: Collection[str]) -> Standing:
    """Pods without traffic serve nobody; where no Service is ours they all may have some, and
    without a route those of a canary are its share, whatever selects them."""
    is_share = not world.routes and world.rollout.spec.strategy.canary is not None
    serving = ready if is_share or not behind else set().union(*behind.values())
    return Standing(
        serving={name: len(item) for name, item in behind.items()},
        ready=len(serving),
        pods=len(world.pods),
    )


def weight(world: Any, name: str) -> int:
    """Percent of the traffic that goes to the Service: of the route, else all to the first."""
    first = next(iter(world.services))
    if not world.routes:
        return 100 if name == first else 0
    if world.rollout.spec.strategy.ab_testing is not None:
        rules = world.routes[gen.ROUTE]["spec"]["rules"]
        refs = [ref for rule in rules for ref in rule["backendRefs"] if ref["name"] == name]
        return max((ref.get("weight", 1) for ref in refs), default=0)
    return int(max(world.split(key)[0 if name == first else 1] for key in world.routes))


def _check_move(before: Phase | None, after: Phase | None) -> None:
    """A look that begins something may get on with it at once: two legal moves, never more."""
    once = {before} | phases.MOVES[before]
    if after not in once.union(*(phases.MOVES[item] for item in once)):
        raise Impossible(f"from {before} to {after}")


def check_end(world: Small) -> None:
    """Nothing to do, nothing to wait for: it has ended well, and left nothing behind."""
    status, total = world.status, world.rollout.spec.replicas
    assert status.phase in phases.ENDS, f"{status.phase}: {status.message}"
    serving = status.stable_pod_hash
    sizes = {key: item.replicas for key, item in world.sets.items() if item.replicas}
    assert sizes == ({serving: total} if total else {}), sizes
    assert world.annotations == {}
    assert {item.selector.get(names.HASH_LABEL, serving) for item in world.services.values()} <= {
        serving
    }
    if world.rollout.spec.strategy.ab_testing is None:
        assert {world.split(key) for key in world.routes} <= {(100, 0)}
    failed = status.phase is Phase.FAILED
    assert not failed or status.failed_pod_hash != serving


def _name(revision: str) -> str:
    known = {gen.revision(f"shop:v{number}"): f"v{number}" for number in (1, 2, 3)}
    return known.get(revision, revision)
