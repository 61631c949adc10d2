"""Manifests as users of the KULTA reference wrote them: applied unchanged, in both versions.

On a site with pods, Envoy and Prometheus; the engine runs as the pod that the hub keeps there.
Weights are judged by Envoy's counters and by what a client was answered under load.
"""

import itertools
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.ground import addresses
from e2e.ground.controlplane import ControlPlane
from e2e.ground.envoy import Counters
from e2e.ground.loadgen import NOBODY, Answer, Load, LoadGenerator
from e2e.ground.subject import Subject, route, service
from e2e.ground.waiting import until
from e2e.realm import ENOUGH, Realm, all_from, sending

COMPAT = Path(__file__).parent / "data" / "compat"
VERSIONS = ("v1alpha1", "v1beta1")
ORDERS, MAILER = "registry.example.com/orders:v2.1.0", "registry.example.com/mailer:43"
BILLING, SEARCH = "registry.example.com/billing:8", "registry.example.com/search:c"
WEIGHTS = (20, 50, 80, 100)
RATE = 60.0
REFUSED = "remote connection failure"
EARLY = 3.0
"""Seconds in which a pod may not listen yet; its start is known to the second."""
SAMPLE = 180
"""Requests by which a weight is measured: 15 points are 4 deviations or more."""
LONGEST = 600.0
"""Seconds after which a client that nobody stops ends."""


@dataclass(frozen=True, kw_only=True)
class Shop:
    """The reference's Rollouts in a namespace of their own; clients ask two of them."""

    orders: Subject
    mailer: Subject
    billing: Subject
    search: Subject
    load: LoadGenerator
    """Asks orders."""
    bills: LoadGenerator
    """Asks billing."""

    @property
    def rollouts(self) -> tuple[Subject, ...]:
        return (self.orders, self.mailer, self.billing, self.search)

    def counted(self, counters: Mapping[str, Counters]) -> tuple[int, ...]:
        """Requests that the stable and the canary Service have taken."""
        keys = [f"{self.orders.namespace}/orders-{role}/8080" for role in ("stable", "canary")]
        return tuple(counters[key].completed if key in counters else 0 for key in keys)


def measure(realm: Realm, shops: Mapping[str, Shop]) -> dict[str, tuple[float, float]]:
    """Percent of the next requests that the canary Service took, and that v2.1.0 answered."""
    since, before = time.monotonic(), realm.site.gateway.counters()

    def taken() -> dict[str, tuple[int, int]] | None:
        """Requests of each stable and canary Service since, once there are enough of each shop."""
        after, found = realm.site.gateway.counters(), {}
        for version, shop in shops.items():
            counted = zip(shop.counted(before), shop.counted(after), strict=True)
            stable, canary = (b - a for a, b in counted)
            found[version] = (stable, canary)
        return found if min(map(sum, found.values())) >= SAMPLE else None

    counts = until(taken, f"{SAMPLE} requests of each", within=20, every=0.2)
    return {
        version: (
            100 * counts[version][1] / sum(counts[version]),
            100 * shop.load.share(since).get("v2.1.0", 0),
        )
        for version, shop in shops.items()
    }


def written(name: str, version: str) -> str:
    """The file, in one of the two versions."""
    text = (COMPAT / f"kulta-{name}.yaml").read_text()
    return text.replace("kulta.io/v1alpha1", f"kulta.io/{version}")


def subject(plane: ControlPlane, namespace: str, file: str, version: str) -> Subject:
    """What such a file makes, after `kubectl apply`."""
    manifest = yaml.safe_load(written(file, version))
    plane.kubectl("apply", "-n", namespace, "-f", "-", stdin=written(file, version))
    return Subject(
        plane=plane,
        namespace=namespace,
        name=manifest["metadata"]["name"],
        strategy=manifest["spec"]["strategy"],
        version=version,
        mark=plane.audit.mark(),
    )


