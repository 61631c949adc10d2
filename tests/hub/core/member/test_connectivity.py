"""A member in the core: what is believed of it, in which words, who is the elder of two names."""

import math
from datetime import datetime, timedelta

import pytest

from fleet import errors
from fleet.api.membercluster import EngineStatus, MemberCluster
from fleet.api.names import ClusterName
from fleet.errors import FleetError, UserError
from fleet.hub.core.member import connectivity as members
from fleet.hub.core.member.connectivity import Identity, Sight, Standing, Trouble
from fleet.hub.core.observed import Member
from tests.conftest import NOON
from tests.hub import gen

QUIET = "the engine has not renewed its Lease for more than 30 s"
UNSEEN = "the engine has not been seen to renew its Lease yet"
REFUSED = (
    "the member does not accept the token of its kubeconfig: "
    "write a new one with `fleet cluster add eu-7 --renew`"
)
BROKEN = errors.Unreachable("reset")


def sight(**seen: object) -> Sight:
    return Sight(name="eu-7", **seen)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seen", "reachable", "fresh", "reason", "message"),
    [
        pytest.param(sight(), True, True, "Reachable", "", id="all is well"),
        pytest.param(sight(lease_age=31.0), True, False, "Stale", QUIET, id="a silent engine"),
        pytest.param(sight(lease_age=math.inf), True, False, "EngineUnknown", UNSEEN,
                     id="a Lease that has not been seen to change"),
        pytest.param(sight(lease_age=None), True, False, "EngineUnknown",
                     "the engine has no Lease", id="no Lease"),
        pytest.param(sight(silence=91.0), True, False, "Stale",
                     "nothing has been heard of its Rollouts for more than 90 s",
                     id="a watch that has been silent too long"),
        pytest.param(sight(problem=BROKEN, silence=4.0), True, True, "Reachable", "",
                     id="a break of 4 s"),
        pytest.param(sight(problem=BROKEN, silence=6.0), False, False, "Unreachable", "reset",
                     id="a break of 6 s"),
        pytest.param(sight(problem=errors.Unauthorized("401"), silence=1.0), False, False,
                     "Unauthorized", REFUSED, id="refused credentials count at once"),
        pytest.param(sight(is_cut=True, failure=BROKEN), False, False, "Unreachable", "reset",
                     id="an open circuit says what opened it"),
        pytest.param(sight(is_cut=True), False, False, "Unreachable", "it fails too often",
                     id="or that it is open"),
        pytest.param(sight(is_listed=False), False, False, "Unreachable",
                     "its Rollouts have not been listed yet", id="before the first list"),
        pytest.param(sight(is_known=False), False, False, "Unreachable", "not connected yet",
                     id="before it has said who it is"),
        pytest.param(sight(trouble=Trouble(reason="SecretNotFound", message="no Secret")),
                     False, False, "SecretNotFound", "no Secret", id="what stands in the way"),
    ],
)  # fmt: skip
def test_what_is_believed(
    seen: Sight, reachable: bool, fresh: bool, reason: str, message: str
) -> None:
    assert members.standing(seen) == Standing(
        reachable=reachable, fresh=fresh, reason=reason, message=message
    )


@pytest.mark.parametrize(
    ("error", "reason", "message"),
    [
        pytest.param(UserError("KubeconfigRefused", "exec"), "KubeconfigRefused", "exec",
                     id="a mistake has its own reason"),
        pytest.param(errors.Untrusted("bad CA"), "CertificateInvalid", "bad CA",
                     id="a certificate that does not verify"),
        pytest.param(errors.Unauthorized("401"), "Unauthorized", REFUSED, id="a refused token"),
        pytest.param(errors.Forbidden("403 x"), "Forbidden",
                     "403 x: give the hub its rights with `fleet cluster add eu-7`",
                     id="a lacking right"),
        pytest.param(errors.NotFound("404"), "CrdsMissing", "404", id="a kind that is not there"),
        pytest.param(errors.Unreachable("https://a does not answer: refused"), "Unreachable",
                     "https://a does not answer: refused: correct clusters[].server of its "
                     "kubeconfig if that is another", id="an address where nobody answers"),
        pytest.param(errors.Throttled("429"), "Unreachable", "429", id="anything else"),
    ],
)  # fmt: skip
def test_an_error_says_what_to_do(error: FleetError, reason: str, message: str) -> None:
    assert members.trouble(error, "eu-7") == Trouble(reason=reason, message=message)


def test_a_refused_token_says_when_it_ends() -> None:
    told = members.trouble(errors.Unauthorized("401"), "eu-7", NOON)
    assert "(it ends at 2026-11-20T12:00:00Z): write a new one" in told.message


