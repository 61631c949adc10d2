"""The live weight: which run and which cluster it is for, and when it is written.

What becomes of it in a fleet is told in tests/stories/test_hub_weight.
"""

from dataclasses import replace
from typing import Any

import pytest

from fleet.api import FleetRollout
from fleet.api.conditions import find
from fleet.api.fleetrollout import ClusterPhase, FleetRolloutStatus, Snapshot
from fleet.hub.core import weights
from fleet.hub.core.actions import ApplyRollout, FenceRollout
from fleet.hub.core.application import occasion
from fleet.hub.core.cluster import dispatch, standing
from fleet.rendering import render
from fleet.rendering.render import Rendered
from tests.conftest import NOON
from tests.hub import gen
from tests.hub.place import NEW, Objects, after, did, look, objects
from tests.hub.renders import TEMPLATES

AT = "/deliveryPolicy/strategy/canary"
STEPS = {"canary": {"steps": [{"setWeight": 50}]}}


def asking(weight: int, image: str = "shop:v1", **spec: Any) -> Any:
    """An Application with a live weight."""
    body = gen.spec(image, strategy={"canary": {"externalWeight": weight}}) | spec
    return gen.application(body=body)


def made(weight: int = 10, live: int | None = None, **spec: Any) -> FleetRollout:
    """A run of that Application."""
    run = gen.run(gen.wave("all", "a"))
    snapshot = run.spec.application.model_copy(update={"spec": asking(weight, **spec).spec})
    update = {"application": snapshot}
    status = FleetRolloutStatus(external_weight=live)
    return run.model_copy(update={"spec": run.spec.model_copy(update=update), "status": status})


@pytest.mark.parametrize(
    ("application", "run", "newest", "weight"),
    [
        pytest.param(asking(30), made(10), 1, 30, id="the newest run is asked for a weight"),
        pytest.param(asking(30), made(10), 2, None, id="one that gives way keeps what it had"),
        pytest.param(asking(30, "shop:v2"), made(10), 1, None, id="another image has another run"),
        pytest.param(gen.application(strategy=STEPS), made(10), 1, None, id="steps are a new way"),
    ],
)
def test_what_a_run_is_asked_for(
    application: Any, run: FleetRollout, newest: int, weight: int | None
) -> None:
    assert occasion.weight(application, gen.fleet(), run, newest) == weight


def test_a_run_that_stands_in_for_the_application_is_asked_for_nothing() -> None:
    run = made(10)
    aside = run.spec.model_copy(update={"instead_of": "another"})
    run = run.model_copy(update={"spec": aside})
    assert occasion.weight(asking(30), gen.fleet(), run, 1) is None


def override(op: str, path: str, value: Any = None) -> list[dict[str, Any]]:
    patch = {"op": op, "path": path} | ({} if value is None else {"value": value})
    return [{"clusterSelector": {"matchLabels": {"ring": "last"}}, "patch": [patch]}]


@pytest.mark.parametrize(
    ("run", "weight"),
    [
        pytest.param(made(10), 10, id="before anybody has moved it"),
        pytest.param(made(10, live=40), 40, id="once it has moved"),
        pytest.param(
            made(10, live=40, overrides=override("replace", f"{AT}/externalWeight", 1)),
            1,
            id="an override with a weight of its own stands",
        ),
        pytest.param(
            made(10, live=40, overrides=override("replace", "/deliveryPolicy/strategy", STEPS)),
            None,
            id="an override with steps needs none",
        ),
        pytest.param(
            made(10, live=40, overrides=override("remove", "/workload/hosts")),
            None,
            id="an override that does not fit is told elsewhere",
        ),
    ],
)
def test_what_a_cluster_has(run: FleetRollout, weight: int | None) -> None:
    assert weights.here(run, {"ring": "last"}) == weight


def rendered(**labels: str) -> tuple[Rendered, ...]:
    snapshot = Snapshot(name="checkout", spec=asking(10).spec)
    cluster = gen.cluster("a", **labels)
    return render.render(TEMPLATES, gen.delivery(snapshot, cluster))


def test_what_is_rendered_has_a_weight_instead_of_steps() -> None:
    canary = rendered()[0].manifest["spec"]["strategy"]["canary"]
    assert ("steps" in canary, canary["externalWeight"]) == (False, 10)


def there(sequence: int) -> Objects:
    """What is in the member after that dispatch."""
    found = objects(1, sequence, phase="Completed")
    key = ("rollouts", "checkout", "checkout")
    wanted = rendered()[0].manifest
    found[key]["metadata"]["annotations"] = dict(wanted["metadata"]["annotations"])
    found[key]["spec"]["strategy"] = wanted["spec"]["strategy"]
    return found


def settled() -> Any:
    given: dict[str, Any] = {"rendered": rendered(), "weight": 10}
    item = after(NEW, dispatch.decide(NEW, look(looked=True, **given), NOON))
    return after(item, dispatch.decide(item, look(there(1), looked=True, **given), NOON))


