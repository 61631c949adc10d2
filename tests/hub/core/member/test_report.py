"""The statuses of members and Fleets: their conditions and their numbers."""

from datetime import datetime, timedelta

import pytest

from fleet.api.membercluster import EngineStatus, MemberCluster
from fleet.api.names import ClusterName
from fleet.hub.core.member import report
from fleet.hub.core.member.connectivity import Connectivity
from fleet.hub.core.member.identity import Identity
from fleet.hub.core.observed import Member
from tests.conftest import NOON
from tests.hub import gen

QUIET = "the engine has not renewed its Lease for more than 30 s, or the API server there hangs"


def reported(
    believed: Connectivity, *, alarm: datetime | None = None
) -> dict[str, tuple[str, str]]:
    identity = Identity(uid="u", expires=alarm and alarm + timedelta(days=2), alarm_at=alarm)
    status = report.member(
        gen.cluster("eu-7"), identity, believed, EngineStatus(healthy=True), NOON
    )
    return {item.type: (item.status, item.reason) for item in status.conditions}


@pytest.mark.parametrize(
    ("believed", "reachable", "fresh"),
    [
        pytest.param(Connectivity(reachable=True, fresh=True, reason="Reachable"),
                     ("True", "Reachable"), ("True", "Reachable"), id="believed"),
        pytest.param(Connectivity(reachable=True, reason="Stale", message=QUIET),
                     ("True", "Reachable"), ("False", "Stale"), id="answers, and is stale"),
        pytest.param(Connectivity(reason="Unauthorized"),
                     ("False", "Unauthorized"), ("False", "Unauthorized"), id="lost"),
    ],
)  # fmt: skip
def test_conditions(
    believed: Connectivity, reachable: tuple[str, str], fresh: tuple[str, str]
) -> None:
    told = reported(believed)
    assert (told["Reachable"], told["Fresh"]) == (reachable, fresh)


@pytest.mark.parametrize(
    ("engine", "told"),
    [
        pytest.param(EngineStatus(healthy=True), ("True", "EngineHealthy", ""), id="alive"),
        pytest.param(EngineStatus(healthy=False, message="silent"),
                     ("False", "EngineUnhealthy", "silent"), id="dead"),
        pytest.param(EngineStatus(message="not seen yet"),
                     ("Unknown", "EngineUnknown", "not seen yet"), id="not known"),
    ],
)  # fmt: skip
def test_the_engine_of_a_member(engine: EngineStatus, told: tuple[str, str, str]) -> None:
    believed = Connectivity(reachable=True, fresh=True, reason="Reachable")
    status = report.member(gen.cluster("eu-7"), Identity(uid="u"), believed, engine, NOON)
    said = next(item for item in status.conditions if item.type == "EngineHealthy")
    assert (said.status, said.reason, said.message) == told
    assert status.engine == engine


LATER = NOON + timedelta(minutes=1)
GOOD = Connectivity(reachable=True, fresh=True, reason="Reachable")
BAD = Connectivity(reason="Unauthorized", message="refused")


def after(before: MemberCluster, believed: Connectivity, **identity: str) -> MemberCluster:
    """The MemberCluster a minute later."""
    status = report.member(before, Identity(**identity), believed, EngineStatus(), LATER)
    return before.model_copy(update={"status": status})


def test_what_was_known_of_a_lost_member_stays() -> None:
    cluster = gen.cluster("eu-7")
    meta = cluster.metadata.model_copy(update={"generation": 4})
    new = cluster.model_copy(update={"metadata": meta})
    assert after(new, BAD).status.last_seen is None, "it was never seen"
    seen = after(new, GOOD, uid="u", kubernetes="v1.36")
    assert seen.status.last_seen is None, "it is there"
    lost = after(seen, BAD)
    assert lost.status.last_seen == LATER
    assert after(lost, BAD).status.last_seen == LATER, "and stays"
    told = lost.status
    assert (told.uid, told.kubernetes_version, told.reachable) == ("u", "v1.36", False)
    assert (told.message, told.observed_generation) == ("refused", 4)
    reachable = next(item for item in told.conditions if item.type == "Reachable")
    assert (reachable.reason, reachable.message) == ("Unauthorized", "refused")
    assert (reachable.last_transition_time, reachable.observed_generation) == (LATER, 4)
    fresh = next(item for item in told.conditions if item.type == "Fresh")
    assert (fresh.status, fresh.message) == ("False", "refused")


def test_a_token_ends_by_the_clock_on_the_wall() -> None:
    ends = NOON + timedelta(days=2)
    identity = Identity(expires=ends, alarm_at=NOON + timedelta(minutes=10))
    told = {}
    for minutes in (9, 10):
        drift = timedelta(minutes=minutes)
        status = report.member(
            gen.cluster("eu-7"), identity, GOOD, EngineStatus(), NOON, drift=drift
        )
        assert status.credentials_expire == ends
        said = next(one for one in status.conditions if one.type == "CredentialsExpire")
        told[minutes] = said.message
    assert told[9] == "the token ends at 2026-11-22T12:00:00Z"
    assert told[10] == f"{told[9]}: renew it with `fleet cluster add --renew`"


