"""What it means to let a member go, in words."""

import pytest

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
