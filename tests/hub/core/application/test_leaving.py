"""Who leaves a fleet: who is pruned at once, who waits for a person, what each takes along."""

from dataclasses import replace
from typing import Any

import pytest

from fleet.api import Application, ClusterRollout, FleetRollout, conditions
from fleet.api.application import ApplicationStatus
from fleet.api.clusterrollout import Deletion
from fleet.api.fleetrollout import ClusterPhase, RunPhase
from fleet.api.names import ClusterName
from fleet.hub.core.actions import ApplicationPlan, PruneCluster, SetDeletion
from fleet.hub.core.application import decision, leaving
from fleet.hub.core.observed import ApplicationObserved
from tests.conftest import NOON
from tests.hub import gen

TEN = tuple("abcdefghij")


def has(name: str, *, deleted: bool = False, fleet: str = "") -> ClusterRollout:
    """A ClusterRollout that run 2 brought there; `fleet` is what run 1 was for."""
    found = gen.item(name, ClusterPhase.SUCCEEDED, number=1 if fleet else 2)
    meta = found.metadata.model_copy(
        update={"uid": f"uid-{name}", "deletion_timestamp": NOON if deleted else None}
    )
    return found.model_copy(update={"metadata": meta})


def run(phase: RunPhase = RunPhase.SUCCEEDED, number: int = 2, **status: Any) -> FleetRollout:
    found = gen.run(gen.wave("all", *TEN), number=number)
    return found.model_copy(
        update={"status": found.status.model_copy(update={"phase": phase, **status})}
    )


def elsewhere() -> FleetRollout:
    """A run for another fleet, before that."""
    body = gen.spec() | {"destination": {"fleet": "staging", "namespace": "checkout"}}
    found = run(number=1)
    snapshot = found.spec.application.model_copy(update={"spec": gen.application(body=body).spec})
    spec = found.spec.model_copy(update={"application": snapshot})
    return found.model_copy(update={"spec": spec})


def decide(
    *items: ClusterRollout,
    members: str = "".join(TEN),
    fleet: str = "a",
    runs: tuple[FleetRollout, ...] | None = None,
    application: Application | None = None,
) -> ApplicationPlan:
    """The decision where the fleet is `fleet` of all the `members`, a letter each."""
    observed = ApplicationObserved(
        fleet=gen.fleet(members={"names": list(fleet)}) if fleet else None,
        members=gen.members(*members),
        runs=(run(),) if runs is None else runs,
        clusters=items,
        templates="t1",
    )
    return decision.decide(application or gen.application(), observed, NOON)


def pruned(answer: ApplicationPlan) -> str:
    """The clusters that are pruned, a letter each."""
    found = [action for action in answer.actions if isinstance(action, PruneCluster)]
    assert all(action.uid == f"uid-{action.name[-1]}" for action in found)
    return "".join(action.name[-1] for action in found)


def question(status: ApplicationStatus) -> str:
    found = conditions.find(status.conditions, "Pruned")
    return found.message if found else ""


@pytest.mark.parametrize(
    ("fleet", "items", "gone"),
    [
        pytest.param("abcdefghij", "abcdefghij", "", id="nobody left"),
        pytest.param("abcdefghi", "abcdefghij", "j", id="one of ten may go"),
        pytest.param("ab", "abc", "c", id="[KH-26] one of three too: at least one may"),
        pytest.param("abcdefgh", "abcdefghij", "", id="two of ten wait for a person"),
        pytest.param("", "abc", "", id="a fleet that is gone prunes nobody"),
        pytest.param("z", "abc", "", id="nor does one whose members are all unknown"),
    ],
)
def test_who_is_pruned(fleet: str, items: str, gone: str) -> None:
    assert pruned(decide(*map(has, items), fleet=fleet)) == gone


def test_many_wait_for_a_person_who_is_told_what_to_do() -> None:
    answer = decide(*map(has, TEN), fleet="abcdefgh")
    digest = question(answer.status).rpartition("/")[2]
    assert question(answer.status) == (
        "i, j left fleet production: 2 of 10 clusters are more than maxPrune: 10% lets go: take "
        f"them back into the fleet, or confirm with the request confirm-prune/<id>/{digest}"
    )
    found = conditions.find(answer.status.conditions, "Pruned")
    assert found is not None
    assert (found.status, found.reason) == ("False", "PruneNeedsConfirmation")
    assert leaving.awaited(answer.status) == digest
    yes = (run(prune_confirmed=digest),)
    assert pruned(decide(*map(has, TEN), fleet="abcdefgh", runs=yes)) == "ij"
    assert pruned(decide(*map(has, TEN), fleet="abcdefg", runs=yes)) == "", "for them alone"
    back = decide(
        *map(has, TEN),
        fleet="abcdefghij",
        application=gen.application().model_copy(update={"status": answer.status}),
    )
    assert question(back.status) == "", "who comes back ends the question"
    assert leaving.awaited(back.status) == ""


