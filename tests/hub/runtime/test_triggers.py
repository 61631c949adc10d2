"""Which change wakes what."""

from collections.abc import Callable
from typing import Any

import pytest

from fleet.api.conditions import condition
from fleet.api.fleetrollout import ClusterPhase
from fleet.api.names import (
    APPLICATIONS,
    CLUSTERROLLOUTS,
    FLEETROLLOUTS,
    FLEETS,
    MEMBERCLUSTERS,
    ROLLOUTS,
)
from fleet.clusters.store import Change
from fleet.hub.core.member.engine import Obstacle
from fleet.hub.runtime import membership, triggers
from tests.hub import gen
from tests.hub.runtime.desk import TENANT, Desk, Keys


@pytest.fixture
async def desk() -> Desk:
    """Two members, a fleet, an Application with an ended and an active run; all queues empty."""
    made = Desk()
    for name in ("east", "west"):
        await membership.reconcile(made.hub, made.register(name))
        made.live(name)
    made.put(FLEETS, gen.fleet())
    made.put(APPLICATIONS, gen.application())
    for number, phase in ((1, "Succeeded"), (2, "Progressing")):
        body = gen.run(gen.wave("all", "east", "west"), number=number).manifest()
        made.put(FLEETROLLOUTS, {**body, "status": {"phase": phase}})
    made.put(CLUSTERROLLOUTS, gen.item("east", number=2))
    empty(made)
    return made


def empty(desk: Desk) -> None:
    for queue in vars(desk.queues).values():
        assert isinstance(queue, Keys)
        queue.added.clear()
        queue.later.clear()


def woken(desk: Desk) -> dict[str, set[str]]:
    """Names of the keys by queue, now or soon, without queues that are empty."""
    found = {
        kind: queue.names() | {key[1] for key in queue.later}
        for kind, queue in vars(desk.queues).items()
    }
    return {kind: keys for kind, keys in found.items() if keys}


def change(desk: Desk, resource: Any, name: str, **parts: Any) -> None:
    """Change parts of a stored object and let the hub see it."""
    body = desk.kube.peek(resource, name, TENANT)
    assert body is not None
    meta = {**body["metadata"], **parts.pop("metadata", {})}
    desk.put(resource, {**body, **parts, "metadata": meta})


def relabel(desk: Desk) -> None:
    change(desk, MEMBERCLUSTERS, "east", metadata={"labels": {"ring": "canary"}})


def cluster_status(desk: Desk) -> None:
    change(desk, MEMBERCLUSTERS, "east", status={"uid": "x"})


def fleet(desk: Desk) -> None:
    change(desk, FLEETS, "production", metadata={"generation": 2})


def fleet_status(desk: Desk) -> None:
    change(desk, FLEETS, "production", status={"members": 2})


def application(desk: Desk) -> None:
    change(desk, APPLICATIONS, "checkout", metadata={"generation": 2})


def run_phase(desk: Desk) -> None:
    change(desk, FLEETROLLOUTS, "checkout-2", status={"phase": "Halted"})


def undo(desk: Desk) -> None:
    status = {"phase": "Progressing", "undoTo": "checkout-1"}
    change(desk, FLEETROLLOUTS, "checkout-2", status=status)


def run_counts(desk: Desk) -> None:
    change(desk, FLEETROLLOUTS, "checkout-2", status={"phase": "Progressing", "wave": "1/1"})


def wish(desk: Desk) -> None:
    item = gen.item("east", number=3).manifest()
    change(desk, CLUSTERROLLOUTS, "checkout.east", spec=item["spec"], metadata={"generation": 2})


def outcome(desk: Desk) -> None:
    status = gen.item("east", ClusterPhase.FAILED, number=2).manifest()["status"]
    change(desk, CLUSTERROLLOUTS, "checkout.east", status=status)


def inputs(desk: Desk) -> None:
    said = gen.item("east", number=2).status
    told = (condition("InputsChanged", True, "ClusterInputsChanged"),)
    status = said.model_copy(update={"conditions": told}).manifest()
    change(desk, CLUSTERROLLOUTS, "checkout.east", status=status)


