"""Every field of an Application, a Fleet and a MemberCluster does something: who changes it gets
another plan, another object in a member, another status or another decision.

The third oracle of Acto (SOSP 2023), as `tests.kulta.core.test_fields` asks it of Rollouts, with
the same values for what both have. Where a field is inert, `INERT` says for whom it is. A part of
the fields is asked here, all of them in `make check-deep`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import pytest

from fleet.api import Application, Fleet, MemberCluster
from fleet.api.fleetrollout import Snapshot
from fleet.api.names import ClusterName
from fleet.errors import UserError
from fleet.hub.core.actions import CreateRun
from fleet.hub.core.application import decision
from fleet.hub.core.member import connectivity, engine, selection
from fleet.hub.core.observed import ApplicationObserved
from fleet.rendering import render
from fleet.rendering.environment import TemplateSet
from tests import fields as paths
from tests import gen as rollouts
from tests import search, wild
from tests.conftest import NOON
from tests.hub import copies, gen, renders, world
from tests.hub.core.run.test_properties import joined, left
from tests.hub.world import World
from tests.kulta.core import test_fields as engines
from tests.stories.test_hub_removal import delete
from tests.trees import clone

pytestmark = [search.in_time, pytest.mark.hypothesis]

ALL = search.MANY > 1_000
SHARE = 15
"""One of so many fields is asked about in `make test`."""
APPLICATION, FLEET, MEMBER = "applications", "fleets", "memberclusters"
DEFAULTS = "defaults.deliveryPolicy."
NAMES = ("a", "b", "c", "d")
RINGS = {"a": "canary", "d": "early"}
SECONDS, TICKS = 15, 36

INERT: Mapping[str, str] = {
    "kubeconfig.secretRef.": "for the runtime, which reads the Secret",
    "engine.image": "for the runtime, which renders the engine's Deployment with it",
    f"{DEFAULTS}strategy.": "refused: a strategy belongs to an Application",
    "before[].soak": "refused: a soak follows a wave",
    "patch[].value": "with the operation that it belongs to: see patch[].path",
}
"""Beginning or part of a path → whom it is for instead of the planners."""


@cache
def fields() -> tuple[tuple[str, str], ...]:
    """Kind and path of everything that can be written."""
    kinds = (APPLICATION, FLEET, MEMBER)
    specs = ((kind, wild.of(kind)["properties"]["spec"]) for kind in kinds)
    return tuple((kind, path) for kind, spec in specs for path in paths.leaves(spec))


# --- two values for each --------------------------------------------------------------------------

HOOK = {"name": "gate", "type": "confirm-rollout", "url": "https://gate.example.com"}
GATE = {"hook": {"url": "https://gate.example.com"}}
WINDOW = {"cron": "0 8 * * *", "duration": "8h", "timeZone": "UTC"}
WAVE = {"name": "first", "clusterSelector": {"matchLabels": {"ring": "canary"}}}
REST = {"name": "rest", "remaining": True}
PATCH = {"op": "replace", "path": "/workload/replicas", "value": 2}
PARTS: Mapping[str, Any] = {
    **engines.PARTS,
    "overrides[]": {"clusterSelector": {"matchLabels": {"ring": "rest"}}, "patch": [PATCH]},
    "matchExpressions[]": {"key": "ring", "operator": "In", "values": ["canary"]},
    "schedule": WINDOW,
    "hook": GATE["hook"],
    "hooks[]": HOOK,
    "prometheus": {"address": "http://a:9090"},
    "route": {"parentRefs": [{"name": "public"}]},
}
"""What must stand around a field."""

VALUES: Mapping[str, tuple[Any, Any]] = {
    **{key: both for key, both in engines.VALUES.items() if key not in ("name", "key", "type")},
    "fleet": ("production", "other"),
    "template": tuple(
        {**gen.spec()["workload"]["template"], "metadata": {"labels": {"app": name}}}
        for name in ("checkout", "basket")
    ),
    "namespace": ("checkout", "other"),
    "matchLabels": ({"ring": "canary"}, {"ring": "rest"}),
    "key": ("ring", "tier"),
    "values[]": ("canary", "rest"),
    "op": ("replace", "remove"),
    "clusters[]": ("b", "c"),
    "names[]": ("a", "b"),
    "cron": ("0 8 * * *", "0 9 * * *"),
    "timeZone": ("UTC", "Europe/Berlin"),
    "soak": ("1m", "3m"),
    "expiresAfter": ("1m", "3m"),
    "timeout": ("1m", "3m"),
    "progressDeadline": ("1m", "3m"),
    "minInterval": ("1m", "3m"),
    "deletionTimeout": ("1m", "4m"),
    "maxConcurrency": (1, 2),
    "failureBudget": (0, 1),
    "maxPrune": (1, 2),
    "maxTrafficShareOnNewRevision": ("25%", "50%"),
    "untilWave": ("first", "rest"),
    "orderBy": ("name", "label:ring"),
    "revisionHistoryLimit": (1, 2),
    "vars": ({"tag": "v1"}, {"tag": "v2"}),
    "allowedNamespaces[]": ("checkout", "other"),
    "url": ("https://a.example.com", "https://b.example.com"),
    "endpoint": ("http://a.example.com", "http://b.example.com"),
    "address": ("http://a:9090", "http://b:9090"),
    "name": ("one", "two"),
}
"""Two values of a field by its name; others by their type."""

EXISTS = {"operator": "Exists"}
IN = {"key": "ring", "operator": "In"}
WHOLE: Mapping[str, tuple[Any, Any]] = {
    **engines.WHOLE,
    "matchExpressions[].key": ({"key": "ring", **EXISTS}, {"key": "missing", **EXISTS}),
    "matchExpressions[].operator": tuple(
        {**IN, "operator": word, "values": ["rest"]} for word in ("In", "NotIn")
    ),
    "matchExpressions[].values[]": ({**IN, "values": ["canary"]}, {**IN, "values": ["rest"]}),
    "waves[].clusters[]": tuple({"name": "first", "clusters": [name]} for name in ("b", "c")),
    "waves[].orderBy": tuple({**REST, "orderBy": order} for order in ("name", "label:ring")),
    "waves[].remaining": (REST, {"name": "rest", "clusters": ["a"]}),
    "patch[].op": ({**PATCH, "op": "add"}, {"op": "remove", "path": "/workload/route"}),
    "patch[].path": (PATCH, {**PATCH, "path": "/workload/service/port"}),
    "metrics[].name": tuple({"name": x, "threshold": 5} for x in ("error-rate", "request-rate")),
    "provider.secretRef.name": tuple(
        {**engines.JSON, "secretRef": {"name": name}} for name in ("one", "two")
    ),
    "limits.untilWave": tuple(
        {"maxTrafficShareOnNewRevision": "25%", "untilWave": name} for name in ("first", "rest")
    ),
}
"""What stands around a field, twice, where it cannot be changed alone: by the end of its path."""
OUTER: Mapping[str, str] = {"provider.secretRef.name": "provider"}
"""Where that is not one level above the field."""


def values(kind: str, path: str) -> tuple[str, tuple[Any, Any]]:
    """Where to put which two values."""
    for end, both in sorted(WHOLE.items(), key=lambda item: -len(item[0])):
        if path.endswith(end):
            outer = OUTER.get(end, end.rpartition(".")[0])
            return f"{path.removesuffix(end)}{outer}".rstrip("."), both
    name = path.rpartition(".")[2]
    if name in VALUES:
        return path, VALUES[name]
    node = paths.at(wild.of(kind)["properties"]["spec"], path)
    return path, engines.value(node, name)


# --- what is wanted -------------------------------------------------------------------------------

OWN_TEMPLATES = TemplateSet.of(
    dict(renders.TEMPLATES.files)
    | {
        "httproute.yaml.j2": "{% if cluster.vars %}\n"
        "apiVersion: v1\nkind: Service\nmetadata: {name: {{ cluster.vars.tag }}}\n"
        "spec: {ports: [{port: 80}]}\n{% endif %}\n"
    }
)
"""An administrator's, which use what people write into `vars`."""