@pytest.mark.parametrize(
    ("alarm", "told"),
    [
        pytest.param(None, None, id="no token of ours"),
        pytest.param(NOON + timedelta(seconds=1), ("False", "CredentialsExpire"), id="in time"),
        pytest.param(NOON, ("True", "CredentialsExpire"), id="late"),
    ],
)
def test_a_token_that_ends_soon(alarm: datetime | None, told: tuple[str, str] | None) -> None:
    believed = Connectivity(reachable=True, fresh=True, reason="Reachable")
    assert reported(believed, alarm=alarm).get("CredentialsExpire") == told


@pytest.mark.parametrize(
    ("names", "known", "counts", "reason", "message"),
    [
        pytest.param(["a", "b"], ["a", "b"], (2, 1), "Accepted", "", id="two, one answers"),
        pytest.param(["a", "c"], ["a"], (1, 1), "MemberNotFound",
                     "c is named by fleet production, but there is no MemberCluster of that name",
                     id="one that is missing"),
        pytest.param(["a", "c", "d"], ["a"], (1, 1), "MemberNotFound",
                     "c is named by fleet production, but there is no MemberCluster of that name; "
                     "d is named by fleet production, but there is no MemberCluster of that name",
                     id="two that are missing"),
        pytest.param(["c"], [], (0, 0), "EmptyFleet",
                     "no MemberCluster is named or selected: c is named by fleet production, "
                     "but there is no MemberCluster of that name", id="only one that is missing"),
    ],
)  # fmt: skip
def test_a_fleet(
    names: list[str], known: list[str], counts: tuple[int, int], reason: str, message: str
) -> None:
    found = {
        ClusterName(name): Member(cluster=gen.cluster(name), reachable=name == "a")
        for name in known
    }
    item = gen.fleet(members={"names": names})
    meta = item.metadata.model_copy(update={"generation": 3})
    status = report.fleet(item.model_copy(update={"metadata": meta}), found, NOON)
    assert {status.observed_generation} == {3}
    assert {one.observed_generation for one in status.conditions} == {3}
    ready = next(item for item in status.conditions if item.type == "Ready")
    assert (status.members, status.reachable) == counts
    assert (ready.reason, ready.message) == (reason, message)
    assert ready.status == ("True" if reason == "Accepted" else "False")
    assert ready.last_transition_time == NOON


def test_a_fleet_without_members_says_what_to_write() -> None:
    status = report.fleet(gen.fleet(), {}, NOON)
    assert status.message == (
        "no MemberCluster is named or selected: name one, or give one the labels of "
        "members.clusterSelector"
    )


LOST = gen.member("c", reachable=False)
NEW = gen.meet(gen.member("d"), NOON + timedelta(seconds=30))


@pytest.mark.parametrize(
    ("members", "phase", "healthy", "message"),
    [
        pytest.param([], "Ready", "True Reachable", "", id="all are well"),
        pytest.param([LOST], "Degraded", "False Unreachable", "c: connection refused",
                     id="[KH-07] one does not answer"),
        pytest.param([gen.lose(gen.member("e"), reachable=True)], "Degraded", "False Stale",
                     f"e: {gen.SILENT}", id="an engine that is dead is not taken for healthy"),
        pytest.param([NEW], "Progressing", "Unknown Connecting", "d to be connected",
                     id="one is new"),
        pytest.param([NEW, LOST], "Degraded", "False Unreachable", "c: connection refused",
                     id="what is bad wins over what is new"),
        pytest.param([gen.member(f"z{number}", reachable=False) for number in range(5)],
                     "Degraded", "False Unreachable",
                     "z0: connection refused; z1: connection refused; z2: connection refused; "
                     "and 2 more", id="many are counted"),
    ],
)  # fmt: skip
def test_the_phase_of_a_fleet(
    members: list[Member], phase: str, healthy: str, message: str
) -> None:
    """Beside two that are well."""
    found = {**gen.members("a", "b"), **{member.name: member for member in members}}
    status = report.fleet(gen.fleet(), found, NOON)
    said = {item.type: f"{item.status} {item.reason}" for item in status.conditions}
    assert (status.phase, said["Healthy"], status.message) == (phase, healthy, message)
    assert status.members - status.reachable == sum(not one.reachable for one in members)


def test_a_fleet_counts_who_is_missing() -> None:
    """[KH-03] The name is told; who is there is served."""
    fleet = gen.fleet(members={"names": ["a", "b", "m3"]})
    status = report.fleet(fleet, gen.members("a", "b"), NOON)
    assert (status.phase, status.members, status.reachable, status.missing) == ("Degraded", 2, 2, 1)
    assert "m3 is named by fleet production" in status.message
