"""From a Secret to a watched member and back; what is reported on the way."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from fleet.api.names import CRDS, DEPLOYMENTS, MEMBERCLUSTERS, ROLLOUTS, SECRETS
from fleet.clusters.errors import CircuitOpen
from fleet.errors import FleetError, Forbidden, Throttled, Unauthorized, Unreachable, Untrusted
from fleet.hub.core.member.connectivity import Connectivity
from fleet.hub.runtime import membership
from fleet.hub.runtime.links import Problem
from fleet.hub.runtime.schemas import CRD
from tests.conftest import NOON
from tests.hub.runtime.desk import TENANT, Desk, jwt, kubeconfig


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def connected(desk: Desk, name: str = "eu-7", text: str | None = None, **spec: Any) -> None:
    """Registered, reconciled, and believed."""
    key = desk.register(name, text, **spec)
    await membership.reconcile(desk.hub, key)
    desk.live(name)
    await membership.reconcile(desk.hub, key)


def reported(desk: Desk, name: str = "eu-7") -> dict[str, Any]:
    found = desk.kube.peek(MEMBERCLUSTERS, name, TENANT)
    assert found is not None
    status: dict[str, Any] = found.get("status") or {}
    return status


def condition(desk: Desk, kind: str, name: str = "eu-7") -> tuple[str, str, str]:
    for item in reported(desk, name).get("conditions", ()):
        if item["type"] == kind:
            return item["status"], item["reason"], item.get("message", "")
    return "", "", ""


EXTERNAL = {"engine": {"mode": "External"}}


async def test_a_good_member_is_engaged_identified_and_reported(desk: Desk) -> None:
    await connected(desk, **EXTERNAL)
    assert list(desk.supervisor.engaged) == ["shop/eu-7"]
    status = reported(desk)
    assert status["reachable"] is True
    assert status["uid"] == "uid-of-eu-7"
    assert status["kubernetesVersion"] == "v1.36.3"
    assert status["engine"]["healthy"] is True
    assert condition(desk, "Reachable") == ("True", "Reachable", "")
    assert condition(desk, "EngineHealthy") == ("True", "EngineHealthy", "")


async def test_a_hub_that_begins_waits_for_its_members_while_they_come(desk: Desk) -> None:
    names = ("eu-1", "eu-2", "eu-3", "eu-4")
    for name in names:
        desk.register(name)
    waiting = asyncio.create_task(membership.settled(desk.hub))

    async def passes(seconds: float) -> bool:
        desk.clock.advance(seconds)
        await asyncio.sleep(0.15)  # it looks ten times a second
        return not waiting.done()

    assert await passes(9)
    for name in names[:2]:
        await connected(desk, name)
        assert await passes(0)
        assert await passes(9), f"{name} came, so others may come"
    assert not await passes(2), "none for 10 s"
    await waiting


async def test_a_hub_that_begins_decides_once_all_have_come(desk: Desk) -> None:
    await connected(desk)
    await membership.settled(desk.hub)


async def test_a_hub_that_begins_waits_for_one_that_was_lost_again_meanwhile(desk: Desk) -> None:
    for name in ("eu-1", "eu-2"):
        desk.register(name)
    waiting = asyncio.create_task(membership.settled(desk.hub))
    await connected(desk, "eu-1")
    await asyncio.sleep(0.15)
    await connected(desk, "eu-2")
    desk.link("eu-1").forget()
    desk.link("eu-1").told = Connectivity()
    await asyncio.sleep(0.15)
    assert not waiting.done()
    await connected(desk, "eu-1")
    await asyncio.wait_for(waiting, 5)


async def test_a_member_at_rest_is_not_written_again(desk: Desk) -> None:
    await connected(desk, **EXTERNAL)
    before = len(desk.kube.writes())
    for _ in range(3):
        desk.clock.advance(5)
        desk.live("eu-7")
        desk.see(MEMBERCLUSTERS, "eu-7")
        await membership.reconcile(desk.hub, (TENANT, "eu-7"))
    assert len(desk.kube.writes()) == before


@pytest.mark.parametrize(
    ("error", "reason", "message"),
    [
        pytest.param(
            Unauthorized("401"),
            "Unauthorized",
            "the member does not accept the token of its kubeconfig: "
            "write a new one with `fleet cluster add eu-7 --renew`",
            id="a token that is refused",
        ),
        pytest.param(
            Forbidden("403"),
            "Forbidden",
            "403: give the hub its rights with `fleet cluster add eu-7`",
            id="a right that is lacking",
        ),
        pytest.param(
            Untrusted("does not verify"),
            "CertificateInvalid",
            "does not verify",
            id="a certificate that does not verify",
        ),
        pytest.param(
            Unreachable("connection refused"),
            "Unreachable",
            "connection refused",
            id="nobody listens",
        ),
        pytest.param(
            CircuitOpen("failed 5 times in a row; next try in 3 s"),
            "Unreachable",
            "connection reset",
            id="an open circuit tells what opened it",
        ),
    ],
)
async def test_what_stands_in_the_way_is_reported(
    desk: Desk, error: FleetError, reason: str, message: str
) -> None:
    key = desk.register("eu-7")
    desk.member("eu-7").failures.append(error)
    desk.member("eu-7").last_failure = Unreachable("connection reset")
    await membership.reconcile(desk.hub, key)
    assert condition(desk, "Reachable") == ("False", reason, message)
    assert desk.queues.members.retried == [key]


async def test_a_member_that_says_when_is_not_asked_before(desk: Desk) -> None:
    key = desk.register("eu-7")
    desk.member("eu-7").failures.append(Throttled("slow down", retry_after=40.0))
    await membership.reconcile(desk.hub, key)
    assert desk.queues.members.later[key] == 40.0


async def test_a_member_without_the_crd_says_so(desk: Desk) -> None:
    key = desk.register("eu-7")
    await desk.member("eu-7").delete(CRDS, CRD, None)
    await membership.reconcile(desk.hub, key)
    assert condition(desk, "Reachable") == (
        "False",
        "CrdsMissing",
        "the CRD rollouts.kulta.io is not installed there: `fleet cluster add` installs it",
    )


@pytest.mark.parametrize(
    ("data", "reason", "message"),
    [
        pytest.param(
            None,
            "SecretNotFound",
            "Secret shop/eu-7 does not exist: `fleet cluster add` writes it",
            id="no Secret",
        ),
        pytest.param(
            {"config": "eA=="},
            "KubeconfigKeyMissing",
            "Secret shop/eu-7 has no text under the key 'kubeconfig'; its keys: config",
            id="a Secret with another key",
        ),
        pytest.param(
            {},
            "KubeconfigKeyMissing",
            "Secret shop/eu-7 has no text under the key 'kubeconfig'; its keys: none",
            id="an empty Secret",
        ),
    ],
)
async def test_a_secret_that_does_not_serve(
    desk: Desk, data: dict[str, str] | None, reason: str, message: str
) -> None:
    key = desk.register("eu-7")
    await desk.kube.delete(SECRETS, "eu-7", TENANT)
    if data is not None:
        desk.kube.seed(SECRETS, {"metadata": {"name": "eu-7", "namespace": TENANT}, "data": data})
    await membership.reconcile(desk.hub, key)
    assert condition(desk, "Reachable") == ("False", reason, message)
    assert desk.supervisor.engaged == {}


async def test_credentials_that_are_taken_away_end_the_connection(desk: Desk) -> None:
    await connected(desk, **EXTERNAL)
    desk.secret("eu-7", "not a kubeconfig")
    await membership.reconcile(desk.hub, (TENANT, "eu-7"))
    assert condition(desk, "Reachable")[1] == "KubeconfigRefused"
    assert desk.supervisor.engaged == {}


async def test_new_credentials_are_taken_without_losing_what_is_known(desk: Desk) -> None:
    await connected(desk, **EXTERNAL)
    handle = desk.link("eu-7").handle
    desk.secret("eu-7", kubeconfig("eu-7", token="fresh"))
    await membership.reconcile(desk.hub, (TENANT, "eu-7"))
    assert desk.link("eu-7").handle is handle
    assert handle is not None
    assert handle.client.config.token == "fresh"


async def test_another_server_is_another_cluster(desk: Desk) -> None:
    await connected(desk, **EXTERNAL)
    desk.member("eu-7").seed(
        membership.NAMESPACES, {"metadata": {"name": "kube-system", "uid": "uid-of-another"}}
    )
    desk.secret("eu-7", kubeconfig("eu-8"))
    await membership.reconcile(desk.hub, (TENANT, "eu-7"))
    assert desk.link("eu-7").uid == "uid-of-another"


async def test_the_younger_name_of_one_cluster_is_refused_until_the_elder_leaves(
    desk: Desk,
) -> None:
    await connected(desk, "elder", **EXTERNAL)
    desk.clock.advance(60)
    key = desk.register("younger", **EXTERNAL)
    desk.member("younger").seed(
        membership.NAMESPACES, {"metadata": {"name": "kube-system", "uid": "uid-of-elder"}}
    )
    await membership.reconcile(desk.hub, key)
    assert condition(desk, "Reachable", "younger") == (
        "False",
        "DuplicateCluster",
        "younger and elder are the same cluster (kube-system uid-of-elder): delete one",
    )
    assert list(desk.supervisor.engaged) == ["shop/elder"]
    calls = len(desk.member("younger").calls)
    await membership.reconcile(desk.hub, key)
    assert len(desk.member("younger").calls) == calls, "who is refused is not asked again"
    await desk.kube.delete(MEMBERCLUSTERS, "elder", TENANT)
    desk.see(MEMBERCLUSTERS, "elder")
    await membership.reconcile(desk.hub, (TENANT, "elder"))
    assert key in desk.queues.members.added
    await membership.reconcile(desk.hub, key)
    assert list(desk.supervisor.engaged) == ["shop/younger"]


async def test_a_member_that_left_is_forgotten(desk: Desk) -> None:
    await connected(desk, **EXTERNAL)
    await desk.kube.delete(MEMBERCLUSTERS, "eu-7", TENANT)
    desk.see(MEMBERCLUSTERS, "eu-7")
    await membership.reconcile(desk.hub, (TENANT, "eu-7"))
    assert desk.supervisor.engaged == {}
    assert len(desk.hub.links) == 0
    assert desk.member("eu-7").writes() == []


async def test_a_token_is_renewed_when_a_seventh_of_its_life_is_over(desk: Desk) -> None:
    token = jwt(issued=NOON.timestamp())
    await connected(desk, text=kubeconfig("eu-7", token), **EXTERNAL)
    assert reported(desk)["credentialsExpire"] == "2026-11-27T12:00:00Z"
    assert desk.queues.members.later[TENANT, "eu-7"] == 86_400
    assert desk.member("eu-7").tokens == 0
    desk.clock.advance(86_400)
    desk.live("eu-7")
    await membership.reconcile(desk.hub, (TENANT, "eu-7"))
    assert desk.member("eu-7").tokens == 1
    await membership.reconcile(desk.hub, (TENANT, "eu-7"))
    assert reported(desk)["credentialsExpire"] == "2026-11-28T12:00:00Z"
    assert desk.member("eu-7").tokens == 1


async def test_a_clock_that_jumps_does_not_let_a_token_run_out(desk: Desk) -> None:
    """The machine slept for five days: the hub's present did not, the token did."""
    token = jwt(issued=NOON.timestamp())
    await connected(desk, text=kubeconfig("eu-7", token), **EXTERNAL)
    desk.clock.jumped = timedelta(days=5)
    desk.member("eu-7").failures.append(("token", Forbidden("no right to make tokens")))
    await membership.reconcile(desk.hub, (TENANT, "eu-7"))
    assert condition(desk, "CredentialsExpire")[0] == "True"
    assert desk.queues.members.later[TENANT, "eu-7"] == 600
    desk.clock.advance(601)
    desk.live("eu-7")
    await membership.reconcile(desk.hub, (TENANT, "eu-7"))
    assert desk.member("eu-7").tokens == 1


