"""The engine before Contour: what it writes into a route is what real requests meet.

Each route has two parents, Contour and the local gateway, so what is asked of one is asked of the
other; clients ask both all the time, and none of them is refused.
"""

import math
from statistics import NormalDist
from typing import Any

import pytest

from e2e.court import JUDGE, PARENTS, Court
from e2e.ground import background
from e2e.ground.loadgen import Load, LoadGenerator
from e2e.ground.subject import Subject, route, service
from e2e.ground.waiting import until
from e2e.realm import all_from, sending
from e2e.routes import Answer, send

Manifest = dict[str, Any]
PLACE = "judged"
TEAM, COOKIE = {"X-Team": "checkout"}, "version"
TOTAL, LOOKS = 600, 3
"""Requests by which a weight is measured, and how often at most: the first look may still see the
weight before, and a right one is outside of the interval once in a thousand times."""
DEVIATIONS = NormalDist().inv_cdf(0.9995)
"""Of a binomial count, within which 99.9 % of all samples are."""
FEW = 12


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

    def __init__(self, court: Court, name: str, strategy: Manifest) -> None:
        self.court, self.name = court, name
        self.subject = Subject(
            plane=court.plane,
            namespace=PLACE,
            name=name,
            strategy=strategy,
            spec=template(name, "v1"),
        )
        self.subject.apply("unused")
        self.clients = self.load(rate=40, duration=600)

    def change(self, version: str) -> None:
        """Another image."""
        self.subject.patch({"spec": template(self.name, version)})

    def load(self, headers: tuple[tuple[str, str], ...] = (), **load: Any) -> list[LoadGenerator]:
        """Clients of a kind, one for each gateway."""
        return [
            LoadGenerator(Load(url=url, host=host(self.name), headers=headers, **load))
            for url in self.court.urls.values()
        ]

    def versions(self, **headers: str) -> set[str]:
        """Who answers a few who ask so, at both gateways; an error is nobody."""
        return {answer.version for answer in self.ask(**headers)}

    def ask(self, path: str = "/", times: int = FEW, **headers: str) -> list[Answer]:
        asked = {name.replace("_", "-"): value for name, value in headers.items()}
        return [
            send(None, host(self.name), path, url=url, headers=asked)
            for url in self.court.urls.values()
            for _ in range(times)
        ]

    def rules(self) -> list[Manifest]:
        path = f"/apis/gateway.networking.k8s.io/v1/namespaces/{PLACE}/httproutes/{self.name}"
        found: list[Manifest] = self.court.plane.call("GET", path)[1]["spec"]["rules"]
        return found


@pytest.fixture(scope="module")
def stages(court: Court) -> dict[str, Stage]:
    """A canary and an experiment, their first revisions complete."""
    court.plane.add_namespace(PLACE)
    court.plane.apply(
        service(PLACE, "shop-stable", "shop", "stable"),
        service(PLACE, "shop-canary", "shop", "canary"),
        judged(shop()),
        rpc(),
        service(PLACE, "lab-a", "lab", "variant-a"),
        service(PLACE, "lab-b", "lab", "variant-b"),
        judged(route(PLACE, "lab", "lab-a")),
    )
    made = {"shop": Stage(court, "shop", CANARY), "lab": Stage(court, "lab", EXPERIMENT)}
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


def shop() -> Manifest:
    """One rule with a filter and both Services, the user's own for a header, and the rest."""
    made = route(PLACE, "shop", "shop-stable", "shop-canary")
    (rule,) = made["spec"]["rules"]
    header = {"set": [{"name": "X-Api", "value": "1"}]}
    stamped = {"type": "ResponseHeaderModifier", "responseHeaderModifier": header}
    path = {"type": "PathPrefix", "value": "/api"}
    old = {"headers": [{"name": "X-Old", "value": "1"}]}
    made["spec"]["rules"] = [
        rule | {"matches": [{"path": path}], "filters": [stamped]},
        {"matches": [old], "backendRefs": [{"name": "shop-stable", "port": 80}]},
        rule,
    ]
    return made


def rpc() -> Manifest:
    """A GRPCRoute to both Services, which Contour alone serves."""
    made = route(PLACE, "rpc", "shop-stable", "shop-canary")
    spec = made["spec"] | {"parentRefs": [one for one in PARENTS if one["name"] == JUDGE]}
    return made | {"kind": "GRPCRoute", "spec": spec}


def check_weights(stage: Stage, version: str, percent: int) -> None:
    """So many of the requests at each gateway are answered by that version, and of the calls."""
    for name, url in stage.court.urls.items():
        _check_weight(name, Load(url=url, host=host(stage.name), **MANY), version, percent)
    calls = Load(url=stage.court.urls[JUDGE], host=host("rpc"), headers=GRPC, **MANY)
    _check_weight("calls", calls, version, percent)


