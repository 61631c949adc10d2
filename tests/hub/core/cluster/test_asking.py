"""A request on its way to an engine: when it goes, what it carries, and what makes it lapse."""

from typing import Any

import pytest

from fleet.api import ClusterRollout
from fleet.api.clusterrollout import Request
from fleet.api.fleetrollout import ClusterPhase
from fleet.hub.core.actions import ApplyRollout, FenceRollout
from fleet.hub.core.cluster import dispatch
from fleet.hub.core.cluster.asking import LIFETIME
from tests.conftest import NOON
from tests.hub import gen
from tests.hub.place import Objects, after, did, look, objects, settled

PLACE = ("rollouts", "checkout", "checkout")
SINCE = "2026-11-20T12:00:00Z"
STANDS = {"type": "Paused", "status": "True", "reason": "AdvisorPause", "lastTransitionTime": SINCE}
WAITS: dict[str, Any] = {"phase": "Paused", "step": "1/2", "conditions": [STANDS]}
ASKED = Request(id="7", verb="promote", step="1/2", time=NOON)


def moving(request: Request | None = ASKED, **spec: Any) -> ClusterRollout:
    """A ClusterRollout in the midst of its steps, of which a person asks something."""
    item = settled()
    status = item.status.model_copy(update={"phase": ClusterPhase.PAUSED})
    spec = {"request": request, **spec}
    return item.model_copy(update={"status": status, "spec": item.spec.model_copy(update=spec)})


def waiting(sequence: int = 1, **status: Any) -> Objects:
    return objects(sequence=sequence, **{**WAITS, **status})


def noted(there: Objects, **notes: str) -> Objects:
    there[PLACE]["metadata"]["annotations"] |= {f"kulta.io/{key}": v for key, v in notes.items()}
    return there


def behind(there: Objects) -> Objects:
    there[PLACE]["metadata"]["generation"] += 1
    return there


def test_it_goes_with_a_sequence_of_its_own_in_one_write() -> None:
    plan = dispatch.decide(moving(), look(waiting()), NOON)
    assert plan.fence, "the sequence is taken first"
    (sent,) = plan.actions
    assert sent == FenceRollout(
        name="checkout",
        namespace="checkout",
        version="7",
        hub="hub-1",
        sequence=2,
        request="kulta.io/promote",
    )
    taken = plan.status.dispatch
    assert (taken.sequence, taken.request, taken.asked, taken.rollout) == (2, "7", 2, 1)
    again = dispatch.decide(after(moving(), plan), look(waiting()), NOON)
    assert (again.fence, again.actions) == (False, (sent,)), "what did not arrive is sent again"
    item = after(moving(), plan)
    assert did(dispatch.decide(item, look(noted(behind(waiting(2)), promote="true")), NOON)) == []
    assert did(dispatch.decide(item, look(waiting(2, step="2/2")), NOON)) == [], "nor later"


def test_a_word_that_no_engine_hears_keeps_nobody_waiting() -> None:
    plan = dispatch.decide(moving(), look(noted(waiting(), promote="no")), NOON)
    assert did(plan) == ["FenceRollout"]


def test_an_experiment_is_concluded_by_its_own_annotation() -> None:
    request = Request(id="7", verb="conclude", step="experiment", time=NOON)
    there = objects(phase="Experimenting", step="experiment")
    (sent,) = dispatch.decide(moving(request), look(there), NOON).actions
    assert isinstance(sent, FenceRollout)
    assert sent.request == "kulta.io/conclude-experiment"