@dataclass(kw_only=True)
class Wish:
    """The three specs."""

    application: dict[str, Any]
    fleet: dict[str, Any] = field(
        default_factory=lambda: {
            "members": {"clusterSelector": {"matchLabels": {"tier": "production"}}}
        }
    )
    member: dict[str, Any] = field(default_factory=lambda: clone(gen.cluster("a").spec.manifest()))

    def at(self, image: str, generation: int) -> Application:
        body = clone(self.application)
        body["workload"]["template"]["spec"]["containers"][0]["image"] = image
        return gen.application(body=body, generation=generation)


def wish(kind: str, path: str) -> Wish:
    """One in which the field would matter."""
    inner = path.removeprefix(DEFAULTS).removeprefix("deliveryPolicy.")
    made: dict[str, Any] = clone(gen.spec())
    policy = made["deliveryPolicy"]
    policy["strategy"] = strategy(inner)
    shared = kind == FLEET and path.startswith(DEFAULTS)
    found = Wish(application=made)
    if path.startswith("members.names"):
        found.fleet["members"] = {}
    where = (
        found.fleet.setdefault("defaults", {}).setdefault("deliveryPolicy", {})
        if shared
        else policy
    )
    where |= around(inner)
    return found


def strategy(inner: str) -> dict[str, Any]:
    kind = inner.split(".")[1] if inner.startswith("strategy.") else "canary"
    own = {
        "canary": {"steps": clone(gen.STEPS), "analysis": rollouts.analysis()},
        "blueGreen": {"autoPromotionEnabled": True, "analysis": rollouts.analysis()},
        "abTesting": {
            "variantBMatch": {"header": {"name": "x-user", "value": "b"}},
            "analysis": rollouts.ab_analysis(),
        },
        "simple": {"analysis": rollouts.analysis()},
    }[kind]
    own = clone(own)
    own["analysis"].pop("prometheus", None)
    return {kind: own}


