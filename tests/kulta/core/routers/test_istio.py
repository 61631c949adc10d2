"""The Istio router: which destinations are ours, and what a weight that is left out means."""

import copy
from typing import Any

import pytest

from fleet.kulta.core.routers import ROUTERS, Backends
from tests import gen

ROUTER = ROUTERS["VirtualService"]
BACKENDS = Backends(rollout=gen.NAME, stable=gen.STABLE, canary=gen.CANARY)
HERE = f"{gen.CANARY}.{gen.NAMESPACE}"


def way(host: str, weight: int | None = None, port: int | None = None) -> dict[str, Any]:
    destination: dict[str, Any] = {"host": host}
    if port is not None:
        destination["port"] = {"number": port}
    return {"destination": destination} | ({} if weight is None else {"weight": weight})


def service(*ways: dict[str, Any], name: str = "web") -> dict[str, Any]:
    found = gen.virtual_service()
    found["spec"]["http"] = [{"name": name, "route": list(ways)}]
    return found


@pytest.mark.parametrize(
    ("host", "is_ours"),
    [
        pytest.param(gen.CANARY, True, id="the short name"),
        pytest.param(HERE, True, id="with its namespace"),
        pytest.param(f"{HERE}.svc", True, id="as a Service"),
        pytest.param(f"{HERE}.svc.cluster.local", True, id="with the cluster's domain"),
        pytest.param(f"{HERE}.svc.example.com", True, id="with another domain"),
        pytest.param(f"{gen.CANARY}.elsewhere.svc.cluster.local", False, id="of elsewhere"),
        pytest.param(f"{HERE}x.svc", False, id="of a namespace that begins so"),
        pytest.param("example.com", False, id="of somebody else"),
    ],
)
def test_hosts(host: str, is_ours: bool) -> None:
    found = ROUTER.problem(service(way(gen.STABLE, 100), way(host, 0)), BACKENDS)
    assert (found is None) is is_ours


@pytest.mark.parametrize(
    ("ways", "percent"),
    [
        pytest.param((100, 0), 0, id="nothing"),
        pytest.param((80, 20), 20, id="a fifth"),
        pytest.param((100, None), 0, id="left out is none"),
        pytest.param((None, None), 0, id="none at all"),
        pytest.param((2, 1), 34, id="another scale, rounded up"),
    ],
)
def test_weight_in_percent(ways: tuple[int | None, int | None], percent: int) -> None:
    found = service(way(gen.STABLE, ways[0]), way(gen.CANARY, ways[1]))
    assert ROUTER.weight(found, BACKENDS) == percent


def test_only_named_routes_change_and_everything_comes_back() -> None:
    pair = [way(gen.STABLE, 90), way(gen.CANARY), way("mirror", 10)]
    route = service(*copy.deepcopy(pair))
    route["spec"]["http"].append({"name": "admin", "route": copy.deepcopy(pair)})
    parts = Backends(rollout=gen.NAME, stable=gen.STABLE, canary=gen.CANARY, rules=("web",))
    changed = ROUTER.weighted(copy.deepcopy(route), parts, 30)
    assert changed is not None
    assert [item.get("weight") for item in changed["spec"]["http"][0]["route"]] == [70, 30, 10]
    assert changed["spec"]["http"][1] == route["spec"]["http"][1]
    assert ROUTER.weighted(changed, parts, 30) is None
    assert dict(ROUTER.kept(changed)) == {gen.NAME: parts}
    restored = ROUTER.restored(changed, parts)
    assert restored is not None
    assert restored["spec"] == route["spec"]


def test_a_route_that_is_not_there_is_named() -> None:
    parts = Backends(rollout=gen.NAME, stable=gen.STABLE, canary=gen.CANARY, rules=("api",))
    found = ROUTER.problem(service(way(gen.STABLE), way(gen.CANARY)), parts)
    assert found is not None
    assert "no HTTP route named api" in found.message


def test_port_tells_destinations_of_one_service_apart() -> None:
    ways = [way(host, 0, port) for port in (80, 9090) for host in (gen.STABLE, gen.CANARY)]
    changed = ROUTER.weighted(service(*ways), BACKENDS, 20)
    assert changed is not None
    assert [x["weight"] for x in changed["spec"]["http"][0]["route"]] == [80, 20, 0, 0]
