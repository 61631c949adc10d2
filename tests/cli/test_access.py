"""What a server's refusal means to a person."""

import pytest
from kubernetes import client

from fleet import errors
from fleet.cli.access import Access

MISSING = b"404 page not found\n"
NAMED = b'{"message": "rollouts.kulta.io \\"shop\\" not found"}'


def refusal(role: str, status: int, body: bytes) -> errors.FleetError:
    with client.ApiClient(client.Configuration(host="https://hub.example.com")) as api:
        return Access(api, role)._refusal(status, body)


def test_a_cluster_that_does_not_know_our_kinds_is_no_hub() -> None:
    found = refusal("hub", 404, MISSING)
    assert isinstance(found, errors.UserError)
    assert str(found) == (
        "https://hub.example.com is no hub: kubectl apply -f crds/ -f deploy/hub/ there"
    )


@pytest.mark.parametrize(
    ("role", "body"),
    [
        pytest.param("hub", NAMED, id="an object is missing in a hub"),
        pytest.param("member", MISSING, id="a kind is missing in a member"),
    ],
)
def test_what_else_is_missing_may_be_looked_for(role: str, body: bytes) -> None:
    assert isinstance(refusal(role, 404, body), errors.NotFound)
