"""The engine before Contour: what it writes into a route is what real requests meet.

Each route has two parents, Contour and the local gateway, so what is asked of one is asked of the
other; clients ask both all the time, and none of them is refused.
"""

import asyncio
import math
import urllib.request
from collections.abc import Iterator, Mapping
from statistics import NormalDist
from typing import Any

import pytest

from e2e.court import JUDGE, PARENTS, Court
from e2e.ground import background, loadgen
from e2e.ground.loadgen import NOBODY, Load, LoadGenerator
from e2e.ground.subject import Subject, route, service
from e2e.ground.waiting import until
from e2e.realm import all_from, sending
from e2e.routes import Answer, send

Manifest = dict[str, Any]
PLACE = "judged"
TEAM, COOKIE = {"X-Team": "checkout"}, "version"
TOTAL, LOOKS = 500, 3
"""Requests by which a weight is measured, and how often at most: the first look may still see the
weight before, and a right one is outside of the interval once in a thousand times."""
DEVIATIONS = NormalDist().inv_cdf(0.9995)
"""Of a binomial count, within which 99.9 % of all samples are."""
FEW = 12
PATIENCE = 60.0
"""Seconds that a client waits for an answer: a refusal comes at once, also on a busy machine."""


def template(name: str, version: str) -> Manifest:
    """The pod template of one version, probed."""
    probe = {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1}
    container = {"name": "app", "image": f"sample:{version}", "readinessProbe": probe}
    metadata = {"labels": {"app": name}}
    return {"template": {"metadata": metadata, "spec": {"containers": [container]}}}


def judged(manifest: Manifest) -> Manifest:
    """The route with both parents."""
    return manifest | {"spec": manifest["spec"] | {"parentRefs": PARENTS}}


def host(name: str) -> str:
    return f"{name}.{PLACE}.example.com"


class Stage:
    """A Rollout, and clients who ask for it through both gateways."""

    def __init__(self, court: Court, name: str, strategy: Manifest, **spec: Any) -> None:
        self.court, self.name = court, name
        self.subject = Subject(
            plane=court.plane,
            namespace=PLACE,
            name=name,
            strategy=strategy,
            spec=template(name, "v1") | spec,
        )
        self.subject.apply("unused")

    def change(self, version: str) -> None:
        """Another image."""
        self.subject.patch({"spec": template(self.name, version)})

    def begin(self, version: str) -> None:
        """Another image, until its first step is reached and its team gets it: Contour speaks of a
        route a moment before its Envoy has it."""
        self.change(version)
        self.subject.wait(currentStepIndex=0, reachedStepIndex=0, currentWeight=20)
        until(lambda: self.versions(TEAM) == {version}, f"the team gets {version}", within=10)

    def load(self, headers: tuple[tuple[str, str], ...] = (), **load: Any) -> list[LoadGenerator]:
        """Clients of a kind, one for each gateway."""
        return [
            LoadGenerator(
                Load(url=url, host=host(self.name), headers=headers, timeout=PATIENCE, **load)
            )
            for url in self.court.urls.values()
        ]

    def versions(self, headers: Mapping[str, str]) -> set[str]:
        """Who answers a few who ask so, at both gateways; an error is nobody."""
        return {answer.version for answer in self.ask("/", headers)}

    def ask(self, path: str, headers: Mapping[str, str], times: int = FEW) -> list[Answer]:
        """So many answers of each gateway."""
        return [
            send(None, host(self.name), path, url=url, headers=dict(headers))
            for url in self.court.urls.values()
            for _ in range(times)
        ]

    def rules(self) -> list[Manifest]:
        path = f"/apis/gateway.networking.k8s.io/v1/namespaces/{PLACE}/httproutes/{self.name}"
        found: list[Manifest] = self.court.plane.call("GET", path)[1]["spec"]["rules"]
        return found


