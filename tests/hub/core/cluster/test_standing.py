"""Whose news goes before those that only begin, and what is no news at all."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from fleet.api import ClusterRollout
from fleet.api.fleetrollout import ClusterPhase
from fleet.hub.core.cluster import dispatch, standing
from tests.conftest import NOON
from tests.hub import gen
from tests.hub.place import NEW, after, look, settled

FAILED = {"phase": "Failed", "fleetRevision": "rev1"}


def back(**status: Any) -> ClusterRollout:
    """Run 2 has sent it back to what run 1 brought."""
    item = gen.item("a", **status)
    assert item.spec.want is not None
    want = item.spec.want.model_copy(update={"undoes": "checkout-2"})
    return item.model_copy(update={"spec": item.spec.model_copy(update={"want": want})})


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
        pytest.param(back(taken=2), {}, True, id="it is sent back"),
        pytest.param(back(), {}, False, id="it is on its way back"),
    ],
)
def test_what_is_urgent(item: ClusterRollout, engine: dict[str, Any], is_urgent: bool) -> None:
    assert standing.is_urgent(item, engine) is is_urgent


def test_who_is_not_wanted_anywhere_has_nothing_urgent() -> None:
    item = gen.item("a", hold="halted")
    spec = item.spec.model_copy(update={"want": None})
    assert not standing.is_urgent(item.model_copy(update={"spec": spec}), FAILED)


@pytest.mark.parametrize(
    "item",
    [
        pytest.param(NEW, id="who has got nothing yet"),
        pytest.param(gen.item("a"), id="who is on its way"),
        pytest.param(gen.item("a", ClusterPhase.SUCCEEDED, good=1), id="who is done"),
    ],
)
def test_that_the_hub_has_not_met_a_member_yet_is_no_news(item: ClusterRollout) -> None:
    """Or each restart would write twice of each ClusterRollout."""
    until = NOON + timedelta(seconds=30)
    member = gen.meet(gen.member("a"), until)
    plan = dispatch.decide(item, look(member=member), NOON)
    assert (plan.status, plan.actions, plan.wake_at) == (item.status, (), until)
    plan = dispatch.decide(item, look(member=gen.lose(member)), until)
    assert plan.status != item.status


@pytest.mark.parametrize("hold", ["", "halted: eu-3 failed its analysis"])
def test_a_wish_that_has_not_begun_comes_to_rest_out_of_reach(hold: str) -> None:
    """Its clock begins once: it was written anew at each look, and no look came to an end."""
    item = settled()
    assert item.spec.want is not None
    want = item.spec.want.model_copy(update={"attempt": 1})
    spec = item.spec.model_copy(update={"want": want, "hold": hold})
    meta = item.metadata.model_copy(update={"generation": item.metadata.generation + 1})
    item = item.model_copy(update={"spec": spec, "metadata": meta})
    lost = look(member=replace(gen.member("a"), reachable=False, fresh=False))
    told = after(item, dispatch.decide(item, lost, NOON))
    assert (told.status.phase, told.status.waiting_since) == (ClusterPhase.UNREACHABLE, NOON)
    again = dispatch.decide(told, lost, NOON + timedelta(seconds=1))
    assert again.status == told.status
