"""How far a member is believed, and in which words it is said why not."""

import math

import pytest

from fleet import errors
from fleet.errors import FleetError, UserError
from fleet.hub.core.member import connectivity
from fleet.hub.core.member.connectivity import Connectivity, Sight, Trouble
from tests.conftest import NOON

QUIET = "the engine has not renewed its Lease for more than 30 s, or the API server there hangs"
UNSEEN = "the engine has not been seen to renew its Lease yet"
REFUSED = (
    "the member does not accept the token of its kubeconfig: "
    "write a new one with `fleet cluster add eu-7 --renew`"
)
ENDED = REFUSED.replace("kubeconfig:", "kubeconfig (it ends at 2026-11-20T12:00:00Z):")
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
        pytest.param(sight(problem=errors.Unauthorized("401"), expires=NOON), False, False,
                     "Unauthorized", ENDED, id="and say when they end"),
        pytest.param(sight(is_cut=True, failure=errors.Unauthorized("401"), expires=NOON), False,
                     False, "Unauthorized", ENDED, id="also where nothing is sent any more"),
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
    assert connectivity.of(seen) == Connectivity(
        reachable=reachable, fresh=fresh, reason=reason, message=message
    )


@pytest.mark.parametrize(
    ("seen", "leaseless"),
    [
        pytest.param({}, True, id="a Lease is all that lacks"),
        pytest.param({"lacks_lease": False}, False, id="whether there is one has not been seen"),
        pytest.param({"silence": 91.0}, False, id="nothing is heard of its Rollouts either"),
        pytest.param({"problem": BROKEN, "silence": 6.0}, False, id="it does not answer"),
    ],
)
def test_who_lacks_nothing_but_a_lease(seen: dict[str, object], leaseless: bool) -> None:
    given = {"lease_age": None, "lacks_lease": True, **seen}
    assert connectivity.of(sight(**given)).leaseless is leaseless


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
        pytest.param(errors.Silent("https://a does not answer: refused"), "Unreachable",
                     "https://a does not answer: refused: correct clusters[].server of its "
                     "kubeconfig if that is another", id="an address where nobody answers"),
        pytest.param(errors.Throttled("429"), "Unreachable", "429", id="anything else"),
    ],
)  # fmt: skip
def test_an_error_says_what_to_do(error: FleetError, reason: str, message: str) -> None:
    assert connectivity.trouble(error, "eu-7") == Trouble(reason=reason, message=message)


def test_a_refused_token_says_when_it_ends() -> None:
    told = connectivity.trouble(errors.Unauthorized("401"), "eu-7", NOON)
    assert "(it ends at 2026-11-20T12:00:00Z): write a new one" in told.message


@pytest.mark.parametrize(
    ("seen", "connecting"),
    [
        pytest.param({"is_known": False}, True, id="before it has said who it is"),
        pytest.param({"is_listed": False}, True, id="before the first list"),
        pytest.param({"lease_age": None}, True, id="before its engine has a Lease"),
        pytest.param({"lease_age": math.inf}, True, id="before the Lease is seen to change"),
        pytest.param({}, False, id="one that is believed is there"),
        pytest.param({"lease_age": 31.0}, False, id="an engine that fell silent is no new one"),
        pytest.param({"trouble": Trouble(reason="SecretNotFound", message="no Secret")}, False,
                     id="what stands in the way is seen"),
        pytest.param({"is_known": False, "is_cut": True}, False, id="and so are failures"),
        pytest.param({"is_listed": False, "problem": BROKEN, "silence": math.inf}, False,
                     id="a watch that never came up"),
        pytest.param({"is_listed": False, "problem": BROKEN, "silence": 1.0}, True,
                     id="a break of a second is none"),
    ],
)  # fmt: skip
def test_who_is_being_connected(seen: dict[str, object], connecting: bool) -> None:
    assert connectivity.of(sight(known_for=29.9, **seen)).connecting is connecting
    assert not connectivity.of(sight(known_for=30.0, **seen)).connecting, "not for ever"


@pytest.mark.parametrize(
    ("seen", "seconds"),
    [
        pytest.param({}, 30.0, id="as long as its Lease"),
        pytest.param({"silence": 85.0}, 5.0, id="as long as its watch"),
        pytest.param({"lease_age": 31.0}, 0.0, id="one that is not believed is looked at"),
        pytest.param({"problem": BROKEN}, 0.0, id="and one whose watch has just broken"),
    ],
)
def test_how_long_it_is_believed(seen: dict[str, object], seconds: float) -> None:
    assert connectivity.lasts(sight(**seen)) == seconds


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
    assert connectivity.lease_age(changed=changed, since=since, now=1_000.0) == age


@pytest.mark.parametrize(
    ("after", "news"),
    [
        pytest.param(Connectivity(reason="Stale", message="for 31 s"), False, id="another age"),
        pytest.param(Connectivity(reason="Unreachable", message="for 30 s"), True, id="a reason"),
        pytest.param(Connectivity(reason="Stale", reachable=True), True, id="it answers"),
        pytest.param(Connectivity(reason="Stale", connecting=True), True, id="it is waited for"),
        pytest.param(Connectivity(reason="Stale", leaseless=True), True, id="it lacks a Lease"),
    ],
)
def test_what_is_news(after: Connectivity, news: bool) -> None:
    assert connectivity.is_news(Connectivity(reason="Stale", message="for 30 s"), after) is news
