"""Two questions that need no expectation written by hand, after Acto (SOSP 2023), asked of a hub.

The way does not matter: Applications, Fleets and MemberClusters one after the other, in the midst
of each other's runs, end as the last of them alone. What is wrong and then mended leaves nothing
behind. The third question is in `test_fields`; of Rollouts all three are asked in `tests.kulta`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import pytest

from fleet.api import Fleet, MemberCluster, conditions
from fleet.api.names import HASH_LABEL, ORIGINAL_SELECTOR, TYPE_LABEL
from fleet.errors import UserError
from fleet.hub.core import phases
from tests import search
from tests.hub import gen, world
from tests.hub.world import World
from tests.trees import clone

pytestmark = [search.in_time, pytest.mark.hypothesis]

COUNT = 600 if search.MANY > 1_000 else 4
NAMES = ("a", "b", "c", "d")
NEAR = {"address": "http://near:9090"}
ANALYSIS = {"interval": "10s", "metrics": [{"name": "error-rate", "threshold": 5.0}]}
STRATEGIES: tuple[Mapping[str, Any], ...] = (
    gen.CANARY,
    {"canary": {"steps": [{"setWeight": 30}, {"setWeight": 60}, {"setWeight": 100}]}},
    {"canary": {"steps": gen.STEPS, "analysis": {**ANALYSIS, "prometheus": NEAR}}},
    {"blueGreen": {"autoPromotionEnabled": True}},
    {"simple": {}},
)
WAVES: tuple[list[dict[str, Any]], ...] = (
    [],
    [{"name": "first", "clusters": ["a"]}, {"name": "rest", "remaining": True}],
    [{"name": "all", "remaining": True, "maxConcurrency": "50%"}],
    [{"name": "one", "clusterSelector": {"matchLabels": {"ring": "rest"}}}],
)
PATCH = {"op": "replace", "path": "/workload/replicas", "value": 7}
OVERRIDE = {"clusterSelector": {"matchLabels": {"ring": "rest"}}, "patch": [PATCH]}


@dataclass(frozen=True, kw_only=True)
class Wish:
    """Everything that people write."""

    application: Mapping[str, Any]
    fleet: Mapping[str, Any]
    member: Mapping[str, Any]
    """The spec of every MemberCluster."""


def wish(dice: Random, image: str) -> Wish:
    """A good one; it lets those go who leave the fleet."""
    body: dict[str, Any] = clone(gen.spec(image, maxPrune="100%", unmatchedClusters="Ignore"))
    work, policy = body["workload"], body["deliveryPolicy"]
    work["replicas"] = dice.randint(1, 4)
    work["service"] |= dice.choice([{}, {"name": "front"}, {"port": 81}])
    if dice.random() < 0.3:
        del work["route"]
    policy["strategy"] = clone(dice.choice(STRATEGIES))
    policy["waves"] = clone(dice.choice(WAVES))
    policy["maxConcurrency"] = dice.choice([1, 2, "100%"])
    body["overrides"] = dice.choice([[], [clone(OVERRIDE)]])
    leaving = set(dice.sample(NAMES, dice.choice([0, 0, 1, 2]))) - {"a"}
    fleet: dict[str, Any] = {"members": {"names": sorted({*NAMES} - leaving)}}
    if dice.random() < 0.3:
        fleet["defaults"] = {"prometheus": {"address": "http://far:9090"}}
    member: dict[str, Any] = clone(gen.cluster("a").spec.manifest())
    member |= dice.choice([{}, {"prometheus": NEAR}, {"vars": {"domain": "example.com"}}])
    return Wish(application=body, fleet=fleet, member=member)


def asked(here: World, given: Wish) -> World:
    """The world in which that is asked for."""
    meta = {"metadata": {"name": "production", "namespace": "shop"}}
    spec = MemberCluster.parse({"metadata": {"name": "x"}, "spec": given.member}).spec
    newer = gen.application(
        body=clone(given.application), generation=here.application.metadata.generation + 1
    )
    return replace(
        here,
        application=newer.model_copy(update={"status": here.application.status}),
        fleet=Fleet.parse({**meta, "spec": given.fleet}),
        members={
            name: replace(one, cluster=one.cluster.model_copy(update={"spec": spec}))
            for name, one in here.members.items()
        },
    )


def ticked(here: World, ticks: int) -> World:
    for _ in range(ticks):
        here = world.tick(here)
    return here


def end(here: World) -> World:
    """When nothing moves any more."""
    done = world.settle(ticked(here, 2), ticks=200)
    assert done.run.status.phase in phases.ENDS, done.run.status
    return done


def picture(here: World) -> Any:
    """What anybody can see, but for history."""
    return {
        "run": (here.run.status.phase, here.run.status.counts, here.run.spec.plan),
        "application": [
            (one.type, one.status, one.reason) for one in here.application.status.conditions
        ],
        "clusters": {
            name: (item.status.phase, item.status.reason, sorted(_places(item.status.inventory)))
            for name, item in here.items.items()
        },
        "members": {
            name: {key: _plain(one) for key, one in sorted(objects.items())}
            for name, objects in here.objects.items()
        },
    }


def _places(inventory: Any) -> list[tuple[str, str]]:
    return [(one.plural, one.name) for one in inventory]


def _plain(manifest: Mapping[str, Any]) -> Any:
    """Without what counts writes, and what is the engine's from the creation of a Service on."""
    spec = clone({key: one for key, one in manifest["spec"].items() if key != "dispatch"})
    for key in (HASH_LABEL, TYPE_LABEL):
        spec.get("selector", {}).pop(key, None)
    meta = manifest["metadata"]
    notes = {**meta.get("annotations", {}), ORIGINAL_SELECTOR: None}
    return [spec, meta.get("labels"), notes, manifest.get("status", {}).get("phase")]


