"""The hub's own token: what it says of itself, and what of a kubeconfig is touched."""

import base64
from datetime import timedelta

import pytest
import yaml

from fleet.clusters import tokens
from tests.conftest import NOON
from tests.hub.runtime.desk import jwt, kubeconfig

DAY = timedelta(days=1)


def test_a_token_says_whose_it_is_and_when_it_ends() -> None:
    token = tokens.read(jwt(issued=NOON.timestamp()))
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
    assert tokens.read(text) is None


def test_the_token_of_somebody_else_is_not_ours() -> None:
    token = tokens.read(jwt(issued=0, subject="system:serviceaccount:ci:deployer"))
    assert token is not None
    assert not token.is_ours


def test_only_the_token_is_replaced() -> None:
    before = yaml.safe_load(kubeconfig("eu-7", token="old"))
    before["users"].append({"name": "other", "user": {"token": "theirs"}})
    after = yaml.safe_load(tokens.replaced(yaml.safe_dump(before), "old", "new"))
    assert [entry["user"]["token"] for entry in after["users"]] == ["new", "theirs"]
    assert {**after, "users": []} == {**before, "users": []}


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
    assert tokens.decoded({"data": data}, "kubeconfig") == text
