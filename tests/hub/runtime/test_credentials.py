"""The hub's own token: what it says, when it is renewed, where it is written."""

import base64
from datetime import timedelta

import pytest
import yaml

from fleet.api.names import SECRETS
from fleet.clusters.config import parse_kubeconfig
from fleet.errors import Conflict
from fleet.hub.runtime import credentials
from tests.conftest import NOON
from tests.hub.runtime.desk import TENANT, Desk, jwt, kubeconfig

DAY = timedelta(days=1)


def test_a_token_says_whose_it_is_and_when_it_ends() -> None:
    token = credentials.read(jwt(issued=NOON.timestamp()))
    assert token is not None
    assert token.is_ours
    assert token.expires == NOON + 7 * DAY
    assert token.renew_at == NOON + DAY
    assert token.alarm_at == NOON + 5 * DAY


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(None, id="no token at all"),
        pytest.param("opaque", id="an opaque token"),
        pytest.param("a.b.c", id="three parts that are nothing"),
        pytest.param("a.e30.c", id="claims without times"),
    ],
)
def test_what_is_no_json_web_token_says_nothing(text: str | None) -> None:
    assert credentials.read(text) is None


def test_the_token_of_somebody_else_is_not_ours() -> None:
    token = credentials.read(jwt(issued=0, subject="system:serviceaccount:ci:deployer"))
    assert token is not None
    assert not token.is_ours


def test_only_the_token_is_replaced() -> None:
    before = yaml.safe_load(kubeconfig("eu-7", token="old"))
    before["users"].append({"name": "other", "user": {"token": "theirs"}})
    after = yaml.safe_load(credentials.replaced(yaml.safe_dump(before), "old", "new"))
    assert [entry["user"]["token"] for entry in after["users"]] == ["new", "theirs"]
    assert {**after, "users": []} == {**before, "users": []}


async def test_a_renewed_token_is_written_into_the_secret() -> None:
    desk = Desk()
    old = jwt(issued=NOON.timestamp() - 2 * 86_400)
    desk.secret("eu-7", kubeconfig("eu-7", token=old))
    member = desk.member("eu-7")
    member.config = parse_kubeconfig(kubeconfig("eu-7", token=old))
    await credentials.renew(desk.kube, member, (TENANT, "eu-7"), "kubeconfig")  # type: ignore[arg-type]
    secret = desk.kube.peek(SECRETS, "eu-7", TENANT)
    assert secret is not None
    text = credentials.decoded(secret, "kubeconfig")
    assert text is not None
    token = credentials.read(parse_kubeconfig(text).token)
    assert token is not None
    assert token.expires == NOON + 7 * DAY


async def test_a_secret_that_changed_meanwhile_is_left_alone() -> None:
    desk = Desk()
    desk.secret("eu-7", kubeconfig("eu-7", token="a"))
    desk.kube.failures.append(("patch", Conflict("somebody was faster")))
    member = desk.member("eu-7")
    member.config = parse_kubeconfig(kubeconfig("eu-7", token="a"))
    with pytest.raises(Conflict):
        await credentials.renew(desk.kube, member, (TENANT, "eu-7"), "kubeconfig")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        pytest.param({"kubeconfig": base64.b64encode(b"yes").decode()}, "yes", id="a text"),
        pytest.param({}, None, id="no such key"),
        pytest.param({"kubeconfig": "%%"}, None, id="no base64"),
        pytest.param({"kubeconfig": base64.b64encode(b"\xff").decode()}, None, id="no text"),
    ],
)
def test_a_secret_is_read_without_trust(data: dict[str, str], text: str | None) -> None:
    assert credentials.decoded({"data": data}, "kubeconfig") == text