def test_a_weight_that_was_fenced_and_not_sent_is_sent_again_and_is_no_loss() -> None:
    seen: dict[str, Any] = {"rendered": rendered(), "weight": 40}
    plan = dispatch.decide(settled(), look(there(1), **seen), NOON)
    assert (plan.fence, did(plan)) == (True, ["ApplyRollout"])
    item = after(settled(), plan)
    plan = dispatch.decide(item, look(there(1), **seen), NOON)
    assert (plan.fence, plan.events, did(plan)) == (False, (), ["ApplyRollout"])
    (sent,) = plan.actions
    assert isinstance(sent, ApplyRollout)
    assert sent.manifest["spec"]["dispatch"]["sequence"] == 2
    assert sent.manifest["spec"]["strategy"]["canary"]["externalWeight"] == 40
    assert dispatch.decide(item, look(there(2), **seen), NOON).actions == ()


def changed() -> tuple[Rendered, ...]:
    """What is rendered when the inputs are others than those that were sent."""
    spec = asking(10).spec
    other = spec.model_copy(update={"workload": spec.workload.model_copy(update={"replicas": 9})})
    snapshot = Snapshot(name="checkout", spec=other)
    return render.render(TEMPLATES, gen.delivery(snapshot, gen.cluster("a")))


STAYING = pytest.mark.parametrize(
    "given",
    [
        pytest.param({"rendered": changed()}, id="other inputs wait for a run"),
        pytest.param({"rendered": (), "is_printing": True}, id="templates are being printed"),
        pytest.param({"rendered": (), "render_error": "line 3"}, id="they cannot be printed"),
    ],
)
"""Why what has arrived stays as it is."""


@STAYING
def test_where_nothing_else_may_move_a_weight_falls_alone(given: dict[str, Any]) -> None:
    seen: dict[str, Any] = {**given, "weight": 5}
    before = settled()
    before = before.model_copy(update={"status": before.status.model_copy(update={"owned": "x"})})
    plan = dispatch.decide(before, look(there(1), **seen), NOON)
    item = after(before, plan)
    again = dispatch.decide(item, look(there(1), **seen), NOON)
    assert (plan.fence, plan.actions, again.actions) == (True, again.actions, plan.actions)
    (sent,) = plan.actions
    assert isinstance(sent, FenceRollout)
    assert (sent.weight, sent.sequence, sent.version) == (5, 2, "7")
    assert item.status.owned == "", "the field has another owner now, and nobody edited it"
    assert item.status.dispatch.digest == before.status.dispatch.digest
    assert dispatch.decide(item, look(there(2), **seen), NOON).actions == ()
    gone = there(1)
    gone["rollouts", "checkout", "checkout"]["spec"]["strategy"] = {"simple": {}}
    assert dispatch.decide(item, look(gone, **seen), NOON).actions == (), "it weighs nothing"


CLOSED = replace(gen.member("a"), cluster=gen.cluster("a", namespaces=["other"]))


@pytest.mark.parametrize("manifests", [rendered(), ()], ids=["rendered", "not printed"])
def test_into_a_namespace_that_is_closed_by_now_no_weight_falls(
    manifests: tuple[Rendered, ...],
) -> None:
    """That list is the administrator's, and the rights may have gone with the namespace."""
    seen: dict[str, Any] = {"rendered": manifests, "weight": 5}
    plan = dispatch.decide(settled(), look(there(1), member=CLOSED, **seen), NOON)
    assert (plan.fence, plan.actions, plan.status.phase) == (False, (), ClusterPhase.SUCCEEDED)
    item = after(settled(), dispatch.decide(settled(), look(there(1), **seen), NOON))
    assert item.status.dispatch.weight == 5
    assert dispatch.decide(item, look(there(1), member=CLOSED, **seen), NOON).actions == ()


def test_a_weight_that_fell_while_nothing_was_printed_rises_with_what_is() -> None:
    seen: dict[str, Any] = {"rendered": (), "is_printing": True, "weight": 5}
    item = after(settled(), dispatch.decide(settled(), look(there(1), **seen), NOON))
    plan = dispatch.decide(item, look(there(2), rendered=rendered(), weight=40), NOON)
    assert (plan.fence, did(plan)) == (True, ["ApplyRollout"])
    assert after(item, plan).status.dispatch.weight == 40


def test_what_is_to_go_on_goes_on_from_the_version_that_has_its_weight() -> None:
    seen: dict[str, Any] = {"rendered": (), "is_printing": True, "weight": 5}
    held = there(1)
    held["rollouts", "checkout", "checkout"]["spec"]["hold"] = {"reason": "halted"}
    plan = dispatch.decide(settled(), look(held, **seen), NOON)
    assert did(plan) == ["FenceRollout"], "a release of the version before it would be refused"
    item, held = after(settled(), plan), there(2)
    held["rollouts", "checkout", "checkout"]["spec"]["hold"] = {"reason": "halted"}
    assert did(dispatch.decide(item, look(held, **seen), NOON)) == ["ReleaseRollout"]


@STAYING
def test_and_it_never_rises(given: dict[str, Any]) -> None:
    plan = dispatch.decide(settled(), look(there(1), weight=40, **given), NOON)
    assert (plan.fence, plan.actions) == (False, ())


def test_it_is_told_what_a_weight_waits_for() -> None:
    plan = dispatch.decide(settled(), look(there(1), rendered=changed(), weight=40), NOON)
    told = find(plan.status.conditions, standing.INPUTS_CHANGED)
    assert told is not None
    assert told.message.endswith("until a run brings them, its externalWeight only falls")