def change(rollout: Subject, image: str) -> None:
    """`kubectl set image`, as a JSON patch."""
    path = "/spec/template/spec/containers/0/image"
    patch = f'[{{"op": "replace", "path": "{path}", "value": "{image}"}}]'
    where = ("-n", rollout.namespace, f"rollouts.{rollout.version}.kulta.io", rollout.name)
    rollout.plane.kubectl("patch", *where, "--type=json", "-p", patch)


def is_early(answer: Answer, begun: Collection[float]) -> bool:
    """A pod was asked before it listened: the reference's manifests have no readiness probe, so it
    is ready as soon as it runs. `begun`: when pods did, in seconds of wall time."""
    refused = (answer.status, answer.version) == (503, NOBODY) and REFUSED in answer.said
    at = answer.at + time.time() - time.monotonic()
    return refused and any(begin <= at <= begin + EARLY for begin in begun)


def starts(rollout: Subject) -> list[float]:
    """When the containers of its namespace began to run, in whole seconds of wall time."""
    found = rollout.plane.call("GET", f"/api/v1/namespaces/{rollout.namespace}/pods")[1]["items"]
    states = [one["state"] for pod in found for one in pod["status"].get("containerStatuses", ())]
    stamps = [state["running"]["startedAt"] for state in states if "running" in state]
    return [datetime.fromisoformat(stamp).timestamp() for stamp in stamps]


@pytest.fixture(scope="module")
def shops(realm: Realm) -> Iterator[dict[str, Shop]]:
    """One for each version, its first revisions complete; the second ones of mailer and billing
    have begun, because a check of their metrics takes half a minute."""
    plane = realm.site.plane
    made = {version: _open(realm, version) for version in VERSIONS}
    for shop in made.values():
        shop.orders.wait(phase="Completed", readyReplicas=5, within=60)
        shop.mailer.wait(phase="Completed", readyReplicas=2, within=60)
        shop.billing.wait(phase="Completed", readyReplicas=3, within=60)
        shop.search.wait(phase="Completed", readyReplicas=4, within=60)
    for shop in made.values():
        change(shop.mailer, MAILER)
        change(shop.billing, BILLING)
    asked = [_asking(shop.mailer, MAILER) for shop in made.values()]
    asked += [_asking(shop.billing, BILLING) for shop in made.values()]
    with sending(*asked):
        yield made
    for shop in made.values():
        for rollout in shop.rollouts:
            plane.call("DELETE", rollout.path)
    for shop in made.values():
        for rollout in shop.rollouts:
            rollout.delete()
        plane.call("DELETE", f"/api/v1/namespaces/{shop.orders.namespace}")


def _open(realm: Realm, version: str) -> Shop:
    """Services and routes as the reference wants them, and its Rollouts."""
    plane, url = realm.site.plane, realm.site.gateway.url
    place = plane.add_namespace(f"compat-{version}")
    hosts = (version, f"billing-{version}", f"search-{version}")
    orders, billing, search = (f"{host}.example.com" for host in hosts)
    plane.apply(
        service(place, "orders-stable", "orders", "stable", 8080),
        service(place, "orders-canary", "orders", "canary", 8080),
        route(place, "orders-route", "orders-stable", "orders-canary", port=8080, host=orders),
        service(place, "billing-active", "billing", "active", 8080),
        service(place, "billing-preview", "billing", "preview", 8080),
        route(place, "billing-route", "billing-active", "billing-preview", port=8080, host=billing),
        service(place, "search-control", "search", "variant-a", 8080),
        service(place, "search-experiment", "search", "variant-b", 8080),
        route(place, "search-route", "search-control", port=8080, host=search),
    )
    return Shop(
        orders=subject(plane, place, "canary", version),
        mailer=subject(plane, place, "simple", version),
        billing=subject(plane, place, "bluegreen", version),
        search=subject(plane, place, "abtesting", version),
        load=LoadGenerator(Load(url=url, host=orders, rate=RATE, duration=LONGEST)),
        bills=LoadGenerator(Load(url=url, host=billing, rate=RATE, duration=LONGEST)),
    )


