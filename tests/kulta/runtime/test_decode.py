"""Objects of the API server as the core sees them: what engines write on sets and pods."""

from typing import Any

import pytest

from fleet.api import names
from fleet.kulta.runtime import decode

SET: dict[str, Any] = {"metadata": {"name": "web-1", "namespace": "shop", "uid": "u"}, "spec": {}}
POD: dict[str, Any] = {"metadata": {"name": "web-1-x", "namespace": "shop", "uid": "p"}}


def with_notes(manifest: dict[str, Any], **notes: str) -> dict[str, Any]:
    return {**manifest, "metadata": {**manifest["metadata"], "annotations": notes}}


@pytest.mark.parametrize(
    ("text", "number"),
    [
        pytest.param("7", 7, id="a number"),
        pytest.param("", 0, id="none"),
        pytest.param("-1", 0, id="a number that is none of ours"),
        pytest.param("seven", 0, id="a word"),
        pytest.param("9" * 5_000, 0, id="a number without end"),
    ],
)
def test_the_number_of_a_revision_is_read_or_zero(text: str, number: int) -> None:
    found = decode.replica_set(with_notes(SET, **{names.REVISION_ANNOTATION: text}))
    assert found.value.number == number


def test_a_set_of_an_older_engine_has_no_number() -> None:
    assert decode.replica_set(SET).value.number == 0


@pytest.mark.parametrize(
    ("conditions", "failure"),
    [
        pytest.param([], "", id="nothing"),
        pytest.param([{"type": "Other", "status": "True", "message": "x"}], "", id="another word"),
        pytest.param(
            [{"type": "ReplicaFailure", "status": "False", "message": "x"}], "", id="over again"
        ),
        pytest.param(
            [{"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}],
            "exceeded quota",
            id="why",
        ),
    ],
)
def test_what_keeps_a_set_from_its_pods_is_read(
    conditions: list[dict[str, Any]], failure: str
) -> None:
    found = decode.replica_set({**SET, "status": {"conditions": conditions}})
    assert found.value.failure == failure


@pytest.mark.parametrize(
    ("cost", "leaving"),
    [
        pytest.param("-1000", True, id="our mark"),
        pytest.param("5", False, id="somebody's own cost"),
    ],
)
def test_a_pod_that_is_to_be_replaced_is_known_by_our_mark(cost: str, leaving: bool) -> None:
    found = decode.pod(with_notes(POD, **{names.LEAVING_ANNOTATION: cost}))
    assert found.value.leaving is leaving
    assert decode.pod(POD).value.leaving is False
