"""What a member's refusal means for its cluster."""

import pytest

from fleet.api.fleetrollout import ClusterPhase
from fleet.api.names import AUTOSCALER
from fleet.errors import Conflict, FleetError, Forbidden, Invalid, NotFound, Throttled, Unreachable
from fleet.hub.core.cluster import refusals

WEBHOOK = 'PATCH /x: 500 Internal error occurred: failed calling webhook "policy"'


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
            Forbidden('403 admission webhook "policy" denied the request: no owner'),
            ClusterPhase.FAILED,
            "Forbidden",
            'an admission policy there denies it: 403 admission webhook "policy" denied the '
            "request: no owner",
            id="a policy of the member",
        ),
        pytest.param(
            Unreachable(WEBHOOK),
            ClusterPhase.PROGRESSING,
            "WriteRefused",
            f"an admission webhook there does not answer; it is tried again: {WEBHOOK}",
            id="a webhook of the member that is dead",
        ),
        pytest.param(
            Throttled("429"),
            ClusterPhase.PROGRESSING,
            "WriteRefused",
            "the member's API server asks for fewer requests; it is tried again: 429",
            id="a server that has enough of us",
        ),
        pytest.param(
            NotFound("namespaces not found"),
            ClusterPhase.FAILED,
            "NamespaceNotFound",
            "the namespace, or the kind, does not exist there: namespaces not found",
            id="the namespace is missing",
        ),
        pytest.param(
            Conflict("conflict", managers=("argocd", AUTOSCALER)),
            ClusterPhase.CONFLICT,
            "Conflict",
            "argocd, kube-controller-manager owns fields of the Rollout: let them go, or set "
            "deliveryPolicy.onConflict: Force",
            id="other field managers",
        ),
    ],
)
def test_what_a_refusal_means(
    error: FleetError, phase: ClusterPhase, reason: str, message: str
) -> None:
    found = refusals.assess(error, ClusterPhase.PROGRESSING)
    assert found is not None
    assert (found.phase, found.reason, found.message) == (phase, reason, message)


@pytest.mark.parametrize(
    ("error", "before"),
    [
        pytest.param(Conflict("the object has been modified"), ClusterPhase.APPLYING,
                     id="somebody was faster"),
        pytest.param(Conflict("conflict", managers=(AUTOSCALER,)), ClusterPhase.APPLYING,
                     id="an autoscaler was faster"),
        pytest.param(Unreachable("no answer"), ClusterPhase.APPLYING, id="no answer"),
        pytest.param(Unreachable(WEBHOOK), ClusterPhase.SUCCEEDED,
                     id="a dead webhook takes no success back"),
        pytest.param(Throttled("429"), ClusterPhase.FAILED, id="nor hides why it failed"),
    ],
)  # fmt: skip
def test_what_passes_by_itself_is_not_reported(error: FleetError, before: ClusterPhase) -> None:
    assert refusals.assess(error, before) is None


@pytest.mark.parametrize(
    ("before", "phase"),
    [
        pytest.param(ClusterPhase.APPLYING, ClusterPhase.APPLYING, id="on its way it waits"),
        pytest.param(ClusterPhase.SUCCEEDED, None, id="what has ended stands"),
    ],
)
def test_a_look_fails_nobody(before: ClusterPhase, phase: ClusterPhase | None) -> None:
    found = refusals.assess(Forbidden("403"), before, is_read=True)
    assert (found and found.phase) == phase
