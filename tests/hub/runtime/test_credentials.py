"""The hub's own token: renewed there, written here."""

from datetime import timedelta

import pytest

from fleet.api.names import SECRETS
from fleet.clusters import tokens
from fleet.clusters.config import parse_kubeconfig
from fleet.errors import Conflict
from fleet.hub.runtime import credentials
from tests.conftest import NOON
from tests.hub.runtime.desk import TENANT, Desk, jwt, kubeconfig


async def test_a_renewed_token_is_written_into_the_secret() -> None:
    desk = Desk()
    old = jwt(issued=NOON.timestamp() - 2 * 86_400)
    desk.secret("eu-7", kubeconfig("eu-7", token=old))
    member = desk.member("eu-7")
    member.config = parse_kubeconfig(kubeconfig("eu-7", token=old))
    await credentials.renew(desk.kube, member, (TENANT, "eu-7"), "kubeconfig")  # type: ignore[arg-type]
    secret = desk.kube.peek(SECRETS, "eu-7", TENANT)
    assert secret is not None
    text = tokens.decoded(secret, "kubeconfig")
    assert text is not None
    token = tokens.read(parse_kubeconfig(text).token)
    assert token is not None
    assert token.expires == NOON + timedelta(days=7)


async def test_a_secret_that_changed_meanwhile_is_left_alone() -> None:
    desk = Desk()
    desk.secret("eu-7", kubeconfig("eu-7", token="a"))
    desk.kube.failures.append(("patch", Conflict("somebody was faster")))
    member = desk.member("eu-7")
    member.config = parse_kubeconfig(kubeconfig("eu-7", token="a"))
    with pytest.raises(Conflict):
        await credentials.renew(desk.kube, member, (TENANT, "eu-7"), "kubeconfig")  # type: ignore[arg-type]