@pytest.mark.parametrize(
    ("there", "given", "spec", "why"),
    [
        pytest.param(
            waiting(step="2/2"), {}, {}, "its engine does not wait there any more",
            id="it stands at another pause",
        ),
        pytest.param(
            waiting(phase="Progressing", conditions=[]), {}, {},
            "its engine does not wait there any more",
            id="it goes on",
        ),
        pytest.param(
            waiting(fleetRevision="rev0"), {}, {}, "its engine does not wait there any more",
            id="it stands with another revision",
        ),
        pytest.param(waiting(), {}, {"hold": "halted: x"}, "it is held: halted: x", id="a halt"),
        pytest.param(
            waiting(), {"member": gen.member("a", fresh=True), "rendered": (),
                        "render_error": "templates/x:3: no"}, {}, "templates/x:3: no",
            id="nothing may be written there",
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("is_taken", [False, True])
def test_what_has_moved_makes_it_lapse(
    there: Objects, given: dict[str, Any], spec: dict[str, Any], why: str, is_taken: bool
) -> None:
    item = moving(**spec)
    if is_taken:
        taken = dispatch.decide(moving(), look(waiting()), NOON)
        item = after(item, taken)
    plan = dispatch.decide(item, look(there, **given), NOON)
    told = f"the request promote/7 was not carried there: {why}"
    assert (plan.actions, plan.events) == ((), (("Warning", "RequestLapsed", told),))
    assert (plan.status.dispatch.request, plan.status.dispatch.asked) == ("7", 0)
    then = dispatch.decide(after(item, plan), look(waiting(), **given), NOON)
    assert FenceRollout not in map(type, then.actions), "it is not looked at again"


@pytest.mark.parametrize(
    ("there", "given"),
    [
        pytest.param(behind(waiting()), {}, id="the engine has not seen its spec"),
        pytest.param(noted(waiting(), promote="true"), {}, id="somebody there asks for the same"),
        pytest.param(
            waiting(handled={"promote": "true"}), {}, id="the engine takes the last one away"
        ),
        pytest.param(
            waiting(),
            {"member": gen.lose(gen.member("a"), reachable=True)},
            id="the engine is not heard of",
        ),
        pytest.param(waiting(), {"rendered": (), "is_printing": True}, id="templates are printed"),
    ],
)
def test_it_waits_a_moment(there: Objects, given: dict[str, Any]) -> None:
    plan = dispatch.decide(moving(), look(there, **given), NOON)
    assert (did(plan), plan.status.dispatch.request) == ([], "")
    assert plan.wake_at == NOON + LIFETIME
    late = dispatch.decide(moving(), look(there, **given), plan.wake_at)
    assert "for 5 min it could not be asked" in late.events[0][2]


def test_a_clock_that_is_set_back_keeps_nothing_alive() -> None:
    """The hub that leads next may have another one than that which read the request."""
    plan = dispatch.decide(moving(), look(waiting()), NOON - 2 * LIFETIME)
    assert (plan.actions, [reason for _, reason, _ in plan.events]) == ((), ["RequestLapsed"])


def test_one_that_is_on_its_way_keeps_others_waiting_for_a_moment() -> None:
    item = after(moving(), dispatch.decide(moving(), look(waiting()), NOON))
    plan = dispatch.decide(item, look(behind(waiting())), NOON)
    assert (plan.actions, plan.status, plan.wake_at) == ((), item.status, NOON + LIFETIME)


def test_what_is_written_anew_is_not_asked() -> None:
    """The member was restored from a backup: whoever waits there waits for another reason."""
    item = after(moving(), dispatch.decide(moving(), look(waiting()), NOON))
    plan = dispatch.decide(item, look(waiting(0)), NOON)
    assert did(plan) == ["ApplyRollout"]
    assert (plan.status.dispatch.request, plan.status.dispatch.asked) == ("7", 0)


def test_what_is_written_later_carries_its_sequence() -> None:
    """A server refuses what is older than the request."""
    plan = dispatch.decide(moving(), look(waiting()), NOON)
    there = waiting(2)
    there[PLACE]["metadata"]["annotations"]["fleet.kulta.io/applied"] = "changed"
    (sent,) = dispatch.decide(after(moving(), plan), look(there), NOON).actions
    assert isinstance(sent, ApplyRollout)
    assert sent.manifest["spec"]["dispatch"]["sequence"] == 2
    assert "kulta.io/promote" not in sent.manifest["metadata"]["annotations"]


def test_another_dispatch_takes_it_along_or_gives_it_up() -> None:
    plan = dispatch.decide(moving(), look(waiting()), NOON)
    held = after(moving(hold="paused"), plan)
    lapsed = after(held, dispatch.decide(held, look(waiting()), NOON))
    hold = dispatch.decide(lapsed, look(waiting()), NOON)
    assert (did(hold), hold.status.dispatch.sequence) == (["HoldRollout"], 3)
    assert (hold.status.dispatch.request, hold.status.dispatch.asked) == ("7", 0)