def around(inner: str) -> dict[str, Any]:
    """What of the policy has to be there too."""
    found: dict[str, Any] = {"maxConcurrency": 2, "failureBudget": 4}
    if inner.startswith(("waves", "limits", "unmatched")):
        found["waves"] = [clone(WAVE), clone(REST)]
    if inner.startswith("unmatched"):
        found["waves"] = [clone(WAVE)]
    if inner.endswith(("waves[].clusters[]", "waves[].remaining")):
        found["unmatchedClusters"] = "Ignore"
    if inner.startswith(("failureBudget", "onFailure", "halt", "rollback")):
        found |= {"failureBudget": 0, "haltOnFirstFailedAnalysis": inner.startswith("halt")}
    if inner.startswith("limits"):
        found["maxConcurrency"] = 4
    return found


# --- what becomes of it ---------------------------------------------------------------------------

START = world.settle(world.new(*NAMES, labels=RINGS, maxConcurrency=5))
"""Everybody has v1."""
UNTOLD = ("revision", "planDigest", "unblock", "display", "fleetRevision")
"""Digests over everything, which a change moves in any case."""

Event = Callable[[World], World]


def ask(text: str) -> Event:
    return lambda here: replace(here, request=text)


def edited(here: World) -> World:
    """Somebody owns fields of the Rollout in `a`."""
    objects, where = here.objects[ClusterName("a")], ("rollouts", "checkout", "checkout")
    rollout = clone(objects[where])
    rollout["metadata"] |= {"owned": "0123456789", "editors": ["gitops"]}
    objects[where] = rollout
    return here


def lost(*names: str) -> Event:
    return lambda here: world.lose(here, *names)


MOODS: Mapping[str, tuple[Mapping[int, Event], str]] = {
    "all is well": ({}, ""),
    "b fails": ({}, "b"),
    "another one comes": ({2: lambda here: here}, ""),
    "a is lost": ({0: lost("a"), 24: lambda here: world.regain(here, "a")}, ""),
    "one comes and one goes": (
        {2: lambda here: joined(here, "e"), 6: lambda here: left(here, "b")},
        "",
    ),
    "of one engine nothing is known": ({0: lambda here: world.forget(here, "a")}, ""),
    "two go": ({0: lambda here: left(left(here, "b"), "c")}, ""),
    "it is deleted": ({20: lambda here: delete(world.lose(here, "d"))}, ""),
    "it goes back": ({20: ask("rollback/1")}, ""),
    "somebody edits": ({20: edited}, ""),
}
"""What happens at which tick, and who fails."""
NEWER = {"another one comes": (2, 3), "all is well": (12, 20, 28)}
"""When further revisions come."""


