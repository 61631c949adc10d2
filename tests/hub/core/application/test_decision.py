"""When an Application gets a run, what stands in it, which runs go, and what the conditions say."""

from datetime import timedelta
from typing import Any

import pytest

from fleet.api import Application, ClusterRollout, FleetRollout
from fleet.api.application import ApplicationPhase
from fleet.api.conditions import condition, find
from fleet.api.fleetrollout import ClusterPhase, FleetRolloutStatus, RunPhase
from fleet.api.meta import ObjectMeta
from fleet.hub.core.actions import ApplicationPlan, CreateRun, DeleteRun
from fleet.hub.core.application import decision
from fleet.hub.core.observed import ApplicationObserved
from tests.conftest import NOON
from tests.hub import gen

DONE = ClusterPhase.SUCCEEDED


def look(*names: str, **given: Any) -> ApplicationObserved:
    fields = {"fleet": gen.fleet(), "members": gen.members(*names), "templates": "t1", **given}
    return ApplicationObserved(**fields)


def created(answer: ApplicationPlan) -> CreateRun:
    (action,) = answer.actions
    assert isinstance(action, CreateRun)
    return action


def ran(
    app: Application,
    observed: ApplicationObserved,
    phase: RunPhase = RunPhase.SUCCEEDED,
) -> FleetRollout:
    """The run that this Application gets, at its end."""
    action = created(decision.decide(app, observed, NOON))
    return FleetRollout(
        metadata=ObjectMeta(name=action.name, namespace="shop", generation=1),
        spec=action.spec,
        status=FleetRolloutStatus(phase=phase, reason="Told", message="told"),
    )


def standing(run: FleetRollout, *names: str) -> tuple[ClusterRollout, ...]:
    """The clusters to which that run was brought."""
    result = []
    for name in names:
        item = gen.item(name, DONE, number=run.spec.number)
        assert item.spec.want is not None
        want = item.spec.want.model_copy(update={"revision": run.spec.revision})
        good = item.status.last_good.model_copy(update={"revision": run.spec.revision})
        result.append(
            item.model_copy(
                update={
                    "spec": item.spec.model_copy(update={"want": want}),
                    "status": item.status.model_copy(update={"last_good": good}),
                }
            )
        )
    return tuple(result)


def test_the_first_run_freezes_spec_and_plan() -> None:
    app = gen.application("shop:v7", generation=3, paused=True, maxConcurrency="50%")
    action = created(decision.decide(app, look("a", "b"), NOON))
    spec = action.spec
    assert (action.name, spec.number, spec.trigger) == ("checkout-1", 1, "SpecChanged")
    assert (spec.application.uid, spec.application.generation) == ("app-1", 3)
    policy = spec.application.spec.delivery_policy
    assert (policy.on_failure, policy.paused) == ("Halt", False), "resolved, without the pause"
    assert [wave.clusters for wave in spec.plan.waves] == [("a", "b")]