@pytest.mark.parametrize(
    ("most", "fleet", "gone"),
    [
        pytest.param("30%", "abcdefg", "hij", id="a larger part"),
        pytest.param(2, "abcdefgh", "ij", id="a number"),
        pytest.param(1, "abcdefgh", "", id="a number that is too small"),
        pytest.param(0, "abcdefghi", "", id="zero always asks"),
        pytest.param("0%", "abcdefghi", "", id="so does zero percent"),
        pytest.param("1%", "abcdefghi", "j", id="one percent of ten is one"),
    ],
)
def test_how_many_may_go(most: str | int, fleet: str, gone: str) -> None:
    asked = gen.application(maxPrune=most)
    assert pruned(decide(*map(has, TEN), fleet=fleet, application=asked)) == gone


def test_those_that_are_going_count_and_are_not_asked_again() -> None:
    items = [*map(has, "abcdefgh"), has("i", deleted=True), has("j", deleted=True)]
    assert pruned(decide(*items, fleet="abcdefgh")) == ""
    assert question(decide(*items, fleet="abcdefgh").status) == ""
    assert pruned(decide(*items, fleet="abcdefg")) == "", "three of ten are many, two go already"


def test_who_leaves_its_own_fleet_waits_for_no_run() -> None:
    going = (run(RunPhase.PROGRESSING),)
    assert pruned(decide(has("a"), has("b"), runs=going)) == "b"
    never = has("b").spec.model_copy(update={"want": None})
    item = has("b").model_copy(update={"spec": never})
    assert pruned(decide(has("a"), item, runs=going)) == "b", "nothing was wished for it yet"


def test_a_membercluster_that_is_gone_prunes_nothing() -> None:
    assert pruned(decide(*map(has, "abc"), members="ab", fleet="ab")) == ""


def test_a_membercluster_that_is_going_prunes_nothing() -> None:
    """A finalizer of somebody else's, or foreground deletion, lets it be seen a while longer."""
    members = gen.members(*"abc")
    last = members[ClusterName("c")]
    meta = last.cluster.metadata.model_copy(update={"deletion_timestamp": NOON})
    going = replace(last, cluster=last.cluster.model_copy(update={"metadata": meta}))
    observed = ApplicationObserved(
        fleet=gen.fleet(),
        members={**members, ClusterName("c"): going},
        runs=(run(),),
        clusters=tuple(map(has, "abc")),
        templates="t1",
    )
    assert pruned(decision.decide(gen.application(), observed, NOON)) == ""


def test_a_spec_that_is_refused_prunes_nothing() -> None:
    broken = gen.application(maxConcurrency=0)
    assert pruned(decide(*map(has, "ab"), application=broken)) == ""


@pytest.mark.parametrize(
    ("runs", "gone"),
    [
        pytest.param((elsewhere(),), "", id="before the new fleet has a run"),
        pytest.param((elsewhere(), run(RunPhase.PROGRESSING)), "", id="while that goes on"),
        pytest.param((elsewhere(), run(RunPhase.HALTED)), "", id="while it is halted"),
        pytest.param((elsewhere(), run()), "b", id="when the new fleet has what it shall have"),
    ],
)
def test_after_a_move_to_another_fleet_the_old_one_serves_until(
    runs: tuple[FleetRollout, ...], gone: str
) -> None:
    assert pruned(decide(has("b", fleet="staging"), runs=runs)) == gone


ORPHAN = Deletion(policy="Orphan", timeout_seconds=3_600)
ASKED = {"deletionPolicy": "Orphan", "deletionTimeout": "1h"}


@pytest.mark.parametrize(
    ("application", "fleet", "told"),
    [
        pytest.param(gen.application(), "ab", None, id="what it knows already is not said"),
        pytest.param(gen.application(**ASKED), "ab", ORPHAN, id="another policy is"),
        pytest.param(
            gen.application(**ASKED, maxConcurrency=0), "ab", ORPHAN,
            id="also by a spec that is refused otherwise",
        ),
        pytest.param(gen.application(**ASKED), "", ORPHAN, id="and where the fleet is gone"),
        pytest.param(
            gen.application(deletionTimeout="1h"), "", None,
            id="but not what the fleet might say otherwise",
        ),
        pytest.param(
            gen.application(deletionTimeout="99d"), "ab", None, id="nor what makes no sense"
        ),
    ],
)  # fmt: skip
def test_each_cluster_knows_what_becomes_of_it(
    application: Application, fleet: str, told: Deletion | None
) -> None:
    for deleted in (None, NOON):
        meta = application.metadata.model_copy(update={"deletion_timestamp": deleted})
        asked = application.model_copy(update={"metadata": meta})
        answer = decide(has("a"), has("b"), fleet=fleet, application=asked)
        found = [action for action in answer.actions if isinstance(action, SetDeletion)]
        wanted = [SetDeletion(name=f"checkout.{name}", deletion=told) for name in "ab" if told]
        assert found == wanted
