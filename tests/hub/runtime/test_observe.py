"""Looks: what the planners are told, and that a look writes nothing."""

from datetime import UTC, datetime
from typing import Any

import pytest

from fleet.api import FleetRollout
from fleet.api.names import (
    APPLICATIONS,
    CLUSTERROLLOUTS,
    FLEETROLLOUTS,
    FLEETS,
    REQUEST_ANNOTATION,
    REQUESTED_BY_ANNOTATION,
    ROLLOUTS,
)
from fleet.errors import UserError
from fleet.hub.runtime import membership, observe, renders
from tests.hub import gen
from tests.hub.runtime.desk import TENANT, Desk

GONE = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.fixture
async def desk() -> Desk:
    """A fleet of two members, both believed, and an Application."""
    made = Desk()
    for name in ("east", "west"):
        await membership.reconcile(made.hub, made.register(name))
        made.live(name)
    made.put(FLEETS, gen.fleet())
    made.put(APPLICATIONS, gen.application())
    return made


def put_run(desk: Desk, number: int = 1, phase: str = "", **changes: Any) -> FleetRollout:
    body = gen.run(gen.wave("all", "east", "west"), number=number).manifest()
    body["status"] = {"phase": phase} if phase else {}
    body["metadata"] |= changes.pop("metadata", {})
    body["status"] |= changes
    desk.put(FLEETROLLOUTS, body)
    return desk.hub.stores.runs[TENANT, f"checkout-{number}"]


async def application(desk: Desk) -> Any:
    item = desk.hub.stores.applications[TENANT, "checkout"]
    return await observe.application(desk.hub, item)


async def test_an_application_sees_members_runs_and_templates(desk: Desk) -> None:
    put_run(desk, 2)
    put_run(desk, 1)
    desk.put(CLUSTERROLLOUTS, gen.item("east"))
    found = await application(desk)
    assert found.fleet is not None
    assert sorted(found.members) == ["east", "west"]
    assert all(member.fresh for member in found.members.values())
    assert [run.name for run in found.runs] == ["checkout-1", "checkout-2"]
    assert [item.name for item in found.clusters] == ["checkout.east"]
    assert found.templates == desk.hub.renders.templates.digest
    assert found.render_errors == {}
    assert desk.kube.writes() == []


async def test_what_cannot_be_rendered_is_told_for_each_member(desk: Desk) -> None:
    patch = [{"op": "replace", "path": "/workload/nothing", "value": 1}]
    body = gen.application().manifest()
    selector = {"matchLabels": {"tier": "production"}}
    body["spec"]["overrides"] = [{"clusterSelector": selector, "patch": patch}]
    desk.put(APPLICATIONS, body)
    found = await application(desk)
    assert sorted(found.render_errors) == ["east", "west"]
    assert found.render_errors["east"].startswith("cluster east: spec.overrides[0].patch[0]: ")


async def test_what_an_override_breaks_is_told_for_each_member(desk: Desk) -> None:
    """Before anything is sent; and once for all whom the same overrides hold for."""
    patch = [{"op": "add", "path": "/deliveryPolicy/rollout", "value": {"maxSurge": 0}}]
    body = gen.application().manifest()
    selector = {"matchLabels": {"tier": "production"}}
    body["spec"]["overrides"] = [{"clusterSelector": selector, "patch": patch}]
    desk.put(APPLICATIONS, body)
    found = await application(desk)
    assert found.render_errors == {
        name: f"cluster {name}: after spec.overrides[0]: spec.deliveryPolicy.rollout.maxSurge: "
        "is 0, and rollout.maxUnavailable too, so no pod could ever be replaced; write at least 1 "
        "for one of them"
        for name in ("east", "west")
    }


async def test_a_rendering_is_tried_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []
    drawn = renders.drawn

    def counted(*given: Any) -> Any:
        tried.append(given[1].cluster.name)
        return drawn(*given)

    monkeypatch.setattr(renders, "drawn", counted)
    monkeypatch.setattr(renders, "MOST", 0)
    for _ in range(3):
        await application(desk)
    assert tried == ["east"], "for all who are alike, also where the renderings are not kept"
    desk.hub.renders.forget((TENANT, "checkout"))
    await application(desk)
    assert len(tried) > 1