def step(desk: Desk) -> None:
    status = gen.item("east", number=2, message="2/4").manifest()["status"]
    change(desk, CLUSTERROLLOUTS, "checkout.east", status=status)


def secret(desk: Desk) -> None:
    version = Change(type="MODIFIED", key=(TENANT, "east"), old="1", new="2")
    triggers.secret_changed(desk.hub, version)  # type: ignore[arg-type]


def foreign_secret(desk: Desk) -> None:
    version = Change(type="MODIFIED", key=("elsewhere", "east"), old="1", new="2")
    triggers.secret_changed(desk.hub, version)  # type: ignore[arg-type]


def lost(desk: Desk) -> None:
    desk.clock.advance(31)
    triggers.poke(desk.hub, desk.link("east"))


def still_there(desk: Desk) -> None:
    desk.clock.advance(3)
    triggers.poke(desk.hub, desk.link("east"))


def deleted(desk: Desk) -> None:
    body = desk.hub.stores.runs[TENANT, "checkout-1"]
    desk.hub.stores.runs.end(body.manifest())


RUN, ITEM, APP = {"checkout-2"}, {"checkout.east"}, {"checkout"}
EAST = {"members": {"east"}}


@pytest.mark.parametrize(
    ("happens", "keys"),
    [
        pytest.param(
            relabel,
            {
                "members": {"east"},
                "fleets": {"production"},
                "applications": APP,
                "runs": RUN,
                "dispatches": ITEM,
            },
            id="a member's labels concern everybody",
        ),
        pytest.param(cluster_status, {"members": {"east"}}, id="a member's status nobody else"),
        pytest.param(
            fleet,
            {"fleets": {"production"}, "applications": APP, "runs": RUN, "dispatches": ITEM},
            id="a fleet's spec concerns its Applications, their runs and what they rendered",
        ),
        pytest.param(fleet_status, {"fleets": {"production"}}, id="a fleet's status does not"),
        pytest.param(
            application,
            {"applications": APP, "runs": RUN},
            id="an Application concerns its active run, not those that ended",
        ),
        pytest.param(
            run_phase, {"runs": RUN, "applications": APP}, id="a run's phase concerns its owner"
        ),
        pytest.param(undo, {"runs": RUN, "applications": APP}, id="an undo is its owner's to do"),
        pytest.param(run_counts, {"runs": RUN}, id="a run's counts only the run"),
        pytest.param(
            wish, {"dispatches": ITEM}, id="a wish concerns the dispatch of that cluster alone"
        ),
        pytest.param(
            outcome, {"runs": RUN, "applications": APP}, id="an outcome concerns run and owner"
        ),
        pytest.param(
            inputs, {"runs": RUN, "applications": APP}, id="and so do inputs that have changed"
        ),
        pytest.param(step, {"runs": RUN}, id="a step concerns the run"),
        pytest.param(secret, {"members": {"east"}}, id="a Secret concerns who names it"),
        pytest.param(foreign_secret, {}, id="a Secret of another namespace nobody"),
        pytest.param(
            lost,
            {
                "members": {"east"},
                "fleets": {"production"},
                "runs": RUN,
                "dispatches": ITEM,
            },
            id="a member that falls silent concerns its runs and dispatches",
        ),
        pytest.param(still_there, {}, id="one that does not, nobody"),
        pytest.param(
            deleted, {"runs": RUN | {"checkout-1"}, "applications": APP}, id="a run that is gone"
        ),
    ],
)
async def test_a_change_wakes(
    desk: Desk, happens: Callable[[Desk], None], keys: dict[str, set[str]]
) -> None:
    happens(desk)
    assert woken(desk) == keys


async def test_a_request_reaches_a_run_that_has_ended(desk: Desk) -> None:
    change(desk, FLEETROLLOUTS, "checkout-2", status={"phase": "SucceededWithFailures"})
    empty(desk)
    application(desk)
    assert woken(desk)["runs"] == {"checkout-2"}, "the newest, and only that"