@pytest.fixture(scope="module")
def stages(court: Court) -> dict[str, Stage]:
    """A canary, an experiment and a blue-green, their first revisions complete."""
    court.plane.add_namespace(PLACE)
    court.plane.apply(
        service(PLACE, "shop-stable", "shop", "stable"),
        service(PLACE, "shop-canary", "shop", "canary"),
        judged(shop()),
        rpc(),
        service(PLACE, "lab-a", "lab", "variant-a"),
        service(PLACE, "lab-b", "lab", "variant-b"),
        judged(route(PLACE, "lab", "lab-a")),
        service(PLACE, "web-active", "web", "active"),
        service(PLACE, "web-preview", "web", "preview"),
        *old(),
        judged(web()),
    )
    made = {
        "shop": Stage(court, "shop", CANARY),
        "lab": Stage(court, "lab", EXPERIMENT),
        "web": Stage(court, "web", BLUE_GREEN, scaleDownDelay="1h"),
    }
    for stage in made.values():
        stage.subject.wait(phase="Completed", readyReplicas=2, within=60)
    return made


CANARY: Manifest = {
    "canary": {
        "stableService": "shop-stable",
        "canaryService": "shop-canary",
        "steps": [
            {"setWeight": 20, "pause": {"duration": "1h"}},
            {"setWeight": 50, "pause": {"duration": "1h"}},
            {"setWeight": 100},
        ],
        "trafficRouting": {"gatewayAPI": {"httpRoute": "shop", "grpcRoutes": [{"name": "rpc"}]}},
        "headerRoutes": [{"name": name, "value": value} for name, value in TEAM.items()],
        "sessionAffinity": {"cookieName": COOKIE},
    }
}
EXPERIMENT: Manifest = {
    "abTesting": {
        "variantAService": "lab-a",
        "variantBService": "lab-b",
        "variantBMatch": {
            "header": {"name": "X-Variant", "value": "B"},
            "cookie": {"name": "variant", "value": "b"},
        },
        "trafficRouting": {"gatewayAPI": {"httpRoute": "lab"}},
        "maxDuration": "1d",
    }
}


BLUE_GREEN: Manifest = {
    "blueGreen": {
        "activeService": "web-active",
        "previewService": "web-preview",
        "trafficRouting": {"gatewayAPI": {"httpRoute": "web"}},
    }
}


def shop() -> Manifest:
    """One rule with a filter and both Services, the user's own for a header, and the rest."""
    made = route(PLACE, "shop", "shop-stable", "shop-canary")
    (rule,) = made["spec"]["rules"]
    header = {"set": [{"name": "X-Api", "value": "1"}]}
    stamped = {"type": "ResponseHeaderModifier", "responseHeaderModifier": header}
    path = {"type": "PathPrefix", "value": "/api"}
    others = {"headers": [{"name": "X-Team", "value": "warehouse"}]}
    made["spec"]["rules"] = [
        rule | {"matches": [{"path": path}], "filters": [stamped]},
        {"matches": [others], "backendRefs": [{"name": "shop-stable", "port": 80}]},
        rule,
    ]
    return made


def web() -> Manifest:
    """Half of one path for a Service that nobody manages; of all the rest it gets copies."""
    made = route(PLACE, "web", "web-active", "web-preview")
    (rule,) = made["spec"]["rules"]
    legacy = {"name": "web-old", "port": 80}
    copied = {"type": "RequestMirror", "requestMirror": {"backendRef": legacy}}
    path = {"path": {"type": "PathPrefix", "value": "/old"}}
    both = [*rule["backendRefs"], legacy | {"weight": 100}]
    made["spec"]["rules"] = [
        {"matches": [path], "backendRefs": both},
        rule | {"filters": [copied]},
    ]
    return made