@pytest.mark.parametrize(
    ("app", "observed", "reason", "message"),
    [
        pytest.param(
            gen.application(),
            look("a", fleet=None),
            "FleetNotFound",
            "spec.destination.fleet: there is no Fleet production in namespace shop: create it or "
            "correct the name",
            id="an unknown fleet",
        ),
        pytest.param(
            gen.application(),
            look(),
            "EmptyFleet",
            "fleet production has no member: name MemberClusters in its members.names, or give "
            "them the labels of its clusterSelector; nothing is deleted meanwhile",
            id="an empty fleet",
        ),
        pytest.param(
            gen.application(),
            look(*(f"c{number}" for number in range(1_001))),
            "FleetTooLarge",
            "fleet production has 1001 members, a run has at most 1000: divide the fleet in two, "
            "with an Application for each",
            id="a fleet that is too large for a run",
        ),
        pytest.param(
            gen.application(maxConcurrency=0),
            look("a"),
            "InvalidSpec",
            "spec.deliveryPolicy.maxConcurrency: 0 lets nothing start: write at least 1, or use "
            "paused: true",
            id="a broken rule",
        ),
        pytest.param(
            gen.application(waves=[{"name": "one", "clusters": ["a"]}]),
            look("a", "b"),
            "UnmatchedClusters",
            "no wave takes b: add a wave with remaining: true, or set "
            "deliveryPolicy.unmatchedClusters: Ignore",
            id="[MT-21] a cluster in no wave",
        ),
        pytest.param(
            gen.application(body={**gen.spec(), "destination": {"fleet": "production"}}),
            look("a"),
            "NamespaceNotAllowed",
            "spec.destination.namespace: shop is not allowed in a: an administrator adds it with "
            "`fleet cluster add a --namespaces shop`",
            id="a namespace that the member does not open",
        ),
        pytest.param(
            gen.application(),
            look("a", "b", render_errors={"b": "cluster b: template x line 3: 'y' is undefined"}),
            "TemplateError",
            "cluster b: template x line 3: 'y' is undefined",
            id="a template that does not render",
        ),
    ],
)
def test_what_cannot_be_delivered_is_a_condition(
    app: Application, observed: ApplicationObserved, reason: str, message: str
) -> None:
    answer = decision.decide(app, observed, NOON)
    assert answer.actions == ()
    told = answer.status
    assert (told.phase, told.message) == (ApplicationPhase.DEGRADED, message)
    assert told.observed_generation == app.metadata.generation
    for kind in ("Accepted", "Ready"):
        said = find(told.conditions, kind)
        assert said is not None
        assert (said.status, said.reason, said.message) == ("False", reason, message)
        assert (said.observed_generation, said.last_transition_time) == (1, NOON)


def test_a_refused_spec_leaves_the_run_alone() -> None:
    run = ran(gen.application(), look("a"))
    answer = decision.decide(gen.application(maxConcurrency=0), look("a", runs=(run,)), NOON)
    assert (answer.actions, answer.status.runs) == ((), 1)


def lost(*names: str) -> dict[str, Any]:
    return {"members": gen.members("a", "b", lost=names)}


NINE = gen.spec() | {"workload": gen.spec()["workload"] | {"replicas": 9}}
CHANGED_ROLLOUT = gen.item("a", DONE, conditions=(condition("InputsChanged", True, "x"),))


@pytest.mark.parametrize(
    ("after", "phase", "changes", "trigger"),
    [
        pytest.param(gen.application(), RunPhase.SUCCEEDED, {}, "", id="nothing changed"),
        pytest.param(
            gen.application("shop:v2"), RunPhase.PROGRESSING, {}, "SpecChanged",
            id="a new image, also while a run is active",
        ),
        pytest.param(
            gen.application(), RunPhase.SUCCEEDED, {"templates": "t2"}, "",
            id="other templates that make the same of it",
        ),
        pytest.param(
            gen.application(), RunPhase.HALTED, {"templates": "t2"}, "",
            id="a newer hub does not try again what has been halted",
        ),
        pytest.param(
            gen.application(), RunPhase.SUCCEEDED,
            {"templates": "t2", "members": gen.members("a", "b")}, "MembersJoined",
            id="other templates and a member that joins",
        ),
        pytest.param(
            gen.application("shop:v2"), RunPhase.SUCCEEDED, {"templates": "t2"}, "SpecChanged",
            id="other templates and a new image",
        ),
        pytest.param(
            gen.application(waves=[{"name": "x", "remaining": True}], onFailure="Continue"),
            RunPhase.SUCCEEDED, {}, "",
            id="a change of waves alone waits for the next run",
        ),
        pytest.param(
            gen.application(paused=True), RunPhase.SUCCEEDED, {}, "", id="a pause is no revision"
        ),
        pytest.param(
            gen.application(body=NINE),
            RunPhase.SUCCEEDED, {}, "ReplicasChanged",
            id="only replicas",
        ),
        pytest.param(
            gen.application(), RunPhase.SUCCEEDED, {"members": gen.members("a", "b")},
            "MembersJoined",
            id="a member that joins after the end gets a catch-up run",
        ),
        pytest.param(
            gen.application(), RunPhase.HALTED, {"members": gen.members("a", "b")}, "",
            id="but not while the run is open",
        ),
        pytest.param(
            gen.application(), RunPhase.ABORTED, {"members": gen.members("a", "b")}, "",
            id="nor of a run that was given up",
        ),
        pytest.param(
            gen.application(), RunPhase.SUCCEEDED, lost("b"), "",
            id="a member that joins and does not answer yet waits until it does",
        ),
        pytest.param(
            gen.application(), RunPhase.SUCCEEDED_WITH_FAILURES,
            {"members": gen.members("a", "b"), "clusters": (gen.item("b", DONE, number=7),)},
            "MembersJoined",
            id="one that stands at another revision is brought to this one",
        ),
    ],
)  # fmt: skip
def test_why_there_is_a_run(
    after: Application, phase: RunPhase, changes: dict[str, Any], trigger: str
) -> None:
    run, changes = ran(gen.application(), look("a"), phase), dict(changes)
    clusters = standing(run, "a") + changes.pop("clusters", ())
    answer = decision.decide(after, look("a", runs=(run,), clusters=clusters, **changes), NOON)
    assert [action.spec.trigger for action in answer.actions if isinstance(action, CreateRun)] == (
        [trigger] if trigger else []
    )


