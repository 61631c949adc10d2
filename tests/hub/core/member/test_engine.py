"""The engine in the core: whose it is, when it may be exchanged, and in what words it does."""

from dataclasses import replace
from typing import Any

import pytest

from fleet.api.membercluster import EngineMode
from fleet.hub.core.member import engine
from fleet.hub.core.member.connectivity import Connectivity
from fleet.hub.core.member.engine import Deployed, EngineObserved, Keeper, Obstacle, Term, Upkeep

OURS = Keeper(hub="hub-1", namespace="shop")
GOOD = Connectivity(reachable=True, fresh=True, reason="Reachable")
STALE = Connectivity(reachable=True, reason="Stale", message="silent")
UNKNOWN = Connectivity(reachable=True, reason="EngineUnknown", message="not seen yet")
LOST = Connectivity()
OLD = Deployed(owner=OURS, available=1, settled=True, digest="old")
ALIVE = EngineObserved(
    mode=EngineMode.MANAGED, believed=GOOD, deployed=OLD, term=Term(holder="pod-1", version="0.9")
)
WRITE = Upkeep(write=True)


def rollout(phase: str | None) -> dict[str, Any]:
    return {"metadata": {"namespace": "web", "name": "a"}, "status": {"phase": phase}}


@pytest.mark.parametrize(
    ("seen", "others", "decision"),
    [
        pytest.param(ALIVE, {}, WRITE, id="an old engine at rest is exchanged"),
        pytest.param(replace(ALIVE, deployed=replace(OLD, digest="new")), {}, Upkeep(),
                     id="one that is as wanted is not written"),
        pytest.param(replace(ALIVE, deployed=None), {}, WRITE, id="one that is not there is made"),
        pytest.param(replace(ALIVE, deployed=None, is_listed=False), {}, Upkeep(),
                     id="unless it is not known whether it is there"),
        pytest.param(replace(ALIVE, is_listed=False, deployment_problem="403"), {},
                     Upkeep(note=f"{engine.DEPLOYMENT} cannot be read: 403"),
                     id="one whose Deployment may not be read is told of, and not of its Lease"),
        pytest.param(replace(ALIVE, mode=EngineMode.EXTERNAL), {}, Upkeep(),
                     id="an external one is left alone"),
        pytest.param(ALIVE, {"rival": "theirs"}, Upkeep(note="theirs"),
                     id="somebody else's is only watched"),
        pytest.param(ALIVE, {"active": "Rollout a/b"},
                     Upkeep(wait=Obstacle.ROLLOUT,
                             note="a newer engine waits until Rollout a/b has ended"),
                     id="a Rollout on its way is waited for"),
        pytest.param(ALIVE, {"ahead": ["b", "a", "c"]},
                     Upkeep(wait=Obstacle.TURN,
                             note="a newer engine waits until that of a and 2 more is healthy"),
                     id="others come first"),
        pytest.param(replace(ALIVE, believed=STALE), {"active": "Rollout a/b", "ahead": ["a"]},
                     WRITE, id="a dead engine is mended at once"),
        pytest.param(replace(ALIVE, believed=UNKNOWN), {},
                     Upkeep(wait=Obstacle.NEWS, note="a newer engine waits: not seen yet"),
                     id="after a restart of the hub it is first seen whether it lives"),
        pytest.param(replace(ALIVE, believed=LOST), {}, Upkeep(), id="a lost one is not written"),
    ],
)  # fmt: skip
def test_what_to_do(seen: EngineObserved, others: dict[str, object], decision: Upkeep) -> None:
    given = {"rival": "", "active": "", "ahead": (), **others}
    assert engine.keep(seen, "new", **given) == decision  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("owner", "namespaces", "whose"),
    [
        pytest.param(OURS, {"shop"}, "", id="ours"),
        pytest.param(Keeper(), {"shop"}, "", id="nobody's: made before owners were written"),
        pytest.param(Keeper(hub="hub-1", namespace="team-2"), {"shop", "team-2"},
                     "namespace team-2", id="another namespace's"),
        pytest.param(Keeper(hub="hub-1", namespace="team-2"), {"shop"}, "",
                     id="a namespace's that has let go of the member"),
        pytest.param(Keeper(hub="hub-2", namespace="shop"), {"shop"},
                     "namespace shop of hub hub-2", id="another hub's"),
        pytest.param(Keeper(hub="hub-2", namespace="gone"), {"shop"},
                     "namespace gone of hub hub-2", id="another hub's, of which nothing is known"),
    ],
)  # fmt: skip
def test_who_else_keeps_it(owner: Keeper, namespaces: set[str], whose: str) -> None:
    said = engine.rival(replace(OLD, owner=owner), OURS, namespaces)
    told = (
        f"Deployment kulta-system/kulta-controller is kept by {whose} and only watched here: "
        "set engine.mode to External, or take it over by removing its labels fleet.kulta.io/hub "
        "and fleet.kulta.io/namespace"
    )
    assert said == (told if whose else "")