async def test_a_member_whose_clock_is_days_behind_is_not_asked_without_end(desk: Desk) -> None:
    """Its new tokens look as if they were due again at once."""
    member = desk.member("eu-7")
    member.skew = 2 * 86_400.0
    token = jwt(issued=NOON.timestamp() - member.skew)
    await connected(desk, text=kubeconfig("eu-7", token), **EXTERNAL)
    for _ in range(5):
        desk.see(MEMBERCLUSTERS, "eu-7")
        await membership.reconcile(desk.hub, (TENANT, "eu-7"))
    assert member.tokens == 1
    desk.clock.advance(601)
    desk.live("eu-7")
    await membership.reconcile(desk.hub, (TENANT, "eu-7"))
    assert member.tokens == 2


async def test_a_token_that_cannot_be_renewed_is_told_in_time(desk: Desk) -> None:
    token = jwt(issued=NOON.timestamp())
    await connected(desk, text=kubeconfig("eu-7", token), **EXTERNAL)
    assert condition(desk, "CredentialsExpire")[0] == "False"
    desk.clock.advance(5 * 86_400)
    desk.live("eu-7")
    desk.member("eu-7").failures.append(("token", Forbidden("no right to make tokens")))
    await membership.reconcile(desk.hub, (TENANT, "eu-7"))
    assert condition(desk, "CredentialsExpire") == (
        "True",
        "CredentialsExpire",
        "the token ends at 2026-11-27T12:00:00Z: renew it with `fleet cluster add --renew`",
    )
    assert condition(desk, "Reachable")[0] == "True"


