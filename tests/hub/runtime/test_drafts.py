"""Templates of tenants at the desk: printed aside, once for all who get the same, in turns."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from fleet.api.names import APPLICATIONS, CLUSTERROLLOUTS, FLEETROLLOUTS, FLEETS, Key
from fleet.clusters.store import Change
from fleet.errors import TemporaryError, UserError
from fleet.hub.runtime import dispatching, drafts, membership, observe, reconcile, triggers
from fleet.hub.runtime.drafts import Drafts, Unrendered
from fleet.rendering import tenant
from fleet.telemetry.metrics import HubMetrics
from tests.hub import gen
from tests.hub.runtime.desk import TENANT, Desk, FakePress
from tests.hub.world import TEMPLATES

KEY = (TENANT, "checkout")
HTTPROUTE = dict(TEMPLATES.files)["httproute.yaml.j2"]
ALIKE = {"httproute.yaml.j2": HTTPROUTE + "{# mine #}"}
OWN = {"httproute.yaml.j2": HTTPROUTE + "# {{ cluster.name }}\n"}
BAD = {"httproute.yaml.j2": "\n{{ cluster.nme }}"}


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    """A fleet of two members, an Application that names a ConfigMap, and a press at work."""
    made = Desk()
    for name in ("east", "west"):
        await membership.reconcile(made.hub, made.register(name))
        made.live(name)
    made.put(FLEETS, gen.fleet())
    body = gen.application().manifest()
    body["spec"]["templates"] = {"configMap": "own"}
    made.put(APPLICATIONS, body)
    running = asyncio.create_task(made.hub.renders.drafts.run())
    yield made
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def give(desk: Desk, files: dict[str, str]) -> None:
    """The ConfigMap says so; None: it is gone."""
    own = tenant.read({"data": files})
    desk.hub.stores.templates = {(TENANT, "own"): own}
    triggers.templates_changed(
        desk.hub, Change(type="MODIFIED", key=(TENANT, "own"), old=None, new=own)
    )


async def settle(desk: Desk) -> Any:
    """Look until nothing is printed any more; the Application."""
    queue = desk.queues.applications
    queue.add(KEY)
    for _ in range(20):
        asked, queue.added = queue.added, []
        if KEY in asked:
            await reconcile.application(desk.hub, KEY)
        for _ in range(5):
            await asyncio.sleep(0)
    return desk.hub.stores.applications[KEY]


async def test_a_run_freezes_what_the_configmap_says(desk: Desk) -> None:
    give(desk, OWN)
    assert desk.queues.applications.names() == {"checkout"}
    found = await settle(desk)
    assert found.status.run == "checkout-1"
    run = desk.hub.stores.runs[TENANT, "checkout-1"]
    assert run.spec.application.templates == OWN
    assert desk.press.asked == [TENANT, TENANT], "one for each member, and none twice"


async def test_what_no_member_has_for_itself_is_printed_once(desk: Desk) -> None:
    give(desk, ALIKE)
    assert (await settle(desk)).status.run == "checkout-1"
    assert desk.press.asked == [TENANT]


async def test_a_large_fleet_is_asked_for_in_parts(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observe, "GAPS", 1)
    give(desk, OWN)
    assert (await settle(desk)).status.run == "checkout-1"
    assert desk.press.asked == [TENANT, TENANT]


async def test_an_error_stands_in_the_conditions_and_heals(desk: Desk) -> None:
    give(desk, BAD)
    found = await settle(desk)
    assert found.status.message == (
        "cluster east: template httproute.yaml.j2 line 2: 'dict object' has no attribute 'nme'"
    )
    assert {(item.reason, item.status) for item in found.status.conditions} == {
        ("TemplateError", "False")
    }
    assert len(desk.press.asked) == 1, "the other member is not tried"
    give(desk, OWN)
    assert (await settle(desk)).status.run == "checkout-1"


async def test_a_configmap_that_is_not_there_is_waited_for(desk: Desk) -> None:
    found = await settle(desk)
    assert found.status.message == (
        "spec.templates.configMap: there is no ConfigMap own with the label "
        'fleet.kulta.io/templates: "true" in namespace shop: write one, or that label; what was '
        "delivered stays as it is"
    )
    assert {item.reason for item in found.status.conditions} == {"TemplatesNotFound"}
    give(desk, OWN)
    assert (await settle(desk)).status.run == "checkout-1"


async def test_another_configmap_wakes_nobody(desk: Desk) -> None:
    desk.queues.applications.added.clear()
    change = Change(type="ADDED", key=(TENANT, "other"), old=None, new=tenant.Own())
    triggers.templates_changed(desk.hub, change)
    assert desk.queues.applications.added == []


async def test_a_machine_without_processes_delays_and_no_more(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drafts, "RETRY_SECONDS", 0.0)
    desk.press.outage = TemporaryError("no process")
    give(desk, OWN)
    assert (await settle(desk)).status.run == "checkout-1"


async def test_what_makes_no_sense_at_all_is_an_error_like_any_other(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise TypeError("what is this?")

    monkeypatch.setattr(drafts, "accepted", broken)
    give(desk, OWN)
    told = (await settle(desk)).status.message
    assert told == "cluster east: templates: what they print makes no sense"
    assert "makes no sense" in caplog.text


async def test_what_weighs_much_makes_room(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run is made all the same: who asked finds the newest."""
    monkeypatch.setattr(drafts, "MOST_BYTES", drafts.LEAST_BYTES)
    give(desk, OWN)
    assert (await settle(desk)).status.run == "checkout-1"
    assert len(desk.hub.renders.drafts._kept) == 1