def test_the_canary_takes_all_four_weights_and_no_request_fails(
    realm: Realm, shops: dict[str, Shop]
) -> None:
    orders = {version: shop.orders for version, shop in shops.items()}
    first = {version: one.status["stablePodHash"] for version, one in orders.items()}
    measured = []
    with sending(*(shop.load for shop in shops.values())):
        for one in orders.values():
            change(one, ORDERS)
        for step, weight in enumerate(WEIGHTS):
            for one in orders.values():
                one.wait(currentStepIndex=step, reachedStepIndex=step, currentWeight=weight)
            measured.append(measure(realm, shops))
            for one in orders.values():
                one.request("promote")
        done = {version: one.wait(phase="Completed") for version, one in orders.items()}
        all_from("v2.1.0", *(shop.load for shop in shops.values()))
    for version, one in orders.items():
        expected = [pytest.approx((weight, weight), abs=15) for weight in WEIGHTS]
        assert [shares[version] for shares in measured] == expected, version
        assert told(done[version]) == list(WEIGHTS)
        assert done[version]["stablePodHash"] != first[version]
        selector = one.service("orders-stable")["spec"]["selector"]
        assert selector["rollouts.kulta.io/hash"] == done[version]["stablePodHash"]
        assert weights(one) == [100, 0]
        answers, begun = shops[version].load.answers, starts(one)
        assert [x for x in answers if x.status != 200 and not is_early(x, begun)] == []
        assert answers[-1].version == "v2.1.0"


def test_the_blue_green_stands_in_its_preview_until_it_is_promoted(
    shops: dict[str, Shop],
) -> None:
    """`autoPromotionEnabled: false`: judged by the metrics of its pods, promoted by a person."""
    all_ = tuple(shops.values())
    with sending(*(shop.bills for shop in all_)):
        for shop in all_:
            status = shop.billing.wait(phase="Preview", within=60)
            until(partial(lambda one: _verdict(one) == "Passed", shop.billing), "judged", within=60)
            assert "currentStepIndex" not in status
            assert weights(shop.billing, "billing-route") == [100, 0]
            assert roles(shop.billing) == {"active": 3, "preview": 3}
        all_from("7", *(shop.bills for shop in all_))
        assert {item.version for shop in all_ for item in shop.bills.answers} == {"7"}
        for shop in all_:
            shop.billing.request("promote")
        for shop in all_:
            done = shop.billing.wait(phase="Completed", within=60)
            assert done["stablePodHash"] == done["currentPodHash"]
            assert weights(shop.billing, "billing-route") == [100, 0]
            selector = shop.billing.service("billing-active")["spec"]["selector"]
            assert selector["rollouts.kulta.io/hash"] == done["stablePodHash"]
        all_from("8", *(shop.bills for shop in all_))
    for shop in all_:
        assert [item for item in shop.bills.answers if item.status != 200] == []
        assert shop.bills.answers[-1].version == "8"


def test_the_experiment_is_for_those_who_ask_for_it(realm: Realm, shops: dict[str, Shop]) -> None:
    """A header or a cookie, to its whole value; by hand concluded and promoted, no request lost."""
    all_ = {version: shop.search for version, shop in shops.items()}
    before = {version: rules(one) for version, one in all_.items()}
    url = realm.site.gateway.url
    clients = {
        (version, who): LoadGenerator(
            Load(
                url=url,
                host=f"search-{version}.example.com",
                rate=15,
                duration=LONGEST,
                headers=headers,
            )
        )
        for version in all_
        for who, headers in AUDIENCE.items()
    }
    for one in all_.values():
        change(one, SEARCH)
    for one in all_.values():
        one.wait(phase="Experimenting", within=60)
        assert roles(one) == {"variant-a": 4, "variant-b": 4}
    with sending(*clients.values()):
        until(
            lambda: all(len(one.answers) >= ENOUGH for one in clients.values()),
            "everybody has been answered often",
            within=30,
        )
        found = {key: {x.version for x in client.answers} for key, client in clients.items()}
        for one in all_.values():
            one.request("conclude-experiment")
            status = one.wait(phase="Concluded")
            assert status["abExperiment"]["conclusionReason"] == "ManualConclusion"
            one.request("promote")
        for one in all_.values():
            one.wait(phase="Completed", within=60)
        all_from("c", *clients.values())
    assert found == {
        (version, who): {"b" if who.startswith("nobody") else "c"}
        for version in all_
        for who in AUDIENCE
    }
    for client in clients.values():
        assert [item for item in client.answers if item.status != 200] == []
        assert client.answers[-1].version == "c"
    for version, one in all_.items():
        assert rules(one) == before[version]
        assert one.status["stablePodHash"] == one.status["currentPodHash"]