def stills(wanted: Wish) -> Iterator[Any]:
    """What is decided and rendered at once, without a second look."""
    fleet = Fleet.parse(
        {"metadata": {"name": "production", "namespace": "shop"}, "spec": wanted.fleet}
    )
    own = gen.cluster("a", ring="canary").model_copy(
        update={
            "spec": MemberCluster.parse({"metadata": {"name": "a"}, "spec": wanted.member}).spec
        }
    )
    members = {**START.members}
    members[ClusterName("a")] = replace(members[ClusterName("a")], cluster=own)
    application = wanted.at("shop:v2", 2)
    named = application.spec.destination.fleet == fleet.name
    looked = ApplicationObserved(fleet=fleet if named else None, members=members, templates="t")
    decided = decision.decide(application, looked, NOON)
    yield told(decided.status.manifest())
    yield engine.keep(seen(own), "digest", rival="", active="", ahead=())
    yield selection.select(fleet, members).chosen
    for action in decided.actions:
        if isinstance(action, CreateRun):
            yield action.spec.plan
            yield from rendered(action.spec.application, fleet, own)


def seen(cluster: MemberCluster) -> engine.EngineObserved:
    believed = connectivity.Connectivity(reachable=True, fresh=True)
    return engine.EngineObserved(mode=cluster.spec.engine.mode, believed=believed)


def rendered(application: Snapshot, fleet: Fleet, own: MemberCluster) -> Iterator[Any]:
    for templates in (renders.TEMPLATES, OWN_TEMPLATES):
        for cluster in (own, START.members[ClusterName("b")].cluster):
            try:
                found = render.render(templates, gen.delivery(application, cluster, fleet))
                yield [item.manifest for item in found]
            except UserError as error:
                yield str(error)


def life(wanted: Wish, mood: str) -> Iterator[Any]:
    """What is told and written after v2 is asked for."""
    happening, bad = MOODS[mood]
    fleet = Fleet.parse(
        {"metadata": {"name": "production", "namespace": "shop"}, "spec": wanted.fleet}
    )
    here = replace(START, fleet=fleet, bad=frozenset(bad), log=[])
    number = 2
    for tick in range(TICKS):
        if tick in (0, *NEWER.get(mood, ())):
            before = here.application.status
            newer = wanted.at(f"shop:v{number}", number)
            here = replace(here, application=newer.model_copy(update={"status": before}))
            number += 1
        if tick in happening:
            here = happening[tick](copies.copied(here))
        here = world.tick(here, seconds=SECONDS)
        yield told([run.status.manifest() for run in here.runs.values()])
        yield told([here.application.status.manifest(), here.log, sorted(here.items)])


def told(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: told(item) for key, item in value.items() if key not in UNTOLD}
    return [told(item) for item in value] if isinstance(value, list | tuple) else value


def difference(kind: str, path: str) -> str:
    """Where the two values make a difference; empty where nowhere."""
    place, pair = values(kind, path)
    wishes = [wish(kind, path) for _ in pair]
    for each, given in zip(wishes, pair, strict=True):
        spec = {APPLICATION: each.application, FLEET: each.fleet, MEMBER: each.member}[kind]
        paths.put(spec, place, clone(given), PARTS)
    first, second = (list(stills(each)) for each in wishes)
    if first != second:
        return "at once"
    moods = (mood for mood in MOODS if any(differ(*wishes, mood=mood)))
    return next(moods, "")


def differ(one: Wish, other: Wish, mood: str) -> Iterator[bool]:
    pairs = zip(life(one, mood), life(other, mood), strict=True)
    return (mine != others for mine, others in pairs)


def asked() -> Iterator[tuple[str, str]]:
    """Fields that the planners must care for; in `make test` a part of them."""
    known = [item for item in fields() if not any(part in item[1] for part in INERT)]
    yield from known if ALL else known[::SHARE]


def test_every_field_does_something() -> None:
    found = {item: difference(*item) for item in asked()}
    print(f"{len(found)} of {len(fields())} fields")  # noqa: T201 - for people
    assert [item for item, where in found.items() if not where] == []


def test_what_is_inert_is_known() -> None:
    assert [part for part in INERT if not any(part in path for _, path in fields())] == []