@pytest.mark.parametrize(
    ("total", "exchanged", "first"),
    [
        pytest.param(3, [], (), id="the first of three"),
        pytest.param(3, ["a"], ("a",), id="then one after the other"),
        pytest.param(19, ["a"], ("a",), id="of 19, one at once"),
        pytest.param(20, ["a"], (), id="of 20, two"),
        pytest.param(20, ["b", "a"], ("a", "b"), id="and not three"),
        pytest.param(1_000, [str(n) for n in range(99)], (), id="of 1,000, a hundred"),
    ],
)
def test_whose_turn_it_is(total: int, exchanged: list[str], first: tuple[str, ...]) -> None:
    assert engine.ahead(total, exchanged) == first


@pytest.mark.parametrize(
    ("seen", "through"),
    [
        pytest.param(ALIVE, True, id="all pods new and the Lease renewed"),
        pytest.param(replace(ALIVE, deployed=replace(OLD, settled=False)), False,
                     id="pods on their way"),
        pytest.param(replace(ALIVE, believed=STALE), False, id="no sign of life"),
        pytest.param(replace(ALIVE, deployed=replace(OLD, digest="older")), False, id="not ours"),
        pytest.param(replace(ALIVE, deployed=None), False, id="gone"),
    ],
)  # fmt: skip
def test_when_an_exchange_is_through(seen: EngineObserved, through: bool) -> None:
    assert engine.is_through(seen, "old") is through


EMPTY = replace(ALIVE, believed=UNKNOWN, term=None)
NAME = "Deployment kulta-system/kulta-controller"


@pytest.mark.parametrize(
    ("seen", "healthy", "message"),
    [
        pytest.param(ALIVE, True, "", id="alive"),
        pytest.param(replace(ALIVE, believed=LOST), None, "the member is not reachable",
                     id="a lost member"),
        pytest.param(replace(ALIVE, believed=STALE), False, "silent", id="a Lease grown old"),
        pytest.param(replace(ALIVE, believed=UNKNOWN), None, "not seen yet", id="a Lease unseen"),
        pytest.param(replace(EMPTY, lease_problem="403"), None,
                     "Lease kulta-system/kulta-controller-leader cannot be read: 403",
                     id="a Lease that may not be read"),
        pytest.param(replace(EMPTY, mode=EngineMode.EXTERNAL), None,
                     "there is no Lease kulta-system/kulta-controller-leader: is an engine "
                     "running with leader election?", id="an external one without a Lease"),
        pytest.param(replace(EMPTY, deployed=None), False, f"{NAME} is not there yet",
                     id="a managed one before its Deployment"),
        pytest.param(replace(EMPTY, deployed=Deployed()), False, f"{NAME} has no ready pod",
                     id="without a ready pod"),
        pytest.param(EMPTY, False, f"{NAME} has not taken its Lease yet", id="not leading yet"),
    ],
)  # fmt: skip
def test_health(seen: EngineObserved, healthy: bool | None, message: str) -> None:
    told = engine.report(seen, [rollout("Completed"), rollout("Paused"), rollout(None)], "")
    assert (told.healthy, told.message) == (healthy, message)
    assert (told.rollouts, told.active) == (3, 2)


def test_the_version_is_the_engines_own_word_and_a_note_comes_first() -> None:
    told = engine.report(ALIVE, [], "a newer engine waits")
    assert (told.version, told.message) == ("0.9", "a newer engine waits")


@pytest.mark.parametrize(
    ("phase", "name"),
    [
        pytest.param("Completed", "", id="done"),
        pytest.param("Failed", "", id="failed"),
        pytest.param("Progressing", "Rollout web/a", id="on its way"),
        pytest.param("Paused", "Rollout web/a", id="paused"),
        pytest.param(None, "Rollout web/a", id="not begun"),
    ],
)
def test_what_keeps_an_engine_busy(phase: str | None, name: str) -> None:
    assert engine.busy([rollout(phase)]) == name
    assert engine.is_active(rollout(phase)) is bool(name)
    assert not engine.is_active(None), "it has gone"