async def test_a_dispatch_waits_for_the_text_of_its_run_and_for_nothing_else(desk: Desk) -> None:
    """As after a start of the hub: the ConfigMap may be gone by then."""
    run = gen.run(gen.wave("all", "east", "west"))
    frozen = run.spec.application.model_copy(update={"templates": OWN})
    spec = run.spec.model_copy(update={"application": frozen})
    desk.put(FLEETROLLOUTS, run.model_copy(update={"spec": spec}))
    body = gen.item("east").manifest()
    body["status"] = {}
    desk.put(CLUSTERROLLOUTS, body)
    east = (TENANT, "checkout.east")
    desk.queues.dispatches.added.clear()
    await dispatching.dispatch(desk.hub, east)
    assert desk.member("east").writes() == []
    for _ in range(5):
        await asyncio.sleep(0)
    assert desk.queues.dispatches.added == [east]
    await dispatching.dispatch(desk.hub, east)
    kinds = [write.kind for write in desk.member("east").writes()]
    assert kinds == ["Rollout", "Service", "Service", "HTTPRoute"]


class Slow(FakePress):
    """Ends a job when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Semaphore(0)

    async def print(self, tenant: str, files: Any, names: Any, values: Any) -> Any:
        self.asked.append(str(values["application"]["name"]))
        await self.gate.acquire()
        raise UserError("TemplateError", "template a: wrong")


async def test_applications_take_turns_and_one_prints_one_thing_at_a_time() -> None:
    press = Slow()
    made = Drafts(press, TEMPLATES, HubMetrics())
    running = asyncio.create_task(made.run())
    woken: list[Key] = []

    def ask(name: str, number: int) -> None:
        values = {"application": {"name": name}, "number": number}
        with pytest.raises(Unrendered) as gap:
            made.find((TENANT, name), OWN, values)
        gap.value.then(woken.append, (name, str(number)))

    for name in ("evil", "good", "other"):
        for number in range(3):
            ask(name, number)
    for done in range(6):
        for _ in range(5):
            await asyncio.sleep(0)
        if done == 1:
            assert woken == [("evil", "0"), ("evil", "1"), ("evil", "2")], "all ask again"
            ask("evil", 1)
        press.gate.release()
    assert press.asked[:4] == ["evil", "good", "other", "evil"]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