def test_a_catch_up_run_is_for_those_who_joined() -> None:
    run = ran(gen.application(), look("a"))
    observed = look("a", "b", runs=(run,), clusters=standing(run, "a"))
    action = created(decision.decide(gen.application(), observed, NOON))
    assert [wave.clusters for wave in action.spec.plan.waves] == [("b",)]
    assert (action.name, action.spec.revision) == ("checkout-2", run.spec.revision)


@pytest.mark.parametrize(
    ("templates", "same"),
    [
        pytest.param("t1", True, id="labels, vars or defaults"),
        pytest.param("t2", False, id="templates, which belong to a revision"),
    ],
)
def test_changed_inputs_of_a_cluster_start_a_run_through_the_waves(
    templates: str, same: bool
) -> None:
    run = ran(gen.application(), look("a", "b"))
    assert CHANGED_ROLLOUT.spec.want is not None
    want = CHANGED_ROLLOUT.spec.want.model_copy(update={"revision": run.spec.revision})
    spec = CHANGED_ROLLOUT.spec.model_copy(update={"want": want})
    item = CHANGED_ROLLOUT.model_copy(update={"spec": spec})
    observed = look("a", "b", runs=(run,), clusters=(item,), templates=templates)
    answer = decision.decide(gen.application(), observed, NOON)
    action = created(answer)
    assert action.spec.trigger == "ClusterInputsChanged"
    assert [wave.clusters for wave in action.spec.plan.waves] == [("a", "b")]
    assert (action.spec.revision == run.spec.revision) is same
    assert answer.status.revision == action.spec.revision


def test_other_templates_that_make_the_same_are_no_other_revision() -> None:
    """A newer hub says what the former one said, and a join goes by what the others have."""
    run = ran(gen.application(), look("a"))
    clusters = standing(run, "a")
    before = decision.decide(gen.application(), look("a", runs=(run,), clusters=clusters), NOON)
    app = gen.application().model_copy(update={"status": before.status})
    newer = look("a", runs=(run,), clusters=clusters, templates="t2")
    assert decision.decide(app, newer, NOON) == before
    joined = look("a", "b", runs=(run,), clusters=clusters, templates="t2")
    assert created(decision.decide(app, joined, NOON)).spec.revision == run.spec.revision


def test_a_run_of_replicas_alone_does_not_soak() -> None:
    waves = [{"name": "all", "remaining": True, "after": [{"soak": "15m"}]}]
    run = ran(gen.application(waves=waves), look("a"))
    assert run.spec.plan.waves[0].soak_seconds == 900
    body = gen.spec(waves=waves)
    body["workload"]["replicas"] = 9
    answer = decision.decide(gen.application(body=body), look("a", runs=(run,)), NOON)
    assert created(answer).spec.plan.waves[0].soak_seconds == 0