@pytest.mark.parametrize("word", ["Fresh", "Reachable"])
async def test_since_when_a_member_is_silent_concerns_its_runs(desk: Desk, word: str) -> None:
    said = {"type": word, "status": "False", "lastTransitionTime": "2026-11-20T12:00:00Z"}
    change(desk, MEMBERCLUSTERS, "east", status={"conditions": [said]})
    assert woken(desk)["runs"] == RUN


async def test_a_run_that_is_deleted_before_its_end_is_told_as_aborted(desk: Desk) -> None:
    for name in ("checkout-1", "checkout-2"):
        await desk.kube.delete(FLEETROLLOUTS, name, TENANT)
        desk.see(FLEETROLLOUTS, name)
    (told,) = desk.sent.events
    assert (told.about, told.kind, told.reason) == ("checkout-2", "Normal", "Aborted")
    assert told.message == "deleted while Progressing: begins"


async def test_the_last_of_a_later_wave_lets_the_earlier_ones_go(desk: Desk) -> None:
    for name, wave in (("north", 2), ("west", 2), ("south", 1)):
        item = gen.item(name, number=2)
        want = item.spec.want.model_copy(update={"wave": wave}) if item.spec.want else None
        spec = item.spec.model_copy(update={"want": want})
        meta = item.metadata.model_copy(update={"finalizers": ()})
        desk.put(CLUSTERROLLOUTS, item.model_copy(update={"spec": spec, "metadata": meta}))
    for name, after in (("north", {"checkout.north"}), ("west", REST | {"checkout.west"})):
        empty(desk)
        await desk.kube.delete(CLUSTERROLLOUTS, f"checkout.{name}", TENANT)
        desk.see(CLUSTERROLLOUTS, f"checkout.{name}")
        assert woken(desk)["dispatches"] == after


REST = {"checkout.east", "checkout.south"}


@pytest.mark.parametrize(
    ("happens", "later"),
    [
        pytest.param(run_phase, {(TENANT, "checkout"): 0.1}, id="news of its run can wait a bit"),
        pytest.param(outcome, {(TENANT, "checkout"): 0.1}, id="and so can news of its clusters"),
        pytest.param(application, {}, id="a change of its own cannot"),
    ],
)
async def test_an_application_looks_once_for_a_burst(
    desk: Desk, happens: Callable[[Desk], None], later: dict[tuple[str, str], float]
) -> None:
    happens(desk)
    queue = desk.queues.applications
    assert isinstance(queue, Keys)
    assert queue.later == later
    assert bool(queue.added) is not bool(later)


def seen(desk: Desk, phase: str, version: int = 5, revision: str = "", **labels: str) -> None:
    link = desk.link("east")
    assert link.handle is not None
    meta = {"name": "checkout", "namespace": "checkout", "uid": "r"}
    ours = {
        "fleet.kulta.io/namespace": TENANT,
        "fleet.kulta.io/cluster": "east",
        "fleet.kulta.io/application": "checkout",
        **labels,
    }
    link.handle.informers[ROLLOUTS].store.see(
        {
            "metadata": {**meta, "resourceVersion": str(version), "labels": ours},
            "status": {"phase": phase, "fleetRevision": revision},
        }
    )


@pytest.mark.parametrize(
    ("labels", "keys"),
    [
        pytest.param({}, EAST | {"dispatches": ITEM}, id="ours"),
        pytest.param({"fleet.kulta.io/namespace": "other"}, EAST, id="another tenant's"),
        pytest.param({"fleet.kulta.io/cluster": "west"}, EAST, id="another name's"),
    ],
)
async def test_a_members_rollout_wakes_its_dispatch(
    desk: Desk, labels: dict[str, str], keys: dict[str, set[str]]
) -> None:
    """And its member, which soon tells that one more is on its way."""
    seen(desk, "Progressing", **labels)
    assert woken(desk) == keys
    assert desk.link("east").active == 0
    await membership.reconcile(desk.hub, (TENANT, "east"))
    empty(desk)
    seen(desk, "Paused", version=6, **labels)
    assert "members" not in woken(desk), "no news"


