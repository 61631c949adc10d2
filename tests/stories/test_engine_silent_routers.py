"""Stories of Istio and nginx: routers that nobody confirms, and objects that are the engine's own.

Their weights count as in force five seconds after the write.
"""

import copy
from typing import Any

import pytest

from fleet.api import names
from fleet.api.rollout import Phase
from fleet.kulta.core import actions as act
from tests import gen
from tests.kulta.world import World, canary_world

PREFIX = "nginx.ingress.kubernetes.io"
OWN = f"{gen.NAME}-web-canary"
ISTIO = {"istio": {"virtualServices": [{"name": "web"}]}}
NGINX = {"nginx": {"stableIngresses": ["web"]}}
BOTH = pytest.mark.parametrize("routing", [ISTIO, NGINX], ids=["istio", "nginx"])


def routed_by(routing: dict[str, Any], *steps: Any, **more: Any) -> World:
    """A world whose first revision is complete."""
    world = canary_world(*(steps or ((20, None), 100)), routed=True, **more)
    world.manifest["spec"]["strategy"]["canary"]["trafficRouting"] = routing
    world.routes = {"web": gen.virtual_service("web") if "istio" in routing else gen.ingress("web")}
    world.settle()
    assert world.status.phase is Phase.COMPLETED
    world.log.clear()
    return world


def share(world: World) -> int:
    """Percent for the new revision."""
    return max(world.split(name)[1] for name in world.routes)


@BOTH
def test_a_canary_goes_its_way_and_leaves_everything_as_it_was(routing: dict[str, Any]) -> None:
    world = routed_by(routing)
    before = copy.deepcopy(world.routes["web"]["spec"])
    world.image("shop:v2")
    world.run(20)
    assert (world.status.phase, share(world)) == (Phase.PAUSED, 20)
    world.annotate("promote")
    world.settle()
    assert (world.status.phase, share(world)) == (Phase.COMPLETED, 0)
    assert world.behind(gen.STABLE) == {gen.revision("shop:v2")}
    assert set(world.routes) == {"web"}
    assert world.routes["web"]["spec"] == before
    world.log.clear()
    world.run(100)
    assert world.log == []


@BOTH
def test_a_step_is_reached_five_seconds_after_the_write(routing: dict[str, Any]) -> None:
    world = routed_by(routing)
    world.image("shop:v2")
    world.run(2.5)
    assert share(world) == 20
    assert world.status.reached_step_index is None
    world.run(4)
    assert world.status.reached_step_index is None
    world.run(1.5)
    assert world.status.reached_step_index == 0


@BOTH
def test_a_rollback_lets_the_pods_live_until_nobody_is_sent_to_them(
    routing: dict[str, Any],
) -> None:
    world = routed_by(routing)
    world.image("shop:v2")
    world.run(20)
    world.annotate("rollback")
    world.run(3)
    assert (share(world), world.ready("shop:v2")) == (0, 1)
    world.run(3)
    assert world.status.phase is Phase.FAILED
    assert (share(world), world.size("shop:v2")) == (0, 0)
    assert set(world.routes) == {"web"}


@BOTH
def test_an_engine_that_dies_at_every_write_ends_as_well(routing: dict[str, Any]) -> None:
    world = routed_by(routing, (20, "5s"), (50, "5s"), 100)
    world.cut = True
    world.image("shop:v2")
    world.settle()
    assert world.status.phase is Phase.COMPLETED
    assert (share(world), set(world.routes)) == (0, {"web"})


@BOTH
def test_deletion_in_the_middle_gives_all_traffic_back(routing: dict[str, Any]) -> None:
    world = routed_by(routing)
    before = copy.deepcopy(world.routes["web"])
    world.image("shop:v2")
    world.run(20)
    world.manifest["metadata"]["deletionTimestamp"] = "2026-11-20T13:00:00Z"
    world.run(1)
    assert world.gone
    assert set(world.routes) == {"web"}
    assert world.routes["web"]["spec"] == before["spec"]
    assert not world.routes["web"]["metadata"].get("annotations")


@BOTH
def test_another_router_in_mid_rollout_lets_the_first_one_go(routing: dict[str, Any]) -> None:
    world = routed_by(routing)
    before = copy.deepcopy(world.routes["web"]["spec"])
    world.image("shop:v2")
    world.run(20)
    world.routes[gen.ROUTE] = gen.route(100, 0)
    world.update(strategy=gen.canary((20, None), 100, routed=True))
    world.run(20)
    assert set(world.routes) == {"web", gen.ROUTE}
    assert world.routes["web"]["spec"] == before
    assert world.split() == (80, 20)


