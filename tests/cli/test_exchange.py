"""What `fleet cluster upgrade --wait` makes of what the hub says of a member."""

from typing import Any

import pytest

from fleet.api.membercluster import MemberCluster
from fleet.cli import exchange

WAITS = "a newer engine waits until Rollout checkout/shop has ended"
RIVAL = "Deployment kulta-system/kulta-controller is kept by namespace other and only watched here"


def member(*, seen: int = 2, reachable: bool = True, **engine: Any) -> MemberCluster:
    return MemberCluster.parse(
        {
            "metadata": {"name": "eu-7", "namespace": "shop", "generation": 2},
            "spec": {"kubeconfig": {"secretRef": {"name": "eu-7"}}},
            "status": {"observedGeneration": seen, "reachable": reachable, "engine": engine},
        }
    )


@pytest.mark.parametrize(
    ("found", "answer"),
    [
        pytest.param(
            member(seen=1, current=True, version="0.1.0"),
            (None, "the hub has not looked at it yet"),
            id="the old engine is as the old spec wanted it",
        ),
        pytest.param(member(current=False, message=WAITS), (None, WAITS), id="a Rollout is active"),
        pytest.param(
            member(current=False, version="0.1.0"),
            (None, "its pods are being replaced"),
            id="the Deployment is written",
        ),
        pytest.param(
            member(current=True, version="0.2.0"),
            (0, "its engine is exchanged; version 0.2.0 runs there"),
            id="the new one has taken over",
        ),
        pytest.param(member(message=RIVAL), (1, RIVAL), id="somebody else keeps it"),
        pytest.param(
            member(reachable=False, message=RIVAL),
            (None, "it does not answer"),
            id="who is silent now may come back",
        ),
    ],
)
def test_what_is_said(found: MemberCluster, answer: tuple[int | None, str]) -> None:
    assert exchange.verdict(found, generation=2) == answer
