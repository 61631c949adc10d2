"""Which setting holds, and that none is lost on the way into a run."""

from dataclasses import fields

from fleet.api.application import DeliveryPolicy
from fleet.hub.core.policy import ResolvedPolicy


def test_whatever_a_policy_says_reaches_the_run() -> None:
    assert {one.name for one in fields(ResolvedPolicy)} == set(DeliveryPolicy.model_fields)
