"""What it means to let a member go, in words."""

from typing import Any

import pytest

from fleet import errors
from fleet.api import names
from fleet.cli import farewell
from fleet.cli.farewell import Parting

CLUSTER = {"metadata": {"name": "eu-7", "namespace": "shop"}, "spec": {}}


@pytest.mark.parametrize(
    ("applications", "fleets", "words"),
    [
        pytest.param((), (), "what runs there stays", id="nothing was delivered"),
        pytest.param(
            ("checkout",),
            (),
            "what runs there stays; checkout is managed no more",
            id="something runs there",
        ),
        pytest.param(
            ("cart", "checkout"),
            ("production",),
            "what runs there stays; cart, checkout are managed no more; take it out of "
            "members.names of production too",
            id="a fleet names it",
        ),
    ],
)
def test_what_follows_is_said(
    applications: tuple[str, ...], fleets: tuple[str, ...], words: str
) -> None:
    found = Parting(cluster=CLUSTER, secret=None, applications=applications, fleets=fleets)
    assert farewell.consequences(found) == words
    assert (found.name, found.namespaces) == ("eu-7", ())


def registered(namespace: str, name: str, uid: str, *, seen: bool = False) -> dict[str, Any]:
    """A MemberCluster for the cluster of that uid; `seen` by the hub, or just written."""
    notes = {} if seen else {names.UID_ANNOTATION: uid}
    metadata = {"name": name, "namespace": namespace, "annotations": notes}
    return {"metadata": metadata, "status": {"uid": uid} if seen else {}}


class Hub:
    """Has these MemberClusters; without any it does not let us look."""

    def __init__(self, *clusters: dict[str, Any]) -> None:
        self.clusters = list(clusters)

    def list(self, resource: names.Resource) -> list[dict[str, Any]]:
        if not self.clusters:
            raise errors.Forbidden("the hub refuses: use the kubeconfig of an administrator")
        return self.clusters


def parted(hub: Hub, *, assured: bool = False) -> None:
    found = Parting(cluster=CLUSTER, secret=None, applications=(), fleets=())
    farewell.check_alone(hub, found, "u1", assured=assured)  # type: ignore[arg-type]


SHARED = [
    pytest.param(
        Hub(registered("shop", "eu-7", "u1"), registered("pay", "europe", "u1")),
        "pay/europe uses this access too: leave out --kubeconfig",
        id="another namespace has the same cluster",
    ),
    pytest.param(
        Hub(registered("pay", "eu-7", "u1", seen=True), registered("tax", "eu-7", "u1")),
        "pay/eu-7, tax/eu-7 use this access too: leave out --kubeconfig",
        id="of the same name, seen by the hub",
    ),
    pytest.param(
        Hub(),
        "--kubeconfig: whether another namespace uses this access too cannot be seen: the hub "
        "refuses: use the kubeconfig of an administrator; or leave out --kubeconfig, or add "
        "--unshared if you know that none does",
        id="nobody may look",
    ),
]


@pytest.mark.parametrize(("hub", "words"), SHARED)
def test_an_access_that_others_use_stays(hub: Hub, words: str) -> None:
    with pytest.raises(errors.UserError) as error:
        parted(hub)
    assert (error.value.reason, str(error.value)) == ("Refused", words)


def test_an_access_of_its_own_may_go() -> None:
    parted(Hub(registered("shop", "eu-7", "u1", seen=True), registered("pay", "eu-8", "u2")))
    parted(Hub(), assured=True)


def test_no_assurance_stands_against_what_is_seen() -> None:
    with pytest.raises(errors.UserError, match="pay/eu-7 uses this access too"):
        parted(Hub(registered("pay", "eu-7", "u1")), assured=True)
