"""Looking at routes: kinds, names and labels, and what is no absence but not seen yet."""

import asyncio
import json
from typing import Any, cast

import pytest

from fleet.api import names
from fleet.api.rollout import Rollout
from fleet.clusters.client import Client
from fleet.clusters.watch import Informer
from fleet.errors import Forbidden
from fleet.kulta.runtime.observe import Observer
from fleet.kulta.runtime.routing import Demand
from fleet.kulta.runtime.served import Assumed, Served
from tests import gen
from tests.fakes import FakeKube
from tests.kulta.runtime import objects
from tests.kulta.runtime.objects import KEY
from tests.kulta.runtime.test_observe import Looking

ROUTED = {"canary": {**objects.CANARY["canary"], "trafficRouting": {"gatewayAPI": {}}}}


async def turns() -> None:
    """As many of the loop as anybody needs."""
    for _ in range(10):
        await asyncio.sleep(0)


def asking(**gateway: Any) -> Looking:
    strategy = json.loads(json.dumps(ROUTED))
    strategy["canary"]["trafficRouting"]["gatewayAPI"] = gateway
    return Looking(strategy)


def test_routes_of_all_kinds_that_are_named_are_seen_and_wake() -> None:
    looking = asking(httpRoutes=[{"name": "checkout"}], grpcRoutes=[{"name": "checkout"}])
    grpc = {**objects.route(), "kind": "GRPCRoute"}
    del grpc["apiVersion"]
    looking.see(objects.route(), grpc, objects.route("another"))
    seen = looking.look().routes
    assert set(seen) == {("HTTPRoute", "checkout"), ("GRPCRoute", "checkout")}
    assert seen["GRPCRoute", "checkout"]["apiVersion"] == names.GRPCROUTES.api_version
    looking.woken.clear()
    looking.see(grpc)
    assert looking.woken == [KEY]


def test_routes_with_the_labels_are_seen_and_any_route_of_the_namespace_wakes() -> None:
    looking = asking(httpRouteSelector={"matchLabels": {"shop": "yes"}})
    looking.see(
        objects.route("a", labels={"shop": "yes", "team": "x"}),
        objects.route("b", labels={"shop": "no"}),
        objects.route("elsewhere", labels={"shop": "yes"}, namespace="elsewhere"),
    )
    assert set(looking.look().routes) == {("HTTPRoute", "a")}
    looking.woken.clear()
    looking.see(objects.route("b", labels={"shop": "yes"}))
    assert looking.woken == [KEY]
    looking.see(objects.route("elsewhere", namespace="elsewhere"))
    assert looking.woken == [KEY]
    looking.observer.forget(KEY)
    looking.see(objects.route("b"))
    assert looking.woken == [KEY]


def test_what_has_not_been_seen_is_no_absence() -> None:
    looking = asking(grpcRoutes=[{"name": "checkout"}])
    assert looking.look().unseen == {"GRPCRoute": ""}
    informer = looking.informer("GRPCRoute")
    informer.on_error(Forbidden("grpcroutes is forbidden"))
    assert looking.woken == [KEY], "whoever waits for it is told why"
    assert looking.look().unseen == {"GRPCRoute": "grpcroutes is forbidden"}
    informer.synced.set()
    assert looking.look().unseen == {}
    assert looking.look().unserved == frozenset()


async def test_in_one_namespace_nobody_looks_at_definitions_or_beyond_it() -> None:
    """Kinds of routes are watched once somebody asks for them."""
    looking = asking(httpRoute="checkout")
    looking.observer = Observer(cast(Client, FakeKube()), looking.woken.append, namespace="shop")
    kinds = looking.observer.routes.kinds
    informers = [looking.informer(kind) for kind in ("ReplicaSet", "Pod", "Service", *kinds)]
    served = {kind: item.served for kind, item in kinds.items()}
    assert {item.namespace for item in [*informers, looking.observer.slices]} == {"shop"}
    assert [kind for kind, item in served.items() if not isinstance(item, Demand)] == []
    looking.look()
    assert [kind for kind, item in served.items() if item.is_now] == ["HTTPRoute"]
    assumed = Assumed("shop")
    await assumed.looked()
    await assumed.begun()
    assert assumed.is_now