async def test_a_rollout_that_ends_lets_a_late_engine_come(desk: Desk) -> None:
    desk.link("east").wait = Obstacle.ROLLOUT
    seen(desk, "Completed")
    assert woken(desk) == {"members": {"east"}, "dispatches": ITEM}


@pytest.mark.parametrize(
    ("phases", "counts"),
    [
        pytest.param([("Progressing", "now"), ("Failed", "now")], 1, id="it fails"),
        pytest.param([("Failed", "now"), ("Failed", "now")], 1, id="the first sight counts"),
        pytest.param([("Failed", "before")], 0, id="a former revision had failed"),
        pytest.param([("Progressing", "now")], 0, id="it has not failed"),
    ],
)
async def test_the_time_to_halt_begins_with_the_verdict(
    desk: Desk, phases: list[tuple[str, str]], counts: int
) -> None:
    wanted = desk.hub.stores.items[TENANT, "checkout.east"].spec.want
    assert wanted is not None
    revisions = {"now": wanted.revision, "before": "older"}
    for number, (phase, which) in enumerate(phases):
        seen(desk, phase, version=number + 5, revision=revisions[which])
        desk.clock.advance(1)
    desk.hub.timers.halted([(TENANT, "checkout.east")])
    text = desk.hub.metrics.exposition().decode()
    assert f"fleet_time_to_halt_seconds_count {float(counts)}" in text
    if counts and len(phases) > 1 and phases[0][0] == "Failed":
        assert "fleet_time_to_halt_seconds_sum 2.0" in text


async def test_a_verdict_does_not_survive_a_new_wish(desk: Desk) -> None:
    wanted = desk.hub.stores.items[TENANT, "checkout.east"].spec.want
    assert wanted is not None
    seen(desk, "Failed", revision=wanted.revision)
    change(
        desk, CLUSTERROLLOUTS, "checkout.east",
        spec={**desk.hub.stores.items[TENANT, "checkout.east"].spec.manifest(),
              "want": {"run": "checkout-3", "revision": "newer"}},
    )  # fmt: skip
    desk.hub.timers.halted([(TENANT, "checkout.east")])
    assert "fleet_time_to_halt_seconds_count 0.0" in desk.hub.metrics.exposition().decode()


@pytest.mark.parametrize(
    ("revision", "applications"),
    [
        pytest.param("rev2", set(), id="it has what the Application asks for"),
        pytest.param("rev3", APP, id="it has not"),
    ],
)
async def test_a_member_that_can_be_judged_again_gets_what_it_lacks(
    desk: Desk, revision: str, applications: set[str]
) -> None:
    """Whatever its status says: that of one which has just joined never said that it was lost."""
    lost(desk)
    change(desk, APPLICATIONS, "checkout", status={"revision": revision})
    good = gen.item("east", ClusterPhase.SUCCEEDED, number=2, good=2)
    change(desk, CLUSTERROLLOUTS, "checkout.east", status=good.manifest()["status"])
    empty(desk)
    desk.live("east")
    assert woken(desk).get("applications", set()) == applications
    assert desk.link("east").told.fresh


async def test_a_lost_member_is_found_again(desk: Desk) -> None:
    lost(desk)
    link = desk.link("east")
    assert link.lost_at == desk.clock.monotonic()
    desk.live("east")
    assert link.lost_at is None


async def test_active_runs_hear_when_the_hub_begins_and_ends_to_suspect_itself(desk: Desk) -> None:
    for name in ("n1", "n2", "n3"):
        link = desk.hub.links.make((TENANT, name))
        link.lost_at = desk.clock.monotonic()
    begun = triggers.doubts(desk.hub, frozenset())
    assert (begun, woken(desk)) == ({TENANT}, {"runs": {"checkout-2"}})
    empty(desk)
    assert triggers.doubts(desk.hub, begun) == begun
    assert woken(desk) == {}
    desk.clock.advance(601)
    assert triggers.doubts(desk.hub, begun) == frozenset()
    assert woken(desk) == {"runs": {"checkout-2"}}