AUDIENCE: dict[str, tuple[tuple[str, str], ...]] = {
    "by header": (("X-Variant", "B"),),
    "by cookie": (("Cookie", "theme=dark; variant=b"),),
    "nobody in particular": (),
    "nobody by that value": (("Cookie", "variant=b2; tvariant=b"), ("X-Variant", "BB")),
}
"""Who asks, and how; those who are nobody to the experiment get the control."""


def test_the_simple_one_is_judged_by_the_metrics_of_its_pods(shops: dict[str, Shop]) -> None:
    for shop in shops.values():
        status = shop.mailer.wait(phase="Completed", readyReplicas=2, within=60)
        (metric,) = status["analysis"]["metrics"]
        assert (metric["name"], metric["verdict"]) == ("error-rate", "Passed")
        pods = shop.mailer.pods()
        assert {pod["spec"]["containers"][0]["image"] for pod in pods} == {MAILER}


def _asking(rollout: Subject, image: str) -> LoadGenerator:
    """Requests for a new pod: no route leads to a worker, nor to a preview."""
    url = until(lambda: _new(rollout, image), "new pods run", within=30)
    return LoadGenerator(Load(url=url, host="pod", rate=5))


def _new(rollout: Subject, image: str) -> str | None:
    """Where a pod of the new image listens, once all of them do."""
    pods = [pod for pod in rollout.pods() if pod["spec"]["containers"][0]["image"] == image]
    found = [pod["status"].get("podIP") for pod in pods]
    if len(found) < rollout.object["spec"]["replicas"] or not all(found):
        return None
    return f"http://{addresses.served(found[0])}:8080/"


def _verdict(rollout: Subject) -> str:
    metrics = rollout.status.get("analysis", {}).get("metrics", [{}])
    return str(metrics[0].get("verdict", ""))


def roles(rollout: Subject) -> dict[str, int]:
    """Its pods by type label."""
    found = [pod["metadata"]["labels"]["rollouts.kulta.io/type"] for pod in rollout.pods()]
    return {role: found.count(role) for role in sorted(found)}


def rules(rollout: Subject) -> list[Any]:
    """Those of the route of search."""
    path = f"/apis/gateway.networking.k8s.io/v1/namespaces/{rollout.namespace}/httproutes"
    _, found = rollout.plane.call("GET", f"{path}/search-route")
    assert "rollouts.kulta.io/managed-rules" not in found["metadata"].get("annotations", {})
    kept: list[Any] = found["spec"]["rules"]
    return kept


def told(status: dict[str, Any]) -> list[int]:
    """The weights of the second revision in the order of `status.decisions`."""
    after = itertools.dropwhile(lambda item: item["weight"] != WEIGHTS[0], status["decisions"])
    return [weight for weight, _ in itertools.groupby(item["weight"] for item in after)]


def weights(rollout: Subject, name: str = "orders-route") -> list[int]:
    """Those of its route."""
    path = f"/apis/gateway.networking.k8s.io/v1/namespaces/{rollout.namespace}/httproutes"
    _, found = rollout.plane.call("GET", f"{path}/{name}")
    return [item["weight"] for item in found["spec"]["rules"][0]["backendRefs"]]
