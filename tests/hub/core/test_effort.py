"""What a decision costs in a fleet that is ten times as large, counted in comparisons of names.

Ten times as much is what it may cost; a hundred times would be a search through all for each.
"""

from collections.abc import Callable
from typing import Any

import pytest

from fleet.api.fleetrollout import ClusterPhase, RunPhase
from fleet.api.names import ClusterName
from fleet.api.waves import Wave
from fleet.hub.core.application import decision
from fleet.hub.core.member import selection
from fleet.hub.core.observed import ApplicationObserved, RunObserved
from fleet.hub.core.run import plan, waves
from tests.fakes import NOON
from tests.hub import gen

FEW, MANY = 30, 300


class Name(str):
    """A name that counts how often one is compared with another."""

    compared = 0

    def __eq__(self, other: object) -> bool:
        Name.compared += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def names(number: int) -> tuple[ClusterName, ...]:
    return tuple(ClusterName(Name(f"c-{index:03}")) for index in range(number))


def select(number: int) -> None:
    spec = gen.fleet(members={"names": ["x"]})
    own = spec.spec.members.model_copy(update={"names": names(number)})
    fleet = spec.model_copy(update={"spec": spec.spec.model_copy(update={"members": own})})
    found = {name: gen.member(name) for name in names(number)}
    assert len(selection.select(fleet, found).chosen) == number


def assign(number: int) -> None:
    wave = Wave(name="all", clusters=("x",)).model_copy(update={"clusters": names(number)})
    found = {name: gen.member(name) for name in names(number)}
    taken, _ = waves.assign([wave], names(number), found)
    assert len(taken) == number
    assert not list(waves.strangers([wave], names(number)))


def failed(number: int) -> None:
    """A run in which everybody has failed, and a person has accepted that."""
    run = gen.run(gen.wave("all", *names(number), max_concurrency=number), number=1)
    accepted = run.status.model_copy(
        update={"accepted": names(number), "phase": RunPhase.PROGRESSING}
    )
    items = {name: gen.item(name, ClusterPhase.FAILED, number=1) for name in names(number)}
    observed = RunObserved(
        members={name: gen.member(name) for name in names(number)}, clusters=items, newest=1
    )
    found = plan.next(run.model_copy(update={"status": accepted}), observed, NOON)
    assert found.status.counts.failed == number


def application(number: int) -> None:
    """An Application that everybody has, but for one who has left."""
    items = [gen.item(name, ClusterPhase.SUCCEEDED, good=1) for name in names(number)]
    observed = ApplicationObserved(
        fleet=gen.fleet(),
        members={name: gen.member(name) for name in names(number)},
        clusters=tuple(_named(item) for item in items),
        templates="t",
    )
    found = decision.decide(gen.application(), observed, NOON)
    assert found.status.clusters.endswith(f"/{number}")


def _named(item: Any) -> Any:
    """With a name that counts: a model makes a plain text of it."""
    spec = item.spec.model_copy(update={"cluster": Name(item.spec.cluster)})
    return item.model_copy(update={"spec": spec})


@pytest.mark.parametrize(
    "work",
    [
        pytest.param(select, id="who belongs to a fleet by name"),
        pytest.param(assign, id="who goes with which wave by name"),
        pytest.param(failed, id="whose failures are accepted"),
        pytest.param(application, id="who has what an Application asks for"),
    ],
)
def test_ten_times_as_many_cost_ten_times_as_much(work: Callable[[int], None]) -> None:
    spent = []
    for number in (FEW, MANY):
        Name.compared = 0
        work(number)
        spent.append(Name.compared)
    assert spent[1] <= 12 * spent[0] + 100, spent


class Looked(dict[ClusterName, Any]):
    """Members that count how often one of them is asked for."""

    asked = 0

    def get(self, key: Any, default: Any = None) -> Any:
        Looked.asked += 1
        return super().get(key, default)


def test_a_run_of_which_nothing_moves_is_looked_at_once() -> None:
    """Its thousand rows take most of the time that a decision takes."""
    run = gen.run(gen.wave("all", *names(MANY), max_concurrency=MANY), number=1)
    members = Looked({name: gen.member(name) for name in names(MANY)})
    items = {name: gen.item(name, number=1) for name in names(MANY)}
    observed = RunObserved(members=members, clusters=items, newest=1)
    begun = run.model_copy(update={"status": plan.next(run, observed, NOON).status})
    Looked.asked = 0
    assert plan.next(begun, observed, NOON).status == begun.status
    assert Looked.asked == MANY