MANY: Manifest = {"rate": 400, "duration": 60, "total": TOTAL}
GRPC = (("Content-Type", "application/grpc"),)


def _check_weight(name: str, load: Load, version: str, percent: int) -> None:
    share = percent / 100
    near = DEVIATIONS * math.sqrt(share * (1 - share) * TOTAL)
    seen: list[int] = []
    while len(seen) < LOOKS and not (seen and abs(seen[-1] - share * TOTAL) <= near):
        seen.append(_count(load, version))
    assert abs(seen[-1] - share * TOTAL) <= near, (name, percent, seen)


def _count(load: Load, version: str) -> int:
    """How many of TOTAL answers come from that version; every request gets one."""
    found: list[str] = []
    while len(found) < TOTAL:
        generator, loop = LoadGenerator(load), background.Loop()
        try:
            loop.call(generator.run())
        finally:
            loop.close()
        assert {answer.status for answer in generator.answers} == {200}
        found += [answer.version for answer in generator.answers]
    return found[:TOTAL].count(version)


def test_a_canary_gets_who_is_named_and_its_share_of_the_rest(stages: dict[str, Stage]) -> None:
    """[RP-03] [RP-04] [RP-05] [RP-09] [RP-10] [RP-13] Judged by Contour and its Envoy: header and
    cookie lead to the canary by every rule with both Services, the user's own rules stay what they
    are, and nobody is refused from the first step to the end of a rollback."""
    stage = stages["shop"]
    shop, before = stage.subject, stage.rules()
    with sending(*stage.clients):
        all_from("v1", *stage.clients)
        stage.change("v2")
        shop.wait(currentStepIndex=0, reachedStepIndex=0, currentWeight=20)
        until(lambda: stage.versions(X_Team="checkout") == {"v2"}, "the team gets v2", within=5)
        api = stage.ask("/api/cart", X_Team="checkout")
        assert {(one.version, one.headers["x-api"]) for one in api} == {("v2", "1")}
        assert {one.version for one in stage.ask("/", X_Old="1")} == {"v1"}
        check_affinity(stage)
        check_weights(stage, "v2", 20)
        shop.take("promote")
        shop.wait(currentStepIndex=1, reachedStepIndex=1, currentWeight=50)
        check_weights(stage, "v2", 50)
        shop.take("promote")
        shop.wait(phase="Completed")
        all_from("v2", *stage.clients)
        assert stage.rules() == before

        stage.change("v3")
        shop.wait(currentStepIndex=0, reachedStepIndex=0, currentWeight=20)
        until(lambda: stage.versions(X_Team="checkout") == {"v3"}, "the team gets v3", within=5)
        shop.request("abort")
        shop.wait(phase="Failed", currentWeight=0)
        all_from("v2", *stage.clients)
        assert stage.versions(X_Team="checkout") == {"v2"}
        assert stage.rules() == before
    for client in stage.clients:
        assert [answer for answer in client.answers if answer.status != 200] == []


def check_affinity(stage: Stage) -> None:
    """Whoever met the canary stays with it."""
    met = [one for one in stage.ask(times=100) if "set-cookie" in one.headers]
    assert {one.version for one in met} == {"v2"}
    given = {one.headers["set-cookie"].partition(";")[0] for one in met}
    assert {one.partition("=")[0] for one in given} == {COOKIE}
    for cookie in given:
        assert stage.versions(Cookie=f"theme=dark; {cookie}") == {"v2"}


AUDIENCE: dict[str, tuple[tuple[str, str], ...]] = {
    "by header": (("X-Variant", "B"),),
    "by cookie": (("Cookie", "theme=dark; variant=b"),),
    "nobody in particular": (),
    "nobody by that value": (("Cookie", "variant=b2; tvariant=b"), ("X-Variant", "BB")),
}
"""Who asks, and how; those who are nobody to the experiment get the control."""


def test_an_experiment_is_for_those_who_ask_for_it(stages: dict[str, Stage]) -> None:
    """Judged by Contour and its Envoy; concluded and promoted by hand, no request lost."""
    stage = stages["lab"]
    lab, before = stage.subject, stage.rules()
    clients = {who: stage.load(headers, rate=12, duration=600) for who, headers in AUDIENCE.items()}
    stage.change("v2")
    lab.wait(phase="Experimenting")
    _wait_for_rules(stage)
    with sending(*(one for pair in clients.values() for one in pair)):
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
    assert seen == {who: {"v1" if who.startswith("nobody") else "v2"} for who in AUDIENCE}
    assert stage.rules() == before
    for pair in clients.values():
        assert [x for one in pair for x in one.answers if x.status != 200] == []


def _wait_for_rules(stage: Stage) -> None:
    """Contour says that it has a rule a moment before its Envoy does."""
    until(lambda: stage.versions(X_Variant="B") == {"v2"}, "B is answered", within=5)