def test_a_run_that_the_fleet_has_ended_begins_anew_for_everybody() -> None:
    run = ran(gen.application(), look("a"), RunPhase.ABORTED)
    told = run.status.model_copy(update={"reason": "MembersChanged"})
    run = run.model_copy(update={"status": told})
    observed = look("a", "b", runs=(run,), clusters=standing(run, "a"))
    action = created(decision.decide(gen.application(), observed, NOON))
    assert action.spec.trigger == "MembersJoined"
    assert [wave.clusters for wave in action.spec.plan.waves] == [("a", "b")]


def test_there_and_back_are_three_runs() -> None:
    first = ran(gen.application("shop:a"), look("a"))
    second = ran(gen.application("shop:b"), look("a", runs=(first,)))
    third = ran(gen.application("shop:a"), look("a", runs=(first, second)))
    assert [run.name for run in (first, second, third)] == [
        "checkout-1",
        "checkout-2",
        "checkout-3",
    ]
    assert first.spec.revision == third.spec.revision != second.spec.revision
    assert third.spec.previous_revision == second.spec.revision


def test_numbers_are_never_used_again() -> None:
    app = gen.application()
    status = app.status.model_copy(update={"runs": 41})
    app = app.model_copy(update={"status": status})
    assert created(decision.decide(app, look("a"), NOON)).name == "checkout-42"


def test_history_keeps_what_clusters_stand_on() -> None:
    runs: list[FleetRollout] = []
    for number in range(6):
        runs.append(ran(gen.application(f"shop:{number}"), look("a", runs=tuple(runs))))
    app = gen.application("shop:5", revisionHistoryLimit=3)
    observed = look("a", runs=tuple(runs), clusters=(gen.item("a", DONE, number=6, good=2),))
    answer = decision.decide(app, observed, NOON)
    gone = [action.name for action in answer.actions if isinstance(action, DeleteRun)]
    assert gone == ["checkout-1", "checkout-3"], "checkout-2 is what cluster a would go back to"


@pytest.mark.parametrize(
    ("phase", "expected"),
    [
        pytest.param(RunPhase.SUCCEEDED, ApplicationPhase.READY, id="succeeded"),
        pytest.param(RunPhase.SOAKING, ApplicationPhase.PROGRESSING, id="on its way"),
        pytest.param(
            RunPhase.AWAITING_APPROVAL, ApplicationPhase.WAITING_APPROVAL, id="a person is asked"
        ),
        pytest.param(RunPhase.HALTED, ApplicationPhase.DEGRADED, id="halted"),
        pytest.param(RunPhase.SUCCEEDED_WITH_FAILURES, ApplicationPhase.DEGRADED, id="failures"),
    ],
)
def test_the_phase_is_that_of_the_newest_run(phase: RunPhase, expected: ApplicationPhase) -> None:
    run = ran(gen.application(), look("a"), phase)
    observed = look("a", runs=(run,), clusters=standing(run, "a"))
    status = decision.decide(gen.application(), observed, NOON).status
    assert (status.phase, status.message) == (expected, "run checkout-1: told")


def test_a_quiet_application_is_not_written() -> None:
    run = ran(gen.application(), look("a"))
    observed = look("a", runs=(run,), clusters=standing(run, "a"))
    first = decision.decide(gen.application(), observed, NOON).status
    app = gen.application().model_copy(update={"status": first})
    later = decision.decide(app, observed, NOON + timedelta(hours=1))
    assert (later.status, later.actions) == (first, ())


def test_clusters_at_the_revision_are_counted() -> None:
    run = ran(gen.application(), look("a", "b"))
    observed = look("a", "b", runs=(run,), clusters=standing(run, "a"))
    assert decision.decide(gen.application(), observed, NOON).status.clusters == "1/2"


def test_a_deleted_application_makes_no_run() -> None:
    app = gen.application("shop:v2", generation=3)
    meta = app.metadata.model_copy(update={"deletion_timestamp": NOON})
    answer = decision.decide(app.model_copy(update={"metadata": meta}), look("a"), NOON)
    assert (answer.actions, answer.status.phase) == ((), ApplicationPhase.DELETING)
    assert answer.status.observed_generation == 3
    assert answer.status.message == "its objects in the members are being taken away"