async def test_a_managed_engine_is_written_once(desk: Desk) -> None:
    await connected(desk)
    applied = [call for call in desk.member("eu-7").writes() if call.kind == DEPLOYMENTS.kind]
    assert len(applied) == 1
    await membership.reconcile(desk.hub, (TENANT, "eu-7"))
    again = [call for call in desk.member("eu-7").writes() if call.kind == DEPLOYMENTS.kind]
    assert len(again) == 1


async def test_a_silent_member_shows_when_it_was_last_seen(desk: Desk) -> None:
    await connected(desk, **EXTERNAL)
    desk.see(MEMBERCLUSTERS, "eu-7")
    desk.clock.advance(60)
    link = desk.link("eu-7")
    link.signs.problems[ROLLOUTS] = Problem(error=Unreachable("gone"), at=desk.clock.monotonic())
    await membership.reconcile(desk.hub, (TENANT, "eu-7"))
    assert condition(desk, "Reachable") == ("False", "Unreachable", "gone")
    seen = NOON + timedelta(seconds=60)
    assert reported(desk)["lastSeen"] == seen.strftime("%Y-%m-%dT%H:%M:%SZ")


async def test_a_restart_is_no_news(desk: Desk) -> None:
    await connected(desk, **EXTERNAL)
    again = Desk()
    key = again.register("eu-7", **EXTERNAL)
    body = again.kube.peek(MEMBERCLUSTERS, "eu-7", TENANT)
    assert body is not None
    again.put(MEMBERCLUSTERS, {**body, "status": reported(desk)})
    await membership.reconcile(again.hub, key)
    assert again.queues.members.later[key] == 10
    again.live("eu-7")
    await membership.reconcile(again.hub, key)
    assert again.kube.writes() == []


async def test_a_member_that_shows_nothing_is_reported_after_a_while(desk: Desk) -> None:
    key = desk.register("eu-7", **EXTERNAL)
    await membership.reconcile(desk.hub, key)
    assert desk.kube.writes() == []
    desk.clock.advance(11)
    await membership.reconcile(desk.hub, key)
    assert condition(desk, "Reachable") == (
        "False",
        "Unreachable",
        "its Rollouts have not been listed yet",
    )