@pytest.mark.parametrize(
    ("routing", "said"),
    [
        pytest.param(ISTIO, "no HTTP route of VirtualService web has both", id="istio"),
        pytest.param(NGINX, "no rule of Ingress web leads to Service checkout", id="nginx"),
    ],
)
def test_an_object_without_the_service_is_told(routing: dict[str, Any], said: str) -> None:
    world = routed_by(routing)
    kept, spec = world.routes["web"], world.routes["web"]["spec"]
    world.routes["web"] = {**kept, "spec": {"http": [], "rules": []}}
    world.image("shop:v2")
    world.run(20)
    assert world.condition("TrafficReady") == ("False", "RouteWithoutServices")
    assert said in world.detail("TrafficReady")
    world.routes["web"] = {**kept, "spec": spec}
    world.run(20)
    assert share(world) == 20


def test_a_cluster_without_istio_is_told_and_waited_for() -> None:
    """[RP-15] Nothing crashes, nothing else waits."""
    world = routed_by(ISTIO, 20, 100)
    kept, world.routes = world.routes, {}
    world.unserved = {"VirtualService"}
    world.image("shop:v2")
    world.run(20)
    assert world.condition("TrafficReady") == ("False", "RouterNotInstalled")
    assert "trafficRouting.istio.virtualServices" in world.detail("TrafficReady")
    world.unserved, world.routes = set(), kept
    assert world.settle().status.phase is Phase.COMPLETED


class TestOwnIngress:
    """The canary Ingress beside the user's."""

    def test_it_is_made_after_the_users_and_belongs_to_the_rollout(self) -> None:
        wish = {"additionalIngressAnnotations": {"canary-by-header": "X-Canary"}}
        world = routed_by({"nginx": {**NGINX["nginx"], **wish}})
        assert set(world.routes) == {"web"}, "none without weight"
        world.image("shop:v2")
        world.run(20)
        made = world.routes[OWN]
        (owner,) = made["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["uid"], owner["controller"]) == ("Rollout", gen.UID, True)
        notes = made["metadata"]["annotations"]
        del notes[names.WEIGHTED_AT]
        assert notes == {
            f"{PREFIX}/canary": "true",
            f"{PREFIX}/canary-weight": "20",
            f"{PREFIX}/canary-by-header": "X-Canary",
        }
        (rule,) = made["spec"]["rules"]
        (path,) = rule["http"]["paths"]
        assert (rule["host"], path["path"], path["pathType"]) == (
            "shop.example.com",
            "/shop",
            "Prefix",
        )
        assert path["backend"]["service"] == {"name": gen.CANARY, "port": {"number": 80}}
        assert made["spec"]["ingressClassName"] == "nginx"
        assert "tls" not in made["spec"]

    def test_what_changes_in_the_users_is_taken_over_in_silence(self) -> None:
        world = routed_by(NGINX)
        world.image("shop:v2")
        world.run(20)
        world.routes["web"]["spec"]["rules"][0]["host"] = "new.example.com"
        world.run(20)
        assert world.routes[OWN]["spec"]["rules"][0]["host"] == "new.example.com"
        assert world.status.restores == 0

    def test_one_that_somebody_deletes_comes_back(self) -> None:
        world = routed_by(NGINX)
        world.image("shop:v2")
        world.run(20)
        del world.routes[OWN]
        world.run(20)
        assert world.split(OWN) == (80, 20)

    def test_one_that_is_not_ours_is_left_alone(self) -> None:
        world = routed_by(NGINX)
        world.routes[OWN] = {**gen.ingress(), "metadata": gen.route(name=OWN)["metadata"]}
        world.image("shop:v2")
        world.run(20)
        assert world.condition("TrafficReady") == ("False", "ForeignObject")
        assert world.actions(act.WriteRoute) == world.actions(act.DeleteRoute) == []

    def test_pods_that_are_lost_lose_headers_too(self) -> None:
        """Nobody is sent to them, whatever his request says."""
        wish = {"additionalIngressAnnotations": {"canary-by-header": "X-Canary"}}
        world = routed_by({"nginx": {**NGINX["nginx"], **wish}})
        world.image("shop:v2")
        world.run(20)
        world.strict = False
        world.broken = {gen.revision("shop:v2")}
        world.run(1)
        notes = world.routes[OWN]["metadata"]["annotations"]
        assert notes[f"{PREFIX}/canary-weight"] == "0"
        assert f"{PREFIX}/canary-by-header" not in notes

    def test_without_the_users_it_leads_nowhere_and_goes_with_the_rollback(self) -> None:
        world = routed_by(NGINX)
        world.image("shop:v2")
        world.run(20)
        del world.routes["web"]
        world.annotate("rollback")
        world.settle()
        assert world.status.phase is Phase.FAILED
        assert world.size("shop:v2") == 0
        assert world.condition("TrafficReady") == ("False", "RouteNotFound")
