"""Whose news goes before those that only begin."""

from typing import Any

import pytest

from fleet.api import ClusterRollout
from fleet.api.fleetrollout import ClusterPhase
from fleet.hub.core.cluster import standing
from tests.hub import gen

FAILED = {"phase": "Failed", "fleetRevision": "rev1"}


@pytest.mark.parametrize(
    ("item", "engine", "is_urgent"),
    [
        pytest.param(gen.item("a"), FAILED, True, id="it has failed, and nobody knows"),
        pytest.param(
            gen.item("a"), {**FAILED, "phase": "Completed"}, True, id="it has come to a good end"
        ),
        pytest.param(gen.item("a", ClusterPhase.FAILED), FAILED, False, id="that is known"),
        pytest.param(gen.item("a", number=2), FAILED, False, id="an older revision has failed"),
        pytest.param(
            gen.item("a", taken=0), FAILED, False, id="it is to try the same revision once more"
        ),
        pytest.param(gen.item("a"), {"phase": "Progressing"}, False, id="it is on its way"),
        pytest.param(gen.item("a"), {"phase": {}, "fleetRevision": []}, False, id="it is garbage"),
        pytest.param(gen.item("a"), {}, False, id="it says nothing yet"),
        pytest.param(gen.item("a", hold="halted"), {}, True, id="it shall stop"),
    ],
)
def test_what_is_urgent(item: ClusterRollout, engine: dict[str, Any], is_urgent: bool) -> None:
    assert standing.is_urgent(item, engine) is is_urgent


def test_who_is_not_wanted_anywhere_has_nothing_urgent() -> None:
    item = gen.item("a", hold="halted")
    spec = item.spec.model_copy(update={"want": None})
    assert not standing.is_urgent(item.model_copy(update={"spec": spec}), FAILED)