@pytest.mark.parametrize(
    ("changed", "since", "age"),
    [
        pytest.param(-math.inf, 990.0, math.inf, id="not seen to change for 10 s: unknown"),
        pytest.param(-math.inf, 960.0, 40.0, id="for 40 s: as old as the connection"),
        pytest.param(995.0, 960.0, 5.0, id="changed 5 s ago"),
        pytest.param(940.0, 960.0, 40.0, id="changed before the connection was made anew"),
    ],
)
def test_the_age_of_a_lease(changed: float, since: float, age: float) -> None:
    assert members.lease_age(changed=changed, since=since, now=1_000.0) == age


@pytest.mark.parametrize(
    ("after", "news"),
    [
        pytest.param(Standing(reason="Stale", message="for 31 s"), False, id="another age"),
        pytest.param(Standing(reason="Unreachable", message="for 30 s"), True, id="a reason"),
        pytest.param(Standing(reason="Stale", reachable=True), True, id="it answers"),
    ],
)
def test_what_is_news(after: Standing, news: bool) -> None:
    assert members.is_news(Standing(reason="Stale", message="for 30 s"), after) is news


def made(name: str, minutes: int, namespace: str = "shop") -> MemberCluster:
    body = gen.cluster(name).manifest()
    stamp = NOON + timedelta(minutes=minutes)
    body["metadata"] |= {"creationTimestamp": stamp.isoformat(), "namespace": namespace}
    return MemberCluster.parse(body)


@pytest.mark.parametrize(
    ("others", "elder"),
    [
        pytest.param([], "", id="nobody else"),
        pytest.param([(made("old", -1), "uid-1")], "old", id="an older one of that uid"),
        pytest.param([(made("new", 1), "uid-1")], "", id="a younger one waits itself"),
        pytest.param([(made("old", -1), "uid-2")], "", id="an older one elsewhere"),
        pytest.param([(made("old", -1, "team-2"), "uid-1")], "", id="one of another tenant"),
        pytest.param([(made("a", 0), "uid-1")], "a", id="of the same second, the first by name"),
        pytest.param([(made("b", -1), "uid-1"), (made("a", -2), "uid-1")], "a", id="the eldest"),
    ],
)
def test_the_elder_of_two_names(others: list[tuple[MemberCluster, str]], elder: str) -> None:
    assert members.elder_twin(made("eu-7", 0), "uid-1", others) == elder


def reported(believed: Standing, *, alarm: datetime | None = None) -> dict[str, tuple[str, str]]:
    identity = Identity(uid="u", expires=alarm and alarm + timedelta(days=2), alarm_at=alarm)
    status = members.report(made("eu-7", 0), identity, believed, EngineStatus(healthy=True), NOON)
    return {item.type: (item.status, item.reason) for item in status.conditions}


@pytest.mark.parametrize(
    ("believed", "reachable", "fresh"),
    [
        pytest.param(Standing(reachable=True, fresh=True, reason="Reachable"),
                     ("True", "Reachable"), ("True", "Reachable"), id="believed"),
        pytest.param(Standing(reachable=True, reason="Stale", message=QUIET),
                     ("True", "Reachable"), ("False", "Stale"), id="answers, and is stale"),
        pytest.param(Standing(reason="Unauthorized"),
                     ("False", "Unauthorized"), ("False", "Unauthorized"), id="lost"),
    ],
)  # fmt: skip
def test_conditions(believed: Standing, reachable: tuple[str, str], fresh: tuple[str, str]) -> None:
    told = reported(believed)
    assert (told["Reachable"], told["Fresh"]) == (reachable, fresh)


@pytest.mark.parametrize(
    ("alarm", "told"),
    [
        pytest.param(None, None, id="no token of ours"),
        pytest.param(NOON + timedelta(seconds=1), ("False", "CredentialsExpire"), id="in time"),
        pytest.param(NOON, ("True", "CredentialsExpire"), id="late"),
    ],
)
def test_a_token_that_ends_soon(alarm: datetime | None, told: tuple[str, str] | None) -> None:
    believed = Standing(reachable=True, fresh=True, reason="Reachable")
    assert reported(believed, alarm=alarm).get("CredentialsExpire") == told


@pytest.mark.parametrize(
    ("names", "known", "counts", "reason", "message"),
    [
        pytest.param(["a", "b"], ["a", "b"], (2, 1), "Accepted", "", id="two, one answers"),
        pytest.param(["a", "c"], ["a"], (1, 1), "MemberNotFound",
                     "c is named by fleet production, but there is no MemberCluster of that name",
                     id="one that is missing"),
        pytest.param(["c"], [], (0, 0), "EmptyFleet",
                     "no MemberCluster is named or selected: c is named by fleet production, "
                     "but there is no MemberCluster of that name", id="only one that is missing"),
    ],
)  # fmt: skip
def test_a_fleet(
    names: list[str], known: list[str], counts: tuple[int, int], reason: str, message: str
) -> None:
    found = {
        ClusterName(name): Member(cluster=made(name, 0), reachable=name == "a") for name in known
    }
    status = members.fleet_report(gen.fleet(members={"names": names}), found, NOON)
    (ready,) = status.conditions
    assert (status.members, status.reachable) == counts
    assert (ready.reason, ready.message) == (reason, message)
