"""What a member's refusal means for its cluster."""

import pytest

from fleet.api.fleetrollout import ClusterPhase
from fleet.errors import Conflict, FleetError, Forbidden, Invalid, NotFound, Unreachable
from fleet.hub.core.cluster import refusals


@pytest.mark.parametrize(
    ("error", "phase", "reason", "message"),
    [
        pytest.param(
            Invalid("spec: dispatch.sequence may only grow"),
            ClusterPhase.CONFLICT,
            "Fenced",
            "a newer hub leader has written: spec: dispatch.sequence may only grow",
            id="a newer leader's fence",
        ),
        pytest.param(
            Invalid(".spec.hold: field not declared in schema"),
            ClusterPhase.FAILED,
            "EngineTooOld",
            "the member's Rollout CRD lacks a field: run `fleet cluster add` again: "
            ".spec.hold: field not declared in schema",
            id="a CRD that lacks a field",
        ),
        pytest.param(
            Invalid("spec.replicas: Invalid value"),
            ClusterPhase.FAILED,
            "InvalidSpec",
            "the member refuses it: spec.replicas: Invalid value",
            id="a value that the server refuses",
        ),
        pytest.param(
            Forbidden("403"),
            ClusterPhase.FAILED,
            "Forbidden",
            "the hub lacks a right there: 403",
            id="a right is lacking",
        ),
        pytest.param(
            NotFound("namespaces not found"),
            ClusterPhase.FAILED,
            "NamespaceNotFound",
            "the namespace, or the kind, does not exist there: namespaces not found",
            id="the namespace is missing",
        ),
        pytest.param(
            Conflict("conflict", managers=("argocd", "kubectl")),
            ClusterPhase.CONFLICT,
            "Conflict",
            "argocd, kubectl owns fields of the Rollout: let them go, or set "
            "deliveryPolicy.onConflict: Force",
            id="other field managers",
        ),
    ],
)
def test_what_a_refusal_means(
    error: FleetError, phase: ClusterPhase, reason: str, message: str
) -> None:
    found = refusals.assess(error)
    assert found is not None
    assert (found.phase, found.reason, found.message) == (phase, reason, message)


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(Conflict("the object has been modified"), id="somebody was faster"),
        pytest.param(Unreachable("no answer"), id="no answer"),
    ],
)
def test_what_passes_by_itself_is_not_reported(error: FleetError) -> None:
    assert refusals.assess(error) is None