def old() -> tuple[Manifest, Manifest]:
    """What is not a Rollout's: a Service of one pod."""
    found = service(PLACE, "web-old", "web-old", "")
    found["spec"]["selector"] = {"app": "web-old"}
    pod = template("web-old", "v0")["template"]
    meta = pod["metadata"] | {"name": "web-old", "namespace": PLACE}
    return found, {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": pod["spec"]}


def rpc() -> Manifest:
    """A GRPCRoute to both Services, which Contour alone serves."""
    made = route(PLACE, "rpc", "shop-stable", "shop-canary")
    spec = made["spec"] | {"parentRefs": [one for one in PARENTS if one["name"] == JUDGE]}
    return made | {"kind": "GRPCRoute", "spec": spec}


def check_weights(stage: Stage, version: str, percent: int) -> None:
    """So many of the requests at each gateway are answered by that version, and of the calls."""
    loads = {
        name: Load(url=url, host=host(stage.name), **MANY) for name, url in stage.court.urls.items()
    }
    loads["calls"] = Load(url=stage.court.urls[JUDGE], host=host("rpc"), headers=GRPC, **MANY)
    share = percent / 100
    near = DEVIATIONS * math.sqrt(share * (1 - share) * TOTAL)
    seen: dict[str, list[int]] = {name: [] for name in loads}
    while off := [x for x, found in seen.items() if not any(_near(found, share * TOTAL, near))]:
        assert len(seen[off[0]]) < LOOKS, f"{percent} percent of {TOTAL}: {seen}"
        counts = _counts([loads[name] for name in off], version)
        for name, count in zip(off, counts, strict=True):
            seen[name].append(count)


MANY: Manifest = {
    "rate": 250,
    "duration": 60,
    "total": TOTAL,
    "connections": TOTAL,
    "timeout": PATIENCE,
}
GRPC = (("Content-Type", "application/grpc"),)


def _near(counts: list[int], expected: float, near: float) -> Iterator[bool]:
    return (abs(count - expected) <= near for count in counts)


def _counts(loads: list[Load], version: str) -> list[int]:
    """How many of each load's answers come from that version; every request gets one."""
    generators = [LoadGenerator(load) for load in loads]
    loop = background.Loop()

    async def all_of_them() -> None:
        await asyncio.gather(*(one.run() for one in generators))

    try:
        loop.call(all_of_them())
    finally:
        loop.close()
    for one in generators:
        assert len(one.answers) == TOTAL
        assert {(x.status, x.version == NOBODY) for x in one.answers} == {(200, False)}
    return [sum(answer.version == version for answer in one.answers) for one in generators]


def test_a_canary_gets_who_is_named_and_its_share_of_the_rest(stages: dict[str, Stage]) -> None:
    """[RP-03] [RP-04] [RP-05] [RP-06] [RP-07] [RP-10] [RP-13] [RP-14] Judged by Contour and its
    Envoy: header and cookie lead to the canary by every rule with both Services, the user's own
    rules stay what they are, a crash makes nothing twice, and nobody is refused meanwhile."""
    stage = stages["shop"]
    shop, before, clients = stage.subject, stage.rules(), stage.load(**STEADY)
    with sending(*clients):
        all_from("v1", *clients)
        stage.begin("v2")
        api = stage.ask("/api/cart", TEAM)
        assert {(one.version, one.headers["x-api"]) for one in api} == {("v2", "1")}
        assert stage.versions({"X-Team": "warehouse"}) == {"v1"}
        check_affinity(stage)
        check_weights(stage, "v2", 20)
        shop.take("promote")
        shop.wait(currentStepIndex=1, reachedStepIndex=1, currentWeight=50)
        check_weights(stage, "v2", 50)
        assert {one.version for one in stage.ask("/api/cart", {}, times=50)} == {"v1", "v2"}
        written = stage.rules()
        stage.court.engine.kill()
        stage.court.engine.start()
        assert stage.rules() == written
        shop.take("promote")
        shop.wait(phase="Completed")
        all_from("v2", *clients)
    assert stage.rules() == before
    assert refused(clients) == []


def test_nobody_is_refused_when_a_canary_is_taken_back(stages: dict[str, Stage]) -> None:
    """[RP-05] Whoever was led to it goes back with the rest, before its pods do."""
    stage = stages["shop"]
    shop, before, clients = stage.subject, stage.rules(), stage.load(**STEADY)
    named = stage.load(tuple(TEAM.items()), **STEADY)
    with sending(*clients, *named):
        all_from("v2", *clients, *named)
        stage.begin("v3")
        all_from("v3", *named)
        shop.request("abort")
        shop.wait(phase="Failed", currentWeight=0)
        all_from("v2", *clients, *named)
    assert stage.rules() == before
    assert refused([*clients, *named]) == []


STEADY: Manifest = {"rate": 30, "duration": 600}


def refused(clients: list[LoadGenerator]) -> list[loadgen.Answer]:
    """What was answered by an error, or not at all."""
    return [answer for client in clients for answer in client.answers if answer.status != 200]


def check_affinity(stage: Stage) -> None:
    """Whoever met the canary stays with it."""
    met = [one for one in stage.ask("/", {}, times=100) if "set-cookie" in one.headers]
    assert {one.version for one in met} == {"v2"}
    given = {one.headers["set-cookie"].partition(";")[0] for one in met}
    assert {one.partition("=")[0] for one in given} == {COOKIE}
    for cookie in given:
        assert stage.versions({"Cookie": f"theme=dark; {cookie}"}) == {"v2"}


AUDIENCE: dict[str, tuple[tuple[str, str], ...]] = {
    "by header": (("X-Variant", "B"),),
    "by cookie": (("Cookie", "theme=dark; variant=b"),),
    "nobody in particular": (),
    "nobody by that value": (("Cookie", "variant=b2; tvariant=b"), ("X-Variant", "BB")),
}
"""Who asks, and how; those who are nobody to the experiment get the control."""


def test_an_experiment_is_for_those_who_ask_for_it(stages: dict[str, Stage]) -> None:
    """Judged by Contour and its Envoy; concluded and promoted by hand, no request lost, neither
    when its rules come nor when they go, though Contour tells of rules and Services in no order."""
    stage = stages["lab"]
    lab, before = stage.subject, stage.rules()
    clients = {who: stage.load(headers, rate=25, duration=600) for who, headers in AUDIENCE.items()}
    with sending(*(one for pair in clients.values() for one in pair)):
        stage.change("v2")
        lab.wait(phase="Experimenting")
        for who, pair in clients.items():
            all_from("v1" if who.startswith("nobody") else "v2", *pair)
        seen = {
            who: {x.version for one in pair for x in one.answers} for who, pair in clients.items()
        }
        lab.request("conclude-experiment")
        lab.wait(phase="Concluded")
        lab.request("promote")
        lab.wait(phase="Completed", within=60)
        all_from("v2", *(one for pair in clients.values() for one in pair))
    assert seen == {who: {"v1"} if who.startswith("nobody") else {"v1", "v2"} for who in AUDIENCE}
    assert stage.rules() == before
    assert refused([one for pair in clients.values() for one in pair]) == []


def test_nobody_is_refused_while_all_traffic_changes_hands_and_back(
    stages: dict[str, Stage],
) -> None:
    """[RP-08] [RP-11] Blue-green, promoted and taken back. The back-end that nobody manages keeps
    its half of a path, and the copies that the user has ordered are sent meanwhile."""
    stage = stages["web"]
    web, before, clients = stage.subject, stage.rules(), stage.load(**STEADY)
    with sending(*clients):
        all_from("v1", *clients)
        stage.change("v2")
        web.wait(phase="Preview", within=60)
        assert stage.versions({}) == {"v1"}
        for verb, phase, version in (("promote", "Completed", "v2"), ("rollback", "Failed", "v1")):
            web.request(verb)
            web.wait(phase=phase, within=60)
            all_from(version, *clients)
            assert {one.version for one in stage.ask("/old", {}, times=30)} == {"v0", version}
    assert stage.rules() == before
    assert refused(clients) == []
    sent = sum(len(one.answers) for one in clients)
    assert sent < 2 * copies(stage), "more than half of the copies have arrived"


def copies(stage: Stage) -> float:
    """The requests that have come to the Service which nobody manages."""
    _, pod = stage.court.plane.call("GET", f"/api/v1/namespaces/{PLACE}/pods/web-old")
    with urllib.request.urlopen(f"http://{pod['status']['podIP']}:8080/metrics") as answer:
        lines = answer.read().decode().splitlines()
    counts = (line for line in lines if line.startswith("http_requests_total"))
    return sum(float(line.rpartition(" ")[2]) for line in counts)