START = world.settle(world.new(*NAMES, maxConcurrency=4))
"""Everybody has the first version."""
PAUSES = (1, 2, 3, 5, 8, 25)
"""Ticks between two wishes: in the midst of a run, and after it."""


def test_the_way_to_a_wish_does_not_matter() -> None:
    for seed in range(COUNT):
        dice = Random(seed)
        wishes = [wish(dice, f"shop:v{number}") for number in (2, 3, 4)]
        here = START
        for each in wishes:
            here = ticked(asked(here, each), dice.choice(PAUSES))
        straight = asked(START, wishes[-1])
        assert picture(end(here)) == picture(end(straight)), f"seed {seed}"


POLICY = "application.deliveryPolicy"
BAD: tuple[tuple[str, Any], ...] = (
    ("application.destination.namespace", "elsewhere"),
    ("application.destination.namespace", "kube-system"),
    (f"{POLICY}.maxConcurrency", 0),
    (f"{POLICY}.progressDeadline", "soon"),
    (f"{POLICY}.strategy", {"canary": {"steps": [{"setWeight": 50}, {"setWeight": 20}]}}),
    (f"{POLICY}.strategy", {"simple": {}, **gen.CANARY}),
    (f"{POLICY}.waves", [{"name": "one", "clusters": ["nobody"]}]),
    (f"{POLICY}.unmatchedClusters", "Fail"),
    ("application.workload.service", None),
    ("fleet.members", {"names": ["nobody"]}),
    ("member.allowedNamespaces", []),
)
"""What is wrong, where."""


def spoilt(given: Wish, dice: Random) -> Wish:
    """The same with something that the hub cannot deliver."""
    path, value = dice.choice(BAD)
    kind, *way = path.split(".")
    body: Any = clone(getattr(given, kind))
    here = body
    for key in way[:-1]:
        here = here[key]
    here[way[-1]] = value
    if path.endswith("unmatchedClusters"):
        here["waves"] = [{"name": "one", "clusters": ["a"]}]
    if path.endswith("service"):  # a rolling update needs none
        body["deliveryPolicy"]["strategy"] = clone(gen.CANARY)
    return replace(given, **{kind: body})


def test_what_is_mended_leaves_nothing_behind() -> None:
    for seed in range(COUNT):
        dice = Random(seed)
        first, last = wish(dice, "shop:v2"), wish(dice, "shop:v3")
        here = ticked(asked(START, first), dice.choice(PAUSES))
        pause = dice.choice(PAUSES)
        try:
            bad = ticked(asked(here, spoilt(replace(last, fleet=first.fleet), dice)), pause)
        except UserError:
            bad = here  # our models cannot read it: the runtime reports that, and goes on as before
        else:
            told = conditions.find(bad.application.status.conditions, "Ready")
            assert told is not None, f"seed {seed}"
            assert told.status != "True", f"seed {seed}: {told}"
            for name, objects in ticked(here, pause).objects.items():
                kept = here.objects[name].keys() & objects.keys()
                assert kept <= bad.objects[name].keys(), f"seed {seed}: nothing more goes"
        assert picture(end(asked(bad, last))) == picture(end(asked(START, last))), f"seed {seed}"