@pytest.mark.parametrize("namespace", [None, "shop"], ids=["all namespaces", "one namespace"])
async def test_whoever_waits_for_a_kind_is_woken_when_it_is_known(
    namespace: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Rollout that is being deleted keeps its finalizer until then."""
    looking = asking(httpRoute="checkout")
    looking.observer = Observer(cast(Client, FakeKube()), looking.woken.append, namespace=namespace)
    watched = looking.observer.routes.kinds["HTTPRoute"]
    monkeypatch.setattr(Informer, "run", lambda self: asyncio.Event().wait())
    assert looking.look().unseen == {"HTTPRoute": ""}
    following = asyncio.create_task(looking.observer.routes._follow("HTTPRoute", watched))
    await turns()
    if isinstance(watched.served, Served):
        assert looking.woken == []
        watched.served.informer.synced.set()
        await turns()
        assert (looking.woken, looking.look().unserved) == ([KEY], {"HTTPRoute"})
        watched.served._no.clear()
        watched.served._yes.set()
    looking.woken.clear()
    watched.informer.synced.set()
    await turns()
    assert (looking.woken, looking.look().unseen) == ([KEY], {})
    following.cancel()


def test_a_definition_that_may_not_be_seen_is_told_too() -> None:
    """An engine newer than its rights: whoever needs the kind learns why, nobody else notices."""
    looking = asking(grpcRoutes=[{"name": "checkout"}])
    looking.look()
    served = looking.observer.routes.kinds["GRPCRoute"].served
    assert isinstance(served, Served)
    served.informer.on_error(Forbidden("customresourcedefinitions is forbidden"))
    assert looking.look().unseen == {"GRPCRoute": "customresourcedefinitions is forbidden"}
    assert looking.look().unserved == frozenset()
    assert looking.woken == [KEY]


def test_a_kind_whose_definition_is_not_there_is_told() -> None:
    looking = asking(grpcRoutes=[{"name": "checkout"}])
    looking.observer.routes.kinds["GRPCRoute"].served.informer.synced.set()
    assert looking.look().unserved == {"GRPCRoute"}


def test_ingresses_are_watched_when_somebody_asks_for_one() -> None:
    strategy = json.loads(json.dumps(objects.CANARY))
    looking = Looking(strategy)
    looking.look()
    demand = looking.observer.routes.kinds["Ingress"].served
    assert not demand.is_now
    strategy["canary"]["trafficRouting"] = {"nginx": {"stableIngresses": ["web"]}}
    looking.rollout = Rollout.parse(objects.rollout(strategy))
    assert looking.look().unserved == frozenset(), "every cluster knows them"
    assert demand.is_now
    own = gen.ingress("checkout-web-canary")
    own["metadata"]["labels"] = {names.MANAGED_LABEL: "true", names.ROLLOUT_LABEL: "checkout"}
    for item in (own, users := gen.ingress("web")):
        item["metadata"]["uid"] = item["metadata"]["name"]
    looking.see(users, own)
    assert set(looking.look().routes) == {("Ingress", "web"), ("Ingress", "checkout-web-canary")}
    looking.woken.clear()
    looking.lose(own)
    assert looking.woken == [KEY], "whoever lost his own makes another"


def test_ingresses_of_ours_that_are_left_from_before_are_looked_for() -> None:
    looking = Looking()
    demand = looking.observer.routes.kinds["Ingress"].served
    assert isinstance(demand, Demand)
    own = gen.ingress("checkout-web-canary")
    own["metadata"]["uid"] = "left"
    demand.ours.store.see(own)
    assert demand.is_now
