"""What a member's refusal means for its cluster."""

import pytest

from fleet.api.fleetrollout import ClusterPhase
from fleet.errors import Conflict, FleetError, Forbidden, Invalid, NotFound, Unreachable
from fleet.hub.core.cluster import refusals


@pytest.mark.parametrize(
    ("error", "phase", "reason"),
    [
        pytest.param(
            Invalid("spec: dispatch.sequence may only grow"),
            ClusterPhase.CONFLICT,
            "Fenced",
            id="a newer leader's fence",
        ),
        pytest.param(
            Invalid(".spec.hold: field not declared in schema"),
            ClusterPhase.FAILED,
            "EngineTooOld",
            id="a CRD that lacks a field",
        ),
        pytest.param(
            Invalid("spec.replicas: Invalid value"),
            ClusterPhase.FAILED,
            "InvalidSpec",
            id="a value that the server refuses",
        ),
        pytest.param(Forbidden("403"), ClusterPhase.FAILED, "Forbidden", id="a right is lacking"),
        pytest.param(
            NotFound("namespaces not found"),
            ClusterPhase.FAILED,
            "NamespaceNotFound",
            id="the namespace is missing",
        ),
        pytest.param(
            Conflict("conflict", managers=("kubectl",)),
            ClusterPhase.CONFLICT,
            "Conflict",
            id="another field manager",
        ),
    ],
)
def test_what_a_refusal_means(error: FleetError, phase: ClusterPhase, reason: str) -> None:
    found = refusals.assess(error)
    assert found is not None
    assert (found.phase, found.reason) == (phase, reason)


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(Conflict("the object has been modified"), id="somebody was faster"),
        pytest.param(Unreachable("no answer"), id="no answer"),
    ],
)
def test_what_passes_by_itself_is_not_reported(error: FleetError) -> None:
    assert refusals.assess(error) is None