async def test_an_error_that_is_kept_holds_nothing_of_its_rendering(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(*_: Any) -> None:
        raise UserError("TemplateError", "wrong")

    monkeypatch.setattr(renders, "drawn", wrong)
    errors = (await application(desk)).render_errors
    assert errors == {name: f"cluster {name}: wrong" for name in ("east", "west")}
    kept = [one for one in desk.hub.renders._drawn.values() if isinstance(one, UserError)]
    assert [one.__traceback__ for one in kept] == [None]


async def test_a_run_sees_its_clusters_and_its_place(desk: Desk) -> None:
    put_run(desk, 1, "Superseded")
    put_run(desk, 2, "Progressing")
    third = put_run(desk, 3)
    desk.put(CLUSTERROLLOUTS, gen.item("east"))
    found = observe.run(desk.hub, third)
    assert list(found.clusters) == ["east"]
    assert found.newest == 3
    assert found.preceding == ("checkout-2",)
    assert [run.name for run in found.former] == ["checkout-1", "checkout-2"]
    assert not found.deleting
    assert not found.paused
    assert not found.isolated


async def test_an_older_run_sees_that_there_is_a_newer_one(desk: Desk) -> None:
    first = put_run(desk, 1, "Progressing")
    put_run(desk, 2)
    assert observe.run(desk.hub, first).newest == 2


async def test_a_pause_in_the_policy_is_seen_as_it_is_now(desk: Desk) -> None:
    run = put_run(desk)
    desk.put(APPLICATIONS, gen.application(paused=True))
    assert observe.run(desk.hub, run).paused


@pytest.mark.parametrize(
    ("policy", "paused"),
    [
        pytest.param({"paused": True}, True, id="a pause holds"),
        pytest.param({"paused": False}, False, id="none is none"),
        pytest.param({}, False, id="nothing is said"),
        pytest.param("odd", False, id="the policy is no policy"),
    ],
)
async def test_an_application_that_cannot_be_read_keeps_its_pause(
    desk: Desk, policy: object, paused: bool
) -> None:
    """After a restart of the hub there is no last good value."""
    run = put_run(desk)
    store = desk.hub.stores.applications
    store.end(store[TENANT, "checkout"].manifest())
    spec = {"deliveryPolicy": policy}
    desk.put(APPLICATIONS, {"metadata": {"name": "checkout", "uid": "new"}, "spec": spec})
    assert store == {}
    assert observe.run(desk.hub, run).paused is paused


@pytest.mark.parametrize("odd", ["", "Application", "Fleet"])
@pytest.mark.parametrize(
    ("own", "shared", "paused"),
    [
        pytest.param(False, False, False, id="nobody pauses"),
        pytest.param(True, False, True, id="the Application"),
        pytest.param(False, True, True, id="its Fleet, for all that it delivers to"),
    ],
)
async def test_a_pause_counts_also_where_it_cannot_be_read(
    desk: Desk, odd: str, own: bool, shared: bool, paused: bool
) -> None:
    run, stores = put_run(desk), desk.hub.stores
    members = {"clusterSelector": {"matchLabels": {"tier": "production"}}}
    defaults = {"deliveryPolicy": {"paused": shared}}
    for store, resource, made in (
        (stores.applications, APPLICATIONS, gen.application(paused=own)),
        (stores.fleets, FLEETS, gen.fleet(members=members, defaults=defaults)),
    ):
        store.end(store[TENANT, made.name].manifest())  # type: ignore[attr-defined]
        body = made.manifest()
        body["metadata"]["uid"] = "another"
        if odd == resource.kind:
            body["spec"]["members" if odd == "Fleet" else "destination"] = 1
        desk.put(resource, body)
        assert bool(store.unreadable) is (odd == resource.kind)  # type: ignore[attr-defined]
    assert observe.run(desk.hub, run).paused is paused


@pytest.mark.parametrize(
    ("happens", "deleting"),
    [
        pytest.param("nothing", False, id="it is there"),
        pytest.param("going", True, id="it is being deleted"),
        pytest.param("gone", True, id="it is gone"),
        pytest.param("unreadable", False, id="it cannot be read: that is no deletion"),
    ],
)
async def test_whether_the_application_is_deleted(desk: Desk, happens: str, deleting: bool) -> None:
    run = put_run(desk)
    store = desk.hub.stores.applications
    if happens == "going":
        body = gen.application().manifest()
        body["metadata"]["deletionTimestamp"] = GONE.isoformat()
        desk.put(APPLICATIONS, body)
    elif happens == "gone":
        store.end(store[TENANT, "checkout"].manifest())
    elif happens == "unreadable":
        store.end(store[TENANT, "checkout"].manifest())
        desk.put(APPLICATIONS, {"metadata": {"name": "checkout", "uid": "new"}, "spec": {}})
        assert store == {}
    assert observe.run(desk.hub, run).deleting is deleting


@pytest.mark.parametrize(
    ("own", "application", "requests"),
    [
        pytest.param("", "", (), id="nobody asks"),
        pytest.param("pause/1", "", ("pause/1",), id="the run is asked"),
        pytest.param("", "pause/2", ("pause/2",), id="its Application is asked"),
        pytest.param(
            "pause/1", "resume/2", ("pause/1", "resume/2"), id="the run's own comes first"
        ),
    ],
)
async def test_requests(desk: Desk, own: str, application: str, requests: tuple[str, ...]) -> None:
    run = put_run(desk, metadata={"annotations": {REQUEST_ANNOTATION: own}})
    body = gen.application().manifest()
    body["metadata"]["annotations"] = {REQUEST_ANNOTATION: application}
    desk.put(APPLICATIONS, body)
    assert observe.run(desk.hub, run).requests == requests


@pytest.mark.parametrize(
    ("request_", "undo_to", "known"),
    [
        pytest.param("undo/1", "", True, id="an undo is asked for"),
        pytest.param("", "checkout-1", True, id="one has not come about yet"),
        pytest.param("pause/1", "", False, id="nothing of that kind"),
    ],
)
async def test_what_the_application_asks_for_is_told_where_an_undo_is_about(
    desk: Desk, request_: str, undo_to: str, known: bool
) -> None:
    run = put_run(desk, undoTo=undo_to, metadata={"annotations": {REQUEST_ANNOTATION: request_}})
    asked = observe.run(desk.hub, run).asked
    assert (asked is not None) is known
    if asked is not None:
        generation = desk.hub.stores.applications[TENANT, "checkout"].metadata.generation
        assert (asked.generation, len(asked.digest)) == (generation, 10)


async def test_who_asks_stands_beside_the_request(desk: Desk) -> None:
    notes = {REQUEST_ANNOTATION: "pause/1", REQUESTED_BY_ANNOTATION: "jane"}
    run = put_run(desk, metadata={"annotations": notes})
    assert observe.run(desk.hub, run).authors == {"pause/1": "jane"}


@pytest.mark.parametrize(
    ("fleet", "seen"),
    [
        pytest.param({}, {"east", "west"}, id="all that are selected"),
        pytest.param({"members": {"names": ["east"]}}, {"east"}, id="one has left"),
        pytest.param({"members": {"names": ["north"]}}, None, id="an empty fleet says nothing"),
    ],
)
async def test_a_run_sees_its_fleet_as_it_is_now(
    desk: Desk, fleet: dict[str, Any], seen: set[str] | None
) -> None:
    run = put_run(desk)
    desk.put(FLEETS, gen.fleet(**fleet))
    assert observe.run(desk.hub, run).fleet == seen


async def test_a_fleet_that_is_gone_says_nothing(desk: Desk) -> None:
    run = put_run(desk)
    store = desk.hub.stores.fleets
    store.end(store[TENANT, "production"].manifest())
    assert observe.run(desk.hub, run).fleet is None


async def test_a_dispatch_sees_what_is_wanted_and_what_is_there(desk: Desk) -> None:
    put_run(desk)
    desk.put(CLUSTERROLLOUTS, gen.item("east"))
    item = desk.hub.stores.items[TENANT, "checkout.east"]
    found = observe.dispatch(desk.hub, item, None)
    assert found.member is not None
    assert found.member.fresh
    assert found.hub == "hub-1"
    assert found.rendered[0].resource is ROLLOUTS
    assert found.rollouts == {}
    link = desk.link("east")
    assert link.handle is not None
    meta = {"name": "checkout", "namespace": "checkout", "uid": "r", "resourceVersion": "5"}
    link.handle.informers[ROLLOUTS].store.see({"metadata": meta, "spec": {"replicas": 1}})
    again = observe.dispatch(desk.hub, item, {})
    assert list(again.rollouts) == [("checkout", "checkout")]
    assert again.looked_up == {}


@pytest.mark.parametrize(
    ("missing", "error"),
    [
        pytest.param("run", "run checkout-1 does not exist any more", id="its run is gone"),
        pytest.param("fleet", "there is no Fleet production", id="its fleet is gone"),
    ],
)
async def test_what_cannot_be_rendered_for_a_cluster_is_a_value(
    desk: Desk, missing: str, error: str
) -> None:
    run = put_run(desk)
    desk.put(CLUSTERROLLOUTS, gen.item("east"))
    item = desk.hub.stores.items[TENANT, "checkout.east"]
    if missing == "run":
        desk.hub.stores.runs.end(run.manifest())
    else:
        fleet = desk.hub.stores.fleets[TENANT, "production"]
        desk.hub.stores.fleets.end(fleet.manifest())
    found = observe.dispatch(desk.hub, item, None)
    assert (found.rendered, found.render_error) == ((), error)


@pytest.mark.parametrize("change", ["uid", "fields", "handle", "cluster", "nothing"])
async def test_a_member_is_pictured_anew_where_anything_of_it_changes(
    desk: Desk, change: str
) -> None:
    cluster = desk.hub.stores.memberclusters[TENANT, "east"]
    before, link = observe.member(desk.hub, cluster), desk.link("east")
    if change == "cluster":
        spec = cluster.spec.model_copy(update={"vars": {"domain": "eu"}})
        cluster = cluster.model_copy(update={"spec": spec})
    elif change != "nothing":
        news = {"uid": "another", "fields": frozenset({"spec"}), "handle": None}
        setattr(link, change, news[change])
    found = observe.member(desk.hub, cluster)
    link.member = None
    assert found == observe.member(desk.hub, cluster)
    assert (found is before) is (change == "nothing")
    assert (found == before) is (change == "nothing")


async def test_a_member_that_left_is_none(desk: Desk) -> None:
    put_run(desk)
    desk.put(CLUSTERROLLOUTS, gen.item("north"))
    item = desk.hub.stores.items[TENANT, "checkout.north"]
    found = observe.dispatch(desk.hub, item, None)
    assert found.member is None
    assert found.rendered == ()
